package ratelimit

import (
	"context"
	"errors"
	"sync"
	"time"
)

// A Window admits at most N events in any period of length Per: an exact
// sliding window log. It stores the instant of each event, 8 bytes. If N is
// large and an estimate suffices, use a [Counter], or a [Limiter]. An event
// that is exactly one period old no longer counts. All methods may be called
// concurrently. The zero Window admits nothing.
type Window struct {
	epoch time.Time

	mu     sync.Mutex
	meter  meter
	log    []int64 // a ring of instants in order
	head   int     // the oldest
	length int
}

// maxWindow bounds the memory of a Window, to 1 GiB.
const maxWindow = 1 << 27

// NewWindow returns a Window of limit.N events in any period of limit.Per, from
// 1 to 2^27 events. A window has no burst apart from N. NewWindow panics if the
// limit is invalid or has another Burst. [Window.Set] adds a name and a hook.
func NewWindow(limit Limit) *Window {
	c := WindowConfig{Limit: limit}
	if err := c.validate("ratelimit: window: ", maxWindow); err != nil {
		panic(err)
	}
	w := &Window{epoch: time.Now(), log: make([]int64, limit.N)}
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
	log := make([]int64, c.Limit.N)
	n := min(w.length, len(log))
	for i := range n {
		log[i] = w.at(w.length - n + i)
	}
	w.log, w.head, w.length = log, 0, n
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
	return w.take(context.Background(), since(w.epoch, t), n).OK
}

// Take is [Window.AllowN] with the full [Decision].
func (w *Window) Take(n int64) Decision { return w.takeNow(context.Background(), n) }

func (w *Window) takeNow(ctx context.Context, n int64) Decision {
	return w.take(ctx, int64(time.Since(w.epoch)), n)
}

// Wait waits until an event may happen, and logs it. Waiting callers have no
// order: each tries again when the first of them may go on.
//
// Errors: see [Limiter.Wait].
func (w *Window) Wait(ctx context.Context) error { return w.WaitN(ctx, 1) }

// WaitN is [Window.Wait] for n events, which are logged together.
func (w *Window) WaitN(ctx context.Context, n int64) error {
	return poll(ctx, n, func(n int64) Decision { return w.takeNow(ctx, n) })
}

// Do waits for w and calls fn once.
//
// Errors: the error of [Window.Wait], without a call of fn, or the error of fn.
func (w *Window) Do(ctx context.Context, fn func(context.Context) error) error { return do(ctx, w, fn) }

func (w *Window) take(ctx context.Context, ns, n int64) Decision {
	w.mu.Lock()
	d := w.decide(ns, n)
	return w.meter.unlock(ctx, &w.mu, d)
}

func (w *Window) decide(ns, n int64) Decision {
	limit := w.meter.config.Limit
	if w.length > 0 {
		ns = max(ns, w.at(w.length-1))
	}
	per := min(int64(limit.Per), maxUnits)
	for w.length > 0 && w.at(0) <= ns-per {
		w.head = (w.head + 1) % len(w.log)
		w.length--
	}
	d := Decision{N: n, Limit: limit}
	room := int64(len(w.log) - w.length)
	switch {
	case n < 0 || n > int64(len(w.log)): // never
	case n > room:
		d.refuse(ns, w.at(int(n-room)-1)+per)
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
