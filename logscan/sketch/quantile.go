package sketch

import (
	"encoding/binary"
	"math"
)

const (
	accuracy = 0.01
	gamma    = (1 + accuracy) / (1 - accuracy) // ratio of the bounds of a bin
	maxBins  = 2048
	maxIndex = 1 << 16 // beyond that of any float64
)

// A Quantile tells which value a given part of the values does not exceed, to
// 1 % of the value. It spans 17 powers of ten; where the values span more, the
// lowest are lumped together.
type Quantile struct {
	zero  uint64   // values too small for a bin, and negative ones
	bins  []uint64 // bins[i] counts values in (gamma^(low+i-1), gamma^(low+i)]
	low   int
	count uint64
}

// NewQuantile returns an empty Quantile.
func NewQuantile() *Quantile { return new(Quantile) }

// logGamma turns the logarithm of a value into the index of its bin.
var logGamma = math.Log(gamma)

// Add adds a value, such as a duration or a size. Negative values count as 0,
// NaN not at all, and infinity as the largest number.
func (q *Quantile) Add(v float64) {
	switch {
	case v != v:
		return
	case v < 1e-300:
		q.zero++
	default:
		*q.bin(int(math.Ceil(math.Log(min(v, math.MaxFloat64)) / logGamma)))++
	}
	q.count++
}

// bin returns the bin with the given index, or the lowest that is held. The bins
// are those from the lowest index to the highest; when they are more than maxBins,
// the lowest become one. So the high quantiles, for which one looks, stay exact to
// 1 %, and what is lumped together depends on the highest index only, not on the
// order in which values come.
func (q *Quantile) bin(i int) *uint64 {
	if len(q.bins) == 0 {
		q.low, q.bins = i, make([]uint64, 1, 64)
	}
	for high := q.low + len(q.bins); high <= i; high++ {
		q.bins = append(q.bins, 0)
	}
	if over := len(q.bins) - maxBins; over > 0 {
		for _, n := range q.bins[:over] {
			q.bins[over] += n
		}
		q.bins = append([]uint64(nil), q.bins[over:]...)
		q.low += over
	}
	if i < q.low {
		room := min(q.low-i, maxBins-len(q.bins))
		q.bins = append(make([]uint64, room, room+len(q.bins)), q.bins...)
		q.low -= room
	}
	return &q.bins[max(i-q.low, 0)]
}

// Count returns how many values were added.
func (q *Quantile) Count() uint64 { return q.count }

// Value returns the value that a part p of the values, from 0 to 1, does not
// exceed; 0 when there are none.
func (q *Quantile) Value(p float64) float64 {
	if q.count == 0 {
		return 0
	}
	rank := uint64(min(max(p, 0), 1) * float64(q.count-1)) // of the value, from 0
	seen := q.zero
	if rank < seen {
		return 0
	}
	i := 0
	for ; i < len(q.bins)-1; i++ {
		if seen += q.bins[i]; rank < seen {
			break
		}
	}
	// The middle of a bin, in ratio, is at most 1 % from either bound.
	return min(math.Exp(float64(q.low+i)*logGamma)*2/(gamma+1), math.MaxFloat64)
}

// Merge adds the values of o; o stays as it is. The error is always nil.
func (q *Quantile) Merge(o *Quantile) error {
	for i := len(o.bins) - 1; i >= 0; i-- {
		if n := o.bins[i]; n > 0 {
			b := q.bin(o.low + i)
			*b = add(*b, n)
		}
	}
	q.zero = add(q.zero, o.zero)
	q.count = add(q.count, o.count)
	return nil
}

// AppendBinary appends the binary form. The error is always nil.
func (q *Quantile) AppendBinary(b []byte) ([]byte, error) {
	b = binary.AppendUvarint(append(b, 'Q', version), q.zero)
	b = binary.AppendUvarint(b, uint64(q.low+maxIndex))
	b = binary.AppendUvarint(b, uint64(len(q.bins)))
	for _, n := range q.bins {
		b = binary.AppendUvarint(b, n)
	}
	return b, nil
}

// MarshalBinary returns the binary form. The error is always nil.
func (q *Quantile) MarshalBinary() ([]byte, error) { return q.AppendBinary(nil) }

// UnmarshalBinary replaces q by what b describes. The error is ErrFormat.
func (q *Quantile) UnmarshalBinary(b []byte) error {
	d := newDecoder(b, 'Q')
	n := Quantile{zero: d.uint(), low: int(min(d.uint(), 2*maxIndex)) - maxIndex}
	n.count = n.zero
	for range d.count(maxBins) {
		c := d.uint()
		if n.count+c < c {
			return ErrFormat
		}
		n.bins = append(n.bins, c)
		n.count += c
	}
	if n.low < -maxIndex || n.low > maxIndex {
		return ErrFormat
	}
	if err := d.err(); err != nil {
		return err
	}
	*q = n
	return nil
}
