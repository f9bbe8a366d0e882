package cache

import (
	"math/bits"
	"sync/atomic"
)

// A table finds the node of a key. One goroutine at a time may change it, under the lock of the shard; any number may
// look at it meanwhile, without a lock.
//
// It is an array of buckets, each a cache line: seven nodes, and a word with a byte for each of them, which is 0 if there
// is none and else tells most wrong nodes from the right one. A node whose bucket is full goes to the next that
// has room, and all that it passed count it in their eighth byte: a search ends at the first bucket that nobody passed.
//
// Why readers need no lock: a node never moves while it is in a table, and everything a reader sees was true at some instant
// of its search. A node is published before its tag and withdrawn after it. A table that has to grow is copied and
// left as it was, for those who still look at it.
type table[K comparable, V any] struct {
	buckets []bucket[K, V]
	len     int
}

const slots = 7

type bucket[K comparable, V any] struct {
	tags  atomic.Uint64 // a byte per slot; the highest byte counts the nodes that passed
	nodes [slots]atomic.Pointer[node[K, V]]
}

const (
	passedUnit = 1 << 56
	passedMax  = 255                // having got there it stays: only growing the table makes it right again
	everyByte  = 0x0001010101010101 // that has a slot
	everyTop   = 0x0080808080808080
	meanNodes  = 5 // per bucket, when the table is full
)

// newTable returns a table with room for n nodes.
func newTable[K comparable, V any](n int) *table[K, V] {
	return &table[K, V]{buckets: make([]bucket[K, V], (n+meanNodes-1)/meanNodes)}
}

// full reports whether another node needs a larger table.
func (t *table[K, V]) full() bool { return t.len >= len(t.buckets)*meanNodes }

// home returns the bucket in which the search for a hash begins, by the high bits of the hash; tag uses the low ones.
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
		// The top bit of each byte that is 0, and perhaps of some above one; the node itself decides.
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

// insert adds a node whose key is not in the table, which is not full.
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

// remove takes out a node that is in the table.
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

// slot returns where n is in b, or slots if it is not.
func (b *bucket[K, V]) slot(n *node[K, V]) int {
	for at := range b.nodes {
		if b.nodes[at].Load() == n {
			return at
		}
	}
	return slots
}

// grown returns a copy with room for n nodes.
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
