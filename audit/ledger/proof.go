package ledger

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"math/bits"
	"slices"
	"strconv"
	"strings"
)

// proofMagic is the first line of a proof's text.
const proofMagic = "c2sp.org/tlog-proof@v1"

// A Proof shows that a log contains a record. Its verification needs only the
// public key of the log. Its text has the form of c2sp.org/tlog-proof, with the
// line of the record as extra data.
type Proof struct {
	Index  uint64 // number of the record
	Line   []byte // the line of the record, without its end
	Hashes []Hash // from the leaf to the root, RFC 6962, section 2.1.1
	Note   string // the signed checkpoint, see [ParseCheckpoint]
}

// Prove returns the proof that the last checkpoint of the log in fsys covers
// record seq. With the stored hashes of the log, it reads a few blocks of
// lines. Without them, or if they are wrong, it reads the whole log. It checks
// no signature.
//
// Errors:
//
//   - fs.ErrNotExist if the log does not contain the record, or if no
//     checkpoint covers it;
//   - [ErrTampered] if the checkpoint does not fit the log;
//   - [ErrFormat];
//   - the errors of fsys.
func Prove(fsys fs.FS, seq uint64) (*Proof, error) {
	ps, err := ProveMany(fsys, seq)
	if err != nil {
		return nil, err
	}
	return ps[0], nil
}

// ProveMany returns the proofs of several records under the same checkpoint, in
// the order of seqs. It reads the log once.
//
// Errors: the errors of [Prove], for the first record that cannot be proved.
func ProveMany(fsys fs.FS, seqs ...uint64) ([]*Proof, error) {
	l, err := newLeaves(fsys)
	if err != nil {
		return nil, err
	}
	cp, err := lastCheckpoint(fsys, l.segs)
	if err != nil {
		return nil, err
	}
	for _, seq := range seqs {
		switch {
		case cp.Size <= seq:
			return nil, fmt.Errorf("ledger: record %d: no checkpoint covers it: %w", seq, fs.ErrNotExist)
		case seq < l.first:
			return nil, fmt.Errorf("ledger: record %d is pruned: %w", seq, fs.ErrNotExist)
		}
		l.cut(seq, seq+1)
		l.lines[seq] = nil
	}
	if err := l.read(cp.Size, cp.Head); err != nil {
		return nil, err
	}
	ps := make([]*Proof, len(seqs))
	for i, seq := range seqs {
		ps[i] = &Proof{Index: seq, Line: bytes.Clone(l.lines[seq]), Hashes: l.path(seq, 0, cp.Size), Note: cp.Note}
	}
	return ps, nil
}

// LastCheckpoint returns the last checkpoint of the log in fsys. It checks
// neither the signature, see [ParseCheckpoint], nor the log.
//
// Errors: fs.ErrNotExist if there is no checkpoint, [ErrFormat], the errors of
// fsys.
func LastCheckpoint(fsys fs.FS) (Checkpoint, error) {
	segs, err := someSegments(fsys)
	if err != nil {
		return Checkpoint{}, err
	}
	return lastCheckpoint(fsys, segs)
}

var errNoCheckpoint = fmt.Errorf("ledger: no checkpoint: %w", fs.ErrNotExist)

// lastCheckpoint searches the segments for the last checkpoint, from the end.
func lastCheckpoint(fsys fs.FS, segs []uint64) (cp Checkpoint, err error) {
	for i := len(segs) - 1; i >= 0 && err == nil && cp.Note == ""; i-- {
		cp, err = lastCheckpointIn(fsys, segmentName(segs[i]))
	}
	if err == nil && cp.Note == "" {
		err = errNoCheckpoint
	}
	return cp, err
}

// lastCheckpointIn reads a segment from its end, a window of complete lines
// after the other.
func lastCheckpointIn(fsys fs.FS, name string) (cp Checkpoint, err error) {
	f, err := fsys.Open(name)
	if err != nil {
		return cp, fmt.Errorf("ledger: %w", err)
	}
	defer func() { _ = f.Close() }()
	st, err := f.Stat()
	r, ok := f.(io.ReaderAt)
	if err == nil && !ok {
		var text []byte
		text, err = io.ReadAll(f)
		r = bytes.NewReader(text)
	}
	if err != nil {
		return cp, fmt.Errorf("ledger: %w", err)
	}
	var buf []byte
	for end, window := st.Size(), int64(4<<10); end > 0; {
		from := max(end-window, 0)
		buf = slices.Grow(buf[:0], int(end-from))[:end-from]
		if n, err := r.ReadAt(buf, from); n < len(buf) {
			return cp, fmt.Errorf("ledger: %w", cmp.Or(err, io.ErrUnexpectedEOF))
		}
		start := 0
		if from > 0 {
			start = bytes.IndexByte(buf, '\n') + 1
		}
		if from > 0 && (start == 0 || start == len(buf)) {
			if window *= 2; window > 8*maxLine {
				return cp, formatError("%s contains no lines", name)
			}
			continue
		}
		if line := lastSeal(buf[start:]); line != nil {
			cp, _, err = openCheckpoint(noteOf(line), nil)
			return cp, err
		}
		end, window = from+int64(start), min(2*window, maxLine)
	}
	return cp, nil
}

