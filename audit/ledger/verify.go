package ledger

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"
)

// maxProblems bounds the memory for a hostile log: verification stops after so
// many faults.
const maxProblems = 1000

// maxKnownKeys is the number of keys whose signatures fit in the bits of a
// word.
const maxKnownKeys = 64

// defaultMaxUnsealed allows for the records that a busy ledger writes before
// its next checkpoint.
const defaultMaxUnsealed = 4 * defaultCheckpointEvery

// VerifyConfig contains knowledge about a log besides its bytes.
type VerifyConfig struct {
	_ [0]func() // not comparable, so that fields can be added

	// Keys are the public keys of the log, at most 64, in the order of their
	// use. A key takes over at the first checkpoint that it signs together with
	// the key before it. It cannot seal older records. Without keys, no
	// signature is checked.
	Keys []*Verifier

	// MaxUnsealed is the number of records after the last checkpoint, if there
	// are Keys. Zero means 4096, for live logs. Negative means that the log is
	// closed: it ends with a checkpoint over all other records, and with a
	// complete line.
	MaxUnsealed int

	// Known is an earlier state of the log, kept where a writer of the log
	// cannot change it. The log must begin with this state. Nil leaves a cut
	// tail undetected and, without Keys, also a log that was rewritten.
	Known *Head

	// Pruned accepts a log without its oldest segments, see [Config.Retain]. If
	// it is false, their records count as removed.
	Pruned bool
}

// Validate reports everything that is wrong with c. The error matches
// [ErrFormat].
func (c VerifyConfig) Validate() error {
	var errs []error
	if n := len(c.Keys); n > maxKnownKeys {
		errs = append(errs, formatError("Keys contains %d keys, want at most %d", n, maxKnownKeys))
	}
	for i, k := range c.Keys {
		if k == nil {
			errs = append(errs, formatError("Keys[%d] is missing", i))
		}
	}
	return errors.Join(errs...)
}

// A Report is the result of [Verify]. Times that go back are not a problem,
// because clocks are set and concurrent callers write in any order. The order
// of a log is the order of its sequence numbers.
type Report struct {
	Origin     string // name of the log
	First      uint64 // number of the oldest record; not 0 in a pruned log
	Records    uint64 // complete lines, including service records
	Root       Hash   // tree hash of all records, including removed segments
	Sealed     uint64 // records up to the last checkpoint by Keys, including it; 0 without Keys
	Unfinished int64  // bytes after the last line end: being written, or torn by a crash

	Backward   time.Duration // largest difference by which a record is earlier than a record before it
	BackwardAt uint64        // number of that record, if Backward is not 0

	Problems []Problem // in the order of the file; at most 1000, where reading stops
}

// Verify reads the log in fsys, for example os.DirFS(dir), and checks every
// line. It reports each change of a line as a single problem. If several lines
// were changed, it tries to.
//
// Verify returns the report too with a [*TamperError], and if the records of
// Known were removed. With any other error, the report is nil.
//
// Verify reports a log without any checkpoint as [KindUnsealed] if there are
// Keys. [Open] with a Signer seals a new log before it returns.
//
// Errors:
//
//   - a [*TamperError];
//   - fs.ErrNotExist if there is no log, or if the records of Known were
//     removed, also together with a TamperError;
//   - the error of [VerifyConfig.Validate];
//   - [ErrFormat] for a log of another version;
//   - the errors of fsys;
//   - ctx.Err() and context.Cause(ctx) if ctx is done.
func Verify(ctx context.Context, fsys fs.FS, c VerifyConfig) (*Report, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	segs, err := segments(fsys)
	if err != nil {
		return nil, err
	}
	if len(segs) == 0 {
		return nil, fmt.Errorf("ledger: no segment: %w", fs.ErrNotExist)
	}
	return verifyLog(ctx, fsys, segs, -1, c)
}

