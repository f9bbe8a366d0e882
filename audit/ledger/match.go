package ledger

import (
	"cmp"
	"slices"
)

// An extra is a run of lines that do not continue the log at their place.
type extra struct {
	entry        // the first line
	last  uint64 // number of the last line
	at    uint64 // number of the record that was expected here
}

// A gap is a run of records that are not at their place.
type gap struct {
	from, to uint64
	noticed  entry // the line after it
}

// finish returns all problems in the order of the file.
func (v *verifier) finish() []Problem {
	v.flush()
	v.endGap()
	moved, extras, gaps := matchMoved(v.extras, v.gaps)
	replaced, extras, gaps := matchReplaced(extras, gaps)
	ps := slices.Concat(v.altered, moved, replaced)
	for _, x := range extras {
		from, to := x.seq, x.last
		if !x.ok {
			from, to = x.at, x.at
		}
		ps = append(ps, place(KindInserted, from, to, x.entry))
	}
	for _, g := range gaps {
		ps = append(ps, place(KindRemoved, g.from, g.to, g.noticed))
	}
	ps = append(ps, unexplained(v.suspects, ps)...)
	ps = v.compareSeal(v.compareKnown(ps))
	slices.SortStableFunc(ps, inOrder)
	return ps[:min(len(ps), maxProblems)]
}

// endGap adds the gap at the end of the log, if an extra is its record or the
// remains of it.
func (v *verifier) endGap() {
	for _, x := range v.extras {
		if x.ok && x.seq == v.next { // the last record is at another place
			v.gaps = append(v.gaps, gap{x.seq, x.last, v.cur})
			break
		}
		if !x.ok && x.at == v.next { // the last line is malformed
			v.gaps = append(v.gaps, gap{v.next, v.next, v.cur})
			v.next++
			v.wreck = true
			break
		}
	}
}

// matchMoved returns a problem for each extra whose records are in a gap, and
// the other extras and gaps. Two extras in the place of each other are one
// problem.
func matchMoved(extras []extra, gaps []gap) (ps []Problem, otherExtras []extra, otherGaps []gap) {
	var moved []extra
	for _, x := range extras {
		rest, filled := gaps, false
		if x.ok {
			rest, filled = fill(gaps, x.seq, x.last)
		}
		if gaps = rest; filled {
			moved = append(moved, x)
		} else {
			otherExtras = append(otherExtras, x)
		}
	}
	for i := 0; i < len(moved); i++ {
		x := moved[i]
		from, to := x.at, x.last
		if x.seq < x.at { // moved towards the end, behind record at-1
			from, to = x.seq, x.at-1
		}
		twin := slices.IndexFunc(moved[i+1:], func(y extra) bool { return y.at == x.seq && x.at == y.seq })
		if twin >= 0 {
			from, to = min(x.seq, x.at), max(x.seq, x.at)
			moved = slices.Delete(moved, i+1+twin, i+2+twin)
		}
		ps = append(ps, place(KindReordered, from, to, x.entry))
	}
	return ps, otherExtras, gaps
}

// fill removes the records from..to from the gap that contains them, and
// reports whether there is such a gap.
func fill(gaps []gap, from, to uint64) (rest []gap, filled bool) {
	for i, g := range gaps {
		if from < g.from || to > g.to {
			continue
		}
		parts := make([]gap, 0, 2)
		if g.from < from {
			parts = append(parts, gap{g.from, from - 1, g.noticed})
		}
		if to < g.to {
			parts = append(parts, gap{to + 1, g.to, g.noticed})
		}
		return slices.Replace(gaps, i, i+1, parts...), true
	}
	return gaps, false
}

