package cache

import (
	"container/heap"
	"context"
	"sync"
	"sync/atomic"
	"time"
	"weak"
)

// A schedule is the expiry queue of a shard: a heap of the entries that will
// expire, the entry due first on top. Lookups may extend the life of an entry
// without a change of the heap. So an entry that is due may have to be put
// back.
type schedule[K comparable, V any] []*node[K, V]

func (s schedule[K, V]) Len() int           { return len(s) }
func (s schedule[K, V]) Less(i, j int) bool { return s[i].attrs.due < s[j].attrs.due }

func (s schedule[K, V]) Swap(i, j int) {
	s[i], s[j] = s[j], s[i]
	s[i].attrs.pos, s[j].attrs.pos = i, j
}

// Push implements heap.Interface.
func (s *schedule[K, V]) Push(x any) {
	n := x.(*node[K, V])
	n.attrs.pos = len(*s)
	*s = append(*s, n)
}

// Pop implements heap.Interface.
func (s *schedule[K, V]) Pop() any {
	old := *s
	last := len(old) - 1
	n := old[last]
	old[last], *s = nil, old[:last]
	n.attrs.pos = -1
	return n
}

func (s *schedule[K, V]) remove(n *node[K, V]) {
	if n.attrs != nil && n.attrs.pos >= 0 {
		heap.Remove(s, n.attrs.pos)
	}
}

// enroll schedules n and arms a timer, if n will expire.
func (s *shard[K, V]) enroll(n *node[K, V]) {
	if n.attrs == nil {
		return
	}
	n.attrs.due = add(n.attrs.end(0), s.cache.config.Load().StaleIfError)
	if n.attrs.due != never {
		heap.Push(&s.schedule, n)
		s.cache.arm(n.attrs.due)
	}
}

// batch is the number of entries that expire under one hold of a lock.
const batch = 128

// expireSome removes up to batch dead entries. It reports whether there may be
// more. If not, it returns the instant at which the next entry is due, or
// never.
func (s *shard[K, V]) expireSome(gone *departed[K, V]) (next int64, more bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for range batch {
		if !s.expireOne(nil, gone) {
			if len(s.schedule) == 0 {
				return never, false
			}
			return s.schedule[0].attrs.due, false
		}
	}
	return 0, true
}

// expireOne removes a dead entry, if there is any except keep. It reports
// whether it did.
func (s *shard[K, V]) expireOne(keep *node[K, V], gone *departed[K, V]) bool {
	for len(s.schedule) > 0 {
		n := s.schedule[0]
		if n == keep || n.attrs.due > s.cache.now() {
			return false
		}
		if s.cache.age(n) == dead {
			s.remove(n, CauseExpired, gone)
			return true
		}
		n.attrs.due = add(n.attrs.end(0), s.cache.config.Load().StaleIfError)
		heap.Fix(&s.schedule, 0)
	}
	return false
}

// overdue reports whether entries of several shards have expired, as far as the
// timer knows, and are not removed yet.
func (c *Cache[K, V]) overdue() bool {
	armed := c.alarm.due.Load()
	return len(c.shards) > 1 && armed != 0 && armed <= c.now()
}

// Expire removes all expired entries, except stale entries that StaleIfError
// keeps. It returns the number of removed entries. Programs need not call
// Expire: the cache removes each entry soon after it has expired.
func (c *Cache[K, V]) Expire() int {
	n, _ := c.expire()
	return n
}

// expire also returns the instant at which the next entry is due, or never.
func (c *Cache[K, V]) expire() (removed int, next int64) {
	next = never
	for i := range c.shards {
		for more := true; more; {
			var gone departed[K, V]
			var due int64
			due, more = c.shards[i].expireSome(&gone)
			if !more {
				next = min(next, due)
			}
			removed += gone.len
			c.emit(context.Background(), &gone)
		}
	}
	return removed, next
}

// sweep removes the dead entries of all shards.
func (c *Cache[K, V]) sweep(gone *departed[K, V]) {
	for i := range c.shards {
		for more := true; more; {
			_, more = c.shards[i].expireSome(gone)
		}
	}
}

// minDelay bounds the rate of wake-ups of a cache whose entries expire one
// after another.
const minDelay = time.Millisecond

// An alarm is the timer of a cache. A cache has at most one alarm, which
// does not keep the cache from being collected.
type alarm struct {
	due   atomic.Int64 // the instant for which timer is set, or 0
	mu    sync.Mutex   // guards timer and changes of due
	timer *time.Timer
}

// arm ensures that wake runs soon after due.
func (c *Cache[K, V]) arm(due int64) {
	if armed := c.alarm.due.Load(); due == never || armed != 0 && armed <= due {
		return
	}
	instant := time.Now()
	if bubbled(instant) != bubbled(c.epoch) {
		return
	}
	c.alarm.mu.Lock()
	defer c.alarm.mu.Unlock()
	now := int64(instant.Sub(c.epoch))
	due = max(due, now+int64(minDelay))
	if armed := c.alarm.due.Load(); armed != 0 && armed <= due {
		return
	}
	c.alarm.due.Store(due)
	if c.alarm.timer != nil {
		c.alarm.timer.Reset(time.Duration(due - now))
		return
	}
	self := weak.Make(c)
	c.alarm.timer = time.AfterFunc(time.Duration(due-now), func() {
		if c := self.Value(); c != nil {
			c.wake()
		}
	})
}

// bubbled reports whether t was read within a bubble of testing/synctest, where
// instants have no monotonic reading. The timer of a cache works only on the
// side of the bubble on which the cache was created: to reset it on the other
// side would end the program.
func bubbled(t time.Time) bool { return t == t.Round(0) }

// wake runs in the goroutine of the timer.
func (c *Cache[K, V]) wake() {
	c.alarm.mu.Lock()
	c.alarm.due.Store(0)
	c.alarm.mu.Unlock()
	_, next := c.expire()
	c.arm(next)
}