// lastSeal returns the last checkpoint line in a text of lines, or nil.
func lastSeal(text []byte) []byte {
	for {
		i := bytes.LastIndex(text, []byte(`","type":"checkpoint"`))
		if i < 0 {
			return nil
		}
		start := bytes.LastIndexByte(text[:i], '\n') + 1
		line, _, whole := bytes.Cut(text[start:], []byte{'\n'})
		if _, _, ok := parseLine(line); whole && ok && isService(line, "checkpoint") {
			return line
		}
		text = text[:start]
	}
}

// ProveConsistency returns the proof that the log of size to begins with the
// log of size from, for [CheckConsistency]. The sizes must be 0 < from <= to.
// It reads as much as [Prove].
//
// Errors:
//
//   - fs.ErrNotExist if the log has fewer records, or if they were removed;
//   - [ErrTampered] if the last checkpoint does not fit the log;
//   - [ErrFormat] for other sizes;
//   - the errors of fsys.
func ProveConsistency(fsys fs.FS, from, to uint64) (proof []Hash, err error) {
	if from == 0 || from > to {
		return nil, formatError("sizes are %d and %d, want 0 < from <= to", from, to)
	}
	l, err := newLeaves(fsys)
	if err != nil {
		return nil, err
	}
	if from < l.first {
		return nil, fmt.Errorf("ledger: record %d is pruned: %w", from-1, fs.ErrNotExist)
	}
	cp, err := lastCheckpoint(fsys, l.segs)
	known := cp.Head
	if err == errNoCheckpoint { // the newest header confirms the hashes
		var before tree
		before, err = treeBefore(fsys, l.segs[len(l.segs)-1])
		known = before.head()
	}
	if err != nil {
		return nil, err
	}
	l.cut(from, to)
	if err := l.read(max(to, known.Size), known); err != nil {
		return nil, err
	}
	return l.subproof(from, 0, to, true), nil
}

// A leaves reads the leaf hashes of a log from left to right, and keeps the
// hashes of the subtrees between cuts. It replaces subtrees by stored hashes.
// Of removed segments it has only the roots of the full subtrees.
type leaves struct {
	fsys   fs.FS
	segs   []uint64
	first  uint64
	before tree              // the records before first
	cuts   []uint64          // sorted
	lines  map[uint64][]byte // the lines of records, to be filled in

	stored *storedHashes
	roots  []Hash // of before, not used yet
	known  map[[2]uint64]Hash
	at     uint64 // number of the next line
	next   func() (textLine, error, bool)
	stop   func()
	err    error
}

// newLeaves reads the first header of a log.
func newLeaves(fsys fs.FS) (*leaves, error) {
	segs, err := someSegments(fsys)
	if err != nil {
		return nil, err
	}
	before, err := treeBefore(fsys, segs[0])
	if err != nil {
		return nil, err
	}
	return &leaves{fsys: fsys, segs: segs, first: before.size, before: before, lines: map[uint64][]byte{}}, nil
}

// cut requests the hashes of subtrees that end at these sizes.
func (l *leaves) cut(sizes ...uint64) {
	for _, size := range sizes {
		if i, found := slices.BinarySearch(l.cuts, size); !found {
			l.cuts = slices.Insert(l.cuts, i, size)
		}
	}
}

// read reads the first size records. It uses stored hashes only if known, a
// part of these records, has the right root then.
func (l *leaves) read(size uint64, known Head) (err error) {
	if known.Size < l.first {
		return tamperError("checkpoint of %d records does not fit the log", known.Size)
	}
	l.cut(known.Size)
	readHashes(l.fsys, func(s *storedHashes) {
		if s != nil {
			s.blocks = min(s.blocks, known.Size>>blockLevel)
			if err = l.readWith(s, size, known); err == nil {
				return
			}
		}
		err = l.readWith(nil, size, known)
	})
	return err
}

