package retry

import (
	"context"
	"time"
)

// Do calls fn until it succeeds, fails with an error that is not retried, or p
// allows no further attempt. All attempts run on the caller's goroutine. Do
// returns the value of the last attempt, with nil or a *Error.
//
// If ctx is done, no attempt starts, a pause ends immediately, and the error
// matches both ctx.Err() and context.Cause(ctx). A pause that would reach the
// deadline of ctx does not begin.
//
// If ctx belongs to an attempt of another call after its first, Do makes a
// single attempt and leaves the retry to that call. See Nest.
//
// Errors: *Error, whose Reason is ErrExhausted, ErrPermanent, ErrElapsed,
// ErrDeadline, ErrRetryAfter, ErrBudget, ErrNested or the error of ctx.
func Do[T any](ctx context.Context, p Policy, fn func(context.Context) (T, error)) (v T, err error) {
	// The first attempt is not part of the loop: a call that succeeds at once
	// then neither sets up nor clears the state of the loop.
	if ctx.Err() != nil {
		return v, p.refuse(ctx)
	}
	start := p.clock()
	if p.AttemptTimeout <= 0 {
		v, err = fn(ctx)
	} else {
		v, err = attempt(ctx, &p, fn)
	}
	if err != nil {
		return again(ctx, &p, fn, start, v, err)
	}
	if p.Budget != nil {
		p.settle(ctx, OutcomeSuccess, 0, nil)
	}
	return v, nil
}

// Do calls fn as the function Do does, for work without a value.
//
// Errors: as for the function Do.
func (p Policy) Do(ctx context.Context, fn func(context.Context) error) error {
	_, err := Do(ctx, p, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, fn(ctx)
	})
	return err
}

// Wrap returns a function that calls fn by Do.
func Wrap[T any](p Policy, fn func(context.Context) (T, error)) func(context.Context) (T, error) {
	return func(ctx context.Context) (T, error) { return Do(ctx, p, fn) }
}

// WrapArg is like Wrap for a function with an argument, which is passed to
// every attempt.
func WrapArg[A, T any](p Policy, fn func(context.Context, A) (T, error)) func(context.Context, A) (T, error) {
	return func(ctx context.Context, arg A) (T, error) {
		return Do(ctx, p, func(ctx context.Context) (T, error) { return fn(ctx, arg) })
	}
}

// again is the loop of Do. It is entered after a first attempt that failed.
func again[T any](ctx context.Context, p *Policy, fn func(context.Context) (T, error), start time.Time, v T, err error) (T, error) {
	meaning := p.judge(err)
	if !meaning.retry && p.Budget == nil && p.OnEvent == nil && ctx.Err() == nil {
		// Common, and quicker without a run.
		return v, p.permanent(meaning, err, start)
	}
	r := run{p: *p, ctx: ctx, start: start, began: start}
	for {
		if e := r.failed(meaning, err); e != nil {
			return v, e
		}
		if v, err = attempt(r.attemptContext(), p, fn); err == nil {
			r.succeeded()
			return v, nil
		}
		meaning = p.judge(err)
	}
}

// permanent returns the error of a call whose first attempt failed with err,
// which is not retried.
func (p *Policy) permanent(v verdict, err error, start time.Time) error {
	e := &Error{Name: p.Name, Reason: ErrPermanent, Attempts: 1, RetryAfter: max(v.after, 0), last: err}
	if !start.IsZero() {
		e.Elapsed = max(time.Since(start), 0)
	}
	return e
}

// attempt calls fn once, within AttemptTimeout.
func attempt[T any](ctx context.Context, p *Policy, fn func(context.Context) (T, error)) (T, error) {
	if p.AttemptTimeout <= 0 {
		return fn(ctx)
	}
	ctx, cancel := p.limit(ctx)
	defer cancel()
	v, err := fn(ctx)
	return v, blame(ctx, err)
}
