package retry

import (
	"context"
	"time"
)

// Every returns the policy that tries again every d without limit, which is
// what Poll usually wants: bound it by the deadline of the context or by
// MaxElapsed. Not positive means without pauses.
func Every(d time.Duration) Policy {
	return Policy{MaxAttempts: Unlimited, Backoff: Constant(d)}
}

// Poll calls check until it reports done, at once and then after each pause of
// p. A zero MaxAttempts means no limit here. What check returns means:
//
//	v, true, nil    the end: Poll returns v
//	v, true, err    failed for good: Poll returns v and the error
//	v, false, nil   not yet
//	v, false, err   could not tell: p decides whether to go on, as Do does
//
// The value returned is that of the last check, also when the time is over.
//
// Errors: as for Do; a last check without an error counts as ErrPending.
func Poll[T any](ctx context.Context, p Policy, check func(context.Context) (v T, done bool, err error)) (T, error) {
	if p.MaxAttempts == 0 {
		p.MaxAttempts = Unlimited
	}
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
