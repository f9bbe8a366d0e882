package semver

import (
	"database/sql/driver"
	"fmt"
	"iter"
	"log/slog"
	"math"
	"strconv"
	"strings"
	"unsafe"
)

// A Version is a semantic version, https://semver.org/spec/v2.0.0.html. It is
// an immutable value of 48 bytes; the zero value is 0.0.0. Two versions are ==
// if and only if their texts are equal, build metadata included, so a Version
// is a map key. [Version.Compare] compares precedence instead.
type Version struct {
	// A number of MaxUint64 or more is stored as MaxUint64. The digits are
	// then in ext.
	major, minor, patch uint64

	// ext is the part of the text that the numbers do not determine:
	// "MAJOR.MINOR.PATCH" if a number is stored as MaxUint64, then "-PRE",
	// then "+BUILD". Numbers and ext determine each other, which makes ==
	// correct.
	ext  string
	core uint16 // length of "MAJOR.MINOR.PATCH" in ext, otherwise 0
	pre  uint16 // length of "-PRE" in ext, otherwise 0
}

var (
	_ slog.LogValuer = Version{}
	_ driver.Valuer  = Version{}
)

// origin is the lowest version.
var origin = Version{ext: "-0", pre: 2}

const (
	// maxStored is the limit of a version in stored data, in bytes. It is above
	// MaxLength because a version that is computed from another version, for
	// instance its successor, may be longer.
	maxStored = 4 * MaxLength

	// maxDerived bounds the text of a computed version. It is so far above
	// maxStored that only a program which derives versions in a loop meets it,
	// whatever text it reads.
	maxDerived = 16 * maxStored
)

// New returns the release major.minor.patch.
func New(major, minor, patch uint64) Version {
	v := Version{major: major, minor: minor, patch: patch}
	if max(major, minor, patch) == math.MaxUint64 {
		return fromDecimals(v.decimals())
	}
	return v
}

// Major returns the first number. A number above math.MaxUint64 is returned
// as math.MaxUint64.
func (v Version) Major() uint64 { return v.major }

// Minor returns the second number. A number above math.MaxUint64 is returned
// as math.MaxUint64.
func (v Version) Minor() uint64 { return v.minor }

// Patch returns the third number. A number above math.MaxUint64 is returned
// as math.MaxUint64.
func (v Version) Patch() uint64 { return v.patch }

// Prerelease returns the text between "-" and "+": "rc.1" for 1.2.3-rc.1+b7,
// and "" for a release.
func (v Version) Prerelease() string {
	if v.pre == 0 {
		return ""
	}
	return v.ext[v.core+1 : v.core+v.pre]
}

// Build returns the text after "+": "b7" for 1.2.3-rc.1+b7.
func (v Version) Build() string {
	if n := int(v.core) + int(v.pre); n < len(v.ext) {
		return v.ext[n+1:]
	}
	return ""
}

// Identifiers returns the dot-separated identifiers of the pre-release.
func (v Version) Identifiers() iter.Seq[string] {
	if v.pre == 0 {
		return func(func(string) bool) {}
	}
	return strings.SplitSeq(v.Prerelease(), ".")
}

// IsPrerelease reports whether v has a pre-release part.
func (v Version) IsPrerelease() bool { return v.pre != 0 }

// IsZero reports whether v is 0.0.0, the zero value. The omitzero option of
// encoding/json calls it.
func (v Version) IsZero() bool { return v == Version{} }

// Core returns v without pre-release and build metadata: 1.2.3 for
// 1.2.3-rc.1+b7.
func (v Version) Core() Version {
	v.ext, v.pre = head(v.ext, v.core), 0
	return v
}

// WithoutBuild returns v without its build metadata.
func (v Version) WithoutBuild() Version {
	v.ext = head(v.ext, v.core+v.pre)
	return v
}

// head returns s[:n]. If n == 0 it returns a string that does not point into
// s, because an empty substring would keep the whole text in memory.
func head(s string, n uint16) string {
	if n == 0 {
		return ""
	}
	return s[:n]
}

// Clone returns v with its text copied. A version with a pre-release or build
// metadata refers to the text that it was parsed from and keeps that text in
// memory. Clone a version from a large document before you store it.
func (v Version) Clone() Version {
	v.ext = strings.Clone(v.ext)
	return v
}

