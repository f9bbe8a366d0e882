package cache

import (
	"slices"
	"sync"
	"sync/atomic"
)

// A shard contains the entries whose keys hash to it, in an exactly defined
// order of eviction. Its methods require that mu is held, except find and the
// methods that lock mu themselves.
type shard[K comparable, V any] struct {
	table atomic.Pointer[table[K, V]] // read without mu
	cache *Cache[K, V]
	_     [48]byte // keeps table out of the cache line that writes change

	mu       sync.Mutex // guards the fields below and all changes of entries
	queues   queues[K, V]
	schedule schedule[K, V]
	flights  map[K]*flight[K, V] // the loads whose results will be stored
	version  uint64              // counts writes and invalidations by callers
	stats    Stats               // without Hits and Misses
	spare    *node[K, V]         // in a shadow: departed nodes, linked by next
}

// reset empties s and its policy.
func (s *shard[K, V]) reset() {
	s.table.Store(newTable[K, V](1))
	s.queues = newQueues[K, V](s.cache.config.Load().Eviction, s.cache.rule())
	s.schedule = nil
	s.flights = make(map[K]*flight[K, V])
}

func (s *shard[K, V]) find(hash uint32, k K) *node[K, V] { return s.table.Load().find(hash, k) }

// put makes n the entry of its key, in place of old, which is the present
// entry or nil. It reports whether it was done: if not, another shard must
// make room first, and put has only evicted entries. Mark says whether n is
// marked as used when it replaces old.
func (s *shard[K, V]) put(old, n *node[K, V], mark bool, gone *departed[K, V]) bool {
	unfit, extra := s.unfit(n), s.weighed(n)
	if old != nil {
		extra -= s.weighed(old)
	} else if !unfit {
		s.learn(n)
	}
	switch {
	case unfit || s.refuses(old, n, extra):
		if old != nil {
			s.remove(old, CauseReplaced, gone)
		}
		s.depart(n, CauseEvicted, gone)
	case old != nil:
		if !s.makeRoom(old, extra, 0, gone) {
			return false
		}
		s.replace(old, n, gone)
		if mark {
			s.queues.used(n)
		}
	default:
		if !s.makeRoom(nil, extra, s.incoming(n), gone) {
			return false
		}
		s.insert(n)
	}
	return true
}

// unfit reports whether n cannot be an entry: its key is not equal to itself,
// it had expired before it was stored, or it is heavier than MaxWeight.
func (s *shard[K, V]) unfit(n *node[K, V]) bool {
	return !equal(n.key, n.key) || n.attrs != nil && n.attrs.deadline == past ||
		s.cache.config.Load().Weigh != nil && s.weighed(n) > s.cache.budget.maxWeight.Load()
}

// refuses reports whether there is no room for n, and n is not worth the room.
// Extra is the weight that n adds to the weight of old.
func (s *shard[K, V]) refuses(old, n *node[K, V], extra int64) bool {
	b := &s.cache.budget
	most := b.maxWeight.Load()
	if s.cache.config.Load().Weigh == nil || b.weight.Load()+extra <= most || extra <= 0 {
		return false
	}
	return s.queues.refuses(old, n, most)
}

// incoming returns the weight that n brings into the window.
func (s *shard[K, V]) incoming(n *node[K, V]) int64 {
	if n.meta.Load()&inMain != 0 {
		return 0
	}
	return int64(n.weight())
}

// learn records the insertion of n for the policy.
func (s *shard[K, V]) learn(n *node[K, V]) {
	c := s.cache
	if d := c.duel; d != nil {
		if d.sampled(n.hash) || d.idle() {
			d.miss(n.hash, n.weight(), &c.budget)
		}
		s.queues.follow(d.current())
	}
	if s.queues.missed(n.hash) {
		n.meta.Or(inMain)
	}
}

// touch moves n, which a lookup has used for the first time since it was last
// cooled. If the shard is busy, n gets a second chance instead.
func (s *shard[K, V]) touch(n *node[K, V]) {
	if !s.mu.TryLock() {
		n.warm()
		return
	}
	defer s.mu.Unlock()
	if s.find(n.hash, n.key) == n {
		s.queues.moved(n)
	}
}

func equal[K comparable](a, b K) bool { return a == b }

// weighed returns the weight of n in the budget.
func (s *shard[K, V]) weighed(n *node[K, V]) int64 {
	if s.cache.config.Load().Weigh == nil {
		return 0
	}
	return int64(n.weight())
}

