package audittest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/redoubt-go/redoubt/audit"
)

// patience is how long one call may take. It is real time, and far more than any
// working sink needs.
const patience = 10 * time.Second

// TestSink calls open for sinks in which nothing is stored, and uses them as the
// contract of [audit.Sink] says. The second result of open returns what a reader
// would find in the sink now, in the order of the log; it waits until what the sink
// has accepted can be found. A sink that has a method Close() error or
// Close(context.Context) error is closed.
//
// The error joins everything that went wrong, and is nil if nothing did. A sink
// that panics is not an error: the panic passes on.
func TestSink(open func() (sink audit.Sink, stored func() ([]audit.Event, error), err error)) error {
	c := &checker{}
	for _, check := range []func(*checker, *subject){
		(*checker).stores, (*checker).batches, (*checker).keepsNothing, (*checker).hostile,
		(*checker).together, (*checker).done, (*checker).closes,
	} {
		sink, stored, err := open()
		if err != nil {
			c.errorf("open: %w", err)
			break
		}
		s := &subject{sink: sink, stored: stored}
		check(c, s) // each on a sink of its own, so that one failure does not cause the next
		if _, err := s.close(); err != nil && !s.closed {
			c.errorf("Close: %w", err)
		}
	}
	return errors.Join(c.errs...)
}

// checker collects what is wrong.
type checker struct {
	mu   sync.Mutex
	errs []error
}

// errorf may be called by several goroutines at once, as the sinks are.
func (c *checker) errorf(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.errs = append(c.errs, fmt.Errorf("audittest: "+format, args...))
}

// subject is one sink and the way to read it.
type subject struct {
	sink   audit.Sink
	stored func() ([]audit.Event, error)
	closed bool // by a check; the second Close may fail
}

// close closes the sink, and reports whether it can be closed.
func (s *subject) close() (can bool, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	switch k := s.sink.(type) {
	case interface{ Close() error }:
		return true, k.Close()
	case interface{ Close(context.Context) error }:
		return true, k.Close(ctx)
	}
	return false, nil
}

// event is an event with something in every place.
func event(id string) *audit.Event {
	return &audit.Event{
		Time: time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC), ID: id, Action: "user.rename", Outcome: audit.Success,
		Actor:  audit.Actor{ID: "alice", Type: "user", Session: "s-1", OnBehalfOf: "bob"},
		Target: audit.Target{Type: "user", ID: "u-1"}, RequestID: "r-1", Source: "10.0.0.1", Reason: "asked for it", Code: "why",
		Changes: []audit.Change{{Field: "name", Old: "Al", New: "Alice"}, {Field: "pin", Old: "***", New: "***", Sensitive: true}},
		Attrs:   []slog.Attr{slog.String("ticket", "t-1"), slog.Int("tries", 2)},
	}
}

// line is all of an event that a sink must store. Events are compared in this form, so
// that a sink may store them in whatever form it likes, within the same bounds.
func line(e *audit.Event) string { return string(e.AppendJSON(nil)) }

// write hands events to the sink as a Log does: with a deadline.
func (c *checker) write(s *subject, events ...*audit.Event) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return c.writeUnder(ctx, s, events)
}

// writeUnder gives a sink twice the time that its context has. One that has not come
// back by then is left behind, with its goroutine.
func (c *checker) writeUnder(ctx context.Context, s *subject, events []*audit.Event) error {
	answer := make(chan error, 1)
	go func() { answer <- s.sink.WriteEvents(ctx, events) }()
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

// mustWrite writes what every sink has to take.
func (c *checker) mustWrite(s *subject, events ...*audit.Event) {
	if err := c.write(s, events...); err != nil {
		c.errorf("WriteEvents with %d events: %w", len(events), err)
	}
}

// want compares what is stored with lines.
func (c *checker) want(s *subject, what string, lines ...string) {
	events, err := s.stored()
	if err != nil {
		c.errorf("%s: read the stored events: %w", what, err)
		return
	}
	for i := range max(len(events), len(lines)) { // the first difference tells the most
		switch {
		case i >= len(events):
			c.errorf("%s: %d events stored, want %d: missing %.200s", what, len(events), len(lines), lines[i])
			return
		case i >= len(lines):
			c.errorf("%s: %d events stored, want %d: not expected %.200s", what, len(events), len(lines), line(&events[i]))
			return
		case line(&events[i]) != lines[i]:
			c.errorf("%s: event %d stored as %.2000s, want %.2000s", what, i, line(&events[i]), lines[i])
			return
		}
	}
}

// stores: accepted is stored, one by one and in order.
func (c *checker) stores(s *subject) {
	var lines []string
	for i := range 5 {
		e := event(fmt.Sprint("e-", i))
		c.mustWrite(s, e)
		lines = append(lines, line(e))
	}
	c.want(s, "five calls", lines...)
}

// batches: one call, several events; and none.
func (c *checker) batches(s *subject) {
	c.mustWrite(s) // stores nothing, and is no reason to fail
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

// keepsNothing: the memory of an event belongs to the caller, during the call and
// after it.
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
	for _, e := range batch { // as a log does that uses its memory again
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

// hostile: texts that others have chosen stay inside their event.
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
	if c.write(s, huge) == nil { // a sink may have a bound, if it says so
		events, err := s.stored()
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

// together: several callers at once.
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
	events, err := s.stored()
	if err != nil {
		c.errorf("read the stored events: %w", err)
		return
	}
	last := map[string]string{}
	for i := range events { // callers may come in any order, the events of one may not
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

// done: the context is over when the call begins. The sink may store the event all
// the same, or not, or not know, but it says which.
func (c *checker) done(s *subject) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	e, after := event("late"), event("after")
	err := c.writeUnder(ctx, s, []*audit.Event{e})
	c.mustWrite(s, after) // what follows is taken as ever
	switch {              // an error that leaves it open promises nothing that could be checked
	case err == nil:
		c.want(s, "accepted with a cancelled context", line(e), line(after))
	case !errors.Is(err, audit.ErrUncertain) && !errors.Is(err, context.Canceled):
		c.want(s, "refused with a cancelled context", line(after))
	}
}

// closes: a closed sink says so.
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
	if c.write(s, event("after")) == nil { // nobody would ever write it
		c.errorf("WriteEvents accepts events after Close")
	}
	s.closed = true
}
