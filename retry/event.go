package retry

import (
	"context"
	"log/slog"
	"time"
)

// A Kind says what an Event reports.
type Kind uint8

// The kinds of events.
const (
	Retry  Kind = 1 + iota // an attempt failed; after a pause there will be another
	Hedged                 // a further attempt of a Hedge started
	Done                   // the call ended, after more than one attempt or without success
)

// String returns "retry", "hedged" or "done".
func (k Kind) String() string {
	switch k {
	case Retry:
		return "retry"
	case Hedged:
		return "hedged"
	case Done:
		return "done"
	}
	return "unknown"
}

// An Event is one step of a call, as told to the OnEvent of a Policy or a Hedge.
type Event struct {
	Kind    Kind          // what happened
	Attempt int           // the attempt that ended, from 1, or 0 if none did; Hedged: that started
	Err     error         // its error, nil if it succeeded; Hedged: the failure that hastened it
	Delay   time.Duration // Retry only: the pause before the next attempt
	Elapsed time.Duration // since the start of the call
	Reason  error         // Done only: why the call failed, nil if it succeeded
}

var _ slog.LogValuer = Event{}

// LogValue returns the event as a group of its fields, without those that say
// nothing.
func (e Event) LogValue() slog.Value { return slog.GroupValue(e.attrs()...) }

func (e Event) attrs() []slog.Attr {
	attrs := []slog.Attr{
		slog.String("kind", e.Kind.String()),
		slog.Int("attempt", e.Attempt),
		slog.Duration("elapsed", e.Elapsed),
	}
	if e.Kind == Retry {
		attrs = append(attrs, slog.Duration("delay", e.Delay))
	}
	if e.Reason != nil {
		attrs = append(attrs, slog.Any("reason", e.Reason))
	}
	if e.Err != nil {
		attrs = append(attrs, slog.Any("error", e.Err))
	}
	return attrs
}

// Log returns a hook for OnEvent that writes every event to l: a retry as a
// warning, a call that failed as an error, and the others as information. nil
// means slog.Default().
func Log(l *slog.Logger) func(context.Context, Event) {
	return func(ctx context.Context, e Event) {
		level, text := slog.LevelWarn, "attempt failed, will retry"
		switch {
		case e.Kind == Hedged:
			level, text = slog.LevelInfo, "hedged"
		case e.Kind == Done && e.Reason == nil:
			level, text = slog.LevelInfo, "succeeded after retry"
		case e.Kind == Done:
			level, text = slog.LevelError, "gave up"
		}
		out := l
		if out == nil {
			out = slog.Default()
		}
		out.LogAttrs(ctx, level, text, e.attrs()...)
	}
}
