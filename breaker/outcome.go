package breaker

import (
	"context"
	"errors"
	"fmt"

	"github.com/redoubt-go/redoubt/internal/errtree"
)

// An Outcome is how a call counts.
//
// A call that returns a nil error is a success. Otherwise Config.Classify
// decides. The caller gave up if Classify returns OutcomeFailure, the error is
// not marked by [Mark], and the context of the call is done. Then the time
// that the call ran decides:
//
//   - With Config.SlowCall, a call that ran for SlowCall is a failure, a
//     shorter call is ignored.
//   - Without it, an expired deadline is a failure, a cancellation is ignored.
//
// A panic or runtime.Goexit is a failure.
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
//   - Every other error is a failure.
//
// Classify finds marks and refusals in the whole tree of the error.
func Classify(err error) Outcome {
	if err == nil {
		return OutcomeSuccess
	}
	if m, ok := errtree.Find[*markedError](err); ok {
		return m.outcome
	}
	if errtree.Read(err).Rejected {
		return OutcomeIgnored
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

// judge returns the outcome of a call that ended with err, as described at
// Outcome. timed reports whether there is a SlowCall, and long whether the
// call ran for so long.
func judge(ctx context.Context, err error, classify func(error) Outcome, timed, long bool) Outcome {
	if err == errGone {
		return OutcomeFailure
	}
	o := classify(err)
	if o != OutcomeFailure || ctx.Err() == nil {
		return o
	}
	if _, marked := errtree.Find[*markedError](err); marked {
		return o
	}
	if timed && !long || !timed && errors.Is(ctx.Err(), context.Canceled) {
		return OutcomeIgnored
	}
	return OutcomeFailure
}
