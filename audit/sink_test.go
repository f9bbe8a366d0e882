package audit_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redoubt-go/redoubt/audit"
	"github.com/redoubt-go/redoubt/audit/audittest"
)

// store is a sink that keeps deep copies.
type store struct {
	mu     sync.Mutex
	events []audit.Event
}

func (s *store) WriteEvents(_ context.Context, events []*audit.Event) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range events {
		var own audit.Event // by way of JSON, because attributes may refer to anything
		if err := own.UnmarshalJSON(e.AppendJSON(nil)); err != nil {
			return err
		}
		s.events = append(s.events, own)
	}
	return nil
}

func (s *store) stored() ([]audit.Event, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.events), nil
}

func TestSinksConform(t *testing.T) {
	refuses := audit.SinkFunc(func(context.Context, []*audit.Event) error { return errSink })
	buffer := func(c audit.BufferConfig) func(*testing.T) audittest.Subject {
		return func(*testing.T) audittest.Subject {
			s := &store{}
			c.Next = s
			b := audit.NewBuffer(c)
			return audittest.Subject{Sink: b, Stored: flushed(b, s)}
		}
	}
	for name, open := range map[string]func(*testing.T) audittest.Subject{
		"JSON": func(*testing.T) audittest.Subject {
			var out bytes.Buffer
			return audittest.Subject{
				Sink: audit.JSON(&out), Stored: func() ([]audit.Event, error) { return decodeLines(out.Bytes()) },
			}
		},
		"Slog": func(*testing.T) audittest.Subject {
			var out bytes.Buffer
			return audittest.Subject{
				Sink:   audit.Slog(slog.NewJSONHandler(&out, nil)),
				Stored: func() ([]audit.Event, error) { return decodeSlog(out.Bytes()) },
			}
		},
		"Quorum of all": func(*testing.T) audittest.Subject {
			a, b := &store{}, &store{}
			q := audit.NewQuorum(audit.QuorumConfig{Members: members(a, b)})
			return audittest.Subject{Sink: q, Stored: func() ([]audit.Event, error) {
				if x, y := fmt.Sprint(a.events), fmt.Sprint(b.events); len(x) != len(y) {
					return nil, errors.New("the sinks have different events")
				}
				return b.stored()
			}}
		},
		"Quorum of one": func(*testing.T) audittest.Subject {
			s := &store{}
			q := audit.NewQuorum(audit.QuorumConfig{Need: 1, Timeout: time.Minute, Members: members(refuses, s)})
			return audittest.Subject{Sink: q, Stored: s.stored}
		},
		"Buffer":           buffer(audit.BufferConfig{}),
		"Buffer, small":    buffer(audit.BufferConfig{Size: 1, MaxBatch: 2}),
		"Buffer, slow":     buffer(audit.BufferConfig{Size: 1000, Overflow: audit.Fail, Delay: time.Millisecond}),
		"Buffer, dropping": buffer(audit.BufferConfig{Size: 1000, Overflow: audit.Drop}),
		"Buffer before Quorum": func(*testing.T) audittest.Subject {
			s := &store{}
			q := audit.NewQuorum(audit.QuorumConfig{Timeout: -1, Members: members(s)})
			b := audit.NewBuffer(audit.BufferConfig{Next: q})
			return audittest.Subject{Sink: b, Stored: flushed(b, s)}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			audittest.Run(t, open)
		})
	}
}

func flushed(b *audit.Buffer, s *store) func() ([]audit.Event, error) {
	return func() ([]audit.Event, error) {
		if err := b.Flush(context.Background()); err != nil {
			return nil, err
		}
		return s.stored()
	}
}

func decodeLines(lines []byte) (events []audit.Event, err error) {
	for line := range bytes.Lines(lines) {
		var e audit.Event
		if err := e.UnmarshalJSON(line); err != nil {
			return nil, err
		}
		events = append(events, e)
	}
	return events, nil
}

