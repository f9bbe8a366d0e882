package breaker

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redoubt-go/redoubt/internal/ctxerr"
	"github.com/redoubt-go/redoubt/internal/errtree"
	"github.com/redoubt-go/redoubt/internal/outbox"
)

// A Breaker is a circuit breaker. It guards one dependency. Make it with
// [New], share it among all callers of the dependency, and keep it as long as
// the dependency is used. It needs no Close. A nil *Breaker admits everything
// and counts nothing; its methods that change a state do nothing.
type Breaker struct {
	start time.Time // times are durations since start, on the monotonic clock
	cfg   atomic.Pointer[Config]
	cur   atomic.Pointer[period]
	watch atomic.Bool // see quiet
	timed atomic.Bool // every call needs its start
	meter meter
	pace  pace

	mu       sync.Mutex // guards the fields below, fields of the period, and the window of the meter
	last     *lastCalls // with WindowCalls only
	failed   streak     // failures
	hang     *hang      // nil in the first tenth
	outage   time.Duration
	lastOpen time.Duration         // length of the last open period
	refused  uint64                // rejected calls when the breaker last opened
	reopened bool                  // probes failed last
	clues    *clues                // nil before the first
	out      *outbox.Outbox[Event] // nil before the first event
	waiting  chan struct{}         // closed when a call may be admitted; nil if no Ready waits
}

// New returns a closed breaker. It panics with the error of [Config.Validate]
// if that is not nil.
func New(cfg Config) *Breaker {
	if err := cfg.Validate(); err != nil {
		panic(err)
	}
	first := &struct {
		Breaker
		cfg    Config
		period period
	}{cfg: cfg.withDefaults()}
	b := &first.Breaker
	b.start = time.Now().Add(-1) // so that no time since is 0
	b.set(&first.cfg)
	b.resize(&first.cfg)
	b.begin(&first.period, StateClosed, b.now(), 0)
	return b
}

// Do is the function [Do] for a function without a result.
//
// Errors: as for the function Do.
func (b *Breaker) Do(ctx context.Context, fn func(context.Context) error) error {
	_, err := Do(ctx, b, func(ctx context.Context) (struct{}, error) { return struct{}{}, fn(ctx) })
	return err
}

// Allow admits a call that is reported by [Call.Done] or [Call.Report], such as
// a stream. Prefer Do. Report a long stream when the dependency has accepted
// it, not when it ends. A call that is never reported counts as a call that
// hangs. ctx is the context of the call.
//
// Errors: an [*OpenError], or an error that matches ctx.Err() and
// context.Cause(ctx) if ctx is already done.
func (b *Breaker) Allow(ctx context.Context) (*Call, error) { return allow(ctx, b) }

// Name returns Config.Name.
func (b *Breaker) Name() string {
	if b == nil {
		return ""
	}
	return b.cfg.Load().Name
}

// State returns the present state. At the end of an open period it returns
// StateHalfOpen, even before the first call.
func (b *Breaker) State() State {
	if b == nil {
		return StateClosed
	}
	return b.cur.Load().view(b.now())
}

// Trip opens the breaker for d, or for the usual period if d <= 0. Then the
// breaker recovers by itself. Refusals report cause. Trip never shortens an
// open period. It discards the probes of a breaker that is half-open. It does
// nothing if the breaker is forced open or closed.
func (b *Breaker) Trip(d time.Duration, cause error) {
	r := report{err: cause, wait: errtree.Read(cause).RetryAfter}
	b.command(func(p *period, now time.Duration) {
		left := p.end() - now
		switch s := p.now(); {
		case s == StateForcedOpen || s == StateForcedClosed:
		case s != StateOpen || left <= 0:
			b.open(context.Background(), now, d, "tripped", r)
		case d > left:
			b.extend(p, now, d, cause)
		}
	})
}

// ForceOpen refuses every call, also probes, until Reset.
func (b *Breaker) ForceOpen() { b.force(StateForcedOpen) }

// ForceClosed admits every call until Reset. The breaker still counts and
// reports the changes that it would have made as events of KindShadow.
func (b *Breaker) ForceClosed() { b.force(StateForcedClosed) }

func (b *Breaker) force(to State) {
	b.command(func(p *period, now time.Duration) {
		if p.now() != to {
			b.move(context.Background(), now, to, 0, "forced", nil)
		}
	})
}

// Reset closes the breaker and forgets everything except the counters and the
// durations of successes. The results of running calls will count for nothing.
func (b *Breaker) Reset() {
	b.command(func(p *period, now time.Duration) {
		b.outage, b.lastOpen = 0, 0
		if p.now() == StateClosed {
			b.begin(new(period), StateClosed, now, 0)
			return
		}
		b.move(context.Background(), now, StateClosed, 0, "reset", nil)
	})
}

