package fleet

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/redoubt-go/redoubt/internal/outbox"
	"github.com/redoubt-go/redoubt/internal/quote"
)

// A Kind is the kind of an [Event].
type Kind uint8

// The kinds of events.
const (
	KindBlocked  Kind = iota // Shipper: the stream does not accept lines; the Shipper waits and tries again
	KindResumed              // Shipper: all lines in flight were accepted again
	KindCut                  // Shipper: a line was too long for the server, and was cut
	KindDropped              // Shipper: a line without room for any of its bytes was dropped
	KindInput                // Shipper: an error of a log, or of its State
	KindAcquired             // Consumer: it owns the partition now
	KindReleased             // Consumer: it has handed over the partition
	KindLost                 // Consumer: another consumer owns the partition, or may own it
	KindFailed               // Consumer: an error; the partition continues with its latest snapshot
	KindGap                  // Consumer: the stream has removed lines that may not have been handled
	KindForeign              // Consumer: the first record of a Shipper with other Partitions
)

var kinds = [...]string{"blocked", "resumed", "cut", "dropped", "input", "acquired", "released", "lost", "failed", "gap", "foreign"}

// String returns the kind in lower case, and "Kind(77)" for an unknown kind.
func (k Kind) String() string {
	if int(k) < len(kinds) {
		return kinds[k]
	}
	return fmt.Sprintf("Kind(%d)", uint8(k))
}

// An Event reports a change of a [Shipper] or a [Consumer].
type Event struct {
	Kind      Kind   // the change
	Name      string // ShipperConfig.Name or ConsumerConfig.Name
	Partition int    // of a Consumer; -1 if the event concerns no partition
	ID        string // of the line that was cut or dropped, or of the foreign record
	Cut       int64  // bytes of the line that were dropped
	Err       error  // the reason
	Dropped   int    // events dropped just before this event, because OnEvent was too slow
}

var _ slog.LogValuer = Event{}

// LogValue returns the fields as a group.
func (e Event) LogValue() slog.Value {
	attrs := []slog.Attr{slog.String("kind", e.Kind.String()), slog.String("name", quote.Cut(e.Name))}
	if e.Partition >= 0 {
		attrs = append(attrs, slog.Int("partition", e.Partition))
	}
	if e.ID != "" {
		attrs = append(attrs, slog.String("id", quote.Cut(e.ID)))
	}
	if e.Cut > 0 {
		attrs = append(attrs, slog.Int64("cut", e.Cut))
	}
	if e.Err != nil {
		attrs = append(attrs, slog.String("error", quote.Error(e.Err)))
	}
	if e.Dropped > 0 {
		attrs = append(attrs, slog.Int("dropped", e.Dropped))
	}
	return slog.GroupValue(attrs...)
}

// A reporter calls OnEvent.
type reporter struct {
	name string
	hook func(context.Context, Event)
	box  outbox.Outbox[Event]
}

func (r *reporter) report(ctx context.Context, e Event) {
	if r.hook == nil {
		return
	}
	e.Name = r.name
	r.box.Post(ctx, e)
	r.box.Deliver(func(ctx context.Context, e Event, dropped int) {
		e.Dropped = dropped
		r.hook(ctx, e)
	})
}
