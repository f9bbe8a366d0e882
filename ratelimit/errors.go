package ratelimit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

var (
	// ErrLimited is the class of all refusals of this package.
	ErrLimited = errors.New("ratelimit: limited")

	// ErrTooLarge is the class of the refusals of more events than a limit can ever admit at once. They also match
	// [ErrLimited].
	ErrTooLarge = errors.New("ratelimit: more events than the burst")
)

// A LimitedError is a refusal: the events were not taken, and the work was not tried. It matches [ErrLimited], and
// [ErrTooLarge] or [context.DeadlineExceeded] where these say why.
type LimitedError struct {
	Decision Decision // the refusal itself
	Late     bool     // the turn would have come, but not before the deadline of the context
}

var _ slog.LogValuer = (*LimitedError)(nil)

// Error says which limit refused, and when to come back.
func (e *LimitedError) Error() string {
	d := e.Decision
	var why string
	switch {
	case d.N < 0:
		why = "negative number of events"
	case e.tooLarge():
		why = fmt.Sprintf("%d events exceed the burst", d.N)
	case d.RetryAfter == Never:
		why = "limited for good"
	default:
		wait := (d.RetryAfter-1)/time.Millisecond*time.Millisecond + time.Millisecond
		why = fmt.Sprintf("limited, retry after %v", wait)
		if e.Late {
			why += ", past the deadline"
		}
	}
	return fmt.Sprintf("ratelimit: %v: %s", d.Limit, why)
}

// Is reports whether target is ErrLimited, ErrTooLarge for too many events, or context.DeadlineExceeded for a turn
// after the deadline.
func (e *LimitedError) Is(target error) bool {
	switch target {
	case ErrLimited:
		return true
	case ErrTooLarge:
		return e.tooLarge()
	case context.DeadlineExceeded:
		return e.Late
	}
	return false
}

func (e *LimitedError) tooLarge() bool { return e.Decision.N > e.Decision.Limit.Burst }

// RetryAfter returns the time after which another try can succeed, 0 if none ever can.
func (e *LimitedError) RetryAfter() time.Duration {
	if e.Decision.RetryAfter == Never {
		return 0
	}
	return e.Decision.RetryAfter
}

// Retryable reports whether another try can ever succeed.
func (e *LimitedError) Retryable() bool { return e.Decision.RetryAfter != Never }

// Rejected returns true: what was to be limited was never tried.
func (e *LimitedError) Rejected() bool { return true }

// LogValue implements [slog.LogValuer].
func (e *LimitedError) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("limit", e.Decision.Limit.String()),
		slog.Int64("n", e.Decision.N),
		slog.Duration("retry_after", e.RetryAfter()),
		slog.Bool("retryable", e.Retryable()),
		slog.Bool("late", e.Late),
	)
}

// cancelled returns the error of a wait that ctx ended.
func cancelled(ctx context.Context) error {
	err := ctx.Err()
	if cause := context.Cause(ctx); !errors.Is(err, cause) {
		return fmt.Errorf("ratelimit: wait: %w: %w", err, cause)
	}
	return fmt.Errorf("ratelimit: wait: %w", err)
}
