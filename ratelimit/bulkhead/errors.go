package bulkhead

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

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
	// ReasonTooLarge means that the caller asked for more places than the
	// limit, or for fewer than 1.
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
}

var _ slog.LogValuer = (*FullError)(nil)

func (b *Bulkhead) full(r Reason) *FullError {
	return &FullError{Name: b.cfg.Name, Reason: r, Limit: b.Limit(), Inflight: b.Inflight(), Queued: b.queued}
}

// Error returns the name of the bulkhead, the reason and the load.
func (e *FullError) Error() string {
	text := "bulkhead: "
	if e.Name != "" {
		text += quote.Name(e.Name) + ": "
	}
	return text + fmt.Sprintf("%v, %d of %d inside, %d waiting", e.Reason, e.Inflight, e.Limit, e.Queued)
}

// Is reports whether target is [ErrFull] or [ratelimit.ErrLimited].
func (e *FullError) Is(target error) bool { return target == ErrFull || target == ratelimit.ErrLimited }

// Rejected returns true: the work was not tried.
func (e *FullError) Rejected() bool { return true }

// Retryable reports whether another try can succeed. It returns false for
// [ReasonTooLarge].
func (e *FullError) Retryable() bool { return e.Reason != ReasonTooLarge }

// LogValue implements [slog.LogValuer].
func (e *FullError) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("name", quote.Cut(e.Name)),
		slog.String("reason", e.Reason.String()),
		slog.Int("limit", e.Limit),
		slog.Int("inflight", e.Inflight),
		slog.Int("queued", e.Queued),
	)
}

// cancelled returns the error of a wait whose context ended.
func cancelled(ctx context.Context) error { return ctxerr.New(ctx, "bulkhead: wait") }
