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

// A Breaker guards one dependency. Make one with [New], share it among all callers of the dependency, and keep it
// as long as the dependency is used: it needs no Close. A nil *Breaker admits everything and counts nothing; its
// methods that set a state do nothing.
type Breaker struct {
	cfg   Config
	start time.Time // all times inside are durations since start, on the monotonic clock

	cur     atomic.Pointer[period]
	watch   atomic.Bool // the next success may matter to more than its counter; always so unless all are admitted
	tracked bool        // count admissions, so that a Group knows of calls in flight
	meter   meter

	mu          sync.Mutex // guards what follows, the fields of the period marked so, and the window of the meter
	last        *lastCalls // with WindowCalls only
	failed      int        // failures in a row, up to the last one
	successes   uint64     // total when the last failure was counted
	lastFailure time.Duration
	openings    int                   // exponent of the backoff, survives a close
	lastOpen    time.Duration         // length of the latest open period
	out         *outbox.Outbox[Event] // events to be delivered; nil without OnEvent
}

// New returns a closed breaker. It panics with the error of Config.Validate if that is not nil.
func New(cfg Config) *Breaker {
	if err := cfg.Validate(); err != nil {
		panic(err)
	}
	return newBreaker(cfg, false)
}

func newBreaker(cfg Config, tracked bool) *Breaker {
	b := &Breaker{cfg: cfg.withDefaults(), start: time.Now(), tracked: tracked}
	b.meter.width = b.cfg.Window / tenths
	if b.cfg.WindowCalls > 0 {
		b.last = &lastCalls{ring: make([]uint8, b.cfg.WindowCalls)}
	}
	b.begin(StateClosed, 0, 0, nil)
	return b
}

// Do calls fn if the breaker admits it and records the outcome. It is the function [Do] without a result, with the same
// errors.
func (b *Breaker) Do(ctx context.Context, fn func(context.Context) error) error {
	_, err := Do(ctx, b, func(ctx context.Context) (struct{}, error) { return struct{}{}, fn(ctx) })
	return err
}

// Allow asks for admission of a call whose outcome will be reported by [Call.Done] or [Call.Report]. Prefer Do: a
// call that is never reported counts for nothing or, while half-open, is taken for failed after ProbeTimeout.
// The context is that of the call. The errors are an [*OpenError], or one matching ctx.Err() and context.Cause(ctx)
// if the context is already done.
func (b *Breaker) Allow(ctx context.Context) (*Call, error) { return allow(ctx, b) }

// State returns the present state. It only reads: the end of an open period shows as HalfOpen before the first
// call has tried it.
func (b *Breaker) State() State {
	if b == nil {
		return StateClosed
	}
	return b.cur.Load().view(time.Since(b.start))
}

// Trip opens the breaker now for d, or for the usual period if d <= 0, after which it recovers by itself; cause is
// reported in refusals. An open breaker is only ever kept open longer, a half-open one forgets its probes. On a
// breaker that is forced open or closed Trip has no effect.
func (b *Breaker) Trip(d time.Duration, cause error) {
	r := report{err: cause, wait: wait(cause)}
	b.command(func(p *period, now time.Duration) {
		left := p.until - now
		switch s := p.now(); {
		case s == StateForcedOpen || s == StateForcedClosed:
		case s != StateOpen || left <= 0:
			b.open(context.Background(), now, d, "tripped", r)
		case d > left:
			b.begin(StateOpen, now, d, cause)
		}
	})
}

// ForceOpen refuses every call, probes included, until Reset.
func (b *Breaker) ForceOpen() { b.force(StateForcedOpen) }

// ForceClosed admits every call until Reset but goes on counting, and reports shadow events: a dry run.
func (b *Breaker) ForceClosed() { b.force(StateForcedClosed) }

func (b *Breaker) force(to State) {
	b.command(func(p *period, now time.Duration) {
		if p.now() != to {
			b.move(context.Background(), now, to, 0, "forced", nil)
		}
	})
}

// Reset closes the breaker and forgets everything but the totals. Calls in flight count for nothing.
func (b *Breaker) Reset() {
	b.command(func(p *period, now time.Duration) {
		b.openings, b.lastOpen = 0, 0
		if p.now() == StateClosed {
			b.begin(StateClosed, now, 0, nil)
			return
		}
		b.move(context.Background(), now, StateClosed, 0, "reset", nil)
	})
}

func (b *Breaker) command(act func(p *period, now time.Duration)) {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.unlock()
	now := time.Since(b.start)
	act(b.settle(context.Background(), now), now)
}

// enter implements gate. A closed breaker admits with two loads.
func (b *Breaker) enter(ctx context.Context) (ticket, error) {
	if ctx.Err() != nil {
		return ticket{}, ctxerr.New(ctx, op(b.name()))
	}
	if b == nil {
		return ticket{}, nil
	}
	if b.tracked {
		b.meter.add(started)
	}
	if p := b.cur.Load(); p.free.Load() {
		return ticket{period: p}, nil
	}
	return b.consider(ctx)
}

// consider is enter for what needs the time. An open breaker refuses, and one with SlowCall admits, without a lock.
func (b *Breaker) consider(ctx context.Context) (ticket, error) {
	p := b.cur.Load()
	now := time.Since(b.start)
	switch s := p.now(); {
	case s == StateForcedOpen, s == StateOpen && p.running(now):
		b.meter.add(rejected)
		return ticket{}, p.refusal
	case p.admitsAll() && b.meter.fresh(now) && !b.watch.Load():
		return p.ticket(now), nil
	}
	return b.admit(ctx)
}

