package breaker

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"
)

// minShare is the share of calls admitted at the beginning of a recovery.
const minShare = 0.05

// A period is one stay of a breaker in one state. A call keeps the period it was admitted in and reports to it; if
// that is no longer the breaker's current one, the report is late and inert. So the identity of the period is the
// generation check, and what belongs to one state only dies with it.
type period struct {
	state   atomic.Uint32 // a State; fixed, but for Recovering, which becomes Closed in place
	free    atomic.Bool   // admits all calls, and nothing need be known of them before they end
	since   time.Duration
	until   time.Duration // end of Open or of Recovering; otherwise equal to since
	refusal *OpenError    // of states that refuse

	batch atomic.Pointer[batch] // calls of the current tenth, with SlowCall only

	// Guarded by Breaker.mu.
	probes []time.Duration // HalfOpen: starts of the running probes, oldest first
	passed int             // HalfOpen: probes that succeeded
	credit float64         // Recovering: calls that may be admitted
	shadow time.Duration   // ForcedClosed: until when it would have been open at least; 0 if it would be closed
	older  []*batch        // batches of earlier tenths with calls still running
}

// A batch is the calls admitted in one tenth of the window that still run.
type batch struct {
	running atomic.Int64
	end     time.Duration // no call of the batch started later
}

// A ticket is the admission of one call.
type ticket struct {
	period *period
	batch  *batch
	start  time.Duration // set with SlowCall and for probes
}

func (p *period) now() State { return State(p.state.Load()) }

func (p *period) admitsAll() bool {
	s := p.now()
	return s == Closed || s == ForcedClosed
}

// running reports whether a timed period is in progress; false also if the clock went back before its beginning.
func (p *period) running(now time.Duration) bool {
	return uint64(now-p.since) < uint64(p.until-p.since)
}

// view is the state seen by an observer.
func (p *period) view(now time.Duration) State {
	s := p.now()
	switch {
	case s == Open && now >= p.until:
		return HalfOpen
	case s == Recovering && now >= p.until:
		return Closed
	}
	return s
}

func (p *period) ticket(now time.Duration) ticket {
	bt := p.batch.Load()
	if bt != nil {
		bt.running.Add(1)
	}
	return ticket{period: p, batch: bt, start: now}
}

// overdue is the number of calls still running that started at limit or before.
func (p *period) overdue(limit time.Duration) (n int) {
	for _, bt := range p.older {
		if bt.end <= limit {
			n += int(max(0, bt.running.Load()))
		}
	}
	return n
}

// turn begins a new batch that ends at end. An empty one is used again.
func (p *period) turn(end time.Duration) {
	p.older = slices.DeleteFunc(p.older, func(bt *batch) bool { return bt.running.Load() == 0 })
	if bt := p.batch.Load(); bt.running.Load() != 0 {
		p.older = append(p.older, bt)
		p.batch.Store(&batch{end: end})
	} else {
		bt.end = end
	}
}

// begin makes a new period the current one, for d or, if d is 0, without an end.
func (b *Breaker) begin(s State, now, d time.Duration, cause error) *period {
	p := &period{since: now, until: now + d}
	if p.until < now {
		p.until = math.MaxInt64
	}
	b.enterState(p, s)
	if s != Closed && s != ForcedClosed {
		p.refusal = &OpenError{Name: b.cfg.Name, State: s, Cause: cause, start: b.start}
	}
	switch s {
	case Open:
		p.refusal.until = p.until
	case Recovering:
		p.credit = 1 // the first call is admitted
	}
	b.consecutive = 0
	b.meter.restart(now)
	if b.last != nil {
		b.last.clear()
	}
	if b.cfg.SlowCall > 0 && s != HalfOpen {
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
		b.emit(ctx, now, Event{Kind: KindShadow, From: Open, To: Closed, Reason: reason})
	}
	e := Event{From: p.now(), To: to, Reason: reason, Err: err}
	if to == Open {
		e.OpenFor = d
	}
	b.emit(ctx, now, e)
	var cause error
	if to == Open {
		cause = err
	} else if p.refusal != nil {
		cause = p.refusal.Cause
	}
	return b.begin(to, now, d, cause)
}

// open is the transition to Open, for d or, if d <= 0, for the usual period.
func (b *Breaker) open(ctx context.Context, now, d time.Duration, reason string, err error) *period {
	p := b.cur.Load()
	if s := p.now(); (s == Closed || s == Recovering) && now-p.since >= b.lastOpen {
		b.openings = 0
	}
	b.openings++
	b.meter.add(opened)
	if d <= 0 {
		d = b.backoff(err)
	}
	b.lastOpen = d
	return b.move(ctx, now, Open, d, reason, err)
}

// backoff is the length of an opening: OpenFor doubled for each opening since the last long closed spell, or what
// the deciding error asks for, within MaxOpenFor; and jitter on top, which keeps a fleet out of step.
func (b *Breaker) backoff(err error) time.Duration {
	d := b.cfg.OpenFor
	for range b.openings - 1 {
		if d > b.cfg.MaxOpenFor/2 {
			d = b.cfg.MaxOpenFor
			break
		}
		d *= 2
	}
	if r, ok := find[interface{ RetryAfter() time.Duration }](err); ok {
		d = max(d, min(r.RetryAfter(), b.cfg.MaxOpenFor))
	}
	extra := float64(d) * max(0, b.cfg.Jitter) * rand.Float64()
	return d + time.Duration(min(extra, float64(math.MaxInt64/2-d/2)))
}

