package retry

import (
	"context"
	"iter"
)

// Attempts is Do as a loop, for work that does not fit into a function:
//
//	for n, ctx := range policy.Attempts(ctx, &err) {
//		resp, err = call(ctx)
//	}
//
// n counts from 1. The body assigns its outcome to *errp: nil ends the loop,
// and for any other error p decides. When p ends the loop, *errp becomes the
// *Error that Do would return; when the body ends it, by break or return, *errp
// stays as the body left it.
//
// Before each turn *errp is set to ErrUnassigned. A body that leaves it so,
// usually because := declared another err, ends the loop.
func (p Policy) Attempts(ctx context.Context, errp *error) iter.Seq2[int, context.Context] {
	return func(yield func(int, context.Context) bool) { p.loop(ctx, errp, yield) }
}

// loop is the body of Attempts.
func (p *Policy) loop(ctx context.Context, errp *error, yield func(int, context.Context) bool) {
	if ctx.Err() != nil {
		*errp = p.refuse(ctx)
		return
	}
	r := run{p: *p, ctx: ctx, start: p.clock()}
	for p.turn(ctx, r.n+1, errp, yield) {
		switch *errp {
		case nil:
			r.succeeded()
			return
		case ErrUnassigned:
			return
		}
		if err := r.failed(*errp); err != nil {
			*errp = err
			return
		}
	}
}

// turn runs the loop's body once and reports whether it ran to its end.
func (p *Policy) turn(ctx context.Context, n int, errp *error, yield func(int, context.Context) bool) bool {
	*errp = ErrUnassigned
	if p.AttemptTimeout <= 0 {
		return yield(n, ctx)
	}
	ctx, cancel := p.limit(ctx)
	defer cancel()
	ok := yield(n, ctx)
	*errp = blame(ctx, *errp)
	return ok
}
