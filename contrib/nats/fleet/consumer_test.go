package fleet_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/redoubt-go/redoubt/contrib/nats/fleet"
	"github.com/redoubt-go/redoubt/contrib/nats/natstest"
	"github.com/redoubt-go/redoubt/logscan"
	"github.com/redoubt-go/redoubt/logscan/detect"
)

// publish stores lines as a Shipper does, without logs.
func publish(t testing.TB, js jetstream.JetStream, all ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patient)
	defer cancel()
	for _, line := range all {
		key, _, _ := strings.Cut(line, " ")
		m := nats.NewMsg(fmt.Sprintf("%s.%d", prefix, fleet.Partition([]byte(key), parts)))
		m.Header.Set(jetstream.MsgIDHeader, "host-1/"+line)
		m.Header.Set("Fleet-Layout", fmt.Sprint("1/", parts))
		m.Data = []byte(line)
		if _, err := js.PublishMsg(ctx, m); err != nil {
			t.Fatal(err)
		}
	}
}

// A group observes the states of all consumers of a test.
type group struct {
	events events
	calls  atomic.Int64
	delay  atomic.Int64
	mu     sync.Mutex
	last   [parts]journal // the latest state of each partition
}

func consumerConfig(js jetstream.JetStream, g *group) fleet.ConsumerConfig[*journal] {
	return fleet.ConsumerConfig[*journal]{
		JetStream: js, Stream: stream, Bucket: bucket, Prefix: prefix, Partitions: parts,
		New: func(int) *journal { return new(journal) },
		Handle: func(_ context.Context, j *journal, r fleet.Record) error {
			time.Sleep(time.Duration(g.delay.Load()))
			j.add(r.Line)
			g.calls.Add(1)
			g.mu.Lock()
			defer g.mu.Unlock()
			if j.count >= g.last[r.Partition].count { // a loser may still be at work
				g.last[r.Partition] = *j
			}
			return nil
		},
		Lease: 10 * time.Second, Snapshot: 50 * time.Millisecond, OnEvent: g.events.add,
	}
}

// states returns the latest states.
func (g *group) states() [parts]journal {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.last
}

// oracle returns the states of a process that handles all lines, in the order
// of the stream, without interruption.
func oracle(t testing.TB, js jetstream.JetStream) (want [parts]journal) {
	for _, m := range stored(t, js) {
		want[m.Subject[len(m.Subject)-1]-'0'].add(m.Data)
	}
	return want
}

// checkStates waits until the states are those of the oracle.
func checkStates(t testing.TB, js jetstream.JetStream, g *group) {
	t.Helper()
	want := oracle(t, js)
	total := func(all [parts]journal) (n uint64) {
		for _, j := range all {
			n += j.count
		}
		return n
	}
	eventually(t, "all records are handled", func() bool { return total(g.states()) >= total(want) })
	if got := g.states(); got != want {
		t.Errorf("got states %v, want %v; events:\n%s", got, want, &g.events)
	}
}

// A runner is a Run of a consumer.
type runner struct {
	cancel context.CancelFunc
	result chan error
}

func run[S fleet.State](c *fleet.Consumer[S]) runner {
	ctx, cancel := context.WithCancel(context.Background())
	r := runner{cancel, make(chan error, 1)}
	go func() { r.result <- c.Run(ctx) }()
	return r
}

func (r runner) stop(t testing.TB) {
	t.Helper()
	r.cancel()
	if err := <-r.result; !errors.Is(err, context.Canceled) && !errors.Is(err, nats.ErrConnectionClosed) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
}

func TestRecordsAreHandledInOrder(t *testing.T) {
	checkLeaks(t)
	_, js := single(t)
	publish(t, js, lines(0, 500)...)
	var g group
	c := fleet.NewConsumer(consumerConfig(js, &g))
	r := run(c)
	checkStates(t, js, &g)
	publish(t, js, lines(500, 600)...)
	checkStates(t, js, &g)
	checkEqual(t, c.Stats().Partitions, int64(parts))
	checkEqual(t, c.Stats().Members, int64(1))
	r.stop(t)
	checkEqual(t, g.events.count(fleet.KindReleased), parts)
	if got := c.Stats(); got.Handled < 600 || got.Partitions != 0 || got.Unread != 0 {
		t.Errorf("got %+v, want 600 records handled and no partitions", got)
	}
	// The next consumer continues, and handles nothing again.
	before := g.calls.Load()
	r = run(fleet.NewConsumer(consumerConfig(js, &g)))
	publish(t, js, lines(600, 700)...)
	checkStates(t, js, &g)
	r.stop(t)
	checkEqual(t, g.calls.Load()-before, int64(100))
}

