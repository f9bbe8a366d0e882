package audit_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/redoubt-go/redoubt/audit"
)

// memory is a sink that keeps copies and fails on demand.
type memory struct {
	mu     sync.Mutex
	events []audit.Event
	fail   error
	hook   func(context.Context) // runs before an event is stored
}

func (m *memory) WriteEvents(ctx context.Context, events []*audit.Event) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.hook != nil {
		m.hook(ctx)
	}
	if m.fail != nil {
		return m.fail
	}
	for _, e := range events {
		m.events = append(m.events, *e)
	}
	return nil
}

// brief returns the events in the form "action outcome code old>new".
func (m *memory) brief() []string {
	var out []string
	for _, e := range m.events {
		s := strings.TrimSpace(fmt.Sprintf("%s %s %s", e.Action, e.Outcome, e.Code))
		for _, c := range e.Changes {
			s += " " + c.Old + ">" + c.New
		}
		out = append(out, s)
	}
	return out
}

var errSink = errors.New("disk on fire")

func alice() context.Context {
	return audit.WithActor(context.Background(), audit.Actor{ID: "alice"})
}

func newLog(s audit.Sink) *audit.Log { return audit.New(audit.Config{Sink: s}) }

func checkIs(t *testing.T, got error, want ...error) {
	t.Helper()
	for _, w := range want {
		if !errors.Is(got, w) {
			t.Errorf("error %v does not match %v", got, w)
		}
	}
}

// checkEqual reports the difference between got and want.
func checkEqual(t *testing.T, got, want any, options ...cmp.Option) {
	t.Helper()
	if d := cmp.Diff(want, got, options...); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func checkEvents(t *testing.T, m *memory, want ...string) {
	t.Helper()
	checkEqual(t, m.brief(), want)
}

func TestRecordCompletes(t *testing.T) {
	m := &memory{}
	ctx := audit.WithRequestID(alice(), "r-1")
	e := audit.Event{Action: "deploy.delete", Outcome: audit.Success, Target: audit.Target{Type: "deploy", ID: "d 1"}}
	if err := newLog(m).Record(ctx, e); err != nil {
		t.Fatal(err)
	}
	got := m.events[0]
	if got.ID == "" || got.Time.IsZero() || got.Time.Location() != time.UTC {
		t.Errorf("ID %q and time %v not filled in", got.ID, got.Time)
	}
	e.ID, e.Time, e.RequestID, e.Actor = got.ID, got.Time, "r-1", audit.Actor{ID: "alice"}
	checkEqual(t, got, e, cmp.Comparer(func(a, b slog.Attr) bool { return a.Equal(b) }))
}

func TestRecordRefusesBadNames(t *testing.T) {
	l := newLog(&memory{})
	for name, e := range map[string]audit.Event{
		"no action":        {Outcome: audit.Success},
		"no outcome":       {Action: "a"},
		"action with line": {Action: "a\nb", Outcome: audit.Success},
		"long action":      {Action: audit.Action(strings.Repeat("a", 129)), Outcome: audit.Success},
		"target type":      {Action: "a", Outcome: audit.Success, Target: audit.Target{Type: "ü"}},
	} {
		t.Run(name, func(t *testing.T) { checkIs(t, l.Record(alice(), e), audit.ErrInvalid) })
	}
}

func TestCancellationDoesNotReachTheSink(t *testing.T) {
	cause := errors.New("client went away")
	ctx, cancel := context.WithCancelCause(alice())
	m := &memory{hook: func(sink context.Context) {
		cancel(cause)
		if sink.Err() != nil {
			t.Error("the sink's context was cancelled with the caller's")
		}
		if _, ok := sink.Deadline(); !ok {
			t.Error("the sink's context has no deadline")
		}
	}}
	l := newLog(m)
	e := audit.Event{Action: "a", Outcome: audit.Success}
	if err := l.Record(ctx, e); err != nil {
		t.Errorf("accepted event: %v", err)
	}
	checkIs(t, l.Record(ctx, e), context.Canceled, cause)
	f := (&audit.Attribute[int]{Name: "n"}).Of(l.Object("o", "1"))
	checkIs(t, f.Set(ctx, 1), context.Canceled, cause)
	checkEvents(t, m, "a success")
}

func TestTimeoutIsUncertain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{}
		slow := audit.SinkFunc(func(ctx context.Context, events []*audit.Event) error {
			<-ctx.Done()
			_ = m.WriteEvents(ctx, events) // it was stored after all
			return ctx.Err()
		})
		start := time.Now()
		err := newLog(slow).Record(alice(), audit.Event{Action: "a", Outcome: audit.Success})
		checkIs(t, err, audit.ErrUncertain)
		if errors.Is(err, audit.ErrFailed) || time.Since(start) != 10*time.Second {
			t.Errorf("error %v after %v, want uncertain after 10s", err, time.Since(start))
		}
		l := audit.New(audit.Config{Timeout: -1, Sink: audit.SinkFunc(func(ctx context.Context, _ []*audit.Event) error {
			if _, ok := ctx.Deadline(); ok {
				t.Error("negative timeout sets a deadline")
			}
			return audit.ErrUncertain
		})})
		err = l.Record(alice(), audit.Event{Action: "a", Outcome: audit.Success})
		checkIs(t, err, audit.ErrUncertain)
	})
}

