package ledger

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io/fs"
	"iter"
	"math/bits"
	"strconv"
	"strings"
)

// proofMagic is the first line of a proof's text.
const proofMagic = "c2sp.org/tlog-proof@v1"

// noRecord is not the number of a record.
const noRecord = 1<<64 - 1

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
// record seq. It reads the newest segments up to that checkpoint, and then the
// log from its oldest segment. It checks no signature.
//
// Errors:
//
//   - fs.ErrNotExist if the log does not contain the record, or if no
//     checkpoint covers it;
//   - [ErrTampered] if the checkpoint does not fit the log;
//   - [ErrFormat];
//   - the errors of fsys.
func Prove(fsys fs.FS, seq uint64) (*Proof, error) {
	cp, err := lastCheckpoint(fsys)
	if err != nil {
		return nil, err
	}
	if cp.Size <= seq {
		return nil, fmt.Errorf("ledger: record %d: no checkpoint covers it: %w", seq, fs.ErrNotExist)
	}
	p := &Proof{Index: seq, Note: cp.Note}
	var root Hash
	err = readLeaves(fsys, func(l *leaves) error {
		if seq < l.first {
			return fmt.Errorf("ledger: record %d is pruned: %w", seq, fs.ErrNotExist)
		}
		l.keep = seq
		root, p.Hashes = l.path(seq, 0, cp.Size)
		p.Line = l.kept
		return nil
	})
	if err == nil && root != cp.Root {
		err = tamperError("checkpoint of %d records does not fit the log", cp.Size)
	}
	if err != nil {
		return nil, err
	}
	return p, nil
}

// lastCheckpoint searches the segments for the last checkpoint, the newest
// segment first.
func lastCheckpoint(fsys fs.FS) (cp Checkpoint, err error) {
	segs, err := segments(fsys)
	var p objectParser
	for i := len(segs) - 1; i >= 0 && err == nil && cp.Note == ""; i-- {
		linesOf(fsys, segmentName(segs[i]), func(l textLine, lerr error) bool {
			if err = lerr; err != nil {
				return false
			}
			if _, _, ok := p.parseLine(l.text); !ok {
				err = formatError("%s is malformed", l.place())
			} else if isService(l.text, "checkpoint") {
				cp, _, err = openCheckpoint(noteOf(l.text), nil)
			}
			return err == nil
		})
	}
	if err == nil && cp.Note == "" {
		err = fmt.Errorf("ledger: no checkpoint: %w", fs.ErrNotExist)
	}
	return cp, err
}

// ProveConsistency returns the proof that the log of size to begins with the
// log of size from, for [CheckConsistency]. The sizes must be 0 < from <= to.
// It reads the log once.
//
// Errors: fs.ErrNotExist if the log has fewer records or the records were
// removed, [ErrFormat] for other sizes, the errors of fsys.
func ProveConsistency(fsys fs.FS, from, to uint64) (proof []Hash, err error) {
	if from == 0 || from > to {
		return nil, formatError("sizes are %d and %d, want 0 < from <= to", from, to)
	}
	err = readLeaves(fsys, func(l *leaves) error {
		if from < l.first {
			return fmt.Errorf("ledger: record %d is pruned: %w", from-1, fs.ErrNotExist)
		}
		_, proof = l.subproof(from, 0, to, true)
		return nil
	})
	return proof, err
}

// A leaves reads the leaf hashes of a log from left to right. Of removed
// segments it has only the roots of the full subtrees.
type leaves struct {
	first uint64
	roots []Hash // of the records before first, not used yet
	next  func() (textLine, error, bool)
	ahead []byte // the next line, if it was read already
	keep  uint64 // number of the record whose line is stored in kept
	kept  []byte
	err   error
}

// readLeaves calls do with the leaves of the log and returns the first error of
// both.
func readLeaves(fsys fs.FS, do func(*leaves) error) error {
	next, stop := iter.Pull2(lines(fsys))
	defer stop()
	l := &leaves{next: next, keep: noRecord}
	line, err, ok := next()
	switch {
	case err != nil:
		return fmt.Errorf("ledger: %w", err)
	case !ok:
		return fmt.Errorf("ledger: empty: %w", fs.ErrNotExist)
	}
	seq, _, ok := parseLine(line.text)
	h, isHeader := parseHeader(line.text)
	if _, fits := newTree(seq, h.Range); !ok || !isHeader || !fits {
		return formatError("%s is not a header", line.place())
	}
	l.first, l.roots, l.ahead = seq, h.Range, line.text
	if err := do(l); err != nil {
		return err
	}
	return l.err
}

// leaf returns the hash of record seq, which must be the next record.
func (l *leaves) leaf(seq uint64) Hash {
	text := l.ahead
	if l.ahead = nil; text == nil && l.err == nil {
		line, err, ok := l.next()
		switch {
		case err != nil:
			l.err = fmt.Errorf("ledger: %w", err)
		case !ok:
			l.err = fmt.Errorf("ledger: record %d: %w", seq, fs.ErrNotExist)
		}
		text = line.text
	}
	if l.err != nil {
		return Hash{}
	}
	if seq == l.keep {
		l.kept = bytes.Clone(text)
	}
	return leafHash(text)
}

// mth returns the tree hash of the records lo to hi-1. If they were removed,
// they form the next full subtree of the header, because every range contains
// first or is right of it.
func (l *leaves) mth(lo, hi uint64) Hash {
	switch {
	case l.err != nil:
		return Hash{}
	case hi <= l.first && len(l.roots) > 0:
		h := l.roots[0]
		l.roots = l.roots[1:]
		return h
	case hi == lo+1:
		return l.leaf(lo)
	}
	k := split(hi - lo)
	left := l.mth(lo, lo+k)
	return nodeHash(left, l.mth(lo+k, hi))
}

// split returns the largest power of two below n, where RFC 6962 divides n > 1
// leaves.
func split(n uint64) uint64 { return 1 << (bits.Len64(n-1) - 1) }

// path is PATH of RFC 6962, section 2.1.1, and reads the leaves in order.
func (l *leaves) path(m, lo, hi uint64) (root Hash, proof []Hash) {
	if l.err != nil {
		return root, nil
	}
	if hi == lo+1 {
		return l.leaf(lo), nil
	}
	k := split(hi - lo)
	if m < lo+k {
		left, proof := l.path(m, lo, lo+k)
		right := l.mth(lo+k, hi)
		return nodeHash(left, right), append(proof, right)
	}
	left := l.mth(lo, lo+k)
	right, proof := l.path(m, lo+k, hi)
	return nodeHash(left, right), append(proof, left)
}

// subproof is SUBPROOF of RFC 6962, section 2.1.2. The numbers count from 0.
// Whole means that the verifier knows the root of the records lo to m-1.
func (l *leaves) subproof(m, lo, hi uint64, whole bool) (root Hash, proof []Hash) {
	if l.err != nil {
		return root, nil
	}
	if m == hi {
		root = l.mth(lo, hi)
		if !whole {
			proof = []Hash{root}
		}
		return root, proof
	}
	k := split(hi - lo)
	if m <= lo+k {
		left, proof := l.subproof(m, lo, lo+k, whole)
		right := l.mth(lo+k, hi)
		return nodeHash(left, right), append(proof, right)
	}
	left := l.mth(lo, lo+k)
	right, proof := l.subproof(m, lo+k, hi, false)
	return nodeHash(left, right), append(proof, left)
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
