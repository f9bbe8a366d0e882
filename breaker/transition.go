package breaker

import (
	"context"
	"math"
	"math/rand/v2"
	"time"
)

// The functions in this file need the lock.

// begin makes p the current period, for d or, if d is 0, without an end.
func (b *Breaker) begin(p *period, s State, now, d time.Duration) {
	p.since = now
	p.until.Store(int64(end(now, d)))
	p.state.Store(uint32(s))
	b.watch.Store(true)
	b.cur.Store(p)
	p.base = b.tally(now)
	b.empty(now)
}

// end is now+d, without overflow.
func end(now, d time.Duration) time.Duration {
	if now+d < now {
		return math.MaxInt64
	}
	return now + d
}

// empty starts the window afresh.
func (b *Breaker) empty(now time.Duration) {
	b.meter.restart(now)
	if b.last != nil {
		b.last.clear()
	}
	b.failed.n = 0
	if b.hang != nil {
		*b.hang = *newHang(b.tally(now))
	}
	if b.clues != nil {
		b.clues.given.n = 0
	}
}

// move is begin as a transition, which is reported.
func (b *Breaker) move(ctx context.Context, now time.Duration, to State, d time.Duration, reason string, err error) *period {
	old, p := b.cur.Load(), new(period)
	if old.shadow != 0 {
		old.shadow = 0
		b.emit(ctx, now, Event{Kind: KindShadow, From: StateOpen, To: StateClosed, Reason: reason})
	}
	e := Event{From: old.now(), To: to, Reason: reason, Err: err}
	if to == StateOpen {
		e.OpenFor = d
		f := b.figures(old, now)
		p.opening = &f
	}
	b.emit(ctx, now, e)
	if to != StateClosed && to != StateForcedClosed {
		p.refusal = &OpenError{Name: b.cfg.Load().Name, State: to, Reason: reason, Cause: err, start: b.start, until: end(now, d)}
	}
	if to == StateHalfOpen || to == StateRecovering {
		p.refusal.Reason, p.refusal.Cause = old.refusal.Reason, old.refusal.Cause
	}
	if to == StateHalfOpen {
		p.trial = new(trial)
	}
	b.begin(p, to, now, d)
	return p
}

// open is the transition to StateOpen, for d or, if d <= 0, for the usual time.
func (b *Breaker) open(ctx context.Context, now, d time.Duration, reason string, r report) *period {
	p := b.cur.Load()
	if !b.remembers(p, now) {
		b.outage = now
	}
	b.reopened = p.now() == StateHalfOpen && reason != "tripped"
	b.meter.add(opened)
	if d <= 0 {
		d = b.jitter(max(b.openPeriod(now), min(r.wait, b.cfg.Load().MaxOpenFor)))
	}
	b.lastOpen = d
	b.refused = b.meter.total(rejected)
	return b.move(ctx, now, StateOpen, d, reason, r.err)
}

// remembers reports whether the outage still lengthens open periods. It does
// not if the breaker has not opened for as long as the last period.
func (b *Breaker) remembers(p *period, now time.Duration) bool {
	s := p.now()
	return b.lastOpen > 0 && (s != StateClosed && s != StateRecovering || now-p.since < b.lastOpen)
}

// openPeriod is the length of an open period without jitter: at least a 40th of
// the time since the outage began. That is the first opening that no long spell
// of success has followed.
func (b *Breaker) openPeriod(now time.Duration) time.Duration {
	c := b.cfg.Load()
	d := c.OpenFor
	if b.lastOpen > 0 {
		d = max(d, (now-b.outage)/40)
	}
	return min(d, c.MaxOpenFor)
}

// jitter lengthens d at random, so that a fleet does not probe in step.
func (b *Breaker) jitter(d time.Duration) time.Duration {
	return lengthen(d, b.cfg.Load().Jitter)
}

func lengthen(d time.Duration, jitter float64) time.Duration {
	extra := float64(d) * max(0, jitter) * rand.Float64()
	return d + time.Duration(min(extra, float64(math.MaxInt64/2-d/2)))
}

