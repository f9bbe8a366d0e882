package sketch

import (
	"encoding/binary"
	"iter"
	"maps"
	"slices"
)

// Quantiles is a [Quantile] for each key, such as latencies by route. It holds
// the first keys that it sees, up to a number of keys. The values of all other
// keys share a Quantile.
type Quantiles struct {
	max   int
	m     map[string]*Quantile
	other *Quantile
}

// NewQuantiles returns a Quantiles with room for a number of keys, from 1 to
// 2147483647. A number outside this range counts as its nearest end.
func NewQuantiles(keys int) *Quantiles {
	return &Quantiles{min(max(keys, 1), 1<<31-1), map[string]*Quantile{}, NewQuantile()}
}

// Add adds a value of key.
func (q *Quantiles) Add(key []byte, v float64) { q.of(cut(key)).Add(v) }

// of returns the sketch for a key.
func (q *Quantiles) of(key []byte) *Quantile {
	one := q.m[string(key)]
	switch {
	case one != nil:
		return one
	case len(q.m) == q.max:
		return q.other
	}
	one = NewQuantile()
	q.m[string(key)] = one
	return one
}

// All returns the keys, by falling number of values, with their sketches, which
// must not be changed.
func (q *Quantiles) All() iter.Seq2[string, *Quantile] {
	return func(yield func(string, *Quantile) bool) {
		items := make([]Item, 0, len(q.m))
		for key, one := range q.m {
			items = append(items, Item{Key: key, Count: one.Count()})
		}
		for _, it := range byCount(items) {
			if !yield(it.Key, q.m[it.Key]) {
				return
			}
		}
	}
}

// Other returns the sketch of the keys without room, which must not be changed.
func (q *Quantiles) Other() *Quantile { return q.other }

// Merge adds the values of o, which does not change. If there is not enough
// room, the more frequent keys of o come first.
//
// Errors: [ErrMismatch] if q and o have room for different numbers of keys.
func (q *Quantiles) Merge(o *Quantiles) error {
	if q.max != o.max {
		return ErrMismatch
	}
	for key, one := range o.All() {
		_ = q.of([]byte(key)).Merge(one) // it has no errors
	}
	return q.other.Merge(o.other)
}

// AppendBinary appends the binary form. The error is always nil.
func (q *Quantiles) AppendBinary(b []byte) ([]byte, error) {
	b = binary.AppendUvarint(append(b, 'G', version), uint64(q.max))
	b = appendPart(b, q.other)
	b = binary.AppendUvarint(b, uint64(len(q.m)))
	for _, key := range slices.Sorted(maps.Keys(q.m)) {
		b = appendPart(appendKey(b, key), q.m[key])
	}
	return b, nil
}

// appendPart appends the binary form of q with its length.
func appendPart(b []byte, q *Quantile) []byte {
	form, _ := q.MarshalBinary()
	return append(binary.AppendUvarint(b, uint64(len(form))), form...)
}

// MarshalBinary returns the binary form. The error is always nil.
func (q *Quantiles) MarshalBinary() ([]byte, error) { return q.AppendBinary(nil) }

// UnmarshalBinary replaces q by the Quantiles with the binary form b.
//
// Errors: [ErrFormat]; q does not change.
func (q *Quantiles) UnmarshalBinary(b []byte) error {
	d := newDecoder(b, 'G')
	limit := d.uint()
	if d.bad || limit == 0 || limit > 1<<31-1 {
		return ErrFormat
	}
	n := NewQuantiles(int(limit))
	d.quantile(n.other)
	for range d.count(n.max) {
		key, one := d.key(), NewQuantile()
		d.quantile(one)
		n.m[key] = one
	}
	if err := d.err(); err != nil {
		return err
	}
	*q = *n
	return nil
}

// quantile reads the result of appendPart.
func (d *decoder) quantile(q *Quantile) {
	n := d.count(len(d.b))
	if d.bad || q.UnmarshalBinary(d.b[:n]) != nil {
		d.bad = true
		return
	}
	d.b = d.b[n:]
}
