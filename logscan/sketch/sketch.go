package sketch

import (
	"encoding/binary"
	"errors"
	"math/bits"
)

// Classes of errors, matched with errors.Is.
var (
	// ErrMismatch is returned by Merge for a sketch made with other values.
	ErrMismatch = errors.New("sketch: sketches were made with different values")

	// ErrFormat is returned by UnmarshalBinary for what is no sketch of its kind.
	ErrFormat = errors.New("sketch: not a sketch of this kind and version")
)

const maxKey = 256 // bytes of a key that count

// cut bounds a key, which may be what a stranger has written. Keys that differ
// only behind that are one.
func cut(key []byte) []byte { return key[:min(len(key), maxKey)] }

// version is the second byte of every binary form, which the package comment
// describes.
const version = 1

// A decoder reads the binary form. bad is set when there is less than was asked
// for, or something else, and stays set; what is read then is 0. So callers need
// not ask after every number, only before they believe what they have read.
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

// count reads how many items follow, each of which takes a byte at least: what is
// allocated for them is in proportion to the input, whatever it says.
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

// err returns ErrFormat unless all was read, to the end of the input.
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

// add is a+b, at most what fits: counts can come from strangers' forms, and a
// count that wraps would make the most frequent key the least.
func add(a, b uint64) uint64 {
	sum, carry := bits.Add64(a, b, 0)
	if carry != 0 {
		return 1<<64 - 1
	}
	return sum
}
