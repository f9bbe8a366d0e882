package semver

import (
	"cmp"
	"slices"
	"strings"
)

// Compare returns -1 if v has lower precedence than w, 0 if they have the
// same precedence, and +1 otherwise. Precedence is defined in section 11 of
// SemVer 2.0.0: a pre-release is below its release, numeric identifiers are
// below other identifiers and compare as numbers of any size, and build
// metadata does not count. Sort with slices.SortFunc(vs, Version.Compare).
// Compare does not allocate for numbers below math.MaxUint64.
func (v Version) Compare(w Version) int {
	switch {
	case v.core|w.core != 0:
		return compareWide(v, w)
	case v.major != w.major:
		return order(v.major < w.major)
	case v.minor != w.minor:
		return order(v.minor < w.minor)
	case v.patch != w.patch:
		return order(v.patch < w.patch)
	case v.pre == 0 || w.pre == 0: // a release is above its pre-releases
		return cmp.Compare(w.pre, v.pre)
	}
	return compareIdentifiers(v.ext[:v.pre], w.ext[:w.pre])
}

// Less reports whether v has lower precedence than w.
func (v Version) Less(w Version) bool { return v.Compare(w) < 0 }

// CompareTotal is like [Version.Compare] but orders versions of the same
// precedence by build metadata, so that only equal versions compare as 0. A
// version without build metadata is below a version with it. Build identifiers
// compare like pre-release identifiers; numbers of equal value are ordered by
// length: 0 < 00 < 1 < 01 < 2. Rust's semver crate has the same order.
func (v Version) CompareTotal(w Version) int {
	if c := v.Compare(w); c != 0 {
		return c
	}
	return compareBuild(v.Build(), w.Build())
}

// order returns -1 if less, otherwise +1.
func order(less bool) int {
	if less {
		return -1
	}
	return +1
}

// compareIdentifiers compares the pre-releases a and b, each with its hyphen.
// Identifiers before the first differing byte are equal, so that byte lies in
// the pair of identifiers that decides.
func compareIdentifiers(a, b string) int {
	i, n := 1, min(len(a), len(b))
	for i+4 <= n && load32(a[i:]) == load32(b[i:]) {
		i += 4
	}
	for i < n && a[i] == b[i] {
		i++
	}
	x, y := at(a, i), at(b, i)
	switch {
	case x == y: // both identifiers end, and are equal: the longer list is above
		return cmp.Compare(len(a), len(b))
	case x == '.' || y == '.': // one identifier is the start of the other
		return order(x == '.')
	case x-'0' > 9 && y-'0' > 9: // neither is a number
		return order(x < y)
	}
	start := i // of the digits before i, and of the identifier if it is digits so far
	for a[start-1]-'0' <= 9 {
		start--
	}
	if start > 1 && a[start-1] != '.' {
		return order(x < y)
	}
	// The identifiers begin with digits. In a pre-release only 0 begins with 0.
	p, q := x, y // skip the digits that both have
	for p-'0' <= 9 && q-'0' <= 9 {
		i++
		p, q = at(a, i), at(b, i)
	}
	switch {
	case p == q: // numbers of the same length, or texts
		return order(x < y)
	case p == '.' || q == '.': // a number is below a longer number and a text
		return order(p == '.')
	case p-'0' <= 9 && at(a, digitsEnd(a, i)) == '.':
		return -1
	case q-'0' <= 9 && at(b, digitsEnd(b, i)) == '.':
		return +1
	}
	return order(x < y)
}

// compareBuild compares build metadata, in which numbers may begin with zeros.
func compareBuild(a, b string) int {
	for a != "" && b != "" {
		var x, y string
		x, a, _ = strings.Cut(a, ".")
		y, b, _ = strings.Cut(b, ".")
		switch m, n := numeric(x), numeric(y); {
		case x == y:
		case m != n: // a number is below a text
			return order(m)
		case m:
			return compareDecimal(x, y)
		default:
			return order(x < y)
		}
	}
	return cmp.Compare(len(a), len(b))
}

// digitsEnd returns the end of the digits at s[i:].
func digitsEnd(s string, i int) int {
	for i < len(s) && s[i]-'0' <= 9 {
		i++
	}
	return i
}

// at returns s[i], or a dot at the end of s.
func at(s string, i int) byte {
	if i < len(s) {
		return s[i]
	}
	return '.'
}

// load32 returns the first 4 bytes of s. The compiler makes it a single load.
func load32(s string) uint32 {
	_ = s[3]
	return uint32(s[0]) | uint32(s[1])<<8 | uint32(s[2])<<16 | uint32(s[3])<<24
}

// numeric reports whether s consists of digits.
func numeric(s string) bool { return digitsEnd(s, 0) == len(s) }

// CompareStrings compares two texts by precedence. Like
// golang.org/x/mod/semver.Compare it admits a leading "v" and missing numbers.
// An invalid text is below every version, and two invalid texts compare as 0.
// CompareStrings does not allocate for numbers below math.MaxUint64.
func CompareStrings(a, b string) int {
	v, vok := lenient(a)
	w, wok := lenient(b)
	switch {
	case vok && wok:
		return v.Compare(w)
	case vok != wok:
		return order(wok)
	}
	return 0
}

// lenient parses a text as CompareStrings does.
func lenient(s string) (v Version, ok bool) {
	parts, _, err := scan(s, AllowV|AllowPartial, MaxLength, &v)
	if err != nil || parts < 3 && len(v.ext) > int(v.core) { // x/mod refuses v1.2-rc
		return Version{}, false
	}
	return v, true
}

// SortStrings sorts texts by [CompareStrings], then by build metadata, then by
// the texts themselves. It parses each text once.
func SortStrings(s []string) {
	type entry struct {
		v    Version
		ok   bool
		text string
	}
	entries, sorted := make([]entry, len(s)), make([]*entry, len(s))
	for i, text := range s {
		e := &entries[i]
		e.text = text
		e.v, e.ok = lenient(text)
		sorted[i] = e
	}
	slices.SortFunc(sorted, func(a, b *entry) int {
		if a.ok != b.ok {
			return order(b.ok)
		}
		if c := a.v.CompareTotal(b.v); c != 0 {
			return c
		}
		return strings.Compare(a.text, b.text)
	})
	for i, e := range sorted {
		s[i] = e.text
	}
}
