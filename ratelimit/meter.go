package ratelimit

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"time"

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

// A meter is the part that a Window and a Counter have in common. Its zero
// value admits nothing.
type meter struct {
	epoch  time.Time
	decide func(ns, n int64) Decision // of the owner; called with the lock

	mu               sync.Mutex
	config           WindowConfig // with defaults filled in
	allowed, refused uint64
	events           outbox.Outbox[Event]
}

// start makes m usable. It panics if c is invalid.
func (m *meter) start(c WindowConfig, kind string, most int64, decide func(ns, n int64) Decision) {
	m.epoch, m.decide = time.Now(), decide
	if err := m.set(c, kind, most, func(int64) {}); err != nil {
		panic(err)
	}
}

// set replaces the configuration after a call of change.
func (m *meter) set(c WindowConfig, kind string, most int64, change func(ns int64)) error {
	if err := c.validate("ratelimit: "+kind+": ", most); err != nil {
		return err
	}
	if m.decide == nil {
		return errors.New("ratelimit: the zero " + kind + " cannot be changed")
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	change(int64(time.Since(m.epoch)))
	c.Limit = c.Limit.normal()
	c.Limit.Name = cmp.Or(c.Limit.Name, c.Name)
	m.config = c
	return nil
}

// Config returns the configuration in force, with defaults filled in.
func (m *meter) Config() WindowConfig {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.config
}

// Stats returns the figures.
func (m *meter) Stats() Stats {
	m.mu.Lock()
	defer m.mu.Unlock()
	return Stats{Name: m.config.Name, Allowed: m.allowed, Refused: m.refused}
}

// Allow reports whether an event may happen now. If so, it takes the event.
func (m *meter) Allow() bool { return m.Take(1).OK }

// AllowN reports whether n events may happen now. If so, it takes all of them,
// otherwise none.
func (m *meter) AllowN(n int64) bool { return m.Take(n).OK }

// AllowAt is AllowN at the instant t, to replay recorded events. If t is
// earlier than an admitted event, nothing is gained: a [Window] takes the
// instant of that event, and a [Counter] the start of its period.
func (m *meter) AllowAt(t time.Time, n int64) bool {
	return m.take(context.Background(), since(m.epoch, t), n, 0).OK
}

// Take is AllowN with the full [Decision].
func (m *meter) Take(n int64) Decision {
	return m.take(context.Background(), int64(time.Since(m.epoch)), n, 0)
}

// Wait waits until an event may happen, and takes it. Waiting callers have no
// order: each tries again when the first of them may go on. Set does not wake
// them earlier.
//
// Errors: see [Limiter.Wait].
func (m *meter) Wait(ctx context.Context) error { return m.WaitN(ctx, 1) }

// WaitN is Wait for n events, which are taken together.
func (m *meter) WaitN(ctx context.Context, n int64) error {
	return poll(ctx, func(patience time.Duration) Decision {
		return m.take(ctx, int64(time.Since(m.epoch)), n, patience)
	})
}

// Do waits for an event and calls fn once.
//
// Errors: the error of Wait, without a call of fn, or the error of fn.
func (m *meter) Do(ctx context.Context, fn func(context.Context) error) error { return do(ctx, m, fn) }

// take takes n events at ns for a caller that waits for at most patience. A
// refusal that is not final is neither counted nor reported.
func (m *meter) take(ctx context.Context, ns, n int64, patience time.Duration) Decision {
	m.mu.Lock()
	d := Decision{OK: n == 0, N: n, AtOnce: true}
	if m.decide != nil {
		d = m.decide(ns, n)
	}
	hook := m.config.OnEvent
	if !d.final(patience) {
		hook = nil
	} else if d.OK {
		m.allowed++
	} else if m.refused++; hook != nil {
		m.events.Post(ctx, Event{Kind: KindRefused, Name: m.config.Name, Decision: d})
	}
	m.mu.Unlock()
	if !d.OK && hook != nil {
		deliver(&m.events, hook)
	}
	return d
}
