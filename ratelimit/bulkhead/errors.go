package bulkhead

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"time"

	"github.com/redoubt-go/redoubt/internal/ctxerr"
	"github.com/redoubt-go/redoubt/internal/quote"
	"github.com/redoubt-go/redoubt/ratelimit"
)

// ErrFull matches every refusal of this package. Refusals also match
// [ratelimit.ErrLimited].
var ErrFull = errors.New("bulkhead: full")

// A Reason is the reason of a refusal.
type Reason uint8

const (
	// ReasonQueue means that the queue had no room, or room only for callers of
	// higher priority.
	ReasonQueue Reason = iota
	// ReasonWait means that the caller waited for Config.MaxWait.
	ReasonWait
	// ReasonShed means that the caller waited longer than Config.Target while
	// all callers did.
	ReasonShed
	// ReasonTooLarge means that the caller asked for fewer than 1 place, or for
	// more than the limit, or than MaxLimit if the limit is adaptive.
	ReasonTooLarge
)

// String returns words such as "queue full", and "Reason(7)" for an unknown
// reason.
func (r Reason) String() string {
	switch r {
	case ReasonQueue:
		return "queue full"
	case ReasonWait:
		return "waited too long"
	case ReasonShed:
		return "shed"
	case ReasonTooLarge:
		return "beyond the limit"
	}
	return fmt.Sprintf("Reason(%d)", uint8(r))
}

// A FullError is a refusal: the work was not tried. It matches [ErrFull] and
// [ratelimit.ErrLimited].
type FullError struct {
	Name     string // Config.Name
	Reason   Reason // why the caller was refused
	Limit    int    // the limit at that time
	Inflight int    // the places in use
	Queued   int    // the waiting callers

	// Wait is the time in which the callers that wait now will enter, at the
	// latest rate. It is 0 if no waiting caller has entered yet, and for
	// ReasonTooLarge.
	Wait time.Duration
}

var _ slog.LogValuer = (*FullError)(nil)

// full returns the refusal of a caller that asks for n places. The caller holds
// mu.
func (b *Bulkhead) full(r Reason, n int) *FullError {
	e := &FullError{Name: b.cfg.Load().Name, Reason: r, Limit: b.Limit(), Inflight: b.Inflight(), Queued: b.queue.len}
	if r != ReasonTooLarge {
		if wait := b.queue.pace() * float64(b.queue.places+int64(n)); wait < math.MaxInt64 {
			e.Wait = time.Duration(wait)
		}
	}
	return e
}

// Error returns the name of the bulkhead, the reason and the load.
func (e *FullError) Error() string {
	text := "bulkhead: "
	if e.Name != "" {
		text += quote.Name(e.Name) + ": "
	}
	text += fmt.Sprintf("%v, %d of %d inside, %d waiting", e.Reason, e.Inflight, e.Limit, e.Queued)
	if e.Wait > 0 {
		text += fmt.Sprintf(", retry after %v", e.Wait)
	}
	return text
}

// Is reports whether target is [ErrFull] or [ratelimit.ErrLimited].
func (e *FullError) Is(target error) bool { return target == ErrFull || target == ratelimit.ErrLimited }

// Rejected returns true: the work was not tried.
func (e *FullError) Rejected() bool { return true }

// Retryable reports whether another try can succeed. It returns false for
// [ReasonTooLarge].
func (e *FullError) Retryable() bool { return e.Reason != ReasonTooLarge }

// RetryAfter returns Wait.
func (e *FullError) RetryAfter() time.Duration { return e.Wait }

// LogValue implements [slog.LogValuer].
func (e *FullError) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("name", quote.Cut(e.Name)),
		slog.String("reason", e.Reason.String()),
		slog.Int("limit", e.Limit),
		slog.Int("inflight", e.Inflight),
		slog.Int("queued", e.Queued),
		slog.Duration("wait", e.Wait),
	)
}

// cancelled returns the error of a wait whose context ended.
func cancelled(ctx context.Context) error { return ctxerr.New(ctx, "bulkhead: wait") }
