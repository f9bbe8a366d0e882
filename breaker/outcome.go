package breaker

import (
	"context"
	"errors"
	"fmt"
)

// An Outcome is how a call counts.
//
// A call that returns a nil error is a Success. Otherwise Config.Classify decides; if it says Failure, the error is
// not marked, and the call's own context is done, then the caller gave up, and time decides: with Config.SlowCall
// set, a call that ran so long is a Failure and a shorter one is Ignored; without it, an expired deadline is a
// Failure and a cancellation is Ignored. A panic or runtime.Goexit is a Failure.
type Outcome uint8

const (
	// Success counts for the dependency.
	Success Outcome = iota
	// Failure counts against it.
	Failure
	// Ignored says nothing about it: the call counts as if it had never been made.
	Ignored
)

var outcomeNames = [...]string{"success", "failure", "ignored"}

// String returns the name in lower case.
func (o Outcome) String() string {
	if int(o) < len(outcomeNames) {
		return outcomeNames[o]
	}
	return fmt.Sprintf("Outcome(%d)", uint8(o))
}

// maxChain bounds the walk over an error tree, which may be cyclic.
const maxChain = 1000

// Classify is the default judgement of an error: nil is a Success; an error marked with [Mark] is what the mark says;
// a refusal by another guard (an error with a method Rejected() bool that returns true), whose work was never tried,
// is Ignored; everything else is a Failure. All of these are found through wrapping and errors.Join.
func Classify(err error) Outcome {
	if err == nil {
		return Success
	}
	if m, ok := find[*markedError](err); ok {
		return m.outcome
	}
	if r, ok := find[interface{ Rejected() bool }](err); ok && r.Rejected() {
		return Ignored
	}
	return Failure
}

// Mark returns err with an outcome that [Classify] finds, also through further wrapping. The error text stays.
// Mark(nil, Success) is nil; any other outcome makes an error of its own of a nil err.
func Mark(err error, o Outcome) error {
	if err == nil && o == Success {
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

// judge applies the caller-gave-up rule described at Outcome to what classify says. timed says whether there is
// a SlowCall, and long whether the call ran for so long.
func judge(ctx context.Context, err error, classify func(error) Outcome, timed, long bool) Outcome {
	if err == errGone {
		return Failure
	}
	o := classify(err)
	if o != Failure || ctx.Err() == nil {
		return o
	}
	if _, marked := find[*markedError](err); marked {
		return o
	}
	if timed && !long || !timed && errors.Is(ctx.Err(), context.Canceled) {
		return Ignored
	}
	return Failure
}

// find returns the first error of type T in the tree of err, in pre-order. Unlike errors.As it does not allocate,
// and it visits at most maxChain errors.
func find[T any](err error) (T, bool) {
	budget := maxChain
	return findIn[T](err, &budget)
}

func findIn[T any](err error, budget *int) (found T, ok bool) {
	for err != nil && *budget > 0 {
		*budget--
		if t, is := err.(T); is {
			return t, true
		}
		switch u := err.(type) {
		case interface{ Unwrap() error }:
			err = u.Unwrap()
		case interface{ Unwrap() []error }:
			for _, e := range u.Unwrap() {
				if found, ok = findIn[T](e, budget); ok {
					return found, true
				}
			}
			return found, false
		default:
			return found, false
		}
	}
	return found, false
}
