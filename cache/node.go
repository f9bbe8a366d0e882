package cache

import (
	"math"
	"sync/atomic"
	"time"
)

// A node is one entry. Readers reach it through the table without a lock.
// Therefore key, value and hash never change, except for a value that is
// overwritten in place (see word). A new value is a new node in the place of
// the old node. The links belong to the shard and are used under its lock.
type node[K comparable, V any] struct {
	key        K
	value      V
	hash       uint32        // the low half of the key's hash; the high half selects the shard
	meta       atomic.Uint32 // the heat and the other bits below
	prev, next *node[K, V]   // in a list; only next in a departed queue
	attrs      *attrs        // nil for an entry of weight 1 that never expires
}

// Attrs are the additional data of an entry with a lifetime or a weight.
// Instants are nanoseconds since the cache was created.
type attrs struct {
	deadline int64        // the end of the lifetime, never, or past
	idle     atomic.Int64 // the end of idleness, or never; negated, which is final, once a reader found it passed
	refresh  atomic.Int64 // from when on GetOrLoad refreshes the entry, or never
	due      int64        // when the schedule looks at the entry, not after its end
	pos      int          // the position in the schedule, or -1
	weight   uint32
}

// The bits of node.meta. Without the lock only the heat changes.
const (
	heatMask   = 3 // uses since the policy last examined the entry; 3 means 3 or more
	inMain     = 4 // in the main queue, otherwise in the window
	causeShift = 3 // the bits above are the Cause of the departure
)

const (
	never = math.MaxInt64
	past  = 0 // the deadline of a value that had expired before it was stored
)

// warm counts a use, and reports whether it is the first since the entry was
// last cooled. If the entry is hot already, warm only reads it, so that
// processors can share its cache line.
func (n *node[K, V]) warm() (first bool) {
	x := n.meta.Load()
	if x&heatMask == heatMask {
		return false
	}
	// The swap fails if another reader has just counted a use.
	return n.meta.CompareAndSwap(x, x+1) && x&heatMask == 0
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

// end returns the instant from which the entry has expired, as seen at now. If
// the end of idleness has passed, end makes it final. A reader with an earlier
// reading of the clock then cannot revive an entry that was found absent.
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

// idleEnd returns the end of idleness, or never.
func (a *attrs) idleEnd() int64 {
	idle := a.idle.Load()
	return max(idle, -idle)
}

// extend moves the end of idleness to at least idle. It reports whether the
// entry was still alive.
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

// An age is the phase of an entry's life.
type age uint8

const (
	fresh age = iota // before its end
	stale            // at or after its end, kept for Config.StaleIfError
	dead             // after that, not yet removed
)

// age contains the rule of expiry: an entry has expired as soon as now is at or
// after its end.
func (c *Cache[K, V]) age(n *node[K, V]) age {
	if n.attrs == nil || n.attrs.deadline == never && n.attrs.idle.Load() == never {
		return fresh
	}
	now := c.now()
	end := n.attrs.end(now)
	switch {
	case now < end:
		return fresh
	case now < add(end, c.config.Load().StaleIfError):
		return stale
	}
	return dead
}

// use reports whether n is fresh, for a lookup. It then extends the idleness of
// n.
func (c *Cache[K, V]) use(n *node[K, V]) bool {
	if n.attrs == nil {
		return true
	}
	if c.config.Load().IdleTTL == 0 {
		return c.age(n) == fresh
	}
	now := c.now()
	return now < n.attrs.end(now) && n.attrs.extend(now, add(now, c.config.Load().IdleTTL))
}

// now returns the time since the cache was created. It reads the monotonic
// clock, so a jump of the wall clock expires no entry. It is 0 within a bubble
// of testing/synctest, whose clock is behind, if the cache was created outside.
func (c *Cache[K, V]) now() int64 { return max(0, int64(time.Since(c.epoch))) }

// add returns t + d, or never if that overflows. Neither is negative.
func add(t int64, d time.Duration) int64 {
	if int64(d) > never-t {
		return never
	}
	return t + int64(d)
}

// later returns now + d, or never if d is 0.
func later(now int64, d time.Duration) int64 {
	if d == 0 {
		return never
	}
	return add(now, d)
}

// plain reports whether an entry of this lifetime needs no attrs.
func (c *Cache[K, V]) plain(ttl time.Duration) bool {
	return ttl == NoExpiry && c.config.Load().Weigh == nil && c.config.Load().IdleTTL == 0 && c.config.Load().Refresh == 0
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
	if c.config.Load().Weigh != nil {
		a.weight = c.config.Load().Weigh(k, v)
	}
	now := c.now()
	a.deadline = past
	if ttl > 0 {
		a.deadline = add(now, ttl)
	}
	a.idle.Store(later(now, c.config.Load().IdleTTL))
	a.refresh.Store(later(now, c.config.Load().Refresh))
	return n
}
