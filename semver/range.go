package semver

import (
	"iter"
	"math/bits"
	"slices"
	"strconv"
	"strings"
	"unsafe"

	"github.com/redoubt-go/redoubt/internal/quote"
)

// A Range is an immutable set of versions, such as a version constraint
// describes it. The zero Range is empty. Build metadata does not count. Any
// number of goroutines may use a Range at the same time.
//
// A Range keeps releases and pre-releases apart, because most constraint
// languages do: ^1.2 contains every release from 1.2.0 up to 2.0.0 but no
// pre-release between them.
type Range struct {
	text string // the parsed text, if there is one

	// cuts are the versions at which membership changes, without build
	// metadata: first the cuts of the releases, which are releases, then the
	// cuts of the pre-releases, which are pre-releases. Both are ascending. A
	// version is a member if an odd number of cuts of its kind are <= it.
	// Every version has a successor among its kind, so equal sets have equal
	// cuts.
	cuts []Version
	rel  int32 // how many of the cuts are for releases
	form form  // how to write the set, if text is ""
}

// newRange returns the union of intervals, which it sorts. Their bounds have no
// build metadata. If text is "", the range does not refer to the texts of the
// bounds.
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
	byLo := func(a, b Interval) int { return a.Lo.Compare(b.Lo) }
	if len(spans) > 1 && !slices.IsSortedFunc(spans, byLo) {
		slices.SortFunc(spans, byLo)
	}
	cuts := appendCuts(make([]Version, 0, n), spans, false)
	rel := len(cuts)
	return makeRange(text, appendCuts(cuts, spans, true), rel)
}

// makeRange returns the range with the given cuts.
func makeRange(text string, cuts []Version, rel int) Range {
	r := Range{text: text, cuts: cuts, rel: int32(rel)}
	if text == "" {
		own(cuts)
		r.form = r.shape()
	}
	return r
}

// own copies the texts of cuts into a single new text.
func own(cuts []Version) {
	n := 0
	for i := range cuts {
		if cuts[i].ext == origin.ext {
			cuts[i].ext = origin.ext
		} else {
			n += len(cuts[i].ext)
		}
	}
	if n == 0 {
		return
	}
	var all strings.Builder
	all.Grow(n)
	for i := range cuts {
		if c := &cuts[i]; c.ext != "" && c.ext != origin.ext {
			start := all.Len()
			all.WriteString(c.ext)
			c.ext = all.String()[start:]
		}
	}
}

// appendCuts appends the cuts of one kind of the union of sorted intervals.
func appendCuts(dst []Version, spans []Interval, pre bool) []Version {
	start := len(dst)
	for i := range spans {
		s := &spans[i]
		if pre && !s.Prereleases || !pre && !s.Releases {
			continue
		}
		lo := s.Lo
		if (lo.pre != 0) != pre {
			lo = lo.lift(pre)
		}
		if last := len(dst) - 1; s.Unbounded {
			if len(dst) == start || lo.Compare(dst[last]) > 0 {
				return append(dst, lo)
			}
			return dst[:last]
		}
		hi := s.Hi
		if (hi.pre != 0) != pre {
			hi = hi.lift(pre)
		}
		switch last := len(dst) - 1; {
		case hi.Compare(lo) <= 0: // empty
		case len(dst) == start || lo.Compare(dst[last]) > 0: // apart from the last interval
			dst = append(dst, lo, hi)
		case hi.Compare(dst[last]) > 0: // extends the last interval
			dst[last] = hi
		}
	}
	return dst
}

// lift returns the lowest version at or above v of the given kind. v has no
// build metadata.
func (v Version) lift(pre bool) Version {
	switch {
	case (v.pre != 0) == pre:
		return v
	case pre:
		return v.Next()
	}
	return v.Core()
}

// All returns the set of all versions.
func All() Range { return all }

var all = AtLeast(origin)

// Releases returns the set of all versions without a pre-release part.
func Releases() Range {
	return newRange("", []Interval{{Unbounded: true, Releases: true}})
}

// Exactly returns the set of the given versions.
func Exactly(vs ...Version) Range {
	spans := make([]Interval, len(vs))
	for i, v := range vs {
		spans[i] = between(v, v.Next())
	}
	return newRange("", spans)
}

// AtLeast returns the versions >= v in precedence, pre-releases included.
func AtLeast(v Version) Range { return newRange("", []Interval{from(v)}) }

// Above returns the versions > v in precedence, pre-releases included.
func Above(v Version) Range { return AtLeast(v.Next()) }

// AtMost returns the versions <= v in precedence, pre-releases included.
func AtMost(v Version) Range { return Below(v.Next()) }

// Below returns the versions < v in precedence, pre-releases included:
// Below(2.0.0) contains 2.0.0-rc.1.
func Below(v Version) Range { return Between(origin, v) }

// Between returns the versions v with lo <= v < hi in precedence,
// pre-releases included.
func Between(lo, hi Version) Range { return newRange("", []Interval{between(lo, hi)}) }

// Closed returns the versions v with lo <= v <= hi in precedence,
// pre-releases included.
func Closed(lo, hi Version) Range { return Between(lo, hi.Next()) }

