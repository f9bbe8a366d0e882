package breaker

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// A Breaker guards one dependency. Make one with [New], share it among all callers of the dependency, and keep it
// as long as the dependency is used: it needs no Close. A nil *Breaker admits everything and counts nothing; its
// methods that set a state do nothing.
type Breaker struct {
	cfg   Config
	start time.Time // all times inside are durations since start, on the monotonic clock

	cur        atomic.Pointer[period]
	watch      atomic.Bool // the next success may matter to more than its counter; always so unless all are admitted
	tracked    bool        // count admissions, so that a Group knows of calls in flight
	delivering bool        // guarded by mu, as is queue
	meter      meter

	mu          sync.Mutex // guards what follows, the fields of the period marked so, and the window of the meter
	last        *lastCalls // with WindowCalls only
	consecutive int
	lastFailure time.Duration
	openings    int           // exponent of the backoff, survives a close
	lastOpen    time.Duration // length of the latest open period
	queue       []queued      // events to be delivered
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
	b.begin(Closed, 0, 0, nil)
	return b
}

// Do calls fn if the breaker admits it and records the outcome. It is the function [Do] without a result.
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
		return Closed
	}
	return b.cur.Load().view(time.Since(b.start))
}

// Trip opens the breaker now for d, or for the usual period if d <= 0, after which it recovers by itself; cause is
// reported in refusals. An open breaker is only ever kept open longer, a half-open one forgets its probes. On a
// breaker that is forced open or closed Trip has no effect.
func (b *Breaker) Trip(d time.Duration, cause error) {
	b.command(func(p *period, now time.Duration) {
		switch p.now() {
		case ForcedOpen, ForcedClosed:
		case Open:
			if left := p.until - now; left > 0 {
				if d > left {
					b.begin(Open, now, d, cause)
				}
				return
			}
			fallthrough
		default:
			b.open(context.Background(), now, d, "tripped", cause)
		}
	})
}

// ForceOpen refuses every call, probes included, until Reset.
func (b *Breaker) ForceOpen() { b.force(ForcedOpen) }

// ForceClosed admits every call until Reset but goes on counting, and reports shadow events: a dry run.
func (b *Breaker) ForceClosed() { b.force(ForcedClosed) }

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
		if p.now() == Closed {
			b.begin(Closed, now, 0, nil)
			return
		}
		b.move(context.Background(), now, Closed, 0, "reset", nil)
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

// enter implements Gate. A closed breaker admits with two loads.
func (b *Breaker) enter(ctx context.Context) (ticket, error) {
	if ctx.Err() != nil {
		return ticket{}, contextError(ctx, b.name())
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
	case s == ForcedOpen, s == Open && p.running(now):
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
	if p.now() == Open && !p.running(now) {
		p = b.move(ctx, now, HalfOpen, 0, "open period over", nil)
	}
	if p.admitsAll() {
		b.rotate(p, now)
		if b.cfg.Trip == nil {
			p = b.review(ctx, p, now, nil) // calls still running may have become slow
		}
	}
	switch p.now() {
	case Closed, ForcedClosed:
		return p.ticket(now), nil
	case HalfOpen:
		if p.passed+len(p.probes) < b.cfg.Probes {
			p.probes = append(p.probes, now)
			return p.ticket(now), nil
		}
	case Recovering:
		if p.credit += b.share(p, now); p.credit >= 1 {
			p.credit--
			return p.ticket(now), nil
		}
	}
	b.meter.add(rejected)
	return ticket{}, p.refusal
}

// leave implements Gate. A success in a quiet closed breaker costs one clock reading and one addition.
func (b *Breaker) leave(ctx context.Context, t ticket, err error) {
	switch {
	case b == nil:
	case err != nil:
		o := Failure // stays so if Classify panics
		defer func() { b.end(ctx, t, o, err) }()
		o = judge(ctx, err, b.cfg.Classify, b.cfg.SlowCall > 0, b.long(t, time.Since(b.start)))
	case t.batch == nil && b.quiet(t, time.Since(b.start)):
		b.meter.add(success)
		if b.watch.Load() {
			b.record(ctx, t, Success, false, true, nil)
		}
	default:
		b.end(ctx, t, Success, nil)
	}
}

// quiet reports whether a success at now changes nothing but its counter.
func (b *Breaker) quiet(t ticket, now time.Duration) bool {
	return !b.watch.Load() && t.period == b.cur.Load() && b.meter.fresh(now)
}

// succeed counts a success in quiet times.
func (b *Breaker) succeed(ctx context.Context, t ticket) {
	b.meter.add(success)
	// A failure being judged right now sets watch before it looks at the counters, so either it sees this success
	// or this success sees the flag.
	if b.watch.Load() {
		b.record(ctx, t, Success, false, true, nil)
	}
}

// end implements Gate.
func (b *Breaker) end(ctx context.Context, t ticket, o Outcome, err error) {
	if b == nil {
		return
	}
	if t.batch != nil {
		t.batch.running.Add(-1)
	}
	now := time.Since(b.start)
	long := b.long(t, now)
	if o == Success && !long && b.quiet(t, now) {
		b.succeed(ctx, t)
		return
	}
	if b.record(ctx, t, o, long, false, err) && b.cfg.Trip != nil {
		b.ask(ctx, t.period, err)
	}
}

func (b *Breaker) long(t ticket, now time.Duration) bool {
	return b.cfg.SlowCall > 0 && now-t.start >= b.cfg.SlowCall
}

// record is end for everything that may change the breaker. It reports whether the call counted in the window.
func (b *Breaker) record(ctx context.Context, t ticket, o Outcome, long, counted bool, err error) bool {
	b.mu.Lock()
	defer b.unlock()
	now := time.Since(b.start)
	p := b.settle(ctx, now)
	if t.period != p {
		if !counted {
			b.meter.add(late)
		}
		return false
	}
	if p.now() == HalfOpen {
		b.probed(ctx, p, t, o, long, err)
		return false
	}
	b.rotate(p, now)
	if !counted {
		b.count(o, long, now)
	}
	if o == Ignored {
		return false
	}
	if o == Success {
		b.consecutive = 0
	}
	if b.cfg.Trip == nil {
		b.review(ctx, p, now, err)
	}
	return true
}

// count adds a call to the counters.
func (b *Breaker) count(o Outcome, long bool, now time.Duration) {
	switch o {
	case Success:
		b.meter.add(success)
	case Failure:
		b.meter.add(failure)
		if now-b.lastFailure > b.cfg.MaxOpenFor {
			b.consecutive = 0
		}
		b.consecutive++
		b.lastFailure = now
	default:
		b.meter.add(ignored)
		return
	}
	if long {
		b.meter.add(slow)
	}
	if b.last != nil {
		b.last.push(o == Failure, long)
	}
}

// ask consults the custom rule, without holding the lock while it runs.
func (b *Breaker) ask(ctx context.Context, p *period, err error) {
	reason := ""
	if b.cfg.Trip(b.Stats()) {
		reason = "trip rule"
	}
	b.mu.Lock()
	defer b.unlock()
	now := time.Since(b.start)
	if b.settle(ctx, now) == p {
		b.apply(ctx, p, now, reason, err)
	}
}

// name is the Config.Name, also of a nil breaker.
func (b *Breaker) name() string {
	if b == nil {
		return ""
	}
	return b.cfg.Name
}