// Set replaces the configuration of b.
//
//	kept:    the state and its end, the counters, the window, running calls
//	applied: thresholds to the next call that ends, times to the next period
//	reset:   the window, if Window or WindowCalls changes
//
// Errors: the error of [Config.Validate]; b is unchanged then.
func (b *Breaker) Set(cfg Config) error {
	if err := cfg.Validate(); err != nil {
		return err
	}
	b.command(func(p *period, now time.Duration) {
		old := *b.cfg.Load()
		cfg := cfg.withDefaults()
		b.set(&cfg)
		if cfg.Window != old.Window || cfg.WindowCalls != old.WindowCalls {
			b.resize(&cfg)
			b.empty(now)
		}
		b.watch.Store(true)
		if p.now() == StateHalfOpen && p.trial.passed >= cfg.Probes {
			b.recover(context.Background(), p, now)
		}
		b.wake(true) // the times that Ready waits for may have changed
	})
	return nil
}

// Config returns the configuration of b, with the defaults in place of zeros.
func (b *Breaker) Config() Config {
	if b == nil {
		return Config{}
	}
	return *b.cfg.Load()
}

func (b *Breaker) set(cfg *Config) {
	b.cfg.Store(cfg)
	b.timed.Store(cfg.SlowCall > 0)
}

// resize makes the window that cfg describes.
func (b *Breaker) resize(cfg *Config) {
	b.meter.width.Store(int64(cfg.Window / tenths))
	b.last = nil
	if cfg.WindowCalls > 0 {
		b.last = &lastCalls{ring: make([]uint8, cfg.WindowCalls)}
	}
}

func (b *Breaker) now() time.Duration { return time.Since(b.start) }

// command locks b for a change that is no part of a call.
func (b *Breaker) command(act func(p *period, now time.Duration)) {
	if b == nil {
		return
	}
	b.mu.Lock()
	now := b.now()
	act(b.settle(context.Background(), now), now)
	b.deliver(b.unlock())
}

// enter implements gate. A closed breaker admits without a lock, and without
// the clock if the call cannot be given up and few calls are running. The call
// counts as started before the period is loaded again. So if the period has
// changed, no call of the old period counts as a running call of the new.
func (b *Breaker) enter(ctx context.Context) (ticket, error) {
	if ctx.Err() != nil {
		return ticket{}, ctxerr.New(ctx, op(b.Name()))
	}
	if b == nil {
		return ticket{}, nil
	}
	p := b.cur.Load()
	if !p.admitsAll() {
		return b.consider(ctx, p)
	}
	c, look := b.meter.begin()
	if !look && ctx == context.Background() && !b.timed.Load() && b.cur.Load() == p {
		return ticket{period: p, cell: c}, nil
	}
	return b.look(ctx, p, c)
}

// look is the rest of enter if it needs the clock.
func (b *Breaker) look(ctx context.Context, p *period, c *cell) (ticket, error) {
	if now := b.now(); b.meter.fresh(now) && b.cur.Load() == p {
		return ticket{period: p, cell: c, start: now}, nil
	}
	c.n[started].Add(^uint64(0)) // admit counts again
	return b.admit(ctx)
}

// consider is enter for a period that does not admit all calls. An open breaker
// refuses without a lock.
func (b *Breaker) consider(ctx context.Context, p *period) (ticket, error) {
	switch s := p.now(); {
	case s == StateForcedOpen, s == StateOpen && p.running(b.now()):
		b.meter.add(rejected)
		return ticket{}, p.refusal
	}
	return b.admit(ctx)
}

// admit is enter for all that may change the breaker.
func (b *Breaker) admit(ctx context.Context) (ticket, error) {
	b.mu.Lock()
	now := b.now()
	p := b.settle(ctx, now)
	if p.now() == StateOpen && !p.running(now) {
		b.note().openedFor(b.meter.total(rejected) - b.refused)
		p = b.move(ctx, now, StateHalfOpen, 0, "open period over", nil)
	}
	b.rotate(p, now)
	custom := b.cfg.Load().TripIf != nil
	hangs := p.judged() && b.overdue(p, now) > 0
	if hangs && !custom {
		p = b.review(ctx, p, now, report{})
	}
	ok := b.place(p, now)
	t := ticket{period: p, start: now}
	if ok {
		t.cell, _ = b.meter.begin()
	} else {
		b.meter.add(rejected)
	}
	out := b.unlock()
	if !ok {
		b.deliver(out)
		return ticket{}, p.refusal
	}
	delivered := false
	defer func() {
		if !delivered {
			b.end(ctx, t, OutcomeIgnored, nil) // a panic: the call will not take place
		}
	}()
	b.deliver(out)
	if hangs && custom {
		b.ask(ctx, p, report{})
	}
	delivered = true
	return t, nil
}

// place reports whether the period admits a call now.
func (b *Breaker) place(p *period, now time.Duration) bool {
	s := p.now()
	if b.admits(s, p.trial, now) {
		return true
	}
	if s == StateRecovering {
		b.prolong(p, now)
	}
	return false
}

