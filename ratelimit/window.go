package ratelimit

import (
	"context"
	"sync"
	"time"
)

// A Window admits at most N events in any period of length Per: an exact
// sliding window log. It stores the instant of each event, 8 bytes. If N is
// large and an estimate suffices, use a [Counter], or a [Limiter]. An event
// that is exactly one period old no longer counts. All methods may be called
// concurrently. The zero Window admits nothing.
type Window struct {
	limit Limit
	epoch time.Time

	mu     sync.Mutex
	log    []int64 // a ring of instants in order
	head   int     // the oldest
	length int
}

// maxWindow bounds the memory of a Window, to 1 GiB.
const maxWindow = 1 << 27

// NewWindow returns a Window of limit.N events in any period of limit.Per, from
// 1 to 2^27 events. A window has no burst apart from N. NewWindow panics if the
// limit is invalid or has another Burst.
func NewWindow(limit Limit) *Window {
	if err := limit.validateWindow("ratelimit: window: ", maxWindow); err != nil {
		panic(err)
	}
	return &Window{limit: limit.normal(), epoch: time.Now(), log: make([]int64, limit.N)}
}

// Allow reports whether an event may happen now. If so, it logs the event.
func (w *Window) Allow() bool { return w.Take(1).OK }

// AllowN reports whether n events may happen now. If so, it logs all of them,
// otherwise none.
func (w *Window) AllowN(n int64) bool { return w.Take(n).OK }

// AllowAt is [Window.AllowN] at the instant t, to replay recorded events. If t
// is earlier than an admitted event, it counts as the instant of that event.
func (w *Window) AllowAt(t time.Time, n int64) bool { return w.take(since(w.epoch, t), n).OK }

// Take is [Window.AllowN] with the full [Decision].
func (w *Window) Take(n int64) Decision { return w.take(int64(time.Since(w.epoch)), n) }

// Wait waits until an event may happen, and logs it. Waiting callers have no
// order: each tries again when the first of them may go on.
//
// Errors: see [Limiter.Wait].
func (w *Window) Wait(ctx context.Context) error { return poll(ctx, 1, w.Take) }

// WaitN is [Window.Wait] for n events, which are logged together.
func (w *Window) WaitN(ctx context.Context, n int64) error { return poll(ctx, n, w.Take) }

// Do waits for w and calls fn once.
//
// Errors: the error of [Window.Wait], without a call of fn, or the error of fn.
func (w *Window) Do(ctx context.Context, fn func(context.Context) error) error { return do(ctx, w, fn) }

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
