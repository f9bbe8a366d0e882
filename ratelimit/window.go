package ratelimit

import (
	"context"
	"errors"
	"sort"
	"sync"
	"time"
)

// A Window admits at most N events in any period of length Per: an exact
// sliding window log. It stores 16 bytes for each instant of events, at most N
// times. If N is large and an estimate suffices, use a [Counter], or a
// [Limiter]. An event that is exactly one period old no longer counts. All
// methods may be called concurrently. The zero Window admits nothing.
type Window struct {
	epoch time.Time

	mu     sync.Mutex
	meter  meter
	log    []entry // a ring in the order of the instants
	head   int     // the oldest
	length int
	gone   int64 // the sum before the oldest
	sum    int64 // the sum of the newest
}

// An entry contains the events of an instant: sum is the number of all events
// up to it. Sums may overflow, but their differences do not.
type entry struct{ ns, sum int64 }

// maxWindow bounds the memory of a Window, to 2 GiB.
const maxWindow = 1 << 27

// NewWindow returns a Window of limit.N events in any period of limit.Per, from
// 1 to 2^27 events. A window has no burst apart from N. NewWindow panics if the
// limit is invalid or has another Burst. [Window.Set] adds a name and a hook.
func NewWindow(limit Limit) *Window {
	c := WindowConfig{Limit: limit}
	if err := c.validate("ratelimit: window: ", maxWindow); err != nil {
		panic(err)
	}
	w := &Window{epoch: time.Now()}
	w.meter.set(c)
	return w
}

// Config returns the configuration in force, with defaults filled in.
func (w *Window) Config() WindowConfig {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.meter.config
}

// Set replaces the configuration. The log keeps its newest events, at most
// limit.N of them. If limit.Per grows, events that were older than the former
// period do not count again.
//
// Errors: see [NewWindow]; the configuration does not change. The zero Window
// cannot be changed.
func (w *Window) Set(c WindowConfig) error {
	if err := c.validate("ratelimit: window: ", maxWindow); err != nil {
		return err
	}
	if w.epoch.IsZero() {
		return errors.New("ratelimit: the zero Window cannot be changed, want a Window made by NewWindow")
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.expire(int64(time.Since(w.epoch)))
	if c.Limit.N < w.meter.config.Limit.N { // release memory
		w.gone = max(w.gone-w.sum, -c.Limit.N) + w.sum
		w.drop(w.after(func(e entry) bool { return e.sum-w.gone > 0 }))
		w.grow(w.length)
	}
	w.meter.set(c)
	return nil
}

// Stats returns the figures.
func (w *Window) Stats() Stats {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.meter.stats()
}

// Allow reports whether an event may happen now. If so, it logs the event.
func (w *Window) Allow() bool { return w.Take(1).OK }

// AllowN reports whether n events may happen now. If so, it logs all of them,
// otherwise none.
func (w *Window) AllowN(n int64) bool { return w.Take(n).OK }

// AllowAt is [Window.AllowN] at the instant t, to replay recorded events. If t
// is earlier than an admitted event, it counts as the instant of that event.
func (w *Window) AllowAt(t time.Time, n int64) bool {
	return w.take(context.Background(), since(w.epoch, t), n, 0).OK
}

// Take is [Window.AllowN] with the full [Decision].
func (w *Window) Take(n int64) Decision {
	return w.take(context.Background(), int64(time.Since(w.epoch)), n, 0)
}

// Wait waits until an event may happen, and logs it. Waiting callers have no
// order: each tries again when the first of them may go on.
//
// Errors: see [Limiter.Wait].
func (w *Window) Wait(ctx context.Context) error { return w.WaitN(ctx, 1) }

// WaitN is [Window.Wait] for n events, which are logged together.
func (w *Window) WaitN(ctx context.Context, n int64) error {
	return poll(ctx, func(patience time.Duration) Decision {
		return w.take(ctx, int64(time.Since(w.epoch)), n, patience)
	})
}

// Do waits for w and calls fn once.
//
// Errors: the error of [Window.Wait], without a call of fn, or the error of fn.
func (w *Window) Do(ctx context.Context, fn func(context.Context) error) error { return do(ctx, w, fn) }

// take is Take at ns for a caller that waits for at most patience.
func (w *Window) take(ctx context.Context, ns, n int64, patience time.Duration) Decision {
	w.mu.Lock()
	d := w.decide(ns, n)
	return w.meter.unlock(ctx, &w.mu, d, patience)
}

func (w *Window) decide(ns, n int64) Decision {
	limit := w.meter.config.Limit
	ns, per := w.expire(ns)
	d := Decision{N: n, Limit: limit, AtOnce: true}
	room := limit.N - (w.sum - w.gone)
	switch {
	case n < 0 || n > limit.N: // never
	case n > room:
		i := w.after(func(e entry) bool { return e.sum-w.gone >= n-room })
		d.refuse(ns, w.at(i).ns+per)
	default:
		d.OK = true
		w.add(ns, n)
		room -= n
	}
	d.Remaining = room
	if w.length > 0 {
		d.ResetAfter = time.Duration(w.at(w.length-1).ns + per - ns)
	}
	return d
}

// expire removes the events that have left the window at ns. It returns ns, or
// the instant of the newest event if that is later, and the period.
func (w *Window) expire(ns int64) (now, per int64) {
	if w.length > 0 {
		ns = max(ns, w.at(w.length-1).ns)
	}
	per = min(int64(w.meter.config.Limit.Per), maxUnits)
	if past := w.after(func(e entry) bool { return e.ns > ns-per }); past > 0 {
		w.gone = w.at(past - 1).sum
		w.drop(past)
	}
	return ns, per
}

// at returns the i-th oldest entry.
func (w *Window) at(i int) *entry { return &w.log[(w.head+i)%len(w.log)] }

// after returns the index of the oldest entry for which later is true.
func (w *Window) after(later func(entry) bool) int {
	return sort.Search(w.length, func(i int) bool { return later(*w.at(i)) })
}

// drop removes the n oldest entries.
func (w *Window) drop(n int) { w.head, w.length = (w.head+n)%max(len(w.log), 1), w.length-n }

// add logs n events at ns, which is not before the newest entry.
func (w *Window) add(ns, n int64) {
	w.sum += n
	switch {
	case n == 0:
		return
	case w.length > 0 && w.at(w.length-1).ns == ns:
		w.at(w.length - 1).sum = w.sum
		return
	case w.length == len(w.log):
		w.grow(min(2*w.length+8, int(w.meter.config.Limit.N)))
	}
	w.length++
	*w.at(w.length - 1) = entry{ns, w.sum}
}

// grow makes room for n entries.
func (w *Window) grow(n int) {
	log := make([]entry, n)
	for i := range w.length {
		log[i] = *w.at(i)
	}
	w.log, w.head = log, 0
}
