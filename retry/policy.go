package retry

import (
	"context"
	"errors"
	"time"
)

// Unlimited is the Policy.MaxAttempts of a policy without a limit.
const Unlimited = -1

// Defaults of a Policy.
const (
	defaultAttempts      = 3
	defaultMaxRetryAfter = time.Minute
)

// A Policy decides whether, when and how often a failed call is made again.
// The zero value is ready for use. A Policy holds no state of a call: pass it
// by value, copy it to vary it, and share it between goroutines.
//
// A value out of range never makes a call panic. Each field states the value
// that is used in its place, and Validate reports it.
type Policy struct {
	// Name names the policy in errors and events. It may be empty.
	Name string

	// MaxAttempts is the largest number of attempts, including the first.
	// Zero means 3. Negative means no limit; see Unlimited.
	MaxAttempts int

	// MaxElapsed bounds the time from the start of the call to the start of
	// its last attempt. No attempt starts at MaxElapsed or later, and a pause
	// that would reach it does not begin. A running attempt is not cut short.
	// Zero or negative means no limit.
	MaxElapsed time.Duration

	// AttemptTimeout bounds each attempt. The context of an attempt that takes
	// longer ends with ErrAttemptTimeout as its cause, and the attempt may be
	// retried. Zero or negative means no limit.
	AttemptTimeout time.Duration

	// Backoff sets the pause after a failed attempt. Nil means
	// Exponential{Base: 100 * time.Millisecond, Max: 10 * time.Second}.
	Backoff Backoff

	// MaxRetryAfter is the longest pause that the other side may ask for; see
	// After. A longer one ends the call with ErrRetryAfter. Zero means 1
	// minute. Negative means no limit.
	MaxRetryAfter time.Duration

	// MaxRejected takes the place of MaxRetryAfter after an attempt that a
	// guard refused, such as an open circuit breaker. Zero means the longest
	// pause that Backoff could have set next, so that a caller does not wait
	// for a breaker to close. Negative means no limit.
	MaxRejected time.Duration

	// ResetAfter is the time after which a running attempt counts as healthy.
	// If an attempt that ran for ResetAfter fails, the number of attempts and
	// the pauses begin again, as for a new call. It is meant for connections
	// that last for hours. Zero or negative means never.
	ResetAfter time.Duration

	// RetryIf reports whether to retry after err. It is called once per failed
	// attempt, except for errors marked by Permanent, which are never retried.
	// Nil means Retryable.
	RetryIf func(err error) bool

	// Budget bounds the retries of all calls that share it. Nil means no
	// bound.
	Budget Budget

	// OnEvent is called before the pause of every retry, and at the end of
	// every call that retried or failed. OnEvent may be nil. It is called
	// synchronously, outside locks, after the change that the event reports,
	// in the order of the changes. It may call back into this package and must
	// not block.
	OnEvent func(context.Context, Event)

	// Rand returns the random draw of a pause, in [0, 1). Do calls it at most
	// once per failed attempt. Every goroutine that uses the policy may call
	// it. Nil means math/rand/v2.Float64. Set it to make tests reproducible.
	Rand func() float64

	poll bool // set by Poll: an attempt is a look at work that goes on
}

// Validate reports every setting of Backoff and Budget that is out of range, as
// far as these have a Validate method. Every value of the other fields has a
// meaning.
func (p Policy) Validate() error { return errors.Join(validate(p.Backoff), validate(p.Budget)) }

// validate calls the Validate method of v, if v has that method.
func validate(v any) error {
	if x, ok := v.(interface{ Validate() error }); ok {
		return x.Validate()
	}
	return nil
}