// Consumers come, go and die while lines are published. The state of each
// partition is that of a process that was never interrupted.
func TestConsumersComeAndGo(t *testing.T) {
	checkLeaks(t)
	server, js := single(t)
	var g group
	g.delay.Store(int64(200 * time.Microsecond))
	done := make(chan struct{})
	go func() {
		defer close(done)
		publish(t, js, lines(0, 3000)...)
	}()
	type process struct {
		runner
		conn *nats.Conn
		c    *fleet.Consumer[*journal]
	}
	var all []process
	start := func() {
		conn := server.Client(t)
		c := consumerConfig(natstest.JetStream(t, conn), &g)
		c.Lease = time.Second
		consumer := fleet.NewConsumer(c)
		all = append(all, process{run(consumer), conn, consumer})
	}
	start()
	start()
	random := rand.New(rand.NewPCG(1, 2))
	for range 6 {
		time.Sleep(time.Duration(random.IntN(1000)) * time.Millisecond)
		switch i := random.IntN(len(all)); {
		case len(all) < 3:
			start()
		case random.IntN(2) == 0:
			all[i].stop(t)
			all = append(all[:i], all[i+1:]...)
		default: // as kill -9 does
			all[i].conn.Close()
			all[i].stop(t)
			all = append(all[:i], all[i+1:]...)
		}
	}
	<-done
	checkStates(t, js, &g)
	if len(all) < 2 {
		start()
	}
	eventually(t, "the partitions are shared", func() bool {
		sum := int64(0)
		for _, p := range all {
			n := p.c.Stats().Partitions
			if n < parts/int64(len(all)) || n > (parts+int64(len(all))-1)/int64(len(all)) {
				return false
			}
			sum += n
		}
		return sum == parts
	})
	for _, p := range all {
		p.stop(t)
	}
}

func TestPartitionsAreShared(t *testing.T) {
	checkLeaks(t)
	_, js := single(t)
	var g group
	config := consumerConfig(js, &g)
	config.Lease = time.Second
	var all []*fleet.Consumer[*journal]
	var runs []runner
	shares := func(want ...int64) {
		t.Helper()
		eventually(t, fmt.Sprint("the partitions are shared as ", want), func() bool {
			var got []int64
			for _, c := range all {
				got = append(got, c.Stats().Partitions)
			}
			slices.Sort(got)
			return slices.Equal(got, want)
		})
	}
	for _, want := range [][]int64{{4}, {2, 2}, {1, 1, 2}, {1, 1, 1, 1}, {0, 1, 1, 1, 1}} {
		c := fleet.NewConsumer(config)
		all, runs = append(all, c), append(runs, run(c))
		shares(want...)
	}
	publish(t, js, lines(0, 100)...)
	checkStates(t, js, &g)
	for _, want := range [][]int64{{1, 1, 1, 1}, {1, 1, 2}, {2, 2}, {4}} {
		runs[0].stop(t)
		all, runs = all[1:], runs[1:]
		shares(want...)
	}
	publish(t, js, lines(100, 200)...)
	checkStates(t, js, &g)
	runs[0].stop(t)
}