// extend makes an open period last for d from now on.
func (b *Breaker) extend(p *period, now, d time.Duration, cause error) {
	q := &period{opening: p.opening, refusal: &OpenError{
		Name: b.cfg.Load().Name, State: StateOpen, Reason: "tripped", Cause: cause, start: b.start, until: end(now, d),
	}}
	b.lastOpen = d
	b.begin(q, StateOpen, now, d)
}

// settle makes the changes that time alone has brought about.
func (b *Breaker) settle(ctx context.Context, now time.Duration) *period {
	p := b.cur.Load()
	if now < p.since || int64(now) < b.meter.from.Load() {
		// The clock went back, as if the breaker left a synctest bubble. All
		// times that the breaker knows are meaningless now.
		length := p.end() - p.since
		if p.now() == StateClosed {
			length = 0
		}
		q := &period{opening: p.opening, refusal: p.refusal}
		if p.refusal != nil && p.now() == StateOpen {
			r := *p.refusal
			r.until = end(now, length)
			q.refusal = &r
		}
		if p.trial != nil {
			q.trial = &trial{recovery: recovery{limit: max(1, p.trial.limit)}}
		}
		b.outage = now
		b.begin(q, p.now(), now, length)
		p = q
	}
	if p.now() == StateRecovering && now >= p.end() {
		b.emit(ctx, now, Event{From: StateRecovering, To: StateClosed, Reason: "recovered"})
		p.state.Store(uint32(StateClosed))
	}
	return p
}

// prolong keeps the breaker recovering for a while.
func (b *Breaker) prolong(p *period, now time.Duration) {
	p.until.Store(int64(end(now, 2*b.lastOpen)))
}

// rotate brings the window up to now.
func (b *Breaker) rotate(p *period, now time.Duration) {
	end := time.Duration(b.meter.from.Load() + b.meter.width.Load())
	if !b.meter.rotate(now) {
		return
	}
	b.watch.Store(true)
	b.pace.decay()
	b.listen(p, now, end)
}

// figures returns the numbers that the rules look at.
func (b *Breaker) figures(p *period, now time.Duration) figures {
	w := b.meter.windowAt(now)
	if b.last != nil {
		w = b.last.sum
	}
	c, successes := b.cfg.Load(), b.meter.total(success)
	f := figures{
		calls:    int(w[success] + w[failure]),
		failures: int(w[failure]),
		slow:     int(w[slow]),
		overdue:  b.overdue(p, now),
		run:      b.failed.length(successes),
	}
	f.lasting = f.run > 0 && now-b.failed.since >= c.Window/tenths
	if b.clues != nil && now-b.clues.given.since >= c.Window {
		f.given = b.clues.given.length(successes)
	}
	return f
}

// count adds the end of a call of the current period. It reports whether the
// rules apply to the call.
func (b *Breaker) count(ctx context.Context, p *period, now time.Duration, t ticket, r report) bool {
	b.rotate(p, now)
	successes := b.meter.total(success)
	switch r.outcome {
	case OutcomeIgnored:
		b.meter.add(ignored)
	case OutcomeFailure:
		b.meter.add(failure)
		b.failed.add(successes, now)
	default:
		if !r.counted {
			b.meter.add(success)
		}
	}
	if r.given != waited {
		b.note().gaveUp(r.given, b.cfg.Load().SlowCall, now-t.start)
		b.clues.given.add(successes, now)
	}
	if r.outcome != OutcomeIgnored {
		if r.long {
			b.meter.add(slow)
		}
		if b.last != nil {
			b.last.push(r.outcome, r.long)
		}
	}
	switch p.now() {
	case StateHalfOpen:
		b.probed(ctx, p, now, t, r)
		return false
	case StateRecovering:
		usual := time.Duration(b.pace.usual.Load())
		p.trial.ended(r.outcome, now-t.ran(now), now, usual)
		if o := r.outcome; o == OutcomeFailure || o == OutcomeSuccess && p.trial.busy > 0.5 {
			b.prolong(p, now)
		}
	}
	if r.outcome == OutcomeIgnored && r.given == waited {
		return false
	}
	if b.cfg.Load().TripIf == nil {
		b.review(ctx, p, now, r)
	}
	return r.outcome != OutcomeIgnored
}

