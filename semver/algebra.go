package semver

import "slices"

// Union returns the versions that are in r or in any of the others. Its time is
// proportional to the number of intervals times the logarithm of the number of
// ranges.
func (r Range) Union(others ...Range) Range {
	if len(others) == 0 {
		return r
	}
	if len(others) > 1 {
		mid := len(others) / 2
		r, others = r.Union(others[:mid]...), []Range{others[mid].Union(others[mid+1:]...)}
	}
	return r.combine(others[0], func(a, b bool) bool { return a || b })
}

// Intersect returns the versions that are in r and in s.
func (r Range) Intersect(s Range) Range {
	return r.combine(s, func(a, b bool) bool { return a && b })
}

// Difference returns the versions that are in r but not in s.
func (r Range) Difference(s Range) Range {
	return r.combine(s, func(a, b bool) bool { return a && !b })
}

// Complement returns the versions that are not in r. If r contains no
// pre-release, its complement contains every pre-release.
func (r Range) Complement() Range { return All().Difference(r) }

// SubsetOf reports whether every version in r is in s.
func (r Range) SubsetOf(s Range) bool { return r.Difference(s).IsEmpty() }

// Overlaps reports whether some version is in r and in s.
func (r Range) Overlaps(s Range) bool { return !r.Intersect(s).IsEmpty() }

// Equal reports whether r and s have the same members. Their texts may differ.
func (r Range) Equal(s Range) bool { return r.rel == s.rel && slices.Equal(r.cuts, s.cuts) }

// combine returns the versions for which op holds of membership in r and s.
func (r Range) combine(s Range, op func(a, b bool) bool) Range {
	cuts := make([]Version, 0, len(r.cuts)+len(s.cuts))
	cuts = merge(cuts, r.kind(false), s.kind(false), op)
	rel := len(cuts)
	return makeRange("", merge(cuts, r.kind(true), s.kind(true), op), rel)
}

// merge appends the cuts of the set of versions for which op holds of
// membership in the sets of a and b. It walks both once, in order.
func merge(dst, a, b []Version, op func(a, b bool) bool) []Version {
	in := false
	for i, j := 0, 0; i < len(a) || j < len(b); {
		c := -1 // the order of the next two cuts
		if i == len(a) {
			c = +1
		} else if j < len(b) {
			c = a[i].Compare(b[j])
		}
		var at Version
		if c <= 0 {
			at = a[i]
			i++
		}
		if c >= 0 {
			at = b[j]
			j++
		}
		if now := op(i%2 == 1, j%2 == 1); now != in {
			dst, in = append(dst, at), now
		}
	}
	return dst
}
