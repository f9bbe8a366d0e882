package ratelimit

import (
	"container/list"
	"context"
	"time"
)

// A waiter is a caller in the queue. Only the one at the front has a timer and may take events, so the queue is in
// order, a waiter that leaves has nothing to give back, and those behind it move up by its whole turn.
type waiter struct {
	n    int64
	turn chan struct{} // holds a signal when due is new
	due  int64         // at the front: the instant at which n events can be taken; guarded by the limiter's lock
}

// Wait waits until an event may happen, and takes it. Callers are served strictly in the order of their calls; while
// any wait, Allow and Take refuse.
//
// When ctx ends first, the error matches both ctx.Err and [context.Cause], and the turn passes to the next in line. A
// *[LimitedError], at once, says that waiting is no use: the turn would come only after the deadline of ctx (then it
// also matches [context.DeadlineExceeded]), or never.
func (l *Limiter) Wait(ctx context.Context) error { return l.WaitN(ctx, 1) }

// WaitN is [Limiter.Wait] for n events, taken all at once. For more events than the burst of a limit the error, at
// once, also matches [ErrTooLarge]. No events are waited for by no time.
func (l *Limiter) WaitN(ctx context.Context, n int64) error {
	done := ctx.Done()
	if ctx.Err() != nil {
		return cancelled(ctx)
	}
	if _, ok, _ := l.spend(l.elapsed(), n); ok {
		return nil
	}
	e, err := l.enqueue(ctx, n)
	if e == nil {
		return err
	}
	var alarm <-chan time.Time // only at the front
	for {
		select {
		case <-e.Value.(*waiter).turn:
		case <-alarm:
		case <-done:
			l.leave(e)
			return cancelled(ctx)
		}
		left := l.claim(e)
		if left <= 0 {
			return nil
		}
		alarm = time.After(left)
	}
}

// enqueue takes n events or joins the queue for them: then the element is not nil.
func (l *Limiter) enqueue(ctx context.Context, n int64) (*list.Element, error) {
	deadline, bounded := ctx.Deadline()
	l.lock()
	defer l.unlock()
	ns := l.elapsed()
	d := l.take(ns, n)
	switch {
	case d.OK, d.RetryAfter == Never:
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

// promote tells the waiter at the front, if there is one, when its turn is.
func (l *Limiter) promote(ns int64) {
	e := l.waiters.Front()
	if e == nil {
		return
	}
	w := e.Value.(*waiter)
	w.due = ns
	for i := range l.buckets {
		w.due = max(w.due, l.buckets[i].ready(l.tats[i], ns, w.n, 0))
	}
	select {
	case w.turn <- struct{}{}:
	default: // not yet read; it will find the new due
	}
}

// claim ends the wait of the waiter at the front if its turn has come, or else returns how long that will take. The
// events are taken at the instant they were due: waking up late does not slow down those behind.
func (l *Limiter) claim(e *list.Element) time.Duration {
	l.lock()
	defer l.unlock()
	w, ns := e.Value.(*waiter), l.elapsed()
	if w.due > ns {
		return time.Duration(w.due - ns)
	}
	l.commit(w.due, w.n)
	l.remove(e, ns)
	return 0
}

// leave takes a waiter that gives up out of the queue.
func (l *Limiter) leave(e *list.Element) {
	l.lock()
	defer l.unlock()
	l.remove(e, l.elapsed())
}

func (l *Limiter) remove(e *list.Element, ns int64) {
	front := l.waiters.Front() == e
	l.ahead -= l.waiters.Remove(e).(*waiter).n
	if front {
		l.promote(ns)
	}
}
