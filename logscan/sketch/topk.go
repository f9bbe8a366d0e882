package sketch

import "encoding/binary"

// A TopK finds the keys that occur most among any number of keys.
type TopK struct {
	k     int
	index map[string]int32
	items []Item
	// heap has the items by the counts they had when they were last put in
	// order; counts only grow, so a fresh one on top is the least.
	heap []slot
}

type slot struct {
	count uint64
	item  int32
}

const maxK = 1 << 20

// NewTopK returns a TopK that holds k keys, from 1 to 1048576. To find the ten
// most frequent, hold a hundred or more.
func NewTopK(k int) *TopK { return &TopK{k: min(max(k, 1), maxK), index: map[string]int32{}} }

// Add counts key n times.
func (t *TopK) Add(key []byte, n uint64) {
	key = cut(key)
	if i, ok := t.index[string(key)]; ok {
		t.items[i].Count = add(t.items[i].Count, n)
		return
	}
	if len(t.items) < t.k {
		t.put(Item{Key: string(key), Count: n})
		return
	}
	i := t.least()
	it := &t.items[i]
	delete(t.index, it.Key)
	*it = Item{Key: string(key), Count: add(it.Count, n), Err: it.Count}
	t.index[it.Key] = i
}

// put adds an item for which there is room.
func (t *TopK) put(it Item) {
	i := int32(len(t.items))
	t.items = append(t.items, it)
	t.index[it.Key] = i
	t.heap = append(t.heap, slot{it.Count, i})
	for c := len(t.heap) - 1; c > 0 && t.heap[c].count < t.heap[(c-1)/2].count; c = (c - 1) / 2 {
		t.heap[c], t.heap[(c-1)/2] = t.heap[(c-1)/2], t.heap[c]
	}
}

// least returns the item with the least count.
func (t *TopK) least() int32 {
	for {
		top := &t.heap[0]
		now := t.items[top.item].Count
		if now == top.count {
			return top.item
		}
		top.count = now
		t.down()
	}
}

// down moves the top of the heap to its place.
func (t *TopK) down() {
	h := t.heap
	for i := 0; ; {
		kid := 2*i + 1
		if kid+1 < len(h) && h[kid+1].count < h[kid].count {
			kid++
		}
		if kid >= len(h) || h[i].count <= h[kid].count {
			return
		}
		h[i], h[kid] = h[kid], h[i]
		i = kid
	}
}

// Items returns the keys held, the most frequent first, equal ones by key.
func (t *TopK) Items() []Item { return byCount(append([]Item(nil), t.items...)) }

// floor is how often a key that is not held may have occurred.
func (t *TopK) floor() uint64 {
	if len(t.items) < t.k {
		return 0
	}
	return t.items[t.least()].Count
}

// Merge adds what o has counted; o stays as it is. The error is ErrMismatch.
func (t *TopK) Merge(o *TopK) error {
	if t.k != o.k {
		return ErrMismatch
	}
	mine, others := t.floor(), o.floor()
	all := make([]Item, 0, len(t.items)+len(o.items))
	for _, it := range t.items {
		more, err := others, others
		if j, ok := o.index[it.Key]; ok {
			more, err = o.items[j].Count, o.items[j].Err
		}
		all = append(all, Item{it.Key, add(it.Count, more), add(it.Err, err)})
	}
	for _, it := range o.items {
		if _, ok := t.index[it.Key]; !ok {
			all = append(all, Item{it.Key, add(it.Count, mine), add(it.Err, mine)})
		}
	}
	t.reset(byCount(all))
	return nil
}

// reset makes t hold the first of items.
func (t *TopK) reset(items []Item) {
	*t = TopK{k: t.k, index: make(map[string]int32, min(len(items), t.k))}
	for _, it := range items[:min(len(items), t.k)] {
		t.put(it)
	}
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

// UnmarshalBinary replaces t by what b describes. The error is ErrFormat.
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
	t.k = int(k)
	t.reset(items)
	return nil
}
