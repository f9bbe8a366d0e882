package sketch

import (
	"encoding/binary"
	"math"
)

const (
	accuracy = 0.01
	gamma    = (1 + accuracy) / (1 - accuracy) // ratio of the bounds of a bin
	maxBins  = 2048
	maxIndex = 1 << 16 // above the index of any float64
)

// A Quantile estimates quantiles of a number, such as a latency or a size, to 1
// % of the value. It is a DDSketch. It spans 17 powers of ten. If the values
// span more, the lowest values share a bin.
type Quantile struct {
	zero  uint64   // values too small for a bin, and negative values
	bins  []uint64 // bins[i] counts values in (gamma^(low+i-1), gamma^(low+i)]
	low   int
	count uint64
}

// NewQuantile returns an empty Quantile.
func NewQuantile() *Quantile { return new(Quantile) }

// logGamma turns the logarithm of a value into the index of its bin.
var logGamma = math.Log(gamma)

// Add adds a value. A negative value counts as 0 and infinity as the largest
// number. NaN is ignored.
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

// bin returns the bin with the given index, or the lowest bin held. If there
// are more than maxBins bins from the lowest index to the highest, the lowest
// bins become one. The high quantiles, which matter most, stay accurate to 1 %.
// The result depends on the highest index alone and not on the order of the
// values.
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

// Count returns the number of values added.
func (q *Quantile) Count() uint64 { return q.count }

// Value returns the value that a part p of the values, from 0 to 1, does not
// exceed. Without values, and for a NaN, it returns 0.
func (q *Quantile) Value(p float64) float64 {
	if q.count == 0 || math.IsNaN(p) {
		return 0
	}
	rank := uint64(min(max(p, 0), 1) * float64(q.count-1)) // rank of the value, from 0
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
	// The middle of a bin, as a ratio, is within 1 % of either bound.
	return min(math.Exp(float64(q.low+i)*logGamma)*2/(gamma+1), math.MaxFloat64)
}

// Merge adds the values of o, which does not change. The error is always nil;
// it makes all sketches merge in the same way.
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

// UnmarshalBinary replaces q by the Quantile with the binary form b.
//
// Errors: [ErrFormat]; q does not change.
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
