package ledger

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"math/bits"
	"slices"
	"time"
)

// maxProblems bounds the memory that a hostile log can take: verification stops
// when it has seen as many faults.
const maxProblems = 1000

// defaultMaxUnsealed leaves room for what a busy ledger writes before its next
// checkpoint.
const defaultMaxUnsealed = 4 * defaultCheckpointEvery

// VerifyConfig says what is known about a log besides its bytes.
type VerifyConfig struct {
	_ [0]func() // not comparable, so that fields can be added

	// Keys are the public keys of the log, in the order in which they were in use;
	// there are rarely more than one, and at most 64. Each key takes over at the
	// first checkpoint that bears its signature beside that of the key before: a
	// newer key says nothing about older records. The default, none, leaves
	// signatures unchecked.
	Keys []*Verifier

	// MaxUnsealed is the number of records that may follow the last checkpoint, if
	// there are Keys. The default is 4096, for live logs; a negative value means
	// none, for logs that were closed.
	MaxUnsealed int

	// Known is an earlier state of the log, kept out of reach of its writer: the
	// log must still begin with it. The default, nil, leaves a cut tail undetected,
	// and without Keys a complete rewrite too.
	Known *Head

	// Pruned accepts a log whose oldest segments are gone, as [Config.Retain] does
	// it. Otherwise their records count as removed.
	Pruned bool
}

// Report is what [Verify] found. Times that go back are no problem: clocks are set,
// and callers that write at once come in any order. The order of a log is that of
// its numbers, and what its times are worth is for its reader to judge.
type Report struct {
	Origin     string // name of the log
	First      uint64 // number of the oldest record; not 0 in a pruned log
	Records    uint64 // complete lines read, the service records included
	Root       Hash   // tree hash over them and what was pruned
	Sealed     uint64 // records that a checkpoint by Keys covers, itself counted; 0 without Keys
	Unfinished int64  // bytes after the last line end: being written, or torn by a crash

	Backward   time.Duration // the most that a record is earlier than one before it
	BackwardAt uint64        // that record, if Backward is not 0

	Problems []Problem // in the order of the file; at most 1000, where reading stops
}

// Verify reads the log in fsys, as with os.DirFS(dir), and checks every line. One
// change to the log is reported as one problem, by kind and records. The report
// is returned with a [*TamperError] too, and is nil with any other error.
//
// Errors: a [*TamperError], which matches [ErrTampered], fs.ErrNotExist where there
// is no log or nothing of it that Known could be compared with, those of fsys, and
// ctx.Err() with context.Cause(ctx).
func Verify(ctx context.Context, fsys fs.FS, c VerifyConfig) (*Report, error) {
	segs, err := segments(fsys)
	if err != nil {
		return nil, err
	}
	if len(segs) == 0 {
		return nil, fmt.Errorf("ledger: no segment: %w", fs.ErrNotExist)
	}
	if c.MaxUnsealed == 0 {
		c.MaxUnsealed = defaultMaxUnsealed
	}
	v := &verifier{linked: true, c: c, segs: segs}
	torn, err := readAll(ctx, fsys, segs, v.take)
	if err != nil {
		return nil, err
	}
	if v.held.line > 0 {
		v.step(v.held, nil)
	}
	if c.Known != nil && c.Known.Size < v.first {
		return nil, fmt.Errorf("ledger: known head of %d records, oldest record %d: %w", c.Known.Size, v.first, fs.ErrNotExist)
	}
	r := &Report{
		Origin: v.origin, First: v.first, Records: v.tree.size - v.first, Root: v.tree.root(),
		Unfinished: torn, Backward: v.backward, BackwardAt: v.backwardAt, Problems: v.finish(),
	}
	if len(c.Keys) > 0 {
		r.Sealed = v.sealed
	}
	if len(r.Problems) > 0 {
		return r, &TamperError{Problems: r.Problems}
	}
	return r, nil
}

// extra is a run of lines that do not continue the log where they stand.
type extra struct {
	entry        // the first of them
	last  uint64 // number of the last
	at    uint64 // number that was expected here
}

// gap is a run of records that do not stand where they should.
type gap struct {
	from, to uint64
	noticed  entry // the line after it
}

