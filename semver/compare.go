package semver

import (
	"cmp"
	"slices"
	"strings"
)

// Compare returns -1, 0 or +1 as v has lower, the same or higher precedence
// than w, by section 11 of SemVer 2.0.0: a pre-release is lower than its
// release, numeric identifiers are lower than others and compare as numbers
// of any size, and build metadata does not count. It sorts with
// slices.SortFunc(vs, Version.Compare). It does not allocate.
func (v Version) Compare(w Version) int {
	switch {
	case v.core != 0 && w.core != 0: // then the numbers may be saturated
		if c := compareWide(v, w); c != 0 {
			return c
		}
	case v.major != w.major:
		return order(v.major < w.major)
	case v.minor != w.minor:
		return order(v.minor < w.minor)
	case v.patch != w.patch:
		return order(v.patch < w.patch)
	}
	if v.pre == 0 || w.pre == 0 { // the one without is higher
		return cmp.Compare(w.pre, v.pre)
	}
	return compareIdentifiers(v.ext[v.core+1:v.core+v.pre], w.ext[w.core+1:w.core+w.pre])
}

// order is -1 if less, else +1.
func order(less bool) int {
	if less {
		return -1
	}
	return +1
}

// compareWide compares the numbers of versions that both have saturated ones.
func compareWide(v, w Version) int {
	m, n := v.decimals(), w.decimals()
	for i := range m {
		if c := compareDecimal(m[i], n[i]); c != 0 {
			return c
		}
	}
	return 0
}

// compareDecimal compares numbers, ones of equal value by length, since those
// of build metadata may have leading zeros.
func compareDecimal(a, b string) int {
	x, y := trimZeros(a), trimZeros(b)
	switch {
	case len(x) != len(y):
		return order(len(x) < len(y))
	case x != y:
		return order(x < y) // strings.Compare would put its operands on the heap
	}
	return cmp.Compare(len(a), len(b))
}

// trimZeros cuts leading zeros, of 0 as well.
func trimZeros(s string) string {
	for s != "" && s[0] == '0' {
		s = s[1:]
	}
	return s
}

// compareIdentifiers compares dot-separated identifiers. What is before the
// first identifiers that differ is equal bytes, so one look for the first
// byte that differs finds the pair that decides.
func compareIdentifiers(a, b string) int {
	i, n := 0, min(len(a), len(b))
	for i+8 <= n && load64(a[i:]) == load64(b[i:]) {
		i += 8
	}
	for i < n && a[i] == b[i] {
		i++
	}
	aEnds, bEnds := identEnds(a, i), identEnds(b, i)
	if aEnds && bEnds { // the same identifier: one text goes on after it
		return cmp.Compare(len(a), len(b))
	}
	start := i // of the digits before i, and of the identifier if they are all of it
	for start > 0 && a[start-1]-'0' <= 9 {
		start--
	}
	if start == 0 || a[start-1] == '.' {
		_, x := digits(a, i)
		_, y := digits(b, i)
		switch xn, yn := identEnds(a, x), identEnds(b, y); {
		case xn != yn: // a number is lower than a text
			return order(xn)
		case xn && x != y:
			return compareDecimal(a[start:x], b[start:y])
		}
	} else if aEnds || bEnds {
		return order(aEnds)
	}
	return order(a[i] < b[i])
}

// identEnds reports whether an identifier of s ends before s[i].
func identEnds(s string, i int) bool { return i == len(s) || s[i] == '.' }

// load64 returns the first 8 bytes of s, which the compiler makes one load.
func load64(s string) uint64 {
	_ = s[7]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

// numeric reports whether s consists of digits.
func numeric(s string) bool {
	_, end := digits(s, 0)
	return end == len(s)
}

// Less reports whether v has lower precedence than w.
func (v Version) Less(w Version) bool { return v.Compare(w) < 0 }

// CompareTotal is Compare with build metadata as the tie-break, so that only
// identical versions compare as 0. A version without build is lower than one
// with; build identifiers compare like those of pre-releases, with numbers of
// equal value ordered by length: 0 < 00 < 1 < 01 < 2. This is the order of
// Rust's semver crate.
func (v Version) CompareTotal(w Version) int {
	if c := v.Compare(w); c != 0 {
		return c
	}
	a, b := v.Build(), w.Build()
	if a == "" || b == "" {
		return cmp.Compare(len(a), len(b))
	}
	return compareIdentifiers(a, b)
}

// CompareStrings compares two texts by precedence. A leading "v" and missing
// parts are admitted, as by golang.org/x/mod/semver.Compare; an invalid text
// is lower than any version and equal to another invalid one. It does not
// allocate.
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

// lenient parses what CompareStrings admits, without building an error.
func lenient(s string) (v Version, ok bool) {
	if _, _, err := scan(s, AllowV|AllowPartial, &v); err != nil {
		return Version{}, false
	}
	return v, true
}

// SortStrings sorts texts by CompareStrings, ties by build metadata and then
// by the text itself. Each text is parsed once.
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
		if c := a.v.Compare(b.v); c != 0 {
			return c
		}
		return cmp.Or(a.v.CompareTotal(b.v), strings.Compare(a.text, b.text))
	})
	for i, e := range sorted {
		s[i] = e.text
	}
}

// Part names what differs between two versions, or what to raise. Parts are
// ordered: a difference of at least Minor is Minor or Major.
type Part uint8

// The parts of a version, from nothing to the first number.
const (
	Same  Part = iota // identical
	Build             // the build metadata only
	Pre               // the pre-release
	Patch             // the third number
	Minor             // the second number
	Major             // the first number
)

// String returns the name: "same", "build", "pre", "patch", "minor", "major".
func (p Part) String() string {
	return [...]string{"same", "build", "pre", "patch", "minor", "major", "unknown"}[min(p, Major+1)]
}

// Diff returns the most significant part in which v and w differ, whichever
// is higher.
func (v Version) Diff(w Version) Part {
	m, n := v.decimals(), w.decimals()
	for i, part := range [...]Part{Major, Minor, Patch} {
		if m[i] != n[i] {
			return part
		}
	}
	switch {
	case v.Prerelease() != w.Prerelease():
		return Pre
	case v != w:
		return Build
	}
	return Same
}
