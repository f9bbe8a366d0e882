package retry

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Permanent marks err as one that no further attempt can help: it is never
// retried, whatever RetryIf says, also when it is wrapped or joined with
// others. The text stays that of err. Permanent(nil) is nil.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return &permanentError{err}
}

type permanentError struct{ err error }

func (e *permanentError) Error() string { return e.err.Error() }
func (e *permanentError) Unwrap() error { return e.err }

// After marks err with the time after which another attempt is welcome. Do
// pauses for that time and up to a tenth more, instead of asking its Backoff.
// Any error with a method RetryAfter() time.Duration has the same effect; zero
// and negative times have none. After(d, nil) is nil.
func After(d time.Duration, err error) error {
	if err == nil {
		return nil
	}
	return &afterError{err, d}
}

type afterError struct {
	err error
	d   time.Duration
}

func (e *afterError) Error() string             { return e.err.Error() }
func (e *afterError) Unwrap() error             { return e.err }
func (e *afterError) RetryAfter() time.Duration { return e.d }

// Retryable reports whether another attempt may succeed where this one failed
// with err. In order:
//
//   - an error marked with Permanent: no
//   - an error with a method Retryable() bool: what it answers
//   - context.Canceled: no
//   - any other: yes, and nil: no
//
// The error is searched through wrapping and errors.Join, outer ones first.
func Retryable(err error) bool {
	var s signs
	s.read(err)
	return s.retryable(err)
}

// On returns a RetryIf that retries the errors which match one of targets, by
// errors.Is.
func On(targets ...error) func(error) bool {
	targets = slices.Clone(targets)
	return func(err error) bool {
		for _, t := range targets {
			if errors.Is(err, t) {
				return true
			}
		}
		return false
	}
}

// OnType returns a RetryIf that retries the errors with an E in their chain,
// by errors.As.
func OnType[E error]() func(error) bool {
	return func(err error) bool {
		_, ok := errors.AsType[E](err)
		return ok
	}
}

// judge reports whether p retries after err, and what else err says.
func (p *Policy) judge(err error) (retry bool, s signs) {
	if err == ErrPending {
		return true, signs{rejected: true} // a further look, not a retry
	}
	s.read(err)
	if p.RetryIf != nil && !s.permanent {
		return p.RetryIf(err), s
	}
	return s.retryable(err), s
}

// signs is what the errors of a chain say about a retry. Of each kind the
// first error that speaks decides.
type signs struct {
	permanent bool // marked with Permanent
	rejected  bool // a guard refused: the work was never tried
	retry     bool // the answer of Retryable() bool
	hint      time.Duration

	hasRejected, hasRetry, hasHint bool // decided
}

// read walks the tree of err in the order of errors.As, which it replaces
// because errors.As allocates for a target that is an interface. Chains end
// where Unwrap returns nil.
func (s *signs) read(err error) {
	for err != nil {
		s.note(err)
		switch x := err.(type) {
		case interface{ Unwrap() error }:
			err = x.Unwrap()
		case interface{ Unwrap() []error }:
			for _, e := range x.Unwrap() {
				s.read(e)
			}
			return
		default:
			return
		}
	}
}

// note takes down what err itself says, without those it wraps.
func (s *signs) note(err error) {
	if _, ok := err.(*permanentError); ok {
		s.permanent = true
		return
	}
	if x, ok := err.(interface{ Rejected() bool }); ok && !s.hasRejected {
		s.rejected, s.hasRejected = x.Rejected(), true
	}
	if x, ok := err.(interface{ Retryable() bool }); ok && !s.hasRetry {
		s.retry, s.hasRetry = x.Retryable(), true
	}
	if x, ok := err.(interface{ RetryAfter() time.Duration }); ok && !s.hasHint {
		s.hint, s.hasHint = x.RetryAfter(), true
	}
}

// retryable is Retryable for an err that has been read.
func (s *signs) retryable(err error) bool {
	switch {
	case err == nil || s.permanent:
		return false
	case s.hasRetry:
		return s.retry
	}
	return !errors.Is(err, context.Canceled)
}

// blame says in the error of an attempt that AttemptTimeout ended it, which
// the bare "context deadline exceeded" that most functions return does not.
func blame(ctx context.Context, err error) error {
	if err == nil || context.Cause(ctx) != ErrAttemptTimeout {
		return err
	}
	if errors.Is(err, ErrAttemptTimeout) || !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrAttemptTimeout, err)
}
