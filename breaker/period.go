package breaker

import (
	"slices"
	"sync/atomic"
	"time"
)

// A period is one stay of a breaker in one state. A call keeps the period in
// which it was admitted and reports to it. If that is no longer the current
// period, the result comes late and changes nothing. So the identity of the
// period is the generation check, and all that belongs to a state goes with it.
type period struct {
	state   atomic.Uint32 // a State; only StateRecovering changes, to StateClosed
	since   time.Duration
	until   atomic.Int64 // end of StateOpen or StateRecovering; otherwise since
	refusal *OpenError   // of states that refuse
	answers atomic.Int64 // running calls that have an answer

	// Guarded by Breaker.mu.
	base    tally         // at the start of the period
	opening *figures      // StateOpen: the figures that opened the breaker
	trial   *trial        // StateHalfOpen and StateRecovering
	shadow  time.Duration // StateForcedClosed: the end of the opening that it does not make, or 0
}

// A ticket is the admission of a call.
type ticket struct {
	period *period
	cell   *cell         // counts the end of the call
	start  time.Duration // 0 if the clock was not read

	answered time.Duration // when the dependency answered, or 0
}

// ran is the duration of a call that ends now: until its answer, if any.
func (t ticket) ran(now time.Duration) time.Duration {
	if t.answered > 0 {
		now = t.answered
	}
	return now - t.start
}

func (p *period) now() State { return State(p.state.Load()) }

func (p *period) end() time.Duration { return time.Duration(p.until.Load()) }

// admitsAll reports whether the period admits all calls.
func (p *period) admitsAll() bool {
	s := p.now()
	return s == StateClosed || s == StateForcedClosed
}

// running reports whether a period with an end is in progress. It is not if
// the clock went back before its start.
func (p *period) running(now time.Duration) bool {
	return uint64(now-p.since) < uint64(p.end()-p.since)
}

// view is the state that an observer sees.
func (p *period) view(now time.Duration) State {
	s := p.now()
	switch {
	case s == StateOpen && now >= p.end():
		return StateHalfOpen
	case s == StateRecovering && now >= p.end():
		return StateClosed
	}
	return s
}

// A trial is how a breaker finds out whether the dependency is well: at first
// by a few probes, then by a bounded number of running calls.
type trial struct {
	places []time.Duration // starts of the probes that hold a place
	passed int             // probes that succeeded
	recovery
}

// take gives a place to a call at now if there is a free place. A probe that
// began at limit or before loses its place, but it may still report.
func (t *trial) take(now, limit time.Duration, most int) bool {
	t.places = slices.DeleteFunc(t.places, func(start time.Duration) bool { return start <= limit })
	if t.passed+len(t.places) >= most {
		return false
	}
	t.places = append(t.places, now)
	return true
}

// leave gives back the place of the probe that began at start. It reports
// whether the probe still held it.
func (t *trial) leave(start time.Duration) bool {
	i := slices.Index(t.places, start)
	if i >= 0 {
		t.places = slices.Delete(t.places, i, i+1)
	}
	return i >= 0
}