// settle makes the changes that time alone has brought about, and returns the current period.
func (b *Breaker) settle(ctx context.Context, now time.Duration) *period {
	p := b.cur.Load()
	if now < p.since || int64(now) < b.meter.from.Load() {
		// The clock went back: the breaker left a synctest bubble, say. What it knows has no date any more.
		length := p.until - p.since
		if p.now() == Closed {
			length = 0
		}
		p = b.begin(p.now(), now, length, nil)
		b.lastFailure = now
	}
	switch {
	case p.now() == HalfOpen && len(p.probes) > 0 && now-p.probes[0] >= b.cfg.ProbeTimeout:
		p = b.open(ctx, p.probes[0]+b.cfg.ProbeTimeout, 0, "probe timeout", errLost)
	case p.now() == Recovering && now >= p.until:
		b.emit(ctx, now, Event{From: Recovering, To: Closed, Reason: "ramp over"})
		b.enterState(p, Closed)
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
func (b *Breaker) probed(ctx context.Context, p *period, t ticket, o Outcome, long bool, err error) {
	now := time.Since(b.start)
	i := slices.Index(p.probes, t.start)
	p.probes = slices.Delete(p.probes, i, i+1)
	b.count(o, long, now)
	switch {
	case o == Ignored:
	case o == Failure:
		b.open(ctx, now, 0, "probe failed", err)
	case long:
		b.open(ctx, now, 0, "probe slow", err)
	default:
		if p.passed++; p.passed == b.cfg.Probes {
			b.heal(ctx, now)
		}
	}
}

func (b *Breaker) heal(ctx context.Context, now time.Duration) {
	if b.cfg.RampUp > 0 {
		b.move(ctx, now, Recovering, b.cfg.RampUp, "probes succeeded", nil)
		return
	}
	b.move(ctx, now, Closed, 0, "probes succeeded", nil)
}

// share is the share of calls to be admitted, 1 unless recovering.
func (b *Breaker) share(p *period, now time.Duration) float64 {
	if p.now() != Recovering {
		return 1
	}
	return min(1, max(minShare, float64(now-p.since)/float64(b.cfg.RampUp)))
}

// review judges the window by the built-in rules.
func (b *Breaker) review(ctx context.Context, p *period, now time.Duration, err error) *period {
	b.watch.Store(true) // before the counters are read, see end
	w := b.window()
	calls := int(w[success] + w[failure])
	need := b.cfg.MinCalls
	if f := b.share(p, now); f < 1 {
		need = max(min(3, need), int(math.Ceil(f*float64(need))))
	}
	over := p.overdue(now - b.cfg.SlowCall)
	reason := ""
	switch {
	case b.cfg.FailureRatio > 0 && calls >= need && quotient(int(w[failure]), calls) >= b.cfg.FailureRatio:
		reason = "failure ratio"
	case b.cfg.Consecutive > 0 && b.consecutive >= b.cfg.Consecutive && (calls < need || b.cfg.FailureRatio < 0):
		reason = "consecutive failures"
	case b.cfg.SlowCall > 0 && b.cfg.SlowRatio > 0 && calls+over >= need && quotient(int(w[slow])+over, calls+over) >= b.cfg.SlowRatio:
		reason = "slow calls"
	}
	q := b.apply(ctx, p, now, reason, err)
	// A further success can matter if it resets a run, completes MinCalls, or ends a shadow.
	bad := int(w[failure]+w[slow]) + over
	if q == p && p.admitsAll() && b.last == nil && b.consecutive == 0 && p.shadow == 0 && (bad == 0 || calls >= need) {
		b.watch.Store(false)
	}
	return q
}

// quotient returns part/all. The quotient is rounded correctly, so it equals a FailureRatio written as the same
// fraction, and no share below it does.
func quotient(part, all int) float64 { return float64(part) / float64(all) }

// apply acts on a verdict; reason is "" if the breaker should stay closed.
func (b *Breaker) apply(ctx context.Context, p *period, now time.Duration, reason string, err error) *period {
	switch {
	case p.now() != ForcedClosed:
		if reason != "" {
			return b.open(ctx, now, 0, reason, err)
		}
	case reason != "" && p.shadow == 0:
		p.shadow = now + b.cfg.OpenFor
		b.emit(ctx, now, Event{Kind: KindShadow, From: Closed, To: Open, Reason: reason, Err: err, OpenFor: b.cfg.OpenFor})
	case reason == "" && p.shadow != 0 && now >= p.shadow:
		p.shadow = 0
		b.emit(ctx, now, Event{Kind: KindShadow, From: Open, To: Closed, Reason: "window recovered"})
	}
	return p
}

// lastCalls is the count window.
type lastCalls struct {
	ring []uint8 // of present|bad|long
	next int
	sum  counts
}

const (
	present = 1 << iota
	bad
	long
)

func (l *lastCalls) push(failed, slow bool) {
	l.add(l.ring[l.next], ^uint64(0))
	v := uint8(present)
	if failed {
		v |= bad
	}
	if slow {
		v |= long
	}
	l.ring[l.next] = v
	l.add(v, 1)
	l.next = (l.next + 1) % len(l.ring)
}

// add adds n, which may be the two's complement of 1, to the sums a call contributes to.
func (l *lastCalls) add(v uint8, n uint64) {
	if v&present == 0 {
		return
	}
	if v&bad != 0 {
		l.sum[failure] += n
	} else {
		l.sum[success] += n
	}
	if v&long != 0 {
		l.sum[slow] += n
	}
}

func (l *lastCalls) clear() {
	clear(l.ring)
	l.sum = counts{}
}

func (b *Breaker) window() counts {
	if b.last != nil {
		return b.last.sum
	}
	return b.meter.window()
}
