package breaker

import (
	"context"
	"fmt"
	"log/slog"
	"time"
)

// A Kind says what sort of event is reported.
type Kind uint8

const (
	// KindTransition is a change of state.
	KindTransition Kind = iota
	// KindShadow is a change that a breaker which is forced closed would have made.
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

// An Event is one change of state. The events of a breaker form a path: From is the To of the event before.
// Shadow events form a path of their own between Closed and Open.
type Event struct {
	Kind    Kind          // transition or shadow
	Name    string        // the Config.Name
	From    State         // the state left
	To      State         // the state entered
	At      time.Time     // when
	Reason  string        // why, such as "failure ratio" or "probe timeout"
	Err     error         // the error that decided, or nil
	OpenFor time.Duration // if To is Open, how long
	Stats   Stats         // the figures just before the change
}

var _ slog.LogValuer = Event{}

// LogValue groups the fields for structured logs.
func (e Event) LogValue() slog.Value {
	attrs := []slog.Attr{
		slog.String("kind", e.Kind.String()),
		slog.String("name", e.Name),
		slog.String("from", e.From.String()),
		slog.String("to", e.To.String()),
		slog.String("reason", e.Reason),
		slog.Int("calls", e.Stats.Calls),
		slog.Int("failures", e.Stats.Failures),
	}
	if e.OpenFor > 0 {
		attrs = append(attrs, slog.Duration("open_for", e.OpenFor))
	}
	if e.Err != nil {
		attrs = append(attrs, slog.String("error", cut(e.Err.Error())))
	}
	return slog.GroupValue(attrs...)
}

// An outbox holds events that wait for their turn, each with the context of the call that caused it.
type outbox struct {
	queue []queued
	busy  bool // a goroutine is delivering
}

type queued struct {
	ctx   context.Context
	event Event
}

// emit queues an event, while the lock is held and before the change is made.
func (b *Breaker) emit(ctx context.Context, now time.Duration, e Event) {
	if b.cfg.OnEvent == nil {
		return
	}
	if b.out == nil {
		b.out = &outbox{}
	}
	e.Name, e.At, e.Stats = b.cfg.Name, b.start.Add(now), b.stats(now)
	b.out.queue = append(b.out.queue, queued{ctx, e})
}

// unlock releases the lock and delivers queued events, unless another call is at it: that one delivers these too,
// so events keep their order, one runs at a time, and nobody waits for somebody else's hook.
func (b *Breaker) unlock() {
	if b.out == nil || b.out.busy || len(b.out.queue) == 0 {
		b.mu.Unlock()
		return
	}
	b.out.busy = true
	b.mu.Unlock()
	b.deliver()
}

func (b *Breaker) deliver() {
	done := false
	defer func() {
		if !done {
			b.deliver() // the hook panicked or called Goexit: the events after it are still due
		}
	}()
	for {
		b.mu.Lock()
		if len(b.out.queue) == 0 {
			b.out.queue, b.out.busy = nil, false
			b.mu.Unlock()
			done = true
			return
		}
		q := b.out.queue[0]
		b.out.queue = b.out.queue[1:]
		b.mu.Unlock()
		b.cfg.OnEvent(q.ctx, q.event)
	}
}