// verifier walks the lines once, with one line of foresight. It follows the
// sequence numbers; what does not fit is put aside as an extra or a gap, and at
// the end the two are matched: a gap filled by an extra is a change of order.
type verifier struct {
	c         VerifyConfig
	segs      []uint64
	origin    string
	first     uint64 // oldest record
	tree      tree
	rewritten bool // the log does not begin with the known head
	stopped   bool // too many faults: the rest was not read

	held entry // last line read, not yet placed: its line is 0 before the first

	cur    entry  // last record in sequence
	next   uint64 // the number after it
	linked bool   // cur.leaf is what the next record must name as prev
	before Hash   // what cur should have named

	bad     int      // links that failed in a row, up to cur
	badEnds [2]entry // the two records of the first of them

	key    int    // which of c.Keys is in office
	inUse  bool   // it has sealed something
	sealed uint64 // records under a good seal, itself included; without keys, one that fits

	latest     time.Time // of the records so far
	backward   time.Duration
	backwardAt uint64

	// What was found. The first is certain at once; extras and gaps wait for the end,
	// where one can explain the other.
	altered  []Problem
	extras   []extra
	gaps     []gap
	suspects []Problem // what counts unless something before it explains it
}

// take receives the next line and places the one before it.
func (v *verifier) take(e *entry) bool {
	if v.stopped = len(v.altered)+len(v.extras)+len(v.gaps)+len(v.suspects) >= maxProblems; v.stopped {
		return false
	}
	if v.held.line == 0 {
		v.begin(e)
	}
	if e.own != nil {
		e.own.before = v.tree.head()
		if h := e.own.header; h != nil && !slices.Equal(h.Range, v.tree.roots()) {
			e.own.header = nil // not what a writer puts here
		}
	}
	v.tree.push(e.leaf) // the tree is of what is there, in order or not
	v.compareRoot()
	if v.held.line > 0 {
		v.step(v.held, e)
	}
	v.held = *e
	return true
}

// begin takes over what the header of the oldest segment says of pruned records.
func (v *verifier) begin(e *entry) {
	h := &header{}
	if e.own != nil && e.own.header != nil {
		h = e.own.header
	}
	if v.origin = h.Origin; e.seq == 0 || e.seq != v.segs[0] {
		return
	}
	t, fits := newTree(e.seq, h.Range)
	if !fits {
		t.size = e.seq // go on with a root that fits nothing: take and accept blame the header
	}
	if !v.c.Pruned {
		v.gaps = append(v.gaps, gap{0, e.seq - 1, *e})
	}
	v.tree, v.first, v.next, v.linked = t, e.seq, e.seq, false
	v.compareRoot()
}

// compareRoot looks at the tree in the one moment when it has the size of the known
// head: a compact range cannot be asked for an older root afterwards.
func (v *verifier) compareRoot() {
	if k := v.c.Known; k != nil && v.tree.size == k.Size {
		v.rewritten = v.tree.root() != k.Root
	}
}

// step places line e, given the line after it, or nil at the end.
func (v *verifier) step(e entry, after *entry) {
	follows := func(seq uint64) bool { return after != nil && after.ok && after.seq == seq }
	switch {
	case e.ok && e.seq == v.next:
		v.accept(e)
	case follows(v.next):
		// The expected record comes right behind: e is extra. Unless it has the
		// number of cur and the next record names e: then cur was the extra one.
		if e.ok && e.seq+1 == v.next && v.linked && after.prev == e.leaf && e.leaf != v.cur.leaf {
			v.extra(v.cur)
			if v.bad > 0 && e.prev == v.before {
				v.bad--
			}
			v.cur = e
			return
		}
		v.extra(e)
	case e.ok && v.linked && e.prev == v.cur.leaf:
		// It names cur, so it is the next record with its number changed.
		v.flush()
		v.problem(Altered, v.next, v.next, e)
		v.skipTo(v.next + 1)
	case e.ok && follows(v.next+1):
		// It stands in the place of the expected record.
		v.gaps = append(v.gaps, gap{v.next, v.next, e})
		v.extra(e)
		v.skipTo(v.next + 1)
	case e.ok && e.seq > v.next && (after == nil || !after.ok || follows(e.seq+1)):
		v.gaps = append(v.gaps, gap{v.next, e.seq - 1, e})
		v.skipTo(e.seq)
		v.accept(e)
	default:
		v.extra(e)
	}
}

