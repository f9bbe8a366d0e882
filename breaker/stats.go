package breaker

import "time"

// Stats is a snapshot of a breaker. The figures of the window forget, those of Total only grow.
type Stats struct {
	Name        string        `json:"name"`           // the Config.Name
	State       State         `json:"state"`          // as reported by Breaker.State
	Since       time.Duration `json:"since_ns"`       // time spent in the state
	RetryAfter  time.Duration `json:"retry_after_ns"` // what is left of an open period
	Calls       int           `json:"calls"`          // calls in the window: successes and failures
	Successes   int           `json:"successes"`      // in the window
	Failures    int           `json:"failures"`       // in the window
	Slow        int           `json:"slow"`           // calls in the window that took SlowCall or longer
	Overdue     int           `json:"overdue"`        // calls that still run and are slow already, found out by tenths of Window
	Consecutive int           `json:"consecutive"`    // failures since the last success
	Probes      int           `json:"probes"`         // probes running
	Openings    int           `json:"openings"`       // openings that the backoff remembers
	Total       Totals        `json:"total"`          // since New
}

// Totals count since New. Each call that has ended is in exactly one of Successes, Failures, Ignored and Late.
type Totals struct {
	Successes uint64 `json:"successes"` // calls counted as such, in whatever state
	Failures  uint64 `json:"failures"`  // likewise
	Ignored   uint64 `json:"ignored"`   // calls that said nothing about the dependency
	Slow      uint64 `json:"slow"`      // of the successes and failures
	Late      uint64 `json:"late"`      // calls that ended after the state they were admitted in, and counted for nothing
	Rejected  uint64 `json:"rejected"`  // calls refused
	Openings  uint64 `json:"openings"`  // transitions to Open
}

// Stats returns a snapshot. It changes nothing but what time has changed already.
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
		Name:        b.cfg.Name,
		State:       p.view(now),
		Since:       max(0, now-p.since),
		Calls:       int(w[success] + w[failure]),
		Successes:   int(w[success]),
		Failures:    int(w[failure]),
		Slow:        int(w[slow]),
		Overdue:     p.overdue(now - b.cfg.SlowCall),
		Consecutive: b.consecutive(),
		Probes:      len(p.probes),
		Openings:    b.openings,
		Total: Totals{
			Successes: b.meter.total(success),
			Failures:  b.meter.total(failure),
			Ignored:   b.meter.total(ignored),
			Slow:      b.meter.total(slow),
			Late:      b.meter.total(late),
			Rejected:  b.meter.total(rejected),
			Openings:  b.meter.total(opened),
		},
	}
	if p.now() == Open {
		s.RetryAfter = min(max(0, p.until-now), p.until-p.since)
	}
	if p.until > p.since && now >= p.until {
		s.Since = now - p.until // the state shown began when the timed one ended
	}
	return s
}
