package audittest_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/redoubt-go/redoubt/audit"
	"github.com/redoubt-go/redoubt/audit/audittest"
)

// memory is a correct sink.
type memory struct {
	mu     sync.Mutex
	events []audit.Event
	closed bool
}

func (m *memory) WriteEvents(_ context.Context, events []*audit.Event) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return audit.ErrClosed
	}
	for _, e := range events {
		var own audit.Event // through JSON, because attributes may refer to any memory
		if err := own.UnmarshalJSON(e.AppendJSON(nil)); err != nil {
			return err
		}
		m.events = append(m.events, own)
	}
	return nil
}

func (m *memory) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return audit.ErrClosed
	}
	m.closed = true
	return nil
}

func (m *memory) stored() ([]audit.Event, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.events), nil
}

func TestPassesAGoodSink(t *testing.T) {
	audittest.Run(t, func(*testing.T) audittest.Subject {
		m := &memory{}
		return audittest.Subject{Sink: m, Stored: m.stored}
	})
}

// broken is a correct sink with a single fault.
type broken struct {
	*memory
	write func(m *memory, ctx context.Context, events []*audit.Event) error
}

func (b broken) WriteEvents(ctx context.Context, events []*audit.Event) error {
	return b.write(b.memory, ctx, events)
}

// For each sentence of the contract a sink that breaks it.
var brokenSinks = []struct {
	name, want string
	write      func(m *memory, ctx context.Context, events []*audit.Event) error
}{
	{"stores nothing", "missing", func(*memory, context.Context, []*audit.Event) error { return nil }},
	{"stores the first only", "one call with 300 events", func(m *memory, ctx context.Context, events []*audit.Event) error {
		return m.WriteEvents(ctx, events[:min(1, len(events))])
	}},
	{"stores twice", "not expected", func(m *memory, ctx context.Context, events []*audit.Event) error {
		return errors.Join(m.WriteEvents(ctx, events), m.WriteEvents(ctx, events))
	}},
	{"turns the order round", "stored as", func(m *memory, ctx context.Context, events []*audit.Event) error {
		back := slices.Clone(events)
		slices.Reverse(back)
		return m.WriteEvents(ctx, back)
	}},
	{"keeps the memory", "used again after the call", func(m *memory, _ context.Context, events []*audit.Event) error {
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.closed {
			return audit.ErrClosed
		}
		for _, e := range events {
			m.events = append(m.events, *e) // with the slices of the caller
		}
		return nil
	}},
	{"keeps what attributes refer to", "used again after the call", func(m *memory, _ context.Context, events []*audit.Event) error {
		m.mu.Lock()
		defer m.mu.Unlock()
		for _, e := range events {
			own := *e
			own.Changes, own.Attrs = slices.Clone(e.Changes), slices.Clone(e.Attrs)
			m.events = append(m.events, own)
		}
		return nil
	}},
	{"changes an event", "has changed", func(m *memory, ctx context.Context, events []*audit.Event) error {
		err := m.WriteEvents(ctx, events)
		for _, e := range events {
			e.Source = "me"
		}
		return err
	}},
	{"changes the batch", "has changed", func(m *memory, ctx context.Context, events []*audit.Event) error {
		err := m.WriteEvents(ctx, events)
		if len(events) > 1 {
			events[0], events[1] = events[1], events[0]
		}
		return err
	}},
	{"loses a field", "stored as", func(m *memory, ctx context.Context, events []*audit.Event) error {
		return m.WriteEvents(ctx, without(events, func(e *audit.Event) { e.RequestID = "" }))
	}},
	{"splits at line ends", "hostile texts", func(m *memory, ctx context.Context, events []*audit.Event) error {
		return m.WriteEvents(ctx, without(events, func(e *audit.Event) { e.Reason, _, _ = strings.Cut(e.Reason, "\n") }))
	}},
	{"drops what is large", "accepted and not stored", func(m *memory, ctx context.Context, events []*audit.Event) error {
		return m.WriteEvents(ctx, slices.DeleteFunc(slices.Clone(events), func(e *audit.Event) bool { return len(e.Reason) > 1000 }))
	}},
	{"fails", "disk on fire", func(*memory, context.Context, []*audit.Event) error { return errors.New("disk on fire") }},
	{"stores and says no", "refused with a cancelled context", func(m *memory, ctx context.Context, events []*audit.Event) error {
		err := m.WriteEvents(ctx, events)
		if ctx.Err() != nil {
			return errors.New("too late")
		}
		return err
	}},
	{"stores and says full", "refused with a cancelled context", func(m *memory, ctx context.Context, events []*audit.Event) error {
		err := m.WriteEvents(ctx, events)
		if ctx.Err() != nil {
			return errors.Join(audit.ErrFull, ctx.Err())
		}
		return err
	}},
	{"says yes when cancelled", "accepted with a cancelled context", func(m *memory, ctx context.Context, events []*audit.Event) error {
		if ctx.Err() != nil {
			return nil
		}
		return m.WriteEvents(ctx, events)
	}},
	{"forgets who called", "of 8 callers", func(m *memory, ctx context.Context, events []*audit.Event) error {
		if len(events) > 0 && strings.HasPrefix(events[0].ID, "3-1") {
			return nil
		}
		return m.WriteEvents(ctx, events)
	}},
	{"tears under load", "is torn", func(m *memory, ctx context.Context, events []*audit.Event) error {
		return m.WriteEvents(ctx, without(events, func(e *audit.Event) {
			if e.ID == "3-11" {
				e.Attrs = []slog.Attr{slog.Bool("torn", true)}
			}
		}))
	}},
	{"accepts after Close", "after Close", func(m *memory, ctx context.Context, events []*audit.Event) error {
		_ = m.WriteEvents(ctx, events)
		return nil
	}},
}

func TestFindsBrokenSinks(t *testing.T) {
	for _, tt := range brokenSinks {
		t.Run(tt.name, func(t *testing.T) {
			err := audittest.Check(func() audittest.Subject {
				m := &memory{}
				return audittest.Subject{Sink: broken{m, tt.write}, Stored: m.stored}
			})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q in it", err, tt.want)
			}
		})
	}
}

// without writes changed copies.
func without(events []*audit.Event, change func(*audit.Event)) []*audit.Event {
	out := make([]*audit.Event, len(events))
	for i, e := range events {
		own := *e
		change(&own)
		out[i] = &own
	}
	return out
}

// A sink that ignores the end of its context is found by the clock.
func TestFindsASinkThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		err := audittest.Check(func() audittest.Subject {
			m := &memory{}
			return audittest.Subject{Stored: m.stored, Sink: broken{m, func(m *memory, ctx context.Context, events []*audit.Event) error {
				if ctx.Err() != nil {
					<-release
				}
				return m.WriteEvents(ctx, events)
			}}}
		})
		close(release)
		if err == nil || !strings.Contains(err.Error(), "has not returned") {
			t.Errorf("error %v, want the sink that hangs", err)
		}
	})
}

func TestReportsAnErrorOfTheReader(t *testing.T) {
	broken := errors.New("no such disk")
	err := audittest.Check(func() audittest.Subject {
		return audittest.Subject{Sink: &memory{}, Stored: func() ([]audit.Event, error) { return nil, broken }}
	})
	if !errors.Is(err, broken) {
		t.Errorf("error %v, want %v", err, broken)
	}
}
