package semver

// A Part is a part of a version: the most significant difference between two
// versions, or the part to raise. Parts are ordered, so d >= Minor holds for
// Minor and Major.
type Part uint8

// The parts of a version.
const (
	Same  Part = iota // nothing: the versions are equal
	Build             // the build metadata
	Pre               // the pre-release
	Patch             // the third number
	Minor             // the second number
	Major             // the first number
)

var partNames = nameList{"Part", []string{"same", "build", "pre", "patch", "minor", "major"}}

// String returns the name in lower case, for instance "minor".
func (p Part) String() string { return partNames.text(int(p)) }

// MarshalText returns the name of p.
//
// Errors: ErrUnsupported if p is not a Part of this package.
func (p Part) MarshalText() ([]byte, error) { return partNames.marshal(int(p)) }

// UnmarshalText reads a name as String returns it.
//
// Errors: ErrUnsupported for another text.
func (p *Part) UnmarshalText(text []byte) error { return unmarshal(partNames, text, p) }

// Diff returns the most significant part in which v and w differ. The order
// of v and w does not matter.
func (v Version) Diff(w Version) Part {
	switch {
	case v == w:
		return Same
	case v.core != 0 && w.core != 0: // both have digits in ext
		m, n := v.decimals(), w.decimals()
		for i, part := range [...]Part{Major, Minor, Patch} {
			if m[i] != n[i] {
				return part
			}
		}
	case v.major != w.major:
		return Major
	case v.minor != w.minor:
		return Minor
	case v.patch != w.patch:
		return Patch
	}
	if v.Prerelease() != w.Prerelease() {
		return Pre
	}
	return Build
}
