package audittest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redoubt-go/redoubt/audit"
)

// patience bounds one call, in real time. It is far more than a working sink
// needs.
const patience = 10 * time.Second

// A Subject is a sink under test.
type Subject struct {
	// Sink is a sink that contains no events. If it has a method Close() error
	// or Close(context.Context) error, that method is tested too.
	Sink audit.Sink

	// Stored returns the events that a reader of the sink finds, in the order
	// of the log. It waits until the reader can find every accepted event.
	Stored func() ([]audit.Event, error)
}

// Run tests the contract of [audit.Sink], in a subtest for each rule. Each
// subtest calls new for a new sink.
func Run(t *testing.T, new func(*testing.T) Subject) {
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) {
			for _, err := range check(r.check, new(t)) {
				t.Error(err)
			}
		})
	}
}

var rules = []struct {
	name  string
	check func(*checker, *subject)
}{
	{"StoresInOrder", (*checker).stores},
	{"Batches", (*checker).batches},
	{"KeepsNoMemory", (*checker).keepsNothing},
	{"HostileText", (*checker).hostile},
	{"ConcurrentCallers", (*checker).together},
	{"DoneContext", (*checker).done},
	{"Close", (*checker).closes},
}

// check runs a rule, closes the sink and returns the errors.
func check(rule func(*checker, *subject), new Subject) []error {
	c, s := &checker{}, &subject{Subject: new}
	rule(c, s)
	if _, err := s.close(); err != nil && !s.closed {
		c.errorf("Close: %w", err)
	}
	return c.errs
}

// A checker collects errors.
type checker struct {
	mu   sync.Mutex
	errs []error
}

// errorf may be called by several goroutines at the same time.
func (c *checker) errorf(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.errs = append(c.errs, fmt.Errorf("audittest: "+format, args...))
}

type subject struct {
	Subject
	closed bool // by a rule; the second Close may fail
}

// close closes the sink and reports whether it has a Close method.
func (s *subject) close() (can bool, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	switch k := s.Sink.(type) {
	case interface{ Close() error }:
		return true, k.Close()
	case interface{ Close(context.Context) error }:
		return true, k.Close(ctx)
	}
	return false, nil
}

// event returns an event in which every field is set.
func event(id string) *audit.Event {
	return &audit.Event{
		Time: time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC), ID: id, Action: "user.rename", Outcome: audit.Success,
		Actor:  audit.Actor{ID: "alice", Type: "user", Session: "s-1", OnBehalfOf: "bob"},
		Target: audit.Target{Type: "user", ID: "u-1"}, RequestID: "r-1", Source: "10.0.0.1", Reason: "asked for it", Code: "why",
		Changes: []audit.Change{{Field: "name", Old: "Al", New: "Alice"}, {Field: "pin", Old: "***", New: "***", Sensitive: true}},
		Attrs:   []slog.Attr{slog.String("ticket", "t-1"), slog.Int("tries", 2)},
	}
}

// line returns the JSON form of an event, in which events are compared. A sink
// may use another form with the same content and bounds.
func line(e *audit.Event) string { return string(e.AppendJSON(nil)) }

// write passes events to the sink with a deadline, as a Log does.
func (c *checker) write(s *subject, events ...*audit.Event) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return c.writeUnder(ctx, s, events)
}

// writeUnder waits twice as long as the context of a Log lasts. If the sink has
// not returned then, its goroutine is abandoned.
func (c *checker) writeUnder(ctx context.Context, s *subject, events []*audit.Event) error {
	answer := make(chan error, 1)
	go func() { answer <- s.Sink.WriteEvents(ctx, events) }()
	late := time.NewTimer(2 * patience)
	defer late.Stop()
	select {
	case err := <-answer:
		return err
	case <-late.C:
		c.errorf("WriteEvents has not returned %v after the end of its context", patience)
		return audit.ErrUncertain
	}
}

// mustWrite writes events that every sink must accept.
func (c *checker) mustWrite(s *subject, events ...*audit.Event) {
	if err := c.write(s, events...); err != nil {
		c.errorf("WriteEvents with %d events: %w", len(events), err)
	}
}

// want compares the stored events with lines.
func (c *checker) want(s *subject, op string, lines ...string) {
	events, err := s.Stored()
	if err != nil {
		c.errorf("%s: read the stored events: %w", op, err)
		return
	}
	for i := range max(len(events), len(lines)) {
		switch {
		case i >= len(events):
			c.errorf("%s: %d events stored, want %d: missing %.200s", op, len(events), len(lines), lines[i])
			return
		case i >= len(lines):
			c.errorf("%s: %d events stored, want %d: not expected %.200s", op, len(events), len(lines), line(&events[i]))
			return
		case line(&events[i]) != lines[i]:
			c.errorf("%s: event %d stored as %.2000s, want %.2000s", op, i, line(&events[i]), lines[i])
			return
		}
	}
}

// stores checks that accepted events are stored in order.
func (c *checker) stores(s *subject) {
	var lines []string
	for i := range 5 {
		e := event(fmt.Sprint("e-", i))
		c.mustWrite(s, e)
		lines = append(lines, line(e))
	}
	c.want(s, "five calls", lines...)
}

