package ratelimit

import (
	"context"
	"math"
	"math/bits"
	"sync"
	"time"
)

// A Window admits at most n events in any stretch of time of one length: an exact sliding log. Of each event it
// keeps the instant, 8 bytes; where n is large and an estimate will do, use a [Counter], or a [Limiter]. An event that is
// exactly one length old no longer counts. All methods may be called at the same time. The zero Window admits nothing.
type Window struct {
	limit Limit
	epoch time.Time

	mu     sync.Mutex
	log    []int64 // a ring of instants in order
	head   int     // the oldest
	length int
}

// NewWindow returns a Window of n events per d. With an n or a d that is not positive it admits nothing.
func NewWindow(n int, d time.Duration) *Window {
	w := &Window{limit: Per(int64(n), d), epoch: time.Now()}
	if w.limit.check() == nil {
		w.log = make([]int64, n)
	}
	return w
}

// Allow reports whether an event may happen now, and logs it if so.
func (w *Window) Allow() bool { return w.Take(1).OK }

// AllowN reports whether n events may happen now, and logs all of them if so, none otherwise.
func (w *Window) AllowN(n int64) bool { return w.Take(n).OK }

// AllowAt is [Window.AllowN] at the instant t, for replaying recorded events. A t before that of an event already
// admitted counts as that instant.
func (w *Window) AllowAt(t time.Time, n int64) bool { return w.take(since(w.epoch, t), n).OK }

// Take is [Window.AllowN] with the full [Decision].
func (w *Window) Take(n int64) Decision { return w.take(int64(time.Since(w.epoch)), n) }

// Wait waits until an event may happen, and logs it. Callers that wait are not in line: each tries again when the first
// of them may go on. The errors are those of [Limiter.Wait].
func (w *Window) Wait(ctx context.Context) error { return poll(ctx, w.Take) }

func (w *Window) take(ns, n int64) Decision {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.length > 0 {
		ns = max(ns, w.at(w.length-1))
	}
	per := min(int64(w.limit.Per), maxUnits)
	for w.length > 0 && w.at(0) <= ns-per {
		w.head = (w.head + 1) % len(w.log)
		w.length--
	}
	d := Decision{N: n, Limit: w.limit}
	room := int64(len(w.log) - w.length)
	switch {
	case n < 0 || n > int64(len(w.log)):
		d.RetryAfter = Never
	case n > room:
		d.RetryAfter = time.Duration(w.at(int(n-room)-1) + per - ns)
	default:
		d.OK = true
		for range n {
			w.log[(w.head+w.length)%len(w.log)] = ns
			w.length++
		}
		room -= n
	}
	d.Remaining = room
	if w.length > 0 {
		d.ResetAfter = time.Duration(w.at(w.length-1) + per - ns)
	}
	return d
}

// at returns the i-th oldest instant.
func (w *Window) at(i int) int64 { return w.log[(w.head+i)%len(w.log)] }

// A Counter estimates a [Window] from two numbers: the events of the present period, and those of the one before in
// proportion to how much of it the window still covers. When events come evenly the estimate is right. At worst, when
// those of a period all come at its end, a stretch of one length sees not quite twice the limit. All methods may
// be called at the same time. The zero Counter admits nothing.
type Counter struct {
	limit Limit
	epoch time.Time

	mu        sync.Mutex
	period    int64 // the number of the present period
	prev, cur int64 // events
}

// NewCounter returns a Counter of n events per d. With an n or a d that is not positive it admits nothing.
func NewCounter(n int64, d time.Duration) *Counter {
	c := &Counter{limit: Per(n, d), epoch: time.Now(), period: math.MinInt64}
	if c.limit.check() != nil {
		c.limit = Limit{}
	}
	return c
}

// Allow reports whether an event may happen now, and counts it if so.
func (c *Counter) Allow() bool { return c.Take(1).OK }

// AllowN reports whether n events may happen now, and counts all of them if so, none otherwise.
func (c *Counter) AllowN(n int64) bool { return c.Take(n).OK }

// AllowAt is [Counter.AllowN] at the instant t, for replaying recorded events. A t before the period of an event
// already admitted counts as the beginning of that period.
func (c *Counter) AllowAt(t time.Time, n int64) bool { return c.take(since(c.epoch, t), n).OK }

// Take is [Counter.AllowN] with the full [Decision]. Remaining and RetryAfter follow the estimate.
func (c *Counter) Take(n int64) Decision { return c.take(int64(time.Since(c.epoch)), n) }

// Wait waits until an event may happen, and counts it. Callers that wait are not in line: each tries again when the
// first of them may go on. The errors are those of [Limiter.Wait].
func (c *Counter) Wait(ctx context.Context) error { return poll(ctx, c.Take) }

func (c *Counter) take(ns, n int64) Decision {
	d := Decision{N: n, Limit: c.limit, RetryAfter: Never}
	if c.limit.Per <= 0 {
		d.OK = n == 0
		if d.OK {
			d.RetryAfter = 0
		}
		return d
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	per := int64(c.limit.Per)
	left := c.rotate(ns, per) // of the period
	room := c.limit.N - c.cur - scale(c.prev, left, per)
	d.OK = 0 <= n && n <= max(room, 0)
	switch {
	case d.OK:
		d.RetryAfter = 0
		c.cur += n
		room -= n
	case n >= 0 && n <= c.limit.N:
		d.RetryAfter = c.retryAfter(n, left, per)
	}
	d.Remaining = max(room, 0)
	if c.cur > 0 {
		d.ResetAfter = sum(left, per)
	} else if c.prev > 0 {
		d.ResetAfter = time.Duration(left)
	}
	return d
}

// rotate moves on to the period of ns and returns how much of that is left, in nanoseconds. Time does not go back.
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

// retryAfter returns the time until the estimate leaves room for n events, if no others come.
func (c *Counter) retryAfter(n, left, per int64) time.Duration {
	if room := c.limit.N - c.cur - n; room >= 0 { // when enough of the period before is out of the window
		return time.Duration(left - floor(room, per, c.prev))
	}
	return sum(left, per-floor(c.limit.N-n, per, c.cur))
}

// scale returns a × b / c rounded up, for b <= c.
func scale(a, b, c int64) int64 {
	hi, lo := bits.Mul64(uint64(a), uint64(b))
	q, rem := bits.Div64(hi, lo, uint64(c))
	if rem > 0 {
		q++
	}
	return int64(q)
}

// floor returns a × b / c rounded down, for a < c.
func floor(a, b, c int64) int64 {
	hi, lo := bits.Mul64(uint64(a), uint64(b))
	q, _ := bits.Div64(hi, lo, uint64(c))
	return int64(q)
}

// sum returns a + b, at most just less than Never.
func sum(a, b int64) time.Duration { return time.Duration(a + min(b, int64(Never)-1-a)) }

// since returns t in nanoseconds after epoch, within bounds that leave room for sums.
func since(epoch, t time.Time) int64 { return min(max(int64(t.Sub(epoch)), -maxUnits), maxUnits) }

// poll takes one event by take, again and again when that is said to be possible.
func poll(ctx context.Context, take func(n int64) Decision) error {
	for {
		if ctx.Err() != nil {
			return cancelled(ctx)
		}
		d := take(1)
		if d.OK || d.RetryAfter == Never {
			return d.Err()
		}
		if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= d.RetryAfter {
			return &LimitedError{Decision: d, Late: true}
		}
		timer := time.NewTimer(d.RetryAfter)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return cancelled(ctx)
		}
	}
}
