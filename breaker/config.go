package breaker

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"
)

// Limits of a Config, which keep memory per breaker bounded.
const (
	maxProbes      = 1000
	maxWindowCalls = 1 << 20
)

// A Config describes a breaker. The zero value is a sound default for a remote dependency; a zero field means
// its default. A Config is copied by New and may be kept as a template.
type Config struct {
	// Name says which dependency is guarded. It appears in errors and events. Default: none.
	Name string

	// Window is the span over which ended calls are judged, kept in tenths: a result is forgotten after at least
	// nine tenths of Window and at most Window. Default 10 s, at least 10 ns; it cannot be off.
	Window time.Duration
	// WindowCalls, if positive, judges the last WindowCalls ended calls instead, however old they are. At most
	// 1<<20. Zero or negative: the time window decides.
	WindowCalls int
	// MinCalls is the number of ended calls below which the ratios are not consulted. Default 20, or WindowCalls
	// if that is less. Negative: one call is enough.
	MinCalls int
	// FailureRatio opens the breaker when failures/(successes+failures) reaches it, in (0, 1]. Default 0.5.
	// Negative: off.
	FailureRatio float64
	// Consecutive opens the breaker after so many failures with no success between, as long as the window holds
	// fewer than MinCalls calls or FailureRatio is off. A run that has not grown for MaxOpenFor is forgotten.
	// Default 5. Negative: off.
	Consecutive int
	// SlowCall is the duration from which a call is slow. It also decides how a call given up by its caller is
	// judged, see [Outcome]. Default off.
	SlowCall time.Duration
	// SlowRatio opens the breaker when slow/(successes+failures) reaches it, in (0, 1]; calls that still run but
	// are already slow count on both sides. Default 0.5. Negative: slow calls are counted but do not open.
	SlowRatio float64
	// TripIf, if not nil, decides in place of FailureRatio, Consecutive and SlowRatio. It is called after each
	// ended call, outside locks and possibly concurrently, and returns true to open the breaker.
	TripIf func(Stats) bool

	// OpenFor is how long the breaker stays open the first time; each further opening lasts twice as long.
	// Default 5 s; it cannot be off.
	OpenFor time.Duration
	// MaxOpenFor bounds the doubling and what an error with a RetryAfter method may ask for. Default 1 min, or
	// OpenFor if that is more. Negative: no doubling, every opening lasts OpenFor.
	MaxOpenFor time.Duration
	// Jitter lengthens each opening by a random share of it, up to this one, in (0, 1]. Default 0.2.
	// Negative: off.
	Jitter float64

	// Probes is how many calls may run at once while half-open, and how many must succeed in order to close. One
	// failure reopens. Default 2, at most 1000; it cannot be off.
	Probes int
	// ProbeTimeout is the time after which a probe that has not reported is taken for failed. Default 30 s; it
	// cannot be off.
	ProbeTimeout time.Duration
	// RampUp is the time over which a recovered breaker raises the admitted share of calls from 5 % to all of
	// them. Zero or negative: all at once.
	RampUp time.Duration

	// Classify judges the error of a call, which is never nil; a nil error is a Success. Default [Classify].
	Classify func(error) Outcome

	// OnEvent reports each change of state and, while the breaker is forced closed, each change there would
	// have been. It may be nil. It is called synchronously, outside locks, after the change it reports and in
	// the order of the changes; it may call back into this package and must not block.
	OnEvent func(context.Context, Event)
}

// Validate reports every field that New would refuse, joined with errors.Join, or nil.
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
		bad("ProbeTimeout is %v, want more than 0", c.ProbeTimeout)
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
	orDefault(&c.OpenFor, 5*time.Second)
	orDefault(&c.MaxOpenFor, max(time.Minute, c.OpenFor))
	if c.MaxOpenFor < 0 {
		c.MaxOpenFor = c.OpenFor
	}
	orDefault(&c.Jitter, 0.2)
	orDefault(&c.Probes, 2)
	orDefault(&c.ProbeTimeout, 30*time.Second)
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
