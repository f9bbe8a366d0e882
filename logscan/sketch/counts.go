package sketch

import (
	"cmp"
	"encoding/binary"
	"maps"
	"slices"
)

// An Item is a key and its count.
type Item struct {
	Key   string // its first 256 bytes
	Count uint64 // occurrences; in TopK, never too low
	Err   uint64 // the most by which Count may be too high; 0 in Counts
}

// byCount sorts items by falling count, and items with equal counts by key.
func byCount(items []Item) []Item {
	slices.SortFunc(items, func(a, b Item) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Key, b.Key))
	})
	return items
}

// A Counts holds the exact counts of the first keys that it sees, up to a
// number of keys, and the sum of the counts of all others. Use it for keys with
// few values, such as levels and status codes, where further values are a
// mistake or an attack.
type Counts struct {
	max   int                // keys held at most
	n     map[string]*uint64 // pointers, so that counting a known key does not allocate
	other uint64
}

// NewCounts returns a Counts with room for a number of keys, from 1 to
// 2147483647. A number outside this range counts as its nearest end.
func NewCounts(keys int) *Counts {
	return &Counts{max: min(max(keys, 1), 1<<31-1), n: map[string]*uint64{}}
}

// Add adds n to the count of key.
func (c *Counts) Add(key []byte, n uint64) {
	key = cut(key)
	v, ok := c.n[string(key)]
	switch {
	case ok:
		*v = add(*v, n)
	case len(c.n) < c.max:
		first := n
		c.n[string(key)] = &first
	default:
		c.other = add(c.other, n)
	}
}

// Count returns the count of key, or 0 if key is not held.
func (c *Counts) Count(key []byte) uint64 {
	if n := c.n[string(cut(key))]; n != nil {
		return *n
	}
	return 0
}

// Other returns the sum of the counts of the keys without room.
func (c *Counts) Other() uint64 { return c.other }

// Items returns the keys held, by falling count, and by key if counts are
// equal.
func (c *Counts) Items() []Item {
	items := make([]Item, 0, len(c.n))
	for key, n := range c.n {
		items = append(items, Item{Key: key, Count: *n})
	}
	return byCount(items)
}

// Merge adds the counts of o, which does not change. If there is not enough
// room, the more frequent keys of o come first.
//
// Errors: [ErrMismatch] if c and o have room for different numbers of keys.
func (c *Counts) Merge(o *Counts) error {
	if c.max != o.max {
		return ErrMismatch
	}
	other := o.other
	for _, it := range o.Items() {
		c.Add([]byte(it.Key), it.Count)
	}
	c.other = add(c.other, other)
	return nil
}

// AppendBinary appends the binary form. The error is always nil.
func (c *Counts) AppendBinary(b []byte) ([]byte, error) {
	b = append(b, 'C', version)
	b = binary.AppendUvarint(b, uint64(c.max))
	b = binary.AppendUvarint(b, c.other)
	b = binary.AppendUvarint(b, uint64(len(c.n)))
	for _, key := range slices.Sorted(maps.Keys(c.n)) {
		b = binary.AppendUvarint(appendKey(b, key), *c.n[key])
	}
	return b, nil
}

// MarshalBinary returns the binary form. The error is always nil.
func (c *Counts) MarshalBinary() ([]byte, error) { return c.AppendBinary(nil) }

// UnmarshalBinary replaces c by the Counts with the binary form b.
//
// Errors: [ErrFormat]; c does not change.
func (c *Counts) UnmarshalBinary(b []byte) error {
	d := newDecoder(b, 'C')
	limit, other := d.uint(), d.uint()
	n := map[string]*uint64{}
	for range d.count(int(min(limit, 1<<31-1))) {
		key := d.key()
		v := d.uint()
		n[key] = &v
		if d.bad {
			break
		}
	}
	if limit == 0 || limit > 1<<31-1 {
		return ErrFormat
	}
	if err := d.err(); err != nil {
		return err
	}
	*c = Counts{int(limit), n, other}
	return nil
}
