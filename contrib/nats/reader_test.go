package redoubtnats_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/redoubt-go/redoubt/audit"
	"github.com/redoubt-go/redoubt/audit/ledger"
	redoubtnats "github.com/redoubt-go/redoubt/contrib/nats"
	"github.com/redoubt-go/redoubt/contrib/nats/natstest"
	"github.com/redoubt-go/redoubt/retry"
)

// A memorySink contains its events and can fail.
type memorySink struct {
	mu     sync.Mutex
	events []string
	before func(n int) error // called with the number of stored events
	after  func(n int) error
	fail   atomic.Bool
}

func (m *memorySink) WriteEvents(_ context.Context, events []*audit.Event) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.before != nil {
		if err := m.before(len(m.events)); err != nil {
			return err
		}
	}
	for _, e := range events {
		m.events = append(m.events, e.ID)
	}
	if m.after != nil {
		return m.after(len(m.events))
	}
	return nil
}

func (m *memorySink) ids() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.events)
}

func (m *memorySink) recent(_ context.Context, n int) ([]string, error) {
	ids := m.ids()
	return ids[max(0, len(ids)-n):], nil
}

func readerConfig(js jetstream.JetStream, sink *memorySink) redoubtnats.ReaderConfig {
	return redoubtnats.ReaderConfig{
		JetStream: js, Stream: "AUDIT", Durable: "reader", Sink: sink, Recent: sink.recent,
		Policy: retry.Policy{MaxAttempts: 20, Backoff: retry.Constant(time.Millisecond)},
	}
}

// runUntil runs a reader until a condition holds.
func runUntil(t *testing.T, r *redoubtnats.Reader, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	result := make(chan error, 1)
	go func() { result <- r.Run(ctx) }()
	eventually(t, what, func() bool {
		select {
		case err := <-result:
			t.Fatal(err)
		default:
		}
		return ok()
	})
	cancel()
	checkIs(t, <-result, context.Canceled)
}

func TestReaderWritesInOrder(t *testing.T) {
	noLeak(t)
	_, _, js := single(t)
	stream(t, js)
	want := numbered("e", 1000)
	must(t, openSink(t, sinkConfig(js)).WriteEvents(patient(t), events(want...)))
	sink := &memorySink{}
	r := redoubtnats.NewReader(readerConfig(js, sink))
	runUntil(t, r, "all events", func() bool { return r.Stats().Written == 1000 })
	checkEqual(t, sink.ids(), want)
	checkEqual(t, r.Stats(), redoubtnats.ReaderStats{Written: 1000})
}

// The reader is stopped at any place, between the write and the
// acknowledgement too, and its sink fails before and after it has stored.
func TestReaderWritesOnceAfterFailures(t *testing.T) {
	_, _, js := single(t)
	stream(t, js)
	want := numbered("e", 500)
	must(t, openSink(t, sinkConfig(js)).WriteEvents(patient(t), events(want...)))
	sink, calls := &memorySink{}, 0
	ctx, cancel := context.WithCancel(context.Background())
	sink.before = func(int) error {
		if calls++; calls%3 == 0 {
			return errors.New("the disk is full")
		}
		return nil
	}
	sink.after = func(n int) error {
		if n == 500 {
			cancel()
		}
		switch calls % 5 {
		case 1:
			return fmt.Errorf("%w: no answer", audit.ErrUncertain)
		case 2:
			cancel() // before the acknowledgement
		}
		return nil
	}
	config := readerConfig(js, sink)
	config.Batch = 10
	for runs := 0; len(sink.ids()) < 500; runs++ {
		if runs > 1000 {
			t.Fatalf("%d events", len(sink.ids()))
		}
		err := redoubtnats.NewReader(config).Run(ctx) // a new process
		checkIs(t, err, context.Canceled)
		ctx, cancel = context.WithTimeout(context.Background(), patience)
	}
	cancel()
	checkEqual(t, sorted(sink.ids()), sorted(want))
}

