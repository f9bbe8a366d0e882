package breaker

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/redoubt-go/redoubt/internal/quote"
)

// ErrOpen is the class of all refusals by this package. If errors.Is(err,
// ErrOpen), a guard refused the call and its work was not tried.
var ErrOpen = errors.New("breaker: open")

// errGone is the outcome of a call that panicked or called runtime.Goexit.
var errGone = errors.New("breaker: the call panicked or exited its goroutine")

// An OpenError is the refusal of a call by a [Breaker]. All refusals of a
// period share one value, so that a refusal allocates nothing. Do not modify
// it.
type OpenError struct {
	Name   string // Config.Name
	State  State  // the state that refuses
	Reason string // why the breaker opened, as in Event.Reason
	Cause  error  // the error that opened the breaker, or nil; it is not wrapped

	start time.Time     // start of the breaker
	until time.Duration // end of the open period, since start
}

// Error returns a text such as
// "breaker: billing: open (failure ratio: "EOF"), retry after 3s".
func (e *OpenError) Error() string {
	text := prefix(e.Name) + e.State.String()
	if e.Reason != "" && e.State != StateForcedOpen {
		text += " (" + e.Reason
		if e.Cause != nil {
			text += ": " + quote.Error(e.Cause)
		}
		text += ")"
	}
	switch e.State {
	case StateHalfOpen:
		text += ", all probes taken"
	case StateRecovering:
		text += ", all calls taken"
	case StateOpen:
		text += ", retry after " + roundUp(e.RetryAfter()).String()
	}
	return text
}

// Is reports whether target is ErrOpen.
func (e *OpenError) Is(target error) bool { return target == ErrOpen }

// RetryAfter returns the rest of the open period, or 0 if the end is unknown.
func (e *OpenError) RetryAfter() time.Duration {
	if e.State != StateOpen {
		return 0
	}
	return max(0, e.until-time.Since(e.start))
}

// Rejected returns true: the work was not tried.
func (e *OpenError) Rejected() bool { return true }

// LogValue groups the fields for structured logs.
func (e *OpenError) LogValue() slog.Value {
	attrs := []slog.Attr{
		slog.String("name", quote.Cut(e.Name)),
		slog.String("state", e.State.String()),
		slog.Duration("retry_after", e.RetryAfter()),
	}
	if e.Reason != "" {
		attrs = append(attrs, slog.String("reason", e.Reason))
	}
	if e.Cause != nil {
		attrs = append(attrs, slog.String("cause", quote.Cut(fmt.Sprint(e.Cause))))
	}
	return slog.GroupValue(attrs...)
}

// A ThrottleError is the refusal of a call by a [Throttle]. All refusals of a
// throttle share one value. Do not modify it.
type ThrottleError struct {
	Name string // ThrottleConfig.Name
}

// Error returns a text such as "breaker: search: throttled".
func (e *ThrottleError) Error() string { return prefix(e.Name) + "throttled" }

// Is reports whether target is ErrOpen.
func (e *ThrottleError) Is(target error) bool { return target == ErrOpen }

// Rejected returns true: the work was not tried.
func (e *ThrottleError) Rejected() bool { return true }

// LogValue groups the fields for structured logs.
func (e *ThrottleError) LogValue() slog.Value {
	return slog.GroupValue(slog.String("name", quote.Cut(e.Name)), slog.String("state", "throttled"))
}

var _, _ slog.LogValuer = (*OpenError)(nil), (*ThrottleError)(nil)

func prefix(name string) string { return op(name) + ": " }

// op is how errors name the guard.
func op(name string) string {
	if name == "" {
		return "breaker"
	}
	return "breaker: " + quote.Name(name)
}

// roundUp rounds up to a whole millisecond.
func roundUp(d time.Duration) time.Duration {
	return (d + time.Millisecond - 1).Truncate(time.Millisecond)
}
