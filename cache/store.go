package cache

import (
	"math"
	"time"
)

// A store holds at most capacity entries in the exact order of their last use and knows when each expires. It locks
// nothing, calls nobody, and reports what departs as a return value; the Cache around it locks and reports.
type store[K comparable, V any] struct {
	capacity int
	grace    time.Duration // how long past its deadline an entry is kept
	epoch    time.Time     // deadlines count from here, on the monotonic clock: a jump of the wall clock expires nothing
	items    map[K]*entry[K, V]
	ring     *entry[K, V] // sentinel: ring.next is the coldest entry, ring.prev the hottest
	departed [Evicted + 1]uint64
}

type entry[K comparable, V any] struct {
	key        K
	value      V
	deadline   int64 // nanoseconds since the epoch, or never
	prev, next *entry[K, V]
}

// An age says what an entry is good for.
type age uint8

const (
	fresh age = iota // before its deadline
	stale            // at or past it, kept for the grace: absent, but for a load that fails
	dead             // past the grace too: only not yet removed
)

const never = math.MaxInt64

func newStore[K comparable, V any](capacity int, grace time.Duration) *store[K, V] {
	s := &store[K, V]{capacity: capacity, grace: grace, epoch: time.Now()}
	s.reset()
	return s
}

// reset forgets all entries, and the memory of a map that had grown with them.
func (s *store[K, V]) reset() {
	s.items = make(map[K]*entry[K, V])
	s.ring = new(entry[K, V])
	s.ring.prev, s.ring.next = s.ring, s.ring
}

// find returns the entry of k, or nil. It is no use of the entry, and removes nothing.
func (s *store[K, V]) find(k K) (*entry[K, V], age) {
	e := s.items[k]
	if e == nil {
		return nil, dead
	}
	return e, s.age(e)
}

// age is the one rule of expiry: an entry has expired as soon as now is not before its deadline.
func (s *store[K, V]) age(e *entry[K, V]) age {
	if e.deadline == never {
		return fresh
	}
	switch now := int64(time.Since(s.epoch)); {
	case now < e.deadline:
		return fresh
	case now < add(e.deadline, s.grace):
		return stale
	}
	return dead
}

// left is how long e stays fresh.
func (s *store[K, V]) left(e *entry[K, V]) time.Duration {
	if e.deadline == never {
		return NoExpiry
	}
	return time.Duration(e.deadline) - time.Since(s.epoch)
}

// deadline returns the instant ttl from now.
func (s *store[K, V]) deadline(ttl time.Duration) int64 {
	if ttl == NoExpiry {
		return never
	}
	return add(int64(time.Since(s.epoch)), ttl)
}

// add returns t + d, or never where that overflows. Neither is negative.
func add(t int64, d time.Duration) int64 {
	if int64(d) > never-t {
		return never
	}
	return t + int64(d)
}

// put stores v under k as the hottest entry. At most one value departs: the one that k had, or the coldest to make room.
// A key that differs from itself (a NaN) could never be found again, nor deleted from a map: its value departs at once.
func (s *store[K, V]) put(k K, v V, ttl time.Duration) (gone Event[K, V]) {
	e, age := s.find(k)
	switch {
	case e != nil:
		gone = s.depart(e, age, Replaced)
	case !equal(k, k):
		return s.depart(&entry[K, V]{key: k, value: v}, fresh, Evicted)
	case len(s.items) == s.capacity:
		e = s.ring.next
		gone = s.remove(e, s.age(e), Evicted)
		e.key, s.items[k] = k, e // the node serves again: a full cache inserts without an allocation
	default:
		e = &entry[K, V]{key: k}
		s.items[k] = e
	}
	e.value, e.deadline = v, s.deadline(ttl)
	s.touch(e)
	return gone
}

func equal[K comparable](a, b K) bool { return a == b }

// remove takes e out for the given cause, which is Expired if that had happened before.
func (s *store[K, V]) remove(e *entry[K, V], age age, cause Cause) Event[K, V] {
	s.unlink(e)
	delete(s.items, e.key)
	return s.depart(e, age, cause)
}

// depart counts and describes the departure of e's value.
func (s *store[K, V]) depart(e *entry[K, V], age age, cause Cause) Event[K, V] {
	if age != fresh {
		cause = Expired
	}
	s.departed[cause]++
	return Event[K, V]{Key: e.key, Value: e.value, Cause: cause}
}

// touch makes e, linked or not, the hottest entry.
func (s *store[K, V]) touch(e *entry[K, V]) {
	if e == s.ring.prev {
		return
	}
	s.unlink(e)
	e.prev, e.next = s.ring.prev, s.ring
	e.prev.next, s.ring.prev = e, e
}

func (s *store[K, V]) unlink(e *entry[K, V]) {
	if e.next != nil {
		e.prev.next, e.next.prev = e.next, e.prev
		e.prev, e.next = nil, nil
	}
}

// keys returns the keys of all entries, the coldest first.
func (s *store[K, V]) keys() []K {
	keys := make([]K, 0, len(s.items))
	for e := s.ring.next; e != s.ring; e = e.next {
		keys = append(keys, e.key)
	}
	return keys
}

// drain removes all entries, the coldest first.
func (s *store[K, V]) drain() []Event[K, V] {
	gone := make([]Event[K, V], 0, len(s.items))
	for e := s.ring.next; e != s.ring; e = e.next {
		gone = append(gone, s.depart(e, s.age(e), Deleted))
	}
	s.reset()
	return gone
}
