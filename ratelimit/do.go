package ratelimit

import "context"

// A Waiter lets its callers through one at a time, at its own pace: a [Limiter], or what [Reject] makes of one.
type Waiter interface {
	// Wait returns nil when the caller may go on, and an error when it may not, in particular when ctx is done.
	Wait(ctx context.Context) error
}

// Do waits for w, calls fn once and returns its results. If the wait fails, fn is not called, and the error is that of
// w.Wait: of a [Limiter] one that matches ctx.Err and [context.Cause], or a *[LimitedError].
func Do[T any](ctx context.Context, w Waiter, fn func(context.Context) (T, error)) (T, error) {
	if err := w.Wait(ctx); err != nil {
		var zero T
		return zero, err
	}
	return fn(ctx)
}

// Wrap returns fn limited by w: each call is a [Do], with its errors.
func Wrap[T any](w Waiter, fn func(context.Context) (T, error)) func(context.Context) (T, error) {
	return func(ctx context.Context) (T, error) { return Do(ctx, w, fn) }
}

// Do waits for l and calls fn once. If the wait fails, fn is not called, and the error is that of [Limiter.Wait].
func (l *Limiter) Do(ctx context.Context, fn func(context.Context) error) error {
	if err := l.Wait(ctx); err != nil {
		return err
	}
	return fn(ctx)
}

// Reject returns a Waiter that never waits: it takes one event of t, usually a *[Limiter], or refuses at once. Its
// errors are a *[LimitedError] or, when the context is done already, one that matches ctx.Err and [context.Cause];
// nothing is taken then.
func Reject(t interface{ Take(n int64) Decision }) Waiter { return rejecter{t} }

type rejecter struct {
	taker interface{ Take(n int64) Decision }
}

func (r rejecter) Wait(ctx context.Context) error {
	if ctx.Err() != nil {
		return cancelled(ctx)
	}
	return r.taker.Take(1).Err()
}
