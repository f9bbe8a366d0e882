//go:build unix

package redoubtnats_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/redoubt-go/redoubt/audit"
	redoubtnats "github.com/redoubt-go/redoubt/contrib/nats"
	"github.com/redoubt-go/redoubt/contrib/nats/natstest"
)

// go test -run TestDrill -v -args -long runs all faults, on both servers,
// without pauses between the events.
var long = flag.Bool("long", false, "run the drill with all faults, under full load")

const publishers = 64

// A drill is a cluster with 64 publishers.
type drill struct {
	t       *testing.T
	cluster *natstest.Cluster
	js      jetstream.JetStream   // of the test
	direct  []jetstream.JetStream // of each server
	sinks   []*redoubtnats.Sink   // one for each connection
	proxies []*natstest.Proxy     // of the connections
	pause   time.Duration         // after each event

	stored atomic.Int64 // events with a nil error
	last   atomic.Int64 // time of the last of them

	mu                           sync.Mutex
	accepted, refused, uncertain map[string]bool
	problems                     map[string]int
}

func newDrill(t *testing.T, program string) *drill {
	t.Helper()
	d := &drill{
		t: t, cluster: natstest.StartCluster(t, 3, natstest.Config{Program: program, Proxied: true}),
		accepted: map[string]bool{}, refused: map[string]bool{}, uncertain: map[string]bool{}, problems: map[string]int{},
	}
	d.js = natstest.JetStream(t, natstest.Connect(t, d.cluster.URLs()))
	_, err := d.js.CreateStream(patient(t), redoubtnats.AuditStream("AUDIT", "audit.>"))
	must(t, err)
	for i := range d.cluster.Servers {
		d.direct = append(d.direct, natstest.JetStream(t, d.cluster.Client(t, i)))
	}
	// A client fails over to the other servers, each behind a proxy.
	for range 3 {
		var urls []string
		for _, s := range d.cluster.Servers {
			p := natstest.NewProxy(t, s.Addr)
			d.proxies = append(d.proxies, p)
			urls = append(urls, p.URL())
		}
		nc := natstest.Connect(t, strings.Join(urls, ","), nats.IgnoreDiscoveredServers(), nats.PingInterval(time.Second), nats.MaxPingsOutstanding(2), nats.Timeout(5*time.Second))
		c := sinkConfig(natstest.JetStream(t, nc))
		c.Replicas, c.Timeout, c.MoveAfter = 3, patience, 3*time.Second
		d.sinks = append(d.sinks, openSink(t, c))
	}
	return d
}

// publish writes events until stop is closed.
func (d *drill) publish(number int, stop <-chan struct{}) {
	sink := d.sinks[number%len(d.sinks)]
	for i := 0; ; i++ {
		select {
		case <-stop:
			return
		case <-time.After(d.pause):
		}
		id := fmt.Sprintf("%d-%d", number, i)
		err := sink.WriteEvents(context.Background(), events(id))
		d.mu.Lock()
		switch {
		case err == nil:
			d.accepted[id] = true
			d.stored.Add(1)
			d.last.Store(time.Now().UnixNano())
		case errors.Is(err, audit.ErrUncertain):
			d.uncertain[id] = true
			d.problems[err.Error()]++
		default:
			d.refused[id] = true
			d.problems[err.Error()]++
		}
		d.mu.Unlock()
	}
}

// progress waits until many more events are stored.
func (d *drill) progress() {
	d.t.Helper()
	from := d.stored.Load()
	eventually(d.t, "events are stored", func() bool { return d.stored.Load() >= from+2*publishers })
}

// fault makes a fault, waits until events are stored again, and reports the
// longest time without an event.
func (d *drill) fault(name string, begin, end func()) {
	d.t.Helper()
	d.progress()
	d.healthy()
	start := time.Now()
	var gap atomic.Int64
	stop := make(chan struct{})
	var watch sync.WaitGroup
	watch.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
				gap.Store(max(gap.Load(), time.Now().UnixNano()-max(d.last.Load(), start.UnixNano())))
			}
		}
	})
	begin()
	d.progress()
	end()
	d.progress()
	close(stop)
	watch.Wait()
	d.t.Logf("%-32s longest time without an event %.1f s", name, time.Duration(gap.Load()).Seconds())
}

