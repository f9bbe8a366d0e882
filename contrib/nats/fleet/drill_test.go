package fleet_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/redoubt-go/redoubt/contrib/nats/fleet"
	"github.com/redoubt-go/redoubt/contrib/nats/natstest"
	"github.com/redoubt-go/redoubt/logscan/detect"
)

var drillLines = flag.Int("lines", 20_000, "lines of the drill")

// TestDrill prints figures. Its command for a long run:
//
//	go test ./fleet -run Drill -v -args -lines 500000
func TestDrill(t *testing.T) {
	checkLeaks(t)
	var text bytes.Buffer
	for i := range *drillLines {
		fmt.Fprintf(&text, "key-%d line %d Failed password for root from 203.0.113.9 port 55555 ssh2 of host %d\n", i%100_000, i, i%1000)
	}
	f := newFolder(t)
	if err := os.WriteFile(f.path("a.log"), text.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	cluster := natstest.StartCluster(t, 3, natstest.Config{})
	js := natstest.JetStream(t, natstest.Connect(t, cluster.URLs()))
	rate := func(what string, start time.Time, lines int) {
		t.Logf("%-50s %8.0f lines/s", what, float64(lines)/time.Since(start).Seconds())
	}
	for _, replicas := range []int{1, 3} {
		if err := js.DeleteStream(t.Context(), stream); err != nil && replicas > 1 {
			t.Fatal(err)
		}
		create(t, js, replicas)
		os.Remove(f.path("state"))
		start := time.Now()
		s := fleet.NewShipper(shipperConfig(js.Conn()))
		ship(t, s, f)
		rate(fmt.Sprintf("shipped, %d replicas", replicas), start, *drillLines)
		checkEqual(t, s.Stats().Stored, uint64(*drillLines))
	}
	limit := detect.Config{Limit: 1000, Per: time.Minute}
	noon := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, n := range []int{1, 2, 4} {
		config := fleet.ConsumerConfig[*detect.Window[string]]{
			JetStream: js, Stream: stream, Bucket: bucket, Prefix: prefix, Partitions: parts, Group: fmt.Sprint("drill-", n), Lease: time.Second,
			New: func(int) *detect.Window[string] { return detect.NewWindow[string](limit) },
			Handle: func(_ context.Context, w *detect.Window[string], r fleet.Record) error {
				w.Observe(noon, string(keyOf(r.Record)), 1, r.Line)
				return nil
			},
		}
		var all []*fleet.Consumer[*detect.Window[string]]
		var runs []runner
		for range n {
			c := fleet.NewConsumer(config)
			all, runs = append(all, c), append(runs, run(c))
			eventually(t, "the consumer is a member", func() bool { return c.Stats().Members > 0 })
		}
		handled := func() (sum uint64) {
			for _, c := range all {
				sum += c.Stats().Handled
			}
			return sum
		}
		eventually(t, "the partitions are shared", func() bool {
			for _, c := range all {
				if c.Stats().Members != int64(n) || c.Stats().Partitions != parts/int64(n) {
					return false
				}
			}
			return true
		})
		start, first := time.Now(), handled()
		eventually(t, "all records are handled", func() bool { return handled() >= uint64(*drillLines) })
		if first < uint64(*drillLines)/2 { // otherwise there is too little to measure
			rate(fmt.Sprintf("detected by %d consumers, 3 replicas", n), start, *drillLines-int(first))
		}
		for _, r := range runs {
			r.stop(t)
		}
	}
}

// The server that leads the stream is killed again and again, while lines are
// shipped and handled. Every line is stored once and handled once.
func TestKilledServersLoseAndDoubleNothing(t *testing.T) {
	checkLeaks(t)
	cluster := natstest.StartCluster(t, 3, natstest.Config{})
	conn := natstest.Connect(t, cluster.URLs())
	js := natstest.JetStream(t, conn)
	create(t, js, 3)
	f := newFolder(t)
	var seen events
	var g group
	c := shipperConfig(conn)
	c.AckWait, c.OnEvent = time.Second, seen.add
	s := fleet.NewShipper(c)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	shipped := make(chan error, 1)
	defer func() { t.Logf("%+v, events:\n%s%s", s.Stats(), &seen, &g.events) }()
	go func() { shipped <- s.Ship(ctx, f.logs(false)) }()
	config := consumerConfig(js, &g)
	config.Lease = 2 * time.Second
	r := run(fleet.NewConsumer(config))
	total := 0
	for range 2 {
		leader := cluster.Leader(t, js, stream)
		for range 20 {
			f.write("a.log", lines(total, total+50)...)
			total += 50
			time.Sleep(5 * time.Millisecond)
		}
		cluster.Kill(leader)
		for range 20 {
			f.write("a.log", lines(total, total+50)...)
			total += 50
			time.Sleep(5 * time.Millisecond)
		}
		eventually(t, "the lines are stored", func() bool { return s.Stats().Stored == uint64(total) })
		cluster.Restart(leader)
		eventually(t, "the cluster is whole", func() bool { return whole(js) })
	}
	checkEqual(t, storedLines(t, js), sorted(lines(0, total)))
	checkStates(t, js, &g)
	cancel()
	<-shipped
	r.stop(t)
}

// whole reports whether all replicas of the streams are up to date.
func whole(js jetstream.JetStream) bool {
	ctx, cancel := context.WithTimeout(context.Background(), patient)
	defer cancel()
	for _, name := range []string{stream, "KV_" + bucket} {
		s, err := js.Stream(ctx, name)
		if err != nil || s.CachedInfo().Cluster == nil || s.CachedInfo().Cluster.Leader == "" || len(s.CachedInfo().Cluster.Replicas) != 2 {
			return false
		}
		for _, p := range s.CachedInfo().Cluster.Replicas {
			if !p.Current || p.Offline {
				return false
			}
		}
	}
	return true
}

// The oldest server that is promised is the one of Debian 12, 2.9.10.
func TestInstalledServer(t *testing.T) {
	checkLeaks(t)
	server := natstest.Start(t, natstest.Config{Program: natstest.Installed(t)})
	js := natstest.JetStream(t, server.Client(t))
	create(t, js, 1)
	f := newFolder(t)
	s := fleet.NewShipper(shipperConfig(js.Conn()))
	f.write("a.log", lines(0, 500)...)
	ship(t, s, f)
	os.Remove(f.path("state"))
	ship(t, s, f)
	checkEqual(t, s.Stats().Duplicates, uint64(500))
	var g group
	config := consumerConfig(js, &g)
	config.Lease = 2 * time.Second
	a := fleet.NewConsumer(config)
	first := run(a)
	checkStates(t, js, &g)
	b := fleet.NewConsumer(config)
	second := run(b)
	eventually(t, "the partitions are shared", func() bool { return a.Stats().Partitions == 2 && b.Stats().Partitions == 2 })
	f.write("a.log", lines(500, 600)...)
	ship(t, s, f)
	checkStates(t, js, &g)
	first.stop(t)
	eventually(t, "the partitions are handed over", func() bool { return b.Stats().Partitions == parts })
	f.write("a.log", lines(600, 700)...)
	ship(t, s, f)
	checkStates(t, js, &g)
	second.stop(t)
	checkEqual(t, storedLines(t, js), sorted(lines(0, 700)))
	if a.Stats().Snapshots == 0 || b.Stats().Snapshots == 0 {
		t.Error("got no snapshots")
	}
}
