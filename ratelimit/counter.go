package ratelimit

import (
	"math"
	"math/bits"
	"time"
)

// A Counter is a sliding window counter: it estimates a [Window] from two
// numbers. They are the events of the current period, and the part of the
// events of the previous period that the window still covers. If events come
// evenly, the estimate is right. At worst, if the events of a period all come
// at its end, a window sees not quite twice the limit. All methods may be
// called concurrently. The zero Counter admits nothing.
type Counter struct {
	meter

	period    int64 // the number of the current period
	prev, cur int64 // events
}

// NewCounter returns a Counter of limit.N events per limit.Per, at least 1. A
// counter has no burst apart from N. NewCounter panics if the limit is invalid
// or has another Burst. [Counter.Set] adds a name and a hook.
func NewCounter(limit Limit) *Counter {
	c := &Counter{period: math.MinInt64}
	c.start(WindowConfig{Limit: limit}, "counter", math.MaxInt64, c.decideLocked)
	return c
}

// Set replaces the configuration. The counter keeps its events. If limit.Per
// changes, the events of the estimate count as events of the new period.
//
// Errors: see [NewCounter]; the configuration does not change. The zero Counter
// cannot be changed.
func (c *Counter) Set(config WindowConfig) error {
	return c.set(config, "counter", math.MaxInt64, func(ns int64) {
		per := int64(c.config.Limit.Per)
		if next := int64(config.Limit.Per); next != per {
			left := c.rotate(ns, per)
			c.cur += scale(c.prev, left, per)
			c.prev, c.period = 0, ns/next
		}
	})
}

func (c *Counter) decideLocked(ns, n int64) Decision {
	limit := c.config.Limit
	d := Decision{N: n, Limit: limit, AtOnce: true}
	per := int64(limit.Per)
	left := c.rotate(ns, per) // of the period
	room := limit.N - c.cur - scale(c.prev, left, per)
	d.OK = 0 <= n && n <= max(room, 0)
	switch {
	case d.OK:
		c.cur += n
		room -= n
	case n >= 0 && n <= limit.N:
		d.refuse(0, int64(c.retryAfter(n, left, per)))
	}
	d.Remaining = max(room, 0)
	if c.cur > 0 {
		d.ResetAfter = sum(left, per)
	} else if c.prev > 0 {
		d.ResetAfter = time.Duration(left)
	}
	return d
}

// rotate moves on to the period of ns and returns how much of the period is
// left, in nanoseconds. Time does not go back.
func (c *Counter) rotate(ns, per int64) (left int64) {
	period, rest := ns/per, ns%per
	if rest < 0 {
		period, rest = period-1, rest+per
	}
	switch {
	case period < c.period:
		return per
	case period == c.period:
	case period == c.period+1:
		c.prev, c.cur = c.cur, 0
	default:
		c.prev, c.cur = 0, 0
	}
	c.period = period
	return per - rest
}

// retryAfter returns the time until the estimate leaves room for n events, if
// no other events come.
func (c *Counter) retryAfter(n, left, per int64) time.Duration {
	most := c.config.Limit.N
	if room := most - c.cur - n; room >= 0 { // when enough of the previous period has left the window
		return time.Duration(left - floor(room, per, c.prev))
	}
	return sum(left, per-floor(most-n, per, c.cur))
}

// scale returns a * b / c rounded up, for b <= c.
func scale(a, b, c int64) int64 {
	hi, lo := bits.Mul64(uint64(a), uint64(b))
	q, rem := bits.Div64(hi, lo, uint64(c))
	if rem > 0 {
		q++
	}
	return int64(q)
}

// floor returns a * b / c rounded down, for a < c.
func floor(a, b, c int64) int64 {
	hi, lo := bits.Mul64(uint64(a), uint64(b))
	q, _ := bits.Div64(hi, lo, uint64(c))
	return int64(q)
}

// sum returns a + b, less than math.MaxInt64.
func sum(a, b int64) time.Duration { return time.Duration(a + min(b, math.MaxInt64-1-a)) }
