package breaker

import "context"

// A Gate decides whether a call may go ahead and learns how it ended. It is implemented by [*Breaker] and
// [*Throttle] only.
type Gate interface {
	// Allow asks for admission of a call that is reported by the methods of Call.
	Allow(ctx context.Context) (*Call, error)
	gate
}

// A gate is Gate without an allocation per call.
type gate interface {
	// enter asks for admission. The ticket is to be given to leave or to end, once.
	enter(ctx context.Context) (ticket, error)
	// leave takes the error of a call, or errGone.
	leave(ctx context.Context, t ticket, err error)
	// end takes the outcome of a call, and the error that led to it, if any.
	end(ctx context.Context, t ticket, o Outcome, err error)
}

// Do calls fn if g admits it, and records how it ended. A panic or runtime.Goexit in fn counts as a failure and
// passes on. The errors are those of fn, an [*OpenError] if g refuses, or one matching ctx.Err() and
// context.Cause(ctx) if the context is already done; in the latter two cases fn is not called.
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

// Wrap returns fn guarded by g: calling it is Do(ctx, g, fn), with the same errors.
func Wrap[T any](g Gate, fn func(context.Context) (T, error)) func(context.Context) (T, error) {
	return func(ctx context.Context) (T, error) { return Do(ctx, g, fn) }
}

// Fallback returns a function that calls fn and, if that fails, returns the result of alt, which is given the error.
// Use errors.Is(err, ErrOpen) in alt to tell a refusal from a failure, and return the error to pass it on. The
// errors are those of alt.
func Fallback[T any](fn func(context.Context) (T, error), alt func(context.Context, error) (T, error)) func(context.Context) (T, error) {
	return func(ctx context.Context) (T, error) {
		v, err := fn(ctx)
		if err != nil {
			return alt(ctx, err)
		}
		return v, nil
	}
}
