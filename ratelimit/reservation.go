package ratelimit

import (
	"cmp"
	"slices"
	"time"
)

// A Reservation is a promise of events at a later instant, for callers that can plan ahead: the events are taken at
// once, and may happen after Delay. Its methods may be called at the same time.
type Reservation struct {
	limiter  *Limiter
	rules    *rules // those it was made by
	decision Decision
	due      int64
	end      int64   // the tat just after it, of a sole bucket
	ends     []int64 // of several
	mark     int     // the number of shifts before it
	done     bool    // cancelled or settled; guarded by the limiter's lock
}

// Reserve takes n events now and says how long to wait until they may happen. It is refused where waiting is no use,
// and while callers wait in line, who come first; then nothing is taken, and OK is false.
//
// Most callers should use [Limiter.WaitN], which loses nothing when they give up.
func (l *Limiter) Reserve(n int64) *Reservation {
	r := l.reserve(n)
	return &r // inlined, so that it need not be allocated
}

func (l *Limiter) reserve(n int64) Reservation {
	l.lock()
	defer l.unlock()
	r := Reservation{limiter: l, rules: l.current(), due: l.elapsed(), done: true}
	ns := r.due
	fits := n == 0 || l.fits(ns, n, 0)
	if r.decision = (Decision{OK: fits, N: n}); n == 0 {
		return r
	}
	if !fits {
		r.decision = l.decide(ns, n, 0, false)
		if l.waiters.Len() > 0 || r.decision.RetryAfter == Never {
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

// Delay returns the time from now until the events may happen, 0 if they may now. If r is not OK it is the time after
// which another try may succeed, or [Never].
func (r *Reservation) Delay() time.Duration {
	if !r.decision.OK {
		return r.decision.RetryAfter
	}
	return time.Duration(max(0, r.due-r.limiter.elapsed()))
}

// Err returns nil if r is OK, and otherwise a *[LimitedError].
func (r *Reservation) Err() error {
	if r.decision.OK {
		return nil
	}
	return &LimitedError{Decision: r.decision}
}

// Cancel gives the events back, for a reservation that was not used; before Delay is over or after makes no difference.
// If nothing else has been taken since, all is as if it had never been made, and of several reservations that are
// cancelled the order does not matter. Otherwise never more comes back than that: what others were promised in the
// meantime stays within the limits. Only the first call of Cancel or Settle counts.
func (r *Reservation) Cancel() { r.Settle(0) }

// Settle says how many events it was in the end: fewer than reserved are given back as by Cancel, and more are charged
// as by [Limiter.Charge]. A negative number counts as 0.
func (r *Reservation) Settle(actual int64) {
	l := r.limiter
	l.lock()
	defer l.unlock()
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
		l.giveBack(ns, r, unused)
	}
}

// keptPromises drops the promises that are due at ns and returns the others.
func (l *Limiter) keptPromises(ns int64) []int64 {
	l.promises = slices.DeleteFunc(l.promises, func(due int64) bool { return due <= ns })
	return l.promises
}

// A hold is what a cancelled reservation could not give back, because others have been promised a later instant. If
// they cancel too, it can.
type hold struct {
	bucket     int
	end, units int64 // the units that end at the instant end
}

// A shift is what was given back: the state of all that was taken after it lies units earlier.
type shift struct {
	hold
	until int64 // the tat at that time, after which it does not matter any more
}

// over returns the instant end as it is after the shift.
func (s *shift) over(bucket int, end int64) int64 {
	if s.bucket == bucket && end > s.end {
		end -= s.units
	}
	return end
}

func (l *Limiter) giveBack(ns int64, r *Reservation, n int64) {
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

// release gives back what it can of all that is held, the latest first, and keeps the rest if that may be given back
// later.
func (l *Limiter) release(ns int64) {
	promised, kept := len(l.keptPromises(ns)) > 0, l.held[:0]
	for _, h := range l.held {
		b := &l.current().buckets[h.bucket]
		tat, now := l.tats[h.bucket], b.at(ns)
		next := b.restore(tat, now, h.end, h.units, promised)
		if back := tat - next; back > 0 {
			s := shift{hold{h.bucket, h.end, back}, tat}
			for i := range kept { // those after it
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
