package cache

import (
	"math"
	"sync/atomic"
	"time"
	"unsafe"
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
	deadline int64 // the end of the lifetime, never, or past
	pos      int32 // the position in the schedule, or -1
	weight   uint32
}

// LongAttrs are the attrs of an entry with the bit long. Other entries never
// become idle and are never refreshed, so they need less memory.
type longAttrs struct {
	attrs                // the first field: see node.long
	idle    atomic.Int64 // the end of idleness, or never; negated, which is final, once a reader found it passed
	refresh atomic.Int64 // from when on GetOrLoad refreshes the entry, or never
	due     int64        // when the schedule looks at the entry, not after its end
}

// long returns the attrs of an entry that has longAttrs, otherwise nil.
func (n *node[K, V]) long() *longAttrs {
	if n.meta.Load()&long == 0 {
		return nil
	}
	return (*longAttrs)(unsafe.Pointer(n.attrs)) // newNode made them
}

// The bits of node.meta. Without the lock only the heat changes.
const (
	heatMask   = 3 // uses since the policy last examined the entry; 3 means 3 or more
	inMain     = 4 // in the main queue, otherwise in the window
	long       = 8 // the entry has longAttrs; final
	causeShift = 4 // the bits above are the Cause of the departure
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

// end returns the instant from which n, which has attrs, has expired, as seen
// at now. If the end of idleness has passed, end makes it final. A reader with
// an earlier reading of the clock then cannot revive an entry that was found
// absent.
func (n *node[K, V]) end(now int64) int64 {
	a := n.long()
	if a == nil {
		return n.attrs.deadline
	}
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

// due returns the instant at which the schedule looks at n, not after its end.
func (n *node[K, V]) due() int64 {
	if a := n.long(); a != nil {
		return a.due
	}
	return n.attrs.deadline
}

// plan sets the instant that due returns, and reports whether n will expire.
func (n *node[K, V]) plan() bool {
	if a := n.long(); a != nil {
		a.due = n.end(0)
	}
	return n.due() != never
}

// idleEnd returns the end of idleness, or never.
func (n *node[K, V]) idleEnd() int64 {
	a := n.long()
	if a == nil {
		return never
	}
	idle := a.idle.Load()
	return max(idle, -idle)
}

// extend moves the end of idleness to at least idle. It reports whether the
// entry was still alive.
func (n *node[K, V]) extend(now, idle int64) bool {
	a := n.long()
	if a == nil {
		return true
	}
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
	if n.attrs == nil || n.attrs.deadline == never && n.idleEnd() == never {
		return fresh
	}
	now := c.now()
	end := n.end(now)
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
	return now < n.end(now) && n.extend(now, add(now, c.config.Load().IdleTTL))
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
	config, weight := c.config.Load(), uint32(1)
	if config.Weigh != nil {
		weight = config.Weigh(k, v)
	}
	n, now := newLongNode[K, V](config.IdleTTL != 0 || config.Refresh != 0), c.now()
	n.key, n.value, n.hash = k, v, hash
	*n.attrs = attrs{deadline: past, pos: -1, weight: weight}
	if ttl > 0 {
		n.attrs.deadline = add(now, ttl)
	}
	if a := n.long(); a != nil {
		a.idle.Store(later(now, config.IdleTTL))
		a.refresh.Store(later(now, config.Refresh))
	}
	return n
}

// newLongNode returns a node with attrs, or with longAttrs. Both are one
// allocation.
func newLongNode[K comparable, V any](isLong bool) *node[K, V] {
	if !isLong {
		both := &struct {
			node[K, V]
			attrs
		}{}
		both.node.attrs = &both.attrs
		return &both.node
	}
	both := &struct {
		node[K, V]
		longAttrs
	}{}
	both.node.attrs = &both.longAttrs.attrs
	both.meta.Store(long)
	return &both.node
}