// admits reports whether a call may run now, and gives it a place in t.
func (b *Breaker) admits(s State, t *trial, now time.Duration) bool {
	switch c := b.cfg.Load(); s {
	case StateClosed, StateForcedClosed:
		return true
	case StateHalfOpen:
		most := c.Probes
		if b.reopened && t.passed == 0 {
			most = 1
		}
		return t.take(now, now-b.patience(now), most)
	case StateRecovering:
		return t.admit(now, c.OpenFor/4, b.patience(now))
	}
	return false
}

// patience is the time that a breaker waits for a call that decides.
func (b *Breaker) patience(now time.Duration) time.Duration {
	if d := b.cfg.Load().ProbeTimeout; d > 0 {
		return d
	}
	return b.openPeriod(now)
}

// leave implements gate.
func (b *Breaker) leave(ctx context.Context, t ticket, err error) {
	if b == nil {
		return
	}
	now := b.now()
	if err == nil {
		if counted, done := b.quiet(t, now); !done {
			b.report(ctx, t, report{counted: counted})
		}
		return
	}
	r := report{outcome: OutcomeFailure, err: err} // if Classify panics
	defer func() { b.report(ctx, t, r) }()
	r.outcome, r.given = outcome(ctx, b.cfg.Load(), &b.pace, now-t.start, t.ran(now), err)
}

// end implements gate.
func (b *Breaker) end(ctx context.Context, t ticket, o Outcome, err error) {
	if b != nil {
		b.report(ctx, t, report{outcome: min(o, OutcomeIgnored), err: err})
	}
}

// quiet takes a success. It is done if the success matters to nothing except
// its counter. Then the success costs a reading of the clock and an addition.
// The flag watch is set if the next success may matter:
//
//   - in all states except StateClosed and StateForcedClosed
//   - with WindowCalls
//   - during a shadow
//   - while the window contains failures but not MinCalls calls, which the
//     success may complete
//
// A failure that is judged meanwhile sets watch before it reads the counters.
// So either it sees the success, or the success sees watch after it has counted
// and is not done.
func (b *Breaker) quiet(t ticket, now time.Duration) (counted, done bool) {
	if b.watch.Load() || t.period != b.cur.Load() || !b.meter.fresh(now) {
		return false, false
	}
	if t.start != 0 {
		if slowCall := b.cfg.Load().SlowCall; slowCall > 0 && t.ran(now) >= slowCall {
			return false, false
		}
		b.pace.learn(t.ran(now), now, false)
	}
	t.cell.n[success].Add(1)
	return true, !b.watch.Load()
}

// A report is how a call ended.
type report struct {
	outcome Outcome
	given   gaveUp
	long    bool // the call ran for SlowCall
	counted bool // quiet has counted the success
	err     error
	wait    time.Duration // the least open period that err asks for
}

// report takes the end of a call for which quiet was not done.
func (b *Breaker) report(ctx context.Context, t ticket, r report) {
	if r.outcome == OutcomeFailure {
		r.wait = errtree.Read(r.err).RetryAfter
	}
	if b.record(ctx, t, r) {
		b.ask(ctx, t.period, r)
	}
}

// record is report for all that may change the breaker. It reports whether the
// rules apply to the call.
func (b *Breaker) record(ctx context.Context, t ticket, r report) (judged bool) {
	b.mu.Lock()
	now := b.now()
	p := b.settle(ctx, now)
	if t.period == p {
		if t.start != 0 {
			slowCall := b.cfg.Load().SlowCall
			r.long = slowCall > 0 && t.ran(now) >= slowCall
			if r.outcome == OutcomeSuccess && !r.counted {
				b.pace.learn(t.ran(now), now, !p.admitsAll())
			}
		}
		judged = b.count(ctx, p, now, t, r)
	} else if !r.counted {
		b.meter.add(late)
	}
	b.deliver(b.unlock())
	return judged
}

// ask calls TripIf, if any, without the lock.
func (b *Breaker) ask(ctx context.Context, p *period, r report) {
	trip, reason := b.cfg.Load().TripIf, ""
	if trip == nil {
		return // removed by Set
	}
	if trip(b.Stats()) {
		reason = "trip rule"
	}
	b.mu.Lock()
	now := b.now()
	if b.settle(ctx, now) == p {
		b.apply(ctx, p, now, reason, r)
	}
	b.deliver(b.unlock())
}

// read locks b for f, which changes no state.
func (b *Breaker) read(f func(p *period, now time.Duration)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f(b.cur.Load(), b.now())
}

// unlock releases the lock and returns the events to deliver.
func (b *Breaker) unlock() *outbox.Outbox[Event] {
	out := b.out
	b.wake(false)
	b.mu.Unlock()
	return out
}

// deliver calls OnEvent with the events in out.
func (b *Breaker) deliver(out *outbox.Outbox[Event]) {
	if out == nil {
		return
	}
	out.Deliver(func(ctx context.Context, e Event, dropped int) {
		if hook := b.cfg.Load().OnEvent; hook != nil {
			e.Dropped = dropped
			hook(ctx, e)
		}
	})
}
