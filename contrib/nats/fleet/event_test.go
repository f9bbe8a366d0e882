package fleet_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/redoubt-go/redoubt/contrib/nats/fleet"
	"github.com/redoubt-go/redoubt/logscan"
)

func TestKinds(t *testing.T) {
	want := []string{"blocked", "resumed", "cut", "dropped", "input", "acquired", "released", "lost", "failed", "gap", "foreign", "Kind(11)"}
	for i, text := range want {
		checkEqual(t, fleet.Kind(i).String(), text)
	}
}

func TestEventIsLogged(t *testing.T) {
	var b strings.Builder
	log := slog.New(slog.NewTextHandler(&b, nil))
	log.Info("fleet", "event", fleet.Event{
		Kind: fleet.KindFailed, Name: strings.Repeat("n", 100), Partition: 2, ID: "id", Cut: 3, Err: errors.New("reason"), Dropped: 4,
	})
	log.Info("fleet", "event", fleet.Event{Partition: -1})
	_, text, _ := strings.Cut(b.String(), "event.kind")
	want := `=failed event.name=` + strings.Repeat("n", 64) + `… event.partition=2 event.id=id event.cut=3 event.error="\"reason\"" event.dropped=4`
	first, second, _ := strings.Cut(text, "\n")
	checkEqual(t, first, want)
	_, second, _ = strings.Cut(second, "event.kind")
	checkEqual(t, strings.TrimSpace(second), "=blocked event.name=\"\"")
}

// The algorithm is fixed: other programs compute it, and stored lines depend on
// it.
func TestPartitionsAreFixed(t *testing.T) {
	tests := []struct {
		key  string
		n    int
		want int
	}{
		{"", 1, 0}, {"", 16, 4}, {"203.0.113.9", 16, 1}, {"203.0.113.10", 16, 7}, {"203.0.113.9", 4096, 3009}, {"key", 0, 0}, {"key", -1, 0},
	}
	for _, tt := range tests {
		if got := fleet.Partition([]byte(tt.key), tt.n); got != tt.want {
			t.Errorf("%q of %d: got %d, want %d", tt.key, tt.n, got, tt.want)
		}
	}
}

func TestShipperConfigIsValidated(t *testing.T) {
	good := fleet.ShipperConfig{Conn: new(nats.Conn), Prefix: "logs.eu", Partitions: 16, Host: "web-1.example:80"}
	tests := []struct {
		name   string
		change func(*fleet.ShipperConfig)
		want   string
	}{
		{"good", func(*fleet.ShipperConfig) {}, ""},
		{"no connection", func(c *fleet.ShipperConfig) { c.Conn = nil }, "fleet: Conn is missing"},
		{"wildcard", func(c *fleet.ShipperConfig) { c.Prefix = "logs.*" }, `fleet: Prefix is "logs.*", want a subject without wildcards`},
		{"empty token", func(c *fleet.ShipperConfig) { c.Prefix = "logs." }, `fleet: Prefix is "logs.", want a subject without wildcards`},
		{"partitions", func(c *fleet.ShipperConfig) { c.Partitions = 4097 }, "fleet: Partitions is 4097, want 1 to 4096"},
		{"slash", func(c *fleet.ShipperConfig) { c.Host = "a/b" }, `fleet: Host is "a/b", want 1 to 128 letters, digits, - _ . or :`},
		{
			"negative", func(c *fleet.ShipperConfig) { c.MaxInFlight, c.AckWait = -1, -1 },
			"fleet: MaxInFlight is -1, want at least 0 (4 MiB)\nfleet: AckWait is -1ns, want at least 0 (5s)",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := good
			tt.change(&c)
			checkEqual(t, text(c.Validate()), tt.want)
			checkEqual(t, recovered(func() { fleet.NewShipper(c) }), tt.want)
		})
	}
}

func TestConsumerConfigIsValidated(t *testing.T) {
	var g group
	tests := []struct {
		name   string
		change func(*fleet.ConsumerConfig[*journal])
		want   string
	}{
		{"group", func(c *fleet.ConsumerConfig[*journal]) { c.Group = "a.b" }, `fleet: Group is "a.b", want letters, digits, - and _`},
		{
			"times", func(c *fleet.ConsumerConfig[*journal]) { c.Lease, c.Snapshot = 1, -1 },
			"fleet: Lease is 1ns, want at least 100ms\nfleet: Snapshot is -1ns, want at least 0 (10s)",
		},
		{"names", func(c *fleet.ConsumerConfig[*journal]) { c.Stream, c.Bucket = "", "" }, "fleet: Stream is missing\nfleet: Bucket is missing"},
		{"functions", func(c *fleet.ConsumerConfig[*journal]) { c.New, c.Handle = nil, nil }, "fleet: New is missing\nfleet: Handle is missing"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := consumerConfig(nil, &g)
			tt.change(&c)
			want := "fleet: JetStream is missing\n" + tt.want
			checkEqual(t, text(c.Validate()), want)
			checkEqual(t, recovered(func() { fleet.NewConsumer(c) }), want)
		})
	}
}

// text returns the text of an error, or "".
func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// recovered returns the text of the error with which f panics, or "".
func recovered(f func()) (got string) {
	defer func() {
		if err, ok := recover().(error); ok {
			got = err.Error()
		}
	}()
	f()
	return ""
}

// A panic of Key reaches the caller of Ship, and leaves no goroutine behind.
func TestPanicOfKeyIsPassedOn(t *testing.T) {
	checkLeaks(t)
	_, js := single(t)
	c := shipperConfig(js.Conn())
	c.Key = func(r *logscan.Record) []byte {
		if string(r.Line) == "line 2" {
			panic(errors.New("key"))
		}
		return nil
	}
	f := newFolder(t)
	f.write("a.log", "line 1", "line 2")
	s := fleet.NewShipper(c)
	checkEqual(t, recovered(func() { _ = s.Ship(context.Background(), f.logs(true)) }), "key")
	checkEqual(t, s.Stats().InFlight, int64(0))
	c.Key = nil
	ship(t, fleet.NewShipper(c), f)
	checkEqual(t, storedLines(t, js), []string{"line 1", "line 2"})
}
