package retry

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/redoubt-go/redoubt/internal/sloghook"
)

// A Kind is the kind of an Event.
type Kind uint8

// The kinds of events.
const (
	KindRetry  Kind = iota // an attempt failed; a pause begins, and then another attempt
	KindHedged             // a further attempt of a Hedge started
	KindDone               // a call ended, after several attempts or without success
)

// String returns "retry", "hedged" or "done".
func (k Kind) String() string { return enum("Kind", k, "retry", "hedged", "done") }

// enum returns the name of a value, or a text such as "Kind(7)" if it has none.
func enum[E ~uint8](typ string, value E, names ...string) string {
	if int(value) < len(names) {
		return names[value]
	}
	return fmt.Sprintf("%s(%d)", typ, uint8(value))
}

// An Event is a step of a call, as passed to the OnEvent of a Policy or a
// Hedge.
type Event struct {
	Kind    Kind          // of the step
	Name    string        // of the Policy or the Hedge
	Op      string        // the operation, such as "GET example.com/users" in retryhttp
	Attempt int           // the attempt that ended, from 1, or 0 if none did; KindHedged: that started
	Err     error         // of that attempt, nil if it succeeded; KindHedged: the failure that caused it
	Delay   time.Duration // KindRetry: the pause before the next attempt
	Elapsed time.Duration // since the start of the call
	Reason  error         // KindDone: why the call failed, nil if it succeeded
}

var _ slog.LogValuer = Event{}

// LogValue returns the fields of e as a group, without empty fields.
func (e Event) LogValue() slog.Value {
	attrs := []slog.Attr{slog.String("kind", e.Kind.String())}
	if e.Name != "" {
		attrs = append(attrs, slog.String("name", e.Name))
	}
	if e.Op != "" {
		attrs = append(attrs, slog.String("op", e.Op))
	}
	attrs = append(attrs, slog.Int("attempt", e.Attempt), slog.Duration("elapsed", e.Elapsed))
	if e.Kind == KindRetry {
		attrs = append(attrs, slog.Duration("delay", e.Delay))
	}
	if e.Reason != nil {
		attrs = append(attrs, slog.Any("reason", e.Reason))
	}
	if e.Err != nil {
		attrs = append(attrs, slog.Any("error", e.Err))
	}
	return slog.GroupValue(attrs...)
}

// Log returns an OnEvent that writes every event to l. A retry is a warning, a
// call that failed is an error, and a Poll that is still pending is for
// debugging. The other events are information. Nil means slog.Default().
func Log(l *slog.Logger) func(context.Context, Event) {
	return sloghook.New(l, Event.message)
}

// message returns the level and the text of an event in a log.
func (e Event) message() (slog.Level, string) {
	switch {
	case e.Kind == KindHedged:
		return slog.LevelInfo, "hedged"
	case e.Kind == KindDone && e.Reason == nil:
		return slog.LevelInfo, "succeeded after retry"
	case e.Kind == KindDone:
		return slog.LevelError, "gave up"
	case e.Err == ErrPending:
		return slog.LevelDebug, "still pending"
	}
	return slog.LevelWarn, "attempt failed, will retry"
}