// Clone returns r with its texts copied. A parsed Range refers to its text and
// keeps it in memory. A Range that was computed does not.
func (r Range) Clone() Range {
	r.text = strings.Clone(r.text)
	r.cuts = slices.Clone(r.cuts)
	own(r.cuts)
	return r
}

// kind returns the cuts of the releases or of the pre-releases.
func (r Range) kind(pre bool) []Version {
	if pre {
		return r.cuts[r.rel:]
	}
	return r.cuts[:r.rel]
}

// Contains reports whether v is in r. It does not allocate, and its time is
// logarithmic in the number of intervals.
func (r Range) Contains(v Version) bool {
	if v.pre != 0 || v.core != 0 {
		return below(r.kind(v.pre != 0), v)%2 == 1
	}
	// Releases, mostly: the numbers alone decide.
	cuts := r.cuts[:r.rel]
	for len(cuts) > 8 {
		if mid := len(cuts) / 4 * 2; cuts[mid].above(&v) == 0 {
			cuts = cuts[mid:]
		} else {
			cuts = cuts[:mid]
		}
	}
	n := uint64(len(cuts))
	for i := range cuts {
		n -= cuts[i].above(&v)
	}
	return n%2 == 1
}

// above returns 1 if the numbers of v are above the numbers of w, which are
// all below math.MaxUint64, and otherwise 0.
func (v *Version) above(w *Version) uint64 {
	_, borrow := bits.Sub64(w.patch, v.patch, 0)
	_, borrow = bits.Sub64(w.minor, v.minor, borrow)
	_, borrow = bits.Sub64(w.major, v.major, borrow)
	return borrow
}

// below returns how many cuts are at or below v.
func below(cuts []Version, v Version) int {
	lo, hi := 0, len(cuts)
	for lo < hi {
		mid := int(uint(lo+hi) / 2)
		c := &cuts[mid]
		above := c.major > v.major
		if c.major == v.major {
			above = c.Compare(v) > 0
		}
		if above {
			hi = mid
		} else {
			lo = mid + 1
		}
	}
	return lo
}

// Check is like [Range.Contains] but returns an error with the reason if v is
// not in r. The error takes two allocations.
//
// Errors: a [*Violation] with the class
//   - ErrEmptyRange if r is empty,
//   - ErrBelow or ErrAbove if all members are above or below v,
//   - ErrPrerelease if v is a pre-release between two adjacent releases that
//     are members, and no pre-release of the same release is a member,
//   - ErrExcluded otherwise.
func (r Range) Check(v Version) error {
	if r.Contains(v) {
		return nil
	}
	return &Violation{Version: v, Rule: r.ruleName("in "), Err: r.why(v)}
}

// ruleName returns the name of the rule that relation and r make. It allocates
// once.
func (r Range) ruleName(relation string) string {
	var text, name [256]byte
	t := r.appendText(text[:0], quote.Max)
	head, mark := t, ""
	if len(t) > quote.Max {
		head, mark = t[:quote.Max], "…" // a range is ASCII
	}
	b := strconv.AppendQuote(append(name[:0], relation...), unsafe.String(unsafe.SliceData(head), len(head)))
	return string(append(b, mark...))
}

// why returns the class of the refusal of v, which is not in r.
func (r Range) why(v Version) error {
	least, ok := r.Least()
	if !ok {
		return ErrEmptyRange
	}
	if v.Compare(least) < 0 {
		return ErrBelow
	}
	if _, ok := r.Ceil(v); !ok {
		return ErrAbove
	}
	release := v.Core()
	if v.pre != 0 && below(r.kind(false), v)%2 == 1 && r.Contains(release) {
		if next, ok := r.ceil(v.floor(), true); !ok || next.Compare(release) > 0 {
			return ErrPrerelease
		}
	}
	return ErrExcluded
}

// IsEmpty reports whether r contains no version.
func (r Range) IsEmpty() bool { return len(r.cuts) == 0 }

// Least returns the lowest version in r. If r is empty, it returns false.
func (r Range) Least() (Version, bool) { return r.Ceil(origin) }

// Ceil returns the lowest version in r that is at or above v, and false if
// there is none. If r contains the vulnerable versions, r.Complement().Ceil(v)
// is the nearest fix. The result need not be published: directly above 1.4.1
// is 1.4.2-0. [Range.Min] and [Range.Filter] choose among published versions.
func (r Range) Ceil(v Version) (Version, bool) {
	v = v.WithoutBuild()
	rel, relOK := r.ceil(v, false)
	pre, preOK := r.ceil(v, true)
	if !preOK || relOK && rel.Compare(pre) < 0 {
		return rel, relOK
	}
	return pre, true
}

// ceil is Ceil among the members of one kind.
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

// Max returns the highest version of vs that is in r, and false if no version
// of vs is in r. Of versions with the same precedence it returns the highest by
// [Version.CompareTotal].
func (r Range) Max(vs iter.Seq[Version]) (Version, bool) { return r.best(vs, +1) }

// Min returns the lowest version of vs that is in r, and false if no version
// of vs is in r. Of versions with the same precedence it returns the lowest by
// [Version.CompareTotal].
func (r Range) Min(vs iter.Seq[Version]) (Version, bool) { return r.best(vs, -1) }

// best is Max if sign is +1 and Min if sign is -1.
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
