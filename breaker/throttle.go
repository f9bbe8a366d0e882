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
)

const (
	// lowShare is the share of calls that a throttle admits a few windows
	// after the start of an outage. The share becomes half of it after
	// halfLife, a third after twice the time and so on. So a long outage
	// receives few calls.
	lowShare = 0.03
	halfLife = time.Minute
	// forgetAfter is the number of windows without a call after which a
	// throttle admits everything again.
	forgetAfter = 20
)

// A ThrottleConfig configures a [Throttle]. Zero fields mean their defaults.
type ThrottleConfig struct {
	// Name is the name of the dependency in errors and statistics.
	Name string
	// K is the ratio of ended calls to successes above which the throttle
	// refuses calls. A smaller K protects the dependency better, and refuses
	// calls at a smaller share of failures. Zero means 2. It is at least 1.
	K float64
	// Window is the time over which the throttle averages, kept in tenths.
	// After an outage the admitted share doubles within 0.7 of Window, or
	// within a sixth of the duration of a call if that is longer. Zero means
	// 500ms. It is at least 10ns.
	Window time.Duration
	// MinCalls is the number of ended calls over which the throttle averages
	// at least. Zero means 10. Negative means 1.
	MinCalls int
	// ProbeEvery is the time without an admitted call after which the next call
	// is admitted in any case, so that a recovery is noticed at low rates. Zero
	// means 1.5 seconds. Negative means never.
	ProbeEvery time.Duration
	// Classify judges the error of a call, which is never nil. A nil error is
	// always a success. Nil means [Classify].
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
	orDefault(&c.Window, 500*time.Millisecond)
	orDefault(&c.MinCalls, 10)
	c.MinCalls = max(c.MinCalls, 1)
	orDefault(&c.ProbeEvery, 1500*time.Millisecond)
	if c.Classify == nil {
		c.Classify = Classify
	}
	return c
}

// A Throttle is an adaptive client-side throttle. While at least 1 of K calls
// succeeds, it refuses nothing. Otherwise it refuses a share of the calls, so
// that the dependency receives about K times as many calls as it can serve. If
// nothing succeeds, it admits 1 call per ProbeEvery and a share of the calls:
// 3 % at first, half of that after a minute, a third after two. When calls
// succeed again, it admits all within seconds. This suits many clients of one
// overloaded service. See Site Reliability Engineering (O'Reilly 2016),
// chapter 21.
//
// A call counts when it ends, and not at all if it is ignored; see [Outcome]. A
// call that its caller canceled is ignored. A Throttle forgets everything after
// 20 windows without a call. A nil *Throttle admits everything. Make a Throttle
// with [NewThrottle]. It needs no Close.
type Throttle struct {
	start   time.Time // times are durations since start, on the monotonic clock
	cfg     atomic.Pointer[ThrottleConfig]
	refusal atomic.Pointer[ThrottleError]
	meter   meter
	// level is a float64: K times the average share of calls that succeed, of
	// admitted and refused calls. It is the admitted share if it is less than
	// 1, as in the formula K*accepts/requests of the book.
	level atomic.Uint64

	mu        sync.Mutex    // guards the fields below, changes of level, and the window of the meter
	successes uint64        // total at the last change of level
	credit    float64       // a call is admitted when the shares of calls add up to 1
	refused   int           // calls refused since the last admitted call
	probed    float64       // share of calls that was admitted by ProbeEvery last, or 0
	admitted  time.Duration // last admitted call while calls were refused
}

// NewThrottle returns a new throttle. It panics with the error of
// [ThrottleConfig.Validate] if that is not nil.
func NewThrottle(cfg ThrottleConfig) *Throttle {
	t := &Throttle{start: time.Now().Add(-1)} // so that no time since is 0
	if err := t.Set(cfg); err != nil {
		panic(err)
	}
	return t
}

// Set replaces the configuration of t. It admits everything at first, as a new
// throttle does. The counters are kept.
//
// Errors: the error of [ThrottleConfig.Validate]; t is unchanged then.
func (t *Throttle) Set(cfg ThrottleConfig) error {
	if err := cfg.Validate(); err != nil {
		return err
	}
	cfg = cfg.withDefaults()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.cfg.Store(&cfg)
	t.refusal.Store(&ThrottleError{Name: cfg.Name})
	t.meter.width.Store(int64(cfg.Window / tenths))
	t.restart(t.now())
	return nil
}

// Config returns the configuration of t, with the defaults in place of zeros.
func (t *Throttle) Config() ThrottleConfig {
	if t == nil {
		return ThrottleConfig{}
	}
	return *t.cfg.Load()
}

// Do is the function [Do] for a function without a result.
//
// Errors: as for the function Do.
func (t *Throttle) Do(ctx context.Context, fn func(context.Context) error) error {
	_, err := Do(ctx, t, func(ctx context.Context) (struct{}, error) { return struct{}{}, fn(ctx) })
	return err
}

// Allow admits a call that is reported by [Call.Done] or [Call.Report]. A call
// that is never reported counts for nothing.
//
// Errors: a [*ThrottleError], or an error that matches ctx.Err() and
// context.Cause(ctx) if ctx is already done.
func (t *Throttle) Allow(ctx context.Context) (*Call, error) { return allow(ctx, t) }

func (t *Throttle) now() time.Duration { return time.Since(t.start) }

// restart forgets everything except the counters. It needs the lock.
func (t *Throttle) restart(now time.Duration) {
	t.meter.restart(now)
	t.successes, t.credit, t.refused, t.probed, t.admitted = t.meter.total(success), 0, 0, 0, now
	t.level.Store(math.Float64bits(t.cfg.Load().K))
}

