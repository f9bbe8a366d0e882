package retry

import (
	"context"
	"time"
)

// Interval returns a policy that tries again every d, without a limit on the
// number of attempts. It is the usual policy of a Poll: bound it by the
// deadline of the context or by MaxElapsed. If d <= 0, there are no pauses.
func Interval(d time.Duration) Policy {
	return Policy{MaxAttempts: Unlimited, Backoff: Constant(d)}
}

// Poll calls check until the work that it looks at is done: immediately, and
// then after each pause of p. A zero MaxAttempts means no limit here. The
// results of check have these meanings:
//
//	v, true, nil    done: Poll returns v
//	v, true, err    failed: Poll returns v and an error
//	v, false, nil   not yet done
//	v, false, err   unknown: p decides whether to go on, as in Do
//
// If the next pause would reach MaxElapsed or the deadline of ctx, Poll
// shortens it and checks once more just before that time. The result is the
// value of the last check, also if Poll fails.
//
// Errors: as for Do. A last check without an error counts as ErrPending.
func Poll[T any](ctx context.Context, p Policy, check func(context.Context) (v T, done bool, err error)) (T, error) {
	if p.MaxAttempts == 0 {
		p.MaxAttempts = Unlimited
	}
	p.poll = true
	return Do(ctx, p, func(ctx context.Context) (T, error) {
		v, done, err := check(ctx)
		switch {
		case done:
			err = Permanent(err)
		case err == nil:
			err = ErrPending
		}
		return v, err
	})
}