// review applies the built-in rules.
func (b *Breaker) review(ctx context.Context, p *period, now time.Duration, r report) *period {
	c, limit := b.cfg.Load(), 0
	if p.now() == StateRecovering {
		limit = max(1, int(p.trial.limit))
	}
	f := b.figures(p, now)
	if f.calls < c.MinCalls {
		b.watch.Store(true) // a success may complete MinCalls, see quiet
		f = b.figures(p, now)
	}
	q := b.apply(ctx, p, now, judge(c, f, limit), r)
	if q == p && p.admitsAll() && b.last == nil && p.shadow == 0 && (f.failures+f.slow+f.overdue == 0 || f.calls >= c.MinCalls) {
		b.watch.Store(false) // see quiet
	}
	return q
}

// apply acts on a verdict; reason is "" if the breaker should stay closed.
func (b *Breaker) apply(ctx context.Context, p *period, now time.Duration, reason string, r report) *period {
	openFor := b.cfg.Load().OpenFor
	switch {
	case p.now() != StateForcedClosed:
		if reason != "" {
			return b.open(ctx, now, 0, reason, r)
		}
	case reason != "" && p.shadow == 0:
		p.shadow = now + openFor
		b.watch.Store(true) // a success may end it
		b.emit(ctx, now, Event{Kind: KindShadow, From: StateClosed, To: StateOpen, Reason: reason, Err: r.err, OpenFor: openFor})
	case reason == "" && p.shadow != 0 && now >= p.shadow:
		p.shadow = 0
		b.emit(ctx, now, Event{Kind: KindShadow, From: StateOpen, To: StateClosed, Reason: "window recovered"})
	}
	return p
}

// probed takes the outcome of a probe. A probe that has lost its place counts
// too, unless it fails after others have succeeded.
func (b *Breaker) probed(ctx context.Context, p *period, now time.Duration, t ticket, r report) {
	held := p.trial.leave(t.start)
	switch {
	case r.outcome == OutcomeIgnored:
		if f := b.figures(p, now); f.given >= b.cfg.Load().MinCalls {
			b.open(ctx, now, 0, "calls given up", r)
		}
	case r.outcome == OutcomeFailure || r.long:
		if !held && p.trial.passed > 0 {
			return
		}
		reason := "probe failed"
		if r.outcome == OutcomeSuccess {
			reason = "probe slow"
		}
		b.open(ctx, now, 0, reason, r)
	default:
		if !held {
			b.note().lateProbes++
		}
		p.trial.ended(OutcomeSuccess, now-t.ran(now), now, 0)
		if p.trial.passed++; p.trial.passed >= b.cfg.Load().Probes {
			b.recover(ctx, p, now)
		}
	}
}

// recover ends the half-open state. If many calls were refused since the
// breaker opened, the dependency may not be up to their number yet.
func (b *Breaker) recover(ctx context.Context, p *period, now time.Duration) {
	if b.meter.total(rejected)-b.refused <= 2*uint64(b.cfg.Load().Probes) {
		b.move(ctx, now, StateClosed, 0, "probes succeeded", nil)
		return
	}
	// The dependency bears the probes that still run, too.
	bears := b.cfg.Load().Probes + b.running(p, b.tally(now))
	q := b.move(ctx, now, StateRecovering, 2*b.lastOpen, "probes succeeded", nil)
	q.trial = p.trial
	q.trial.places, q.trial.limit, q.trial.cut = nil, float64(bears), now
}

// judged reports whether the rules apply.
func (p *period) judged() bool { return p.admitsAll() || p.now() == StateRecovering }
