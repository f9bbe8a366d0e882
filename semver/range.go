package semver

import (
	"iter"
	"slices"
	"sort"
)

// Range is an immutable set of versions. The zero Range is empty. Build
// metadata never counts. A Range may be used by any number of goroutines.
//
// It is kept as two sets, one of releases and one of pre-releases, because
// most range languages treat the two apart: ^1.2 has every release from 1.2.0
// up to 2.0.0 but no pre-release between them.
type Range struct {
	text string // as parsed, if it was

	// cuts are the versions at which membership changes: first those for the
	// releases, all releases, then those for the pre-releases, all
	// pre-releases, both ascending. A version is in if an odd number of the
	// cuts of its kind is at or below it. Since every version has a direct
	// successor among its kind, equal sets have equal cuts.
	cuts []Version
	rel  int // how many cuts are for releases
}

// Interval is a run of versions Lo <= v < Hi of one or both kinds. In an
// ordered store it is one scan between the binary keys of Lo and Hi, with a
// filter if it holds only one kind.
type Interval struct {
	Lo, Hi      Version // the bounds, Lo inside and Hi outside
	Unbounded   bool    // there is no upper bound, Hi is without meaning
	Releases    bool    // the releases between the bounds belong to it
	Prereleases bool    // the pre-releases between the bounds belong to it
}

// newRange returns the union of intervals, which it sorts.
func newRange(text string, spans []Interval) Range {
	n := 0
	for i := range spans {
		if spans[i].Releases {
			n += 2
		}
		if spans[i].Prereleases {
			n += 2
		}
	}
	if byLo := func(a, b Interval) int { return a.Lo.Compare(b.Lo) }; !slices.IsSortedFunc(spans, byLo) {
		slices.SortFunc(spans, byLo)
	}
	r := Range{text: text, cuts: make([]Version, 0, n)}
	r.cuts = appendCuts(r.cuts, spans, false)
	r.rel = len(r.cuts)
	r.cuts = appendCuts(r.cuts, spans, true)
	return r
}

// appendCuts appends the cuts of one kind of the union of sorted intervals.
func appendCuts(dst []Version, spans []Interval, pre bool) []Version {
	start := len(dst)
	for i := range spans {
		s := &spans[i]
		if pre && !s.Prereleases || !pre && !s.Releases {
			continue
		}
		lo, hi := s.Lo.lift(pre), s.Hi.lift(pre)
		last := len(dst) - 1
		switch {
		case !s.Unbounded && hi.Compare(lo) <= 0: // empty
		case len(dst) == start || lo.Compare(dst[last]) > 0: // apart from the one before
			dst = append(dst, lo, hi)
		case s.Unbounded || hi.Compare(dst[last]) > 0: // extends it
			dst[last] = hi
		}
		if s.Unbounded {
			return dst[:len(dst)-1]
		}
	}
	return dst
}

// lift returns the lowest version at or above v of the given kind.
func (v Version) lift(pre bool) Version {
	if (v.pre != 0) == pre {
		return v
	}
	return v.other()
}

// other returns the lowest version above v of the other kind.
func (v Version) other() Version {
	if v.pre != 0 {
		return v.Core()
	}
	return v.next()
}

// All returns the set of all versions.
func All() Range { return AtLeast(origin) }

// Releases returns the set of all versions without a pre-release part.
func Releases() Range {
	return newRange("", []Interval{{Unbounded: true, Releases: true}})
}

// Exactly returns the set of the given versions.
func Exactly(vs ...Version) Range {
	spans := make([]Interval, len(vs))
	for i, v := range vs {
		spans[i] = plain(v, v.next())
	}
	return newRange("", spans)
}

// AtLeast returns all versions at or above v in precedence, pre-releases
// included.
func AtLeast(v Version) Range {
	return newRange("", []Interval{from(v)})
}

// Below returns all versions below v in precedence, pre-releases included:
// Below(2.0.0) has 2.0.0-rc.1.
func Below(v Version) Range { return Between(origin, v) }

