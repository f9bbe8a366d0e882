package breaker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// ErrOpen is the class of all refusals of this package: errors.Is(err, ErrOpen) says that a breaker or a throttle
// did not let the call through and the work was never tried.
var ErrOpen = errors.New("breaker: open")

// errGone is the outcome of a call that panicked or called runtime.Goexit.
var errGone = errors.New("breaker: the call panicked or exited its goroutine")

// errLost is the outcome of a probe that did not report in time.
var errLost = errors.New("breaker: the probe did not report in time")

// An OpenError is the refusal of a call. One value is shared by all refusals of a period, so a refusal costs no
// allocation; it must not be modified.
type OpenError struct {
	Name  string // the Config.Name of the guard
	State State  // why it refuses: Open, HalfOpen, Recovering, ForcedOpen or Throttling
	Cause error  // what opened the breaker, or nil; it is not part of the Unwrap chain, for it is not this call's error

	start time.Time     // start of the guard
	until time.Duration // end of the open period, since start
}

var (
	_ slog.LogValuer = (*OpenError)(nil)
	_ error          = (*OpenError)(nil)
)

// Error returns a text such as "breaker: billing: open, retry after 3s".
func (e *OpenError) Error() string {
	text := prefix(e.Name)
	switch e.State {
	case HalfOpen:
		return text + "half-open, all probes taken"
	case Open:
		return text + "open, retry after " + roundUp(e.RetryAfter()).String()
	default:
		return text + e.State.String()
	}
}

// Is reports whether target is ErrOpen.
func (e *OpenError) Is(target error) bool { return target == ErrOpen }

// RetryAfter returns how much of the open period is left now, 0 if none is or the end is not known.
func (e *OpenError) RetryAfter() time.Duration {
	if e.State != Open {
		return 0
	}
	return max(0, e.until-time.Since(e.start))
}

// Rejected returns true: the work was never tried.
func (e *OpenError) Rejected() bool { return true }

// LogValue groups the fields for structured logs.
func (e *OpenError) LogValue() slog.Value {
	attrs := []slog.Attr{
		slog.String("name", e.Name),
		slog.String("state", e.State.String()),
		slog.Duration("retry_after", e.RetryAfter()),
	}
	if e.Cause != nil {
		attrs = append(attrs, slog.String("cause", cut(e.Cause.Error())))
	}
	return slog.GroupValue(attrs...)
}

// contextError is the error of a call whose context was done before it could begin. It matches both ctx.Err() and
// context.Cause(ctx).
func contextError(ctx context.Context, name string) error {
	if cause := context.Cause(ctx); cause != ctx.Err() {
		return fmt.Errorf("%s%w: %w", prefix(name), ctx.Err(), cause)
	}
	return fmt.Errorf("%s%w", prefix(name), ctx.Err())
}

func prefix(name string) string {
	if name == "" {
		return "breaker: "
	}
	return "breaker: " + cut(name) + ": "
}

// cut bounds foreign text for errors and logs, and quotes it unless it is plain.
func cut(s string) string {
	if len(s) > 64 {
		s = s[:64]
	}
	if q := fmt.Sprintf("%q", s); q[1:len(q)-1] != s {
		return q
	}
	return s
}

// roundUp rounds up to a whole millisecond.
func roundUp(d time.Duration) time.Duration {
	return (d + time.Millisecond - 1).Truncate(time.Millisecond)
}
