package sketch

import (
	"cmp"
	"encoding/binary"
	"maps"
	"slices"
)

// An Item is a key and how often it occurs.
type Item struct {
	Key   string // at most 256 bytes of it
	Count uint64 // how often; of TopK, never too low
	Err   uint64 // by how much Count may be too high: 0 in Counts
}

// byCount sorts the most frequent first, and equal ones by key.
func byCount(items []Item) []Item {
	slices.SortFunc(items, func(a, b Item) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Key, b.Key))
	})
	return items
}

// Counts are exact counts of the first so many keys; the others are one. They are
// for what has few values by its nature, such as levels and status codes, where more
// are a mistake or an attack.
type Counts struct {
	max   int                // keys held at most
	n     map[string]*uint64 // pointers, so that counting a key that is held does not allocate
	other uint64
}

// NewCounts returns Counts with room for keys, from 1 to 2147483647 of them.
func NewCounts(keys int) *Counts {
	return &Counts{max: min(max(keys, 1), 1<<31-1), n: map[string]*uint64{}}
}

// Add counts key n times.
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

// Count returns how often key was counted, 0 when it is not held.
func (c *Counts) Count(key []byte) uint64 {
	if n := c.n[string(cut(key))]; n != nil {
		return *n
	}
	return 0
}

// Other returns how often keys were counted for which there was no room.
func (c *Counts) Other() uint64 { return c.other }

// Items returns the keys held, the most frequent first, equal ones by key.
func (c *Counts) Items() []Item {
	items := make([]Item, 0, len(c.n))
	for key, n := range c.n {
		items = append(items, Item{Key: key, Count: *n})
	}
	return byCount(items)
}

// Merge adds what o has counted; o stays as it is. The more frequent keys of o
// find room first. The error is ErrMismatch.
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

// UnmarshalBinary replaces c by what b describes. The error is ErrFormat.
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
