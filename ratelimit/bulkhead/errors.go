package bulkhead

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/redoubt-go/redoubt/ratelimit"
)

// ErrFull is the class of all refusals of this package. They also match ratelimit.ErrLimited.
var ErrFull = errors.New("bulkhead: full")

// A Reason says why a caller was refused.
type Reason uint8

const (
	// ReasonQueue is a queue without room, or with room only for higher priorities.
	ReasonQueue Reason = iota
	// ReasonWait is a wait of Config.MaxWait.
	ReasonWait
	// ReasonShed is a wait longer than Config.Target, in times when all wait longer.
	ReasonShed
	// ReasonTooLarge is a caller that counts for more than the limit, or for less than one.
	ReasonTooLarge
)

// String returns words such as "queue full".
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

// A FullError is a refusal: the work was not tried. It matches [ErrFull] and ratelimit.ErrLimited.
type FullError struct {
	Name     string // the Config.Name
	Reason   Reason // why
	Limit    int    // the limit at that time
	Inflight int    // how much was inside
	Queued   int    // how many waited
}

var _ slog.LogValuer = (*FullError)(nil)

func (b *Bulkhead) full(r Reason) *FullError {
	return &FullError{Name: b.cfg.Name, Reason: r, Limit: b.Limit(), Inflight: b.Inflight(), Queued: b.queued}
}

// Error says which bulkhead refused, and why.
func (e *FullError) Error() string {
	name := ""
	if e.Name != "" {
		name = e.Name[:min(len(e.Name), 64)] + ": "
	}
	return fmt.Sprintf("bulkhead: %s%v, %d of %d inside, %d waiting", name, e.Reason, e.Inflight, e.Limit, e.Queued)
}

// Is reports whether target is ErrFull or ratelimit.ErrLimited.
func (e *FullError) Is(target error) bool { return target == ErrFull || target == ratelimit.ErrLimited }

// Rejected returns true: the work was never tried.
func (e *FullError) Rejected() bool { return true }

// Retryable reports whether another try can succeed: not for a caller beyond the limit.
func (e *FullError) Retryable() bool { return e.Reason != ReasonTooLarge }

// LogValue implements [slog.LogValuer].
func (e *FullError) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("name", e.Name),
		slog.String("reason", e.Reason.String()),
		slog.Int("limit", e.Limit),
		slog.Int("inflight", e.Inflight),
		slog.Int("queued", e.Queued),
	)
}

// cancelled returns the error of a wait that ctx ended.
func cancelled(ctx context.Context) error {
	err := ctx.Err()
	if cause := context.Cause(ctx); !errors.Is(err, cause) {
		return fmt.Errorf("bulkhead: wait: %w: %w", err, cause)
	}
	return fmt.Errorf("bulkhead: wait: %w", err)
}
