package sketch

import (
	"encoding/binary"
	"math"
	"math/bits"
	"slices"
)

const (
	precision = 14
	registers = 1 << precision
	ranks     = 64 - precision + 1 // the highest value of a register

	finePrecision = 25 // while there are few keys
	fineRegisters = 1 << finePrecision
	fineRanks     = 64 - finePrecision + 1
	fineBits      = finePrecision - precision
	rankBits      = 6 // bits of a fine rank
)

// A Distinct estimates the number of different keys. It is a HyperLogLog
// sketch. Up to 1536 keys it holds 25 bits of the hash of each key, with an
// error of about 1 in 10000. Beyond that it has 16384 registers of a byte, with
// a standard error of 0.8 %.
type Distinct struct {
	key    uint64
	sparse []uint32 // hash table of fine registers, a power of two long; 0 is empty
	held   int      // fine registers in sparse
	dense  *[registers]uint8
}

const (
	minSparse = 8
	maxSparse = 2048
)

// NewDistinct returns a Distinct whose hash depends on key. If clients choose
// the keys that are added, key must be secret; otherwise 0 will do. Only
// sketches with the same key can be merged.
func NewDistinct(key uint64) *Distinct { return &Distinct{key: key} }

// Add adds a key.
func (d *Distinct) Add(key []byte) { d.add(hash(d.key, key)) }

func (d *Distinct) add(h uint64) {
	if d.dense == nil {
		rank := uint32(bits.LeadingZeros64(h<<finePrecision|1<<(finePrecision-1))) + 1
		d.hold(uint32(h>>(64-finePrecision))<<rankBits | rank)
		return
	}
	d.raise(uint32(h>>(64-precision)), uint8(bits.LeadingZeros64(h<<precision|1<<(precision-1)))+1)
}

// raise makes the value of register i at least rank.
func (d *Distinct) raise(i uint32, rank uint8) {
	if r := &d.dense[i]; rank > *r {
		*r = rank
	}
}

// hold adds a fine register: its number and its rank.
func (d *Distinct) hold(fine uint32) {
	mask := uint32(len(d.sparse) - 1)
	for at := fine >> rankBits & mask; len(d.sparse) > 0; at = (at + 1) & mask {
		v := &d.sparse[at]
		if *v>>rankBits == fine>>rankBits && *v != 0 {
			*v = max(*v, fine)
			return
		}
		if *v == 0 && 4*d.held < 3*len(d.sparse) {
			*v = fine
			d.held++
			return
		}
		if *v == 0 {
			break
		}
	}
	if d.grow(); d.dense != nil {
		d.fold(fine)
	} else {
		d.hold(fine)
	}
}

// fold adds a fine register to its register, as if the hash had been added to
// that register. The rank of the register counts the zeros of the fine number
// behind its first 14 bits. If these bits are all zero, the fine rank continues
// the count.
func (d *Distinct) fold(fine uint32) {
	number, rank := fine>>rankBits, uint8(fine&(1<<rankBits-1))
	rest := number & (1<<fineBits - 1)
	if rest != 0 {
		rank = uint8(fineBits-bits.Len32(rest)) + 1
	} else {
		rank += fineBits
	}
	d.raise(number>>fineBits, rank)
}

// grow makes room for another fine register, or makes d dense.
func (d *Distinct) grow() {
	old := d.sparse
	if len(old) == maxSparse {
		d.spread()
		return
	}
	d.sparse, d.held = make([]uint32, max(minSparse, 2*len(old))), 0
	for _, v := range old {
		if v != 0 {
			d.hold(v)
		}
	}
}

// spread makes d dense. A sketch is dense if and only if more than 1536 fine
// registers were ever added to it or to the sketches merged into it. The form
// of a union therefore does not depend on the order of the merges.
func (d *Distinct) spread() {
	old := d.sparse
	d.sparse, d.held, d.dense = nil, 0, new([registers]uint8)
	for _, v := range old {
		if v != 0 {
			d.fold(v)
		}
	}
}

