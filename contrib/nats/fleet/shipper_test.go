package fleet_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/redoubt-go/redoubt/contrib/nats/fleet"
	"github.com/redoubt-go/redoubt/contrib/nats/natstest"
)

func TestLinesAreStoredInTheirPartition(t *testing.T) {
	checkLeaks(t)
	_, js := single(t)
	f := newFolder(t)
	f.write("a.log", lines(0, 100)...)
	f.write("b.log", lines(100, 200)...)
	s := fleet.NewShipper(shipperConfig(js.Conn()))
	ship(t, s, f)
	checkEqual(t, storedLines(t, js), sorted(lines(0, 200)))
	last := map[string]string{}
	for _, m := range stored(t, js) {
		key, _, _ := strings.Cut(string(m.Data), " ")
		checkEqual(t, m.Subject, prefix+"."+string(rune('0'+fleet.Partition([]byte(key), parts))))
		path := m.Header.Get("Fleet-Path")
		if at := path + m.Subject; len(last[at]) > len(m.Data) || len(last[at]) == len(m.Data) && last[at] > string(m.Data) && key == strings.Fields(last[at])[0] {
			t.Errorf("%q is behind %q", m.Data, last[at])
		}
		last[path+m.Subject] = string(m.Data)
	}
	got := s.Stats()
	checkEqual(t, got.Stored, uint64(200))
	checkEqual(t, got.InFlight+got.InFlightBytes, int64(0))
}

