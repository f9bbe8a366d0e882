package redoubtnats_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/redoubt-go/redoubt/audit"
	"github.com/redoubt-go/redoubt/audit/audittest"
	redoubtnats "github.com/redoubt-go/redoubt/contrib/nats"
	"github.com/redoubt-go/redoubt/contrib/nats/natstest"
)

func TestSinkKeepsTheContractOfAudit(t *testing.T) {
	audittest.Run(t, func(t *testing.T) audittest.Subject {
		noLeak(t)
		_, _, js := single(t)
		stream(t, js)
		return audittest.Subject{
			Sink:   openSink(t, sinkConfig(js)),
			Stored: func() ([]audit.Event, error) { return stored(patient(t), js, "AUDIT") },
		}
	})
}

func TestSinkOnAnOldServer(t *testing.T) {
	s := natstest.Start(t, natstest.Config{Program: natstest.Installed(t)})
	js := natstest.JetStream(t, s.Client(t))
	stream(t, js)
	sink := openSink(t, sinkConfig(js))
	must(t, sink.WriteEvents(patient(t), events("a", "b")))
	must(t, sink.WriteEvents(patient(t), events("a")))
	list, err := stored(patient(t), js, "AUDIT")
	must(t, err)
	checkEqual(t, ids(list), []string{"a", "b"})
	checkEqual(t, sink.Stats(), redoubtnats.SinkStats{Stored: 3, Duplicates: 1})
}

func TestWeakStreamsAreRefused(t *testing.T) {
	_, _, js := single(t)
	for name, tt := range map[string]struct {
		change func(*jetstream.StreamConfig)
		want   string
	}{
		"memory":      {func(c *jetstream.StreamConfig) { c.Storage = jetstream.MemoryStorage }, "Storage is Memory, want File"},
		"discard old": {func(c *jetstream.StreamConfig) { c.Discard = jetstream.DiscardOld }, "Discard is DiscardOld, want DiscardNew"},
		"window":      {func(c *jetstream.StreamConfig) { c.Duplicates = 10 * time.Second }, "Duplicates is 10s, want at least 1m0s"},
		"retention":   {func(c *jetstream.StreamConfig) { c.Retention = jetstream.WorkQueuePolicy }, "Retention is WorkQueue, want Limits"},
		"per subject": {func(c *jetstream.StreamConfig) { c.MaxMsgsPerSubject = 5 }, "MaxMsgsPerSubject is 5 without DiscardNewPerSubject"},
		"no acks":     {func(c *jetstream.StreamConfig) { c.NoAck = true }, "NoAck is set"},
		"rollup":      {func(c *jetstream.StreamConfig) { c.AllowRollup, c.DenyPurge = true, false }, "AllowRollup is set"},
		"subject":     {func(c *jetstream.StreamConfig) { c.Subjects = []string{"other.*", "audit.billing.>"} }, "Subjects do not contain audit.billing"},
		"async":       {func(c *jetstream.StreamConfig) { c.PersistMode = jetstream.AsyncPersistMode }, "PersistMode is Async"},
	} {
		t.Run(name, func(t *testing.T) {
			stream(t, js, func(c *jetstream.StreamConfig) { c.DenyDelete = false }, tt.change)
			_, err := redoubtnats.OpenSink(patient(t), sinkConfig(js))
			checkIs(t, err, redoubtnats.ErrWeak)
			checkText(t, err, tt.want)
			must(t, js.DeleteStream(patient(t), "AUDIT"))
		})
	}
	stream(t, js)
	c := sinkConfig(js)
	c.Replicas = 0
	_, err := redoubtnats.OpenSink(patient(t), c)
	checkIs(t, err, redoubtnats.ErrWeak)
	checkText(t, err, "Replicas is 1, want at least 3")
	must(t, js.DeleteStream(patient(t), "AUDIT"))
	_, err = redoubtnats.OpenSink(patient(t), sinkConfig(js))
	checkIs(t, err, jetstream.ErrStreamNotFound)
}

func TestCheckFindsAStreamThatWasChanged(t *testing.T) {
	_, _, js := single(t)
	stream(t, js)
	sink := openSink(t, sinkConfig(js))
	must(t, sink.Check(patient(t)))
	c := redoubtnats.AuditStream("AUDIT", "audit.>")
	c.Replicas, c.Discard = 1, jetstream.DiscardOld
	_, err := js.UpdateStream(patient(t), c)
	must(t, err)
	checkIs(t, sink.Check(patient(t)), redoubtnats.ErrWeak)
}

