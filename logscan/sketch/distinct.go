package sketch

import (
	"encoding/binary"
	"math"
	"math/bits"
)

const (
	precision = 14
	registers = 1 << precision
	ranks     = 64 - precision + 1 // the highest value of a register
)

// A Distinct estimates how many different keys it was given.
type Distinct struct {
	key uint64
	reg [registers]uint8 // the most leading zeros seen, plus one
}

// NewDistinct returns a Distinct whose hash depends on key; 0 will do unless
// strangers choose what is added. Only sketches of one key can be merged.
func NewDistinct(key uint64) *Distinct { return &Distinct{key: key} }

// Add adds a key.
func (d *Distinct) Add(key []byte) {
	h := hash(d.key, key)
	r := &d.reg[h>>(64-precision)]
	if rank := uint8(bits.LeadingZeros64(h<<precision|1<<(precision-1))) + 1; rank > *r {
		*r = rank
	}
}

// Estimate returns about how many different keys were added.
func (d *Distinct) Estimate() uint64 {
	var n [ranks + 1]float64 // how many registers have each value
	for _, r := range d.reg {
		n[r]++
	}
	z := registers * tau(1-n[ranks]/registers)
	for k := ranks - 1; k >= 1; k-- {
		z = (z + n[k]) / 2
	}
	z += registers * sigma(n[0]/registers)
	return uint64(math.Round(registers * registers / (2 * math.Ln2 * z)))
}

// sigma is x + Σ x^(2^k) 2^(k-1), the correction for few keys.
func sigma(x float64) float64 {
	if x == 1 {
		return math.Inf(1)
	}
	z := x
	for y, last := 1.0, -1.0; z != last; y *= 2 {
		x *= x
		last = z
		z += x * y
	}
	return z
}

// tau is the correction for so many keys that hashes run out.
func tau(x float64) float64 {
	if x == 0 || x == 1 {
		return 0
	}
	z := 1 - x
	for y, last := 0.5, -1.0; z != last; y /= 2 {
		x = math.Sqrt(x)
		last = z
		z -= (1 - x) * (1 - x) * y
	}
	return z / 3
}

// Merge adds the keys of o; o stays as it is. The error is ErrMismatch.
func (d *Distinct) Merge(o *Distinct) error {
	if d.key != o.key {
		return ErrMismatch
	}
	for i, r := range o.reg {
		d.reg[i] = max(d.reg[i], r)
	}
	return nil
}

// AppendBinary appends the binary form: pairs of how many zeros come before a
// register, and the register. The key is in it only as a hash. The error is always
// nil.
func (d *Distinct) AppendBinary(b []byte) ([]byte, error) {
	b = binary.AppendUvarint(append(b, 'D', version), d.check())
	zeros := uint64(0)
	for _, r := range d.reg {
		if r == 0 {
			zeros++
			continue
		}
		b = append(binary.AppendUvarint(b, zeros), r)
		zeros = 0
	}
	return b, nil
}

// check tells keys apart without telling them.
func (d *Distinct) check() uint64 { return hash(d.key, []byte("redoubt sketch key")) }

// MarshalBinary returns the binary form. The error is always nil.
func (d *Distinct) MarshalBinary() ([]byte, error) { return d.AppendBinary(nil) }

// UnmarshalBinary replaces what d was given by what b describes. d must have been
// made with the key of b: else the error is ErrMismatch. It can be ErrFormat, too.
func (d *Distinct) UnmarshalBinary(b []byte) error {
	in := newDecoder(b, 'D')
	check := in.uint()
	n := Distinct{key: d.key}
	for at := uint64(0); !in.bad && len(in.b) > 0; at++ {
		if at += min(in.uint(), registers); at >= registers || len(in.b) == 0 || in.b[0] == 0 || in.b[0] > ranks {
			return ErrFormat
		}
		n.reg[at], in.b = in.b[0], in.b[1:]
	}
	if err := in.err(); err != nil {
		return err
	}
	if check != d.check() {
		return ErrMismatch
	}
	*d = n
	return nil
}

// hash is the same on every machine. It mixes sixteen bytes at a time with a
// multiplication of 128 bits, as wyhash does.
func hash(key uint64, b []byte) uint64 {
	const c1, c2, c3 = 0x9e3779b97f4a7c15, 0xbf58476d1ce4e5b9, 0x94d049bb133111eb
	h := mix(key^c1, uint64(len(b))^c2)
	for ; len(b) > 16; b = b[16:] {
		h = mix(binary.LittleEndian.Uint64(b)^c2, binary.LittleEndian.Uint64(b[8:])^h)
	}
	var last [16]byte
	copy(last[:], b)
	h = mix(binary.LittleEndian.Uint64(last[:])^c3, binary.LittleEndian.Uint64(last[8:])^h)
	return mix(h^c1, c3)
}

func mix(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}