// leader returns the leader of the stream, when all servers agree on it.
func (d *drill) leader() int {
	d.t.Helper()
	for {
		agreed := map[int]bool{}
		for i := range d.cluster.Servers {
			agreed[d.cluster.Leader(d.t, d.direct[i], "AUDIT")] = true
		}
		if len(agreed) == 1 {
			for i := range agreed {
				return i
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// healthy waits until all replicas are up to date.
func (d *drill) healthy() {
	d.t.Helper()
	eventually(d.t, "all replicas are current", func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		defer cancel()
		s, err := d.js.Stream(ctx, "AUDIT")
		if err != nil || s.CachedInfo().Cluster == nil || len(s.CachedInfo().Cluster.Replicas) != 2 {
			return false
		}
		for _, peer := range s.CachedInfo().Cluster.Replicas {
			if !peer.Current || peer.Offline {
				return false
			}
		}
		return true
	})
}

// check compares the stream with the answers.
func (d *drill) check() {
	d.t.Helper()
	eventually(d.t, "the stream can be read", func() bool {
		_, err := d.js.Stream(patient(d.t), "AUDIT")
		return err == nil
	})
	list, err := stored(patient(d.t), d.js, "AUDIT")
	must(d.t, err)
	seen, doubled := map[string]int{}, 0
	for _, e := range list {
		if seen[e.ID]++; seen[e.ID] > 1 {
			doubled++
		}
		if !d.accepted[e.ID] && !d.uncertain[e.ID] {
			d.t.Errorf("event %s is in the stream, and was refused or never written", e.ID)
		}
		if want := event(e.ID); string(e.AppendJSON(nil)) != string(want.AppendJSON(nil)) {
			d.t.Errorf("event %s is %s, want %s", e.ID, e.AppendJSON(nil), want.AppendJSON(nil))
		}
	}
	lost := 0
	for id := range d.accepted {
		if seen[id] == 0 {
			lost++
		}
	}
	if lost > 0 || doubled > 0 {
		d.t.Errorf("%d acknowledged events are lost, %d are doubled", lost, doubled)
	}
	var resent, pending uint64
	for _, s := range d.sinks {
		resent += s.Stats().Resent
		pending += uint64(s.Stats().Pending)
	}
	checkEqual(d.t, pending, 0)
	for text, n := range d.problems {
		d.t.Logf("%d times: %s", n, text)
	}
	d.t.Logf("acknowledged %d, in the stream %d, lost %d, doubled %d, refused %d, uncertain %d, sent again %d",
		len(d.accepted), len(list), lost, doubled, len(d.refused), len(d.uncertain), resent)
}

// TestDrill kills, isolates, stops and cuts off servers while 64 publishers
// write. Every acknowledged event must be in the stream once, and no other.
func TestDrill(t *testing.T) {
	programs := map[string]string{"pinned": natstest.Program(t)}
	if *long {
		programs["installed"] = natstest.Installed(t)
	}
	for name, program := range programs {
		t.Run(name, func(t *testing.T) {
			noLeak(t)
			d := newDrill(t, program)
			if !*long {
				d.pause = 20 * time.Millisecond
			}
			stop := make(chan struct{})
			var all sync.WaitGroup
			for n := range publishers {
				all.Go(func() { d.publish(n, stop) })
			}
			begin := time.Now()
			leader := 0
			kill := func() { leader = d.leader(); d.cluster.Kill(leader) }
			d.fault("kill -9 of the leader", kill, func() { d.cluster.Restart(leader) })
			if *long {
				d.fault("kill -9 of the next leader", kill, func() { d.cluster.Restart(leader) })
				d.fault("kill -9 of a follower", func() { leader = (d.leader() + 1) % 3; d.cluster.Kill(leader) },
					func() { d.cluster.Restart(leader) })
			}
			// Servers of version 2.9 lose events after a partition: README.md.
			if *long && name == "pinned" {
				d.fault("the leader is isolated", func() { leader = d.leader(); d.cluster.Isolate(leader, true) },
					func() {
						d.cluster.Isolate(leader, false)
						// The old leader steps down a moment later.
						time.Sleep(5 * time.Second)
					})
				d.fault("the leader stands still", func() { leader = d.leader(); d.cluster.Servers[leader].Suspend() },
					func() { d.cluster.Servers[leader].Resume() })
				d.fault("all connections of clients cut", func() {
					for _, p := range d.proxies {
						p.SetCut(true)
						p.SetCut(false)
					}
				}, func() {})
				d.fault("kill -9 of all servers at once", func() {
					for i := range 3 {
						d.cluster.Kill(i)
					}
					for i := range 3 {
						d.cluster.Restart(i)
					}
				}, func() {})
			}
			close(stop)
			all.Wait()
			t.Logf("%d publishers, %.0f s, %.0f events/s over all", publishers, time.Since(begin).Seconds(), float64(d.stored.Load())/time.Since(begin).Seconds())
			d.check()
		})
	}
}

// TestDrillFullDisk fills the storage of the servers, and not only the stream.
func TestDrillFullDisk(t *testing.T) {
	c := natstest.StartCluster(t, 3, natstest.Config{JetStream: "max_file_store: 2MB"})
	js := natstest.JetStream(t, natstest.Connect(t, c.URLs()))
	_, err := js.CreateStream(patient(t), redoubtnats.AuditStream("AUDIT", "audit.>"))
	must(t, err)
	config := sinkConfig(js)
	config.Replicas, config.Timeout = 3, 2*time.Second
	sink := openSink(t, config)
	accepted, refused, uncertain := map[string]bool{}, map[string]bool{}, map[string]bool{}
	var mu sync.Mutex
	var all sync.WaitGroup
	for n := range 8 {
		all.Go(func() {
			for i := range 2000 {
				e := event(fmt.Sprintf("%d-%d", n, i))
				e.Reason = strings.Repeat("x", 2000)
				err := sink.WriteEvents(context.Background(), []*audit.Event{e})
				mu.Lock()
				switch {
				case err == nil:
					accepted[e.ID] = true
				case errors.Is(err, audit.ErrUncertain):
					uncertain[e.ID] = true
				default:
					refused[e.ID] = true
				}
				over := len(refused)+len(uncertain) > 20
				mu.Unlock()
				if over {
					return
				}
			}
		})
	}
	all.Wait()
	list, err := stored(patient(t), js, "AUDIT")
	must(t, err)
	seen := map[string]bool{}
	for _, e := range list {
		if seen[e.ID] || refused[e.ID] {
			t.Errorf("event %s is doubled or was refused", e.ID)
		}
		seen[e.ID] = true
	}
	for id := range accepted {
		if !seen[id] {
			t.Errorf("event %s is lost", id)
		}
	}
	if len(refused)+len(uncertain) == 0 {
		t.Error("nothing was refused, want a full disk")
	}
	t.Logf("acknowledged %d, in the stream %d, refused %d, uncertain %d", len(accepted), len(list), len(refused), len(uncertain))
}
