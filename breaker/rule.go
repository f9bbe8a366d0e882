package breaker

import (
	"context"
	"math"
	"time"
)

// minShare is the share of calls admitted at the beginning of a recovery.
const minShare = 0.05

// share is the share of calls to be admitted, 1 unless recovering.
func (b *Breaker) share(p *period, now time.Duration) float64 {
	if p.now() != StateRecovering {
		return 1
	}
	return min(1, max(minShare, float64(now-p.since)/float64(b.cfg.RampUp)))
}

// review judges the window by the built-in rules.
func (b *Breaker) review(ctx context.Context, p *period, now time.Duration, r report) *period {
	need := b.cfg.MinCalls
	if f := b.share(p, now); f < 1 {
		need = max(min(3, need), int(math.Ceil(f*float64(need))))
	}
	w := b.window()
	if int(w[success]+w[failure]) < need {
		b.watch.Store(true) // a success may complete MinCalls, also one that is counted just now, see quiet
		w = b.window()
	}
	calls := int(w[success] + w[failure])
	over := p.overdue(now - b.cfg.SlowCall)
	reason := ""
	switch {
	case b.cfg.FailureRatio > 0 && calls >= need && quotient(int(w[failure]), calls) >= b.cfg.FailureRatio:
		reason = "failure ratio"
	case b.cfg.Consecutive > 0 && b.consecutive() >= b.cfg.Consecutive && (calls < need || b.cfg.FailureRatio < 0):
		reason = "consecutive failures"
	case b.cfg.SlowCall > 0 && b.cfg.SlowRatio > 0 && calls+over >= need && quotient(int(w[slow])+over, calls+over) >= b.cfg.SlowRatio:
		reason = "slow calls"
	}
	q := b.apply(ctx, p, now, reason, r)
	// A further success can matter if it completes MinCalls or ends a shadow.
	bad := int(w[failure]+w[slow]) + over
	if q == p && p.admitsAll() && b.last == nil && p.shadow == 0 && (bad == 0 || calls >= need) {
		b.watch.Store(false)
	}
	return q
}

// quotient returns part/all. The quotient is rounded correctly, so it equals a FailureRatio written as the same
// fraction, and no share below it does.
func quotient(part, all int) float64 { return float64(part) / float64(all) }

// apply acts on a verdict; reason is "" if the breaker should stay closed.
func (b *Breaker) apply(ctx context.Context, p *period, now time.Duration, reason string, r report) *period {
	switch {
	case p.now() != StateForcedClosed:
		if reason != "" {
			return b.open(ctx, now, 0, reason, r)
		}
	case reason != "" && p.shadow == 0:
		p.shadow = now + b.cfg.OpenFor
		b.watch.Store(true) // a success may end it
		b.emit(ctx, now, Event{Kind: KindShadow, From: StateClosed, To: StateOpen, Reason: reason, Err: r.err, OpenFor: b.cfg.OpenFor})
	case reason == "" && p.shadow != 0 && now >= p.shadow:
		p.shadow = 0
		b.emit(ctx, now, Event{Kind: KindShadow, From: StateOpen, To: StateClosed, Reason: "window recovered"})
	}
	return p
}

// window is what the rules look at.
func (b *Breaker) window() counts {
	if b.last != nil {
		return b.last.sum
	}
	return b.meter.window()
}
