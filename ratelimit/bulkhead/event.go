package bulkhead

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/redoubt-go/redoubt/internal/quote"
	"github.com/redoubt-go/redoubt/internal/sloghook"
)

// A Kind is the kind of an [Event].
type Kind uint8

const (
	// KindRefused means that a caller was refused.
	KindRefused Kind = iota
	// KindLimit means that the limit changed.
	KindLimit
)

// String returns "refused" or "limit", and "Kind(7)" for an unknown kind.
func (k Kind) String() string {
	switch k {
	case KindRefused:
		return "refused"
	case KindLimit:
		return "limit"
	}
	return fmt.Sprintf("Kind(%d)", uint8(k))
}

// An Event is a refusal or a change of the limit.
type Event struct {
	Kind    Kind       // the kind of event
	Name    string     // Config.Name
	Err     *FullError // the refusal; nil if the limit changed
	Limit   int        // the limit now
	Old     int        // the limit before; equal to Limit for a refusal
	Dropped int        // events dropped just before this event, because OnEvent was too slow
}

var _ slog.LogValuer = Event{}

// LogValue implements [slog.LogValuer].
func (e Event) LogValue() slog.Value {
	attrs := []slog.Attr{
		slog.String("kind", e.Kind.String()),
		slog.String("name", quote.Cut(e.Name)),
		slog.Int("limit", e.Limit),
		slog.Int("old", e.Old),
	}
	if e.Err != nil {
		attrs = append(attrs, slog.String("reason", e.Err.Reason.String()))
	}
	if e.Dropped > 0 {
		attrs = append(attrs, slog.Int("dropped", e.Dropped))
	}
	return slog.GroupValue(attrs...)
}

// Log returns an OnEvent that writes every event to l. A refusal is a warning,
// and a change of the limit is information. Nil means slog.Default().
func Log(l *slog.Logger) func(context.Context, Event) {
	return sloghook.New(l, func(e Event) (slog.Level, string) {
		if e.Kind == KindLimit {
			return slog.LevelInfo, "bulkhead limit changed"
		}
		return slog.LevelWarn, "bulkhead full"
	})
}

// refused counts and reports a refusal.
func (b *Bulkhead) refused(ctx context.Context, err *FullError) {
	b.mu.Lock()
	switch err.Reason {
	case ReasonQueue:
		b.figures.QueueFull++
	case ReasonWait:
		b.figures.TooLate++
	case ReasonShed:
		b.figures.Shed++
	case ReasonTooLarge:
		b.figures.TooLarge++
	}
	b.post(ctx, Event{Kind: KindRefused, Err: err, Limit: err.Limit, Old: err.Limit})
	b.mu.Unlock()
	b.deliver()
}

// post queues an event. The caller holds mu, and calls deliver after it.
func (b *Bulkhead) post(ctx context.Context, e Event) {
	if cfg := b.cfg.Load(); cfg.OnEvent != nil {
		e.Name = cfg.Name
		b.events.Post(ctx, e)
	}
}

func (b *Bulkhead) deliver() {
	b.events.Deliver(func(ctx context.Context, e Event, dropped int) {
		e.Dropped = dropped
		if hook := b.cfg.Load().OnEvent; hook != nil {
			hook(ctx, e)
		}
	})
}
