package retry

import (
	"context"
	"slices"
	"time"

	"github.com/redoubt-go/redoubt/internal/errtree"
)

// Permanent marks err as an error that is never retried, whatever RetryIf
// returns, also if it is wrapped or joined with other errors. The text of err
// stays the same. Permanent(nil) returns nil.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return &permanentError{err}
}

type permanentError struct{ err error }

func (e *permanentError) Error() string { return e.err.Error() }
func (e *permanentError) Unwrap() error { return e.err }

// After marks err with the pause that the other side asks for. Do then waits
// for d and up to a tenth more, in place of the pause of its Backoff. Any error
// with a method RetryAfter() time.Duration has the same effect. If d <= 0, err
// asks for no pause. After(d, nil) returns nil.
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

// Retryable reports whether another attempt may succeed after an attempt that
// failed with err. The first rule that applies decides:
//
//   - nil, or an error marked by Permanent: false
//   - an error with a method Retryable() bool: the result of that method
//   - an error that matches context.Canceled: false
//   - any other error: true
//
// The rules apply to all errors in the tree of err, outer errors first.
func Retryable(err error) bool {
	var p Policy
	return p.judge(err).retry
}

// A Condition reports whether an error meets it. It can be used as a
// Policy.RetryIf.
type Condition func(err error) bool

// On returns the Condition that an error matches any of targets, in the sense
// of errors.Is.
func On(targets ...error) Condition {
	targets = slices.Clone(targets)
	return func(err error) bool {
		return slices.ContainsFunc(targets, func(t error) bool { return errtree.Is(err, t) })
	}
}

// OnType returns the Condition that the tree of an error contains an E, which
// may be an interface.
func OnType[E any]() Condition {
	return func(err error) bool {
		_, ok := errtree.Find[E](err)
		return ok
	}
}

// And returns the Condition that both c and d hold. d is called only if c
// holds.
func (c Condition) And(d Condition) Condition {
	return func(err error) bool { return c(err) && d(err) }
}

// Or returns the Condition that c or d holds. d is called only if c does not
// hold.
func (c Condition) Or(d Condition) Condition {
	return func(err error) bool { return c(err) || d(err) }
}

// Not returns the Condition that c does not hold.
func (c Condition) Not() Condition {
	return func(err error) bool { return !c(err) }
}

// A verdict is the meaning of an error for a retry.
type verdict struct {
	retry    bool          // the policy retries after it
	failed   bool          // the error itself allows a retry, although it is marked by Permanent
	rejected bool          // the attempt put no load on the other side
	nested   bool          // a call inside the attempt retried and gave up
	after    time.Duration // the pause that the error asks for
}

// judge returns the meaning of err for p. A nil error is not retried.
func (p *Policy) judge(err error) verdict {
	if err == ErrPending {
		return verdict{retry: true, rejected: true} // a further look, not a retry
	}
	inner, permanent := err, false
	if m, ok := err.(*permanentError); ok {
		inner, permanent = m.err, true
	}
	var v verdict
	if plain(inner) {
		v.retry = inner != context.Canceled
	} else {
		v, permanent = read(inner, permanent)
	}
	switch {
	case permanent || err == nil:
		v.retry = false
	case p.RetryIf != nil:
		v.retry = p.RetryIf(err)
	}
	return v
}

// plain reports whether the tree of err consists of err alone, and err has
// none of the methods that a guard calls. Most errors are plain.
func plain(err error) bool {
	switch err.(type) {
	case interface{ Unwrap() error }, interface{ Unwrap() []error }, interface{ Is(error) bool },
		interface{ Retryable() bool }, interface{ Rejected() bool }, interface{ RetryAfter() time.Duration }:
		return false
	}
	return true
}

// read returns the meaning of err by default, and whether the error, or an
// error in its tree, is marked by Permanent.
func read(err error, marked bool) (v verdict, permanent bool) {
	permanent = marked
	errtree.Walk(err, func(e error) bool {
		switch x := e.(type) {
		case *permanentError:
			permanent = true
		case *Error:
			v.nested = v.nested || x != nil && x.Attempts > 1
		}
		return true
	})
	signs := errtree.Read(err)
	v.rejected, v.after, v.retry = signs.Rejected, signs.RetryAfter, signs.Retryable
	if !signs.HasRetryable {
		v.retry = !errtree.Is(err, context.Canceled)
	}
	v.failed = permanent && signs.HasRetryable && signs.Retryable
	return v, permanent
}