// share is the share of calls to be admitted.
func (t *Throttle) share() float64 { return min(1, math.Float64frombits(t.level.Load())) }

// enter implements gate. The ticket of a call contains its start if t admitted
// a share of the calls.
func (t *Throttle) enter(ctx context.Context) (ticket, error) {
	if ctx.Err() != nil {
		return ticket{}, ctxerr.New(ctx, op(t.Config().Name))
	}
	if t == nil || t.share() == 1 {
		return ticket{}, nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.turn()
	if !t.admits(now) {
		t.refused++
		t.meter.add(rejected)
		return ticket{}, t.refusal.Load()
	}
	t.refused, t.admitted = 0, now
	return ticket{start: now}, nil
}

// admits reports whether to admit a call. It needs the lock.
func (t *Throttle) admits(now time.Duration) bool {
	c := t.cfg.Load()
	if t.credit += t.share(); t.credit >= 1 {
		t.credit--
		t.probed = 0
		return true
	}
	if c.ProbeEvery > 0 && now-t.admitted >= c.ProbeEvery {
		t.probed = 1 / float64(t.refused+1)
		t.credit = 0
		return true
	}
	return false
}

// turn brings the window up to now. If the clock went back, or the last call is
// long ago, it forgets everything. It needs the lock.
func (t *Throttle) turn() time.Duration {
	now := t.now()
	if idle := now - time.Duration(t.meter.from.Load()); idle < 0 || idle/forgetAfter > t.cfg.Load().Window {
		t.restart(now)
	}
	t.meter.rotate(now)
	return now
}

// leave implements gate.
func (t *Throttle) leave(ctx context.Context, tk ticket, err error) {
	if t == nil {
		return
	}
	o := OutcomeFailure // if Classify panics
	defer func() { t.end(ctx, tk, o, err) }()
	o = untimed(ctx, t.cfg.Load().Classify, err)
}

// end implements gate. While everything is admitted, a success takes no lock:
// the next failure counts the successes before it.
func (t *Throttle) end(_ context.Context, tk ticket, o Outcome, _ error) {
	switch {
	case t == nil:
		return
	case o == OutcomeSuccess:
		t.meter.add(success)
		if t.share() == 1 && t.meter.fresh(t.now()) {
			return
		}
	case o == OutcomeFailure:
		t.meter.add(failure)
	default:
		t.meter.add(ignored)
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.turn()
	w := t.meter.window()
	n := max(1, float64(w[success]+w[failure]))
	if o == OutcomeFailure {
		t.failed(n, now)
	} else if t.share() < 1 && tk.start != 0 {
		t.succeeded(n, tk.ran(now))
	}
}

// failed takes a failure; n calls ended in the window. It needs the lock.
func (t *Throttle) failed(n float64, now time.Duration) {
	c, level := t.cfg.Load(), math.Float64frombits(t.level.Load())
	share := min(1, level)
	n = max(n, float64(c.MinCalls)*share+1) // a call means more if few are admitted
	if share == 1 {
		before := float64(t.meter.total(success) - t.successes)
		level = c.K - (c.K-level)*math.Pow(1-1/n, before)
		level -= level / n
		t.credit, t.refused, t.probed, t.admitted = rand.Float64(), 0, 0, now
	} else {
		step := min(1, gain(level)/(n*(c.K-1))) // so that the share stays if 1 of K calls succeeds
		if level > lowShare {
			level = max(lowShare, level-level*step)
		} else {
			level -= level / n * level / lowShare * float64(c.Window) / float64(halfLife)
		}
	}
	t.change(level)
}

// gain is the change of the share by a call, relative to an average. Small
// shares change faster.
func gain(share float64) float64 { return max(1, 2-4*share) }

// succeeded takes a success that lasted for d and was admitted while calls were
// refused; n calls ended in the window. Long calls give evidence late, so the
// share doubles six times in the duration of a call. It needs the lock.
func (t *Throttle) succeeded(n float64, d time.Duration) {
	c, level := t.cfg.Load(), math.Float64frombits(t.level.Load())
	n = max(n, n*float64(d)/4/float64(c.Window))
	t.change(min(c.K, max(level, t.probed)*(1+gain(level)/n)))
}

func (t *Throttle) change(level float64) {
	t.level.Store(math.Float64bits(level))
	t.successes = t.meter.total(success)
}

// ThrottleStats is a snapshot of a throttle. The counters count since
// NewThrottle and only grow. Each call that has ended is in exactly one of
// Successes, Failures and Ignored.
type ThrottleStats struct {
	Name string `json:"name"` // ThrottleConfig.Name

	Successes uint64 `json:"successes"` // calls that succeeded
	Failures  uint64 `json:"failures"`  // calls that failed
	Ignored   uint64 `json:"ignored"`   // calls that are no evidence
	Rejected  uint64 `json:"rejected"`  // refused calls

	WindowCalls    int     `json:"window_calls"`    // successes and failures in the window
	WindowFailures int     `json:"window_failures"` // failures in the window
	RefuseShare    float64 `json:"refuse_share"`    // share of calls that is refused at present, in [0, 1)
}

// Stats returns a snapshot.
func (t *Throttle) Stats() ThrottleStats {
	if t == nil {
		return ThrottleStats{}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	w := t.meter.windowAt(t.now())
	return ThrottleStats{
		Name:           t.cfg.Load().Name,
		Successes:      t.meter.total(success),
		Failures:       t.meter.total(failure),
		Ignored:        t.meter.total(ignored),
		Rejected:       t.meter.total(rejected),
		WindowCalls:    int(w[success] + w[failure]),
		WindowFailures: int(w[failure]),
		RefuseShare:    1 - t.share(),
	}
}
