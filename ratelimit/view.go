package ratelimit

import (
	"context"
	"time"
)

// A View takes events of a [Limiter] for callers of low priority. It leaves
// part of each burst to the other callers. See [Limiter.LowPriority].
type View struct {
	limiter *Limiter
	reserve float64
}

// LowPriority returns a View that refuses events while less than the part
// reserve of a burst would be left, from 0 for no reserve to 1 for all of it.
// Callers of low priority that use the View are refused first, and the reserve
// is left to the callers that use l. Both share the rate. A reserve below 0
// counts as 0, and a reserve above 1 or NaN as 1.
func (l *Limiter) LowPriority(reserve float64) *View {
	if !(reserve <= 1) {
		reserve = 1
	}
	return &View{l, max(reserve, 0)}
}

// Allow is [Limiter.Allow] within the view.
func (v *View) Allow() bool { return v.AllowN(1) }

// AllowN is [Limiter.AllowN] within the view.
func (v *View) AllowN(n int64) bool { return v.limiter.allow(v.limiter.elapsed(), n, v.reserve) }

// Take is [Limiter.Take] within the view. Remaining and RetryAfter describe
// the events that the view may take.
func (v *View) Take(n int64) Decision {
	return v.take(context.Background(), n, 0)
}

// take is Take for a caller that waits for at most patience.
func (v *View) take(ctx context.Context, n int64, patience time.Duration) Decision {
	d := v.limiter.take(v.limiter.elapsed(), n, v.reserve)
	if d.final(patience) {
		v.limiter.report(ctx, d)
	}
	return d
}

// Wait waits until the view may take an event, and takes it. Callers that wait
// for a view have no order, and callers that wait for the Limiter come first.
// If the Limiter is changed meanwhile, they may go on later than they could.
//
// Errors: see [Limiter.Wait].
func (v *View) Wait(ctx context.Context) error { return v.WaitN(ctx, 1) }

// WaitN is [View.Wait] for n events, which are taken together.
func (v *View) WaitN(ctx context.Context, n int64) error {
	return poll(ctx, func(patience time.Duration) Decision { return v.take(ctx, n, patience) })
}

// Do waits for v and calls fn once.
//
// Errors: the error of [View.Wait], without a call of fn, or the error of fn.
func (v *View) Do(ctx context.Context, fn func(context.Context) error) error { return do(ctx, v, fn) }