func TestSinkConfigReportsEveryProblem(t *testing.T) {
	err := redoubtnats.SinkConfig{Subject: "audit.*", Replicas: -1, MaxPending: -1}.Validate()
	checkText(t, err, "nats: sink: JetStream is missing", "Stream is missing", `Subject is "audit.*"`,
		"Replicas is -1, want at least 1", "MaxPending is -1, want at least 1")
	_, err = redoubtnats.OpenSink(patient(t), redoubtnats.SinkConfig{})
	checkText(t, err, "JetStream is missing")
}

// IDs that a header cannot carry must neither collide nor get lost.
func TestOddIDsAreDistinct(t *testing.T) {
	_, _, js := single(t)
	stream(t, js)
	sink := openSink(t, sinkConfig(js))
	odd := []string{
		"", "", "a", "a ", " a", "a\nb", "a\r\nb", "a b", "a\r\nNats-Expected-Stream: X", "ä", "\x00", "sha256-", strings.Repeat("x", 5000),
		strings.Repeat("x", 5001), "sha256-ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb",
	}
	for range 2 {
		must(t, sink.WriteEvents(patient(t), events(odd...)))
	}
	list, err := stored(patient(t), js, "AUDIT")
	must(t, err)
	checkEqual(t, len(list), len(odd)+2) // without an ID, an event is new
	checkEqual(t, sink.Stats().Duplicates, uint64(len(odd)-2))
}

func TestFullStreamRefusesForCertain(t *testing.T) {
	_, _, js := single(t)
	stream(t, js, func(c *jetstream.StreamConfig) { c.MaxBytes = 20_000 })
	sink := openSink(t, sinkConfig(js))
	var refused error
	n := 0
	for ; refused == nil; n++ {
		refused = sink.WriteEvents(patient(t), events(numbered("e", n+1)[n]))
	}
	checkIs(t, refused, audit.ErrFailed)
	checkText(t, refused, "event not recorded", "maximum bytes exceeded")
	if errors.Is(refused, audit.ErrUncertain) {
		t.Errorf("error %v, want a certain refusal", refused)
	}
	// A batch of which a part is stored is uncertain.
	list, err := stored(patient(t), js, "AUDIT")
	must(t, err)
	checkEqual(t, len(list), n-1)
	checkIs(t, sink.WriteEvents(patient(t), events("e0", "new", "new2")), audit.ErrUncertain)
	large := event("large")
	large.Changes = append(large.Changes, audit.Change{Field: "x", New: strings.Repeat("y", 4096)})
	checkIs(t, sink.WriteEvents(patient(t), []*audit.Event{large}), audit.ErrFailed)
	checkEqual(t, sink.Stats(), redoubtnats.SinkStats{Stored: uint64(n - 1), Failed: 2, Uncertain: 3, Duplicates: 1})
}

// An error that the sink does not know leaves open whether the event is stored.
func TestUnknownRefusalIsUncertain(t *testing.T) {
	_, nc, js := single(t)
	stream(t, js)
	sink := openSink(t, sinkConfig(js))
	must(t, js.DeleteStream(patient(t), "AUDIT"))
	sub, err := nc.Subscribe("audit.billing", func(msg *nats.Msg) {
		_ = msg.Respond([]byte(`{"error":{"code":500,"err_code":10999,"description":"other"},"stream":"AUDIT","seq":0}`))
	})
	must(t, err)
	defer func() { _ = sub.Unsubscribe() }()
	err = sink.WriteEvents(patient(t), events("a"))
	checkIs(t, err, audit.ErrUncertain)
	checkText(t, err, "other")
}

func TestMessageTooLargeForTheServer(t *testing.T) {
	s := natstest.Start(t, natstest.Config{Lines: "max_payload: 1024"})
	js := natstest.JetStream(t, s.Client(t))
	stream(t, js)
	sink := openSink(t, sinkConfig(js))
	large := event("large")
	large.Reason = strings.Repeat("y", 2048)
	err := sink.WriteEvents(patient(t), []*audit.Event{large})
	checkIs(t, err, audit.ErrFailed, nats.ErrMaxPayload)
}

func TestDeletedStreamRefusesForCertain(t *testing.T) {
	_, _, js := single(t)
	stream(t, js)
	c := sinkConfig(js)
	c.Name, c.Timeout = "billing", time.Second
	sink := openSink(t, c)
	must(t, js.DeleteStream(patient(t), "AUDIT"))
	err := sink.WriteEvents(patient(t), events("a"))
	checkIs(t, err, audit.ErrFailed, context.DeadlineExceeded)
	checkText(t, err, "nats: sink billing: event not recorded", "no server leads the stream")
}

