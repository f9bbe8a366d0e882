package audit_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/redoubt-go/redoubt/audit"
)

type tree struct {
	Name  string
	Kids  []tree
	Index map[string]int
	Any   any
	when  time.Time
	deep  *tree
}

// attrText returns the text of a value as an attribute.
func attrText(v any) string {
	var e audit.Event
	if err := e.UnmarshalJSON((&audit.Event{Attrs: []slog.Attr{slog.Any("v", v)}}).AppendJSON(nil)); err != nil {
		panic(err)
	}
	return e.Attrs[0].Value.String()
}

// The oracle is package fmt.
func TestAttributesPrintAsFmtDoes(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	inner := &tree{Name: "inner"}
	for _, v := range []any{
		struct{}{},
		[]int{1, -2},
		[]string{"a b", ""},
		[2]bool{true},
		[]byte("ab"),
		map[string]int{"b": 2, "a": 1},
		map[bool]any{true: nil},
		tree{Name: "n", Kids: []tree{{Name: "k"}}, Index: map[string]int{"x": 1}, Any: []any{1, "s", nil, at}, when: at, deep: inner},
		inner, &[]int{1}, &map[string]int{"a": 1}, new(3), errors.New("e"),
		[]error{io.EOF, nil},
		3 + 4i, uintptr(7),
		[][]string{{"a"}, nil},
		(*tree)(nil),
		struct{ e error }{io.EOF},
		audit.NewSecret("x"),
		struct{ s audit.Secret[string] }{},
		angle{},
	} {
		checkEqual(t, attrText(v), fmt.Sprintf("%+v", v))
	}
}

type angle struct{}

func (angle) Format(s fmt.State, verb rune) { fmt.Fprintf(s, "<%c>", verb) }

// The memory for a value depends on the bound of its text, not on the value,
// and cyclic values end.
func TestHugeAttributesAreBounded(t *testing.T) {
	cyclicList := []any{nil}
	cyclicList[0] = cyclicList
	cyclicMap := map[string]any{}
	cyclicMap["k"] = cyclicMap
	cyclicMap["l"] = cyclicMap
	numbers := map[int]string{}
	for i := range 100_000 {
		numbers[i] = "x"
	}
	for name, v := range map[string]any{
		"bytes": make([]byte, 20<<20), "strings": strings.Split(strings.Repeat("x,", 1<<20), ","), "map": numbers,
		"struct": tree{Name: strings.Repeat("n", 20<<20)}, "list in itself": cyclicList, "map in itself": cyclicMap,
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			m := &memory{}
			if err := newLog(m).Record(alice(), audit.Event{Action: "a", Outcome: "b", Attrs: []slog.Attr{slog.Any("v", v)}}); err != nil {
				t.Fatal(err)
			}
			runtime.ReadMemStats(&after)
			if got := after.TotalAlloc - before.TotalAlloc; got > 2<<20 {
				t.Errorf("%d KiB allocated", got>>10)
			}
			if n := len(m.events[0].Attrs[0].Value.String()); n > 4<<10 || !m.events[0].Truncated {
				t.Errorf("%d bytes of text, truncated %v", n, m.events[0].Truncated)
			}
		})
	}
}

// A logValuer runs code of its own while an event is recorded.
type logValuer func() slog.Value

func (f logValuer) LogValue() slog.Value { return f() }

// An attribute may use the log that records it: no sink of this package holds a
// lock while attributes are encoded.
func TestAttributesMayUseTheLog(t *testing.T) {
	for name, use := range map[string]func(*audit.Log, audit.Sink, audit.Event){
		"through the log":  func(l *audit.Log, _ audit.Sink, e audit.Event) { _ = l.Record(alice(), e) },
		"through the sink": func(_ *audit.Log, s audit.Sink, e audit.Event) { _ = s.WriteEvents(alice(), []*audit.Event{&e}) },
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			sink := audit.JSON(&out)
			l := newLog(sink)
			f, _ := (&audit.Attribute[string]{Name: "key"}).Load(l.Object("user", "1"), "v")
			self := logValuer(func() slog.Value { v, _ := f.Get(alice()); return slog.StringValue(v) })
			exits := logValuer(func() slog.Value { runtime.Goexit(); return slog.Value{} })
			done := make(chan struct{})
			go func() {
				defer close(done)
				use(l, sink, audit.Event{Action: "a", Outcome: "b", Attrs: []slog.Attr{slog.Group("g", slog.Any("user", self))}})
			}()
			select {
			case <-done:
			case <-time.After(10 * time.Second):
				t.Fatal("deadlock")
			}
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				use(l, sink, audit.Event{Action: "c", Outcome: "b", Attrs: []slog.Attr{slog.Any("x", exits)}})
			}()
			<-ended
			func() { // a nil event is a mistake of the caller
				defer func() { _ = recover() }()
				_ = sink.WriteEvents(context.Background(), []*audit.Event{nil})
			}()
			if err := l.Record(alice(), audit.Event{Action: "d", Outcome: "b"}); err != nil {
				t.Error(err)
			}
			if got := strings.Count(out.String(), "\n"); got != 3 {
				t.Errorf("%d lines, want the read and two events: %s", got, out.String())
			}
		})
	}
}

// Seventeen small values fit, and a value that does not fit takes nothing else
// with it.
func TestSmallAttributesSurvive(t *testing.T) {
	var attrs []slog.Attr
	for i := range 20 {
		attrs = append(attrs, slog.Any(fmt.Sprint("k", i), []string{"short"}))
	}
	huge := slog.Group("huge")
	for range 17 {
		huge.Value = slog.GroupValue(append(huge.Value.Group(), slog.String("k", strings.Repeat("x", 4<<10)))...)
	}
	m := &memory{}
	l := newLog(m)
	_ = l.Record(alice(), audit.Event{Action: "a", Outcome: "b", Attrs: append(attrs, slog.Int("ticket", 7))})
	_ = l.Record(alice(), audit.Event{Action: "a", Outcome: "b", Attrs: []slog.Attr{huge, slog.Int("ticket", 7)}})
	if e := m.events[0]; len(e.Attrs) != 21 || e.Truncated || e.Attrs[3].Value.String() != "[short]" {
		t.Errorf("%d attributes, truncated %v", len(e.Attrs), e.Truncated)
	}
	if e := m.events[1]; len(e.Attrs) != 1 || !e.Truncated || e.Attrs[0].Key != "ticket" {
		t.Errorf("%d attributes, truncated %v", len(e.Attrs), e.Truncated)
	}
}
