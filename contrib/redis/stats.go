package redis

import "sync/atomic"

// Stats are the figures of a [Limiter] since it was made. Requests are counted, whatever their number of events, except
// those for no events.
type Stats struct {
	Allowed    uint64 `json:"allowed"`     // requests that the server allowed
	Refused    uint64 `json:"refused"`     // requests that the server refused
	Leased     uint64 `json:"leased"`      // requests that were allowed from what was taken ahead
	Denied     uint64 `json:"denied"`      // requests that were refused because the key had been refused before
	Alone      uint64 `json:"alone"`       // requests that were decided as Config.Outage says
	RoundTrips uint64 `json:"round_trips"` // times the server was asked for a decision
	Errors     uint64 `json:"errors"`      // replies that did not come, or not in time
	Returned   uint64 `json:"returned"`    // events that were taken ahead and given back
	Outages    uint64 `json:"outages"`     // outages that have begun
	Down       bool   `json:"down"`        // whether there is one now
}

type figures struct {
	allowed, refused, leased, denied, alone, roundTrips, errors, returned atomic.Uint64
}

// Stats returns the figures.
func (l *Limiter) Stats() Stats {
	f := &l.figures
	s := Stats{
		Allowed: f.allowed.Load(), Refused: f.refused.Load(), Leased: f.leased.Load(), Denied: f.denied.Load(), Alone: f.alone.Load(),
		RoundTrips: f.roundTrips.Load(), Errors: f.errors.Load(), Returned: f.returned.Load(),
	}
	s.Outages, s.Down = l.outage.outages()
	return s
}