// batches checks calls with no events and with many events.
func (c *checker) batches(s *subject) {
	c.mustWrite(s) // no events: no error
	c.want(s, "a call without events")
	batch := make([]*audit.Event, 300)
	lines := make([]string, len(batch))
	for i := range batch {
		batch[i] = event(fmt.Sprint("e-", i))
		lines[i] = line(batch[i])
	}
	c.mustWrite(s, batch...)
	c.want(s, "one call with 300 events", lines...)
}

// keepsNothing checks that the sink neither changes events nor keeps their
// memory.
func (c *checker) keepsNothing(s *subject) {
	a, b := event("a"), event("b")
	shared := map[string]string{"k": "before"}
	group := []slog.Attr{slog.String("k", "before")}
	a.Attrs = append(a.Attrs, slog.Any("map", shared), slog.Attr{Key: "group", Value: slog.GroupValue(group...)})
	before := line(a) + line(b)
	batch := []*audit.Event{a, b}
	c.mustWrite(s, batch...)
	if line(a)+line(b) != before || batch[0] != a || batch[1] != b {
		c.errorf("WriteEvents has changed the caller's events")
	}
	lines := []string{line(a), line(b)}
	for _, e := range batch { // a log reuses its memory
		for i := range e.Changes {
			e.Changes[i] = audit.Change{Field: "overwritten"}
		}
		for i := range e.Attrs {
			e.Attrs[i] = slog.String("overwritten", "yes")
		}
		*e = audit.Event{ID: "overwritten"}
	}
	shared["k"], group[0] = "overwritten", slog.String("k", "overwritten")
	batch[0], batch[1] = nil, nil
	c.want(s, "events used again after the call", lines...)
}

// hostile checks that no text can leave its event.
func (c *checker) hostile(s *subject) {
	var lines []string
	for _, text := range []string{
		"one\ntwo\r\nthree\x00four", `","outcome":"success"}{"id":"forged"`, "\x1b[2J\u202e\u2028", "a|b\\c=d", "", "ключ", "'; DROP TABLE events; --",
	} {
		e := event("h-" + fmt.Sprint(len(lines)))
		e.Actor.ID, e.Target.ID, e.Reason, e.Source = text+"!", text, text, text
		e.Changes[0].New, e.Attrs[0] = text, slog.String("ticket", text)
		c.mustWrite(s, e)
		lines = append(lines, line(e))
	}
	huge := event("h-huge")
	huge.Reason = strings.Repeat("x", 1<<20)
	if c.write(s, huge) == nil { // a sink may refuse a large event
		events, err := s.Stored()
		if n := len(events); err != nil || n != len(lines)+1 || events[n-1].ID != huge.ID {
			c.errorf("an event of 1 MiB is accepted and not stored: %d events, %v", n, err)
			return
		}
		lines = append(lines, line(&events[len(events)-1]))
	}
	after := event("h-after")
	c.mustWrite(s, after)
	c.want(s, "hostile texts", append(lines, line(after))...)
}

// together checks concurrent callers.
func (c *checker) together(s *subject) {
	const callers, each = 8, 25
	var wg sync.WaitGroup
	for w := range callers {
		wg.Go(func() {
			for i := range each {
				c.mustWrite(s, event(fmt.Sprintf("%d-%02d", w, i)))
			}
		})
	}
	wg.Wait()
	events, err := s.Stored()
	if err != nil {
		c.errorf("read the stored events: %w", err)
		return
	}
	last := map[string]string{}
	for i := range events { // the events of each caller are in order
		e := &events[i]
		caller, _, _ := strings.Cut(e.ID, "-")
		if e.ID <= last[caller] {
			c.errorf("%d callers: %q is stored after %q", callers, e.ID, last[caller])
			return
		}
		if line(e) != line(event(e.ID)) {
			c.errorf("%d callers: event %q is torn: %.2000s", callers, e.ID, line(e))
		}
		last[caller] = e.ID
	}
	if len(events) != callers*each {
		c.errorf("%d events stored of %d callers, want %d", len(events), callers, callers*each)
	}
}

// done checks a call whose context is done. The sink may store the event,
// refuse it or not know, and must report it.
func (c *checker) done(s *subject) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	e, after := event("late"), event("after")
	err := c.writeUnder(ctx, s, []*audit.Event{e})
	c.mustWrite(s, after) // later events are accepted
	refused := errors.Is(err, audit.ErrFailed) || errors.Is(err, audit.ErrFull) || errors.Is(err, audit.ErrClosed)
	switch { // ErrUncertain allows both
	case err == nil:
		c.want(s, "accepted with a cancelled context", line(e), line(after))
	case !errors.Is(err, audit.ErrUncertain) && (refused || !errors.Is(err, context.Canceled)):
		c.want(s, "refused with a cancelled context", line(after))
	}
}

// closes checks that a closed sink refuses events.
func (c *checker) closes(s *subject) {
	e := event("before")
	c.mustWrite(s, e)
	c.want(s, "before Close", line(e))
	can, err := s.close()
	if !can {
		return
	}
	if err != nil {
		c.errorf("Close: %w", err)
	}
	if c.write(s, event("after")) == nil { // it would never be written
		c.errorf("WriteEvents accepts events after Close")
	}
	s.closed = true
}
