package audit_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/redoubt-go/redoubt/audit"
)

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

func TestDecodeRefuses(t *testing.T) {
	for _, in := range []string{``, `[]`, `{"time":1}`, `{"attrs":[]}`, `{"attrs":{"a":null}}`, `{"attrs":{"a":[1]}}`, `{"attrs":1}`, `{"attrs":{"a":1e999}}`} {
		var e audit.Event
		if err := e.UnmarshalJSON([]byte(in)); err == nil {
			t.Errorf("%s is taken", in)
		}
	}
}
