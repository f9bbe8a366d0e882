package retry

import (
	"context"
	"iter"
)

// Attempts returns a loop over the attempts of a call, for work that does not
// fit into a function:
//
//	for n, ctx := range policy.Attempts(ctx, &err) {
//		resp, err = call(ctx)
//	}
//
// n counts from 1. The body assigns its outcome to *errp. Nil ends the loop as
// a success. After any other error p decides, as in Do. If p ends the loop,
// *errp becomes the *Error that Do would return. If the body ends the loop, by
// break or return, *errp keeps its value, and nil counts as a success.
//
// Before each turn *errp is set to ErrUnassigned. A body that does not assign
// it, usually because := declared another variable, ends the loop.
func (p Policy) Attempts(ctx context.Context, errp *error) iter.Seq2[int, context.Context] {
	return func(yield func(int, context.Context) bool) { p.loop(ctx, errp, yield) }
}

// loop is the body of Attempts.
func (p *Policy) loop(ctx context.Context, errp *error, yield func(int, context.Context) bool) {
	if ctx.Err() != nil {
		*errp = p.refuse(ctx)
		return
	}
	start := p.clock()
	r := run{p: *p, ctx: ctx, start: start, began: start}
	for {
		more := p.turn(r.attemptContext(), inc(r.n), errp, yield)
		switch {
		case *errp == nil:
			r.succeeded()
			return
		case *errp == ErrUnassigned:
			return
		case !more:
			r.abandoned(*errp)
			return
		}
		if err := r.failed(p.judge(*errp), *errp); err != nil {
			*errp = err
			return
		}
	}
}

// turn runs the body of the loop once, and reports whether the loop goes on.
func (p *Policy) turn(ctx context.Context, n int, errp *error, yield func(int, context.Context) bool) bool {
	*errp = ErrUnassigned
	if p.AttemptTimeout <= 0 {
		return yield(n, ctx)
	}
	ctx, cancel := p.limit(ctx)
	defer cancel()
	if !yield(n, ctx) {
		return false
	}
	*errp = blame(ctx, *errp)
	return true
}
