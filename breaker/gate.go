package breaker

import (
	"context"
	"time"
)

// A Gate admits or refuses calls and learns how they end. Only [*Breaker] and
// [*Throttle] implement it, so that [Do], [Wrap] and package breakerhttp take
// either.
type Gate interface {
	// Allow admits a call that is reported by the methods of Call.
	Allow(ctx context.Context) (*Call, error)
	gate
}

// A gate is a Gate that allocates nothing per call.
type gate interface {
	// enter admits a call. The ticket goes to leave or to end, once.
	enter(ctx context.Context) (ticket, error)
	// leave takes the error of a call, or errGone.
	leave(ctx context.Context, t ticket, err error)
	// end takes the outcome of a call, and the error behind it, if any.
	end(ctx context.Context, t ticket, o Outcome, err error)
	// answered adds n to the running calls of a period that have an answer, see
	// Call.Answered. It returns the time.
	answered(p *period, n int64) time.Duration
}

// Do calls fn if g admits it, and records how it ended. If fn panics or calls
// runtime.Goexit, the call counts as a failure and the panic passes on.
//
// Errors: the error of fn; an [*OpenError] or a [*ThrottleError] if g refuses;
// an error that matches ctx.Err() and context.Cause(ctx) if ctx is already
// done. In the last two cases fn is not called.
func Do[T any](ctx context.Context, g Gate, fn func(context.Context) (T, error)) (v T, err error) {
	t, err := g.enter(ctx)
	if err != nil {
		return v, err
	}
	err = errGone // stays so if fn panics or exits the goroutine
	defer func() { g.leave(ctx, t, err) }()
	v, err = fn(ctx)
	return v, err
}

// Wrap returns fn guarded by g. Calling it is Do(ctx, g, fn).
func Wrap[T any](g Gate, fn func(context.Context) (T, error)) func(context.Context) (T, error) {
	return func(ctx context.Context) (T, error) { return Do(ctx, g, fn) }
}

// WrapArg is Wrap for a function with an argument.
func WrapArg[A, T any](g Gate, fn func(context.Context, A) (T, error)) func(context.Context, A) (T, error) {
	return func(ctx context.Context, arg A) (T, error) {
		return Do(ctx, g, func(ctx context.Context) (T, error) { return fn(ctx, arg) })
	}
}

// Fallback returns a function that calls fn and, if fn fails, returns the
// result of alt, which receives the error. In alt, errors.Is(err, ErrOpen)
// distinguishes a refusal from a failure.
//
// Errors: the errors of alt.
func Fallback[T any](fn func(context.Context) (T, error), alt func(context.Context, error) (T, error)) func(context.Context) (T, error) {
	return func(ctx context.Context) (T, error) {
		v, err := fn(ctx)
		if err != nil {
			return alt(ctx, err)
		}
		return v, nil
	}
}