// Two shippers of a log with keys of their own may share a stream.
func TestPrefixesShareAStream(t *testing.T) {
	server, js := single(t, func(c *jetstream.StreamConfig) { c.Subjects = append(c.Subjects, "users.*") })
	f := newFolder(t)
	f.write("a.log", lines(0, 10)...)
	config := shipperConfig(server.Client(t))
	ship(t, fleet.NewShipper(config), f)
	config.Prefix = "users"
	other := f.logs(true)
	other.Match, other.State = []string{f.path("*.log")}, f.path("state-2")
	s := fleet.NewShipper(config)
	if err := s.Ship(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	checkEqual(t, len(stored(t, js)), 20)
	checkEqual(t, s.Stats().Duplicates, uint64(0))
}

func TestRestartDoublesNothing(t *testing.T) {
	checkLeaks(t)
	_, js := single(t)
	f := newFolder(t)
	f.write("a.log", lines(0, 500)...)
	s := fleet.NewShipper(shipperConfig(js.Conn()))
	ship(t, s, f)
	ship(t, s, f) // from the saved place
	checkEqual(t, s.Stats().Stored, uint64(500))
	if err := os.Remove(f.path("state")); err != nil {
		t.Fatal(err)
	}
	f.write("a.log", lines(500, 600)...)
	ship(t, s, f) // from the start
	checkEqual(t, s.Stats().Duplicates, uint64(500))
	checkEqual(t, storedLines(t, js), sorted(lines(0, 600)))
}

// A file that was truncated has the same first line, and other lines after it.
func TestTruncatedFileWithTheSameStartLosesNothing(t *testing.T) {
	_, js := single(t)
	f := newFolder(t)
	s := fleet.NewShipper(shipperConfig(js.Conn()))
	f.write("a.log", "header", "line 1", "line 2")
	ship(t, s, f)
	if err := os.Truncate(f.path("a.log"), 0); err != nil {
		t.Fatal(err)
	}
	ship(t, s, f)
	f.write("a.log", "header", "line 3", "line 4")
	ship(t, s, f)
	checkEqual(t, storedLines(t, js), []string{"header", "line 1", "line 2", "line 3", "line 4"})
}

// The place in the log is not saved before the lines are stored.
func TestStateWaitsForTheStream(t *testing.T) {
	checkLeaks(t)
	server, js := single(t)
	proxy := natstest.NewProxy(t, server.Addr)
	conn := natstest.Connect(t, proxy.URL(), hasty...)
	var seen events
	c := shipperConfig(conn)
	c.AckWait, c.OnEvent = 300*time.Millisecond, seen.add
	s := fleet.NewShipper(c)
	f := newFolder(t)
	f.write("a.log", lines(0, 100)...)
	ship(t, s, f)

	proxy.SetHung(true)
	f.write("a.log", lines(100, 200)...)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	result := make(chan error, 1)
	go func() { result <- s.Ship(ctx, f.logs(false)) }()
	eventually(t, "the Shipper is blocked", func() bool { return seen.count(fleet.KindBlocked) > 0 })
	time.Sleep(2500 * time.Millisecond) // longer than the Dir and the Shipper take to save
	cancel()
	if err := <-result; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
	proxy.SetHung(false)
	proxy.SetCut(true)
	proxy.SetCut(false)
	ship(t, s, f)
	checkEqual(t, storedLines(t, js), sorted(lines(0, 200)))
	if got := s.Stats().Stored; got < 200 {
		t.Errorf("got %d lines stored, want at least 200", got)
	}
}

func TestPartitionOfTheNetwork(t *testing.T) {
	checkLeaks(t)
	server, js := single(t)
	proxy := natstest.NewProxy(t, server.Addr)
	conn := natstest.Connect(t, proxy.URL(), hasty...)
	var seen events
	c := shipperConfig(conn)
	c.AckWait, c.OnEvent = 500*time.Millisecond, seen.add
	s := fleet.NewShipper(c)
	f := newFolder(t)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	result := make(chan error, 1)
	go func() { result <- s.Ship(ctx, f.logs(false)) }()
	total := 0
	for round := range 6 {
		f.write("a.log", lines(total, total+200)...)
		total += 200
		if round%2 == 0 {
			proxy.SetCut(true)
		} else {
			proxy.SetHung(true)
		}
		f.write("a.log", lines(total, total+200)...)
		total += 200
		eventually(t, "the Shipper is blocked", func() bool { return seen.count(fleet.KindBlocked) > round })
		proxy.SetCut(false)
		proxy.SetHung(false)
		eventually(t, "the lines are stored", func() bool { return s.Stats().Stored == uint64(total) })
	}
	cancel()
	<-result
	checkEqual(t, storedLines(t, js), sorted(lines(0, total)))
	checkEqual(t, seen.count(fleet.KindResumed), seen.count(fleet.KindBlocked))
}

// A server that does not answer stops the reading of the logs.
func TestLinesInFlightAreBounded(t *testing.T) {
	checkLeaks(t)
	server, js := single(t)
	proxy := natstest.NewProxy(t, server.Addr)
	c := shipperConfig(natstest.Connect(t, proxy.URL(), nats.IgnoreDiscoveredServers()))
	c.MaxInFlight, c.AckWait = 1<<16, time.Second
	s := fleet.NewShipper(c)
	f := newFolder(t)
	line := strings.Repeat("x", 1000)
	var want []string
	for range 1000 {
		want = append(want, line)
	}
	proxy.SetHung(true)
	f.write("a.log", want...)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	result := make(chan error, 1)
	go func() { result <- s.Ship(ctx, f.logs(false)) }()
	eventually(t, "the bound is reached", func() bool { return s.Stats().InFlightBytes >= 1<<16 })
	for range 50 {
		if got := s.Stats().InFlightBytes; got > 1<<16+2100 {
			t.Fatalf("got %d bytes in flight, want at most 64 KiB and a line", got)
		}
		time.Sleep(10 * time.Millisecond)
	}
	proxy.SetHung(false)
	proxy.SetCut(true)
	proxy.SetCut(false)
	eventually(t, "the lines are stored", func() bool { return s.Stats().Stored == 1000 })
	cancel()
	<-result
	checkEqual(t, storedLines(t, js), want)
}

// A stream that accepts nothing stops the reading of the logs.
func TestBackPressureBoundsMemory(t *testing.T) {
	checkLeaks(t)
	_, js := single(t)
	if err := js.DeleteStream(context.Background(), stream); err != nil {
		t.Fatal(err)
	}
	c := shipperConfig(js.Conn())
	var seen events
	c.MaxInFlight, c.OnEvent = 1<<16, seen.add
	s := fleet.NewShipper(c)
	f := newFolder(t)
	line := strings.Repeat("x", 1000)
	var want []string
	for range 1000 {
		want = append(want, line)
	}
	f.write("a.log", want...)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	result := make(chan error, 1)
	go func() { result <- s.Ship(ctx, f.logs(false)) }()
	eventually(t, "the Shipper has tried again", func() bool { return s.Stats().Repeated > 0 })
	if got := s.Stats().InFlightBytes; got > 1<<16+2100 {
		t.Errorf("got %d bytes in flight, want at most 64 KiB and a line", got)
	}
	checkEqual(t, s.Stats().Stored, uint64(0))
	create(t, js, 1) // the stream is back
	eventually(t, "the lines are stored", func() bool { return s.Stats().Stored == 1000 })
	cancel()
	<-result
	checkEqual(t, storedLines(t, js), want)
	checkEqual(t, seen.count(fleet.KindBlocked), 1)
	checkEqual(t, seen.count(fleet.KindResumed), 1)
}

func TestLongLinesAreCut(t *testing.T) {
	long := strings.Repeat("y", 100_000)
	tests := []struct {
		name   string
		server natstest.Config
		change func(*jetstream.StreamConfig)
		least  int
	}{
		{"payload of the server", natstest.Config{Lines: "max_payload: 65536"}, func(*jetstream.StreamConfig) {}, 60_000},
		{"message of the stream", natstest.Config{}, func(c *jetstream.StreamConfig) { c.MaxMsgSize = 65536 }, 32_768},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			server := natstest.Start(t, tt.server)
			js := natstest.JetStream(t, server.Client(t))
			create(t, js, 1, tt.change)
			var seen events
			c := shipperConfig(js.Conn())
			c.OnEvent = seen.add
			s := fleet.NewShipper(c)
			f := newFolder(t)
			f.write("a.log", "before", long, "after")
			ship(t, s, f)
			all := stored(t, js)
			checkEqual(t, len(all), 3)
			cut := 0
			for _, m := range all {
				if m.Data[0] == 'y' {
					cut = len(long) - len(m.Data)
					if len(m.Data) < tt.least {
						t.Errorf("got %d bytes, want at least %d", len(m.Data), tt.least)
					}
				}
			}
			got := s.Stats()
			checkEqual(t, got.Cut, uint64(1))
			checkEqual(t, got.CutBytes, uint64(cut))
			checkEqual(t, got.Stored, uint64(3))
			checkEqual(t, seen.all[len(seen.all)-1].Cut, int64(cut))
		})
	}
}

