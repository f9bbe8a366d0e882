package breaker

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/redoubt-go/redoubt/internal/outbox"
	"github.com/redoubt-go/redoubt/internal/quote"
	"github.com/redoubt-go/redoubt/internal/sloghook"
)

// A Kind is a kind of [Event].
type Kind uint8

const (
	// KindTransition is a change of state.
	KindTransition Kind = iota
	// KindShadow is a change that a breaker would have made if it were not
	// forced closed.
	KindShadow
)

// String returns "transition" or "shadow".
func (k Kind) String() string {
	switch k {
	case KindTransition:
		return "transition"
	case KindShadow:
		return "shadow"
	}
	return fmt.Sprintf("Kind(%d)", uint8(k))
}

// An Event is a change of state. The events of a breaker form a path: From is
// the To of the event before. Shadow events form a path of their own between
// StateClosed and StateOpen.
type Event struct {
	Kind    Kind          // transition or shadow
	Name    string        // Config.Name
	From    State         // the state before
	To      State         // the state after
	At      time.Time     // time of the change
	Reason  string        // such as "failure ratio" or "probe timeout"
	Err     error         // the error that decided, or nil
	OpenFor time.Duration // length of the open period if To is StateOpen
	Stats   Stats         // the statistics just before the change
	Dropped int           // events dropped just before this one
}

var _ slog.LogValuer = Event{}

// LogValue groups the fields for structured logs.
func (e Event) LogValue() slog.Value {
	attrs := []slog.Attr{
		slog.String("kind", e.Kind.String()),
		slog.String("name", quote.Cut(e.Name)),
		slog.String("from", e.From.String()),
		slog.String("to", e.To.String()),
		slog.String("reason", e.Reason),
		slog.Int("calls", e.Stats.WindowCalls),
		slog.Int("failures", e.Stats.WindowFailures),
	}
	if e.OpenFor > 0 {
		attrs = append(attrs, slog.Duration("open_for", e.OpenFor))
	}
	if e.Err != nil {
		attrs = append(attrs, slog.String("error", quote.Cut(fmt.Sprint(e.Err))))
	}
	if e.Stats.Hint != "" {
		attrs = append(attrs, slog.String("hint", e.Stats.Hint))
	}
	if e.Dropped > 0 {
		attrs = append(attrs, slog.Int("dropped", e.Dropped))
	}
	return slog.GroupValue(attrs...)
}

// Log returns an OnEvent that writes every event to l. An opening is a warning,
// and every other change is information. Nil means slog.Default().
func Log(l *slog.Logger) func(context.Context, Event) {
	return sloghook.New(l, func(e Event) (slog.Level, string) {
		switch {
		case e.Kind == KindShadow:
			return slog.LevelInfo, "circuit breaker would be " + e.To.String()
		case e.To == StateOpen:
			return slog.LevelWarn, "circuit breaker open"
		}
		return slog.LevelInfo, "circuit breaker " + e.To.String()
	})
}

// emit queues an event before its change is made, with the lock held.
func (b *Breaker) emit(ctx context.Context, now time.Duration, e Event) {
	c := b.cfg.Load()
	if c.OnEvent == nil {
		return
	}
	e.Name, e.At, e.Stats = c.Name, b.start.Add(now), b.stats(b.cur.Load(), now)
	if b.out == nil {
		b.out = new(outbox.Outbox[Event])
	}
	b.out.Post(ctx, e)
}
