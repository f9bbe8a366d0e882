package ratelimit

import (
	"container/list"
	"context"
	"math"
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

// Pace waits for n events in parts of at most the smallest burst, so that n may be any number: for pacing bytes, say.
// Others may have their turn between the parts. After an error, which is one of [Limiter.WaitN], the parts before it
// are taken.
func (l *Limiter) Pace(ctx context.Context, n int64) error {
	for {
		part := max(min(n, l.burst()), min(n, 1)) // without any burst, let WaitN say so
		if err := l.WaitN(ctx, part); err != nil || part >= n {
			return err
		}
		n -= part
	}
}

// burst returns the events that all limits can admit at once.
func (l *Limiter) burst() int64 {
	least := int64(math.MaxInt64)
	buckets := l.current().buckets
	for i := range buckets {
		least = min(least, buckets[i].burst>>buckets[i].frac)
	}
	return least
}

// WaitN is [Limiter.Wait] for n events, taken all at once. For more events than the burst of a limit the error, at
// once, also matches [ErrTooLarge]. No events are waited for by no time.
func (l *Limiter) WaitN(ctx context.Context, n int64) error {
	done := ctx.Done()
	if ctx.Err() != nil {
		return cancelled(ctx)
	}
	if _, ok, _ := l.spend(l.elapsed(), n, 0); ok {
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
		left, err := l.claim(e)
		if left <= 0 {
			return err
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
	d := l.take(ns, n, 0)
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
	r := l.current()
	if len(r.buckets) == 0 && !r.open {
		w.due = math.MaxInt64
	}
	for i := range r.buckets {
		w.due = max(w.due, r.buckets[i].ready(l.tats[i], ns, w.n, 0))
	}
	select {
	case w.turn <- struct{}{}:
	default: // not yet read; it will find the new due
	}
}

// claim ends the wait of the waiter at the front if its turn has come, or else returns how long that will take. The
// events are taken at the instant they were due: waking up late does not slow down those behind. The wait ends with an
// error if other limits have been set and the turn can never come.
func (l *Limiter) claim(e *list.Element) (time.Duration, error) {
	l.lock()
	defer l.unlock()
	w, ns := e.Value.(*waiter), l.elapsed()
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
