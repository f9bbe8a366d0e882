package audit_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/google/go-cmp/cmp"

	"github.com/redoubt-go/redoubt/audit"
)

// memory is a sink that keeps copies, and fails on demand.
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

// brief is the events as "action outcome code old>new" lines.
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

func checkEvents(t *testing.T, m *memory, want ...string) {
	t.Helper()
	if d := cmp.Diff(want, m.brief()); d != "" {
		t.Errorf("events (-want +got):\n%s", d)
	}
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
	if d := cmp.Diff(e, got, cmp.Comparer(func(a, b slog.Attr) bool { return a.Equal(b) })); d != "" {
		t.Errorf("event (-want +got):\n%s", d)
	}
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

// ---- Traps 1, 2 and 3: see leak_test.go for the surfaces.

func TestMaskRevealsNothingOfShortValues(t *testing.T) {
	last4 := audit.Last(4)
	for _, c := range []struct{ in, want string }{
		{"", "***"},
		{"1234", "***"},
		{"123456789012345", "***"},
		{"1234567890123456", "***3456"},
		{"ääääääääääääääöö", "***ääöö"},
		{strings.Repeat("é", 15), "***"},
	} {
		if got := last4(c.in); got != c.want {
			t.Errorf("Last(4)(%q) = %q, want %q", c.in, got, c.want)
		}
	}
	if got := audit.Last(5)("1234567890123456"); got != "***" {
		t.Errorf("more than a quarter shown: %q", got)
	}
	if got := audit.Last(-1)(strings.Repeat("x", 99)); got != "***" {
		t.Errorf("negative count shows %q", got)
	}
	o := newLog(&memory{}).Object("user", "1")
	pin, _ := (&audit.Attribute[int]{Name: "pin", Sensitive: true}).Load(o, 1234)
	yes, _ := (&audit.Attribute[bool]{Name: "yes", Sensitive: true}).Load(o, true)
	if pin.Masked() != "***" || yes.Masked() != "***" {
		t.Errorf("masks %q and %q, want ***", pin.Masked(), yes.Masked())
	}
}

type nosy string

func (nosy) String() string { return "nosy" }

func TestMaskOrCheckThatMisbehaves(t *testing.T) {
	o := newLog(&memory{}).Object("user", "1")
	for name, mask := range map[string]func(string) string{
		"panics":    func(s string) string { panic(s) },
		"plaintext": func(s string) string { return s },
		"contains":  func(s string) string { return "it is " + s + "!" },
	} {
		t.Run(name, func(t *testing.T) {
			f, _ := (&audit.Attribute[string]{Name: "key", Sensitive: true, Mask: mask}).Load(o, "hunter2")
			if got := f.Masked(); got != "***" {
				t.Errorf("mask = %q, want ***", got)
			}
		})
	}
	named, _ := (&audit.Attribute[nosy]{Name: "key", Sensitive: true, Mask: func(s nosy) string { return string(s) }}).Load(o, "hunter2")
	bytesToo, _ := (&audit.Attribute[[]byte]{Name: "key", Sensitive: true, Mask: func(b []byte) string { return string(b) }}).Load(o, []byte("hunter2"))
	if named.Masked() != "***" || bytesToo.Masked() != "***" {
		t.Errorf("masks %q and %q, want ***", named.Masked(), bytesToo.Masked())
	}
	m := &memory{}
	bad := audit.Attribute[string]{Name: "key", Sensitive: true, Check: func(s string) error { panic(s) }}
	err := bad.Of(newLog(m).Object("user", "1")).Set(alice(), "hunter2")
	checkIs(t, err, audit.ErrInvalid)
	if strings.Contains(err.Error(), "hunter2") {
		t.Errorf("error shows the value: %v", err)
	}
	checkEvents(t, m, "create failure invalid >")
}

type checkError struct{ value string }

func (e checkError) Error() string { return "bad value " + e.value }

func TestErrorsNeverContainTheValue(t *testing.T) {
	check := func(s string) error { return checkError{s} }
	hidden := audit.Attribute[string]{Name: "key", Sensitive: true, Check: check}
	err := hidden.Of(newLog(&memory{}).Object("user", "u-1")).Set(alice(), "hunter2")
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%T", "%p"} {
		if got := fmt.Sprintf(verb, err); strings.Contains(got, "hunter2") || strings.Contains(got, fmt.Sprintf("%x", "hunter2")) {
			t.Errorf("%s shows the value: %s", verb, got)
		}
	}
	type holder struct{ e error }
	if got := fmt.Sprintf("%+v %#v", holder{err}, &holder{err}); strings.Contains(got, "hunter2") {
		t.Errorf("a struct with the error shows the value: %s", got)
	}
	js, _ := json.Marshal(err)
	if strings.Contains(string(js), "hunter2") {
		t.Errorf("JSON shows the value: %s", js)
	}
	var ce checkError
	var fe *audit.FieldError
	if !errors.As(err, &ce) || ce.value != "hunter2" || !errors.As(err, &fe) {
		t.Errorf("causes not reachable in %v", err)
	}
	if got, want := err.Error(), "audit: user.key: invalid"; got != want {
		t.Errorf("error %q, want %q", got, want)
	}
	open := audit.Attribute[string]{Name: "name", Check: check}
	err = open.Of(newLog(&memory{}).Object("user", "u-1")).Set(alice(), "x\n")
	if got, want := err.Error(), `audit: user.name: invalid: "bad value x\n"`; got != want {
		t.Errorf("error %q, want %q", got, want)
	}
}

