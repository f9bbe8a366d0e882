package cache

import (
	"math"
	"sync/atomic"
	"time"
)

// A node is one entry. Readers reach it through the table without a lock: so key, value and hash never change, and a new
// value is a new node in the place of the old one. The links belong to the shard and are used under its lock only.
type node[K comparable, V any] struct {
	key        K
	value      V
	hash       uint32        // the low half of the key's hash; the shard is chosen by the high half
	meta       atomic.Uint32 // heat and the other bits below
	prev, next *node[K, V]   // in a list; next alone among the departed
	attrs      *attrs        // nil for an entry of weight 1 that never expires
}

// Attrs are what an entry needs beyond key and value if it has a lifetime or a weight. Times are nanoseconds since the
// cache was made.
type attrs struct {
	deadline int64        // the end of the lifetime, or never
	idle     atomic.Int64 // the end of idleness, or never; negated once somebody has seen it passed, which is final
	refresh  atomic.Int64 // from when on GetOrLoad loads anew, or never
	due      int64        // when the expiry queue looks at the entry: no later than its removal
	pos      int          // in the expiry queue, or -1
	weight   uint32
}

// The bits of node.meta. Without the lock only the heat changes.
const (
	heatMask   = 3 // uses since a hand of the policy last passed, 3 standing for more
	inMain     = 4 // in the main queue, not the window
	causeShift = 3 // above: the Cause of the departure
)

const never = math.MaxInt64

// warm notes a use. A hot entry is only read, so that processors can share it.
func (n *node[K, V]) warm() {
	if x := n.meta.Load(); x&heatMask < heatMask {
		n.meta.CompareAndSwap(x, x+1) // if that fails somebody else has just noted one
	}
}

func (n *node[K, V]) heat() uint32 { return n.meta.Load() & heatMask }

func (n *node[K, V]) setHeat(heat uint32) {
	n.meta.And(^uint32(heatMask))
	n.meta.Or(heat)
}

func (n *node[K, V]) weight() uint32 {
	if n.attrs == nil {
		return 1
	}
	return n.attrs.weight
}

// end returns the instant from which the entry has expired, as it looks at now. Seeing the end of idleness passed makes it
// final, so that no reader who looked at the clock earlier revives what somebody has found absent.
func (a *attrs) end(now int64) int64 {
	for {
		idle := a.idle.Load()
		switch {
		case idle < 0:
			return min(a.deadline, -idle)
		case now < idle || a.idle.CompareAndSwap(idle, -idle):
			return min(a.deadline, idle)
		}
	}
}

// extend moves the end of idleness to at least idle and reports whether the entry was still alive.
func (a *attrs) extend(now, idle int64) bool {
	for {
		old := a.idle.Load()
		switch {
		case old < 0 || now >= old:
			return false
		case idle <= old || a.idle.CompareAndSwap(old, idle):
			return true
		}
	}
}

// An age says what an entry is good for.
type age uint8

const (
	fresh age = iota // before its end
	stale            // at or past it, kept for Config.StaleIfError: absent, but for a load that fails
	dead             // past that too: only not yet removed
)

// age is the one rule of expiry: an entry has expired as soon as now is not before its end.
func (c *Cache[K, V]) age(n *node[K, V]) age {
	if n.attrs == nil || n.attrs.deadline == never && n.attrs.idle.Load() == never {
		return fresh
	}
	now := c.now()
	end := n.attrs.end(now)
	switch {
	case now < end:
		return fresh
	case now < add(end, c.config.StaleIfError):
		return stale
	}
	return dead
}

// use is age for a lookup: it extends the idleness of a fresh entry, and tells whether it is one.
func (c *Cache[K, V]) use(n *node[K, V]) bool {
	if n.attrs == nil {
		return true
	}
	if c.config.IdleTTL == 0 {
		return c.age(n) == fresh
	}
	now := c.now()
	return now < n.attrs.end(now) && n.attrs.extend(now, add(now, c.config.IdleTTL))
}

// now is the time on the monotonic clock since the cache was made: a jump of the wall clock expires nothing.
func (c *Cache[K, V]) now() int64 { return int64(time.Since(c.epoch)) }

// add returns t + d, or never where that overflows. Neither is negative.
func add(t int64, d time.Duration) int64 {
	if int64(d) > never-t {
		return never
	}
	return t + int64(d)
}

// plain reports whether an entry of this lifetime needs no attrs.
func (c *Cache[K, V]) plain(ttl time.Duration) bool {
	return ttl == NoExpiry && c.config.Weigh == nil && c.config.IdleTTL == 0 && c.config.Refresh == 0
}

// newNode returns an entry whose lifetime of ttl begins now. It calls Weigh.
func (c *Cache[K, V]) newNode(k K, v V, hash uint32, ttl time.Duration) *node[K, V] {
	if c.plain(ttl) {
		return &node[K, V]{key: k, value: v, hash: hash}
	}
	both := &struct { // one allocation
		node[K, V]
		attrs
	}{node: node[K, V]{key: k, value: v, hash: hash}}
	n, a := &both.node, &both.attrs
	n.attrs, a.pos, a.weight = a, -1, 1
	if c.config.Weigh != nil {
		a.weight = c.config.Weigh(k, v)
	}
	now := c.now()
	a.deadline = add(now, ttl)
	a.idle.Store(later(now, c.config.IdleTTL))
	a.refresh.Store(later(now, c.config.Refresh))
	return n
}

// later returns now + d, or never if d is 0.
func later(now int64, d time.Duration) int64 {
	if d == 0 {
		return never
	}
	return add(now, d)
}

// A list is a queue of entries, newest in front.
type list[K comparable, V any] struct {
	ring *node[K, V] // sentinel: ring.next is the newest, ring.prev the oldest
	len  int
}

func newList[K comparable, V any]() list[K, V] {
	ring := new(node[K, V])
	ring.prev, ring.next = ring, ring
	return list[K, V]{ring: ring}
}

// oldest returns the last of the queue, or nil.
func (l *list[K, V]) oldest() *node[K, V] {
	if l.len == 0 {
		return nil
	}
	return l.ring.prev
}

func (l *list[K, V]) push(n *node[K, V]) {
	n.prev, n.next = l.ring, l.ring.next
	n.prev.next, n.next.prev = n, n
	l.len++
}

func (l *list[K, V]) remove(n *node[K, V]) {
	n.prev.next, n.next.prev = n.next, n.prev
	n.prev, n.next = nil, nil
	l.len--
}

// renew moves n to the front.
func (l *list[K, V]) renew(n *node[K, V]) {
	if l.ring.next != n {
		l.remove(n)
		l.push(n)
	}
}

// replace puts n in the place of old.
func (l *list[K, V]) replace(old, n *node[K, V]) {
	n.prev, n.next = old.prev, old.next
	n.prev.next, n.next.prev = n, n
	old.prev, old.next = nil, nil
}

// appendTo appends the entries of the queue, oldest first.
func (l *list[K, V]) appendTo(nodes []*node[K, V]) []*node[K, V] {
	for n := l.ring.prev; n != l.ring; n = n.prev {
		nodes = append(nodes, n)
	}
	return nodes
}