// Estimate returns the approximate number of different keys.
func (d *Distinct) Estimate() uint64 {
	if d.dense == nil {
		// Linear counting (Whang et al. 1990): the share 1-exp(-keys/registers)
		// of the registers is held.
		return uint64(math.Round(fineRegisters * -math.Log1p(-float64(d.held)/fineRegisters)))
	}
	var n [ranks + 1]float64 // number of registers with each value
	for _, r := range d.dense {
		n[r]++
	}
	z := registers * tau(1-n[ranks]/registers)
	for k := ranks - 1; k >= 1; k-- {
		z = (z + n[k]) / 2
	}
	z += registers * sigma(n[0]/registers)
	return uint64(math.Round(registers * registers / (2 * math.Ln2 * z)))
}

// sigma is x + Σ x^(2^k) 2^(k-1), the correction for few keys. x is the part of
// the registers that are zero (Ertl 2017, algorithm 6).
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

// tau is the correction for very many keys. x is the part of the registers that
// are not full (Ertl 2017).
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

// Merge adds the keys of o, which does not change.
//
// Errors: [ErrMismatch] if the sketches have different hash keys.
func (d *Distinct) Merge(o *Distinct) error {
	if d.key != o.key {
		return ErrMismatch
	}
	for _, v := range o.sparse {
		switch {
		case v != 0 && d.dense != nil:
			d.fold(v)
		case v != 0:
			d.hold(v)
		}
	}
	if o.dense == nil {
		return nil
	}
	if d.dense == nil {
		d.spread()
	}
	for i, r := range o.dense {
		d.raise(uint32(i), r)
	}
	return nil
}

// AppendBinary appends the binary form. It contains the key only as a hash. The
// error is always nil.
func (d *Distinct) AppendBinary(b []byte) ([]byte, error) {
	b = binary.AppendUvarint(append(b, 'D', version), d.check())
	if d.dense == nil {
		fine := slices.DeleteFunc(slices.Clone(d.sparse), func(v uint32) bool { return v == 0 })
		slices.Sort(fine)
		b = binary.AppendUvarint(b, uint64(d.held)+1)
		last := uint32(0)
		for _, v := range fine {
			b, last = binary.AppendUvarint(b, uint64(v-last)), v
		}
		return b, nil
	}
	b = append(b, 0)
	for i := 0; i < registers; i++ {
		b = append(b, d.dense[i])
		if d.dense[i] == 0 {
			first := i
			for i+1 < registers && d.dense[i+1] == 0 {
				i++
			}
			b = binary.AppendUvarint(b, uint64(i-first))
		}
	}
	return b, nil
}

// check returns a hash of the key, which compares keys and does not reveal
// them.
func (d *Distinct) check() uint64 { return hash(d.key, []byte("redoubt sketch key")) }

// MarshalBinary returns the binary form. The error is always nil.
func (d *Distinct) MarshalBinary() ([]byte, error) { return d.AppendBinary(nil) }

// UnmarshalBinary replaces the keys of d by the keys of the sketch with the
// binary form b.
//
// Errors: [ErrMismatch] if d has another hash key, and [ErrFormat]; d does not
// change.
func (d *Distinct) UnmarshalBinary(b []byte) error {
	in := newDecoder(b, 'D')
	check, fine := in.uint(), in.uint()
	n := Distinct{key: d.key}
	if fine > 0 {
		n.readSparse(in, fine-1)
	} else {
		n.readDense(in)
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

// readSparse reads the fine registers. There are not enough of them for a dense
// sketch.
func (d *Distinct) readSparse(in *decoder, fine uint64) {
	if fine > maxSparse/4*3 {
		in.bad = true
	}
	last := uint64(0)
	for range fine {
		more, before := in.uint(), last>>rankBits
		last += more
		number, rank := last>>rankBits, last&(1<<rankBits-1)
		in.bad = in.bad || more > math.MaxUint32 || d.held > 0 && number == before
		if in.bad || number >= fineRegisters || rank == 0 || rank > fineRanks {
			in.bad = true
			return
		}
		d.hold(uint32(last))
	}
}

// readDense reads the registers.
func (d *Distinct) readDense(in *decoder) {
	d.dense = new([registers]uint8)
	i := uint64(0)
	for !in.bad && len(in.b) > 0 && i < registers && in.b[0] <= ranks {
		r := in.b[0]
		in.b = in.b[1:]
		d.dense[i] = r
		if i++; r == 0 {
			i += min(in.uint(), registers)
		}
	}
	in.bad = in.bad || i != registers
}

// hash is the same on every machine. It mixes sixteen bytes at a time with a
// 128-bit multiplication, as wyhash does.
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

// mix returns the upper half of a product over its lower half.
func mix(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}
