package ratelimit

import (
	"context"
	"errors"
	"sync"

	"github.com/redoubt-go/redoubt/internal/outbox"
	"github.com/redoubt-go/redoubt/internal/quote"
)

// WindowConfig configures a [Window] or a [Counter].
type WindowConfig struct {
	Name  string // names the Window or Counter in errors, events and Stats; may be empty
	Limit Limit  // at most N events in any period of length Per; Burst must be 0 or N; required

	// OnEvent is called with refusals. OnEvent may be nil. It is called
	// synchronously, outside locks, after the change that the event reports, in
	// the order of the changes. It may call back into this package and must not
	// block.
	OnEvent func(context.Context, Event)
}

// Validate returns an error that joins all problems of c. A [Window] can have
// at most 2^27 events. A [Counter] can have more.
func (c WindowConfig) Validate() error { return c.validate("ratelimit: ", maxWindow) }

func (c WindowConfig) validate(prefix string, most int64) error {
	if c.Name != "" {
		prefix += quote.Name(c.Name) + ": "
	}
	return errors.Join(c.Limit.validateWindow(prefix, most))
}

// A meter is the configuration, the figures and the events of a Window or a
// Counter. The lock of its owner guards it.
type meter struct {
	config           WindowConfig // with defaults filled in
	allowed, refused uint64
	events           outbox.Outbox[Event]
}

func (m *meter) set(c WindowConfig) {
	if c.Limit = c.Limit.normal(); c.Limit.Name == "" {
		c.Limit.Name = c.Name
	}
	m.config = c
}

func (m *meter) stats() Stats {
	return Stats{Name: m.config.Name, Allowed: m.allowed, Refused: m.refused}
}

// unlock ends a request with the decision d: it counts the decision, unlocks
// mu, and reports a refusal.
func (m *meter) unlock(ctx context.Context, mu *sync.Mutex, d Decision) Decision {
	hook := m.config.OnEvent
	if d.OK {
		m.allowed++
	} else if m.refused++; hook != nil {
		m.events.Post(ctx, Event{Kind: KindRefused, Name: m.config.Name, Decision: d})
	}
	mu.Unlock()
	if !d.OK && hook != nil {
		m.events.Deliver(func(ctx context.Context, e Event, dropped int) {
			e.Dropped = dropped
			hook(ctx, e)
		})
	}
	return d
}