// Another stream must not take the events of a stream that was deleted.
func TestAnotherStreamIsRefused(t *testing.T) {
	_, _, js := single(t)
	stream(t, js)
	sink := openSink(t, sinkConfig(js))
	must(t, js.DeleteStream(patient(t), "AUDIT"))
	_, err := js.CreateStream(patient(t), jetstream.StreamConfig{Name: "OTHER", Subjects: []string{"audit.>"}, Storage: jetstream.MemoryStorage})
	must(t, err)
	err = sink.WriteEvents(patient(t), events("a"))
	checkIs(t, err, audit.ErrFailed)
	checkText(t, err, "expected stream does not match")
}

func TestNoAnswerIsUncertain(t *testing.T) {
	s := natstest.Start(t, natstest.Config{})
	p := natstest.NewProxy(t, s.Addr)
	js := natstest.JetStream(t, natstest.Connect(t, p.URL(), nats.IgnoreDiscoveredServers()))
	stream(t, js)
	c := sinkConfig(js)
	c.Timeout = 300 * time.Millisecond
	sink := openSink(t, c)
	p.SetHung(true)
	err := sink.WriteEvents(context.Background(), events("a"))
	checkIs(t, err, audit.ErrUncertain, context.DeadlineExceeded)
	checkText(t, err, "event may or may not be recorded")
	checkEqual(t, sink.Stats(), redoubtnats.SinkStats{Uncertain: 1})
}

// An event that is not sent because there is no connection must not be stored
// later, when the call has failed.
func TestWithoutAConnectionNothingIsSent(t *testing.T) {
	s := natstest.Start(t, natstest.Config{})
	p := natstest.NewProxy(t, s.Addr)
	nc := natstest.Connect(t, p.URL(), nats.IgnoreDiscoveredServers())
	js := natstest.JetStream(t, nc)
	stream(t, js)
	c := sinkConfig(js)
	c.Timeout = 300 * time.Millisecond
	sink := openSink(t, c)
	p.SetCut(true)
	eventually(t, "the connection is lost", func() bool { return !nc.IsConnected() })
	checkIs(t, sink.WriteEvents(context.Background(), events("a")), audit.ErrFailed, context.DeadlineExceeded)
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(errors.New("server is shutting down"))
	err := sink.WriteEvents(ctx, events("b"))
	checkIs(t, err, audit.ErrFailed, context.Canceled)
	checkText(t, err, "server is shutting down")
	p.SetCut(false)
	eventually(t, "the connection is back", nc.IsConnected)
	must(t, nc.FlushTimeout(patience))
	list, err := stored(patient(t), js, "AUDIT")
	must(t, err)
	checkEqual(t, ids(list), []string{})
}

// A client that connects to a server that does not answer blocks its methods.
// Calls must not wait longer than their contexts allow.
func TestCallsEndWithTheirContext(t *testing.T) {
	noLeak(t)
	s := natstest.Start(t, natstest.Config{})
	p := natstest.NewProxy(t, s.Addr)
	nc := natstest.Connect(t, p.URL(), nats.IgnoreDiscoveredServers(), nats.Timeout(patience/2))
	js := natstest.JetStream(t, nc)
	stream(t, js)
	c := sinkConfig(js)
	c.Timeout = time.Second
	sink := openSink(t, c)
	p.SetHung(true)
	must(t, nc.ForceReconnect()) // blocks until the proxy answers
	time.Sleep(10 * time.Millisecond)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			start := time.Now()
			checkIs(t, sink.WriteEvents(context.Background(), events("a")), audit.ErrFailed, context.DeadlineExceeded)
			if d := time.Since(start); d > patience/4 {
				t.Errorf("the call took %v, want about %v", d, c.Timeout)
			}
		})
	}
	all.Wait()
	p.SetCut(true)
	p.SetHung(false)
	p.SetCut(false)
	eventually(t, "the connection is back", nc.IsConnected)
	must(t, sink.WriteEvents(patient(t), events("b")))
	list, err := stored(patient(t), js, "AUDIT")
	must(t, err)
	checkEqual(t, ids(list), []string{"b"})
}

// A call that began before the connection was lost ends well when it is back.
func TestLostConnectionsAreSurvived(t *testing.T) {
	noLeak(t)
	s := natstest.Start(t, natstest.Config{})
	p := natstest.NewProxy(t, s.Addr)
	js := natstest.JetStream(t, natstest.Connect(t, p.URL(), nats.IgnoreDiscoveredServers()))
	stream(t, js)
	sink := openSink(t, sinkConfig(js))
	stop := make(chan struct{})
	var writers sync.WaitGroup
	const n = 8
	var written [n][]string
	for w := range n {
		writers.Go(func() {
			for _, id := range numbered(string(rune('a'+w)), 1_000_000) {
				select {
				case <-stop:
					return
				default:
				}
				if err := sink.WriteEvents(context.Background(), events(id, id+"-2")); err != nil {
					t.Error(err)
				}
				written[w] = append(written[w], id, id+"-2")
			}
		})
	}
	for range 5 {
		time.Sleep(50 * time.Millisecond)
		p.SetCut(true)
		time.Sleep(50 * time.Millisecond)
		p.SetCut(false)
	}
	close(stop)
	writers.Wait()
	list, err := stored(patient(t), js, "AUDIT")
	must(t, err)
	seen := map[string]int{}
	for _, e := range list {
		seen[e.ID]++
	}
	total := 0
	for _, w := range written {
		for _, id := range w {
			if total++; seen[id] != 1 {
				t.Errorf("event %s is stored %d times", id, seen[id])
			}
		}
	}
	checkEqual(t, len(list), total)
	checkEqual(t, sink.Stats().Pending, 0)
}

