package breaker

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"
)

// Limits of a Config, so that the memory of a breaker is bounded.
const (
	maxProbes      = 1000
	maxWindowCalls = 1 << 20
)

// A Config configures a [Breaker]. Zero fields mean their defaults, and the
// zero Config suits a remote dependency.
type Config struct {
	// Name is the name of the dependency in errors, events and statistics.
	Name string

	// Window is the time over which the breaker counts ended calls, kept in
	// tenths: it forgets a result after at least nine tenths of Window and at
	// most Window. Zero means 10 seconds. It is at least 10ns.
	Window time.Duration
	// WindowCalls is the number of latest ended calls that the breaker counts
	// instead of Window. Zero and negative mean that Window decides. It is at
	// most 1048576.
	WindowCalls int
	// MinCalls is the number of ended calls below which the ratios do not
	// apply. Zero means 20, or WindowCalls if that is less. Negative means 1.
	MinCalls int
	// FailureRatio is the share of failures in the window, in (0, 1], that
	// opens the breaker. Zero means 0.5. Negative means none.
	FailureRatio float64
	// Consecutive is the number of failures without a success between that
	// opens the breaker, if the window contains fewer than MinCalls calls or
	// FailureRatio is negative. With more calls it takes at least half of
	// MinCalls failures, over a tenth of Window. Zero means 5. Negative means
	// none.
	Consecutive int
	// SlowCall is the duration from which a call is slow. Zero means that no
	// call is slow. With zero, a call hangs if it runs three times as long as
	// the longest of the latest successes, and with a positive SlowCall if it
	// runs that long. Negative means that no call is slow or hangs.
	SlowCall time.Duration
	// SlowRatio is the share of slow calls in the window, in (0, 1], that opens
	// the breaker. Zero means 0.5. Negative means none.
	SlowRatio float64
	// TripIf, if not nil, decides instead of the rules above. It is called
	// after each success or failure, and at the start of calls while others
	// hang, outside locks and possibly concurrently. If it returns true, the
	// breaker opens.
	TripIf func(Stats) bool

	// OpenFor is the length of an open period, without jitter. If the
	// dependency fails again, the next period is longer: at least a 40th of
	// the time since the first opening. Zero means 4 seconds.
	OpenFor time.Duration
	// MaxOpenFor is the greatest length of an open period, without jitter. An
	// error with a method RetryAfter() time.Duration may ask for a longer
	// period than OpenFor, up to MaxOpenFor. Zero means 1 minute, or OpenFor if
	// that is more. Negative means OpenFor.
	MaxOpenFor time.Duration
	// Jitter is the share of itself, in (0, 1], by which an open period becomes
	// longer at most, at random. Zero means 0.2. Negative means none.
	Jitter float64

	// Probes is the number of calls that may run at once while the breaker is
	// half-open, and the number of successes that end this state. A failure
	// opens the breaker again; the next time, a single probe must succeed
	// before others may run. Zero means 2. It is at most 1000.
	Probes int
	// ProbeTimeout is the time after which a running probe gives its place to
	// another call. The probe may still succeed or fail. Zero means as long as
	// an open period.
	ProbeTimeout time.Duration

	// Classify judges the error of a call, which is never nil. A nil error is
	// always a success. Nil means [Classify].
	Classify func(error) Outcome

	// OnEvent is called for each change of state and, if the breaker is forced
	// closed, for each change that it would have made. OnEvent may be nil. It
	// is called synchronously, outside locks, after the change that the event
	// reports, in the order of the changes. It may call back into this package
	// and must not block.
	OnEvent func(context.Context, Event)
}

// Validate reports all problems of c, joined by errors.Join, or nil.
func (c Config) Validate() error {
	c = c.withDefaults()
	var errs []error
	bad := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("breaker: "+format, args...))
	}
	if c.Window < tenths {
		bad("Window is %v, want at least 10ns", c.Window)
	}
	if c.WindowCalls > maxWindowCalls {
		bad("WindowCalls is %d, want at most %d", c.WindowCalls, maxWindowCalls)
	}
	if c.WindowCalls > 0 && c.MinCalls > c.WindowCalls {
		bad("MinCalls is %d, want at most WindowCalls, %d", c.MinCalls, c.WindowCalls)
	}
	for _, r := range [...]struct {
		name  string
		value float64
	}{{"FailureRatio", c.FailureRatio}, {"SlowRatio", c.SlowRatio}, {"Jitter", c.Jitter}} {
		if !(r.value <= 1) || math.IsInf(r.value, -1) { // also NaN
			bad("%s is %v, want a share in (0, 1], or a negative number", r.name, r.value)
		}
	}
	if c.OpenFor < 0 {
		bad("OpenFor is %v, want more than 0", c.OpenFor)
	}
	if c.MaxOpenFor < c.OpenFor {
		bad("MaxOpenFor is %v, want at least OpenFor, %v", c.MaxOpenFor, c.OpenFor)
	}
	if c.Probes < 0 || c.Probes > maxProbes {
		bad("Probes is %d, want 1 to %d", c.Probes, maxProbes)
	}
	if c.ProbeTimeout < 0 {
		bad("ProbeTimeout is %v, want 0 or more", c.ProbeTimeout)
	}
	return errors.Join(errs...)
}

// withDefaults puts the documented default in place of each zero.
func (c Config) withDefaults() Config {
	orDefault(&c.Window, 10*time.Second)
	minCalls := 20
	if c.WindowCalls > 0 {
		minCalls = min(minCalls, c.WindowCalls)
	}
	orDefault(&c.MinCalls, minCalls)
	c.MinCalls = max(c.MinCalls, 1)
	orDefault(&c.FailureRatio, 0.5)
	orDefault(&c.Consecutive, 5)
	orDefault(&c.SlowRatio, 0.5)
	orDefault(&c.OpenFor, 4*time.Second)
	orDefault(&c.MaxOpenFor, max(time.Minute, c.OpenFor))
	if c.MaxOpenFor < 0 {
		c.MaxOpenFor = c.OpenFor
	}
	orDefault(&c.Jitter, 0.2)
	orDefault(&c.Probes, 2)
	if c.Classify == nil {
		c.Classify = Classify
	}
	return c
}

func orDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
