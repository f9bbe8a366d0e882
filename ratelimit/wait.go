package ratelimit

import (
	"container/list"
	"context"
	"errors"
	"math"
	"time"
)

// A waiter is a caller in the queue. Only the first waiter has a timer and may
// take events. So the queue keeps its order, a waiter that leaves has nothing
// to return, and the waiters behind it move up by its whole turn.
type waiter struct {
	n    int64
	turn chan struct{} // receives a signal when due changes
	due  int64         // of the first waiter: the instant of its turn; guarded by the limiter's lock
}

// Wait waits until an event may happen, and takes it. Callers are served in the
// order of their calls. While callers wait, Allow and Take refuse.
//
// Errors: if ctx ends first, the error matches ctx.Err and [context.Cause], and
// the turn passes to the next caller. If the turn would come only after the
// deadline of ctx, Wait immediately returns a *[LimitedError] that also matches
// [context.DeadlineExceeded]. If the turn would never come, Wait immediately
// returns a *[LimitedError].
func (l *Limiter) Wait(ctx context.Context) error { return l.WaitN(ctx, 1) }

// Pace waits for n events in parts of at most the smallest burst, so that n may
// exceed it: for pacing bytes, for example. Other callers may have their turn
// between the parts.
//
// Errors: see [Limiter.WaitN]. The parts before the error stay taken.
func (l *Limiter) Pace(ctx context.Context, n int64) error {
	for {
		part := max(min(n, l.burst()), min(n, 1)) // without a burst, WaitN returns the error
		if err := l.WaitN(ctx, part); err != nil || part >= n {
			return err
		}
		n -= part
	}
}

// burst returns the number of events that all limits can admit at the same
// instant.
func (l *Limiter) burst() int64 {
	least := int64(math.MaxInt64)
	buckets := l.current().buckets
	for i := range buckets {
		least = min(least, buckets[i].burst>>buckets[i].frac)
	}
	return least
}

// WaitN is [Limiter.Wait] for n events, which are taken together. If n == 0,
// WaitN returns immediately.
//
// Errors: see [Limiter.Wait]. If n exceeds the burst of a limit, the error
// also matches [ErrTooLarge].
func (l *Limiter) WaitN(ctx context.Context, n int64) error {
	done := ctx.Done()
	if ctx.Err() != nil {
		return cancelled(ctx)
	}
	if _, ok, _ := l.current().spend(l.elapsed(), n, 0); ok {
		l.count(true)
		return nil
	}
	e, err := l.enqueue(ctx, n)
	if e == nil {
		l.answer(ctx, err)
		return err
	}
	var alarm <-chan time.Time // of the first waiter
	for {
		select {
		case <-e.Value.(*waiter).turn:
		case <-alarm:
		case <-done:
			l.leave(e)
			return cancelled(ctx)
		}
		left, err := l.claim(e)
		if left <= 0 {
			l.answer(ctx, err)
			return err
		}
		alarm = time.After(left)
	}
}

// enqueue takes n events, or joins the queue and returns its element.
func (l *Limiter) enqueue(ctx context.Context, n int64) (*list.Element, error) {
	deadline, bounded := ctx.Deadline()
	ns := l.begin()
	defer l.unseal()
	d := l.takeSealed(ns, n, 0)
	switch {
	case d.OK, !d.Retryable:
		return nil, d.Err()
	case bounded && time.Until(deadline) <= d.RetryAfter:
		return nil, &LimitedError{Decision: d, Late: true}
	}
	e := l.waiters.PushBack(&waiter{n: n, turn: make(chan struct{}, 1)})
	l.ahead += n
	if l.waiters.Len() == 1 {
		l.promote(ns)
	}
	return e, nil
}

// promote computes the turn of the first waiter, if any.
func (l *Limiter) promote(ns int64) {
	e := l.waiters.Front()
	if e == nil {
		return
	}
	w := e.Value.(*waiter)
	w.due = l.earliest(ns, w.n, 0)
	select {
	case w.turn <- struct{}{}:
	default: // the last signal is unread, and the waiter will find the new due
	}
}

// claim ends the wait of the first waiter if its turn has come. Otherwise it
// returns the time until then. The events are taken at the instant of the turn,
// so that a late wake-up does not delay the waiters behind. The wait ends with
// an error if new limits mean that the turn can never come.
func (l *Limiter) claim(e *list.Element) (time.Duration, error) {
	l.seal()
	defer l.unseal()
	w, ns := e.Value.(*waiter), l.elapsed()
	l.advance(min(w.due, ns))
	if w.due == math.MaxInt64 {
		l.remove(e, ns)
		return 0, l.decide(ns, w.n, 0, false).Err()
	}
	if w.due > ns {
		return time.Duration(w.due - ns), nil
	}
	l.commit(w.due, w.n)
	l.remove(e, ns)
	return 0, nil
}

// leave removes a waiter that gives up.
func (l *Limiter) leave(e *list.Element) {
	ns := l.begin()
	defer l.unseal()
	l.remove(e, ns)
}

func (l *Limiter) remove(e *list.Element, ns int64) {
	front := l.waiters.Front() == e
	l.ahead -= l.waiters.Remove(e).(*waiter).n
	if front {
		l.promote(ns)
	}
}

// answer reports the end of a wait: err is nil or a *[LimitedError].
func (l *Limiter) answer(ctx context.Context, err error) {
	d := Decision{OK: true}
	if limited, ok := errors.AsType[*LimitedError](err); ok {
		d = limited.Decision
	}
	l.report(ctx, d)
}
