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

// Held returns the number of reservations that may still return units.
func (l *Limiter) Held() int { return len(l.held) }

// SetSize is the size of a set of 8 slots, in bytes.
const SetSize = unsafe.Sizeof(set{})