// Between returns all versions from lo up to but without hi in precedence,
// pre-releases included.
func Between(lo, hi Version) Range { return newRange("", []Interval{plain(lo, hi)}) }

// plain is an interval of both kinds.
func plain(lo, hi Version) Interval {
	return Interval{Lo: lo.WithoutBuild(), Hi: hi.WithoutBuild(), Releases: true, Prereleases: true}
}

// atLeast takes out of s what is below v.
func (s *Interval) atLeast(v Version) {
	if s.Lo.Less(v) {
		s.Lo = v
	}
}

// atMost takes out of s what is at or above v.
func (s *Interval) atMost(v Version) {
	if s.Unbounded || v.Less(s.Hi) {
		s.Hi, s.Unbounded = v, false
	}
}

// clip takes out of s what is outside the bounds of t.
func (s *Interval) clip(t *Interval) {
	s.atLeast(t.Lo)
	if !t.Unbounded {
		s.atMost(t.Hi)
	}
}

// from is an interval of both kinds without an upper bound.
func from(v Version) Interval {
	return Interval{Lo: v.WithoutBuild(), Unbounded: true, Releases: true, Prereleases: true}
}

// kind returns the cuts for releases or for pre-releases.
func (r Range) kind(pre bool) []Version {
	if pre {
		return r.cuts[r.rel:]
	}
	return r.cuts[:r.rel]
}