func TestMaskIsNotDecodedAsSecret(t *testing.T) {
	s := audit.NewSecret("old")
	checkIs(t, s.UnmarshalText([]byte("***")), audit.ErrInvalid)
	checkIs(t, json.Unmarshal([]byte(`"***"`), &s), audit.ErrInvalid)
	checkIs(t, json.Unmarshal([]byte(`"\u002a**"`), &s), audit.ErrInvalid)
	if s.Reveal() != "old" {
		t.Errorf("secret became %q", s.Reveal())
	}
	var n audit.Secret[int]
	err := n.UnmarshalJSON([]byte(`"hunter2"`))
	checkIs(t, err, audit.ErrInvalid)
	if strings.Contains(err.Error(), "hunter2") {
		t.Errorf("error shows the value: %v", err)
	}
	checkIs(t, n.UnmarshalText([]byte("1")), errors.ErrUnsupported)
	if err := n.UnmarshalJSON([]byte("7")); err != nil || n.Reveal() != 7 {
		t.Errorf("decoded %d, %v", n.Reveal(), err)
	}
	f, _ := (&audit.Attribute[string]{Name: "key"}).Load(newLog(&memory{}).Object("user", "1"), "old")
	checkIs(t, f.UnmarshalText([]byte("new")), errors.ErrUnsupported)
	checkIs(t, json.Unmarshal([]byte(`"new"`), &f), errors.ErrUnsupported)
	if f.Masked() != "old" {
		t.Errorf("field became %q", f.Masked())
	}
}

func TestFieldsAreHandles(t *testing.T) {
	type user struct{ Key audit.Field[string] }
	key := audit.Attribute[string]{Name: "key"}
	u := user{key.Of(newLog(&memory{}).Object("user", "1"))}
	u2 := u
	if err := u.Key.Set(alice(), "v"); err != nil {
		t.Fatal(err)
	}
	if u2.Key.Masked() != "v" || u2.Key != u.Key {
		t.Errorf("copy holds %q", u2.Key.Masked())
	}
	var zero audit.Field[string]
	_, err := zero.Get(alice())
	checkIs(t, err, audit.ErrUnbound)
	checkIs(t, zero.Set(alice(), "v"), audit.ErrUnbound)
	checkIs(t, zero.Delete(alice()), audit.ErrUnbound)
	if got := fmt.Sprint(zero); got != "<unbound>" || zero.IsSet() {
		t.Errorf("zero field prints %q", got)
	}
	_, err = key.Load(nil, "v")
	checkIs(t, err, audit.ErrUnbound)
	_, err = (&audit.Attribute[string]{Name: "two words"}).Load(newLog(&memory{}).Object("user", "1"), "v")
	checkIs(t, err, audit.ErrInvalid)
	checkIs(t, key.Of(newLog(&memory{}).Object("", "1")).Set(alice(), "v"), audit.ErrInvalid)
}

