package redoubtnats_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/redoubt-go/redoubt/audit"
	redoubtnats "github.com/redoubt-go/redoubt/contrib/nats"
	"github.com/redoubt-go/redoubt/contrib/nats/natstest"
)

// patience bounds a wait on a loaded machine.
const patience = 90 * time.Second

func checkEqual[T any](t testing.TB, got, want T) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func checkIs(t testing.TB, err error, targets ...error) {
	t.Helper()
	for _, target := range targets {
		if !errors.Is(err, target) {
			t.Errorf("error %v, want %v", err, target)
		}
	}
}

func checkText(t testing.TB, err error, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("error %v, want %q in it", err, part)
		}
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eventually waits for a condition.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

// patient returns a context that ends long after the test should have.
func patient(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	t.Cleanup(cancel)
	return ctx
}

// noLeak checks at the end of the test that all goroutines have ended. It must
// be the first call of a test.
func noLeak(t testing.TB) {
	before := runtime.NumGoroutine()
	t.Cleanup(func() {
		eventually(t, "the goroutines have ended", func() bool { return runtime.NumGoroutine() <= before })
	})
}

// single starts a server, and returns a connection to it.
func single(t testing.TB) (*natstest.Server, *nats.Conn, jetstream.JetStream) {
	t.Helper()
	s := natstest.Start(t, natstest.Config{})
	nc := s.Client(t)
	return s, nc, natstest.JetStream(t, nc)
}

// stream creates the stream AUDIT with a single copy.
func stream(t testing.TB, js jetstream.JetStream, change ...func(*jetstream.StreamConfig)) {
	t.Helper()
	c := redoubtnats.AuditStream("AUDIT", "audit.>")
	c.Replicas = 1
	for _, f := range change {
		f(&c)
	}
	_, err := js.CreateStream(patient(t), c)
	must(t, err)
}

// sinkConfig is for the stream AUDIT.
func sinkConfig(js jetstream.JetStream) redoubtnats.SinkConfig {
	return redoubtnats.SinkConfig{JetStream: js, Stream: "AUDIT", Subject: "audit.billing", Replicas: 1, Timeout: 30 * time.Second}
}

func openSink(t testing.TB, c redoubtnats.SinkConfig) *redoubtnats.Sink {
	t.Helper()
	s, err := redoubtnats.OpenSink(patient(t), c)
	must(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// stored returns the events of a stream. A cluster that has just lost a server
// answers only after a while, or never.
func stored(ctx context.Context, js jetstream.JetStream, name string) (events []audit.Event, err error) {
	for wait := 3 * time.Second; ; wait *= 2 {
		try, cancel := context.WithTimeout(ctx, wait)
		events, err = read(try, js, name)
		cancel()
		if err == nil || ctx.Err() != nil {
			return events, err
		}
	}
}

func read(ctx context.Context, js jetstream.JetStream, name string) (events []audit.Event, err error) {
	s, err := js.Stream(ctx, name)
	if err != nil {
		return nil, err
	}
	state := s.CachedInfo().State
	c, err := s.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{})
	if err != nil {
		return nil, err
	}
	it, err := c.Messages()
	if err != nil {
		return nil, err
	}
	defer it.Stop()
	for uint64(len(events)) < state.Msgs {
		msg, err := it.Next(jetstream.NextContext(ctx))
		if err != nil {
			return nil, err
		}
		var e audit.Event
		if err := e.UnmarshalJSON(msg.Data()); err != nil {
			return nil, err
		}
		events = append(events, e)
	}
	return events, nil
}

func event(id string) *audit.Event {
	return &audit.Event{
		ID: id, Time: time.Unix(1_800_000_000, 0).UTC(), Action: "order.refund", Outcome: audit.Success,
		Actor: audit.Actor{ID: "alice"}, Target: audit.Target{Type: "order", ID: "o-17"},
	}
}

func events(ids ...string) (list []*audit.Event) {
	for _, id := range ids {
		list = append(list, event(id))
	}
	return list
}

func ids(list []audit.Event) []string {
	got := []string{}
	for _, e := range list {
		got = append(got, e.ID)
	}
	return got
}

func numbered(prefix string, n int) (list []string) {
	for i := range n {
		list = append(list, fmt.Sprint(prefix, i))
	}
	return list
}
