package ratelimit

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
)

// A Kind says what sort of event is reported.
type Kind uint8

const (
	// KindRefused is a request of a key that was refused.
	KindRefused Kind = iota
	// KindPushedOut is a new key that pushed out another one, which had events to pay back.
	KindPushedOut
)

// String returns "refused" or "pushed out".
func (k Kind) String() string {
	switch k {
	case KindRefused:
		return "refused"
	case KindPushedOut:
		return "pushed out"
	}
	return fmt.Sprintf("Kind(%d)", uint8(k))
}

// An Event is what a [Keyed] reports.
type Event struct {
	Kind     Kind     // what has happened
	Key      any      // the key that asked, of the type of the Keyed
	Decision Decision // the answer it got
}

var _ slog.LogValuer = Event{}

// LogValue groups the fields for structured logs. The key, which may be secret and of any length, is left out.
func (e Event) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("kind", e.Kind.String()),
		slog.String("limit", e.Decision.Limit.String()),
		slog.Int64("n", e.Decision.N),
		slog.Bool("ok", e.Decision.OK),
	)
}

func (k *Keyed[K]) report(key K, d Decision, pushed bool) {
	e := Event{Kind: KindRefused, Key: key, Decision: d}
	if pushed {
		e.Kind = KindPushedOut
	}
	k.events.send(context.Background(), e)
}

// A notifier calls a hook with one event after the other. A call made while another is under way, perhaps by the hook
// itself, leaves its event to that one.
type notifier struct {
	hook  func(context.Context, Event)
	mu    sync.Mutex
	queue []Event
	busy  bool
}

func (n *notifier) send(ctx context.Context, e Event) {
	n.mu.Lock()
	n.queue = append(n.queue, e)
	if n.busy {
		n.mu.Unlock()
		return
	}
	n.busy = true
	defer func() { // also when the hook panics
		n.busy = false
		n.mu.Unlock()
	}()
	for len(n.queue) > 0 {
		next := n.queue[0]
		n.queue = n.queue[1:]
		n.call(ctx, next)
	}
}

func (n *notifier) call(ctx context.Context, e Event) {
	n.mu.Unlock()
	defer n.mu.Lock()
	n.hook(ctx, e)
}
