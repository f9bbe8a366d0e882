package fleet_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/redoubt-go/redoubt/contrib/nats/fleet"
)

// Headers of other programs are read without a panic, and a path that was
// escaped is read as it was.
func FuzzHeaders(f *testing.F) {
	f.Add("host-1/8c1c-0", "/var/log/a b%.log", "2026-03-01T12:00:00Z", "12")
	f.Add("", "\xff\n", "now", "-1")
	f.Fuzz(func(t *testing.T, id, path, at, dropped string) {
		r := fleet.RecordOf(nats.Header{"Nats-Msg-Id": {id}, "Fleet-Path": {path}, "Fleet-Time": {at}, "Fleet-Dropped": {dropped}})
		if r.ID != id || r.Dropped < 0 || !strings.HasPrefix(id, r.Host) {
			t.Errorf("got %+v", r)
		}
		escaped := fleet.Escape(path)
		if strings.ContainsAny(escaped, " \r\n") {
			t.Errorf("got %q, want no space", escaped)
		}
		if got := fleet.RecordOf(nats.Header{"Fleet-Path": {escaped}}).Source; got != path {
			t.Errorf("got %q, want %q", got, path)
		}
	})
}

// A lease that is accepted is accepted again as it is written.
func FuzzLease(f *testing.F) {
	f.Add([]byte(`{"version":1,"owner":"x","stream":5,"seq":3,"seen":4,"data":2,"chunks":1,"sum":"00"}`))
	f.Add([]byte(`{"version":1,"seq":3}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		text, err := fleet.LeaseText(b)
		if err != nil {
			return
		}
		if again, err := fleet.LeaseText([]byte(text)); err != nil || again != text {
			t.Errorf("got %s, %v, want %s", again, err, text)
		}
	})
}

// The pattern of a name matches the name, and no other.
func FuzzLiteral(f *testing.F) {
	f.Add("state", "state1")
	f.Add(`a*[b]\?`, "axb")
	f.Fuzz(func(t *testing.T, name, other string) {
		if strings.Contains(name, string(filepath.Separator)) || strings.Contains(other, string(filepath.Separator)) || !valid(name) || !valid(other) {
			return
		}
		if ok, err := filepath.Match(fleet.Literal(name), name); !ok || err != nil {
			t.Errorf("%q does not match itself: %v", name, err)
		}
		if ok, _ := filepath.Match(fleet.Literal(name), other); ok != (name == other) {
			t.Errorf("%q matches %q: %v", name, other, ok)
		}
	})
}

// valid reports whether s is UTF-8, which filepath.Match expects.
func valid(s string) bool { return strings.ToValidUTF8(s, "") == s }
