package cache

import (
	"math/bits"
	"sync/atomic"
)

// A table is a hash table of nodes. One goroutine at a time may change it,
// under the lock of the shard. Any number of goroutines may search it at the
// same time, without a lock.
//
// A table is an array of buckets, each a cache line. A bucket contains seven
// nodes and a word with a tag for each node. The tag is a byte: 0 for a free
// slot, otherwise 7 bits of the hash, which exclude most wrong nodes. If the
// bucket of a node is full, the node goes to the next bucket that has room. All
// full buckets before count it in their eighth byte. A search ends at the first
// bucket whose eighth byte is 0.
//
// Readers need no lock, because a node never moves within a table, and each
// fact that a reader sees was true at some instant of its search. A node is
// stored before its tag and removed after its tag. A table that must grow is
// copied, and the old table does not change any more.
type table[K comparable, V any] struct {
	buckets []bucket[K, V]
	len     int
}

const slots = 7

type bucket[K comparable, V any] struct {
	tags  atomic.Uint64 // a byte per slot; the highest byte counts the nodes in later buckets
	nodes [slots]atomic.Pointer[node[K, V]]
}

const (
	passedUnit = 1 << 56
	passedMax  = 255                // a count that has reached this stays, until the table grows
	everyByte  = 0x0001010101010101 // of the seven slots
	everyTop   = 0x0080808080808080
	meanNodes  = 5 // per bucket, when the table is full

	leastSparse = 64 // buckets: smaller tables are never sparse
)

// newTable returns a table with room for n nodes.
func newTable[K comparable, V any](n int) *table[K, V] {
	return &table[K, V]{buckets: make([]bucket[K, V], (n+meanNodes-1)/meanNodes)}
}

// full reports whether another node needs a larger table.
func (t *table[K, V]) full() bool { return t.len >= len(t.buckets)*meanNodes }

// sparse reports whether a much smaller table would do.
func (t *table[K, V]) sparse() bool {
	return len(t.buckets) > leastSparse && t.len < len(t.buckets)*meanNodes/8
}

// home returns the bucket in which the search for a hash begins. It uses the
// high bits of the hash; tag uses the low bits.
func (t *table[K, V]) home(hash uint32) int {
	return int(uint64(hash) * uint64(len(t.buckets)) >> 32)
}

func tag(hash uint32) uint64 { return uint64(hash&0x7f | 0x80) }

func (t *table[K, V]) next(i int) int {
	if i++; i < len(t.buckets) {
		return i
	}
	return 0
}

// find returns the node of k, or nil.
func (t *table[K, V]) find(hash uint32, k K) *node[K, V] {
	pattern := tag(hash) * everyByte
	i := t.home(hash)
	for range t.buckets {
		b := &t.buckets[i]
		tags := b.tags.Load()
		differ := tags ^ pattern
		// m has the top bit of each byte of differ that is 0. It may also have
		// the top bit of a byte above such a byte, so compare the node as well.
		for m := (differ - everyByte) &^ differ & everyTop; m != 0; m &= m - 1 {
			if n := b.nodes[bits.TrailingZeros64(m)/8].Load(); n != nil && n.hash == hash && n.key == k {
				return n
			}
		}
		if tags < passedUnit {
			return nil
		}
		i = t.next(i)
	}
	return nil
}

// insert adds a node whose key is not in the table. The table is not full.
func (t *table[K, V]) insert(n *node[K, V]) {
	t.len++
	for i := t.home(n.hash); ; i = t.next(i) {
		b := &t.buckets[i]
		tags := b.tags.Load()
		if free := ^tags & everyTop; free != 0 {
			at := bits.TrailingZeros64(free) / 8
			b.nodes[at].Store(n)
			b.tags.Store(tags | tag(n.hash)<<(at*8))
			return
		}
		if tags>>56 < passedMax {
			b.tags.Store(tags + passedUnit)
		}
	}
}

// remove removes a node that is in the table.
func (t *table[K, V]) remove(n *node[K, V]) {
	t.len--
	for i := t.home(n.hash); ; i = t.next(i) {
		b := &t.buckets[i]
		tags := b.tags.Load()
		if at := b.slot(n); at < slots {
			b.tags.Store(tags &^ (0xff << (at * 8)))
			b.nodes[at].Store(nil)
			return
		}
		if tags>>56 < passedMax {
			b.tags.Store(tags - passedUnit)
		}
	}
}

// replace puts n in the place of old, which has the same key.
func (t *table[K, V]) replace(old, n *node[K, V]) {
	for i := t.home(n.hash); ; i = t.next(i) {
		b := &t.buckets[i]
		if at := b.slot(old); at < slots {
			b.nodes[at].Store(n)
			return
		}
	}
}

// slot returns the slot of n in b, or slots if n is not in b.
func (b *bucket[K, V]) slot(n *node[K, V]) int {
	for at := range b.nodes {
		if b.nodes[at].Load() == n {
			return at
		}
	}
	return slots
}

// grown returns a copy with room for n nodes, which may be fewer than before.
func (t *table[K, V]) grown(n int) *table[K, V] {
	larger := newTable[K, V](n)
	for i := range t.buckets {
		for at := range t.buckets[i].nodes {
			if n := t.buckets[i].nodes[at].Load(); n != nil {
				larger.insert(n)
			}
		}
	}
	return larger
}