// verifyLog verifies segments. If limit >= 0, it reads so many bytes of the
// last segment.
func verifyLog(ctx context.Context, fsys fs.FS, segs []uint64, limit int64, c VerifyConfig) (*Report, error) {
	v := &verifier{cursor: cursor{linked: true}, c: c, segs: segs}
	v.c.MaxUnsealed = max(cmp.Or(c.MaxUnsealed, defaultMaxUnsealed), 0)
	v.tree.watch = noRecord
	if c.Known != nil {
		v.tree.watch = c.Known.Size
	}
	torn, err := readAll(ctx, fsys, segs, limit, c.Keys, v.take)
	if err != nil {
		return nil, err
	}
	if v.held.line > 0 {
		v.step(v.held, nil)
	}
	v.torn = torn
	all, _ := v.tree.at(v.tree.size())
	r := &Report{
		Origin: v.origin, First: v.first, Records: all.size - v.first, Root: all.root(),
		Unfinished: torn, Backward: v.backward, BackwardAt: v.backwardAt,
	}
	if r.Problems = v.finish(); v.foreign > 0 && len(v.altered)+len(v.extras)+len(v.gaps) == 0 {
		return nil, formatError("log has version %d, want %d", v.foreign, version)
	}
	if len(c.Keys) > 0 {
		r.Sealed = v.sealed
	}
	var errs []error
	if len(r.Problems) > 0 {
		errs = append(errs, &TamperError{Problems: r.Problems})
	}
	if c.Known != nil && c.Known.Size < v.first {
		errs = append(errs, fmt.Errorf("ledger: known head of %d records, oldest record %d: %w", c.Known.Size, v.first, fs.ErrNotExist))
	}
	if len(errs) == 1 {
		return r, errs[0]
	}
	return r, errors.Join(errs...)
}

// A verifier reads the lines once and holds back one line, so that it also
// knows the line after it. It follows the sequence numbers. A line that does
// not continue the log becomes an extra, and a missing record a gap. At the end
// it matches extras with gaps: an extra that fills a gap was moved.
type verifier struct {
	cursor
	c       VerifyConfig
	segs    []uint64
	origin  string
	first   uint64   // oldest record
	tree    lateTree // of all lines, in any order
	stopped bool     // too many faults: the rest was not read
	wreck   bool     // the last line is malformed
	torn    int64    // bytes of an unfinished last line
	foreign int      // version of the first header, if it is another version

	held entry // the last line, not placed yet; its line number is 0 before the first

	before  Hash     // the leaf hash of the record before cur
	bad     int      // broken links in a row, up to cur
	badEnds [2]entry // the two records of the first broken link

	key    int    // index in c.Keys of the current key
	sealed uint64 // records that a valid checkpoint covers, including it if it is the next line
	signed uint64 // the same, without the checkpoint
	alien  entry  // a later checkpoint that no known key has signed; its line number is 0 without it

	latest     time.Time // of the records so far
	backward   time.Duration
	backwardAt uint64

	// The findings. Problems in altered are certain. Extras and gaps are
	// matched at the end. Suspects count only if no earlier problem explains
	// them.
	altered  []Problem
	extras   []extra
	gaps     []gap
	suspects []Problem
}

// take receives the next line and places the line before it.
func (v *verifier) take(e *entry) bool {
	if v.stopped = len(v.altered)+len(v.extras)+len(v.gaps)+len(v.suspects) >= maxProblems; v.stopped {
		return false
	}
	if v.held.line == 0 {
		v.begin(e)
	}
	if e.own != nil {
		v.fit(e)
	}
	v.tree.push(e.leaf)
	if v.held.line > 0 {
		v.step(v.held, e)
	}
	v.held = *e
	return true
}

// fit compares a header or a checkpoint with the lines before it.
func (v *verifier) fit(e *entry) {
	switch own := e.own; {
	case own.header != nil:
		all, _ := v.tree.at(v.tree.size())
		if h := own.header; h.Version != version || !slices.Equal(h.Range, all.roots()) {
			own.header = nil // the range of a writer would be the roots
		}
	case own.err == nil && own.cp.Note != "":
		before, known := v.tree.at(own.cp.Size)
		switch {
		case !known:
			own.fitting = unknown
		case before.root() == own.cp.Root:
			own.fitting = fits
		}
	}
}