func sorted(ids []string) []string {
	slices.Sort(ids)
	return ids
}

// Without Recent, the same failures write events twice: the test above can
// fail.
func TestWithoutRecentEventsAreRepeated(t *testing.T) {
	_, _, js := single(t)
	stream(t, js)
	must(t, openSink(t, sinkConfig(js)).WriteEvents(patient(t), events("a")))
	sink := &memorySink{after: func(n int) error {
		if n == 1 {
			return audit.ErrUncertain
		}
		return nil
	}}
	config := readerConfig(js, sink)
	config.Recent = nil
	r := redoubtnats.NewReader(config)
	runUntil(t, r, "the event", func() bool { return r.Stats().Written == 1 })
	checkEqual(t, sink.ids(), []string{"a", "a"})
}

// A batch that the sink has stored is acknowledged, even if Run is to end.
func TestStoppedReaderAcknowledges(t *testing.T) {
	_, _, js := single(t)
	stream(t, js)
	must(t, openSink(t, sinkConfig(js)).WriteEvents(patient(t), events("a")))
	ctx, cancel := context.WithCancel(context.Background())
	sink := &memorySink{after: func(int) error { cancel(); return nil }}
	config := readerConfig(js, sink)
	config.Recent = nil
	checkIs(t, redoubtnats.NewReader(config).Run(ctx), context.Canceled)
	checkEqual(t, sink.ids(), []string{"a"})
	c, err := js.Consumer(patient(t), "AUDIT", "reader")
	must(t, err)
	info, err := c.Info(patient(t))
	must(t, err)
	checkEqual(t, info.AckFloor.Stream, uint64(1))
	checkEqual(t, info.NumAckPending, 0)
}

func TestReaderReturnsTheErrorOfItsSink(t *testing.T) {
	_, _, js := single(t)
	stream(t, js)
	must(t, openSink(t, sinkConfig(js)).WriteEvents(patient(t), events("a", "b")))
	broken := errors.New("disk on fire")
	sink := &memorySink{before: func(int) error { return broken }}
	config := readerConfig(js, sink)
	config.Name, config.Policy = "copy", retry.Policy{MaxAttempts: 2, Backoff: retry.Constant(0)}
	err := redoubtnats.NewReader(config).Run(patient(t))
	checkIs(t, err, broken, retry.ErrExhausted)
	checkText(t, err, "nats: reader copy: ")
	sink.before = nil
	r := redoubtnats.NewReader(config)
	runUntil(t, r, "both events", func() bool { return r.Stats().Written == 2 })
}

func TestReaderReportsWhatItCannotRead(t *testing.T) {
	_, _, js := single(t)
	stream(t, js)
	sink := openSink(t, sinkConfig(js))
	must(t, sink.WriteEvents(patient(t), events("a")))
	copied := &memorySink{}
	config := readerConfig(js, copied)
	var mu sync.Mutex
	var reported []redoubtnats.ReaderEvent
	full := errors.New("full")
	copied.before = func(n int) error {
		if n == 1 && copied.fail.CompareAndSwap(false, true) {
			return full
		}
		return nil
	}
	config.Name = "copy"
	config.OnEvent = func(_ context.Context, e redoubtnats.ReaderEvent) {
		mu.Lock()
		defer mu.Unlock()
		reported = append(reported, e)
	}
	r := redoubtnats.NewReader(config)
	runUntil(t, r, "the first event", func() bool { return r.Stats().Written == 1 })
	_, err := js.Publish(patient(t), "audit.billing", []byte("{"))
	must(t, err)
	must(t, sink.WriteEvents(patient(t), events("b")))
	runUntil(t, r, "the last event", func() bool { return r.Stats().Written == 2 })
	checkEqual(t, copied.ids(), []string{"a", "b"})
	mu.Lock()
	defer mu.Unlock()
	checkEqual(t, reported, []redoubtnats.ReaderEvent{
		{Kind: redoubtnats.ReaderKindMalformed, Name: "copy", Sequence: 2},
		{Kind: redoubtnats.ReaderKindFailed, Name: "copy", Sequence: reported[1].Sequence, Err: full},
	})
	checkEqual(t, fmt.Sprint(reported[0].LogValue()), "[kind=malformed name=copy sequence=2 err=<nil>]")
	checkEqual(t, fmt.Sprint(reported[1].Kind, redoubtnats.ReaderKind(9)), "failed ReaderKind(9)")
	checkEqual(t, r.Stats(), redoubtnats.ReaderStats{Name: "copy", Written: 2, Malformed: 1, Errors: 1})
}

