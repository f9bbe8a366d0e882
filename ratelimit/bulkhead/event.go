package bulkhead

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
)

// A Kind says what sort of event is reported.
type Kind uint8

const (
	// KindRefused is a caller that was refused.
	KindRefused Kind = iota
	// KindLimit is a change of the limit.
	KindLimit
)

// String returns "refused" or "limit".
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
	Kind  Kind       // which
	Name  string     // the Config.Name
	Err   *FullError // the refusal; nil of a change
	Limit int        // the limit now
	Old   int        // the limit before; of a refusal the same
}

var _ slog.LogValuer = Event{}

// LogValue groups the fields for structured logs.
func (e Event) LogValue() slog.Value {
	attrs := []slog.Attr{
		slog.String("kind", e.Kind.String()), slog.String("name", e.Name), slog.Int("limit", e.Limit), slog.Int("old", e.Old),
	}
	if e.Err != nil {
		attrs = append(attrs, slog.String("reason", e.Err.Reason.String()))
	}
	return slog.GroupValue(attrs...)
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
	b.events.post(ctx, Event{Kind: KindRefused, Name: b.cfg.Name, Err: err, Limit: err.Limit, Old: err.Limit})
	b.mu.Unlock()
	b.events.deliver()
}

// A queued event waits for its turn with the context of the call that caused it.
type queued struct {
	ctx   context.Context
	event Event
}

// A notifier calls a hook with one event after the other. Whoever finds it busy leaves its event to that one.
type notifier struct {
	hook  func(context.Context, Event)
	mu    sync.Mutex
	queue []queued
	busy  bool
}

// post queues an event, at the moment of the change.
func (n *notifier) post(ctx context.Context, e Event) {
	if n.hook == nil {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.queue = append(n.queue, queued{ctx, e})
}

// deliver calls the hook, outside all locks.
func (n *notifier) deliver() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.busy {
		return
	}
	n.busy = true
	defer func() { n.busy = false }() // also when the hook panics
	for len(n.queue) > 0 {
		next := n.queue[0]
		n.queue = n.queue[1:]
		n.call(next)
	}
}

func (n *notifier) call(q queued) {
	n.mu.Unlock()
	defer n.mu.Lock()
	n.hook(q.ctx, q.event)
}
