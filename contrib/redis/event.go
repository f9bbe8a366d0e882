package redoubtredis

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/redoubt-go/redoubt/internal/quote"
	"github.com/redoubt-go/redoubt/internal/sloghook"
)

// A Kind is the kind of an [Event].
type Kind uint8

const (
	// KindOutage means that an outage started: a server did not answer several
	// calls, or not in time.
	KindOutage Kind = iota
	// KindRecovery means that an outage ended.
	KindRecovery
)

// String returns "outage" or "recovery", and "Kind(7)" for an unknown kind.
func (k Kind) String() string {
	switch k {
	case KindOutage:
		return "outage"
	case KindRecovery:
		return "recovery"
	}
	return fmt.Sprintf("Kind(%d)", uint8(k))
}

// An Event is the start or the end of an outage of a server.
type Event struct {
	Kind    Kind          // the kind of event
	Name    string        // Config.Name
	Shard   string        // the server, as a Sharded client names it
	Err     error         // the error that started the outage
	For     time.Duration // the length of an outage that ended
	Dropped int           // events dropped just before this event, because OnEvent was too slow
}

var _ slog.LogValuer = Event{}

// LogValue implements [slog.LogValuer].
func (e Event) LogValue() slog.Value {
	attrs := []slog.Attr{slog.String("kind", e.Kind.String()), slog.String("name", quote.Cut(e.Name))}
	if e.Shard != "" {
		attrs = append(attrs, slog.String("shard", quote.Cut(e.Shard)))
	}
	if e.Err != nil {
		attrs = append(attrs, slog.String("error", quote.Error(e.Err)))
	}
	if e.For > 0 {
		attrs = append(attrs, slog.Duration("for", e.For))
	}
	if e.Dropped > 0 {
		attrs = append(attrs, slog.Int("dropped", e.Dropped))
	}
	return slog.GroupValue(attrs...)
}

// Log returns an OnEvent that writes every event to l. An outage is an error,
// and a recovery is information. Nil means slog.Default().
func Log(l *slog.Logger) func(context.Context, Event) {
	return sloghook.New(l, func(e Event) (slog.Level, string) {
		if e.Kind == KindOutage {
			return slog.LevelError, "redis does not answer"
		}
		return slog.LevelInfo, "redis answers again"
	})
}
