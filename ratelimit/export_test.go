package ratelimit

import (
	"time"
	"unsafe"
)

// Waiting returns the number of waiting callers and the sum of their events.
func (l *Limiter) Waiting() (callers int, events int64) {
	l.seal()
	defer l.unseal()
	return l.waiters.Len(), l.ahead
}

// Frac returns the number of units per event of the first limit, as an
// exponent of 2.
func (l *Limiter) Frac() uint { return uint(l.current().buckets[0].frac) }

// Epoch returns the instant from which l counts.
func (l *Limiter) Epoch() time.Time { return l.epoch }

// Word returns the raw state of a Limiter with one limit and no waiters.
func (l *Limiter) Word() int64 { return l.current().word.Load() }

// Open returns the number of reservations that are open and due, and whether
// others are not yet due.
func (l *Limiter) Open() (due int, next bool) { return l.history.length, l.history.next != nil }

// SetSize is the size of a set of 8 slots, in bytes.
const SetSize = unsafe.Sizeof(set{})

// Due returns the instant of a reservation, in nanoseconds after Epoch.
func (r *Reservation) Due() int64 { return r.node.due }

// Bounds of the history.
const (
	MaxPast  = maxPast
	MaxHoles = maxHoles
)

// Depth returns the depth of the tree of reservations that are not yet due.
func (l *Limiter) Depth() int { return l.history.next.depth() }

func (t *node) depth() int {
	if t == nil {
		return 0
	}
	return 1 + max(t.left.depth(), t.right.depth())
}

// Locked calls f while the lock of l is held.
func (l *Limiter) Locked(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f()
}
