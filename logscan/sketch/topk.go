package sketch

import (
	"encoding/binary"
	"hash/maphash"
	"math/bits"
)

// A TopK finds the most frequent keys among any number of keys, the heavy
// hitters. It is a Space-Saving sketch. A key without room takes the place of
// the least frequent key, whose count becomes its error. No count is therefore
// too low, and a key that is not held has occurred at most as often as the
// least frequent key held.
type TopK struct {
	k     int // keys held at most
	items []tracked
	// heap orders the items by the counts that they had when they were last
	// moved. Counts only grow, so an up-to-date item on top is the least.
	heap []slot
	// buckets are the first items of the chains of a hash table, plus one. Each
	// TopK has its own seed, so that an attacker cannot choose keys that
	// collide.
	buckets []int32
	seed    maphash.Seed
}

// A tracked is a key with its count. Its slice is reused by the next key in its
// place.
type tracked struct {
	key        []byte
	count, err uint64
	hash       uint32
	chain      int32 // the next in the bucket, plus one
}

type slot struct {
	count uint64
	item  int32
}

const maxK = 1 << 20

// NewTopK returns a TopK that holds k keys, from 1 to 1048576. A k outside this
// range counts as its nearest end. To find the ten most frequent keys, hold a
// hundred or more.
func NewTopK(k int) *TopK { return newTopK(min(max(k, 1), maxK), 0) }

// newTopK makes room for n keys.
func newTopK(k, n int) *TopK {
	t := &TopK{k: k, seed: maphash.MakeSeed(), buckets: make([]int32, 8)}
	for len(t.buckets) < n {
		t.buckets = make([]int32, 2*len(t.buckets))
	}
	return t
}

// Add adds n to the count of key.
func (t *TopK) Add(key []byte, n uint64) {
	key = cut(key)
	hash := uint32(maphash.Bytes(t.seed, key))
	if it := t.find(hash, key); it != nil {
		it.count = add(it.count, n)
		return
	}
	if len(t.items) < t.k {
		t.put(tracked{key: append([]byte(nil), key...), count: n, hash: hash})
		return
	}
	i := t.least()
	it := &t.items[i]
	t.unchain(i)
	it.key = append(it.key[:0], key...)
	it.err, it.count, it.hash = it.count, add(it.count, n), hash
	t.chain(i)
}

// find returns the item of key, or nil if there is none.
func (t *TopK) find(hash uint32, key []byte) *tracked {
	for i := t.buckets[hash&uint32(len(t.buckets)-1)]; i > 0; i = t.items[i-1].chain {
		if it := &t.items[i-1]; it.hash == hash && string(it.key) == string(key) {
			return it
		}
	}
	return nil
}

// chain adds item i to its bucket.
func (t *TopK) chain(i int32) {
	it := &t.items[i]
	b := &t.buckets[it.hash&uint32(len(t.buckets)-1)]
	it.chain, *b = *b, i+1
}

// unchain removes item i from its bucket.
func (t *TopK) unchain(i int32) {
	b := &t.buckets[t.items[i].hash&uint32(len(t.buckets)-1)]
	for *b != i+1 {
		b = &t.items[*b-1].chain
	}
	*b = t.items[i].chain
}

// put adds an item for which there is room.
func (t *TopK) put(it tracked) {
	i := int32(len(t.items))
	t.items = append(t.items, it)
	if len(t.items) > len(t.buckets) {
		t.buckets = make([]int32, 2*len(t.buckets))
		for old := range i {
			t.chain(old)
		}
	}
	t.chain(i)
	t.heap = append(t.heap, slot{it.count, i})
	for c := len(t.heap) - 1; c > 0 && t.heap[c].count < t.heap[(c-1)/2].count; c = (c - 1) / 2 {
		t.heap[c], t.heap[(c-1)/2] = t.heap[(c-1)/2], t.heap[c]
	}
}