func TestActor(t *testing.T) {
	m := &memory{}
	e := audit.Event{Action: "a", Outcome: audit.Success}
	checkIs(t, newLog(m).Record(context.Background(), e), audit.ErrNoActor)
	checkIs(t, newLog(m).Record(audit.WithActor(alice(), audit.Actor{Type: "user"}), e), audit.ErrNoActor)
	if err := audit.New(audit.Config{Sink: m, AllowAnonymous: true}).Record(context.Background(), e); err != nil {
		t.Error(err)
	}
	inner := audit.WithActor(alice(), audit.Actor{ID: "bob", OnBehalfOf: "alice"})
	if err := newLog(m).Record(inner, e); err != nil {
		t.Error(err)
	}
	got := []audit.Actor{m.events[0].Actor, m.events[1].Actor}
	checkEqual(t, got, []audit.Actor{{Type: "anonymous"}, {ID: "bob", OnBehalfOf: "alice"}})
}

func TestIDs(t *testing.T) {
	m := &memory{}
	l := newLog(m)
	for range 2 {
		_ = l.Record(alice(), audit.Event{Action: "a", Outcome: "b"})
		_ = l.Record(alice(), audit.Event{ID: "mine", Action: "a", Outcome: "b"})
	}
	if m.events[0].ID == m.events[2].ID || m.events[1].ID != "mine" || m.events[3].ID != "mine" {
		t.Errorf("IDs %q %q %q %q", m.events[0].ID, m.events[1].ID, m.events[2].ID, m.events[3].ID)
	}
}

// A retried sink sees the same ID, so that a store can recognize the event.
func TestIDsSurviveARetry(t *testing.T) {
	var ids []string
	l := newLog(audit.SinkFunc(func(_ context.Context, events []*audit.Event) error {
		for range 3 { // as a retry around the sink does
			ids = append(ids, events[0].ID+events[0].Time.String())
		}
		return nil
	}))
	_ = l.Record(alice(), audit.Event{Action: "a", Outcome: "b"})
	_ = l.Record(alice(), audit.Event{Action: "a", Outcome: "b"})
	if ids[0] != ids[1] || ids[1] != ids[2] || ids[2] == ids[3] {
		t.Errorf("IDs and times %q", ids)
	}
	seen := map[string]bool{}
	m := &memory{}
	l = newLog(m)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 500 {
				_ = l.Record(alice(), audit.Event{Action: "a", Outcome: "b"})
			}
		})
	}
	wg.Wait()
	for _, e := range m.events {
		if seen[e.ID] || len(e.ID) != 26 || strings.Trim(e.ID, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") != "" {
			t.Fatalf("ID %q", e.ID)
		}
		seen[e.ID] = true
	}
}

func TestNewNeedsASink(t *testing.T) {
	for _, c := range []audit.Config{{}, {Sink: audit.SinkFunc(nil)}, {Sink: (*audit.Buffer)(nil)}} {
		func() {
			defer func() {
				got, _ := recover().(error)
				if got == nil || got.Error() != c.Validate().Error() {
					t.Errorf("panic %v, want %v", got, c.Validate())
				}
			}()
			audit.New(c)
		}()
	}
}

// scriptWriter accepts as many bytes in each Write as its next limit; -1 means
// all.
type scriptWriter struct {
	out    bytes.Buffer
	limits []int
	calls  int
}

