package breaker

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redoubt-go/redoubt/internal/ctxerr"
	"github.com/redoubt-go/redoubt/internal/errtree"
)

// A ThrottleConfig configures a [Throttle]. Zero fields mean their defaults.
type ThrottleConfig struct {
	// Name is the name of the dependency in errors and statistics.
	Name string
	// K is the ratio of attempts to accepted calls above which the throttle
	// refuses calls. A smaller K protects the dependency better and notices
	// its recovery later. Zero means 2. It is at least 1.
	K float64
	// Window is the time over which the throttle counts, kept in tenths. It
	// should be longer than the slowest call. Zero means 30 seconds.
	Window time.Duration
	// MinCalls is the number of attempts in the window below which nothing is
	// refused. Zero means 20. Negative means none.
	MinCalls int
	// ProbeEvery is the time without an admitted call after which the next
	// call is admitted in any case, so that recovery is noticed. Zero means 1
	// second. Negative means never; the throttle then admits fewer and fewer
	// calls.
	ProbeEvery time.Duration
	// Classify judges the error of a call, which is never nil. Everything
	// except OutcomeFailure counts as accepted. Nil means [Classify].
	Classify func(error) Outcome
}

// Validate reports all problems of c, joined by errors.Join, or nil.
func (c ThrottleConfig) Validate() error {
	c = c.withDefaults()
	var errs []error
	if !(c.K >= 1) || math.IsInf(c.K, 1) {
		errs = append(errs, fmt.Errorf("breaker: K is %v, want a finite number of at least 1", c.K))
	}
	if c.Window < tenths {
		errs = append(errs, fmt.Errorf("breaker: Window is %v, want at least 10ns", c.Window))
	}
	return errors.Join(errs...)
}

func (c ThrottleConfig) withDefaults() ThrottleConfig {
	orDefault(&c.K, 2)
	orDefault(&c.Window, 30*time.Second)
	orDefault(&c.MinCalls, 20)
	orDefault(&c.ProbeEvery, time.Second)
	if c.Classify == nil {
		c.Classify = Classify
	}
	return c
}

// A throttle uses these counters of its meter.
const (
	accepts  = success
	attempts = failure
)

// A Throttle is a client-side throttle: it refuses a share of calls that grows
// with the share of calls that the dependency does not accept. Of R attempts,
// A were accepted. Then the next attempt is refused with probability
// max(0, (R-K*A)/(R+1)). A Throttle has no states and never refuses all calls.
// This suits many clients of one overloaded service. See Site Reliability
// Engineering (O'Reilly 2016), chapter 21. Make a Throttle with [NewThrottle].
// It needs no Close.
type Throttle struct {
	cfg      ThrottleConfig
	start    time.Time
	refusal  *ThrottleError
	mu       sync.Mutex // guards the window of the meter
	meter    meter
	admitted atomic.Int64 // when the latest call was admitted, since start
}

// NewThrottle returns a new throttle. It panics with the error of
// [ThrottleConfig.Validate] if that is not nil.
func NewThrottle(cfg ThrottleConfig) *Throttle {
	if err := cfg.Validate(); err != nil {
		panic(err)
	}
	t := &Throttle{cfg: cfg.withDefaults(), start: time.Now()}
	t.refusal = &ThrottleError{Name: cfg.Name}
	t.meter.width.Store(int64(t.cfg.Window / tenths))
	return t
}

// Do is the function [Do] for a function without a result.
//
// Errors: as for the function Do.
func (t *Throttle) Do(ctx context.Context, fn func(context.Context) error) error {
	_, err := Do(ctx, t, func(ctx context.Context) (struct{}, error) { return struct{}{}, fn(ctx) })
	return err
}

// Allow admits a call that is reported by [Call.Done] or [Call.Report].
//
// Errors: a [*ThrottleError], or an error that matches ctx.Err() and
// context.Cause(ctx) if ctx is already done.
func (t *Throttle) Allow(ctx context.Context) (*Call, error) { return allow(ctx, t) }