// least returns the item with the least count. It corrects a count in the heap
// only when the item is on top, so that counting a known key does not touch the
// heap. No count in the heap is too high, so a correct count on top is the
// least.
func (t *TopK) least() int32 {
	for {
		top := &t.heap[0]
		now := t.items[top.item].count
		if now == top.count {
			return top.item
		}
		top.count = now
		t.down()
	}
}

// down moves the top of the heap to its place.
func (t *TopK) down() {
	h, i := t.heap, 0
	top := h[0]
	for kid := 1; kid < len(h); kid = 2*i + 1 {
		if kid+1 < len(h) { // a subtraction is cheaper than a branch that is mispredicted half the time
			_, less := bits.Sub64(h[kid+1].count, h[kid].count, 0)
			kid += int(less)
		}
		if top.count <= h[kid].count {
			break
		}
		h[i] = h[kid]
		i = kid
	}
	h[i] = top
}

// Items returns the keys held, by falling count, and by key if counts are
// equal.
func (t *TopK) Items() []Item {
	items := make([]Item, len(t.items))
	for i, it := range t.items {
		items[i] = Item{string(it.key), it.count, it.err}
	}
	return byCount(items)
}

// floor returns the most that a key that is not held may have occurred.
func (t *TopK) floor() uint64 {
	if len(t.items) < t.k {
		return 0
	}
	return t.items[t.least()].count
}

// Merge adds the counts of o, which does not change. A key that only one of the
// sketches holds may have occurred in the other as often as the least frequent
// key there. That number is added to its count and to its error.
//
// Errors: [ErrMismatch] if the sketches hold different numbers of keys.
func (t *TopK) Merge(o *TopK) error {
	if t.k != o.k {
		return ErrMismatch
	}
	mine, others := t.floor(), o.floor()
	all := make([]Item, 0, len(t.items)+len(o.items))
	for _, it := range t.items {
		more, err := others, others
		if other := o.find(uint32(maphash.Bytes(o.seed, it.key)), it.key); other != nil {
			more, err = other.count, other.err
		}
		all = append(all, Item{string(it.key), add(it.count, more), add(it.err, err)})
	}
	for _, it := range o.items {
		if t.find(uint32(maphash.Bytes(t.seed, it.key)), it.key) == nil {
			all = append(all, Item{string(it.key), add(it.count, mine), add(it.err, mine)})
		}
	}
	*t = *holding(t.k, byCount(all))
	return nil
}

// holding returns a TopK that holds the first k items.
func holding(k int, items []Item) *TopK {
	items = items[:min(len(items), k)]
	t := newTopK(k, len(items))
	for _, it := range items {
		key := []byte(it.Key)
		t.put(tracked{key: key, count: it.Count, err: it.Err, hash: uint32(maphash.Bytes(t.seed, key))})
	}
	return t
}

// AppendBinary appends the binary form. The error is always nil.
func (t *TopK) AppendBinary(b []byte) ([]byte, error) {
	b = append(b, 'T', version)
	b = binary.AppendUvarint(b, uint64(t.k))
	b = binary.AppendUvarint(b, uint64(len(t.items)))
	for _, it := range t.Items() {
		b = binary.AppendUvarint(appendKey(b, it.Key), it.Count)
		b = binary.AppendUvarint(b, it.Err)
	}
	return b, nil
}

// MarshalBinary returns the binary form. The error is always nil.
func (t *TopK) MarshalBinary() ([]byte, error) { return t.AppendBinary(nil) }

// UnmarshalBinary replaces t by the TopK with the binary form b.
//
// Errors: [ErrFormat]; t does not change.
func (t *TopK) UnmarshalBinary(b []byte) error {
	d := newDecoder(b, 'T')
	k := d.uint()
	if k == 0 || k > maxK {
		return ErrFormat
	}
	var items []Item
	seen := map[string]bool{}
	for range d.count(int(k)) {
		it := Item{d.key(), d.uint(), d.uint()}
		if d.bad || seen[it.Key] || it.Err > it.Count {
			return ErrFormat
		}
		seen[it.Key] = true
		items = append(items, it)
	}
	if err := d.err(); err != nil {
		return err
	}
	*t = *holding(int(k), items)
	return nil
}
