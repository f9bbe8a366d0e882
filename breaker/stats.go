package breaker

import "time"

// Stats is a snapshot of a breaker. The counters count since New and only
// grow. Each call that has ended is counted once, in Successes, Failures,
// Ignored or Late.
type Stats struct {
	Name       string        `json:"name"`           // Config.Name
	State      State         `json:"state"`          // as reported by Breaker.State
	StateFor   time.Duration `json:"state_for_ns"`   // time since the state began
	RetryAfter time.Duration `json:"retry_after_ns"` // rest of an open period

	Successes uint64 `json:"successes"` // calls that succeeded
	Failures  uint64 `json:"failures"`  // calls that failed
	Ignored   uint64 `json:"ignored"`   // calls that are no evidence
	Slow      uint64 `json:"slow"`      // successes and failures that took SlowCall or longer
	Late      uint64 `json:"late"`      // calls that ended in another state than they began in
	Rejected  uint64 `json:"rejected"`  // refused calls
	Openings  uint64 `json:"openings"`  // transitions to StateOpen

	WindowCalls    int `json:"window_calls"`    // successes and failures in the window
	WindowFailures int `json:"window_failures"` // failures in the window
	WindowSlow     int `json:"window_slow"`     // slow calls in the window
	Overdue        int `json:"overdue"`         // running calls that run too long while nothing succeeds
	Consecutive    int `json:"consecutive"`     // failures since the last success
	Probes         int `json:"probes"`          // running probes
	Limit          int `json:"limit"`           // calls that may run at once while the breaker recovers; otherwise 0

	OutageFor time.Duration `json:"outage_for_ns"` // time since the first opening of an outage that is not forgotten, or 0
	Usual     time.Duration `json:"usual_ns"`      // about the median duration of successes, or 0
	Reason    string        `json:"reason"`        // why the breaker opened, while it is not closed again
	Hint      string        `json:"hint"`          // values of Config that do not fit the calls, or ""
}

// Stats returns a snapshot. While the breaker is open, the figures of the
// window are the figures that opened it.
func (b *Breaker) Stats() (s Stats) {
	if b == nil {
		return s
	}
	b.read(func(p *period, now time.Duration) { s = b.stats(p, now) })
	return s
}

func (b *Breaker) stats(p *period, now time.Duration) Stats {
	c, f := b.cfg.Load(), b.figures(p, now)
	if p.opening != nil {
		f = *p.opening
	}
	s := Stats{
		Name:           c.Name,
		State:          p.view(now),
		StateFor:       max(0, now-p.since),
		Successes:      b.meter.total(success),
		Failures:       b.meter.total(failure),
		Ignored:        b.meter.total(ignored),
		Slow:           b.meter.total(slow),
		Late:           b.meter.total(late),
		Rejected:       b.meter.total(rejected),
		Openings:       b.meter.total(opened),
		WindowCalls:    f.calls,
		WindowFailures: f.failures,
		WindowSlow:     f.slow,
		Overdue:        f.overdue,
		Consecutive:    f.run,
		Usual:          time.Duration(b.pace.usual.Load()),
	}
	if b.remembers(p, now) {
		s.OutageFor = max(0, now-b.outage)
	}
	if p.trial != nil {
		s.Probes = len(p.trial.places)
	}
	switch s.State {
	case StateOpen:
		s.RetryAfter = min(max(0, p.end()-now), p.end()-p.since)
	case StateRecovering:
		s.Limit = int(p.trial.limit)
	}
	if s.State != StateClosed && p.refusal != nil {
		s.Reason = p.refusal.Reason
	}
	if e := p.end(); e > p.since && now >= e {
		s.StateFor = now - e // the state shown began when the period ended
	}
	s.Hint = b.clues.hint(c, s.Usual, s.Slow)
	return s
}
