package ratelimit

import "context"

// A Waiter admits callers at its own pace: a [Limiter], a [Window], a
// [Counter], a [View], a [Key], or the result of [Reject].
type Waiter interface {
	// Wait returns nil when the caller may go on, and an error if it may not,
	// in particular if ctx is done.
	Wait(ctx context.Context) error
}

// Do waits for w, calls fn once and returns its results.
//
// Errors: the error of w.Wait, without a call of fn. If w is a [Limiter], that
// is an error that matches ctx.Err and [context.Cause], or a *[LimitedError].
func Do[T any](ctx context.Context, w Waiter, fn func(context.Context) (T, error)) (T, error) {
	if err := w.Wait(ctx); err != nil {
		var zero T
		return zero, err
	}
	return fn(ctx)
}

// Wrap returns fn limited by w: each call is a [Do].
func Wrap[T any](w Waiter, fn func(context.Context) (T, error)) func(context.Context) (T, error) {
	return func(ctx context.Context) (T, error) { return Do(ctx, w, fn) }
}

// WrapArg returns fn, a function with an argument, limited by w: each call is
// a [Do].
func WrapArg[A, T any](w Waiter, fn func(context.Context, A) (T, error)) func(context.Context, A) (T, error) {
	return func(ctx context.Context, arg A) (T, error) {
		return Do(ctx, w, func(ctx context.Context) (T, error) { return fn(ctx, arg) })
	}
}

// do is Do for work without a result.
func do(ctx context.Context, w Waiter, fn func(context.Context) error) error {
	if err := w.Wait(ctx); err != nil {
		return err
	}
	return fn(ctx)
}

// Reject returns a Waiter that never waits: it takes one event of t, usually a
// *[Limiter], or refuses immediately.
//
// Errors of its Wait: a *[LimitedError]. If ctx is already done, nothing is
// taken, and the error matches ctx.Err and [context.Cause].
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
