package breaker

import (
	"context"
	"fmt"
	"time"

	"github.com/redoubt-go/redoubt/internal/errtree"
)

// An Outcome is how a call counts.
//
// A call that returns a nil error is a success. Otherwise Config.Classify
// decides. The caller gave up if Classify returns OutcomeFailure, the error is
// not marked by [Mark], and the context of the call is done. Then the duration
// of the call decides:
//
//   - If the deadline of the context has expired, the call is a failure. But
//     if half of the successes take longer than it ran, it is ignored.
//   - If the context was canceled, the call is ignored. But if it ran for
//     Config.SlowCall, it is a failure. Without SlowCall, it is a failure if it
//     ran three times as long as the longest of the latest successes.
//
// A breaker opens if nothing succeeds for a window and callers give up at
// least Config.MinCalls calls meanwhile. A panic or runtime.Goexit is a
// failure.
type Outcome uint8

const (
	// OutcomeSuccess counts for the dependency.
	OutcomeSuccess Outcome = iota
	// OutcomeFailure counts against the dependency.
	OutcomeFailure
	// OutcomeIgnored counts neither way.
	OutcomeIgnored
)

var outcomeNames = [...]string{"success", "failure", "ignored"}

// String returns the name in lower case.
func (o Outcome) String() string {
	if int(o) < len(outcomeNames) {
		return outcomeNames[o]
	}
	return fmt.Sprintf("Outcome(%d)", uint8(o))
}

// Classify is the default judgement of an error.
//
//   - A nil error is a success.
//   - An error marked by [Mark] has the outcome of the mark.
//   - A refusal by another guard is ignored. It has a method Rejected() bool
//     that returns true.
//   - An answer of the dependency is a success, such as cache.ErrNotFound. It
//     has a method Answered() bool that returns true.
//   - Every other error is a failure.
//
// Classify finds marks, refusals and answers in the whole tree of the error.
func Classify(err error) Outcome {
	if err == nil {
		return OutcomeSuccess
	}
	if m, ok := errtree.Find[*markedError](err); ok {
		return m.outcome
	}
	switch signs := errtree.Read(err); {
	case signs.Rejected:
		return OutcomeIgnored
	case signs.Answered:
		return OutcomeSuccess
	}
	return OutcomeFailure
}

// Mark returns err with an outcome that [Classify] finds, even if the result
// is wrapped again. The text of the error stays the same. Mark(nil,
// OutcomeSuccess) is nil. With any other outcome, a nil err becomes an error.
func Mark(err error, o Outcome) error {
	if err == nil && o == OutcomeSuccess {
		return nil
	}
	return &markedError{err: err, outcome: o}
}

type markedError struct {
	err     error
	outcome Outcome
}

func (e *markedError) Error() string {
	if e.err == nil {
		return "breaker: marked " + e.outcome.String()
	}
	return e.err.Error()
}

func (e *markedError) Unwrap() error { return e.err }

// gaveUp is whether and how a caller gave up its call.
type gaveUp uint8

const (
	waited    gaveUp = iota // the caller did not give up
	expired                 // its deadline expired
	impatient               // its deadline was shorter than a success usually takes
	canceled                // it canceled the call
)

// gone returns why the caller gave up the call of ctx, or nil. A deadline that
// has passed decides, even if its timer is late, or if the owner of the timer
// cancels ctx at the same time. So does a cause that is a timeout.
func gone(ctx context.Context) error {
	if end, ok := ctx.Deadline(); ok && !time.Now().Before(end) {
		return context.DeadlineExceeded
	}
	if err := ctx.Err(); err == nil || !errtree.Is(context.Cause(ctx), context.DeadlineExceeded) {
		return err
	}
	return context.DeadlineExceeded
}

func marked(err error) bool {
	_, ok := errtree.Find[*markedError](err)
	return ok
}

// untimed returns the outcome of a call whose duration does not matter. If its
// caller canceled it, the call is ignored.
func untimed(ctx context.Context, classify func(error) Outcome, err error) Outcome {
	if err == nil {
		return OutcomeSuccess
	}
	if err == errGone {
		return OutcomeFailure
	}
	o := classify(err)
	if o == OutcomeFailure && errtree.Is(gone(ctx), context.Canceled) && !marked(err) {
		return OutcomeIgnored
	}
	return o
}

// outcome returns the outcome of a call that ran for ran and ended with err, as
// described at Outcome. The call took answered to its answer, or ran if it has
// none. p contains the durations of successes.
func outcome(ctx context.Context, c *Config, p *pace, ran, answered time.Duration, err error) (Outcome, gaveUp) {
	if err == errGone {
		return OutcomeFailure, waited
	}
	o, gone := c.Classify(err), gone(ctx)
	if o != OutcomeFailure || gone == nil {
		return o, waited
	}
	if marked(err) {
		return o, waited
	}
	if errtree.Is(gone, context.DeadlineExceeded) {
		if ran < time.Duration(p.usual.Load()) {
			return OutcomeIgnored, impatient
		}
		return OutcomeFailure, expired
	}
	long := c.SlowCall
	if long <= 0 {
		long = 3 * time.Duration(p.longest.Load())
	}
	if long == 0 {
		long = c.Window // nothing is known yet
	}
	if answered < long {
		return OutcomeIgnored, canceled
	}
	return OutcomeFailure, canceled
}
