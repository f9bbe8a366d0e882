package audit_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"testing"
	"unsafe"

	"github.com/redoubt-go/redoubt/audit"
)

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
