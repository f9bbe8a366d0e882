package ratelimit

import (
	"cmp"
	"slices"
	"time"
)

// A Reservation is a promise of events at a later instant, for callers that can
// plan ahead. The events are taken immediately and may happen after Delay. All
// methods may be called concurrently.
type Reservation struct {
	limiter  *Limiter
	rules    *rules // in force when it was made
	decision Decision
	due      int64
	end      int64   // the tat of a single bucket just after it
	ends     []int64 // the tats of several buckets just after it
	mark     int     // the number of shifts before it
	done     bool    // cancelled or settled; guarded by the limiter's lock
}

// Reserve takes n events now and returns when they may happen. It takes
// nothing, and OK is false, if waiting cannot help, or while other callers
// wait: they come first. Reserve takes time proportional to the number of
// reservations that are not yet due.
//
// Most callers should use [Limiter.WaitN], which loses nothing when the context
// ends.
func (l *Limiter) Reserve(n int64) *Reservation {
	r := l.reserve(n)
	return &r // inlined, so that it need not be allocated
}

func (l *Limiter) reserve(n int64) Reservation {
	l.seal()
	defer l.unseal()
	r := Reservation{limiter: l, rules: l.current(), due: l.elapsed(), done: true}
	ns := r.due
	fits := n == 0 || l.fits(ns, n, 0)
	if r.decision = (Decision{OK: fits, N: n}); n == 0 {
		return r
	}
	if !fits {
		r.decision = l.decide(ns, n, 0, false)
		if l.waiters.Len() > 0 || !r.decision.Retryable {
			return r
		}
		r.due += int64(r.decision.RetryAfter)
		l.promises = append(l.keptPromises(ns), r.due)
	}
	l.commit(ns, n)
	r.done, r.decision.OK, r.mark = false, true, l.dropped+len(l.shifts)
	if len(l.tats) == 1 {
		r.end = l.tats[0]
	} else {
		r.ends = slices.Clone(l.tats)
	}
	return r
}

// OK reports whether the events are reserved.
func (r *Reservation) OK() bool { return r.decision.OK }

// Delay returns the time from now until the events may happen, 0 if they may
// happen now. If OK is false, it returns the time after which another try may
// succeed, 0 if none can: see Err.
func (r *Reservation) Delay() time.Duration {
	if !r.decision.OK {
		return r.decision.RetryAfter
	}
	return time.Duration(max(0, r.due-r.limiter.elapsed()))
}

// Err returns nil if the events are reserved, and a *[LimitedError] otherwise.
func (r *Reservation) Err() error {
	if r.decision.OK {
		return nil
	}
	return &LimitedError{Decision: r.decision}
}

// Cancel returns the events of an unused reservation, before or after its
// Delay. If no other events were taken since, the limiter is as if the
// reservation had never been made, in whatever order several reservations are
// cancelled. Otherwise Cancel returns as many events as it can while others are
// promised later instants; it may return the rest when these are cancelled too.
// Only the first call of Cancel or Settle has an effect.
//
// Cancel takes time proportional to the square of the number of cancelled
// reservations that are still in the future.
func (r *Reservation) Cancel() { r.Settle(0) }

// Settle replaces the reserved number of events by the actual number. It
// returns unused events, as Cancel does, and charges additional events, as
// [Limiter.Charge] does. If actual < 0, it counts as 0.
func (r *Reservation) Settle(actual int64) {
	l := r.limiter
	l.seal()
	defer l.unseal()
	if r.done {
		return
	}
	r.done = true
	ns, unused := l.elapsed(), r.decision.N-max(actual, 0)
	switch {
	case unused < 0:
		l.charge(ns, -unused)
	case unused > 0 && r.rules == l.current():
		if i := slices.Index(l.promises, r.due); i >= 0 && actual <= 0 {
			l.promises = slices.Delete(l.promises, i, i+1)
		}
		l.putBack(ns, r, unused)
	}
}

// keptPromises removes the promises that are due at ns and returns the others.
func (l *Limiter) keptPromises(ns int64) []int64 {
	l.promises = slices.DeleteFunc(l.promises, func(due int64) bool { return due <= ns })
	return l.promises
}

// A hold is the part of a cancelled reservation that could not be returned,
// because others have been promised a later instant. If they cancel too, it can
// be returned.
type hold struct {
	bucket     int
	end, units int64 // the units that end at the instant end
}

// A shift is a returned part: the tat of every reservation after it is units
// earlier.
type shift struct {
	hold
	until int64 // the tat when it was returned; after that instant the shift has no effect
}

// over returns the instant end after the shift.
func (s *shift) over(bucket int, end int64) int64 {
	if s.bucket == bucket && end > s.end {
		end -= s.units
	}
	return end
}

func (l *Limiter) putBack(ns int64, r *Reservation, n int64) {
	buckets := l.current().buckets
	for i := range buckets {
		end := r.end
		if len(buckets) > 1 {
			end = r.ends[i]
		}
		for j := max(0, r.mark-l.dropped); j < len(l.shifts); j++ {
			end = l.shifts[j].over(i, end)
		}
		l.held = append(l.held, hold{i, end, buckets[i].units(n)})
	}
	if len(l.held) > 1 {
		slices.SortFunc(l.held, func(a, b hold) int { return cmp.Compare(b.end, a.end) })
	}
	l.release(ns)
	for len(l.shifts) > 0 && l.shifts[0].until <= buckets[l.shifts[0].bucket].at(ns) {
		l.shifts = l.shifts[1:]
		l.dropped++
	}
	l.promote(ns)
}

// release returns as much as possible of the holds, the latest first, and keeps
// the rest if it may be returned later.
func (l *Limiter) release(ns int64) {
	promised, kept := len(l.keptPromises(ns)) > 0, l.held[:0]
	for _, h := range l.held {
		b := &l.current().buckets[h.bucket]
		tat, now := l.tats[h.bucket], b.at(ns)
		next := b.restore(tat, now, h.end, h.units, promised)
		if back := tat - next; back > 0 {
			s := shift{hold{h.bucket, h.end, back}, tat}
			for i := range kept { // the holds after it
				kept[i].end = s.over(kept[i].bucket, kept[i].end)
			}
			if tat > h.end {
				l.shifts = append(l.shifts, s)
			}
			l.tats[h.bucket] = next
			h.units -= back
			h.end -= back
		}
		if promised && h.units > 0 && h.end > now {
			kept = append(kept, h)
		}
	}
	l.held = kept
}