// accept takes e as the next record and checks its link.
func (v *verifier) accept(e entry) {
	switch {
	case v.linked && e.prev != v.cur.leaf:
		if v.bad == 0 {
			v.badEnds = [2]entry{v.cur, e}
			if v.next == 0 {
				v.badEnds[0] = e // nothing stands before the first record
			}
		}
		v.bad++
	default:
		v.flush()
	}
	if by := v.latest.Sub(e.time); !e.time.IsZero() && by > v.backward {
		v.backward, v.backwardAt = by, e.seq
	}
	if e.time.After(v.latest) {
		v.latest = e.time
	}
	v.before = v.cur.leaf
	v.cur, v.next, v.linked = e, e.seq+1, true
	switch {
	case e.own != nil && e.own.note != "":
		v.checkSeal(e)
	case e.line == 1 && (e.own == nil || e.own.header == nil || e.seq != e.seg):
		v.suspects = append(v.suspects, place(Altered, e.seq, e.seq, e)) // no header, or not this one's
	}
}

// checkSeal holds a checkpoint against the records before it and the keys.
func (v *verifier) checkSeal(e entry) {
	suspect := func(k Kind, from, to uint64) {
		known := func(p Problem) bool { return p.Kind == Rewritten }
		if k != Rewritten || !slices.ContainsFunc(v.suspects, known) { // else all later roots differ too
			v.suspects = append(v.suspects, place(k, from, to, e))
		}
	}
	cp, signed, err := openCheckpoint(e.own.note, v.c.Keys)
	switch {
	case err != nil: // a signature that does not hold, or no note at all
		suspect(BadSeal, e.seq, e.seq)
	case cp.Head != e.own.before:
		suspect(Rewritten, min(v.sealed, e.seq-1), e.seq-1)
	case len(v.c.Keys) == 0 || v.inOffice(signed):
		v.sealed = e.seq + 1
	case signed != 0: // by a known key that is not, or no longer, in office
		suspect(BadSeal, e.seq, e.seq)
	} // signed by strangers alone: it seals nothing, and Unsealed may follow
}

// inOffice reports whether the key whose turn it is has signed, and hands over to
// the next key if that has signed too.
func (v *verifier) inOffice(signed uint64) bool {
	if !v.inUse && v.first > 0 && signed != 0 {
		v.key = bits.TrailingZeros64(signed) // who was in office before is pruned
	}
	// A newer key alone is refused, even where it will be in office later: who stole
	// it could otherwise seal older records anew (CVE-2023-31439).
	if signed>>v.key&1 == 0 {
		return false
	}
	v.inUse = true
	if signed>>(v.key+1)&1 == 1 {
		v.key++
	}
	return true
}

// skipTo goes on at seq, whose link cannot be checked.
func (v *verifier) skipTo(seq uint64) {
	v.flush()
	v.next, v.linked = seq, false
}

// flush explains the failed links up to cur. One means that the first of the two
// records changed; n in a row, that the n-1 records between them did, because a
// changed record breaks its own link when the change is in its prev.
func (v *verifier) flush() {
	switch n := v.bad; n {
	case 0:
	case 1:
		v.problem(Altered, v.badEnds[0].seq, v.badEnds[0].seq, v.badEnds[0])
	default:
		first := v.badEnds[1].seq
		if v.badEnds[0].line == v.badEnds[1].line {
			first = v.badEnds[0].seq
		}
		v.problem(Altered, first, first+uint64(n)-2, v.badEnds[1])
	}
	v.bad = 0
}

// problem notes what is certain, whatever is found later.
func (v *verifier) problem(k Kind, from, to uint64, e entry) {
	v.altered = append(v.altered, place(k, from, to, e))
}

// place is a problem that shows at the line e.
func place(k Kind, from, to uint64, e entry) Problem {
	return Problem{Kind: k, From: from, To: to, Segment: segmentName(e.seg), Line: e.line, Offset: e.off}
}

// extra puts e aside, joined to the run before it where it continues that.
func (v *verifier) extra(e entry) {
	if n := len(v.extras) - 1; n >= 0 {
		x := &v.extras[n]
		length := int(x.last-x.seq) + 1 // malformed lines have number 0, and last counts them
		if x.at == v.next && x.ok == e.ok && x.seg == e.seg && x.line+length == e.line && (!e.ok || x.last+1 == e.seq) {
			x.last++
			return
		}
	}
	x := extra{entry: e, last: e.seq, at: v.next}
	v.extras = append(v.extras, x)
}

