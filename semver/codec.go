package semver

import (
	"bytes"
	"cmp"
	"database/sql/driver"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"unsafe"
)

var (
	_ slog.LogValuer = Version{}
	_ driver.Valuer  = Version{}
)

// AppendText appends the version's text to b. The error is always nil.
func (v Version) AppendText(b []byte) ([]byte, error) { return v.append(b), nil }

// MarshalText returns the version's text; it serves encoding/json and YAML.
// The error is always nil.
func (v Version) MarshalText() ([]byte, error) { return v.append(nil), nil }

// UnmarshalText parses a strict version; it serves encoding/json, YAML and
// flag.TextVar. It copies what it keeps of text, the pre-release and build.
// The errors are those of [Parse]; a JSON null leaves v as it is.
func (v *Version) UnmarshalText(text []byte) error {
	var w Version
	s := unsafe.String(unsafe.SliceData(text), len(text)) // Clone ends its use
	if _, at, err := scan(s, Strict, &w); err != nil {
		return parseError("version", string(text[:min(len(text), MaxLength)]), at, err)
	}
	*v = w.Clone()
	return nil
}

// Value implements driver.Valuer; the value is the version's text. For a
// column that sorts, store the binary key instead.
func (v Version) Value() (driver.Value, error) { return v.String(), nil }

// Scan implements sql.Scanner for text. The errors are those of [Parse]; a
// NULL is an error of class ErrUnsupported, use sql.Null[Version] for
// columns that have it.
func (v *Version) Scan(src any) error {
	switch src := src.(type) {
	case string:
		return v.UnmarshalText([]byte(src))
	case []byte:
		return v.UnmarshalText(src)
	}
	return parseError("version", fmt.Sprintf("%T", src), 0, ErrUnsupported)
}

// LogValue implements slog.LogValuer.
func (v Version) LogValue() slog.Value { return slog.StringValue(v.String()) }

// The bytes of a binary key that are not part of a number or a text.
const (
	keyNone    = 0x00 // no build; also ends a text
	keyEnd     = 0x01 // ends a list of identifiers
	keyNumber  = 0x02 // a numeric identifier follows: length, digits
	keyText    = 0x03 // another identifier follows, ended by keyNone
	keyRelease = 0xFF // no pre-release, above any
)

// AppendBinary appends the version's key to b: bytes that order as
// [Version.CompareTotal] orders versions, no key a prefix of another, and from
// which UnmarshalBinary restores the version. So any store that keeps its
// keys sorted sorts versions and finds a [Range] by its Intervals. The error
// is always nil.
//
// Each number is its length in digits, one byte, and its digits. After three
// of them comes 0xFF for a release, or for each pre-release identifier
// 0x02 and a number or 0x03, the text and 0x00; then 0x01. Then comes 0x00 for
// no build, or the build identifiers in the same way, except that a number
// goes without leading zeros and is followed by their count.
func (v Version) AppendBinary(b []byte) ([]byte, error) {
	if v.core == 0 {
		var buf [20]byte // the digits of MaxUint64
		for _, n := range [...]uint64{v.major, v.minor, v.patch} {
			digits := strconv.AppendUint(buf[:0], n, 10)
			b = append(append(b, byte(len(digits))), digits...)
		}
	} else {
		for _, n := range v.decimals() {
			b = appendNumber(b, n)
		}
	}
	if v.pre == 0 {
		b = append(b, keyRelease)
	} else {
		b = appendIdentifiers(b, v.Prerelease(), false)
	}
	if v.Build() == "" {
		return append(b, keyNone), nil
	}
	return appendIdentifiers(b, v.Build(), true), nil
}

// appendNumber appends a length and digits, fewer than 256 by MaxLength.
func appendNumber(b []byte, digits string) []byte {
	return append(append(b, byte(len(digits))), digits...)
}

// appendIdentifiers appends a list of identifiers. If zeros, its numbers may
// have leading zeros, which are written as a count.
func appendIdentifiers(b []byte, list string, zeros bool) []byte {
	for more := true; more; {
		var id string
		id, list, more = strings.Cut(list, ".")
		if !numeric(id) {
			b = append(append(append(b, keyText), id...), keyNone)
			continue
		}
		digits := id
		if zeros {
			digits = trimZeros(id)
		}
		b = appendNumber(append(b, keyNumber), digits)
		if zeros {
			b = append(b, byte(len(id)-len(digits)))
		}
	}
	return append(b, keyEnd)
}

// MarshalBinary returns the version's key, see AppendBinary.
func (v Version) MarshalBinary() ([]byte, error) { return v.AppendBinary(nil) }

// UnmarshalBinary restores a version from its key. The error is a
// [*ParseError] for all bytes that AppendBinary does not write.
func (v *Version) UnmarshalBinary(key []byte) error {
	if len(key) > 4*MaxLength {
		return parseError("key", "", len(key), ErrTooLong)
	}
	// What the reader makes of a malformed key does not matter: it is then no
	// version, or one with another key.
	r := keyReader{rest: key, text: make([]byte, 0, len(key))}
	for _, mark := range []string{"", ".", "."} {
		r.number(mark, false)
	}
	if !r.skip(keyRelease) {
		r.identifiers("-", false)
	}
	if !r.skip(keyNone) {
		r.identifiers("+", true)
	}
	w, err := Parse(string(r.text))
	if again, _ := w.AppendBinary(make([]byte, 0, len(key))); err != nil || !bytes.Equal(again, key) {
		return parseError("key", string(key), len(key)-len(r.rest), ErrSyntax)
	}
	*v = w
	return nil
}

