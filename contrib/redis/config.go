package redoubtredis

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redoubt-go/redoubt/ratelimit"
)

// An Outage is the policy of a [Limiter] while the server does not answer in
// time.
type Outage uint8

const (
	// OutageLocal admits the share of this process: 1/Nodes of each limit, for
	// each key.
	OutageLocal Outage = iota
	// OutageRefuse refuses everything.
	OutageRefuse
	// OutageAdmit admits everything.
	OutageAdmit
)

// Config configures a [Limiter].
type Config struct {
	Client Client            // sends commands to the server; required
	Limits []ratelimit.Limit // the limits of each key; an event needs all of these and of Quotas, 1 to 8 together
	Quotas []ratelimit.Quota // calendar quotas of each key, by the clock of the server; all processes need the same Location

	// Name starts the names of all keys on the server: 1 to 64 letters, digits
	// or any of _.:-. Limiters with the same Name share their state, if they
	// have the same number of Limits and the same units of Quotas. Zero means
	// "ratelimit". Without a Name, Limiters share their state only if they have
	// the same Limits and Quotas, and Set cannot change these.
	Name string
	// Timeout bounds the time that a call waits for the server. Several calls
	// without an answer in this time start an outage. Zero means 50 ms.
	// Negative means no bound apart from the context of the call. The context
	// that ratelimithttp.Middleware uses never ends.
	Timeout time.Duration

	// Lease is the largest number of events that are taken ahead, to be spent
	// without asking the server. Zero means none.
	Lease int64
	// LeaseFor is the time for which events that were taken ahead may be spent.
	// After it, the rest is returned. Zero means 100 ms.
	LeaseFor time.Duration
	// Denied is the number of refused keys that are remembered, at most 2^24,
	// about 150 bytes each. They are refused without asking the server until
	// their events can be allowed, for at most 5 seconds, and with leases for
	// at most LeaseFor. Zero means 4096. Negative means none.
	Denied int

	// Outage decides while the server of a key is down, and about a key that
	// the server reports an error for. Zero means OutageLocal.
	Outage Outage
	// Nodes is the approximate number of processes that share the limits;
	// required with OutageLocal.
	Nodes int
	// LocalKeys is the number of keys that OutageLocal distinguishes: MaxKeys
	// of [ratelimit.KeyedConfig]. Zero means 65536.
	LocalKeys int

	// OnEvent is called at the start and at the end of each outage of a server.
	// OnEvent may be nil. It is called synchronously, outside locks, after the
	// change that the event reports, in the order of the changes. It may call
	// back into this package and must not block.
	OnEvent func(context.Context, Event)
}

const (
	defaultTimeout  = 50 * time.Millisecond
	defaultLeaseFor = 100 * time.Millisecond
	defaultDenied   = 1 << 12
	maxDenied       = 1 << 24
	maxNodes        = 1 << 20
	maxLease        = 1 << 40
	maxLocalKeys    = 1 << 27
)

// Validate returns an error that joins all problems of c.
func (c Config) Validate() error {
	p := problems{prefix: "redis: limiter: "}
	c = c.withDefaults()
	p.add(c.Client == nil, "Client is missing")
	n := len(c.Limits) + len(c.Quotas)
	p.add(n == 0 || n > maxLimits, "Limits and Quotas have %d elements, want 1 to %d", n, maxLimits)
	for i, l := range c.Limits {
		_, problem := newQuota(l)
		p.add(problem != "", "Limits[%d]: %s", i, problem)
	}
	for i, q := range c.Quotas {
		_, err := newCalendar(q)
		p.add(err != nil, "Quotas[%d]: %w", i, err)
	}
	p.addName(c.Name)
	p.add(c.Lease < 0 || c.Lease > maxLease, "Lease is %d, want 0 to 2^40", c.Lease)
	p.add(c.LeaseFor < time.Millisecond, "LeaseFor is %v, want at least 1ms", c.LeaseFor)
	p.add(c.Denied > maxDenied, "Denied is %d, want at most %d", c.Denied, maxDenied)
	p.add(c.Outage > OutageAdmit, "Outage is %d, want OutageLocal, OutageRefuse or OutageAdmit", c.Outage)
	p.add(c.Outage == OutageLocal && (c.Nodes < 1 || c.Nodes > maxNodes), "Nodes is %d, want 1 to %d with OutageLocal", c.Nodes, maxNodes)
	p.add(c.LocalKeys < 0 || c.LocalKeys > maxLocalKeys, "LocalKeys is %d, want 0 to %d", c.LocalKeys, maxLocalKeys)
	return errors.Join(p.errs...)
}

func (c Config) withDefaults() Config {
	if c.Name == "" {
		c.Name = "ratelimit"
	}
	if c.Timeout == 0 {
		c.Timeout = defaultTimeout
	}
	if c.LeaseFor == 0 {
		c.LeaseFor = defaultLeaseFor
	}
	if c.Denied == 0 {
		c.Denied = defaultDenied
	}
	return c
}

// problems collects the errors of a configuration.
type problems struct {
	prefix string
	errs   []error
}

func (p *problems) add(wrong bool, format string, args ...any) {
	if wrong {
		p.errs = append(p.errs, fmt.Errorf(p.prefix+format, args...))
	}
}

func (p *problems) addName(name string) {
	err := checkName(name)
	p.add(err != nil, "Name: %w", err)
}
