package bulkhead

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Config configures a [Bulkhead].
type Config struct {
	Name string // names it in errors and events; may be empty

	// Limit is how many may be inside at once; with an Algorithm, to begin with. Default 10.
	Limit int
	// MaxQueue is how many callers may wait. Default as many as Limit; negative means that nobody waits.
	MaxQueue int
	// MaxWait is how long a caller waits at most. Default as long as its context allows; negative means not at all.
	MaxWait time.Duration

	// Target is the time that callers should wait at most on average: once all who got in have waited longer for an
	// Interval, those who have waited longer than Target are refused when their turn comes, except the last. Default
	// off; negative means off too.
	Target time.Duration
	// Interval is how long waits above Target are put up with. Default 100 ms, or Target if that is longer.
	Interval time.Duration

	// Algorithm adapts the limit. It serves one bulkhead only. Default none: the limit stays.
	Algorithm Algorithm
	// MinLimit and MaxLimit bound an adaptive limit.
	MinLimit int // default 1
	MaxLimit int // default 1000
	// Window is the time over which calls are measured before Algorithm is asked; it takes at least 10 calls too.
	// Default 100 ms.
	Window time.Duration
	// Classify says what an error of the work means to Algorithm. Default [Classify].
	Classify func(error) Outcome

	// OnEvent is told of refusals and changes of the limit.
	// It may be nil. It is called synchronously, outside locks, after the change it reports and in the order of the
	// changes; it may call back into this package and must not block.
	OnEvent func(context.Context, Event)
}

// maxCount bounds limits and queues.
const maxCount = 1 << 30

// Validate returns everything that is wrong with c, joined.
func (c Config) Validate() error {
	var errs []error
	bad := func(wrong bool, format string, args ...any) {
		if wrong {
			errs = append(errs, fmt.Errorf("bulkhead: "+format, args...))
		}
	}
	bad(c.Limit < 0 || c.Limit > maxCount, "Limit is %d, want 0 to %d", c.Limit, maxCount)
	bad(c.MaxQueue > maxCount, "MaxQueue is %d, want at most %d", c.MaxQueue, maxCount)
	bad(c.Interval < 0, "Interval is %v, want no negative", c.Interval)
	bad(c.MinLimit < 0 || c.MinLimit > maxCount, "MinLimit is %d, want 0 to %d", c.MinLimit, maxCount)
	bad(c.MaxLimit < 0 || c.MaxLimit > maxCount, "MaxLimit is %d, want 0 to %d", c.MaxLimit, maxCount)
	bad(c.MaxLimit > 0 && c.MinLimit > c.MaxLimit, "MinLimit %d exceeds MaxLimit %d", c.MinLimit, c.MaxLimit)
	bad(c.Window < 0, "Window is %v, want no negative", c.Window)
	return errors.Join(errs...)
}

// withDefaults fills in what is zero.
func (c Config) withDefaults() Config {
	def := func(p *int, value int) {
		if *p == 0 {
			*p = value
		}
	}
	def(&c.Limit, 10)
	def(&c.MaxQueue, c.Limit)
	def(&c.MinLimit, 1)
	def(&c.MaxLimit, max(1000, c.MinLimit))
	if c.MaxWait < 0 {
		c.MaxQueue = -1
	}
	if c.Interval == 0 {
		c.Interval = max(100*time.Millisecond, c.Target)
	}
	if c.Window == 0 {
		c.Window = 100 * time.Millisecond
	}
	if c.Classify == nil {
		c.Classify = Classify
	}
	return c
}
