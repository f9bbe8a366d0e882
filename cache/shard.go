package cache

import (
	"context"
	"sync"
	"sync/atomic"
)

// A shard holds the entries of some of the keys, in an exactly defined order of eviction.
type shard[K comparable, V any] struct {
	table atomic.Pointer[table[K, V]] // read without the lock
	_     [56]byte                    // so that it is not in the cache line of what is written all the time

	mu       sync.Mutex // guards what follows, and all changes of the entries
	queues   queues[K, V]
	schedule schedule[K, V]
	flights  map[K]*flight[K, V] // the loads whose result will be stored; see flight.go
	stats    Stats               // but for hits and misses
}

// reset makes s empty and forgetful.
func (s *shard[K, V]) reset(eviction Eviction) {
	s.table.Store(newTable[K, V](1))
	s.queues = newQueues[K, V](eviction)
	s.schedule = nil
	s.flights = make(map[K]*flight[K, V])
}

func (s *shard[K, V]) find(hash uint32, k K) *node[K, V] { return s.table.Load().find(hash, k) }

func (s *shard[K, V]) locked(f func() bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return f()
}

// A budget is what all shards share: it is taken before an entry appears and given back after one has gone, so that at no
// moment there is more than the limits allow.
type budget struct {
	entries, capacity atomic.Int64
	weight, maxWeight atomic.Int64 // 0 in a cache that does not weigh
}

func (b *budget) take(entries, weight int64) bool {
	if !takeUpTo(&b.entries, entries, b.capacity.Load()) {
		return false
	}
	if !takeUpTo(&b.weight, weight, b.maxWeight.Load()) {
		b.entries.Add(-entries)
		return false
	}
	return true
}

func takeUpTo(used *atomic.Int64, n, limit int64) bool {
	for n > 0 {
		old := used.Load()
		if old > limit-n {
			return false
		}
		if used.CompareAndSwap(old, old+n) {
			break
		}
	}
	return true
}

func (b *budget) give(entries, weight int64) {
	if entries != 0 {
		b.entries.Add(-entries)
	}
	if weight != 0 {
		b.weight.Add(-weight)
	}
}

// weighed returns what n takes of the budget's weight.
func (c *Cache[K, V]) weighed(n *node[K, V]) int64 {
	if c.config.Weigh == nil {
		return 0
	}
	return int64(n.weight())
}

// put makes n the entry of its key, in place of old, the present one or nil. If room for it has to be made in another shard it
// reports false, and has done nothing but evict. s.mu is held.
func (c *Cache[K, V]) put(s *shard[K, V], old, n *node[K, V], use bool, gone *departed[K, V]) bool {
	switch weight := c.weighed(n); {
	case !equal(n.key, n.key) || c.config.Weigh != nil && weight > c.budget.maxWeight.Load():
		if old != nil {
			c.remove(s, old, CauseReplaced, gone)
		}
		c.depart(s, n, CauseEvicted, gone)
	case old != nil:
		if !c.outweigh(s, old, weight-c.weighed(old), gone) {
			return false
		}
		c.replace(s, old, n, gone)
		if use {
			s.queues.used(n)
		}
	default:
		s.queues.missed(n.hash)
		if !c.makeRoom(s, weight, gone) {
			return false
		}
		c.insert(s, n)
	}
	return true
}

func equal[K comparable](a, b K) bool { return a == b }

// makeRoom takes one entry of this weight from the budget, and evicts from s until it can.
func (c *Cache[K, V]) makeRoom(s *shard[K, V], weight int64, gone *departed[K, V]) bool {
	for !c.budget.take(1, weight) {
		if c.poor(s) {
			return false
		}
		victim := s.queues.evict(nil)
		if victim == nil {
			return false
		}
		c.drop(s, victim, CauseEvicted, gone)
		if c.config.Weigh == nil {
			return true // one out, one in: what all shards share is not touched
		}
		c.budget.give(1, int64(victim.weight()))
	}
	return true
}

// outweigh takes or gives back the difference of weight between a new value and the old one, and evicts others from s until
// it can.
func (c *Cache[K, V]) outweigh(s *shard[K, V], old *node[K, V], weight int64, gone *departed[K, V]) bool {
	if weight <= 0 {
		c.budget.give(0, -weight)
		return true
	}
	for !c.budget.take(0, weight) {
		victim := s.queues.evict(old)
		if victim == nil {
			return false
		}
		c.drop(s, victim, CauseEvicted, gone)
		c.budget.give(1, int64(victim.weight()))
	}
	return true
}