// A consumer that is cut off stops, another continues, and the first cannot
// overwrite the snapshot of the other.
func TestConsumerThatWasCutOffIsFenced(t *testing.T) {
	checkLeaks(t)
	server, js := single(t)
	proxy := natstest.NewProxy(t, server.Addr)
	conn := natstest.Connect(t, proxy.URL(), hasty...)
	var first, second group
	publish(t, js, lines(0, 200)...)
	config := consumerConfig(natstest.JetStream(t, conn), &first)
	config.Lease = 2 * time.Second
	a := run(fleet.NewConsumer(config))
	checkStates(t, js, &first)
	proxy.SetHung(true)
	other := consumerConfig(js, &second)
	other.Lease = config.Lease
	b := run(fleet.NewConsumer(other))
	publish(t, js, lines(200, 400)...)
	checkStates(t, js, &second)
	proxy.SetHung(false)
	proxy.SetCut(true)
	proxy.SetCut(false)
	eventually(t, "the first has lost its partitions", func() bool { return first.events.count(fleet.KindLost) == parts })
	publish(t, js, lines(400, 600)...)
	want := oracle(t, js)
	eventually(t, "all records are handled", func() bool {
		one, two := first.states(), second.states()
		for i, j := range want {
			if one[i] != j && two[i] != j {
				return false
			}
		}
		return true
	})
	a.stop(t)
	b.stop(t)
}

// Records that were on their way when a connection was lost are read again.
func TestCutConnectionLosesNothing(t *testing.T) {
	checkLeaks(t)
	server, js := single(t)
	proxy := natstest.NewProxy(t, server.Addr)
	conn := natstest.Connect(t, proxy.URL(), hasty...)
	publish(t, js, lines(0, 4000)...)
	var g group
	g.delay.Store(int64(300 * time.Microsecond))
	config := consumerConfig(natstest.JetStream(t, conn), &g)
	config.Lease = time.Minute
	c := fleet.NewConsumer(config)
	r := run(c)
	for i := range uint64(3) {
		eventually(t, "further records are handled", func() bool { return c.Stats().Handled >= 400*(i+1) })
		proxy.SetCut(true)
		proxy.SetCut(false)
	}
	checkStates(t, js, &g)
	r.stop(t)
}

// A process that is paused in Handle, for longer than its lease, cannot
// overwrite the snapshot of its successor.
func TestPausedConsumerIsFenced(t *testing.T) {
	checkLeaks(t)
	server, js := single(t)
	var g group
	paused, resume := make(chan struct{}, parts), make(chan struct{})
	var late atomic.Int64 // calls of the first that ended after the pause
	proxy := natstest.NewProxy(t, server.Addr)
	conn := natstest.Connect(t, proxy.URL(), hasty...)
	config := consumerConfig(natstest.JetStream(t, conn), &g)
	config.Lease = 2 * time.Second
	handle := config.Handle
	config.Handle = func(ctx context.Context, j *journal, r fleet.Record) error {
		if strings.HasSuffix(string(r.Line), "line 50") {
			paused <- struct{}{}
			<-resume
		}
		select {
		case <-resume:
			late.Add(1)
		default:
		}
		return handle(ctx, j, r)
	}
	publish(t, js, lines(0, 100)...)
	a := run(fleet.NewConsumer(config))
	<-paused
	proxy.SetCut(true) // no heartbeats
	other := consumerConfig(js, &g)
	other.Lease = config.Lease
	b := run(fleet.NewConsumer(other))
	checkStates(t, js, &g)
	close(resume)
	eventually(t, "the first has lost its partitions", func() bool { return g.events.count(fleet.KindLost) == parts })
	checkEqual(t, late.Load(), int64(1))
	proxy.SetCut(false)
	publish(t, js, lines(100, 200)...)
	checkStates(t, js, &g)
	a.stop(t)
	b.stop(t)
	// A third begins with the snapshots.
	c := run(fleet.NewConsumer(consumerConfig(js, &g)))
	publish(t, js, lines(200, 300)...)
	checkStates(t, js, &g)
	c.stop(t)
}

