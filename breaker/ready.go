package breaker

import (
	"context"
	"math"
	"slices"
	"time"

	"github.com/redoubt-go/redoubt/internal/ctxerr"
)

// forever is the time until an event that no clock brings about.
const forever = time.Duration(math.MaxInt64)

// Ready waits until b would admit a call, and takes no probe. So a consumer can
// pause while its dependency is down, before it takes a message that it could
// not process. All that wait may return at the same time, while b admits only a
// few probes: the call that follows may be refused. Then call Ready again. A
// nil *Breaker is always ready, and so is a key for which [Group.Peek] returns
// none.
//
// Errors: an error that matches ctx.Err() and context.Cause(ctx).
func (b *Breaker) Ready(ctx context.Context) error {
	for {
		if ctx.Err() != nil {
			return ctxerr.New(ctx, op(b.Name()))
		}
		if b == nil || b.cur.Load().admitsAll() {
			return nil
		}
		var changed chan struct{}
		var next time.Duration
		b.read(func(p *period, now time.Duration) {
			if next = b.readyIn(p, now); next > 0 {
				if b.waiting == nil {
					b.waiting = make(chan struct{})
				}
				changed = b.waiting
			}
		})
		if next <= 0 {
			return nil
		}
		b.await(ctx, changed, next)
	}
}

// await waits for an event: b changed, the time has passed, or ctx is done.
func (b *Breaker) await(ctx context.Context, changed chan struct{}, d time.Duration) {
	var timer <-chan time.Time
	if d != forever {
		t := time.NewTimer(d)
		defer t.Stop()
		timer = t.C
	}
	select {
	case <-changed:
	case <-timer:
	case <-ctx.Done():
	}
}

// wake ends the waiting of Ready if a call would be admitted, or always. The
// caller holds the lock.
func (b *Breaker) wake(always bool) {
	if b.waiting != nil && (always || b.readyIn(b.cur.Load(), b.now()) <= 0) {
		close(b.waiting)
		b.waiting = nil
	}
}

// readyIn returns 0 if a call would be admitted now. Otherwise it returns the
// time until that may change without an event. It changes nothing: it tries to
// find a place in a copy. The caller holds the lock.
func (b *Breaker) readyIn(p *period, now time.Duration) time.Duration {
	s := p.now()
	switch {
	case p.admitsAll(), s == StateRecovering && now >= p.end():
		return 0
	case s == StateForcedOpen:
		return forever
	case s == StateOpen:
		return p.end() - now
	}
	t := *p.trial
	t.places = slices.Clone(t.places)
	if b.admits(s, &t, now) {
		return 0
	}
	patience := b.patience(now)
	if s == StateHalfOpen {
		next := forever
		if len(t.places) > 0 {
			next = slices.Min(t.places) + patience - now
		}
		return max(next, time.Millisecond)
	}
	next := min(p.end(), t.grown+patience)
	for _, at := range [...]time.Duration{
		t.grown + max(b.cfg.Load().OpenFor/4, t.lowest/4),
		t.end + time.Duration(float64(t.last)*(1-t.limit)/t.limit),
	} {
		if at > now {
			next = min(next, at)
		}
	}
	return max(next-now, time.Millisecond)
}