func TestReaderOfADeletedStream(t *testing.T) {
	_, _, js := single(t)
	stream(t, js)
	r := redoubtnats.NewReader(readerConfig(js, &memorySink{}))
	result := make(chan error, 1)
	go func() { result <- r.Run(patient(t)) }()
	eventually(t, "the consumer", func() bool {
		_, err := js.Consumer(patient(t), "AUDIT", "reader")
		return err == nil
	})
	checkIs(t, r.Run(patient(t)), redoubtnats.ErrRunning)
	time.Sleep(50 * time.Millisecond) // the reader waits for messages
	must(t, js.DeleteStream(patient(t), "AUDIT"))
	err := <-result
	if !errors.Is(err, jetstream.ErrConsumerDeleted) && !errors.Is(err, jetstream.ErrConsumerNotFound) && !errors.Is(err, jetstream.ErrStreamNotFound) {
		t.Errorf("error %v, want that the consumer is deleted", err)
	}
	checkIs(t, r.Run(patient(t)), jetstream.ErrStreamNotFound)
}

// A reader that was not connected when its stream was deleted learns it later.
func TestReaderOfAStreamDeletedMeanwhile(t *testing.T) {
	s, _, js := single(t)
	stream(t, js)
	p := natstest.NewProxy(t, s.Addr)
	nc := natstest.Connect(t, p.URL(), nats.IgnoreDiscoveredServers())
	r := redoubtnats.NewReader(readerConfig(natstest.JetStream(t, nc), &memorySink{}))
	result := make(chan error, 1)
	go func() { result <- r.Run(context.Background()) }()
	eventually(t, "the consumer", func() bool {
		_, err := js.Consumer(patient(t), "AUDIT", "reader")
		return err == nil
	})
	p.SetCut(true)
	eventually(t, "the connection is lost", func() bool { return !nc.IsConnected() })
	must(t, js.DeleteStream(patient(t), "AUDIT"))
	p.SetCut(false)
	err := <-result
	if !errors.Is(err, jetstream.ErrConsumerNotFound) && !errors.Is(err, jetstream.ErrStreamNotFound) {
		t.Errorf("error %v, want that the consumer is not found", err)
	}
}

func TestReaderSelectsSubjects(t *testing.T) {
	_, _, js := single(t)
	stream(t, js)
	config := sinkConfig(js)
	must(t, openSink(t, config).WriteEvents(patient(t), events("a")))
	config.Subject = "audit.shop"
	must(t, openSink(t, config).WriteEvents(patient(t), events("b")))
	for _, tt := range []struct{ subjects, want []string }{
		{[]string{"audit.shop"}, []string{"b"}},
		{[]string{"audit.shop", "audit.billing"}, []string{"a", "b"}},
	} {
		sink := &memorySink{}
		c := readerConfig(js, sink)
		c.Durable, c.Subjects = fmt.Sprint("reader", len(tt.want)), tt.subjects
		r := redoubtnats.NewReader(c)
		runUntil(t, r, "the events", func() bool { return r.Stats().Written == uint64(len(tt.want)) })
		checkEqual(t, sink.ids(), tt.want)
	}
}

