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
	rankBits      = 6 // of a fine rank
)

// A Distinct estimates how many different keys it was given. Up to 1536 it knows
// each by 25 bits of its hash, and is right but for one in ten thousand; beyond that it
// has 16384 registers of a byte.
type Distinct struct {
	key    uint64
	sparse []uint32 // a hash table of fine registers; 0 is none; a power of two long
	held   int      // in sparse
	dense  *[registers]uint8
}

const (
	minSparse = 8
	maxSparse = 2048
)

// NewDistinct returns a Distinct whose hash depends on key; 0 will do unless
// strangers choose what is added. Only sketches of one key can be merged.
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

// raise makes register i at least rank, the most leading zeros seen, plus one.
func (d *Distinct) raise(i uint32, rank uint8) {
	if r := &d.dense[i]; rank > *r {
		*r = rank
	}
}

// hold adds a fine register, its number and its rank.
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

// fold adds a fine register to the register it is a part of, as if the hash had
// been added to that: the zeros it counts begin in the rest of the fine number, after
// its first 14 bits, and go on in the fine rank only if that is all zeros.
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

// grow makes room for another fine register, or for all registers.
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

// spread makes d dense. It is dense if and only if more than 1536 fine registers
// were ever added, in whatever order and to whichever of the sketches that were
// merged: therefore the form of a union does not depend on how it came about.
func (d *Distinct) spread() {
	old := d.sparse
	d.sparse, d.held, d.dense = nil, 0, new([registers]uint8)
	for _, v := range old {
		if v != 0 {
			d.fold(v)
		}
	}
}

// Estimate returns about how many different keys were added.
func (d *Distinct) Estimate() uint64 {
	if d.dense == nil {
		// Linear counting (Whang et al. 1990): a part 1-exp(-keys/registers) is held.
		return uint64(math.Round(fineRegisters * -math.Log1p(-float64(d.held)/fineRegisters)))
	}
	var n [ranks + 1]float64 // how many registers have each value
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

// sigma is x + Σ x^(2^k) 2^(k-1), the correction for few keys, where x is the
// part of the registers that are zero (Ertl 2017, algorithm 6).
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

// tau is the correction for so many keys that hashes run out, where x is the part
// of the registers that are not full (the same).
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

// AppendBinary appends the binary form: how many fine registers there are, and
// how much each is more than the one before; or 0 and the registers, in which a
// zero is followed by how many more there are. The key is in it only as a hash.
// The error is always nil.
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

// check tells keys apart without telling them.
func (d *Distinct) check() uint64 { return hash(d.key, []byte("redoubt sketch key")) }

// MarshalBinary returns the binary form. The error is always nil.
func (d *Distinct) MarshalBinary() ([]byte, error) { return d.AppendBinary(nil) }

// UnmarshalBinary replaces what d was given by what b describes. d must have been
// made with the key of b: else the error is ErrMismatch. It can be ErrFormat, too.
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

// readSparse reads the fine registers, which are not so many that they would be
// dense.
func (d *Distinct) readSparse(in *decoder, fine uint64) {
	if fine > maxSparse/4*3 {
		in.bad = true
	}
	last := uint64(0)
	for range fine {
		more := in.uint()
		number := last >> rankBits
		last += more
		rank := last & (1<<rankBits - 1)
		if in.bad || more > math.MaxUint32 || last>>rankBits >= fineRegisters || rank == 0 || rank > fineRanks || d.held > 0 && last>>rankBits == number {
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

// mix is the upper half of a product over its lower half.
func mix(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}