// keyReader turns a key into the text of its version.
type keyReader struct {
	rest []byte
	text []byte
}

// skip skips c if it is next.
func (r *keyReader) skip(c byte) bool {
	ok := len(r.rest) > 0 && r.rest[0] == c
	if ok {
		r.rest = r.rest[1:]
	}
	return ok
}

// take returns the next n bytes, or fewer at the end.
func (r *keyReader) take(n int) []byte {
	b := r.rest[:min(n, len(r.rest))]
	r.rest = r.rest[len(b):]
	return b
}

// length reads a length of one byte, 0 at the end.
func (r *keyReader) length() (n int) {
	for _, b := range r.take(1) {
		n = int(b)
	}
	return n
}

// number reads a number, and how many zeros go before it, and writes it after
// mark.
func (r *keyReader) number(mark string, zeros bool) {
	digits := r.take(r.length())
	r.text = append(r.text, mark...)
	if zeros {
		r.text = append(r.text, strings.Repeat("0", r.length())...)
	}
	r.text = append(r.text, digits...)
}

// identifiers reads a list of identifiers and writes it after mark.
func (r *keyReader) identifiers(mark string, zeros bool) {
	for ; len(r.rest) > 0 && !r.skip(keyEnd); mark = "." {
		if r.skip(keyNumber) {
			r.number(mark, zeros)
			continue
		}
		r.take(len("\x03"))
		r.text = append(append(r.text, mark...), r.take(max(bytes.IndexByte(r.rest, keyNone), 0))...)
		r.take(len("\x00"))
	}
}

// String returns the text that r was parsed from, or else its canonical text.
// Mind that a parsed text says what it does only in its dialect.
func (r Range) String() string {
	if r.text != "" {
		return r.text
	}
	return r.Canonical()
}

// preMark separates the halves of a canonical text.
const preMark = " ; pre "

// Canonical returns a text that is the same for equal ranges. It is in npm's
// language if that can say it, else it is two of npm's texts in plain order,
// the first of releases, the second of pre-releases:
//
//	>=1.0.0 <1.4.2 ; pre >=1.0.1-0 <1.4.2
func (r Range) Canonical() string {
	const none = "<0.0.0-0"
	rel, pre := r.expression(false), r.expression(true)
	npm := cmp.Or(strings.Trim(rel+" || "+pre, " |"), none)
	if s, err := NPM.ParseRange(npm); err == nil && s.Equal(r) {
		return npm
	}
	return cmp.Or(rel, none) + preMark + cmp.Or(pre, none)
}

// expression writes the cuts of one kind as comparators.
func (r Range) expression(pre bool) string {
	cuts := r.kind(pre)
	var b []byte
	for i := 0; i < len(cuts); i += 2 {
		if i > 0 {
			b = append(b, " || "...)
		}
		lo := cuts[i]
		if i+1 < len(cuts) && lo.next().lift(pre) == cuts[i+1] {
			b = lo.append(b)
			continue
		}
		b = lo.append(append(b, ">="...))
		if i+1 < len(cuts) {
			b = cuts[i+1].bound().append(append(b, " <"...))
		}
	}
	return string(b)
}

// bound returns X.Y.Z for X.Y.(Z+1)-0, its direct successor, which as an
// upper bound for pre-releases says the same more plainly, else v.
func (v Version) bound() Version {
	if v.Prerelease() != "0" || v.patch == 0 {
		return v
	}
	n := v.decimals()
	n[2] = decrement(n[2])
	return fromDecimals(n)
}

// MarshalText returns the canonical text; it serves encoding/json. The error
// is always nil.
func (r Range) MarshalText() ([]byte, error) { return []byte(r.Canonical()), nil }

// UnmarshalText parses a canonical text or any of npm's but the empty one: a
// setting that is missing must not mean every release. The errors are those
// of [ParseRange]; texts over MaxRangeLength are refused, which the canonical
// text of a set with thousands of intervals may be.
func (r *Range) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		return parseError("range", "", 0, ErrSyntax)
	}
	s, err := parseCanonical(string(text))
	if err == nil {
		*r = s
	}
	return err
}

func parseCanonical(text string) (Range, error) {
	left, right, two := strings.Cut(text, preMark)
	if !two || len(text) > MaxRangeLength {
		return ParseRange(text)
	}
	order := Helm.With(PreAll) // reads what Canonical writes as NPM does, and refuses an empty half
	rel, err := order.ParseRange(left)
	if err != nil {
		return Range{}, err
	}
	pre, err := order.ParseRange(right)
	if err != nil {
		return Range{}, err
	}
	r := rel.Intersect(Releases()).Union(pre.Difference(Releases()))
	r.text = text
	return r, nil
}