func (t *Throttle) enter(ctx context.Context) (ticket, error) {
	if ctx.Err() != nil {
		return ticket{}, ctxerr.New(ctx, op(t.cfg.Name))
	}
	now := time.Since(t.start)
	p := t.refuseShare(now)
	t.meter.add(attempts)
	if p > 0 && rand.Float64() < p && !t.probe(now) {
		t.meter.add(rejected)
		return ticket{}, t.refusal
	}
	if p > 0 {
		t.admitted.Store(int64(now))
	}
	return ticket{}, nil
}

// probe reports whether a call is due by ProbeEvery. Of concurrent calls only
// the first is.
func (t *Throttle) probe(now time.Duration) bool {
	last := t.admitted.Load()
	idle := int64(now) - last
	if idle < 0 {
		idle = math.MaxInt64 // the clock went back
	}
	return t.cfg.ProbeEvery > 0 && idle >= int64(t.cfg.ProbeEvery) && t.admitted.CompareAndSwap(last, int64(now))
}

// refuseShare returns the probability that a call at now is refused.
func (t *Throttle) refuseShare(now time.Duration) float64 {
	if !t.meter.fresh(now) {
		t.rotate()
	}
	w := t.meter.window()
	if int(w[attempts]) < t.cfg.MinCalls {
		return 0
	}
	r, a := float64(w[attempts]), float64(w[accepts])
	return max(0, (r-t.cfg.K*a)/(r+1))
}

func (t *Throttle) rotate() {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Since(t.start)
	if int64(now) < t.meter.from.Load() {
		t.meter.restart(now) // the clock went back
		return
	}
	t.meter.rotate(now)
}

func (t *Throttle) leave(ctx context.Context, tk ticket, err error) {
	o := OutcomeSuccess
	if err != nil {
		o = OutcomeFailure // stays so if Classify panics
		defer func() { t.end(ctx, tk, o, err) }()
		if err != errGone {
			o = t.outcome(ctx, err)
		}
		return
	}
	t.end(ctx, tk, o, nil)
}

// outcome returns the outcome of a call. If its caller canceled it, the call is
// ignored.
func (t *Throttle) outcome(ctx context.Context, err error) Outcome {
	o := t.cfg.Classify(err)
	if o == OutcomeFailure && errtree.Is(ctx.Err(), context.Canceled) {
		if _, marked := errtree.Find[*markedError](err); !marked {
			return OutcomeIgnored
		}
	}
	return o
}

// end reads no clock: admissions rotate the window.
func (t *Throttle) end(_ context.Context, _ ticket, o Outcome, _ error) {
	if o != OutcomeFailure {
		t.meter.add(accepts)
	}
}

// ThrottleStats is a snapshot of a throttle. The counters count since
// NewThrottle and only grow.
type ThrottleStats struct {
	Name string `json:"name"` // ThrottleConfig.Name

	Attempts uint64 `json:"attempts"` // calls, including refused calls
	Accepts  uint64 `json:"accepts"`  // calls that the dependency accepted
	Rejected uint64 `json:"rejected"` // refused calls

	WindowAttempts int     `json:"window_attempts"` // attempts in the window
	WindowAccepts  int     `json:"window_accepts"`  // accepted calls in the window
	RefuseShare    float64 `json:"refuse_share"`    // probability that the next call is refused, in [0, 1)
}

// Stats returns a snapshot.
func (t *Throttle) Stats() ThrottleStats {
	share := t.refuseShare(time.Since(t.start)) // rotates the window, too
	w := t.meter.window()
	return ThrottleStats{
		Name:           t.cfg.Name,
		Attempts:       t.meter.total(attempts),
		Accepts:        t.meter.total(accepts),
		Rejected:       t.meter.total(rejected),
		WindowAttempts: int(w[attempts]),
		WindowAccepts:  int(w[accepts]),
		RefuseShare:    share,
	}
}