// poor reports whether s has less than half of its share of the entries: then another one is to make room.
func (c *Cache[K, V]) poor(s *shard[K, V]) bool {
	return len(c.shards) > 1 && int64(s.queues.len()*len(c.shards)*2) < c.budget.entries.Load()
}

// evictElsewhere evicts an entry of the shard, but for this one, that has most. No lock is held.
func (c *Cache[K, V]) evictElsewhere(here *shard[K, V], gone *departed[K, V]) {
	var richest *shard[K, V]
	most := 0
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		n := s.queues.len()
		s.mu.Unlock()
		if n > most && s != here {
			richest, most = s, n
		}
	}
	if richest != nil {
		richest.mu.Lock()
		defer richest.mu.Unlock()
		if victim := richest.queues.evict(nil); victim != nil {
			c.drop(richest, victim, CauseEvicted, gone)
			c.budget.give(1, c.weighed(victim))
		}
	}
}

// insert adds n, whose key has no entry and whose place is taken from the budget.
func (c *Cache[K, V]) insert(s *shard[K, V], n *node[K, V]) {
	t := s.table.Load()
	if t.full() {
		t = t.grown(c.tableSize(t.len))
		s.table.Store(t)
	}
	t.insert(n)
	s.queues.insert(n)
	c.enroll(s, n)
}

// tableSize returns how many nodes the table that replaces one full with n should have room for: twice as many, but while
// that is beyond the share of a shard, that share and what chance may add to it.
func (c *Cache[K, V]) tableSize(n int) int {
	share := int(min(c.budget.capacity.Load(), 1<<40)) / len(c.shards)
	if share += share/16 + 8; n < share && share < 2*n {
		return share
	}
	return 2 * n
}

func (c *Cache[K, V]) replace(s *shard[K, V], old, n *node[K, V], gone *departed[K, V]) {
	s.table.Load().replace(old, n)
	s.queues.replace(old, n)
	s.schedule.remove(old)
	c.enroll(s, n)
	c.depart(s, old, CauseReplaced, gone)
}

// remove takes n out for the given cause.
func (c *Cache[K, V]) remove(s *shard[K, V], n *node[K, V], cause Cause, gone *departed[K, V]) {
	s.queues.remove(n)
	c.drop(s, n, cause, gone)
	c.budget.give(1, c.weighed(n))
}

// drop takes n, which is in no queue any more, out of the rest. Its place in the budget is the caller's.
func (c *Cache[K, V]) drop(s *shard[K, V], n *node[K, V], cause Cause, gone *departed[K, V]) {
	s.table.Load().remove(n)
	s.schedule.remove(n)
	c.depart(s, n, cause, gone)
}

// depart counts the departure of n's value, and keeps it to be reported. If it had expired before, that is the cause.
func (c *Cache[K, V]) depart(s *shard[K, V], n *node[K, V], cause Cause, gone *departed[K, V]) {
	if c.age(n) != fresh {
		cause = CauseExpired
	}
	switch cause {
	case CauseEvicted:
		s.stats.Evictions++
	case CauseExpired:
		s.stats.Expirations++
	}
	if gone.len++; c.config.OnEvent != nil {
		n.meta.Store(uint32(cause) << causeShift)
		gone.push(n)
	}
}

// A departed is a queue of values that have left and are to be reported when no lock is held.
type departed[K comparable, V any] struct {
	first, last *node[K, V]
	len         int // counts those too that nobody wants to be told of
}

func (d *departed[K, V]) push(n *node[K, V]) {
	if d.first == nil {
		d.first = n
	} else {
		d.last.next = n
	}
	d.last = n
}

// emit reports what has departed. No lock is held.
func (c *Cache[K, V]) emit(ctx context.Context, gone *departed[K, V]) {
	for n := gone.first; n != nil; {
		next := n.next
		n.next = nil
		c.config.OnEvent(ctx, Event[K, V]{Key: n.key, Value: n.value, Cause: Cause(n.meta.Load() >> causeShift)})
		n = next
	}
}
