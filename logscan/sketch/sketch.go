package sketch

import (
	"encoding/binary"
	"errors"
	"math/bits"
)

// Classes of errors, matched with errors.Is.
var (
	// ErrMismatch is returned by Merge if the sketches were made with different
	// values.
	ErrMismatch = errors.New("sketch: sketches were made with different values")

	// ErrFormat is returned by UnmarshalBinary for bytes that are not a sketch
	// of its kind and version.
	ErrFormat = errors.New("sketch: not a sketch of this kind and version")
)

const maxKey = 256 // bytes of a key that count

// cut bounds a key, which an attacker may have written. Keys with the same
// first bytes count as the same key.
func cut(key []byte) []byte { return key[:min(len(key), maxKey)] }

// version is the second byte of every binary form; see docs/logscan.md.
const version = 1

// A decoder reads a binary form. bad is set, and stays set, if there are fewer
// bytes than requested or other bytes than expected. All further numbers are
// then 0. Callers therefore check bad only before they use the numbers.
type decoder struct {
	b   []byte
	bad bool
}

// newDecoder reads the letter and the version.
func newDecoder(b []byte, kind byte) *decoder {
	d := &decoder{b: b}
	d.bad = len(b) < 2 || b[0] != kind || b[1] != version
	if !d.bad {
		d.b = b[2:]
	}
	return d
}

// uint reads a number.
func (d *decoder) uint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 || d.bad {
		d.bad = true
		return 0
	}
	d.b = d.b[n:]
	return v
}

// count reads the number of the items that follow. Each of them takes a byte or
// more, so memory for them is in proportion to the input.
func (d *decoder) count(most int) int {
	n := d.uint()
	if n > uint64(len(d.b)) || n > uint64(most) {
		d.bad = true
		return 0
	}
	return int(n)
}

// key reads a key.
func (d *decoder) key() string {
	n := d.count(maxKey)
	s := string(d.b[:n])
	d.b = d.b[n:]
	return s
}

// err returns ErrFormat unless the input was read to its end.
func (d *decoder) err() error {
	if d.bad || len(d.b) > 0 {
		return ErrFormat
	}
	return nil
}

// appendKey is the opposite of decoder.key.
func appendKey(b []byte, key string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(key))), key...)
}

// add returns a+b, or the largest number if the sum is too large. Counts can
// come from an attacker's form, and a count that wraps around would turn the
// most frequent key into the rarest.
func add(a, b uint64) uint64 {
	sum, carry := bits.Add64(a, b, 0)
	if carry != 0 {
		return 1<<64 - 1
	}
	return sum
}
