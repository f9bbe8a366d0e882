package ratelimit

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/redoubt-go/redoubt/internal/outbox"
	"github.com/redoubt-go/redoubt/internal/quote"
	"github.com/redoubt-go/redoubt/internal/sloghook"
)

// A Kind is the kind of an [Event].
type Kind uint8

const (
	// KindRefused means that a request was refused.
	KindRefused Kind = iota
	// KindPushedOut means that the debt or the ban of another key was
	// forgotten, for lack of room.
	KindPushedOut
)

// String returns "refused" or "pushed out", and "Kind(7)" for an unknown kind.
func (k Kind) String() string {
	switch k {
	case KindRefused:
		return "refused"
	case KindPushedOut:
		return "pushed out"
	}
	return fmt.Sprintf("Kind(%d)", uint8(k))
}

// An Event is a refusal, or the loss of a key's debt.
type Event struct {
	Kind     Kind     // the kind of event
	Name     string   // of the configuration
	Key      any      // the key of the request, of the type of the Keyed; nil without keys
	Decision Decision // the answer to the request
	Dropped  int      // events dropped just before this event, because OnEvent was too slow
}

var _ slog.LogValuer = Event{}

// LogValue implements [slog.LogValuer]. It leaves out the key, which may be
// secret and of any length.
func (e Event) LogValue() slog.Value {
	attrs := []slog.Attr{
		slog.String("kind", e.Kind.String()),
		slog.String("name", quote.Cut(e.Name)),
		slog.String("limit", e.Decision.Limit.String()),
		slog.Int64("n", e.Decision.N),
		slog.Bool("ok", e.Decision.OK),
	}
	if e.Dropped > 0 {
		attrs = append(attrs, slog.Int("dropped", e.Dropped))
	}
	return slog.GroupValue(attrs...)
}

// Log returns an OnEvent that writes every event to l. A refusal is
// information, and a debt that was forgotten is a warning. Nil means
// slog.Default().
func Log(l *slog.Logger) func(context.Context, Event) {
	return sloghook.New(l, func(e Event) (slog.Level, string) {
		if e.Kind == KindPushedOut {
			return slog.LevelWarn, "debt of a key forgotten"
		}
		return slog.LevelInfo, "rate limit exceeded"
	})
}

// deliver calls hook with the events in a queue.
func deliver(queue *outbox.Outbox[Event], hook func(context.Context, Event)) {
	queue.Deliver(func(ctx context.Context, e Event, dropped int) {
		e.Dropped = dropped
		hook(ctx, e)
	})
}
