package redoubtredis

import "sync/atomic"

// Stats are figures of a [Limiter] since New. They count requests, whatever
// their number of events. Requests for 0 events are not counted.
type Stats struct {
	Name       string `json:"name"`        // Config.Name
	Allowed    uint64 `json:"allowed"`     // requests that the server allowed
	Refused    uint64 `json:"refused"`     // requests that the server refused
	Leased     uint64 `json:"leased"`      // requests that were allowed from a lease
	Denied     uint64 `json:"denied"`      // requests that were refused without asking the server
	Alone      uint64 `json:"alone"`       // requests that Config.Outage decided
	RoundTrips uint64 `json:"round_trips"` // round trips for a decision
	Errors     uint64 `json:"errors"`      // replies that failed or came too late
	Returned   uint64 `json:"returned"`    // leased events that were returned unused
	Outages    uint64 `json:"outages"`     // outages of servers that have started
	Down       int    `json:"down"`        // servers that are down
}

type figures struct {
	allowed, refused, leased, denied, alone, roundTrips, errors, returned atomic.Uint64
}

// Stats returns the figures.
func (l *Limiter) Stats() Stats {
	f := &l.figures
	o := &l.link.outages
	return Stats{
		Name: o.name, Allowed: f.allowed.Load(), Refused: f.refused.Load(), Leased: f.leased.Load(),
		Denied: f.denied.Load(), Alone: f.alone.Load(), RoundTrips: f.roundTrips.Load(),
		Errors: f.errors.Load(), Returned: f.returned.Load(),
		Outages: o.count.Load(), Down: int(o.down.Load()),
	}
}