// After an error of Handle, the records are handled again, with the state of
// the snapshot.
func TestErrorOfHandleBeginsAgainAtTheSnapshot(t *testing.T) {
	checkLeaks(t)
	_, js := single(t)
	var g group
	config := consumerConfig(js, &g)
	config.Lease = 2 * time.Second
	handle := config.Handle
	var fails atomic.Int64
	config.Handle = func(ctx context.Context, j *journal, r fleet.Record) error {
		if err := handle(ctx, j, r); err != nil {
			return err
		}
		if strings.HasSuffix(string(r.Line), "line 50") && fails.Add(1) <= 3 {
			return errors.New("the alert was not sent") // the state has changed
		}
		return nil
	}
	publish(t, js, lines(0, 100)...)
	c := fleet.NewConsumer(config)
	r := run(c)
	eventually(t, "the error has gone", func() bool { return fails.Load() == 4 })
	publish(t, js, lines(100, 200)...)
	eventually(t, "all records are handled", func() bool { return c.Stats().Handled >= 200 && c.Stats().Unread == 0 })
	r.stop(t)
	if got := g.events.count(fleet.KindFailed); got < 3 {
		t.Errorf("got %d errors reported, want 3", got)
	}
	// The journal of the failed attempts was ahead of the final journal.
	g.mu.Lock()
	g.last = [parts]journal{}
	g.mu.Unlock()
	r = run(fleet.NewConsumer(consumerConfig(js, &g)))
	publish(t, js, lines(200, 300)...)
	checkStates(t, js, &g)
	r.stop(t)
}

// The alerts and the snapshots of a detector are those of a single process,
// however often the consumers are interrupted.
func TestDetectorIsTheSameAsInOneProcess(t *testing.T) {
	checkLeaks(t)
	server, js := single(t)
	limit := detect.Config{Limit: 20, Per: time.Hour}
	at := func(r *logscan.Record) time.Time {
		n := 0
		fmt.Sscanf(string(r.Line), "key-%d line %d", new(int), &n)
		return time.Date(2026, 3, 1, 12, 0, n, 0, time.UTC)
	}
	publish(t, js, lines(0, 1500)...)

	var want []string
	var windows [parts]*detect.Window[string]
	for i := range windows {
		windows[i] = detect.NewWindow[string](limit)
	}
	for _, m := range stored(t, js) {
		rec := &logscan.Record{Line: m.Data}
		if a, ok := windows[m.Subject[len(m.Subject)-1]-'0'].Observe(at(rec), string(keyOf(rec)), 1, m.Data); ok {
			want = append(want, "host-1/"+string(m.Data)+": "+a.String())
		}
	}
	if len(want) == 0 {
		t.Fatal("no alerts")
	}

	var mu sync.Mutex
	got := map[string]bool{}
	var finals [parts][]byte
	config := fleet.ConsumerConfig[*detect.Window[string]]{
		Stream: stream, Bucket: bucket, Prefix: prefix, Partitions: parts, Lease: time.Second, Snapshot: 20 * time.Millisecond,
		New: func(int) *detect.Window[string] { return detect.NewWindow[string](limit) },
		Handle: func(_ context.Context, w *detect.Window[string], r fleet.Record) error {
			time.Sleep(100 * time.Microsecond)
			a, ok := w.Observe(at(r.Record), string(keyOf(r.Record)), 1, r.Line)
			b, err := w.MarshalBinary()
			mu.Lock()
			defer mu.Unlock()
			finals[r.Partition] = b
			if ok {
				got[r.ID+": "+a.String()] = true
			}
			return err
		},
	}
	handled := int64(0)
	for i := range 4 {
		conn := server.Client(t)
		config.JetStream = natstest.JetStream(t, conn)
		c := fleet.NewConsumer(config)
		r := run(c)
		eventually(t, "some records are handled", func() bool {
			s := c.Stats()
			return s.Handled > 300 || s.Partitions == parts && s.Unread == 0 && s.Snapshots > 0
		})
		if i%2 == 0 {
			conn.Close()
		}
		r.stop(t)
		handled += int64(c.Stats().Handled)
	}
	config.JetStream = js
	c := fleet.NewConsumer(config)
	r := run(c)
	eventually(t, "all snapshots are those of a single process", func() bool {
		mu.Lock()
		defer mu.Unlock()
		for i, w := range windows {
			if b, _ := w.MarshalBinary(); !bytes.Equal(b, finals[i]) {
				return false
			}
		}
		return true
	})
	r.stop(t)
	mu.Lock()
	defer mu.Unlock()
	checkEqual(t, len(got), len(want))
	for _, alert := range want {
		if !got[alert] {
			t.Errorf("no alert %s", alert)
		}
	}
}