// If a stream has no room for the headers, the lines are dropped and reported.
func TestLinesWithoutRoomAreDropped(t *testing.T) {
	_, js := single(t, func(c *jetstream.StreamConfig) { c.MaxMsgSize = 10 })
	var seen events
	c := shipperConfig(js.Conn())
	c.OnEvent = seen.add
	s := fleet.NewShipper(c)
	f := newFolder(t)
	f.write("a.log", "line 1", "", "line 3")
	ship(t, s, f)
	checkEqual(t, s.Stats().Dropped, uint64(3))
	checkEqual(t, seen.count(fleet.KindDropped), 3)
}

func TestClosedConnectionEndsShip(t *testing.T) {
	checkLeaks(t)
	server, _ := single(t)
	conn := server.Client(t)
	f := newFolder(t)
	result := make(chan error, 1)
	s := fleet.NewShipper(shipperConfig(conn))
	f.write("a.log", "line")
	go func() { result <- s.Ship(context.Background(), f.logs(false)) }()
	eventually(t, "the line is stored", func() bool { return s.Stats().Stored == 1 })
	conn.Close()
	if err := <-result; !errors.Is(err, nats.ErrConnectionClosed) {
		t.Errorf("got %v, want %v", err, nats.ErrConnectionClosed)
	}
}

func TestShipRefusesAnInvalidDir(t *testing.T) {
	_, js := single(t)
	s := fleet.NewShipper(shipperConfig(js.Conn()))
	f := newFolder(t)
	logs := f.logs(true)
	logs.State = ""
	if err := s.Ship(context.Background(), logs); err == nil || err.Error() != "fleet: State is missing" {
		t.Errorf("got %v, want a missing State", err)
	}
	logs = f.logs(true)
	logs.Match = nil
	if err := s.Ship(context.Background(), logs); err == nil {
		t.Error("got nil, want the error of the Dir")
	}
	if err := os.WriteFile(f.path("state"), []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Ship(context.Background(), f.logs(true)); err == nil {
		t.Error("got nil, want the error of the State")
	}
	text, err := os.ReadFile(f.path("state"))
	checkEqual(t, string(text), "text")
	checkEqual(t, err, nil)
}