// WithPrerelease returns v with the pre-release s, for instance "rc.1", and
// the same build metadata. If s is "", the result is a release.
//
// Errors: the same as [Parse], with the offset counted in the resulting text.
func (v Version) WithPrerelease(s string) (Version, error) {
	text := v.Core().String() + prefixed("-", s)
	if i := strings.IndexByte(s, '+'); i >= 0 { // would begin build metadata
		return Version{}, parseError("version", text, len(text)-len(s)+i, ErrSyntax)
	}
	return Parse(text + prefixed("+", v.Build()))
}

// WithBuild returns v with the build metadata s. If s is "", the result has
// no build metadata.
//
// Errors: the same as [Parse], with the offset counted in the resulting text.
func (v Version) WithBuild(s string) (Version, error) {
	return Parse(v.WithoutBuild().String() + prefixed("+", s))
}

// prefixed returns mark and s, or "" if s is empty.
func prefixed(mark, s string) string {
	if s == "" {
		return ""
	}
	return mark + s
}

// Next returns the lowest version above v without build metadata: 1.2.4-0 for
// 1.2.3, and 1.2.3-rc.0 for 1.2.3-rc. No version lies between v and Next.
func (v Version) Next() Version {
	if v.pre != 0 {
		return v.withTag(v.ext[v.core:v.core+v.pre] + ".0")
	}
	return v.step(Patch).floor()
}

// floor returns the lowest version with the numbers of v.
func (v Version) floor() Version {
	if v.core == 0 {
		v.ext, v.pre = origin.ext, origin.pre
		return v
	}
	return v.withTag(origin.ext)
}

// withTag returns the numbers of v followed by tag, which is "" or begins
// with "-". It panics if that is longer than maxDerived.
func (v Version) withTag(tag string) Version {
	v = v.Core()
	if tag != "" {
		v.ext, v.pre = v.ext+tag, uint16(len(tag))
	}
	if len(v.ext) > maxDerived {
		panic(errDerived)
	}
	return v
}

// String returns the text of v, for instance 1.2.3-rc.1+b7.
func (v Version) String() string {
	if v.core != 0 {
		return v.ext
	}
	var buf [64 + MaxLength]byte
	return string(v.append(buf[:0]))
}

// append appends the text of v to b.
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

// AppendText appends the text of v to b. The error is always nil.
func (v Version) AppendText(b []byte) ([]byte, error) { return v.append(b), nil }

// MarshalText returns the text of v for encoding/json and YAML. The error is
// always nil.
func (v Version) MarshalText() ([]byte, error) { return v.append(nil), nil }

// UnmarshalText parses a strict version for encoding/json, YAML and
// flag.TextVar. It copies the pre-release and the build metadata out of text.
// It accepts up to 1024 bytes, so that it reads derived versions such as
// [Version.Next]. A JSON null leaves v unchanged.
//
// Errors: the same as [Parse].
func (v *Version) UnmarshalText(text []byte) error {
	var w Version
	s := unsafe.String(unsafe.SliceData(text), len(text)) // until Clone
	if _, at, err := scan(s, Strict, maxStored, &w); err != nil {
		return parseError("version", string(text[:min(len(text), MaxLength)]), at, err)
	}
	*v = w.Clone()
	return nil
}

// Value implements driver.Valuer. It returns the text of v. For a column that
// sorts by version, store the key of [Version.AppendBinary] instead.
func (v Version) Value() (driver.Value, error) { return v.String(), nil }

// Scan implements sql.Scanner for text. For a column with NULLs, use
// sql.Null[Version].
//
// Errors: the same as [Parse], and ErrUnsupported if src is NULL or not text.
func (v *Version) Scan(src any) error {
	text, err := columnText(src)
	if err != nil {
		return err
	}
	return v.UnmarshalText(text)
}

// columnText returns the text of a database column.
func columnText(src any) ([]byte, error) {
	switch src := src.(type) {
	case string:
		return []byte(src), nil
	case []byte:
		return src, nil
	case nil:
		return nil, fmt.Errorf("%w: cannot scan NULL", ErrUnsupported)
	}
	return nil, fmt.Errorf("%w: cannot scan a %T", ErrUnsupported, src)
}

// LogValue implements slog.LogValuer.
func (v Version) LogValue() slog.Value { return slog.StringValue(v.String()) }
