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
)

// A ThrottleConfig describes a throttle. The zero value is that of the book; a zero field means its default.
type ThrottleConfig struct {
	// Name says which dependency is guarded. It appears in errors. Default: none.
	Name string
	// K is how many times as many calls as the dependency accepts are let through before any is refused, at
	// least 1. A smaller K protects the dependency more and notices its recovery later. Default 2; it cannot be
	// off.
	K float64
	// Window is the span over which attempts and accepted calls are counted, kept in tenths; it should be longer
	// than the slowest call. Default 30 s, at least 10 ns; it cannot be off.
	Window time.Duration
	// MinCalls is the number of attempts in the window below which nothing is refused. Default 20. Negative: off.
	MinCalls int
	// ProbeEvery is the time without an admitted call after which the next one is admitted in any case, so that
	// recovery is noticed. Default 1 s. Negative: off; chance alone then admits ever fewer calls.
	ProbeEvery time.Duration
	// Classify judges the error of a call, which is never nil. All but a Failure counts as accepted. Default
	// [Classify], so that an error which proves the dependency to be alive must be marked [Success].
	Classify func(error) Outcome
}

// Validate reports every field that NewThrottle would refuse, joined with errors.Join, or nil.
func (c ThrottleConfig) Validate() error {
	c = c.withDefaults()
	var errs []error
	if !(c.K >= 1) || math.IsInf(c.K, 1) {
		errs = append(errs, fmt.Errorf("breaker: K %v: want a finite number of at least 1", c.K))
	}
	if c.Window < tenths {
		errs = append(errs, fmt.Errorf("breaker: Window %v: want at least 10ns", c.Window))
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

// A throttle counts in the windowed kinds of its meter.
const (
	accepts  = success
	attempts = failure
)

// A Throttle refuses a share of calls that grows with the share the dependency does not accept: of R attempts, A of
// them accepted, the next is refused with probability max(0, (R-K*A)/(R+1)). Unlike a [Breaker] it has no states
// and never stops calling altogether, which suits many clients of one overloaded service. It is the client-side
// throttling of Google's Site Reliability Engineering, chapter 21. Make one with [NewThrottle]; it needs no Close.
type Throttle struct {
	cfg      ThrottleConfig
	start    time.Time
	refusal  *OpenError
	mu       sync.Mutex // guards the window of the meter
	meter    meter
	admitted atomic.Int64 // when the latest call was admitted, since start
}

// NewThrottle returns a throttle that has seen nothing yet. It panics with the error of ThrottleConfig.Validate if
// that is not nil.
func NewThrottle(cfg ThrottleConfig) *Throttle {
	if err := cfg.Validate(); err != nil {
		panic(err)
	}
	t := &Throttle{cfg: cfg.withDefaults(), start: time.Now()}
	t.refusal = &OpenError{Name: cfg.Name, State: Throttling}
	t.meter.width = t.cfg.Window / tenths
	return t
}

// Do calls fn if the throttle admits it and records the outcome. It is the function [Do] without a result, with the
// same errors.
func (t *Throttle) Do(ctx context.Context, fn func(context.Context) error) error {
	_, err := Do(ctx, t, func(ctx context.Context) (struct{}, error) { return struct{}{}, fn(ctx) })
	return err
}

// Allow asks for admission of a call whose outcome will be reported by [Call.Done] or [Call.Report]. Its errors are
// those of Breaker.Allow.
func (t *Throttle) Allow(ctx context.Context) (*Call, error) { return allow(ctx, t) }

func (t *Throttle) enter(ctx context.Context) (ticket, error) {
	if ctx.Err() != nil {
		return ticket{}, contextError(ctx, t.cfg.Name)
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

// probe reports whether a call is due that goes ahead against all odds; of concurrent ones only one is.
func (t *Throttle) probe(now time.Duration) bool {
	last := t.admitted.Load()
	idle := int64(now) - last
	if idle < 0 {
		idle = math.MaxInt64 // the clock went back
	}
	return t.cfg.ProbeEvery > 0 && idle >= int64(t.cfg.ProbeEvery) && t.admitted.CompareAndSwap(last, int64(now))
}

// refuseShare is the probability with which a call at now is to be refused.
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
	o := Success
	if err != nil {
		o = Failure // stays so if Classify panics
		defer func() { t.end(ctx, tk, o, err) }()
		o = judge(ctx, err, t.cfg.Classify, false, false)
		return
	}
	t.end(ctx, tk, o, nil)
}

// end reads no clock: admissions turn the window, and at a rate that matters there is always one.
func (t *Throttle) end(_ context.Context, _ ticket, o Outcome, _ error) {
	if o != Failure {
		t.meter.add(accepts)
	}
}

// ThrottleStats is a snapshot of a throttle. The totals count since NewThrottle.
type ThrottleStats struct {
	Name          string  `json:"name"`           // the ThrottleConfig.Name
	Attempts      int     `json:"attempts"`       // calls in the window, refused ones included
	Accepts       int     `json:"accepts"`        // calls in the window that the dependency accepted
	RefuseShare   float64 `json:"refuse_share"`   // probability that the next call is refused, in [0, 1)
	TotalAttempts uint64  `json:"total_attempts"` // calls ever, refused ones included
	TotalAccepts  uint64  `json:"total_accepts"`  // calls ever that the dependency accepted
	TotalRejected uint64  `json:"total_rejected"` // calls refused
}

// Stats returns a snapshot.
func (t *Throttle) Stats() ThrottleStats {
	share := t.refuseShare(time.Since(t.start)) // turns the window, too
	w := t.meter.window()
	return ThrottleStats{
		Name:          t.cfg.Name,
		Attempts:      int(w[attempts]),
		Accepts:       int(w[accepts]),
		RefuseShare:   share,
		TotalAttempts: t.meter.total(attempts),
		TotalAccepts:  t.meter.total(accepts),
		TotalRejected: t.meter.total(rejected),
	}
}
