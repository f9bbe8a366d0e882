package audit_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/redoubt-go/redoubt/audit"
)

type contact struct {
	Email string `audit:"email"`
}

func TestDiff(t *testing.T) {
	m := &memory{}
	l := tokenLog(m, keyNew)
	o := l.Object("profile", "1")
	before := profile{contact: contact{"a@x"}, Phone: "123", Key: []byte("k"), Tags: []string{"a"}, Session: "s"}
	after := before
	if cs, err := o.Diff(alice(), before, &after); err != nil || cs != nil || len(m.events) != 0 {
		t.Errorf("no change: %v, %v, %d events", cs, err, len(m.events))
	}
	before.Age, before.Since = new(41), time.Now()
	after.Age, after.Since = new(41), before.Since.UTC().Round(0) // the same number and instant
	if cs, err := o.Diff(alice(), before, &after); err != nil || cs != nil {
		t.Errorf("no change behind pointers: %v, %v", cs, err)
	}
	before.Age, after.Since = nil, before.Since
	after.Email, after.Phone, after.Key, after.Age, after.Session = "b@x", "456", []byte("l"), new(42), "t"
	cs, err := o.Diff(alice(), &before, &after)
	want := []audit.Change{
		{Field: "email", Old: "a@x", New: "b@x"},
		{Field: "phone", Old: "***", New: "***", Sensitive: true},
		{Field: "key", Old: l.Tokens("profile.key", "k")[0], New: l.Tokens("profile.key", "l")[0], Sensitive: true},
		{Field: "age", Old: "<nil>", New: "42"},
	}
	if d := cmp.Diff(want, cs); d != "" || err != nil {
		t.Errorf("%v, changes (-want +got):\n%s", err, d)
	}
	_, _ = o.Diff(alice(), nil, contact{"c"})
	_, _ = o.Diff(alice(), &contact{"c"}, (*contact)(nil))
	if got := m.brief()[1:]; cmp.Diff([]string{"create success >c", "delete success c>"}, got) != "" {
		t.Errorf("events %q", got)
	}
	m.fail = errSink
	cs, err = o.Diff(alice(), before, after)
	checkIs(t, err, audit.ErrFailed)
	if cs != nil {
		t.Errorf("changes %v that were not recorded", cs)
	}
}

func TestDiffRefuses(t *testing.T) {
	o := newLog(&memory{}).Object("o", "1")
	for name, pair := range map[string][2]any{
		"nothing":   {nil, nil},
		"numbers":   {1, 2},
		"two types": {contact{}, profile{}},
		"bad name": {struct {
			A int `audit:"two words"`
		}{1}, struct {
			A int `audit:"two words"`
		}{2}},
		"bad option": {struct {
			A int `audit:"a,secret"`
		}{1}, struct {
			A int `audit:"a,secret"`
		}{2}},
		"unexported": {struct {
			a int `audit:"a"`
		}{1}, struct {
			a int `audit:"a"`
		}{2}},
		"name twice": {struct {
			A, B int `audit:"a"`
		}{1, 2}, struct {
			A, B int `audit:"a"`
		}{2, 3}},
		"through a nil": {struct{ *Contact }{}, struct{ *Contact }{&Contact{"x"}}},
	} {
		_, err := o.Diff(alice(), pair[0], pair[1])
		if !errors.Is(err, audit.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := o.Diff(context.Background(), contact{"a"}, contact{"b"})
	checkIs(t, err, audit.ErrNoActor)
}

// A Contact is embedded as a pointer.
type Contact struct {
	Email string `audit:"email"`
}
