package retry

import (
	"context"
	"time"
)

// nextSteps bounds the pauses that Next draws to reach the pause it returns.
const nextSteps = 64

// Next makes the decision of Do without its loop, for a scheduler that keeps
// the time itself: a queue with delayed redelivery, a retry topic, a work queue
// or a cron job. The attempt with that number, counted from 1, has failed with
// err, and the first attempt started at the time first. If stop is nil, the
// work should be tried again after pause. Otherwise stop is the *Error that Do
// would return.
//
// Next calls Budget and RetryIf as Do does, but not OnEvent. AttemptTimeout is
// up to the scheduler, and so is the report of a success to the Budget. With a
// zero first there is no MaxElapsed. A pause that depends on earlier pauses is
// drawn as if these had been drawn again. A nil err is not retried.
//
// Errors: *Error, whose Reason is ErrExhausted, ErrPermanent, ErrElapsed,
// ErrRetryAfter or ErrBudget.
func (p Policy) Next(attempt int, first time.Time, err error) (pause time.Duration, stop error) {
	p.OnEvent, p.ResetAfter = nil, 0
	r := run{p: p, ctx: context.Background(), start: first, n: max(attempt, 1)}
	if first.IsZero() {
		r.p.MaxElapsed = 0
	}
	for k := max(r.n-nextSteps, 1); k < r.n; k++ {
		r.step.Retry = k - 1
		r.delay(verdict{}, err, 0)
	}
	pause, stop = r.next(r.p.judge(err), err)
	if e, ok := stop.(*Error); ok {
		e.last = err // the only error known
	}
	return pause, stop
}
