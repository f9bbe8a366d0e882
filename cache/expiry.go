package cache

import (
	"container/heap"
	"context"
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
		if len(s.schedule) == 0 {
			return never, false
		}
		n := s.schedule[0]
		if n.attrs.due > s.cache.now() {
			return n.attrs.due, false
		}
		if s.cache.age(n) == dead {
			s.remove(n, CauseExpired, gone)
			continue
		}
		n.attrs.due = add(n.attrs.end(0), s.cache.config.Load().StaleIfError)
		heap.Fix(&s.schedule, 0)
	}
	return 0, true
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

// A pending timer may be late for a new entry by a slack-th of the delay that
// remains. Otherwise arm starts an earlier timer. So a series of entries that
// are due ever earlier starts few timers.
const slack = 8

// minDelay bounds the rate of wake-ups of a cache whose entries expire one
// after another.
const minDelay = time.Millisecond

// arm ensures that wake runs at about due. It neither keeps nor stops timers:
// a timer that an earlier timer has replaced does nothing when it fires. No
// timer keeps the cache from being collected.
func (c *Cache[K, V]) arm(due int64) {
	if due == never {
		return
	}
	now := c.now()
	for {
		armed := c.armed.Load()
		if armed != 0 && due >= armed-(armed-now)/slack {
			return
		}
		due = max(due, now+int64(minDelay))
		if armed != 0 && due >= armed {
			return
		}
		if c.armed.CompareAndSwap(armed, due) {
			break
		}
	}
	self := weak.Make(c)
	time.AfterFunc(time.Duration(due-now), func() {
		if c := self.Value(); c != nil {
			c.wake(due)
		}
	})
}

// wake runs in the goroutine of the timer that was armed for due.
func (c *Cache[K, V]) wake(due int64) {
	if c.armed.CompareAndSwap(due, 0) {
		_, next := c.expire()
		c.arm(next)
	}
}