// A server that is killed and comes back delivers the rest.
func TestReaderSurvivesItsServer(t *testing.T) {
	noLeak(t)
	s, _, js := single(t)
	stream(t, js)
	sink := openSink(t, sinkConfig(js))
	copied := &memorySink{}
	r := redoubtnats.NewReader(readerConfig(js, copied))
	ctx, cancel := context.WithCancel(context.Background())
	result := make(chan error, 1)
	go func() { result <- r.Run(ctx) }()
	var want []string
	for i := range 4 {
		eventually(t, "events arrive", func() bool { return i == 0 || len(copied.ids()) > 0 })
		more := numbered(fmt.Sprint("e", i, "-"), 50)
		must(t, sink.WriteEvents(patient(t), events(more...)))
		want = append(want, more...)
		if i > 0 {
			s.Restart()
		}
	}
	eventually(t, "all events", func() bool { return len(copied.ids()) >= len(want) })
	cancel()
	checkIs(t, <-result, context.Canceled)
	checkEqual(t, sorted(copied.ids()), sorted(want))
}

func TestReaderFeedsALedger(t *testing.T) {
	_, _, js := single(t)
	stream(t, js)
	sink := openSink(t, sinkConfig(js))
	dir := t.TempDir()
	for i := range 3 { // restarts
		must(t, sink.WriteEvents(patient(t), events(numbered(fmt.Sprint("e", i, "-"), 20)...)))
		led, err := ledger.Open(patient(t), dir, ledger.Config{})
		must(t, err)
		must(t, led.WriteEvents(patient(t), events(numbered(fmt.Sprint("local", i, "-"), 7)...)))
		config := redoubtnats.ReaderConfig{
			JetStream: js, Stream: "AUDIT", Durable: "ledger", Sink: led, Recent: redoubtnats.LedgerRecent(led, dir), Batch: 8,
		}
		if i == 1 { // the ledger is restored after the place of the consumer was lost
			s, err := js.Stream(patient(t), "AUDIT")
			must(t, err)
			must(t, s.DeleteConsumer(patient(t), "ledger"))
		}
		r := redoubtnats.NewReader(config)
		runUntil(t, r, "the new events", func() bool { return r.Stats().Written == 20 })
		must(t, led.Close())
	}
	seen := map[string]int{}
	for record, err := range ledger.Events(os.DirFS(dir), 0) {
		must(t, err)
		seen[record.Event.ID]++
	}
	checkEqual(t, len(seen), 3*27)
	for id, n := range seen {
		checkEqual(t, fmt.Sprint(id, n), fmt.Sprint(id, 1))
	}
}

func TestLedgerRecentReturnsTheLast(t *testing.T) {
	dir := t.TempDir()
	led, err := ledger.Open(patient(t), dir, ledger.Config{})
	must(t, err)
	defer led.Close()
	must(t, led.WriteEvents(patient(t), events(numbered("e", 10)...)))
	recent := redoubtnats.LedgerRecent(led, dir)
	list, err := recent(patient(t), 3)
	must(t, err)
	checkEqual(t, list, []string{"e7", "e8", "e9"})
	list, err = recent(patient(t), 100)
	must(t, err)
	checkEqual(t, list, numbered("e", 10))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err = recent(ctx, 3)
	checkIs(t, err, context.Canceled)
}

func TestReaderConfigReportsEveryProblem(t *testing.T) {
	err := redoubtnats.ReaderConfig{Batch: 10, Remember: 39, Policy: retry.Policy{Backoff: retry.Exponential{Factor: -1}}}.Validate()
	checkText(t, err, "nats: reader: JetStream is missing", "Stream is missing", "Durable is missing", "Sink is missing",
		"Remember is 39, want at least 40", "Policy: retry: ")
	checkText(t, redoubtnats.ReaderConfig{Batch: -1}.Validate(), "Batch is -1, want at least 1")
	defer func() { checkText(t, recover().(error), "JetStream is missing") }()
	redoubtnats.NewReader(redoubtnats.ReaderConfig{})
}