// begin takes the state before the oldest segment from its header.
func (v *verifier) begin(e *entry) {
	h := &header{}
	if e.own != nil && e.own.header != nil {
		h = e.own.header
	}
	if h.Version != 0 && h.Version != version {
		v.foreign = h.Version
	}
	if v.origin = h.Origin; e.seq == 0 || e.seq != v.segs[0] {
		return
	}
	t, fits := newTree(e.seq, h.Range)
	if !fits {
		t.size = e.seq // the root will not fit, and take and accept report the header
	}
	if !v.c.Pruned {
		v.gaps = append(v.gaps, gap{0, e.seq - 1, *e})
	}
	v.tree.old, v.first, v.next, v.linked = t, e.seq, e.seq, false
	v.keyOf(h, *e)
}

// keyOf takes the key in office from the header of a pruned log. A later key
// than the first known key needs a checkpoint that the key before it has signed
// too, over removed records only. A stolen key could otherwise seal records
// that the key before it has sealed (CVE-2023-31439).
func (v *verifier) keyOf(h *header, e entry) {
	i := slices.IndexFunc(v.c.Keys, func(k *Verifier) bool { return k.String() == h.Key })
	if i <= 0 {
		return
	}
	cp, signed, err := openCheckpoint(h.Handover, v.c.Keys[i-1:i+1])
	if err != nil || signed != 3 || cp.Size > v.first {
		v.suspects = append(v.suspects, place(KindBadSeal, e.seq, e.seq, e))
	}
	v.key = i
}

// A cursor is the place up to which the lines are in sequence.
type cursor struct {
	cur    entry  // last record in sequence
	next   uint64 // number of the next record
	linked bool   // the next record must contain cur.leaf as prev
}

// A verdict is the relation of a line to the sequence.
type verdict uint8

const (
	inSequence  verdict = iota // the next record
	notInPlace                 // an extra line: the sequence continues without it
	supersedes                 // the line belongs in the place of cur, and cur is the extra line
	renumbered                 // the next record with another number
	replacement                // another line in the place of the next record
	afterGap                   // records before the line are missing
)

// classify returns the relation of line e, given the line after it, or nil at
// the end.
func (c *cursor) classify(e, after *entry) verdict {
	followed := func(seq uint64) bool { return after != nil && after.ok && after.seq == seq }
	switch {
	case e.ok && e.seq == c.next:
		return inSequence
	case followed(c.next):
		// The next record is behind e. If that record links to e, and e has the
		// number of cur, then e is genuine and cur is not.
		if e.ok && e.seq+1 == c.next && c.linked && after.prev == e.leaf && e.leaf != c.cur.leaf {
			return supersedes
		}
		return notInPlace
	case e.ok && c.linked && e.prev == c.cur.leaf:
		return renumbered
	case e.ok && followed(c.next+1):
		return replacement
	case e.ok && e.seq > c.next && (after == nil || !after.ok || followed(e.seq+1)):
		return afterGap
	}
	return notInPlace
}

// step places line e, given the line after it, or nil at the end.
func (v *verifier) step(e entry, after *entry) {
	switch v.classify(&e, after) {
	case inSequence:
		v.accept(e)
	case notInPlace:
		v.extra(e)
	case supersedes:
		v.extra(v.cur)
		if v.bad > 0 && e.prev == v.before {
			v.bad--
		}
		v.cur = e
	case renumbered:
		v.flush()
		v.altered = append(v.altered, place(KindAltered, v.next, v.next, e))
		v.skipTo(v.next + 1)
	case replacement:
		v.gaps = append(v.gaps, gap{v.next, v.next, e})
		v.extra(e)
		v.skipTo(v.next + 1)
	case afterGap:
		v.gaps = append(v.gaps, gap{v.next, e.seq - 1, e})
		v.skipTo(e.seq)
		v.accept(e)
	}
}

// accept makes e the current record and checks its link.
func (v *verifier) accept(e entry) {
	if v.linked && e.prev != v.cur.leaf {
		if v.bad == 0 {
			v.badEnds = [2]entry{v.cur, e}
			if v.next == 0 {
				v.badEnds[0] = e // there is no record before the first
			}
		}
		v.bad++
	} else {
		v.flush()
	}
	v.compareTime(e)
	v.before = v.cur.leaf
	v.cur, v.next, v.linked = e, e.seq+1, true
	switch {
	case e.own != nil && e.own.seal:
		v.checkSeal(e)
	case e.line == 1 && (e.own == nil || e.own.header == nil || e.seq != e.seg):
		v.suspects = append(v.suspects, place(KindAltered, e.seq, e.seq, e)) // not the header of this segment
	}
}