func (l *leaves) readWith(s *storedHashes, size uint64, known Head) error {
	l.stored, l.roots, l.known, l.err = s, l.before.roots(), map[[2]uint64]Hash{}, nil
	l.gather(0, size)
	if l.next != nil {
		l.stop()
		l.next = nil
	}
	if l.err == nil && known.Size > 0 && l.hash(0, known.Size) != known.Root {
		l.err = tamperError("checkpoint of %d records does not fit the log", known.Size)
	}
	return l.err
}

// gather computes the hash of the records lo to hi-1 and keeps the hashes
// between cuts.
func (l *leaves) gather(lo, hi uint64) (h Hash) {
	if i, _ := slices.BinarySearch(l.cuts, lo+1); i == len(l.cuts) || l.cuts[i] >= hi {
		h = l.mth(lo, hi)
	} else {
		k := split(hi - lo)
		left := l.gather(lo, lo+k)
		h = nodeHash(left, l.gather(lo+k, hi))
	}
	l.known[[2]uint64{lo, hi}] = h
	return h
}

// mth returns the tree hash of the records lo to hi-1. If they were removed,
// they form the next full subtree of the header, because every range contains
// first or is right of it.
func (l *leaves) mth(lo, hi uint64) Hash {
	if l.err != nil {
		return Hash{}
	}
	if hi <= l.first && len(l.roots) > 0 {
		h := l.roots[0]
		l.roots = l.roots[1:]
		return h
	}
	if h, ok := l.stored.node(lo, hi); ok {
		return h
	}
	if hi == lo+1 {
		return l.leaf(lo)
	}
	k := split(hi - lo)
	left := l.mth(lo, lo+k)
	return nodeHash(left, l.mth(lo+k, hi))
}

// leaf returns the hash of record seq. The numbers of its calls grow.
func (l *leaves) leaf(seq uint64) Hash {
	if l.next == nil || l.at != seq {
		if l.next != nil {
			l.stop()
		}
		l.next, l.stop = iter.Pull2(linesFrom(l.fsys, l.segs, l.stored, seq))
	}
	line, err, ok := l.next()
	switch {
	case err != nil:
		l.err = fmt.Errorf("ledger: %w", err)
	case !ok:
		l.err = fmt.Errorf("ledger: record %d: %w", seq, fs.ErrNotExist)
	}
	if l.err != nil {
		return Hash{}
	}
	l.at = seq + 1
	if _, ok := l.lines[seq]; ok {
		l.lines[seq] = bytes.Clone(line.text)
	}
	return leafHash(line.text)
}

// split returns the largest power of two below n, where RFC 6962 divides n > 1
// leaves.
func split(n uint64) uint64 { return 1 << (bits.Len64(n-1) - 1) }

// hash returns the tree hash of the records lo to hi-1, which have no end
// inside a subtree between cuts.
func (l *leaves) hash(lo, hi uint64) Hash {
	if h, ok := l.known[[2]uint64{lo, hi}]; ok || hi-lo < 2 {
		return h
	}
	k := split(hi - lo)
	return nodeHash(l.hash(lo, lo+k), l.hash(lo+k, hi))
}

// path is PATH of RFC 6962, section 2.1.1.
func (l *leaves) path(m, lo, hi uint64) []Hash {
	if hi == lo+1 {
		return nil
	}
	k := split(hi - lo)
	if m < lo+k {
		return append(l.path(m, lo, lo+k), l.hash(lo+k, hi))
	}
	return append(l.path(m, lo+k, hi), l.hash(lo, lo+k))
}

// subproof is SUBPROOF of RFC 6962, section 2.1.2. The numbers count from 0.
// Whole means that the verifier knows the root of the records lo to m-1.
func (l *leaves) subproof(m, lo, hi uint64, whole bool) []Hash {
	if m == hi {
		if whole {
			return nil
		}
		return []Hash{l.hash(lo, hi)}
	}
	k := split(hi - lo)
	if m <= lo+k {
		return append(l.subproof(m, lo, lo+k, whole), l.hash(lo+k, hi))
	}
	return append(l.subproof(m, lo+k, hi, false), l.hash(lo, lo+k))
}