// decodeSlog decodes the output of the JSON handler of slog.
func decodeSlog(lines []byte) (events []audit.Event, err error) {
	for line := range bytes.Lines(lines) {
		var flat map[string]json.RawMessage
		if err := json.Unmarshal(line, &flat); err != nil {
			return nil, err
		}
		e := audit.Event{}
		e.ID, e.Action, e.Outcome = textOf(flat["id"]), audit.Action(textOf(flat["action"])), audit.Outcome(textOf(flat["outcome"]))
		e.Actor = audit.Actor{ID: textOf(flat["actor"]), Type: textOf(flat["actor_type"]), Session: textOf(flat["session"]), OnBehalfOf: textOf(flat["on_behalf_of"])}
		e.Target = audit.Target{Type: textOf(flat["target_type"]), ID: textOf(flat["target"])}
		e.RequestID, e.Source, e.Reason, e.Code = textOf(flat["request_id"]), textOf(flat["source"]), textOf(flat["reason"]), audit.Code(textOf(flat["code"]))
		if e.Time, err = time.Parse(time.RFC3339Nano, textOf(flat["time"])); err != nil {
			return nil, err
		}
		for _, name := range []string{"name", "pin"} {
			c := audit.Change{}
			if err := json.Unmarshal(flat["change."+name], &c); err != nil {
				return nil, err
			}
			c.Field = name
			e.Changes = append(e.Changes, c)
		}
		var attrs audit.Event
		if err := attrs.UnmarshalJSON(fmt.Appendf(nil, `{"attrs":%s}`, flat["attrs"])); err != nil {
			return nil, err
		}
		e.Attrs = attrs.Attrs
		events = append(events, e)
	}
	return events, nil
}

func textOf(raw json.RawMessage) (s string) {
	_ = json.Unmarshal(raw, &s) // a missing key is empty
	return s
}

func TestStats(t *testing.T) {
	m := &memory{}
	l := audit.New(audit.Config{
		Name: "billing", Sink: m, MaxEvent: 64,
		Filter: func(e *audit.Event) bool { return e.Action != "health.check" },
	})
	e := audit.Event{Action: "a", Outcome: audit.Success}
	record := func(change func(*audit.Event), fail error) {
		m.fail = fail
		own := e
		change(&own)
		_ = l.Record(alice(), own)
	}
	record(func(*audit.Event) {}, nil)
	record(func(e *audit.Event) { e.Outcome = audit.Failure }, nil)
	record(func(e *audit.Event) { e.Outcome = audit.Denied }, nil)
	record(func(e *audit.Event) { e.Reason = strings.Repeat("x", 100) }, nil)
	record(func(e *audit.Event) { e.Action = "health.check" }, nil)
	record(func(e *audit.Event) { e.Action = "no name" }, nil)
	record(func(*audit.Event) {}, errSink)
	record(func(*audit.Event) {}, audit.ErrUncertain)
	cancelled, cancel := context.WithCancel(alice())
	cancel()
	_ = l.Record(cancelled, e) // is not counted
	want := audit.Stats{Name: "billing", Recorded: 4, Denied: 1, Failures: 1, Truncated: 1, Filtered: 1, Refused: 1, Failed: 1, Uncertain: 1}
	if got := l.Stats(); got != want {
		t.Errorf("stats %+v, want %+v", got, want)
	}
}

// A quiet read does not wait for a change that hangs in the sink. It returns
// the value before the change.
func TestQuietReadWaitsForNothing(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	l := newLog(audit.SinkFunc(func(context.Context, []*audit.Event) error {
		close(entered)
		<-release
		return nil
	}))
	f, _ := (&audit.Attribute[[]byte]{Name: "k", QuietRead: true}).Load(l.Object("o", "1"), []byte("old"))
	set := make(chan error)
	go func() { set <- f.Set(alice(), []byte("new")) }()
	<-entered
	v, err := f.Get(context.Background())
	if string(v) != "old" || err != nil {
		t.Errorf("read %q, %v, want the old value: nothing else is recorded yet", v, err)
	}
	v[0] = 'X' // a copy
	close(release)
	if err := <-set; err != nil {
		t.Error(err)
	}
	if v, _ := f.Get(alice()); string(v) != "new" {
		t.Errorf("read %q after the change", v)
	}
	cancelled, cancel := context.WithCancel(alice())
	cancel()
	_, err = f.Get(cancelled)
	checkIs(t, err, context.Canceled)
	_, err = (&audit.Attribute[int]{Name: "k", QuietRead: true}).Of(l.Object("o", "1")).Get(alice())
	checkIs(t, err, audit.ErrUnset)
	if n := l.Stats().Recorded; n != 1 {
		t.Errorf("%d events, want that of the change", n)
	}
}