// matchReplaced returns a problem for each extra at the place of a gap, and the
// other extras and gaps.
func matchReplaced(extras []extra, gaps []gap) (ps []Problem, otherExtras []extra, otherGaps []gap) {
	for _, x := range extras {
		i := slices.IndexFunc(gaps, func(g gap) bool { return g.from == x.at })
		if i < 0 {
			otherExtras = append(otherExtras, x)
			continue
		}
		ps = append(ps, place(KindAltered, gaps[i].from, gaps[i].to, x.entry))
		gaps = slices.Delete(gaps, i, i+1)
	}
	return ps, otherExtras, gaps
}

// unexplained returns the suspects that no problem explains. A changed record
// also invalidates every later checkpoint. Only the record is reported then.
func unexplained(suspects, ps []Problem) (left []Problem) {
	for _, s := range suspects {
		upTo := s.To
		if s.Kind == KindRewritten {
			upTo++ // the checkpoint, which may have been replaced
		}
		explains := func(p Problem) bool { return p.From <= upTo || inOrder(p, s) < 0 }
		if !slices.ContainsFunc(ps, explains) && !slices.ContainsFunc(left, explains) {
			left = append(left, s)
		}
	}
	return left
}

// inOrder compares the places of two problems.
func inOrder(a, b Problem) int {
	return cmp.Or(cmp.Compare(a.Segment, b.Segment), cmp.Compare(a.Offset, b.Offset))
}

// compareKnown adds the problems that only the known head reveals. An earlier
// problem explains a different root.
func (v *verifier) compareKnown(ps []Problem) []Problem {
	if v.c.Known == nil {
		return ps
	}
	size := v.c.Known.Size
	wreck := slices.IndexFunc(ps, func(p Problem) bool { return v.wreck && p.To+1 == v.next })
	switch {
	case v.stopped || v.next >= size:
	case wreck >= 0 && v.next+1 == size: // two lines without a line end between them
		ps[wreck].To = v.next
	default:
		ps = append(ps, place(KindTruncated, v.next, size-1, v.cur))
	}
	earlier := slices.ContainsFunc(ps, func(p Problem) bool { return p.From < size })
	if earlier || v.tree.old.size < size || size < v.first || v.tree.watched == v.c.Known.Root {
		return ps
	}
	at := entry{seg: v.segs[0], line: 1}
	switch {
	case len(v.c.Keys) == 0 || v.signed == 0:
		return append(ps, place(KindRewritten, v.first, max(size, 1)-1, at))
	case v.signed >= size: // the key has signed another log
		return append(ps, place(KindForked, v.first, max(size, 1)-1, at))
	}
	// The key has signed the first records, so the others were changed.
	from := v.signed
	switch {
	case v.alien.line > 0:
		return append(ps, place(KindBadSeal, v.alien.seq, v.alien.seq, v.alien))
	case v.cur.seq == size-1 && v.vouched(v.cur):
		from = size - 1
	}
	return append(ps, place(KindRewritten, from, size-1, v.cur))
}

// compareSeal adds the records without a checkpoint, if there is no other
// problem.
func (v *verifier) compareSeal(ps []Problem) []Problem {
	if len(v.c.Keys) == 0 || len(ps) > 0 {
		return ps
	}
	from := max(v.sealed, v.first)
	switch own := v.cur.own; {
	case v.sealed > 0 && v.c.MaxUnsealed == 0 && v.torn > 0: // perhaps the last checkpoint
		ps = append(ps, place(KindUnsealed, v.next, v.next, v.cur))
	case v.sealed > 0 && v.next-v.sealed <= uint64(v.c.MaxUnsealed):
	case v.sealed > 0 && v.alien.line > 0:
		ps = append(ps, place(KindBadSeal, v.alien.seq, v.alien.seq, v.alien))
	case own != nil && !own.seal && v.vouched(v.cur): // a checkpoint with another type
		ps = append(ps, place(KindAltered, v.cur.seq, v.cur.seq, v.cur))
	default:
		ps = append(ps, place(KindUnsealed, from, max(v.next, 1)-1, v.cur))
	}
	return ps
}
