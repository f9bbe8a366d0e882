package cache

import (
	"cmp"
	"context"
	"iter"
	"slices"
	"time"
)

// An Entry is what a [Cache] holds for one key, to look at or to write to a file. [Cache.Restore] takes it back.
type Entry[K comparable, V any] struct {
	Key     K         // the key
	Value   V         // its value
	Weight  uint32    // by Config.Weigh, else 1
	Expires time.Time // when it expires if it is not used before; zero if never
	Heat    uint8     // how much the policy thinks of it, from 0 to 7; with LRU always 0, as the order says it
}

// Entry returns the entry of k. Like Peek it is no use of the entry and is not counted.
func (c *Cache[K, V]) Entry(k K) (Entry[K, V], bool) {
	n, left := c.remaining(k)
	if n == nil {
		return Entry[K, V]{}, false
	}
	e := Entry[K, V]{Key: n.key, Value: n.load(c.word), Weight: n.weight(), Heat: n.temperature()}
	if left != NoExpiry {
		e.Expires = time.Now().Add(left)
	}
	return e, true
}

// temperature orders the entries of the adaptive policy: those of the main queue, which had to win their places, before all
// others.
func (n *node[K, V]) temperature() uint8 { return uint8(n.meta.Load() & (heatMask | inMain)) }

// All iterates over the entries, the least valued first: with LRU in the exact order of their last use. It visits the keys
// present when it starts, each at most once and with its value at that moment, or not at all if it has gone by then. It is no
// use of the entries, and the loop may change the cache. It copies the keys first: O(Len) memory.
func (c *Cache[K, V]) All() iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		for _, k := range c.snapshot() {
			if v, ok := c.Peek(k); ok && !yield(k, v) {
				return
			}
		}
	}
}

// Keys is All without the values.
func (c *Cache[K, V]) Keys() iter.Seq[K] {
	return func(yield func(K) bool) {
		for k := range c.All() {
			if !yield(k) {
				return
			}
		}
	}
}

// Entries is All with everything there is to know: a snapshot of the cache, to be encoded as you like.
func (c *Cache[K, V]) Entries() iter.Seq[Entry[K, V]] {
	return func(yield func(Entry[K, V]) bool) {
		for _, k := range c.snapshot() {
			if e, ok := c.Entry(k); ok && !yield(e) {
				return
			}
		}
	}
}

// snapshot returns the keys, the least valued first.
func (c *Cache[K, V]) snapshot() []K {
	var nodes []*node[K, V]
	for i := range c.shards {
		nodes = append(nodes, c.shards[i].nodes()...)
	}
	slices.SortStableFunc(nodes, func(a, b *node[K, V]) int { return cmp.Compare(a.temperature(), b.temperature()) })
	keys := make([]K, len(nodes))
	for i, n := range nodes {
		keys[i] = n.key
	}
	return keys
}

func (s *shard[K, V]) nodes() []*node[K, V] {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.queues.all()
}

// Restore stores entries that [Cache.Entries] gave, of this cache or another, in their order, and returns how many. They
// expire when they would have, by the wall clock; those that have are left out, and so are those whose key has a value, which
// is newer. Weights are asked of Config.Weigh again. Evictions follow the rules: to restore a large cache into
// a small one keeps the more valued entries, roughly.
func (c *Cache[K, V]) Restore(entries iter.Seq[Entry[K, V]]) int {
	restored := 0
	for e := range entries {
		ttl := NoExpiry
		if !e.Expires.IsZero() {
			ttl = time.Until(e.Expires)
		}
		if ttl > 0 && equal(e.Key, e.Key) && c.restore(e, ttl) {
			restored++
		}
	}
	return restored
}

func (c *Cache[K, V]) restore(e Entry[K, V], ttl time.Duration) (stored bool) {
	s, hash := c.locate(e.Key)
	n := c.newNode(e.Key, e.Value, hash, ttl)
	if c.config.Eviction != LRU {
		n.meta.Store(uint32(e.Heat) & (heatMask | inMain))
	}
	var gone departed[K, V]
	c.attempt(s, &gone, func() bool {
		present := s.find(hash, e.Key)
		if present != nil && c.age(present) == fresh {
			stored = false
			return true
		}
		stored = true
		c.detach(s, e.Key)
		return c.put(s, present, n, false, &gone)
	})
	c.emit(context.Background(), &gone)
	return stored
}