// If a full buffer accepts a part of a batch, that part stays accepted, and the
// error reports it.
func TestBufferTakesPartOfABatch(t *testing.T) {
	g := newGate()
	b := audit.NewBuffer(audit.BufferConfig{Next: g, Size: 1, Overflow: audit.Fail})
	_ = b.WriteEvents(context.Background(), ev("held"))
	<-g.in
	err := b.WriteEvents(context.Background(), append(ev("in"), ev("out")...))
	checkIs(t, err, audit.ErrFull, audit.ErrUncertain)
	g.out <- nil
	g.out <- nil
	if err := b.Close(context.Background()); err != nil {
		t.Error(err)
	}
	if got := strings.Join(g.ids(), " "); got != "held in" {
		t.Errorf("written: %s", got)
	}
}

// brokenHandler accepts every level and stores nothing.
type brokenHandler struct{ slog.Handler }

func (brokenHandler) Enabled(context.Context, slog.Level) bool    { return true }
func (h brokenHandler) Handle(context.Context, slog.Record) error { return errSink }
func (h brokenHandler) WithAttrs([]slog.Attr) slog.Handler        { return h }
func (h brokenHandler) WithGroup(string) slog.Handler             { return h }
func shortWriter(p []byte) (int, error)                           { return len(p) - 1, nil }

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// An event that the handler or writer does not accept is not recorded.
func TestSinksPassFailuresOn(t *testing.T) {
	e := audit.Event{Action: "a", Outcome: "b"}
	checkIs(t, newLog(audit.Slog(brokenHandler{})).Record(alice(), e), audit.ErrFailed, errSink)
	checkIs(t, newLog(audit.JSON(writerFunc(shortWriter))).Record(alice(), e), audit.ErrFailed, io.ErrShortWrite)
}

func TestJSONKinds(t *testing.T) {
	e := audit.Event{Attrs: []slog.Attr{
		slog.Duration("d", 1500*time.Millisecond), slog.Time("t", time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)),
		slog.Float64("nan", math.NaN()), slog.Float64("inf", math.Inf(-1)), slog.Float64("whole", 2), slog.Bool("b", true),
	}}
	got := string(e.AppendJSON(nil))
	want := `,"attrs":{"d":"1.5s","t":"2026-01-02T03:04:05.000000006Z","nan":"NaN","inf":"-Inf","whole":2.0,"b":true}}`
	if !strings.HasSuffix(got, want) {
		t.Errorf("got %s, want the end %s", got, want)
	}
}

func TestSecretFromText(t *testing.T) {
	var s audit.Secret[string]
	var b audit.Secret[[]byte]
	var addr audit.Secret[netip.Addr]
	for name, err := range map[string]error{
		"string": s.UnmarshalText([]byte("hunter2")), "bytes": b.UnmarshalText([]byte("hunter2")), "text": addr.UnmarshalText([]byte("192.0.2.1")),
	} {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if s.Reveal() != "hunter2" || string(b.Reveal()) != "hunter2" || addr.Reveal() != netip.MustParseAddr("192.0.2.1") {
		t.Errorf("decoded %q, %q, %v", s.Reveal(), b.Reveal(), addr.Reveal())
	}
	err := addr.UnmarshalText([]byte("hunter2"))
	checkIs(t, err, audit.ErrInvalid)
	if strings.Contains(err.Error(), "hunter2") || addr.Reveal() != netip.MustParseAddr("192.0.2.1") {
		t.Errorf("error %v, secret %v", err, addr.Reveal())
	}
}

func TestDeniedErrorLogsItsData(t *testing.T) {
	var out bytes.Buffer
	err := &audit.DeniedError{Action: "a", Target: audit.Target{Type: "user", ID: "u-1"}, Err: audit.ErrDenied}
	slog.New(slog.NewJSONHandler(&out, nil)).Info("m", "err", err)
	if want := `"err":{"action":"a","target_type":"user","target":"u-1","code":"denied"}`; !strings.Contains(out.String(), want) {
		t.Errorf("logged %s, want %s", out.String(), want)
	}
}
