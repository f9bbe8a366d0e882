package cache

import (
	"math/rand/v2"
	"unsafe"
)

// The bytes per entry besides key and value, and the additional bytes for
// lifetimes and weights.
const (
	NodeOverhead = unsafe.Sizeof(node[uint64, uint64]{}) - 16
	AttrsSize    = unsafe.Sizeof(attrs{})
)

// NewSharded is New with a given number of shards, a power of two.
func NewSharded[K comparable, V any](config Config[K, V], shards int) *Cache[K, V] {
	return newCache(config, shards, frequent)
}

// Rules is the number of rules that NewRuled knows.
const Rules = int(rules)

// NewRuled returns a cache of one shard that always follows the same rule.
func NewRuled[K comparable, V any](config Config[K, V], r int) *Cache[K, V] {
	return newCache(config, 1, rule(r))
}

// Rule returns the rule in force, and the number of entries of a shadow.
func (c *Cache[K, V]) Rule() (r, shadow int) {
	if c.duel == nil || c.duel.shadows[0] == nil {
		return int(c.rule()), 0
	}
	return int(c.rule()), c.duel.shadows[0].Len()
}

// SetRandom replaces the source of jitter.
func (c *Cache[K, V]) SetRandom(random func() float64) { c.random = random }

// SetCoin replaces the coin of a cache of one shard.
func (c *Cache[K, V]) SetCoin(coin *rand.PCG) { c.shards[0].queues.coin = coin }

// Hash returns the part of the hash of k that the policy uses.
func (c *Cache[K, V]) Hash(k K) uint32 {
	_, hash := c.locate(k)
	return hash
}

// Window returns the target length of the window of a cache of one shard.
func (c *Cache[K, V]) Window() float64 { return c.shards[0].queues.target }

// Remembered returns the number of remembered errors.
func (c *Cache[K, V]) Remembered() int {
	if c.errs.Load() == nil {
		return 0
	}
	return c.errs.Load().Len()
}

// Loading returns the number of loads whose result would be stored.
func (c *Cache[K, V]) Loading() (n int) {
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		n += len(s.flights)
		s.mu.Unlock()
	}
	return n
}

// Check compares the parts of the cache and returns the first difference. No
// operation may run at the same time.
func (c *Cache[K, V]) Check() (problem string) {
	entries, weight := int64(0), int64(0)
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		for _, n := range s.queues.all() {
			entries++
			weight += s.weighed(n)
		}
		if p := s.check(); p != "" {
			problem = p
		}
		s.mu.Unlock()
	}
	switch {
	case problem != "":
		return problem
	case entries != c.budget.entries.Load():
		return "the budget counts other entries"
	case weight != c.budget.weight.Load():
		return "the budget counts other weights"
	}
	return ""
}

func (s *shard[K, V]) check() string {
	scheduled := 0
	for _, n := range s.queues.all() {
		if s.find(n.hash, n.key) != n {
			return "an entry in the queues is not in the table"
		}
		if n.attrs != nil && n.attrs.pos >= 0 {
			scheduled++
			if s.schedule[n.attrs.pos] != n {
				return "an entry is not where it should be in the expiry queue"
			}
		}
	}
	if s.table.Load().len != s.queues.len() {
		return "the table and the queues differ in length"
	}
	if len(s.schedule) != scheduled {
		return "the expiry queue has entries that are not in the queues"
	}
	return ""
}

// A Table is the table of a shard, with hashes that the test chooses.
type Table struct{ table *table[int, int] }

// NewTable returns an empty Table.
func NewTable() *Table { return &Table{newTable[int, int](1)} }

// Get returns the value of k.
func (t *Table) Get(hash uint32, k int) (int, bool) {
	if n := t.table.find(hash, k); n != nil {
		return n.value, true
	}
	return 0, false
}

// Set stores v under k.
func (t *Table) Set(hash uint32, k, v int) {
	n := &node[int, int]{key: k, value: v, hash: hash}
	if old := t.table.find(hash, k); old != nil {
		t.table.replace(old, n)
		return
	}
	if t.table.full() {
		t.table = t.table.grown(2 * t.table.len)
	}
	t.table.insert(n)
}

// Delete deletes k.
func (t *Table) Delete(hash uint32, k int) {
	if n := t.table.find(hash, k); n != nil {
		t.table.remove(n)
	}
}

// Spread returns the numbers of entries of the smallest and of the largest
// shard, and the longest search for an entry, in buckets.
func (c *Cache[K, V]) Spread() (least, most, longest int) {
	least = c.Len()
	for i := range c.shards {
		s := &c.shards[i]
		t := s.table.Load()
		least, most = min(least, t.len), max(most, t.len)
		for _, n := range s.queues.all() {
			at, buckets := t.home(n.hash), 1
			for t.buckets[at].slot(n) == slots {
				at, buckets = t.next(at), buckets+1
			}
			longest = max(longest, buckets)
		}
	}
	return least, most, longest
}
