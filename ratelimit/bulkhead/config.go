package bulkhead

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redoubt-go/redoubt/internal/quote"
)

// Config configures a [Bulkhead].
type Config struct {
	Name string // names the bulkhead in errors, events and Stats; may be empty

	// Limit is the number of places. If Adaptive is set, it is the initial
	// limit. Zero means 10.
	Limit int
	// MaxQueue is the number of callers that may wait. Zero means Limit.
	// Negative means that no caller waits.
	MaxQueue int
	// MaxWait bounds the wait of a caller. Zero means no bound apart from its
	// context. Negative means that no caller waits.
	MaxWait time.Duration
	// Weight returns the share of a tenant, relative to other tenants that wait
	// with the same priority. If it returns 0 or less, the tenant shares a
	// queue with all such tenants and with callers without a tenant. It is
	// called without a lock. Nil means that all tenants have the weight 1.
	Weight func(tenant string) int

	// Target is the acceptable wait. Once all admitted callers have waited
	// longer for an Interval, the bulkhead sheds load: it refuses a caller that
	// has waited longer when its turn comes, except the last in the queue. Zero
	// or negative means no load shedding.
	Target time.Duration
	// Interval is the time for which waits above Target are tolerated. Zero
	// means 100 ms, or Target if that is longer.
	Interval time.Duration

	// Adaptive means that the bulkhead finds the limit, by measuring the calls.
	Adaptive bool
	// MinLimit and MaxLimit bound an adaptive limit.
	MinLimit int // zero means 1
	MaxLimit int // zero means 1000
	// Classify returns the meaning of an error of the work to an adaptive
	// limit. Nil means [Classify].
	Classify func(error) Outcome

	// OnEvent is called with refusals and changes of the limit.
	// OnEvent may be nil. It is called synchronously, outside locks, after the
	// change that the event reports, in the order of the changes. It may call
	// back into this package and must not block.
	OnEvent func(context.Context, Event)
}

// maxCount bounds limits and queues.
const maxCount = 1 << 30

// Validate returns an error that joins all problems of c.
func (c Config) Validate() error {
	p := problems{prefix: "bulkhead: "}
	if c.Name != "" {
		p.prefix += quote.Name(c.Name) + ": "
	}
	p.add(c.Limit < 0 || c.Limit > maxCount, "Limit is %d, want 0 to %d", c.Limit, maxCount)
	p.add(c.MaxQueue > maxCount, "MaxQueue is %d, want at most %d", c.MaxQueue, maxCount)
	p.add(c.Interval < 0, "Interval is %v, want at least 0", c.Interval)
	p.add(c.MinLimit < 0 || c.MinLimit > maxCount, "MinLimit is %d, want 0 to %d", c.MinLimit, maxCount)
	p.add(c.MaxLimit < 0 || c.MaxLimit > maxCount, "MaxLimit is %d, want 0 to %d", c.MaxLimit, maxCount)
	p.add(c.MaxLimit > 0 && c.MinLimit > c.MaxLimit, "MinLimit is %d, want at most MaxLimit, %d", c.MinLimit, c.MaxLimit)
	return errors.Join(p.errs...)
}

// problems collects the errors of a configuration.
type problems struct {
	prefix string
	errs   []error
}

func (p *problems) add(wrong bool, format string, args ...any) {
	if wrong {
		p.errs = append(p.errs, errors.New(p.prefix+fmt.Sprintf(format, args...)))
	}
}

// withDefaults returns c with defaults filled in.
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
	if c.Adaptive {
		c.Limit = min(max(c.Limit, c.MinLimit), c.MaxLimit)
	}
	if c.MaxWait < 0 {
		c.MaxQueue = -1
	}
	if c.Interval == 0 {
		c.Interval = max(100*time.Millisecond, c.Target)
	}
	if c.Classify == nil {
		c.Classify = Classify
	}
	return c
}
