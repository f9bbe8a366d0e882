package semver

import (
	"bytes"
	"strconv"
	"strings"
)

// The bytes of a key that are not part of a number or a text.
const (
	keyNone    = 0x00 // no build metadata; also the end of a text
	keyEnd     = 0x01 // the end of a list of identifiers
	keyNumber  = 0x02 // a numeric identifier follows: length, digits
	keyText    = 0x03 // another identifier follows, up to keyNone
	keyRelease = 0xFF // no pre-release, above every pre-release
)

// AppendBinary appends the key of v to b: bytes that sort as
// [Version.CompareTotal] sorts versions. No key is a prefix of another key, and
// [Version.UnmarshalBinary] restores the version. A store that keeps its keys
// in order therefore sorts versions, and finds the members of a range by its
// [Range.Intervals]. The error is always nil. The format is described in
// docs/semver.md.
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

// appendNumber appends the length of digits, a single byte, and digits.
func appendNumber(b []byte, digits string) []byte {
	return append(append(b, byte(len(digits))), digits...)
}

// appendIdentifiers appends a list of identifiers. If zeros is set, numbers
// may have leading zeros, which are written as a count.
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

// MarshalBinary returns the key of v, see [Version.AppendBinary].
func (v Version) MarshalBinary() ([]byte, error) { return v.AppendBinary(nil) }

// UnmarshalBinary restores a version from its key.
//
// Errors: a [*ParseError] for bytes that AppendBinary does not write.
func (v *Version) UnmarshalBinary(key []byte) error {
	if len(key) > 4*maxStored {
		return parseError("key", "", len(key), ErrTooLong)
	}
	// The reader does not validate. It turns any bytes into a text, and the
	// key is valid if that text is a version with the same key.
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
	var w Version
	_, _, err := scan(string(r.text), Strict, maxStored, &w)
	if again, _ := w.AppendBinary(make([]byte, 0, len(key))); err != nil || !bytes.Equal(again, key) {
		return parseError("key", string(key), len(key)-len(r.rest), ErrSyntax)
	}
	*v = w
	return nil
}

// A keyReader turns a key into the text of its version.
type keyReader struct {
	rest []byte
	text []byte
}

// skip skips c if c is the next byte.
func (r *keyReader) skip(c byte) bool {
	ok := len(r.rest) > 0 && r.rest[0] == c
	if ok {
		r.rest = r.rest[1:]
	}
	return ok
}

// take returns the next n bytes, or fewer at the end of the key.
func (r *keyReader) take(n int) []byte {
	b := r.rest[:min(n, len(r.rest))]
	r.rest = r.rest[len(b):]
	return b
}

// length reads a length, a single byte, or returns 0 at the end of the key.
func (r *keyReader) length() (n int) {
	for _, b := range r.take(1) {
		n = int(b)
	}
	return n
}

// number reads a number, preceded by a count of zeros if zeros is set, and
// writes it after mark.
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