// Verify checks that p proves its Line under a key in keys, and returns the
// checkpoint of the proof.
//
// Errors: the errors of [ParseCheckpoint], [ErrTampered] if the hashes do not
// connect the line with the root.
func (p *Proof) Verify(keys ...*Verifier) (Checkpoint, error) {
	cp, err := ParseCheckpoint(p.Note, keys...)
	if err != nil {
		return Checkpoint{}, err
	}
	// RFC 9162, section 2.1.3.2.
	broken := tamperError("proof of record %d is invalid", p.Index)
	if p.Index >= cp.Size || len(p.Hashes) > 64 {
		return Checkpoint{}, broken
	}
	r := leafHash(p.Line)
	whole := fold(p.Index, cp.Size-1, p.Hashes, func(h Hash, left bool) {
		if left {
			r = nodeHash(h, r)
		} else {
			r = nodeHash(r, h)
		}
	})
	if !whole || r != cp.Root {
		return Checkpoint{}, broken
	}
	return cp, nil
}

// fold calls step with each hash of a proof. The path goes from node fn of a
// level, whose last node is sn, to the root. Left means that the hash is left
// of the path. The result reports whether the proof ends at the root.
//
// This is the loop of RFC 9162, sections 2.1.3.2 and 2.1.4.2.
func fold(fn, sn uint64, proof []Hash, step func(h Hash, left bool)) bool {
	for _, h := range proof {
		if sn == 0 {
			return false
		}
		left := fn&1 == 1 || fn == sn
		step(h, left)
		for left && fn&1 == 0 && fn != 0 {
			fn, sn = fn>>1, sn>>1
		}
		fn, sn = fn>>1, sn>>1
	}
	return sn == 0
}

// CheckConsistency checks that proof shows that the log of newer begins with
// the log of older. Every log begins with the empty log, with an empty proof.
//
// Errors: [ErrTampered].
func CheckConsistency(older, newer Head, proof []Hash) error {
	broken := tamperError("no proof that the log of %d records begins with the log of %d", newer.Size, older.Size)
	switch {
	case older.Size > newer.Size || len(proof) > 128:
		return broken
	case older.Size == newer.Size || older.Size == 0:
		var none tree
		if len(proof) > 0 || older.Size == newer.Size && older != newer || older.Size == 0 && older != none.head() {
			return broken
		}
		return nil
	}
	// RFC 9162, section 2.1.4.2.
	if older.Size&(older.Size-1) == 0 {
		proof = append([]Hash{older.Root}, proof...)
	}
	if len(proof) == 0 {
		return broken
	}
	fn, sn := older.Size-1, newer.Size-1
	for fn&1 == 1 {
		fn, sn = fn>>1, sn>>1
	}
	fr, sr := proof[0], proof[0]
	whole := fold(fn, sn, proof[1:], func(h Hash, left bool) {
		if left {
			fr, sr = nodeHash(h, fr), nodeHash(h, sr)
		} else {
			sr = nodeHash(sr, h)
		}
	})
	if !whole || fr != older.Root || sr != newer.Root {
		return broken
	}
	return nil
}

// MarshalText returns the form of c2sp.org/tlog-proof.
func (p *Proof) MarshalText() ([]byte, error) {
	b := fmt.Appendf(nil, "%s\nextra %s\nindex %d\n", proofMagic, base64.StdEncoding.EncodeToString(p.Line), p.Index)
	for _, h := range p.Hashes {
		b = append(b, h.String()+"\n"...)
	}
	return append(b, "\n"+p.Note...), nil
}

// UnmarshalText reads the form of MarshalText. The error matches [ErrFormat].
func (p *Proof) UnmarshalText(text []byte) error {
	malformed := formatError("proof is malformed")
	if len(text) > 2*maxLine {
		return malformed
	}
	head, note, ok := strings.Cut(string(text), "\n\n")
	lines := strings.Split(head, "\n")
	if !ok || len(lines) < 3 || len(lines) > 3+64 || lines[0] != proofMagic {
		return malformed
	}
	extra, isExtra := strings.CutPrefix(lines[1], "extra ")
	index, isIndex := strings.CutPrefix(lines[2], "index ")
	line, err1 := strictBase64.DecodeString(extra)
	n, err2 := strconv.ParseUint(index, 10, 64)
	if !isExtra || !isIndex || err1 != nil || err2 != nil || strconv.FormatUint(n, 10) != index {
		return malformed
	}
	hashes := make([]Hash, len(lines)-3)
	for i, s := range lines[3:] {
		if !decodeHash(&hashes[i], []byte(s)) {
			return malformed
		}
	}
	*p = Proof{Index: n, Line: line, Hashes: hashes, Note: note}
	return nil
}