func TestReferencesAreCloned(t *testing.T) {
	o := newLog(&memory{}).Object("user", "1")
	raw := []byte("secret")
	f := (&audit.Attribute[[]byte]{Name: "raw"}).Of(o)
	if err := f.Set(alice(), raw); err != nil {
		t.Fatal(err)
	}
	raw[0] = 'X'
	got, _ := f.Get(alice())
	got[1] = 'Y'
	if again, _ := f.Get(alice()); string(again) != "secret" {
		t.Errorf("value became %q", again)
	}
	err := f.Update(alice(), func(old []byte, _ bool) ([]byte, error) {
		old[0] = 'Z'
		return nil, errSink
	})
	checkIs(t, err, errSink)
	if again, _ := f.Get(alice()); string(again) != "secret" {
		t.Errorf("value became %q in a failed update", again)
	}
	tags := audit.Attribute[map[string]int]{Name: "tags", Clone: func(m map[string]int) map[string]int {
		c := map[string]int{}
		for k, v := range m {
			c[k] = v
		}
		return c
	}}
	src := map[string]int{"a": 1}
	g, _ := tags.Load(o, src)
	src["a"] = 2
	if v, _ := g.Get(alice()); v["a"] != 1 {
		t.Errorf("map became %v", v)
	}
}

func TestSecretEqual(t *testing.T) {
	s := audit.NewSecret[string]
	if !s("a").Equal(s("a")) || s("a").Equal(s("b")) || s("a").Equal(s("aa")) || s("").Equal(s("a")) {
		t.Error("string secrets compare wrongly")
	}
	b := func(v []byte) audit.Secret[[]byte] { return audit.NewSecret(v) }
	if !b([]byte("a")).Equal(b([]byte("a"))) || b([]byte("a")).Equal(b(nil)) || !b([]byte{}).Equal(b(nil)) {
		t.Error("byte secrets compare wrongly")
	}
	if n := audit.NewSecret[nosy]; n("x").Equal(n("y")) {
		t.Error("named strings are compared by their String method")
	}
	if i := audit.NewSecret[int]; !i(1).Equal(i(1)) || i(1).Equal(i(2)) || !i(0).Equal(audit.Secret[int]{}) {
		t.Error("integer secrets compare wrongly")
	}
}

func TestFieldFailsClosed(t *testing.T) {
	m := &memory{}
	f, _ := (&audit.Attribute[string]{Name: "key"}).Load(newLog(m).Object("user", "1"), "old")
	m.fail = errSink
	v, err := f.Get(alice())
	checkIs(t, err, audit.ErrFailed, errSink)
	if v != "" {
		t.Errorf("Get returned %q without a record", v)
	}
	checkIs(t, f.Set(alice(), "new"), audit.ErrFailed, errSink)
	checkIs(t, f.Delete(alice()), audit.ErrFailed)
	m.hook = func(context.Context) { panic("boom") }
	func() {
		defer func() {
			if r := recover(); r != "boom" {
				t.Errorf("recovered %v, want boom", r)
			}
		}()
		_ = f.Set(alice(), "new")
	}()
	if f.Masked() != "old" {
		t.Errorf("value became %q", f.Masked())
	}
	m.hook, m.fail = nil, nil
	if err := f.Set(alice(), "new"); err != nil || f.Masked() != "new" {
		t.Errorf("field is stuck: %v, %q", err, f.Masked())
	}
}

