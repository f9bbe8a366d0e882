package semver

import (
	"cmp"
	"math"
	"math/big"
	"strings"
)

// decimals returns the three numbers of v in decimal.
func (v Version) decimals() [3]string {
	s := head(v.ext, v.core)
	if s == "" {
		s = string(v.Core().append(nil))
	}
	major, rest, _ := strings.Cut(s, ".")
	minor, patch, _ := strings.Cut(rest, ".")
	return [3]string{major, minor, patch}
}

// fromDecimals returns the release with the given numbers, which have no
// leading zeros.
func fromDecimals(n [3]string) Version {
	v := Version{major: saturate(n[0]), minor: saturate(n[1]), patch: saturate(n[2])}
	if max(v.major, v.minor, v.patch) == math.MaxUint64 {
		v.ext = strings.Join(n[:], ".")
		v.core = uint16(len(v.ext))
	}
	return v
}

// add returns the sum of a decimal number of any length and n.
func add(s string, n int64) string {
	sum, _ := new(big.Int).SetString(s, 10)
	return sum.Add(sum, big.NewInt(n)).String()
}

// stepWide adds by to number p of v in decimal and sets the numbers after it
// to 0.
func (v Version) stepWide(p Part, by int64) Version {
	n := v.decimals()
	i := int(Major - p)
	n[i] = add(n[i], by)
	for i++; i < len(n); i++ {
		n[i] = "0"
	}
	return fromDecimals(n)
}

// previousPatch returns the release before the numbers of v, and false if the
// third number is 0.
func (v Version) previousPatch() (Version, bool) {
	if v.patch == 0 {
		return Version{}, false
	}
	if v.core != 0 {
		return v.stepWide(Patch, -1), true
	}
	v = v.Core()
	v.patch--
	return v, true
}

// compareWide is Compare if v or w has digits in ext.
func compareWide(v, w Version) int {
	m, n := v.decimals(), w.decimals()
	for i := range m {
		if c := compareDecimal(m[i], n[i]); c != 0 {
			return c
		}
	}
	if v.pre == 0 || w.pre == 0 {
		return cmp.Compare(w.pre, v.pre)
	}
	return compareIdentifiers(v.ext[v.core:v.core+v.pre], w.ext[w.core:w.core+w.pre])
}

// compareDecimal compares two numbers. Numbers of equal value are ordered by
// length, because identifiers of build metadata may have leading zeros.
func compareDecimal(a, b string) int {
	x, y := trimZeros(a), trimZeros(b)
	switch {
	case len(x) != len(y):
		return order(len(x) < len(y))
	case x != y:
		return order(x < y) // strings.Compare would move its operands to the heap
	case len(a) != len(b):
		return order(len(a) < len(b))
	}
	return 0
}

// trimZeros removes leading zeros. The result for "0" is "".
func trimZeros(s string) string {
	for s != "" && s[0] == '0' {
		s = s[1:]
	}
	return s
}
