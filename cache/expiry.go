package cache

import (
	"container/heap"
	"context"
	"time"
	"weak"
)

// A schedule is the expiry queue of a shard: a heap of the entries that will expire, the one due first on top. What a
// read does to the end of an entry it does not know: when an entry is due it may have to be put back.
type schedule[K comparable, V any] []*node[K, V]

func (s schedule[K, V]) Len() int           { return len(s) }
func (s schedule[K, V]) Less(i, j int) bool { return s[i].attrs.due < s[j].attrs.due }

func (s schedule[K, V]) Swap(i, j int) {
	s[i], s[j] = s[j], s[i]
	s[i].attrs.pos, s[j].attrs.pos = i, j
}

// Push is part of heap.Interface.
func (s *schedule[K, V]) Push(x any) {
	n := x.(*node[K, V])
	n.attrs.pos = len(*s)
	*s = append(*s, n)
}

// Pop is part of heap.Interface.
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

// enroll puts n, if it will expire, in the expiry queue of s, and sees to it that somebody looks there in time.
func (c *Cache[K, V]) enroll(s *shard[K, V], n *node[K, V]) {
	if n.attrs == nil {
		return
	}
	n.attrs.due = add(n.attrs.end(0), c.config.StaleIfError)
	if n.attrs.due != never {
		heap.Push(&s.schedule, n)
		c.arm(n.attrs.due)
	}
}

// batch is how many entries expire under one hold of a lock.
const batch = 128

// expireSome removes up to batch dead entries of s, and reports whether there may be more. It returns when the next is
// due, or never.
func (c *Cache[K, V]) expireSome(s *shard[K, V], gone *departed[K, V]) (next int64, more bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for range batch {
		if len(s.schedule) == 0 {
			return never, false
		}
		n := s.schedule[0]
		if n.attrs.due > c.now() {
			return n.attrs.due, false
		}
		if c.age(n) == dead {
			c.remove(s, n, CauseExpired, gone)
			continue
		}
		n.attrs.due = add(n.attrs.end(0), c.config.StaleIfError)
		heap.Fix(&s.schedule, 0)
	}
	return 0, true
}

// Expire removes all entries that have expired, those excepted that StaleIfError still keeps, and returns their number. There
// is no need to call it: each is removed soon after it has expired.
func (c *Cache[K, V]) Expire() int {
	n, _ := c.expire()
	return n
}

func (c *Cache[K, V]) expire() (removed int, next int64) {
	next = never
	for i := range c.shards {
		for more := true; more; {
			var gone departed[K, V]
			var due int64
			due, more = c.expireSome(&c.shards[i], &gone)
			if !more {
				next = min(next, due)
			}
			removed += gone.len
			c.emit(context.Background(), &gone)
		}
	}
	return removed, next
}

// slack is the part of its delay by which a timer that is running may be late for a new entry. With each timer that much
// earlier than the one before, there are never more than a few hundred.
const slack = 8

// minDelay keeps a cache whose entries expire one by one from waking up for each.
const minDelay = time.Millisecond

// arm sees to it that wake runs at about due. Timers are not kept, and none is stopped: one that a later one has
// overtaken does nothing when it fires. None keeps the cache from being collected.
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

// wake runs in the goroutine of a timer set for due.
func (c *Cache[K, V]) wake(due int64) {
	if c.armed.CompareAndSwap(due, 0) {
		_, next := c.expire()
		c.arm(next)
	}
}
