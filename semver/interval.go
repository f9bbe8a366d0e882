package semver

import "iter"

// An Interval is the set of versions v with Lo <= v < Hi, releases or
// pre-releases or both. In an ordered store it is a single scan from the key of
// Lo up to the key of Hi, see [Version.AppendBinary]. If the interval contains
// a single kind, the scan needs a filter.
type Interval struct {
	Lo, Hi      Version // the lowest member, and a version above all members
	Unbounded   bool    // there is no upper bound, and Hi is unused
	Releases    bool    // the releases between the bounds are members
	Prereleases bool    // the pre-releases between the bounds are members
}

// between returns the interval of both kinds from lo up to hi.
func between(lo, hi Version) Interval {
	return Interval{Lo: lo.WithoutBuild(), Hi: hi.WithoutBuild(), Releases: true, Prereleases: true}
}

// from returns the interval of both kinds from lo on.
func from(lo Version) Interval {
	return Interval{Lo: lo.WithoutBuild(), Unbounded: true, Releases: true, Prereleases: true}
}

// atLeast removes the versions below v from s.
func (s *Interval) atLeast(v Version) {
	if s.Lo.Less(v) {
		s.Lo = v
	}
}

// below removes the versions at or above v from s.
func (s *Interval) below(v Version) {
	if s.Unbounded || v.Less(s.Hi) {
		s.Hi, s.Unbounded = v, false
	}
}

// clip removes the versions outside the bounds of t from s.
func (s *Interval) clip(t *Interval) {
	s.atLeast(t.Lo)
	if !t.Unbounded {
		s.below(t.Hi)
	}
}

// Intervals returns the intervals that make up r, ascending and disjoint. An
// interval contains both kinds wherever r does not treat pre-releases apart,
// as in the sets of advisories.
func (r Range) Intervals() iter.Seq[Interval] { return r.intervals }

// intervals calls yield for each interval of r until yield returns false.
func (r Range) intervals(yield func(Interval) bool) {
	var run Interval // the interval found last, which may still grow
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

// stretches yields the stretch between any two adjacent cuts, and the stretch
// after the last cut. Each has the kinds that are members there, perhaps none.
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

// split yields s. If s contains one kind and spans at most one release, it
// yields pieces that contain both kinds or none. It reports whether to go on.
func (s Interval) split(yield func(Interval) bool) bool {
	release := s.Lo.Core()
	second := release.step(Patch)
	if s.Releases == s.Prereleases {
		return yield(s)
	}
	if s.Unbounded || second.Compare(s.Hi) < 0 {
		s.Lo = s.Lo.lift(s.Prereleases)
		return yield(s)
	}
	after := release.Next()
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