// Contains reports whether v is in r. It does not allocate and takes
// logarithmic time in the number of intervals.
func (r Range) Contains(v Version) bool {
	cuts := r.kind(v.pre != 0)
	lo, hi := 0, len(cuts)
	for lo < hi { // as below does, but mostly without a call
		mid := int(uint(lo+hi) / 2)
		var above bool
		switch c := &cuts[mid]; {
		case c.major != v.major:
			above = c.major > v.major
		case c.minor != v.minor && v.core == 0:
			above = c.minor > v.minor
		default:
			above = c.Compare(v) > 0
		}
		if !above {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo%2 == 1
}

// below returns how many cuts are at or below v.
func below(cuts []Version, v Version) int {
	return sort.Search(len(cuts), func(i int) bool { return v.Less(cuts[i]) })
}

// Check is Contains with a reason: nil if v is in r, else a [*Violation]
// wrapping ErrPrerelease if v is a pre-release between allowed releases,
// ErrBelow or ErrAbove if all members are on one side of it, ErrExcluded if it
// falls into a gap, or ErrEmptyRange.
func (r Range) Check(v Version) error {
	if r.Contains(v) {
		return nil
	}
	return r.check(v, r.rule("in "))
}

// check is Check with the rule's name made before.
func (r Range) check(v Version, rule string) error {
	if r.Contains(v) {
		return nil
	}
	return &Violation{Version: v, Rule: rule, Err: r.why(v)}
}

// why classifies a version that is not in r.
func (r Range) why(v Version) error {
	least, ok := r.Least()
	if !ok {
		return ErrEmptyRange
	}
	if below(r.kind(false), v)%2 == 1 { // then v is no release, or it would be in
		return ErrPrerelease
	}
	if v.Compare(least) < 0 {
		return ErrBelow
	}
	if _, ok := r.Ceil(v); !ok {
		return ErrAbove
	}
	return ErrExcluded
}

// IsEmpty reports whether no version is in r.
func (r Range) IsEmpty() bool { return len(r.cuts) == 0 }

// Least returns the lowest version in r, and false if r is empty.
func (r Range) Least() (Version, bool) { return r.Ceil(origin) }

// Ceil returns the lowest version in r that is at or above v, and false if
// there is none. With a set of vulnerable versions, Complement().Ceil(v) is
// the nearest fix at or above v. The version need not have been published:
// directly above 1.4.1 is 1.4.2-0. Min and Filter choose among those that were.
func (r Range) Ceil(v Version) (Version, bool) {
	rel, relOK := r.ceil(v, false)
	pre, preOK := r.ceil(v, true)
	if !preOK || relOK && rel.Compare(pre) < 0 {
		return rel, relOK
	}
	return pre, true
}

// ceil is Ceil among one kind.
func (r Range) ceil(v Version, pre bool) (Version, bool) {
	v = v.lift(pre)
	cuts := r.kind(pre)
	n := below(cuts, v)
	switch {
	case n%2 == 1:
		return v, true
	case n < len(cuts):
		return cuts[n], true
	}
	return Version{}, false
}

// Max returns the highest version of vs that is in r, and false if none is.
func (r Range) Max(vs iter.Seq[Version]) (Version, bool) { return r.best(vs, +1) }

// Min returns the lowest version of vs that is in r, and false if none is.
func (r Range) Min(vs iter.Seq[Version]) (Version, bool) { return r.best(vs, -1) }

// best is Max if sign is +1 and Min if it is -1.
func (r Range) best(vs iter.Seq[Version], sign int) (best Version, ok bool) {
	for v := range vs {
		if ok && v.Compare(best) == -sign || !r.Contains(v) {
			continue
		}
		if !ok || v.CompareTotal(best) == sign {
			best, ok = v, true
		}
	}
	return best, ok
}

// Filter returns the versions of vs that are in r, in the same order.
func (r Range) Filter(vs iter.Seq[Version]) iter.Seq[Version] {
	return func(yield func(Version) bool) {
		for v := range vs {
			if r.Contains(v) && !yield(v) {
				return
			}
		}
	}
}

// Intervals returns the intervals that make up r, ascending and disjoint. They
// hold both kinds where r does not treat pre-releases apart, as the sets of
// advisories do not.
func (r Range) Intervals() iter.Seq[Interval] {
	return func(yield func(Interval) bool) {
		var run Interval // what was found and may still grow
		for s := range r.stretches {
			if run.Releases == s.Releases && run.Prereleases == s.Prereleases {
				run.Hi, run.Unbounded = s.Hi, s.Unbounded
				continue
			}
			if (run.Releases || run.Prereleases) && !yield(run) {
				return
			}
			run = s
		}
		if run.Releases || run.Prereleases {
			yield(run)
		}
	}
}

// stretches yields what lies between any two cuts and after the last, with
// the kinds of its versions that are in r, perhaps none.
func (r Range) stretches(yield func(Interval) bool) {
	rel, pre := r.kind(false), r.kind(true)
	for i, j := 0, 0; i < len(rel) || j < len(pre); {
		s := Interval{Unbounded: true}
		if j == len(pre) || i < len(rel) && rel[i].Compare(pre[j]) < 0 {
			s.Lo = rel[i]
			i++
		} else {
			s.Lo = pre[j]
			j++
		}
		if i < len(rel) {
			s.Hi, s.Unbounded = rel[i], false
		}
		if j < len(pre) && (s.Unbounded || pre[j].Compare(s.Hi) < 0) {
			s.Hi, s.Unbounded = pre[j], false
		}
		s.Releases, s.Prereleases = i%2 == 1, j%2 == 1
		if !s.split(yield) {
			return
		}
	}
}

// split yields s, in pieces of which each takes both kinds or none if s spans
// at most one release. It reports whether to go on.
func (s Interval) split(yield func(Interval) bool) bool {
	release := s.Lo.Core()
	second := release.step(Patch)
	if s.Releases == s.Prereleases || s.Unbounded || second.Compare(s.Hi) < 0 {
		return yield(s)
	}
	after := release.next()
	for _, piece := range [...]Interval{
		{Lo: s.Lo, Hi: release, Releases: s.Prereleases, Prereleases: s.Prereleases},
		{Lo: release, Hi: after, Releases: s.Releases, Prereleases: s.Releases},
		{Lo: after, Hi: s.Hi, Releases: s.Prereleases, Prereleases: s.Prereleases},
	} {
		if piece.clip(&s); piece.Lo.Less(piece.Hi) && !yield(piece) {
			return false
		}
	}
	return true
}
