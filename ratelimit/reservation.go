package ratelimit

import (
	"context"
	"math"
	"time"
)

// A Reservation is a promise of events at a later instant, for callers that can
// plan ahead. The events are taken immediately and may happen after Delay. All
// methods may be called concurrently.
type Reservation struct {
	limiter  *Limiter
	refusal  *LimitedError
	reserved int64
	node     node // guarded by the lock of the limiter
}

// Reserve takes n events now and returns when they may happen: at the earliest
// instant at which they fit between the events that are already promised. If
// 16 holes between them are too small, it is an instant after all of them.
//
// Reserve takes nothing, and OK is false, if waiting cannot help, or while
// other callers wait: they come first.
//
// While reservations are open, the methods of the Limiter take a lock. A
// reservation is open until it is settled or cancelled, or until it is due and
// the bursts have come back.
//
// Most callers should use [Limiter.WaitN], which loses nothing when the context
// ends.
func (l *Limiter) Reserve(n int64) *Reservation {
	r := &Reservation{limiter: l, reserved: n}
	d := l.reserve(r)
	l.report(context.Background(), d)
	if !d.OK {
		r.refusal = &LimitedError{Decision: d}
	}
	return r
}

func (l *Limiter) reserve(r *Reservation) Decision {
	x := &r.node
	ns := max(l.begin(), l.history.now)
	defer l.unseal()
	x.n, x.due, x.chapter = r.reserved, ns, gone
	if x.n != 0 && !l.fits(ns, x.n, 0) {
		if x.due = l.earliest(ns, x.n, 0); x.due == math.MaxInt64 || l.waiters.Len() > 0 {
			x.settled = true
			return l.decide(ns, x.n, 0, false)
		}
	}
	if buckets := l.current().buckets; x.n > 0 && len(buckets) > 0 {
		x.reckon(buckets)
		l.history.add(l.tats, x)
	}
	return Decision{OK: true, N: x.n}
}

// OK reports whether the events are reserved.
func (r *Reservation) OK() bool { return r.refusal == nil }

// Delay returns the time from now until the events may happen, 0 if they may
// happen now. If OK is false, it returns the time after which another try may
// succeed, 0 if none can: see Err.
func (r *Reservation) Delay() time.Duration {
	if !r.OK() {
		return r.refusal.RetryAfter()
	}
	return time.Duration(max(0, r.node.due-r.limiter.elapsed()))
}

// Err returns nil if the events are reserved, and a *[LimitedError] otherwise.
func (r *Reservation) Err() error {
	if r.OK() {
		return nil
	}
	return r.refusal
}

// Cancel returns the events of an unused reservation, before or after its
// Delay. The Limiter is then as if the reservation had never been made, except
// that later reservations keep their instants. Only the first call of Cancel or
// Settle has an effect.
//
// Cancel returns nothing for a reservation that was already due when
//   - all bursts had come back,
//   - [Limiter.Reset] or [Limiter.Set] was called, or
//   - 16384 later reservations were due and open.
func (r *Reservation) Cancel() { r.Settle(0) }

// Settle replaces the reserved number of events by the actual number. It
// returns unused events, as Cancel does, and charges additional events, as
// [Limiter.Charge] does. If actual < 0, it counts as 0.
//
// A reservation that was used for all its events need not be settled. The
// Limiter forgets it sooner if it is.
func (r *Reservation) Settle(actual int64) {
	l, x := r.limiter, &r.node
	ns := l.begin()
	defer l.unseal()
	if x.settled {
		return
	}
	actual = max(actual, 0)
	l.history.settle(l.tats, l.current().buckets, x, min(actual, x.n))
	if more := actual - r.reserved; more > 0 {
		l.commit(ns, more)
	}
	l.promote(ns)
}
