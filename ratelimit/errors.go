package ratelimit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/redoubt-go/redoubt/internal/ctxerr"
	"github.com/redoubt-go/redoubt/internal/quote"
)

var (
	// ErrLimited matches every refusal of this package.
	ErrLimited = errors.New("ratelimit: limited")

	// ErrTooLarge matches a refusal of more events than the burst of a limit.
	// Such a refusal also matches [ErrLimited].
	ErrTooLarge = errors.New("ratelimit: more events than the burst")
)

// A LimitedError is a refusal: no events were taken, and the work was not
// tried. It matches [ErrLimited].
type LimitedError struct {
	Decision Decision // the refusal
	Late     bool     // the turn would have come only after the deadline of the context
}

var _ slog.LogValuer = (*LimitedError)(nil)

// Error returns the name of the limit, the reason of the refusal, and the time
// after which another try can succeed.
func (e *LimitedError) Error() string {
	d, text := e.Decision, "ratelimit: "
	if d.Limit.Name != "" {
		text += quote.Name(d.Limit.Name) + ": "
	}
	switch {
	case d.Limit == Limit{}:
		return text + "the zero Limiter admits nothing"
	case d.N < 0:
		return text + fmt.Sprintf("%d events asked for, want at least 0", d.N)
	case e.tooLarge():
		return text + fmt.Sprintf("%d events exceed the burst of %v", d.N, d.Limit)
	}
	text += "limited to " + d.Limit.String()
	if !d.Retryable {
		return text + ", no retry can succeed"
	}
	wait := (d.RetryAfter-1)/time.Millisecond*time.Millisecond + time.Millisecond
	text += fmt.Sprintf(", retry after %v", wait)
	if e.Late {
		text += ", past the deadline"
	}
	return text
}

// Is reports whether target is [ErrLimited], [ErrTooLarge] if more events than
// the burst were asked for, or [context.DeadlineExceeded] if e is Late.
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

func (e *LimitedError) tooLarge() bool { return e.Decision.N > e.Decision.Limit.normal().Burst }

// RetryAfter returns the time after which another try can succeed, 0 if no try
// ever can.
func (e *LimitedError) RetryAfter() time.Duration { return e.Decision.RetryAfter }

// Retryable reports whether another try can ever succeed.
func (e *LimitedError) Retryable() bool { return e.Decision.Retryable }

// Rejected returns true: the work was not tried.
func (e *LimitedError) Rejected() bool { return true }

// LogValue implements [slog.LogValuer].
func (e *LimitedError) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("name", quote.Cut(e.Decision.Limit.Name)),
		slog.String("limit", e.Decision.Limit.String()),
		slog.Int64("n", e.Decision.N),
		slog.Duration("retry_after", e.RetryAfter()),
		slog.Bool("retryable", e.Retryable()),
		slog.Bool("late", e.Late),
	)
}

// cancelled returns the error of a wait whose context ended.
func cancelled(ctx context.Context) error { return ctxerr.New(ctx, "ratelimit: wait") }
