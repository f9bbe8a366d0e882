package cache

import (
	"cmp"
	"iter"
	"slices"
	"time"
)

// An Entry describes one entry of a [Cache], for inspection or for a snapshot.
// [Cache.Restore] stores entries again.
type Entry[K comparable, V any] struct {
	Key     K         // the key
	Value   V         // its value
	Weight  uint32    // by Config.Weigh, otherwise 1
	Expires time.Time // the end of the lifetime; zero if never
	Idle    time.Time // when the entry expires if it is not used before; zero if never
	Heat    uint8     // how much the Adaptive policy values the entry, from 0 to 7; 0 with LRU
}

// Entry returns the entry of k and reports whether k has a value. Like Peek,
// it does not mark the entry as used and does not count as a lookup.
func (c *Cache[K, V]) Entry(k K) (Entry[K, V], bool) {
	s, hash := c.locate(k)
	n := s.find(hash, k)
	if n == nil || c.age(n) != fresh {
		return Entry[K, V]{}, false
	}
	e := Entry[K, V]{Key: n.key, Value: n.load(c.word), Weight: n.weight(), Heat: n.temperature()}
	if n.attrs != nil {
		e.Expires = c.instant(n.attrs.deadline)
		e.Idle = c.instant(n.attrs.idleEnd())
	}
	return e, true
}

// instant returns the wall clock time of t, or the zero time if t is never.
func (c *Cache[K, V]) instant(t int64) time.Time {
	if t == never {
		return time.Time{}
	}
	return time.Now().Add(time.Duration(t - c.now()))
}

// temperature orders the entries of the adaptive policy. The entries of the
// main queue are hotter than all others.
func (n *node[K, V]) temperature() uint8 { return uint8(n.meta.Load() & (heatMask | inMain)) }

// All iterates over the entries, the least valued first. With LRU and weights
// above 0, this is the exact order of last use.
//
// All visits the keys that are present when it starts, each at most once. It
// reads a value at the moment of its visit, and skips keys that have no value
// then. All does not mark entries as used. The loop body may modify the cache.
// All first copies the keys, in O(Len) memory.
func (c *Cache[K, V]) All() iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		for _, k := range c.snapshot() {
			if v, ok := c.Peek(k); ok && !yield(k, v) {
				return
			}
		}
	}
}

// Keys is like All, without the values.
func (c *Cache[K, V]) Keys() iter.Seq[K] {
	return func(yield func(K) bool) {
		c.All()(func(k K, _ V) bool { return yield(k) })
	}
}

// Entries is like All, with all data of each entry. Encode them to take a
// snapshot of the cache.
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

// Restore stores entries, which [Cache.Entries] of this or another cache has
// returned, in their order. It returns the number of stored entries.
//
// Restore skips entries that have expired by the wall clock, and entries whose
// key has a value, which is newer. Config.Weigh weighs the entries again. An
// entry keeps both ends: use after Restore extends the end of idleness by
// Config.IdleTTL. If the cache is smaller than the snapshot, evictions roughly
// keep the more valued entries.
func (c *Cache[K, V]) Restore(entries iter.Seq[Entry[K, V]]) int {
	restored := 0
	for e := range entries {
		ttl := NoExpiry
		if !e.Expires.IsZero() {
			ttl = time.Until(e.Expires)
		}
		idle := NoExpiry
		if !e.Idle.IsZero() {
			idle = time.Until(e.Idle)
		}
		if ttl <= 0 || idle <= 0 || !equal(e.Key, e.Key) {
			continue
		}
		s, hash := c.locate(e.Key)
		n := c.newNode(e.Key, e.Value, hash, ttl)
		if n.attrs != nil {
			n.attrs.idle.Store(min(n.attrs.idle.Load(), add(c.now(), idle)))
		}
		if c.config.Load().Eviction != LRU {
			n.meta.Store(uint32(e.Heat) & (heatMask | inMain))
		}
		if _, had := c.store(s, e.Key, e.Value, hash, n, restoring); !had {
			restored++
		}
	}
	return restored
}
