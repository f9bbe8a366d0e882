package ratelimit

import (
	"time"
	"unsafe"
)

// Waiting returns the number of callers in the queue and the sum of the events they want.
func (l *Limiter) Waiting() (callers int, events int64) {
	l.lock()
	defer l.unlock()
	return l.waiters.Len(), l.ahead
}

// Frac returns the units per event of the first limit, as a power of two.
func (l *Limiter) Frac() uint { return uint(l.current().buckets[0].frac) }

// Epoch returns the instant from which l counts.
func (l *Limiter) Epoch() time.Time { return l.epoch }

// Word returns the raw state of a limiter with one limit that nobody waits for.
func (l *Limiter) Word() int64 { return l.current().word.Load() }

// Held returns the number of reservations that may give back more.
func (l *Limiter) Held() int { return len(l.held) }

// SetSize is the size of a set of 8 slots, in bytes.
const SetSize = unsafe.Sizeof(set{})
