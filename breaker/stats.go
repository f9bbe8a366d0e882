package breaker

import "time"

// Stats is a snapshot of a breaker. The counters count since New and only
// grow. Each call that has ended is in exactly one of Successes, Failures,
// Ignored and Late.
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
	Overdue        int `json:"overdue"`         // running calls that are slow already
	Consecutive    int `json:"consecutive"`     // failures since the last success
	Probes         int `json:"probes"`          // running probes
	Backoff        int `json:"backoff"`         // openings that lengthen the next one
}

// Stats returns a snapshot.
func (b *Breaker) Stats() Stats {
	if b == nil {
		return Stats{}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.stats(time.Since(b.start))
}

func (b *Breaker) stats(now time.Duration) Stats {
	p := b.cur.Load()
	b.rotate(p, max(now, time.Duration(b.meter.from.Load())))
	w := b.window()
	s := Stats{
		Name:           b.cfg.Name,
		State:          p.view(now),
		StateFor:       max(0, now-p.since),
		Successes:      b.meter.total(success),
		Failures:       b.meter.total(failure),
		Ignored:        b.meter.total(ignored),
		Slow:           b.meter.total(slow),
		Late:           b.meter.total(late),
		Rejected:       b.meter.total(rejected),
		Openings:       b.meter.total(opened),
		WindowCalls:    int(w[success] + w[failure]),
		WindowFailures: int(w[failure]),
		WindowSlow:     int(w[slow]),
		Overdue:        p.overdue(now - b.cfg.SlowCall),
		Consecutive:    b.consecutive(),
		Probes:         len(p.probes),
		Backoff:        b.openings,
	}
	if p.now() == StateOpen {
		s.RetryAfter = min(max(0, p.until-now), p.until-p.since)
	}
	if p.until > p.since && now >= p.until {
		s.StateFor = now - p.until // the state shown began when the timed one ended
	}
	return s
}