func (w *scriptWriter) Write(p []byte) (int, error) {
	n := w.limits[w.calls]
	w.calls++
	if n < 0 {
		return w.out.Write(p)
	}
	w.out.Write(p[:n])
	return n, io.ErrClosedPipe
}

func TestJSONSink(t *testing.T) {
	w := &scriptWriter{limits: []int{-1, 10, 0, -1}}
	s := audit.JSON(w)
	a, b := &audit.Event{ID: "a"}, &audit.Event{ID: "b"}
	if err := s.WriteEvents(context.Background(), []*audit.Event{a, b}); err != nil || w.calls != 1 {
		t.Errorf("%d writes, error %v", w.calls, err)
	}
	for range 2 {
		checkIs(t, s.WriteEvents(context.Background(), []*audit.Event{a}), io.ErrClosedPipe)
	}
	if err := s.WriteEvents(context.Background(), []*audit.Event{b}); err != nil {
		t.Error(err)
	}
	line := func(e *audit.Event) string { return string(e.AppendJSON(nil)) + "\n" }
	want := line(a) + line(b) + line(a)[:10] + "\n" + line(b)
	checkEqual(t, w.out.String(), want)
}

func TestJSONSinkFullDisk(t *testing.T) {
	f, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("no /dev/full here")
	}
	defer f.Close()
	m := audit.JSON(f)
	key, _ := (&audit.Attribute[string]{Name: "key"}).Load(newLog(m).Object("user", "1"), "old")
	checkIs(t, key.Set(alice(), "new"), audit.ErrFailed)
	if key.Masked() != "old" {
		t.Errorf("value became %q on a full disk", key.Masked())
	}
}

func TestSlogSink(t *testing.T) {
	var out bytes.Buffer
	h := slog.NewTextHandler(&out, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey || a.Key == "id" {
			return slog.Attr{}
		}
		return a
	}})
	l := newLog(audit.Slog(h))
	key := audit.Attribute[string]{Name: "key", Sensitive: true}
	_ = key.Of(l.Object("user", "u-1")).Set(alice(), "hunter2")
	_ = l.Record(alice(), audit.Event{Action: "a", Outcome: "b", Attrs: []slog.Attr{slog.Int("n", 1)}})
	want := "level=WARN msg=audit action=create outcome=success actor=alice target_type=user target=u-1 " +
		"change.key.old=\"\" change.key.new=*** change.key.sensitive=true\n" +
		"level=INFO msg=audit action=a outcome=b actor=alice attrs.n=1\n"
	checkEqual(t, out.String(), want)
	deaf := newLog(audit.Slog(slog.NewTextHandler(io.Discard, &slog.HandlerOptions{Level: slog.LevelError})))
	checkIs(t, deaf.Record(alice(), audit.Event{Action: "a", Outcome: "b"}), audit.ErrFailed)
}

// An event allocates its ID and the context of the sink. Without a timeout and
// a cancelable context, it allocates only its ID.
func TestRecordAllocatesIDAndContext(t *testing.T) {
	if raceEnabled {
		t.Skip("under the race detector sync.Pool forgets at random")
	}
	request, cancel := context.WithCancel(alice())
	defer cancel()
	e := audit.Event{Action: "a", Outcome: "b", Attrs: []slog.Attr{slog.Int("n", 1)}}
	for _, c := range []struct {
		ctx     context.Context
		timeout time.Duration
		want    float64
	}{{alice(), -1, 1}, {request, -1, 2}, {alice(), 0, 2}, {request, 0, 2}} {
		buf := make([]byte, 0, 4096)
		l := audit.New(audit.Config{Timeout: c.timeout, Sink: audit.SinkFunc(func(_ context.Context, events []*audit.Event) error {
			buf = events[0].AppendJSON(buf[:0])
			return nil
		})})
		if n := testing.AllocsPerRun(100, func() { _ = l.Record(c.ctx, e) }); n > c.want {
			t.Errorf("timeout %v: Record allocates %v times, want %v", c.timeout, n, c.want)
		}
	}
}

// members returns members that are all required.
func members(sinks ...audit.Sink) (ms []audit.Member) {
	for _, s := range sinks {
		ms = append(ms, audit.Member{Sink: s})
	}
	return ms
}
