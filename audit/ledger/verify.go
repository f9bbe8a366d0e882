package ledger

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
)

// maxProblems bounds the memory that a hostile log can take: verification stops
// when it has seen as many faults.
const maxProblems = 1000

// VerifyConfig says what is known about a log besides its bytes.
type VerifyConfig struct {
	_ [0]func() // not comparable, so that fields can be added

	// Known is an earlier state of the log, kept out of reach of its writer: the
	// log must still begin with it. The default, nil, leaves a cut tail and a
	// complete rewrite undetected.
	Known *Head
}

// Report is what [Verify] found.
type Report struct {
	Records    uint64    // complete lines read, the service records included
	Root       Hash      // tree hash over them
	Unfinished int64     // bytes after the last line end: being written, or torn by a crash
	Problems   []Problem // in the order of the file; at most 1000, where reading stops
}

// Verify reads the log in fsys, as with os.DirFS(dir), and checks every line. One
// change to the log is reported as one problem, by kind and records. The report
// is returned with a [*TamperError] too, and is nil with any other error.
//
// Errors: a [*TamperError], which matches [ErrTampered], those of fsys, and
// ctx.Err() with context.Cause(ctx).
func Verify(ctx context.Context, fsys fs.FS, c VerifyConfig) (*Report, error) {
	f, err := fsys.Open(segmentName)
	if err != nil {
		return nil, fmt.Errorf("ledger: %w", err)
	}
	defer func() { _ = f.Close() }()
	v := &verifier{linked: true, known: c.Known}
	if err := v.read(ctx, newLineReader(f)); err != nil {
		return nil, err
	}
	r := &Report{Records: v.tree.size, Root: v.tree.root(), Unfinished: v.unfinished, Problems: v.finish()}
	if len(r.Problems) > 0 {
		return r, &TamperError{Problems: r.Problems}
	}
	return r, nil
}

// entry is what verification keeps of a line.
type entry struct {
	ok   bool   // a well-formed line; else seq and prev are zero
	seq  uint64 // the number it carries
	prev Hash
	leaf Hash
	line int
	off  int64
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
	tree       tree
	known      *Head
	rewritten  bool // the log does not begin with known
	stopped    bool // too many faults: the rest was not read
	unfinished int64

	cur    entry  // last record in sequence
	next   uint64 // the number after it
	linked bool   // cur.leaf is what the next record must name as prev
	before Hash   // what cur should have named

	bad     int      // links that failed in a row, up to cur
	badEnds [2]entry // the two records of the first of them

	altered []Problem
	extras  []extra
	gaps    []gap
}

func (v *verifier) read(ctx context.Context, lr *lineReader) error {
	var held entry
	have := false
	for {
		if v.stopped = len(v.altered)+len(v.extras)+len(v.gaps) >= maxProblems; v.stopped {
			break
		}
		line, whole, err := lr.read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil && lr.no%1024 == 0 {
			err = done(ctx)
		}
		if err != nil {
			return fmt.Errorf("ledger: read: %w", err)
		}
		if !whole {
			v.unfinished = lr.next - lr.off
			break
		}
		e := entry{line: lr.no, off: lr.off, leaf: leafHash(line)}
		e.seq, e.prev, e.ok = parseLine(line)
		v.tree.push(e.leaf)
		if v.known != nil && v.tree.size == v.known.Size {
			v.rewritten = v.tree.root() != v.known.Root
		}
		if have {
			v.step(held, &e)
		}
		held, have = e, true
	}
	if have {
		v.step(held, nil)
	}
	return nil
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
	v.before = v.cur.leaf
	v.cur, v.next, v.linked = e, e.seq+1, true
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

func (v *verifier) problem(k Kind, from, to uint64, e entry) {
	v.altered = append(v.altered, place(k, from, to, e))
}

func place(k Kind, from, to uint64, e entry) Problem {
	return Problem{Kind: k, From: from, To: to, Segment: segmentName, Line: e.line, Offset: e.off}
}

// extra puts e aside, joined to the run before it where it continues that.
func (v *verifier) extra(e entry) {
	if n := len(v.extras) - 1; n >= 0 {
		x := &v.extras[n]
		length := int(x.last-x.seq) + 1 // malformed lines have number 0, and last counts them
		if x.at == v.next && x.ok == e.ok && x.line+length == e.line && (!e.ok || x.last+1 == e.seq) {
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
	ps = v.compareKnown(ps)
	slices.SortFunc(ps, func(a, b Problem) int { return cmp.Compare(a.Offset, b.Offset) })
	return ps[:min(len(ps), maxProblems)]
}

// reordered reports the extras that fill gaps, closes those gaps, and returns the
// other extras. Two that stand in each other's place are one exchange.
func (v *verifier) reordered(ps *[]Problem) (left []extra) {
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
// explains a different root already.
func (v *verifier) compareKnown(ps []Problem) []Problem {
	if v.known == nil {
		return ps
	}
	size := v.known.Size
	if v.next < size && !v.stopped {
		ps = append(ps, place(Truncated, v.next, size-1, v.cur))
	}
	earlier := slices.ContainsFunc(ps, func(p Problem) bool { return p.From < size })
	if v.rewritten && !earlier {
		ps = append(ps, place(Rewritten, 0, size-1, entry{line: 1}))
	}
	return ps
}