// compareTime measures by how much the time of e is earlier than the latest
// time.
func (v *verifier) compareTime(e entry) {
	if by := v.latest.Sub(e.time); !e.time.IsZero() && by > v.backward {
		v.backward, v.backwardAt = by, e.seq
	}
	if e.time.After(v.latest) {
		v.latest = e.time
	}
}

// checkSeal compares a checkpoint with the records before it and with the keys.
func (v *verifier) checkSeal(e entry) {
	suspect := func(k Kind, from, to uint64) {
		v.suspects = append(v.suspects, place(k, from, to, e))
	}
	size := e.own.cp.Size
	switch {
	case e.own.err != nil || size == 0 || e.own.fitting == unknown: // not a note, or an invalid signature
		suspect(KindBadSeal, e.seq, e.seq)
	case e.own.fitting == differs:
		// After the first difference, all later roots differ.
		if !slices.ContainsFunc(v.suspects, func(p Problem) bool { return p.Kind == KindRewritten }) {
			suspect(KindRewritten, min(v.sealed, size-1), size-1)
		}
	case len(v.c.Keys) == 0 || v.inOffice(e.own.signed):
		if v.signed = max(v.signed, size); size == e.seq {
			size++
		}
		v.sealed, v.alien = max(v.sealed, size), entry{}
	case e.own.signed != 0: // by a known key that is not the current key
		suspect(KindBadSeal, e.seq, e.seq)
	default: // by unknown keys; it seals nothing
		v.alien = e
	}
}

// inOffice reports whether the current key has signed. If the next key has
// signed too, it becomes the current key. The next key alone is not accepted,
// as in keyOf.
func (v *verifier) inOffice(signed uint64) bool {
	if signed>>v.key&1 == 0 {
		return false
	}
	if signed>>(v.key+1)&1 == 1 {
		v.key++
	}
	return true
}

// skipTo continues at seq without checking its link.
func (v *verifier) skipTo(seq uint64) {
	v.flush()
	v.next, v.linked = seq, false
}

// flush explains the broken links up to cur. A single broken link means that
// the first of its two records was changed. If n links in a row are broken, the
// n-1 records between them were changed: changing the prev of a record breaks
// its own link too.
func (v *verifier) flush() {
	switch n := v.bad; n {
	case 0:
	case 1:
		changed := v.badEnds[0]
		if v.vouched(v.badEnds[1]) {
			changed = v.badEnds[1]
		}
		v.altered = append(v.altered, place(KindAltered, changed.seq, changed.seq, changed))
	default:
		first := v.badEnds[1].seq
		if v.badEnds[0].line == v.badEnds[1].line {
			first = v.badEnds[0].seq
		}
		v.altered = append(v.altered, place(KindAltered, first, first+uint64(n)-2, v.badEnds[1]))
	}
	v.bad = 0
}

// vouched reports whether the records before e are as they were written: e is a
// checkpoint over them, or the known head is equal.
func (v *verifier) vouched(e entry) bool {
	if own := e.own; own != nil && own.fitting == fits && own.cp.Size == e.seq && (len(v.c.Keys) == 0 || own.signed != 0) {
		return true
	}
	return v.c.Known != nil && v.tree.watch == e.seq && v.tree.old.size >= e.seq && v.tree.watched == v.c.Known.Root
}

// place returns a problem at the line e.
func place(k Kind, from, to uint64, e entry) Problem {
	return Problem{Kind: k, From: from, To: to, Segment: segmentName(e.seg), Line: e.line, Offset: e.off}
}

// extra adds e to the extras, as part of the previous run if it continues it.
func (v *verifier) extra(e entry) {
	if n := len(v.extras) - 1; n >= 0 {
		x := &v.extras[n]
		length := int(x.last-x.seq) + 1 // malformed lines have the number 0, and last counts them
		if x.at == v.next && x.ok == e.ok && x.seg == e.seg && x.line+length == e.line && (!e.ok || x.last+1 == e.seq) {
			x.last++
			return
		}
	}
	v.extras = append(v.extras, extra{entry: e, last: e.seq, at: v.next})
}
