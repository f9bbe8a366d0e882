package breaker

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// begin makes a new period the current one, for d or, if d is 0, without an end.
func (b *Breaker) begin(s State, now, d time.Duration, cause error) *period {
	p := &period{since: now, until: now + d}
	if p.until < now {
		p.until = math.MaxInt64
	}
	b.enterState(p, s)
	if s != StateClosed && s != StateForcedClosed {
		p.refusal = &OpenError{Name: b.cfg.Name, State: s, Cause: cause, start: b.start}
	}
	switch s {
	case StateOpen:
		p.refusal.until = p.until
	case StateRecovering:
		p.credit = 1 // the first call is admitted
	}
	b.failed = 0
	b.meter.restart(now)
	if b.last != nil {
		b.last.clear()
	}
	if b.cfg.SlowCall > 0 && s != StateHalfOpen {
		p.batch.Store(&batch{end: now + b.meter.width})
	}
	b.watch.Store(true)
	b.cur.Store(p)
	return p
}

// enterState sets the state of a period.
func (b *Breaker) enterState(p *period, s State) {
	p.state.Store(uint32(s))
	p.free.Store(p.admitsAll() && b.cfg.SlowCall <= 0)
}

// move is begin as a transition, which is reported.
func (b *Breaker) move(ctx context.Context, now time.Duration, to State, d time.Duration, reason string, err error) *period {
	p := b.cur.Load()
	if p.shadow != 0 {
		p.shadow = 0
		b.emit(ctx, now, Event{Kind: KindShadow, From: StateOpen, To: StateClosed, Reason: reason})
	}
	e := Event{From: p.now(), To: to, Reason: reason, Err: err}
	if to == StateOpen {
		e.OpenFor = d
	}
	b.emit(ctx, now, e)
	var cause error
	if to == StateOpen {
		cause = err
	} else if p.refusal != nil {
		cause = p.refusal.Cause
	}
	return b.begin(to, now, d, cause)
}

// open is the transition to Open, for d or, if d <= 0, for the usual period.
func (b *Breaker) open(ctx context.Context, now, d time.Duration, reason string, r report) *period {
	p := b.cur.Load()
	if s := p.now(); (s == StateClosed || s == StateRecovering) && now-p.since >= b.lastOpen {
		b.openings = 0
	}
	b.openings++
	b.meter.add(opened)
	if d <= 0 {
		d = b.backoff(r.wait)
	}
	b.lastOpen = d
	return b.move(ctx, now, StateOpen, d, reason, r.err)
}

// backoff is the length of an opening: OpenFor doubled for each opening since the last long closed spell, or the wait
// that the deciding error asks for, within MaxOpenFor; and jitter on top, which keeps a fleet out of step.
func (b *Breaker) backoff(wait time.Duration) time.Duration {
	d := b.cfg.OpenFor
	for range b.openings - 1 {
		if d > b.cfg.MaxOpenFor/2 {
			d = b.cfg.MaxOpenFor
			break
		}
		d *= 2
	}
	d = max(d, min(wait, b.cfg.MaxOpenFor))
	extra := float64(d) * max(0, b.cfg.Jitter) * rand.Float64()
	return d + time.Duration(min(extra, float64(math.MaxInt64/2-d/2)))
}

// settle makes the changes that time alone has brought about, and returns the current period.
func (b *Breaker) settle(ctx context.Context, now time.Duration) *period {
	p := b.cur.Load()
	if now < p.since || int64(now) < b.meter.from.Load() {
		// The clock went back: the breaker left a synctest bubble, say. What it knows has no date any more.
		length := p.until - p.since
		if p.now() == StateClosed {
			length = 0
		}
		p = b.begin(p.now(), now, length, nil)
		b.lastFailure = now
	}
	switch {
	case p.now() == StateHalfOpen && len(p.probes) > 0 && now-p.probes[0] >= b.cfg.ProbeTimeout:
		p = b.open(ctx, p.probes[0]+b.cfg.ProbeTimeout, 0, "probe timeout", report{err: errLost})
	case p.now() == StateRecovering && now >= p.until:
		b.emit(ctx, now, Event{From: StateRecovering, To: StateClosed, Reason: "ramp over"})
		b.enterState(p, StateClosed)
	}
	return p
}

// rotate brings the window up to now.
func (b *Breaker) rotate(p *period, now time.Duration) {
	if b.meter.rotate(now) {
		b.watch.Store(true)
		if p.batch.Load() != nil {
			p.turn(time.Duration(b.meter.from.Load()) + b.meter.width)
		}
	}
}

// probed takes the outcome of a probe.
func (b *Breaker) probed(ctx context.Context, p *period, now time.Duration, t ticket, r report) {
	i := slices.Index(p.probes, t.start)
	p.probes = slices.Delete(p.probes, i, i+1)
	switch {
	case r.outcome == OutcomeIgnored:
	case r.outcome == OutcomeFailure:
		b.open(ctx, now, 0, "probe failed", r)
	case r.long:
		b.open(ctx, now, 0, "probe slow", r)
	default:
		if p.passed++; p.passed < b.cfg.Probes {
			return
		}
		to := StateClosed
		if b.cfg.RampUp > 0 {
			to = StateRecovering
		}
		b.move(ctx, now, to, max(0, b.cfg.RampUp), "probes succeeded", nil)
	}
}
