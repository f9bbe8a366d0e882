package redis

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// A Kind says what sort of event is reported.
type Kind uint8

const (
	// KindOutage is the beginning of an outage: the server did not answer, or not in time.
	KindOutage Kind = iota
	// KindRecovery is the end of one.
	KindRecovery
)

// String returns "outage" or "recovery".
func (k Kind) String() string {
	switch k {
	case KindOutage:
		return "outage"
	case KindRecovery:
		return "recovery"
	}
	return fmt.Sprintf("Kind(%d)", uint8(k))
}

// An Event is what a [Limiter] reports.
type Event struct {
	Kind Kind          // what has happened
	Name string        // the Config.Name
	Err  error         // at the beginning of an outage, what went wrong
	For  time.Duration // at its end, how long it was
}

var _ slog.LogValuer = Event{}

// LogValue groups the fields for structured logs.
func (e Event) LogValue() slog.Value {
	attrs := []slog.Attr{slog.String("kind", e.Kind.String()), slog.String("name", e.Name)}
	if e.Err != nil {
		text := e.Err.Error()
		attrs = append(attrs, slog.String("error", fmt.Sprintf("%q", text[:min(len(text), 64)])))
	}
	if e.For > 0 {
		attrs = append(attrs, slog.Duration("for", e.For))
	}
	return slog.GroupValue(attrs...)
}

// A notifier calls a hook with one event after the other. A call made while another is under way, perhaps by the hook
// itself, leaves its event to that one.
type notifier struct {
	hook    func(context.Context, Event)
	sending sync.Mutex
	events  []queued
	busy    bool
}

type queued struct {
	ctx   context.Context
	event Event
}

// queue puts an event in line. The caller holds the lock under which the change is made, and calls deliver after it.
func (n *notifier) queue(ctx context.Context, e Event) {
	if n.hook == nil {
		return
	}
	n.sending.Lock()
	defer n.sending.Unlock()
	n.events = append(n.events, queued{ctx, e})
}

func (n *notifier) deliver() {
	n.sending.Lock()
	defer n.sending.Unlock()
	if n.busy {
		return
	}
	n.busy = true
	defer func() { n.busy = false }() // also when the hook panics
	for len(n.events) > 0 {
		next := n.events[0]
		n.events = n.events[1:]
		n.call(next)
	}
}

func (n *notifier) call(next queued) {
	n.sending.Unlock()
	defer n.sending.Lock()
	n.hook(next.ctx, next.event)
}
