package ratelimit

import (
	"context"
	"math"
	"math/bits"
	"sync"
	"time"
)

// A Counter estimates a [Window] from two numbers, a sliding window counter:
// the events of the current period, and the events of the previous period in
// proportion to the part of it that the window still covers. If events come
// evenly, the estimate is right. At worst, if the events of a period all come
// at its end, a window sees not quite twice the limit. All methods may be
// called concurrently. The zero Counter admits nothing.
type Counter struct {
	limit Limit
	epoch time.Time

	mu        sync.Mutex
	period    int64 // the number of the current period
	prev, cur int64 // events
}

// NewCounter returns a Counter of limit.N events per limit.Per, at least 1. A
// counter has no burst apart from N. NewCounter panics if the limit is invalid
// or has another Burst.
func NewCounter(limit Limit) *Counter {
	if err := limit.validateWindow("ratelimit: counter: ", math.MaxInt64); err != nil {
		panic(err)
	}
	return &Counter{limit: limit.normal(), epoch: time.Now(), period: math.MinInt64}
}

// Allow reports whether an event may happen now. If so, it counts the event.
func (c *Counter) Allow() bool { return c.Take(1).OK }

// AllowN reports whether n events may happen now. If so, it counts all of them,
// otherwise none.
func (c *Counter) AllowN(n int64) bool { return c.Take(n).OK }

// AllowAt is [Counter.AllowN] at the instant t, to replay recorded events. A t
// before the period of an admitted event counts as the start of that period.
func (c *Counter) AllowAt(t time.Time, n int64) bool { return c.take(since(c.epoch, t), n).OK }

// Take is [Counter.AllowN] with the full [Decision]. Remaining and RetryAfter
// follow the estimate.
func (c *Counter) Take(n int64) Decision { return c.take(int64(time.Since(c.epoch)), n) }

// Wait waits until an event may happen, and counts it. Waiting callers have no
// order: each tries again when the first of them may go on.
//
// Errors: see [Limiter.Wait].
func (c *Counter) Wait(ctx context.Context) error { return poll(ctx, 1, c.Take) }

// WaitN is [Counter.Wait] for n events, which are counted together.
func (c *Counter) WaitN(ctx context.Context, n int64) error { return poll(ctx, n, c.Take) }

// Do waits for c and calls fn once.
//
// Errors: the error of [Counter.Wait], without a call of fn, or the error of
// fn.
func (c *Counter) Do(ctx context.Context, fn func(context.Context) error) error {
	return do(ctx, c, fn)
}

func (c *Counter) take(ns, n int64) Decision {
	d := Decision{N: n, Limit: c.limit}
	per := int64(c.limit.Per)
	if per <= 0 { // the zero Counter
		d.OK = n == 0
		return d
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	left := c.rotate(ns, per) // of the period
	room := c.limit.N - c.cur - scale(c.prev, left, per)
	d.OK = 0 <= n && n <= max(room, 0)
	switch {
	case d.OK:
		c.cur += n
		room -= n
	case n >= 0 && n <= c.limit.N:
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
	if room := c.limit.N - c.cur - n; room >= 0 { // when enough of the previous period has left the window
		return time.Duration(left - floor(room, per, c.prev))
	}
	return sum(left, per-floor(c.limit.N-n, per, c.cur))
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