func TestDeletedStreamIsReported(t *testing.T) {
	checkLeaks(t)
	_, js := single(t)
	publish(t, js, lines(0, 100)...)
	var g group
	config := consumerConfig(js, &g)
	c := fleet.NewConsumer(config)
	r := run(c)
	checkStates(t, js, &g)
	if err := js.DeleteStream(context.Background(), stream); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the error is reported", func() bool { return g.events.count(fleet.KindFailed) > 0 })
	create(t, js, 1)
	publish(t, js, lines(100, 150)...)
	eventually(t, "the new lines are handled", func() bool { return c.Stats().Handled >= 150 })
	checkEqual(t, g.events.count(fleet.KindGap), parts)
	r.stop(t)
	// The gap is reported once.
	r = run(fleet.NewConsumer(config))
	publish(t, js, lines(150, 200)...)
	eventually(t, "the new lines are handled", func() bool { return g.calls.Load() >= 200 })
	r.stop(t)
	checkEqual(t, g.events.count(fleet.KindGap), parts)
}

func TestRemovedRecordsAreAGap(t *testing.T) {
	checkLeaks(t)
	_, js := single(t, func(c *jetstream.StreamConfig) { c.MaxMsgs = 50 })
	publish(t, js, lines(0, 30)...)
	var g group
	r := run(fleet.NewConsumer(consumerConfig(js, &g)))
	checkStates(t, js, &g)
	r.stop(t)
	checkEqual(t, g.events.count(fleet.KindGap), 0)
	publish(t, js, lines(30, 300)...)
	r = run(fleet.NewConsumer(consumerConfig(js, &g)))
	eventually(t, "the gap is reported", func() bool { return g.events.count(fleet.KindGap) == parts })
	r.stop(t)
}

// A partition without records has no gap, even if the stream removes records of
// other partitions.
func TestQuietPartitionHasNoGap(t *testing.T) {
	checkLeaks(t)
	_, js := single(t, func(c *jetstream.StreamConfig) { c.MaxMsgs = 50 })
	var g group
	c := fleet.NewConsumer(consumerConfig(js, &g))
	r := run(c)
	for i := range 8 {
		for range 120 {
			publish(t, js, fmt.Sprintf("key-1 line %d %d", i, rand.Int()))
		}
		handled := uint64(120 * (i + 1))
		eventually(t, "the lines are handled", func() bool { return c.Stats().Handled >= handled })
		time.Sleep(150 * time.Millisecond) // the quiet partitions look at the stream
	}
	r.stop(t)
	r = run(fleet.NewConsumer(consumerConfig(js, &g)))
	eventually(t, "the partitions are acquired again", func() bool { return g.events.count(fleet.KindAcquired) == 2*parts })
	r.stop(t)
	checkEqual(t, g.events.count(fleet.KindGap), 0)
}

// A slow consumer reads a bounded number of lines ahead.
func TestSlowConsumerReadsLittleAhead(t *testing.T) {
	checkLeaks(t)
	_, js := single(t)
	f := newFolder(t)
	var many []string
	for i := range 20000 {
		many = append(many, fmt.Sprintf("key-1 line %d %s", i, strings.Repeat("z", 200)))
	}
	f.write("a.log", many...)
	ship(t, fleet.NewShipper(shipperConfig(js.Conn())), f)
	var g group
	config := consumerConfig(js, &g)
	block := make(chan struct{})
	config.Handle = func(ctx context.Context, j *journal, r fleet.Record) error {
		j.add(r.Line)
		if g.calls.Add(1) == 10 {
			<-block
		}
		return nil
	}
	c := fleet.NewConsumer(config)
	r := run(c)
	eventually(t, "the consumer is blocked", func() bool { return g.calls.Load() == 10 })
	s, err := js.Stream(context.Background(), stream)
	if err != nil {
		t.Fatal(err)
	}
	most := uint64(0)
	for info := range s.ListConsumers(context.Background()).Info() {
		most = max(most, info.Delivered.Consumer)
	}
	if most < 10 || most > 1000 {
		t.Errorf("got %d lines read ahead, want 10 to 1000", most)
	}
	close(block)
	eventually(t, "all lines are handled", func() bool { return c.Stats().Handled >= 20000 })
	r.stop(t)
	checkEqual(t, c.Stats().Handled, uint64(20000))
}