// makeRoom takes the room for a new entry of this weight from the budget. If
// keep is not nil, it takes only the additional weight of a new value for the
// entry keep, which may be negative. It evicts other entries of s until it can,
// and reports whether it could.
func (s *shard[K, V]) makeRoom(keep *node[K, V], weight, incoming int64, gone *departed[K, V]) bool {
	entries := int64(1)
	if keep != nil {
		entries = 0
	}
	for {
		ok, heavy := s.cache.budget.take(entries, weight)
		if ok {
			return true
		}
		if s.expireOne(keep, gone) {
			continue
		}
		if keep == nil && (s.poor() || s.cache.overdue()) {
			return false
		}
		victim := s.queues.evict(keep, incoming, !heavy)
		if victim == nil {
			return false
		}
		s.drop(victim, CauseEvicted, gone)
		if s.cache.config.Load().Weigh == nil {
			return true // a victim's place for the new entry: the budget stays
		}
		s.cache.budget.give(1, int64(victim.weight()))
	}
}

// poor reports whether s has less than half of its share of the entries.
// Another shard must then make room.
func (s *shard[K, V]) poor() bool {
	n := len(s.cache.shards)
	return n > 1 && int64(s.queues.len()*n*2) < s.cache.budget.entries.Load()
}

// evictElsewhere removes expired entries. If there are none, it evicts an entry
// of the shard with the most entries, except here. No lock is held.
func (c *Cache[K, V]) evictElsewhere(here *shard[K, V], gone *departed[K, V]) {
	if before := gone.len; c.overdue() {
		if c.sweep(gone); gone.len > before {
			return
		}
	}
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
	if richest == nil {
		return
	}
	richest.mu.Lock()
	defer richest.mu.Unlock()
	if victim := richest.queues.evict(nil, 1, true); victim != nil {
		richest.drop(victim, CauseEvicted, gone)
		c.budget.give(1, richest.weighed(victim))
	}
}

// insert adds n, whose key has no entry and whose place is taken from the
// budget.
func (s *shard[K, V]) insert(n *node[K, V]) {
	t := s.table.Load()
	if t.full() {
		t = t.grown(s.tableSize(t.len))
		s.table.Store(t)
	}
	t.insert(n)
	s.queues.insert(n)
	s.enroll(n)
}

// tableSize returns the size of the table that replaces a full table of n
// nodes. It is the double, or if that exceeds the share of a shard, that share
// and a reserve for the variance of the hash.
func (s *shard[K, V]) tableSize(n int) int {
	share := int(min(s.cache.budget.capacity.Load(), 1<<40)) / len(s.cache.shards)
	if share += share/16 + 8; n < share && share < 2*n {
		return share
	}
	return 2 * n
}

// replace puts n in the place of old, which has the same key.
func (s *shard[K, V]) replace(old, n *node[K, V], gone *departed[K, V]) {
	s.table.Load().replace(old, n)
	s.queues.replace(old, n)
	s.schedule.remove(old)
	s.enroll(n)
	s.depart(old, CauseReplaced, gone)
}

// remove removes n.
func (s *shard[K, V]) remove(n *node[K, V], cause Cause, gone *departed[K, V]) {
	s.queues.remove(n)
	s.drop(n, cause, gone)
	s.cache.budget.give(1, s.weighed(n))
}

// drop removes n, which is in no queue any more, from the table and the
// schedule. The caller gives back its place in the budget.
func (s *shard[K, V]) drop(n *node[K, V], cause Cause, gone *departed[K, V]) {
	t := s.table.Load()
	t.remove(n)
	s.schedule.remove(n)
	if t.sparse() {
		s.table.Store(t.grown(2 * t.len))
		s.schedule = slices.Clone(s.schedule)
		s.queues.sketch.shrink(t.len)
	}
	s.depart(n, cause, gone)
}

// depart counts the departure of the value of n and keeps it for emit. If the
// value had expired before, the cause is CauseExpired.
func (s *shard[K, V]) depart(n *node[K, V], cause Cause, gone *departed[K, V]) {
	if s.cache.age(n) != fresh {
		cause = CauseExpired
	}
	switch cause {
	case CauseEvicted:
		s.stats.Evictions++
	case CauseExpired:
		s.stats.Expirations++
	}
	if s.cache.shadow {
		n.next, s.spare = s.spare, n
	}
	if gone.len++; s.cache.config.Load().OnEvent != nil {
		n.meta.Store(uint32(cause) << causeShift)
		gone.push(n)
	}
}