// admit is enter for everything that may change the breaker.
func (b *Breaker) admit(ctx context.Context) (ticket, error) {
	b.mu.Lock()
	defer b.unlock()
	now := time.Since(b.start)
	p := b.settle(ctx, now)
	if p.now() == StateOpen && !p.running(now) {
		p = b.move(ctx, now, StateHalfOpen, 0, "open period over", nil)
	}
	if p.judged() && b.cfg.SlowCall > 0 {
		b.rotate(p, now)
		if b.cfg.TripIf == nil {
			p = b.review(ctx, p, now, report{}) // calls still running may have become slow
		}
	}
	switch p.now() {
	case StateClosed, StateForcedClosed:
		return p.ticket(now), nil
	case StateHalfOpen:
		if p.passed+len(p.probes) < b.cfg.Probes {
			p.probes = append(p.probes, now)
			return p.ticket(now), nil
		}
	case StateRecovering:
		if p.credit += b.share(p, now); p.credit >= 1 {
			p.credit--
			return p.ticket(now), nil
		}
	}
	b.meter.add(rejected)
	return ticket{}, p.refusal
}

// leave implements gate. A success in a quiet closed breaker costs one clock reading and one addition.
func (b *Breaker) leave(ctx context.Context, t ticket, err error) {
	switch {
	case b == nil:
	case err != nil:
		o := OutcomeFailure // stays so if Classify panics
		defer func() { b.end(ctx, t, o, err) }()
		o = judge(ctx, err, b.cfg.Classify, b.cfg.SlowCall > 0, b.long(t, time.Since(b.start)))
	case t.batch == nil && b.quiet(t, time.Since(b.start)):
		b.meter.add(success)
		if b.watch.Load() {
			b.record(ctx, t, report{counted: true})
		}
	default:
		b.end(ctx, t, OutcomeSuccess, nil)
	}
}

// end implements gate.
func (b *Breaker) end(ctx context.Context, t ticket, o Outcome, err error) {
	if b == nil {
		return
	}
	if t.batch != nil {
		t.batch.running.Add(-1)
	}
	now := time.Since(b.start)
	r := report{outcome: min(o, OutcomeIgnored), long: b.long(t, now), err: err}
	if o == OutcomeSuccess && !r.long && b.quiet(t, now) {
		b.meter.add(success)
		if !b.watch.Load() {
			return
		}
		r.counted = true
	}
	if r.outcome == OutcomeFailure {
		r.wait = wait(err)
	}
	if b.record(ctx, t, r) && b.cfg.TripIf != nil {
		b.ask(ctx, t.period, r)
	}
}

// quiet reports whether a success at now touches nothing but its counter. The caller counts it and then looks at watch
// again: a failure being judged meanwhile sets watch before it reads the counters, so either it sees this success or
// this success sees the flag.
func (b *Breaker) quiet(t ticket, now time.Duration) bool {
	return !b.watch.Load() && t.period == b.cur.Load() && b.meter.fresh(now)
}

// A report is how a call ended.
type report struct {
	outcome Outcome
	long    bool // ran for SlowCall or more
	counted bool // by the meter, already
	err     error
	wait    time.Duration // what err asks for
}

// wait is found out before the lock is taken, for it runs the methods of foreign errors.
func wait(err error) time.Duration {
	return errtree.Read(err).RetryAfter
}

func (b *Breaker) long(t ticket, now time.Duration) bool {
	return b.cfg.SlowCall > 0 && now-t.start >= b.cfg.SlowCall
}

// record is end for everything that may change the breaker. It reports whether the rules apply to the call.
func (b *Breaker) record(ctx context.Context, t ticket, r report) bool {
	b.mu.Lock()
	defer b.unlock()
	now := time.Since(b.start)
	p := b.settle(ctx, now)
	if t.period != p {
		if !r.counted {
			b.meter.add(late)
		}
		return false
	}
	b.rotate(p, now)
	b.count(r, now)
	switch {
	case p.now() == StateHalfOpen:
		b.probed(ctx, p, now, t, r)
		return false
	case r.outcome == OutcomeIgnored:
		return false
	case b.cfg.TripIf == nil:
		b.review(ctx, p, now, r)
	}
	return true
}

// count adds a call to the counters.
func (b *Breaker) count(r report, now time.Duration) {
	switch r.outcome {
	case OutcomeIgnored:
		b.meter.add(ignored)
		return
	case OutcomeSuccess:
		if !r.counted {
			b.meter.add(success)
		}
	default:
		b.failed = b.consecutive() + 1
		if now-b.lastFailure > b.cfg.MaxOpenFor {
			b.failed = 1
		}
		b.successes, b.lastFailure = b.meter.total(success), now
		b.meter.add(failure)
	}
	if r.long {
		b.meter.add(slow)
	}
	if b.last != nil {
		b.last.push(r.outcome == OutcomeFailure, r.long)
	}
}

// consecutive is the number of failures since the last success. Successes leave no trace but their number.
func (b *Breaker) consecutive() int {
	if b.meter.total(success) != b.successes {
		return 0
	}
	return b.failed
}

// ask consults the custom rule, without holding the lock while it runs.
func (b *Breaker) ask(ctx context.Context, p *period, r report) {
	reason := ""
	if b.cfg.TripIf(b.Stats()) {
		reason = "trip rule"
	}
	b.mu.Lock()
	defer b.unlock()
	now := time.Since(b.start)
	if b.settle(ctx, now) == p {
		b.apply(ctx, p, now, reason, r)
	}
}

// name is the Config.Name, also of a nil breaker.
func (b *Breaker) name() string {
	if b == nil {
		return ""
	}
	return b.cfg.Name
}
