package audit_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"

	"github.com/redoubt-go/redoubt/audit"
)

// Every event is encoded as a single line of valid JSON, and decoded again.
// Oracle: json.Valid.
func FuzzEncode(f *testing.F) {
	f.Add("u-1", "key", "value", 1.5)
	f.Add("\u202e\x7f\n", "\xff", "\"\\", -1e-300)
	f.Add("id", strings.Repeat("\xd5", 4000), "", 0.0)
	f.Fuzz(func(t *testing.T, id, key, value string, n float64) {
		e := audit.Event{
			ID: id, Actor: audit.Actor{ID: value}, Changes: []audit.Change{{Field: key, New: value}},
			Attrs: []slog.Attr{slog.String(key, value), slog.Float64(id, n), slog.Group(value, key, id), slog.Any("any", []string{value})},
		}
		line := e.AppendJSON(nil)
		if !json.Valid(line) || bytes.ContainsAny(line, "\n\r\x00\x1b\x7f") {
			t.Fatalf("bad line %q", line)
		}
		var back audit.Event
		if err := back.UnmarshalJSON(line); err != nil {
			t.Fatal(err)
		}
		if len(id)+len(key)+len(value) > 1000 {
			return // U+FFFD is longer than the byte it replaces, so the next encoding may cut more
		}
		if again := back.AppendJSON(nil); !bytes.Equal(again, line) {
			t.Fatalf("second round differs:\n%s\n%s", line, again)
		}
	})
}

// Decoding does not panic, and a decoded event is encoded as valid JSON.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"time":"2026-01-02T03:04:05Z","action":"a","attrs":{"k":{"n":1,"f":1.5,"b":true}}}`))
	f.Add([]byte(`{"attrs":{"k":[1]}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var e audit.Event
		if e.UnmarshalJSON(data) != nil {
			return
		}
		if line := e.AppendJSON(nil); !json.Valid(line) {
			t.Fatalf("bad line %q", line)
		}
	})
}
