package semver

import (
	"iter"
	"math"
	"strconv"
	"strings"
)

// Version is a semantic version, https://semver.org/spec/v2.0.0.html. It is
// an immutable value of 48 bytes; the zero value is 0.0.0. Two versions are
// identical, build metadata included, if and only if they are ==, so it
// serves as a map key. Precedence is a different question: see
// [Version.Compare].
type Version struct {
	// Numbers of MaxUint64 and more saturate here; ext then has the digits.
	major, minor, patch uint64

	// ext is the rest of the version's text, mostly a part of what was parsed:
	// nothing or, if a number saturates, "MAJOR.MINOR.PATCH"; then "-PRE";
	// then "+BUILD". Text and numbers determine each other, hence ==.
	ext  string
	core uint16 // length of "MAJOR.MINOR.PATCH" in ext, else 0
	pre  uint16 // length of "-PRE" in ext, else 0
}

// origin is the lowest version there is.
var origin = Version{ext: "-0", pre: 2}

// New returns the release major.minor.patch.
func New(major, minor, patch uint64) Version {
	if max(major, minor, patch) == math.MaxUint64 {
		return fromDecimals([3]string{
			strconv.FormatUint(major, 10), strconv.FormatUint(minor, 10), strconv.FormatUint(patch, 10),
		})
	}
	return Version{major: major, minor: minor, patch: patch}
}

// Major returns the first number, or math.MaxUint64 if that is less.
func (v Version) Major() uint64 { return v.major }

// Minor returns the second number, or math.MaxUint64 if that is less.
func (v Version) Minor() uint64 { return v.minor }

// Patch returns the third number, or math.MaxUint64 if that is less.
func (v Version) Patch() uint64 { return v.patch }

// Prerelease returns what stands between "-" and "+": "rc.1" in
// 1.2.3-rc.1+b7, and "" for a release.
func (v Version) Prerelease() string {
	if v.pre == 0 {
		return ""
	}
	return v.ext[v.core+1 : v.core+v.pre]
}

// Build returns what follows "+": "b7" in 1.2.3-rc.1+b7.
func (v Version) Build() string {
	if n := int(v.core) + int(v.pre); n < len(v.ext) {
		return v.ext[n+1:]
	}
	return ""
}

// Identifiers returns the dot-separated parts of the pre-release.
func (v Version) Identifiers() iter.Seq[string] {
	if v.pre == 0 {
		return func(func(string) bool) {}
	}
	return strings.SplitSeq(v.Prerelease(), ".")
}

// IsPrerelease reports whether v has a pre-release part.
func (v Version) IsPrerelease() bool { return v.pre != 0 }

// IsZero reports whether v is 0.0.0, the zero value. It serves the omitzero
// option of encoding/json.
func (v Version) IsZero() bool { return v == Version{} }

// Core returns v without pre-release and build: 1.2.3 of 1.2.3-rc.1+b7.
func (v Version) Core() Version {
	v.ext, v.pre = v.ext[:v.core], 0
	return v
}

// WithoutBuild returns v without its build metadata.
func (v Version) WithoutBuild() Version {
	v.ext = v.ext[:v.core+v.pre]
	return v
}

// Clone returns v with its text copied. A parsed version refers to the text
// it was parsed from and so keeps it in memory: clone a version cut out of a
// large document before storing it.
func (v Version) Clone() Version {
	v.ext = strings.Clone(v.ext)
	return v
}

// WithPrerelease returns v with the pre-release replaced by s, "rc.1" for
// instance; "" makes it a release. The build metadata stays. The errors are
// those of [Parse], the offset counted in the resulting version.
func (v Version) WithPrerelease(s string) (Version, error) {
	text := v.Core().String() + sign("-", s)
	if i := strings.IndexByte(s, '+'); i >= 0 { // it would begin a build
		return Version{}, parseError("version", text, len(text)-len(s)+i, ErrSyntax)
	}
	return Parse(text + sign("+", v.Build()))
}

// WithBuild returns v with the build metadata replaced by s; "" removes it.
// The errors are those of [Parse], the offset counted in the resulting
// version.
func (v Version) WithBuild(s string) (Version, error) {
	return Parse(v.WithoutBuild().String() + sign("+", s))
}

// sign puts mark before s, unless s is empty.
func sign(mark, s string) string {
	if s == "" {
		return ""
	}
	return mark + s
}

// String returns the version's text: 1.2.3-rc.1+b7.
func (v Version) String() string {
	if v.core != 0 {
		return v.ext
	}
	var buf [64 + MaxLength]byte
	return string(v.append(buf[:0]))
}

// append appends the version's text to b.
func (v Version) append(b []byte) []byte {
	if v.core == 0 {
		b = strconv.AppendUint(b, v.major, 10)
		b = append(b, '.')
		b = strconv.AppendUint(b, v.minor, 10)
		b = append(b, '.')
		b = strconv.AppendUint(b, v.patch, 10)
	}
	return append(b, v.ext...)
}

// tagged returns v's numbers followed by pre, which is "" or starts with "-".
func (v Version) tagged(pre string) Version {
	v = v.Core()
	v.ext, v.pre = v.ext+pre, uint16(len(pre))
	return v
}

// floor returns the lowest version with v's numbers.
func (v Version) floor() Version { return v.tagged("-0") }

// next returns the version directly after v in precedence: nothing lies
// between X.Y.Z and X.Y.(Z+1)-0, nor between X.Y.Z-p and X.Y.Z-p.0.
func (v Version) next() Version {
	if v.pre != 0 {
		return v.tagged(v.ext[v.core:v.core+v.pre] + ".0")
	}
	return v.step(Patch).floor()
}

// decimals returns the three numbers in decimal.
func (v Version) decimals() [3]string {
	s := v.ext[:v.core]
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
	var v Version
	_, _, _ = scan(n[0]+"."+n[1]+"."+n[2], Strict, &v)
	return v
}

// increment adds one to a decimal number of any length.
func increment(s string) string {
	b := []byte(s)
	for i := len(b) - 1; i >= 0; i-- {
		if b[i] != '9' {
			b[i]++
			return string(b)
		}
		b[i] = '0'
	}
	return "1" + string(b)
}

// decrement takes one from a decimal number of any length, at least 1.
func decrement(s string) string {
	b := []byte(s)
	i := len(b) - 1
	for ; b[i] == '0'; i-- {
		b[i] = '9'
	}
	b[i]--
	if b[0] == '0' && len(b) > 1 {
		b = b[1:]
	}
	return string(b)
}
