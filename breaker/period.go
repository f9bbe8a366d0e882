package breaker

import (
	"slices"
	"sync/atomic"
	"time"
)

// A period is one stay of a breaker in one state. A call keeps the period it was admitted in and reports to it; if
// that is no longer the breaker's current one, the report is late and inert. So the identity of the period is the
// generation check, and what belongs to one state only dies with it.
type period struct {
	state   atomic.Uint32 // a State; fixed, but for Recovering, which becomes Closed in place
	free    atomic.Bool   // admits all calls, and nothing need be known of them before they end
	since   time.Duration
	until   time.Duration // end of Open or of Recovering; otherwise equal to since
	refusal *OpenError    // of states that refuse

	batch atomic.Pointer[batch] // calls of the current tenth, with SlowCall only

	// Guarded by Breaker.mu.
	probes []time.Duration // HalfOpen: starts of the running probes, oldest first
	passed int             // HalfOpen: probes that succeeded
	credit float64         // Recovering: calls that may be admitted
	shadow time.Duration   // ForcedClosed: until when it would have been open at least; 0 if it would be closed
	older  []*batch        // batches of earlier tenths with calls still running
}

// A batch is the calls admitted in one tenth of the window that still run.
type batch struct {
	running atomic.Int64
	end     time.Duration // no call of the batch started later
}

// A ticket is the admission of one call.
type ticket struct {
	period *period
	batch  *batch
	start  time.Duration // set with SlowCall and for probes
}

func (p *period) now() State { return State(p.state.Load()) }

func (p *period) admitsAll() bool {
	s := p.now()
	return s == StateClosed || s == StateForcedClosed
}

// judged reports whether the rules apply.
func (p *period) judged() bool { return p.admitsAll() || p.now() == StateRecovering }

// running reports whether a timed period is in progress; false also if the clock went back before its beginning.
func (p *period) running(now time.Duration) bool {
	return uint64(now-p.since) < uint64(p.until-p.since)
}

// view is the state seen by an observer.
func (p *period) view(now time.Duration) State {
	s := p.now()
	switch {
	case s == StateOpen && now >= p.until:
		return StateHalfOpen
	case s == StateRecovering && now >= p.until:
		return StateClosed
	}
	return s
}

func (p *period) ticket(now time.Duration) ticket {
	bt := p.batch.Load()
	if bt != nil {
		bt.running.Add(1)
	}
	return ticket{period: p, batch: bt, start: now}
}

// overdue is the number of calls still running that started at limit or before.
func (p *period) overdue(limit time.Duration) (n int) {
	for _, bt := range p.older {
		if bt.end <= limit {
			n += int(max(0, bt.running.Load()))
		}
	}
	return n
}

// turn begins a new batch that ends at end. An empty one is used again.
func (p *period) turn(end time.Duration) {
	p.older = slices.DeleteFunc(p.older, func(bt *batch) bool { return bt.running.Load() == 0 })
	if bt := p.batch.Load(); bt.running.Load() != 0 {
		p.older = append(p.older, bt)
		p.batch.Store(&batch{end: end})
	} else {
		bt.end = end
	}
}
