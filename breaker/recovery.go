package breaker

import "time"

// A recovery bounds the running calls of a breaker that recovers, as TCP bounds
// the packets in flight. The limit doubles in each round trip in which it
// refuses calls and most calls succeed as fast as usual. If most take longer,
// the dependency is busy and the limit grows slowly. A failure halves it, down
// to a 16th of a call. So the calls follow the capacity of the dependency,
// whatever their rate and duration.
type recovery struct {
	limit   float64       // calls that may run
	running int           // calls that run
	wanted  int           // refused calls; for each, a success may raise the limit by 1
	lowest  time.Duration // shortest success since the breaker was half-open; 0 if unknown
	end     time.Duration // when a call last ended
	grown   time.Duration // when a call last ended or a call was last admitted without that
	cut     time.Duration // when the limit was last halved
	busy    float64       // share of the latest successes that took long
	last    time.Duration // duration of the call that last ended
	failing bool          // the call that last ended failed
}

// admit reports whether another call may run. Long calls give no evidence for
// a long time. Meanwhile the limit doubles four times in the duration of a
// call, but not faster than once in each pause. It stops if the evidence is
// overdue. From then on, a running call loses its place to another after each
// patience, as it may never report.
func (r *recovery) admit(now, pause, patience time.Duration) bool {
	if r.full(now) {
		switch silence := now - r.grown; {
		case !r.failing && silence >= max(pause, r.lowest/4) && now-r.end <= 2*r.lowest:
			r.limit *= 2
		case silence >= patience:
			r.running--
		default:
			r.wanted = min(r.wanted+1, max(1, int(r.limit)))
			return false
		}
		r.grown = now
	}
	r.running++
	return true
}

// full reports whether all calls run that may run. A limit less than 1 means
// that after each call, there is a pause in which other calls could have run.
func (r *recovery) full(now time.Duration) bool {
	if r.limit >= 1 {
		return r.running >= int(r.limit)
	}
	return r.running > 0 || float64(now-r.end)*r.limit < (1-r.limit)*float64(r.last)
}

// ended takes the outcome of a call that began at start. usual is the duration
// of most successes, or 0 if unknown.
func (r *recovery) ended(o Outcome, start, now, usual time.Duration) {
	r.running = max(0, r.running-1)
	if o == OutcomeIgnored {
		return
	}
	r.end, r.grown, r.failing, r.last = now, now, o == OutcomeFailure, now-start
	if r.failing {
		if start >= r.cut {
			r.limit, r.cut, r.wanted = max(1.0/16, r.limit/2), now, 0
		}
		return
	}
	d := max(1, now-start)
	if r.lowest == 0 || d < r.lowest {
		r.lowest = d
	}
	r.busy -= r.busy / 8
	if d > max(3*usual, r.lowest+r.lowest/8) {
		r.busy += 1.0 / 8
	}
	switch {
	case r.wanted == 0:
		return // the limit refuses nothing
	case r.busy <= 0.5:
		r.limit += min(r.limit, 1)
	default:
		r.limit += min(r.limit, 1/r.limit) / 16
	}
	r.wanted--
}
