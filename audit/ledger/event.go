package ledger

import (
	"context"
	"log/slog"
	"strconv"

	"github.com/redoubt-go/redoubt/internal/quote"
	"github.com/redoubt-go/redoubt/internal/sloghook"
)

// An EventKind is the kind of an [Event].
type EventKind uint8

// The kinds of events.
const (
	EventKindUnsealed   EventKind = iota // a checkpoint could not be signed or written
	EventKindUnanchored                  // Config.Anchor returned an error
	EventKindRehash                      // the stored hashes are missing, wrong or not writable
	EventKindExposed                     // a group can write the directory or a file, or read the secret of the mark
)

// String returns the name in lower case.
func (k EventKind) String() string {
	names := [...]string{"unsealed", "unanchored", "rehash", "exposed"}
	if int(k) < len(names) {
		return names[k]
	}
	return "EventKind(" + strconv.Itoa(int(k)) + ")"
}

// An Event reports a fault that does not stop the log. The ledger tries again.
type Event struct {
	Kind    EventKind // kind of fault
	Name    string    // Config.Name
	Err     error     // the fault
	Dropped int       // events dropped just before this event, because OnEvent was too slow
}

var _ slog.LogValuer = Event{}

// LogValue returns the fields as a group.
func (e Event) LogValue() slog.Value {
	attrs := []slog.Attr{slog.String("kind", e.Kind.String()), slog.String("name", e.Name), slog.String("error", quote.Error(e.Err))}
	if e.Dropped > 0 {
		attrs = append(attrs, slog.Int("dropped", e.Dropped))
	}
	return slog.GroupValue(attrs...)
}

// Log returns an OnEvent that writes every event to l, as an error. Nil means
// slog.Default().
func Log(l *slog.Logger) func(context.Context, Event) {
	return sloghook.New(l, func(Event) (slog.Level, string) { return slog.LevelError, "fault of the ledger" })
}

// post queues an event. The caller holds l.mu.
func (l *Ledger) post(ctx context.Context, k EventKind, err error) {
	if l.config.OnEvent != nil {
		l.out.Post(ctx, Event{Kind: k, Name: l.config.Name, Err: err})
	}
}

// deliver calls OnEvent with the queued events. The caller holds no lock.
func (l *Ledger) deliver() {
	l.out.Deliver(func(ctx context.Context, e Event, dropped int) {
		e.Dropped = dropped
		l.config.OnEvent(ctx, e)
	})
}