// A blob is a state that is larger than a message.
type blob struct{ data []byte }

func (b *blob) MarshalBinary() ([]byte, error) { return b.data, nil }
func (b *blob) UnmarshalBinary(d []byte) error { b.data = bytes.Clone(d); return nil }

// Snapshots of any size are restored, and those of earlier times are removed.
func TestLargeSnapshotsReplaceEachOther(t *testing.T) {
	checkLeaks(t)
	server := natstest.Start(t, natstest.Config{Lines: "max_payload: 65536"})
	js := natstest.JetStream(t, server.Client(t))
	create(t, js, 1)
	config := fleet.ConsumerConfig[*blob]{
		JetStream: js, Stream: stream, Bucket: bucket, Prefix: prefix, Partitions: parts, Snapshot: 20 * time.Millisecond,
		New: func(int) *blob { return new(blob) },
		Handle: func(_ context.Context, b *blob, r fleet.Record) error {
			b.data = append(b.data, bytes.Repeat(r.Line, 10000)...)
			return nil
		},
	}
	want := 0
	for round := range 5 {
		c := fleet.NewConsumer(config)
		r := run(c)
		for i := range 4 {
			line := fmt.Sprintf("key-1 line %d %d", round, i)
			want += len(line) * 10000
			publish(t, js, line)
			eventually(t, "a snapshot is stored", func() bool { return c.Stats().Handled == uint64(i+1) && c.Stats().Snapshots >= uint64(i+1) })
		}
		r.stop(t)
	}
	kv, err := js.KeyValue(context.Background(), bucket)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := kv.Keys(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	size := 0
	for _, key := range keys {
		if strings.HasPrefix(key, "default.data.") {
			e, err := kv.Get(context.Background(), key)
			if err != nil {
				t.Fatal(err)
			}
			size += len(e.Value())
		}
		if strings.HasPrefix(key, "default.live.member.") {
			t.Errorf("the key %s is left", key)
		}
	}
	checkEqual(t, size, want)
}

func TestRecordHasTheFieldsOfItsLine(t *testing.T) {
	checkLeaks(t)
	_, js := single(t)
	f := newFolder(t)
	f.write("a b%.log", `addr=192.0.2.1 time="Mar  1 12:00:00" msg=failed`, `addr=192.0.2.1 broken="`)
	logs := f.logs(true)
	logs.Follower.Scanner.Parser = timed{logscan.Logfmt()}
	s := shipperConfig(js.Conn())
	s.Key = func(r *logscan.Record) []byte { return r.Get("addr") }
	ctx, cancel := context.WithTimeout(context.Background(), patient)
	defer cancel()
	if err := fleet.NewShipper(s).Ship(ctx, logs); err != nil {
		t.Fatal(err)
	}
	publish(t, js, `addr=192.0.2.1 broken="`) // by another program
	records := make(chan fleet.Record, 10)
	var seen events
	c := fleet.NewConsumer(fleet.ConsumerConfig[*journal]{
		JetStream: js, Stream: stream, Bucket: bucket, Prefix: prefix, Partitions: parts, Parser: logscan.Logfmt(), OnEvent: seen.add,
		New:    func(int) *journal { return new(journal) },
		Handle: func(_ context.Context, _ *journal, r fleet.Record) error { records <- r; return nil },
	})
	r := run(c)
	eventually(t, "a record is handled", func() bool { return c.Stats().Handled == 1 })
	got := <-records
	eventually(t, "the malformed line is counted", func() bool { return c.Stats().Malformed == 1 })
	r.stop(t)
	checkEqual(t, got.Host, "host-1")
	checkEqual(t, got.Source, f.path("a b%.log"))
	checkEqual(t, string(got.Get("msg")), "failed")
	checkEqual(t, got.Partition, fleet.Partition([]byte("192.0.2.1"), parts))
	checkEqual(t, got.Time(), time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
	checkEqual(t, strings.HasPrefix(got.ID, "host-1/"), true)
	checkEqual(t, c.Stats().Foreign, uint64(0))
}

// A timed parser sets a time, as a parser that knows the year of a log does.
type timed struct{ logscan.Parser }

func (p timed) Parse(r *logscan.Record) error {
	if err := p.Parser.Parse(r); err != nil {
		return err
	}
	r.SetTime(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
	return nil
}

func TestOtherPartitionsAreReported(t *testing.T) {
	checkLeaks(t)
	_, js := single(t)
	s := shipperConfig(js.Conn())
	s.Partitions = 3
	f := newFolder(t)
	f.write("a.log", lines(0, 100)...)
	ship(t, fleet.NewShipper(s), f)
	var g group
	c := fleet.NewConsumer(consumerConfig(js, &g))
	r := run(c)
	eventually(t, "the records are handled", func() bool { return c.Stats().Handled == 100 })
	r.stop(t)
	checkEqual(t, c.Stats().Foreign, uint64(100))
	checkEqual(t, g.events.count(fleet.KindForeign), 1)
}

// A Consumer waits for a bucket and a stream that do not exist yet.
func TestConsumerWaitsForTheBucket(t *testing.T) {
	checkLeaks(t)
	server := natstest.Start(t, natstest.Config{})
	js := natstest.JetStream(t, server.Client(t))
	var g group
	config := consumerConfig(js, &g)
	config.Lease = 200 * time.Millisecond
	r := run(fleet.NewConsumer(config))
	eventually(t, "the error is reported", func() bool { return g.events.count(fleet.KindFailed) > 0 })
	create(t, js, 1)
	publish(t, js, lines(0, 10)...)
	checkStates(t, js, &g)
	r.stop(t)
}

// A Handle that ends its goroutine, as t.FailNow does, is an error like others.
func TestHandleThatEndsItsGoroutine(t *testing.T) {
	checkLeaks(t)
	_, js := single(t)
	var g group
	var ended atomic.Bool
	config := consumerConfig(js, &g)
	handle := config.Handle
	config.Handle = func(ctx context.Context, j *journal, r fleet.Record) error {
		if ended.CompareAndSwap(false, true) {
			runtime.Goexit()
		}
		return handle(ctx, j, r)
	}
	publish(t, js, lines(0, 20)...)
	c := fleet.NewConsumer(config)
	r := run(c)
	checkStates(t, js, &g)
	eventually(t, "the partition is acquired again", func() bool { return c.Stats().Acquired == parts+1 })
	checkEqual(t, c.Stats().Partitions, int64(parts))
	checkEqual(t, g.events.count(fleet.KindFailed), 1)
	r.stop(t)
	checkEqual(t, c.Stats().Partitions, int64(0))
}

// A bucket that forgets leases is refused.
func TestBucketWithATTL(t *testing.T) {
	checkLeaks(t)
	server := natstest.Start(t, natstest.Config{})
	js := natstest.JetStream(t, server.Client(t))
	create(t, js, 1)
	if _, err := js.UpdateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: bucket, TTL: time.Minute}); err != nil {
		t.Fatal(err)
	}
	var g group
	c := fleet.NewConsumer(consumerConfig(js, &g))
	r := run(c)
	eventually(t, "the bucket is refused", func() bool { return g.events.count(fleet.KindFailed) == 1 })
	checkEqual(t, strings.Contains(g.events.String(), "TTL is 1m0s"), true)
	checkEqual(t, c.Stats().Acquired, uint64(0))
	r.stop(t)
}

// The lease of a later version is not touched.
func TestLeaseOfAnotherVersionIsLeftAlone(t *testing.T) {
	checkLeaks(t)
	_, js := single(t)
	kv, err := js.KeyValue(context.Background(), bucket)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kv.PutString(context.Background(), "default.live.part.0", `{"version":2}`); err != nil {
		t.Fatal(err)
	}
	var g group
	c := fleet.NewConsumer(consumerConfig(js, &g))
	r := run(c)
	eventually(t, "the other partitions are acquired", func() bool { return c.Stats().Partitions == parts-1 })
	r.stop(t)
	e, err := kv.Get(context.Background(), "default.live.part.0")
	if err != nil {
		t.Fatal(err)
	}
	checkEqual(t, string(e.Value()), `{"version":2}`)
	checkEqual(t, g.events.count(fleet.KindFailed) > 0, true)
}