func TestUpdateIsOneEvent(t *testing.T) {
	m := &memory{}
	f, _ := (&audit.Attribute[int]{Name: "n"}).Load(newLog(m).Object("counter", "1"), 0)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 25 {
				if err := f.Update(alice(), func(n int, _ bool) (int, error) { return n + 1, nil }); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if f.Masked() != "200" || len(m.events) != 200 {
		t.Fatalf("value %s after %d events, want 200 and 200", f.Masked(), len(m.events))
	}
	for i, e := range m.events {
		if c := e.Changes[0]; c.Old != fmt.Sprint(i) || c.New != fmt.Sprint(i+1) {
			t.Fatalf("event %d is %s>%s", i, c.Old, c.New)
		}
	}
}

func TestUpdateThatFailsIsRecorded(t *testing.T) {
	m := &memory{}
	f := (&audit.Attribute[int]{Name: "n"}).Of(newLog(m).Object("counter", "1"))
	checkIs(t, f.Update(alice(), func(int, bool) (int, error) { return 1, errSink }), errSink)
	func() {
		defer func() { _ = recover() }()
		_ = f.Update(alice(), func(int, bool) (int, error) { panic("boom") })
	}()
	ran := make(chan struct{})
	go func() {
		defer close(ran)
		_ = f.Update(alice(), func(int, bool) (int, error) { runtime.Goexit(); return 1, nil })
	}()
	<-ran
	checkEvents(t, m, "create failure failed >", "create failure panic >", "create failure panic >")
	if err := f.Set(alice(), 2); err != nil {
		t.Errorf("field is stuck: %v", err)
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
	if d := cmp.Diff([]audit.Actor{{Type: "anonymous"}, {ID: "bob", OnBehalfOf: "alice"}}, got); d != "" {
		t.Errorf("actors (-want +got):\n%s", d)
	}
}

func TestRefusalsAreEvents(t *testing.T) {
	m := &memory{}
	key := audit.Attribute[string]{Name: "key", Check: audit.Length(8, 64)}
	f := key.Of(newLog(m).Object("user", "1"))
	err := f.Set(alice(), "short")
	checkIs(t, err, audit.ErrInvalid)
	if got, want := err.Error(), "audit: user.key: invalid: length not in 8..64"; got != want {
		t.Errorf("error %q, want %q", got, want)
	}
	checkEvents(t, m, "create failure invalid >")
	checkIs(t, f.Delete(alice()), audit.ErrUnset)
	_, err = f.Get(alice())
	checkIs(t, err, audit.ErrUnset)
	if len(m.events) != 1 {
		t.Errorf("%d events, want 1: nothing was read or deleted", len(m.events))
	}
	m.fail = errSink
	checkIs(t, f.Set(alice(), "short"), audit.ErrInvalid, audit.ErrFailed)
}

func TestGuard(t *testing.T) {
	no := errors.New("no")
	backend := errors.New("directory is down")
	has := func(ok bool, err error) func(context.Context) error {
		return audit.Permission("deploy", func(context.Context, audit.Actor, string) (bool, error) { return ok, err })
	}
	for _, c := range []struct {
		name  string
		ctx   context.Context
		allow func(context.Context) error
		fnErr error
		is    []error
		retry bool
		want  []string
	}{
		{"allowed", alice(), has(true, nil), nil, nil, false, []string{"d attempt", "d success"}},
		{"default allows the known", alice(), nil, nil, nil, false, []string{"d attempt", "d success"}},
		{"work fails", alice(), has(true, nil), no, []error{no}, false, []string{"d attempt", "d failure failed"}},
		{"denied", alice(), has(false, nil), nil, []error{audit.ErrDenied}, false, []string{"d denied denied"}},
		{"undecided", alice(), has(true, backend), nil, []error{audit.ErrDenied, backend}, true, []string{"d denied undecided"}},
		{"stranger", context.Background(), nil, nil, []error{audit.ErrDenied, audit.ErrNoActor}, false, []string{"d denied no_actor"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := &memory{}
			g := audit.Guard{Log: newLog(m), Action: "d", Allow: c.allow}
			ran := false
			v, err := audit.Wrap(g, func(context.Context) (int, error) { ran = true; return 7, c.fnErr })(c.ctx)
			checkIs(t, err, c.is...)
			if (err == nil) != (c.is == nil) || ran != (len(c.want) == 2) || ran != (v == 7) {
				t.Errorf("ran %v, value %d, error %v", ran, v, err)
			}
			var d *audit.DeniedError
			if errors.As(err, &d) && (!d.Rejected() || d.Retryable() != c.retry) {
				t.Errorf("Rejected %v, Retryable %v", d.Rejected(), d.Retryable())
			}
			checkEvents(t, m, c.want...)
			if ran && m.events[1].Attrs[0].Value.String() != m.events[0].ID {
				t.Error("the outcome does not name its attempt")
			}
		})
	}
}

func TestGuardFaults(t *testing.T) {
	m := &memory{fail: errSink}
	g := audit.Guard{Log: newLog(m), Action: "d"}
	err := g.Do(alice(), func(context.Context) error { t.Error("ran unrecorded"); return nil })
	checkIs(t, err, audit.ErrFailed)
	g.Allow = func(context.Context) error { return audit.ErrDenied }
	checkIs(t, g.Do(alice(), nil), audit.ErrDenied, audit.ErrFailed)

	m.fail, g.Allow = nil, nil
	v, err := audit.Do(alice(), g, func(context.Context) (int, error) { m.fail = errSink; return 7, nil })
	checkIs(t, err, audit.ErrFailed)
	if v != 7 {
		t.Errorf("result %d of work that was done, want 7", v)
	}
	m.fail = nil
	func() {
		defer func() {
			if r := recover(); r != "boom" {
				t.Errorf("recovered %v, want boom", r)
			}
		}()
		_ = g.Do(alice(), func(context.Context) error { panic("boom") })
	}()
	ctx, cancel := context.WithCancel(alice())
	_ = g.Do(ctx, func(context.Context) error { cancel(); return nil })
	checkIs(t, g.Do(ctx, nil), context.Canceled)
	checkEvents(t, m, "d attempt", "d attempt", "d failure panic", "d attempt", "d success")
}

func TestGuardIsChecked(t *testing.T) {
	m := &memory{}
	for name, g := range map[string]audit.Guard{
		"no log":      {Action: "a"},
		"no action":   {Log: newLog(m)},
		"target type": {Log: newLog(m), Action: "a", Target: audit.Target{Type: "two words"}},
	} {
		t.Run(name, func(t *testing.T) {
			err := g.Do(alice(), func(context.Context) error { t.Error("ran"); return nil })
			checkIs(t, err, audit.ErrInvalid)
			if want := g.Validate(); err == nil || err.Error() != want.Error() {
				t.Errorf("error %v, want the error of Validate, %v", err, want)
			}
		})
	}
	err := (audit.Guard{Target: audit.Target{Type: " "}}).Validate()
	if got := strings.Count(err.Error(), "audit: guard: "); got != 3 {
		t.Errorf("%d problems in %q, want 3", got, err)
	}
	if len(m.events) != 0 {
		t.Errorf("%d events, want none", len(m.events))
	}
}

func TestWrapArgPassesTheArgument(t *testing.T) {
	m := &memory{}
	g := audit.Guard{Log: newLog(m), Action: "a"}
	double := audit.WrapArg(g, func(_ context.Context, n int) (int, error) { return 2 * n, nil })
	if v, err := double(alice(), 21); v != 42 || err != nil {
		t.Errorf("got %d, %v", v, err)
	}
	_, err := double(context.Background(), 21)
	checkIs(t, err, audit.ErrDenied, audit.ErrNoActor)
	checkEvents(t, m, "a attempt", "a success", "a denied no_actor")
}

func TestChecks(t *testing.T) {
	length := audit.Length(2, 3)
	between := audit.Between(1.0, 2.0)
	nan := between(0 / func() float64 { return 0 }())
	for name, err := range map[string]error{
		"runes": length("äöü"), "min": length("ab"), "invalid UTF-8": length("\xff\xfe"),
		"low": between(1), "high": between(2),
		"match": audit.Match(regexp.MustCompile("^a"))("ab"), "one of": audit.OneOf(1, 2)(2),
		"every": audit.All(length, audit.OneOf("ab"))("ab"), "every of nothing": audit.All[int]()(1),
	} {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, err := range map[string]error{
		"too many runes": length("äöüß"), "too few": length("ä"),
		"below": between(0.999), "above": between(2.001), "NaN": nan,
		"no match": audit.Match(regexp.MustCompile("^a"))("ba"), "none of": audit.OneOf(1, 2)(3),
		"every": audit.All(length, audit.OneOf("ab"))("cd"),
	} {
		if !errors.Is(err, audit.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	e := audit.Event{Reason: "a\xffb"}
	if got := string(e.AppendJSON(nil)); !strings.Contains(got, `a\ufffdb`) {
		t.Errorf("invalid UTF-8 written as %s", got)
	}
}

func TestTextsCannotForgeLines(t *testing.T) {
	var bad strings.Builder
	for r := range rune(0xa0) {
		if r < 0x20 || r >= 0x7f || r == '"' || r == '\\' {
			bad.WriteRune(r)
		}
	}
	for _, r := range []rune{0x2028, 0x2029, 0x202a, 0x202e, 0x2066, 0x2069, 0x200e, 0x200f, 0x061c} {
		bad.WriteRune(r)
	}
	text := bad.String()
	e := audit.Event{
		Action: "a", Outcome: "b", Actor: audit.Actor{ID: text}, Target: audit.Target{ID: text}, Reason: text,
		Changes: []audit.Change{{Field: text, Old: text, New: text}},
		Attrs:   []slog.Attr{slog.String(text, text), slog.String("action", "fake"), slog.Group("g", text, text)},
	}
	line := e.AppendJSON(nil)
	for _, r := range string(line) {
		if r < 0x20 || r >= 0x7f {
			t.Fatalf("rune %U is not escaped", r)
		}
	}
	var back audit.Event
	if err := json.Unmarshal(line, &back); err != nil {
		t.Fatal(err)
	}
	if back.Action != "a" || back.Reason != text || back.Attrs[0].Key != text || back.Changes[0].New != text {
		t.Errorf("not lossless: %s", line)
	}
}

func TestNoRepeatedKeys(t *testing.T) {
	e := audit.Event{Attrs: []slog.Attr{
		slog.Int("k", 1), slog.Int("k", 2), slog.Int("\xff", 3), slog.Int("\xfe", 4), slog.Int("", 5),
	}}
	got := string(e.AppendJSON(nil))
	if want := `"attrs":{"k":1,"\ufffd":3,"":5},"truncated":true}`; !strings.HasSuffix(got, want) {
		t.Errorf("got %s, want the end %s", got, want)
	}
}

func TestEventIsBounded(t *testing.T) {
	huge := strings.Repeat("\x01", 1<<20)
	deep := slog.IntValue(1)
	for range 50 {
		deep = slog.GroupValue(slog.Attr{Key: "g", Value: deep})
	}
	many := make([]slog.Attr, 1000)
	for i := range many {
		many[i] = slog.Int(fmt.Sprint(i), i)
	}
	big := make([]slog.Attr, 200)
	for i := range big {
		big[i] = slog.String(fmt.Sprint(i), huge)
	}
	for name, e := range map[string]audit.Event{
		"texts": {
			ID: huge, Action: audit.Action(huge), Outcome: audit.Outcome(huge), RequestID: huge, Source: huge, Reason: huge, Code: audit.Code(huge),
			Actor: audit.Actor{huge, huge, huge, huge}, Target: audit.Target{huge, huge}, Changes: []audit.Change{{huge, huge, huge, true}}, Attrs: big,
		},
		"depth":   {Attrs: []slog.Attr{{Key: "g", Value: deep}}},
		"many":    {Attrs: many},
		"changes": {Changes: make([]audit.Change, 100_000)},
		"any":     {Attrs: []slog.Attr{slog.Any("a", struct{ S string }{huge})}},
	} {
		var logged bytes.Buffer
		if err := audit.Slog(slog.NewJSONHandler(&logged, nil)).WriteEvents(alice(), []*audit.Event{&e}); err != nil ||
			logged.Len() > 1<<20 || !bytes.HasSuffix(logged.Bytes(), []byte(`"truncated":true}`+"\n")) {
			t.Errorf("%s: %d bytes for slog, error %v", name, logged.Len(), err)
		}
		line := e.AppendJSON(nil)
		if len(line) > 1<<20 || !json.Valid(line) || !bytes.HasSuffix(line, []byte(`,"truncated":true}`)) {
			t.Errorf("%s: %d bytes, valid %v, end %s", name, len(line), json.Valid(line), line[len(line)-30:])
		}
	}
	euro := audit.Event{Reason: strings.Repeat("€", 4096)}
	var back audit.Event
	if err := back.UnmarshalJSON(euro.AppendJSON(nil)); err != nil || strings.Trim(back.Reason, "€") != "" {
		t.Errorf("a rune was split: %v", err)
	}
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

// A sink that is asked again sees the same event, by which stores recognise it.
func TestIDsSurviveARetry(t *testing.T) {
	var ids []string
	l := newLog(audit.SinkFunc(func(_ context.Context, events []*audit.Event) error {
		for range 3 { // what a retry around the sink does
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

func TestTimeHasFixedWidth(t *testing.T) {
	zone := time.FixedZone("x", 3600)
	for want, in := range map[string]time.Time{
		"2026-01-02T02:04:05.000000000Z": time.Date(2026, 1, 2, 3, 4, 5, 0, zone),
		"2026-01-02T03:04:05.120000000Z": time.Date(2026, 1, 2, 3, 4, 5, 12e7, time.UTC),
		"0001-01-01T00:00:00.000000000Z": time.Date(12026, 1, 2, 3, 4, 5, 0, time.UTC),
	} {
		e := audit.Event{Time: in}
		if got := string(e.AppendJSON(nil)); got != `{"time":"`+want+`"}` {
			t.Errorf("got %s, want %s", got, want)
		}
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

// ---- sinks

// scriptWriter answers each Write with the next of its limits; -1 is all.
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
	if d := cmp.Diff(want, w.out.String()); d != "" {
		t.Errorf("output (-want +got):\n%s", d)
	}
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
	if d := cmp.Diff(want, out.String()); d != "" {
		t.Errorf("output (-want +got):\n%s", d)
	}
	deaf := newLog(audit.Slog(slog.NewTextHandler(io.Discard, &slog.HandlerOptions{Level: slog.LevelError})))
	checkIs(t, deaf.Record(alice(), audit.Event{Action: "a", Outcome: "b"}), audit.ErrFailed)
}

func TestDecodeRefuses(t *testing.T) {
	for _, in := range []string{``, `[]`, `{"time":1}`, `{"attrs":[]}`, `{"attrs":{"a":null}}`, `{"attrs":{"a":[1]}}`, `{"attrs":1}`, `{"attrs":{"a":1e999}}`} {
		var e audit.Event
		if err := e.UnmarshalJSON([]byte(in)); err == nil {
			t.Errorf("%s is taken", in)
		}
	}
}

// One event costs two allocations, its ID and the sink's context, apart from
// what the sink needs; and one where neither timeout nor cancellation asks for
// a context.
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

func TestSizes(t *testing.T) {
	if got := unsafe.Sizeof(audit.Field[string]{}); got != unsafe.Sizeof(uintptr(0)) {
		t.Errorf("a Field has %d bytes, want one pointer", got)
	}
	f, _ := (&audit.Attribute[int]{Name: "n"}).Load(newLog(&memory{}).Object("o", "1"), 1)
	s := audit.NewSecret(1)
	sum := 0
	if n := testing.AllocsPerRun(100, func() {
		if f.IsSet() {
			sum += s.Reveal()
		}
	}); n != 0 {
		t.Errorf("IsSet and Reveal allocate %v times", n)
	}
	e := audit.Event{Action: "a", Outcome: "b", Reason: "plain", Attrs: []slog.Attr{slog.Int("n", 1)}}
	buf := make([]byte, 0, 1024)
	if n := testing.AllocsPerRun(100, func() { buf = e.AppendJSON(buf[:0]) }); n != 0 {
		t.Errorf("AppendJSON allocates %v times", n)
	}
}