func TestMaxPendingBoundsTheEventsOnTheirWay(t *testing.T) {
	_, _, js := single(t)
	stream(t, js)
	c := sinkConfig(js)
	c.MaxPending = 3
	sink := openSink(t, c)
	var all sync.WaitGroup
	stop := make(chan struct{})
	all.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				if n := sink.Stats().Pending; n > 3 {
					t.Errorf("%d events on their way, want at most 3", n)
				}
			}
		}
	})
	var writers sync.WaitGroup
	for w := range 4 {
		writers.Go(func() {
			if err := sink.WriteEvents(context.Background(), events(numbered(string(rune('a'+w)), 100)...)); err != nil {
				t.Error(err)
			}
		})
	}
	writers.Wait()
	close(stop)
	all.Wait()
	list, err := stored(patient(t), js, "AUDIT")
	must(t, err)
	checkEqual(t, len(list), 400)
}

func TestClosedSinkRefuses(t *testing.T) {
	_, nc, js := single(t)
	stream(t, js)
	sink := openSink(t, sinkConfig(js))
	must(t, sink.Close())
	must(t, sink.Close())
	checkIs(t, sink.WriteEvents(context.Background(), events("a")), audit.ErrFailed, audit.ErrClosed)
	other := openSink(t, sinkConfig(js))
	nc.Close()
	checkIs(t, other.WriteEvents(context.Background(), events("a")), audit.ErrFailed, nats.ErrConnectionClosed)
	must(t, other.Close())
}

func TestCredentials(t *testing.T) {
	s := natstest.Start(t, natstest.Config{Lines: `authorization { users: [
		{ user: admin, password: a }
		{ user: reader, password: r, permissions: { publish: ["$JS.API.>", "$JS.ACK.>"], subscribe: ["_INBOX.>"] } }
	] }`, User: "admin", Password: "a"})
	_, err := nats.Connect(s.URL(), nats.UserInfo("admin", "wrong"))
	checkIs(t, err, nats.ErrAuthorization)
	stream(t, natstest.JetStream(t, s.Client(t)))
	c := sinkConfig(natstest.JetStream(t, natstest.Connect(t, s.URL(), nats.UserInfo("reader", "r"))))
	c.Timeout = 4 * time.Second // two attempts
	err = openSink(t, c).WriteEvents(context.Background(), events("a"))
	checkIs(t, err, audit.ErrUncertain, nats.ErrPermissionViolation)
}

// A server that was cut off from the others keeps its clients.
func TestSinkLeavesAnIsolatedServer(t *testing.T) {
	c := natstest.StartCluster(t, 3, natstest.Config{Proxied: true})
	js := natstest.JetStream(t, natstest.Connect(t, c.URLs()))
	_, err := js.CreateStream(patient(t), redoubtnats.AuditStream("AUDIT", "audit.>"))
	must(t, err)
	leader := c.Leader(t, js, "AUDIT")
	urls := c.Servers[leader].URL() + "," + c.Servers[(leader+1)%3].URL() + "," + c.Servers[(leader+2)%3].URL()
	nc := natstest.Connect(t, urls, nats.DontRandomize(), nats.IgnoreDiscoveredServers())
	checkEqual(t, nc.ConnectedAddr(), c.Servers[leader].Addr)
	config := sinkConfig(natstest.JetStream(t, nc))
	config.Replicas, config.Timeout, config.MoveAfter = 3, patience, time.Second
	sink := openSink(t, config)
	must(t, sink.WriteEvents(context.Background(), events("before")))
	c.Isolate(leader, true)
	must(t, sink.WriteEvents(context.Background(), events("during")))
	if sink.Stats().Moves == 0 || nc.ConnectedAddr() == c.Servers[leader].Addr {
		t.Errorf("%d moves, connected to %s", sink.Stats().Moves, nc.ConnectedAddr())
	}
	c.Isolate(leader, false)
	list, err := stored(patient(t), js, "AUDIT")
	must(t, err)
	checkEqual(t, ids(list), []string{"before", "during"})
}
