package fleet_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/redoubt-go/redoubt/contrib/nats/fleet"
	"github.com/redoubt-go/redoubt/contrib/nats/natstest"
	"github.com/redoubt-go/redoubt/logscan"
	"github.com/redoubt-go/redoubt/logscan/follow"
)

// patient bounds waits that a loaded machine may prolong.
const patient = 2 * time.Minute

const (
	stream = "LOGS"
	bucket = "detect"
	prefix = "logs"
	parts  = 4
)

// hasty are the options of a client that notices lost bytes soon.
var hasty = []nats.Option{
	nats.IgnoreDiscoveredServers(), nats.PingInterval(100 * time.Millisecond), nats.MaxPingsOutstanding(2), nats.Timeout(500 * time.Millisecond),
}

func checkEqual(t testing.TB, got, want any) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("got (+), want (-):\n%s", d)
	}
}

// eventually waits for a condition, or fails the test.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patient); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			buf := make([]byte, 1<<20)
			t.Logf("%s", buf[:runtime.Stack(buf, true)])
			t.Fatalf("%s: not within %v", what, patient)
		}
	}
}

// checkLeaks fails the test if it leaves goroutines behind.
func checkLeaks(t testing.TB) {
	t.Helper()
	before := runtime.NumGoroutine()
	t.Cleanup(func() {
		eventually(t, "the goroutines have ended", func() bool { return runtime.NumGoroutine() <= before })
	})
}

// create makes the stream and the bucket.
func create(t testing.TB, js jetstream.JetStream, replicas int, change ...func(*jetstream.StreamConfig)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patient)
	defer cancel()
	c := jetstream.StreamConfig{Name: stream, Subjects: []string{prefix + ".*"}, Replicas: replicas, Duplicates: 10 * time.Minute}
	for _, f := range change {
		f(&c)
	}
	if _, err := js.CreateOrUpdateStream(ctx, c); err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateOrUpdateKeyValue(ctx, jetstream.KeyValueConfig{Bucket: bucket, Replicas: replicas}); err != nil {
		t.Fatal(err)
	}
}

// single returns a server with the stream and the bucket, and a connection.
func single(t testing.TB, change ...func(*jetstream.StreamConfig)) (*natstest.Server, jetstream.JetStream) {
	t.Helper()
	server := natstest.Start(t, natstest.Config{})
	js := natstest.JetStream(t, server.Client(t))
	create(t, js, 1, change...)
	return server, js
}

// A folder is a folder of logs.
type folder struct {
	t   testing.TB
	dir string
}

func newFolder(t testing.TB) folder { return folder{t, t.TempDir()} }

func (f folder) path(name string) string { return filepath.Join(f.dir, name) }

// write appends lines to a log.
func (f folder) write(name string, lines ...string) {
	f.t.Helper()
	w, err := os.OpenFile(f.path(name), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		f.t.Fatal(err)
	}
	defer w.Close()
	if _, err := w.WriteString(strings.Join(lines, "\n") + "\n"); err != nil {
		f.t.Fatal(err)
	}
}

// logs describes the folder, with a State beside the logs.
func (f folder) logs(once bool) follow.Dir {
	return follow.Dir{
		Follower: follow.Follower{Poll: 10 * time.Millisecond, StopAtEOF: once},
		Match:    []string{f.dir}, State: f.path("state"), Discover: 50 * time.Millisecond,
	}
}

// lines returns numbered lines of the form "key-K line N".
func lines(from, to int) []string {
	var all []string
	for i := from; i < to; i++ {
		all = append(all, fmt.Sprintf("key-%d line %d", i%7, i))
	}
	return all
}

// keyOf returns the first word of a line.
func keyOf(r *logscan.Record) []byte {
	key, _, _ := bytes.Cut(r.Line, []byte(" "))
	return key
}

func shipperConfig(conn *nats.Conn) fleet.ShipperConfig {
	return fleet.ShipperConfig{Conn: conn, Prefix: prefix, Partitions: parts, Host: "host-1", Key: keyOf}
}

// ship ships a folder to its end.
func ship(t testing.TB, s *fleet.Shipper, f folder) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patient)
	defer cancel()
	if err := s.Ship(ctx, f.logs(true)); err != nil {
		t.Fatal(err)
	}
}

// stored returns the messages of the stream, in order.
func stored(t testing.TB, js jetstream.JetStream) []*jetstream.RawStreamMsg {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patient)
	defer cancel()
	s, err := js.Stream(ctx, stream)
	if err != nil {
		t.Fatal(err)
	}
	var all []*jetstream.RawStreamMsg
	info := s.CachedInfo()
	for seq := info.State.FirstSeq; seq <= info.State.LastSeq && info.State.Msgs > 0; seq++ {
		m, err := s.GetMsg(ctx, seq)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, m)
	}
	return all
}

// storedLines returns the lines of the stream, sorted.
func storedLines(t testing.TB, js jetstream.JetStream) []string {
	t.Helper()
	var all []string
	for _, m := range stored(t, js) {
		all = append(all, string(m.Data))
	}
	slices.Sort(all)
	return all
}

func sorted(lines []string) []string {
	lines = slices.Clone(lines)
	slices.Sort(lines)
	return lines
}

// A journal is a state that contains a hash of all lines in their order, and
// their number.
type journal struct{ hash, count uint64 }

func (j *journal) add(line []byte) {
	for _, c := range line {
		j.hash = (j.hash ^ uint64(c)) * 1099511628211
	}
	j.count++
}

func (j *journal) MarshalBinary() ([]byte, error) {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, j.hash), j.count), nil
}

func (j *journal) UnmarshalBinary(b []byte) error {
	if len(b) != 16 {
		return fmt.Errorf("%d bytes", len(b))
	}
	j.hash, j.count = binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])
	return nil
}

// events collects events.
type events struct {
	mu  sync.Mutex
	all []fleet.Event
}

func (e *events) add(_ context.Context, event fleet.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all = append(e.all, event)
}

func (e *events) count(kind fleet.Kind) (n int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, event := range e.all {
		if event.Kind == kind {
			n++
		}
	}
	return n
}

func (e *events) String() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	var b strings.Builder
	for _, event := range e.all {
		fmt.Fprintln(&b, event.LogValue())
	}
	return b.String()
}