// finish matches extras with gaps and returns all problems in order.
func (v *verifier) finish() []Problem {
	v.flush()
	for _, x := range v.extras {
		if x.ok && x.seq == v.next { // the last record stands elsewhere
			v.gaps = append(v.gaps, gap{x.seq, x.last, v.cur})
			break
		}
		if !x.ok && x.at == v.next { // the last line is the wreck of a record
			v.gaps = append(v.gaps, gap{v.next, v.next, v.cur})
		}
	}
	ps := v.altered
	left := v.reordered(&ps)
	for _, x := range left {
		switch i := slices.IndexFunc(v.gaps, func(g gap) bool { return g.from == x.at }); {
		case i >= 0: // something else stands where the records were
			ps = append(ps, place(Altered, v.gaps[i].from, v.gaps[i].to, x.entry))
			v.gaps = slices.Delete(v.gaps, i, i+1)
		case x.ok:
			ps = append(ps, place(Inserted, x.seq, x.last, x.entry))
		default:
			ps = append(ps, place(Inserted, x.at, x.at, x.entry))
		}
	}
	for _, g := range v.gaps {
		ps = append(ps, place(Removed, g.from, g.to, g.noticed))
	}
	// A seal does not fit a log of which a record before it is known to be changed:
	// that is the same deed, and one deed is reported once.
	for _, s := range v.suspects {
		upTo := s.To
		if s.Kind == Rewritten {
			upTo++ // the seal itself: one put in its place covers other records
		}
		explained := func(p Problem) bool { return p.From <= upTo }
		if !slices.ContainsFunc(ps, explained) {
			ps = append(ps, s)
		}
	}
	// The rest is said only of a log that is otherwise in order, for the same reason.
	ps = v.compareKnown(ps)
	if n := v.next - v.sealed; len(v.c.Keys) > 0 && len(ps) == 0 && (v.sealed == 0 || n > uint64(max(v.c.MaxUnsealed, 0))) {
		ps = append(ps, place(Unsealed, max(v.sealed, v.first), max(v.next, 1)-1, v.cur))
	}
	slices.SortStableFunc(ps, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Segment, b.Segment), cmp.Compare(a.Offset, b.Offset))
	})
	return ps[:min(len(ps), maxProblems)]
}

// reordered reports the extras that fill gaps, closes those gaps, and returns the
// other extras. Two that stand in each other's place are one exchange.
func (v *verifier) reordered(ps *[]Problem) (left []extra) {
	// An extra whose number is missing elsewhere was moved, not added.
	var moved []extra
	for _, x := range v.extras {
		if x.ok && v.fill(x.seq, x.last) {
			moved = append(moved, x)
		} else {
			left = append(left, x)
		}
	}
	for i := 0; i < len(moved); i++ {
		x := moved[i]
		from, to := x.at, x.last
		if x.seq < x.at { // moved towards the end: it stands behind the record before at
			from, to = x.seq, x.at-1
		}
		twin := slices.IndexFunc(moved[i+1:], func(y extra) bool { return y.at == x.seq && x.at == y.seq })
		if twin >= 0 {
			from, to = min(x.seq, x.at), max(x.seq, x.at)
			moved = slices.Delete(moved, i+1+twin, i+2+twin)
		}
		*ps = append(*ps, place(Reordered, from, to, x.entry))
	}
	return left
}

// fill takes from..to out of the gap that holds them all, if there is one.
func (v *verifier) fill(from, to uint64) bool {
	for i, g := range v.gaps {
		if from < g.from || to > g.to {
			continue
		}
		rest := make([]gap, 0, 2)
		if g.from < from {
			rest = append(rest, gap{g.from, from - 1, g.noticed})
		}
		if to < g.to {
			rest = append(rest, gap{to + 1, g.to, g.noticed})
		}
		v.gaps = slices.Replace(v.gaps, i, i+1, rest...)
		return true
	}
	return false
}

// compareKnown adds what only the known head shows. A problem found before
// explains a different root already. If the keys have sealed what the log holds
// instead, they have sealed two histories.
func (v *verifier) compareKnown(ps []Problem) []Problem {
	if v.c.Known == nil {
		return ps
	}
	size := v.c.Known.Size
	if v.next < size && !v.stopped {
		ps = append(ps, place(Truncated, v.next, size-1, v.cur))
	}
	earlier := slices.ContainsFunc(ps, func(p Problem) bool { return p.From < size })
	if v.rewritten && !earlier {
		kind := Rewritten
		if len(v.c.Keys) > 0 && v.sealed >= size {
			kind = Forked
		}
		ps = append(ps, place(kind, v.first, max(size, 1)-1, entry{seg: v.segs[0], line: 1}))
	}
	return ps
}
