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

func cut(key []byte) []byte { return key[:min(len(key), maxKey)] }

// The binary form is the letter of the kind, the version 1, and unsigned varints,
// byte strings with their length before them.
const version = 1

// A decoder reads the binary form. bad is set when there is less than was asked
// for.
type decoder struct {
	b   []byte
	bad bool
}

func newDecoder(b []byte, kind byte) *decoder {
	d := &decoder{b: b}
	d.bad = len(b) < 2 || b[0] != kind || b[1] != version
	if !d.bad {
		d.b = b[2:]
	}
	return d
}

func (d *decoder) uint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 || d.bad {
		d.bad = true
		return 0
	}
	d.b = d.b[n:]
	return v
}

// count reads how many items follow, each of which takes a byte at least.
func (d *decoder) count(most int) int {
	n := d.uint()
	if n > uint64(len(d.b)) || n > uint64(most) {
		d.bad = true
		return 0
	}
	return int(n)
}

func (d *decoder) key() string {
	n := d.count(maxKey)
	s := string(d.b[:n])
	d.b = d.b[n:]
	return s
}

func (d *decoder) err() error {
	if d.bad || len(d.b) > 0 {
		return ErrFormat
	}
	return nil
}

func appendKey(b []byte, key string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(key))), key...)
}

// add is a+b, at most what fits.
func add(a, b uint64) uint64 {
	sum, carry := bits.Add64(a, b, 0)
	if carry != 0 {
		return 1<<64 - 1
	}
	return sum
}
