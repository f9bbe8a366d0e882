package siem_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/redoubt-go/redoubt/audit"
	"github.com/redoubt-go/redoubt/audit/siem"
)

var shop = siem.Product{Vendor: "Example", Name: "shop", Version: "1.4"}

// full returns an event in which every field is set.
func full() *audit.Event {
	return &audit.Event{
		Time: time.UnixMilli(1767323045006), ID: "e-1", Action: "order.refund", Outcome: audit.Denied, Code: "denied", Reason: "too much",
		Actor:  audit.Actor{ID: "alice", Type: "user", Session: "s-1", OnBehalfOf: "bob"},
		Target: audit.Target{Type: "order", ID: "o-17"}, RequestID: "r-1", Source: "2001:db8::1",
		Changes: []audit.Change{{Field: "total", Old: "10", New: "0"}}, Attrs: []slog.Attr{slog.Int("tries", 2)}, Truncated: true,
	}
}

// leaves returns the values of an object by their path.
func leaves(prefix string, v any, out map[string]any) map[string]any {
	m, ok := v.(map[string]any)
	if !ok {
		out[prefix] = v
		return out
	}
	for k, v := range m {
		leaves(strings.TrimPrefix(prefix+"."+k, "."), v, out)
	}
	return out
}

func decode(t *testing.T, line []byte) map[string]any {
	t.Helper()
	var v any
	if err := json.Unmarshal(line, &v); err != nil {
		t.Fatalf("%v in %s", err, line)
	}
	return leaves("", v, map[string]any{})
}

// checkEqual reports the difference between got and want.
func checkEqual(t *testing.T, got, want any, options ...cmp.Option) {
	t.Helper()
	if d := cmp.Diff(want, got, options...); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// The names are from the published field sets base, ecs, event, user, source,
// http and service. The custom object redoubt has a proper name, as the schema
// requires.
func TestECSFields(t *testing.T) {
	want := map[string]any{
		"@timestamp": "2026-01-02T03:04:05.006Z", "ecs.version": "9.4.0",
		"event.kind": "event", "event.id": "e-1", "event.action": "order.refund", "event.outcome": "failure",
		"event.category": []any{"api"}, "event.type": []any{"info", "denied"}, "event.reason": "too much", "event.code": "denied", "event.provider": "shop",
		"user.id": "alice", "user.name": "alice", "user.effective.id": "bob", "related.user": []any{"alice", "bob"},
		"source.address": "2001:db8::1", "source.ip": "2001:db8::1", "related.ip": []any{"2001:db8::1"}, "http.request.id": "r-1",
		"service.name": "shop", "service.version": "1.4",
		"redoubt.outcome": "denied", "redoubt.actor_type": "user", "redoubt.session": "s-1", "redoubt.target_type": "order", "redoubt.target": "o-17",
		"redoubt.changes": []any{map[string]any{"field": "total", "old": "10", "new": "0"}}, "redoubt.attrs": []any{"tries=2"}, "redoubt.truncated": true,
	}
	checkEqual(t, decode(t, shop.AppendECS(full(), nil)), want)
	for _, c := range []struct {
		action  audit.Action
		outcome audit.Outcome
		want    string
	}{
		{audit.Create, audit.Success, "success [creation]"},
		{audit.Read, audit.Attempt, "unknown [access]"},
		{audit.Modify, audit.Failure, "failure [change]"},
		{audit.Delete, "pending", "unknown [deletion]"},
		{"login", audit.Denied, "failure [start]"},
		{"order.refund", audit.Denied, "failure [info denied]"},
	} {
		got := decode(t, shop.AppendECS(&audit.Event{Action: c.action, Outcome: c.outcome}, nil))
		if s := fmt.Sprint(got["event.outcome"], " ", got["event.type"]); s != c.want {
			t.Errorf("%s %s: %s, want %s", c.action, c.outcome, s, c.want)
		}
	}
}

func TestOCSFFields(t *testing.T) {
	common := map[string]any{
		"severity_id": 2.0, "time": 1767323045006.0, "message": "too much",
		"status_id": 2.0, "status": "Failure", "status_code": "denied", "status_detail": "denied",
		"metadata.version": "1.8.0", "metadata.uid": "e-1", "metadata.correlation_uid": "r-1", "metadata.is_truncated": true,
		"metadata.product.name": "shop", "metadata.product.vendor_name": "Example", "metadata.product.version": "1.4",
		"actor.user.uid": "alice", "actor.user.type": "User", "actor.user.type_id": 1.0, "actor.session.uid": "s-1",
		"unmapped.on_behalf_of": "bob", "unmapped.attrs": []any{"tries=2"},
		"unmapped.changes": []any{map[string]any{"field": "total", "old": "10", "new": "0"}},
	}
	api := maps.Clone(common)
	maps.Copy(api, map[string]any{
		"category_uid": 6.0, "class_uid": 6003.0, "activity_id": 99.0, "type_uid": 600399.0, "activity_name": "order.refund", "metadata.event_code": "order.refund",
		"api.operation": "order.refund", "api.service.name": "shop", "resources": []any{map[string]any{"type": "order", "uid": "o-17"}}, "src_endpoint.ip": "2001:db8::1",
	})
	checkEqual(t, decode(t, shop.AppendOCSF(full(), nil)), api)
	entity := maps.Clone(common)
	maps.Copy(entity, map[string]any{
		"category_uid": 3.0, "class_uid": 3004.0, "activity_id": 3.0, "type_uid": 300403.0, "metadata.event_code": "modify",
		"entity.type": "order", "entity.type_id": 99.0, "entity.uid": "o-17", "src_endpoint.name": "door 4",
	})
	e := full()
	e.Action, e.Source = audit.Modify, "door 4"
	checkEqual(t, decode(t, shop.AppendOCSF(e, nil)), entity)
	for i, action := range []audit.Action{audit.Create, audit.Read, audit.Modify, audit.Delete} {
		got := decode(t, shop.AppendOCSF(&audit.Event{Action: action, Outcome: "pending", Target: audit.Target{ID: "x"}}, nil))
		if got["activity_id"] != float64(i+1) || got["type_uid"] != float64(300401+i) || got["status_id"] != 99.0 || got["status"] != "pending" || got["activity_name"] != nil {
			t.Errorf("%s: %v", action, got)
		}
		if got["actor.user.name"] != "unknown" || got["src_endpoint.svc_name"] != "shop" {
			t.Errorf("%s without actor and source: %v", action, got)
		}
	}
}

func TestCEFFields(t *testing.T) {
	want := `CEF:0|Example|shop|1.4|order.refund|order.refund|7|rt=1767323045006 act=order.refund outcome=denied reason=denied msg=too much ` +
		`externalId=e-1 suid=alice c6a2=2001:db8::1 c6a2Label=Source IPv6 Address cs1=order cs1Label=targetType cs2=o-17 cs2Label=target ` +
		`cs3=s-1 cs3Label=session cs4=bob cs4Label=onBehalfOf cs5=[{"field":"total","old":"10","new":"0"}] cs5Label=changes ` +
		`cs6={"tries":2} cs6Label=attrs flexString1=user flexString1Label=actorType flexString2=r-1 flexString2Label=requestId cn1=1 cn1Label=truncated`
	checkEqual(t, string(shop.AppendCEF(full(), nil)), want)
	for source, want := range map[string]string{"192.0.2.1": " src=192.0.2.1", "host.example": " shost=host.example"} {
		e := full()
		e.Source, e.Outcome = source, audit.Failure
		if got := string(shop.AppendCEF(e, nil)); !strings.Contains(got, want) || !strings.Contains(got, "|5|rt=") {
			t.Errorf("%s: %s", source, got)
		}
	}
}

// The separators of header and extension differ, and no text can forge either.
func TestCEFEscapes(t *testing.T) {
	e := &audit.Event{Action: `a|b\c=d`, Outcome: "x\ny", Reason: "a|b\\c=d\r\nCEF:0|forged", Actor: audit.Actor{ID: "x suid=root"}}
	got := string(siem.Product{Vendor: `v|\=`, Name: "n\r\n"}.AppendCEF(e, nil))
	want := `CEF:0|v\|\\=|n\\u000d\\u000a||a\|b\\c=d|a\|b\\c=d|3|rt=-62135596800000 act=a|b\\c\=d outcome=x\ny ` +
		`msg=a|b\\c\=d\r\nCEF:0|forged suid=x suid\=root`
	checkEqual(t, got, want)
}

func TestCEFIsBounded(t *testing.T) {
	huge := strings.Repeat("ü", 1<<16)
	e := full()
	e.Truncated = false
	e.Reason, e.ID, e.Actor.ID, e.Source = huge, huge, huge, huge
	e.Attrs = []slog.Attr{slog.String("k", huge)}
	line := string(shop.AppendCEF(e, nil))
	_, ext := parseCEF(t, line)
	if len(line) > 32<<10 || len(ext["externalId"]) != 40 || len(ext["msg"]) != 1022 || ext["cn1Label"] != "truncated" || !utf8.ValidString(line) {
		t.Errorf("%d bytes, externalId %d, msg %d, cn1Label %q", len(line), len(ext["externalId"]), len(ext["msg"]), ext["cn1Label"])
	}
	short := full()
	short.Truncated, short.ID = false, strings.Repeat("x", 41)
	if _, ext := parseCEF(t, string(shop.AppendCEF(short, nil))); ext["externalId"] != short.ID[:40] || ext["cn1"] != "1" {
		t.Errorf("externalId %q, cn1 %q", ext["externalId"], ext["cn1"])
	}
}

// parseCEF reads CEF by its specification. It is the oracle for the writer.
func parseCEF(t *testing.T, line string) (header []string, ext map[string]string) {
	t.Helper()
	rest, ok := strings.CutPrefix(line, "CEF:0|")
	if !ok || strings.ContainsAny(line, "\r\n") {
		t.Fatalf("not one line of CEF: %q", line)
	}
	for range 6 {
		field, after, ok := cutUnescaped(rest, '|')
		if !ok {
			t.Fatalf("%d header fields in %q", len(header), line)
		}
		header, rest = append(header, unescape(t, field, "|")), after
	}
	ext = map[string]string{}
	for rest != "" { // a key is the word before an equals sign
		key, after, ok := cutUnescaped(rest, '=')
		if !ok {
			t.Fatalf("no key in %q", rest)
		}
		value := after
		if v, _, more := cutUnescaped(after, '='); more {
			value = v[:strings.LastIndex(v, " ")]
		}
		if _, twice := ext[key]; twice {
			t.Fatalf("key %s twice in %q", key, line)
		}
		ext[key] = unescape(t, value, "=nr")
		rest = strings.TrimPrefix(after[len(value):], " ")
	}
	return header, ext
}

func cutUnescaped(s string, sep byte) (before, after string, ok bool) {
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case sep:
			return s[:i], s[i+1:], true
		}
	}
	return s, "", false
}

func unescape(t *testing.T, s, known string) string {
	t.Helper()
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			b.WriteByte(s[i])
			continue
		}
		i++
		switch {
		case i == len(s) || s[i] != '\\' && !strings.Contains(known, s[i:i+1]):
			t.Fatalf("escape of nothing known in %q", s)
		case s[i] == 'n':
			b.WriteByte('\n')
		case s[i] == 'r':
			b.WriteByte('\r')
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String()
}

// shown returns the text that parseCEF must read: line ends only in the
// extension, other control characters as six characters.
func shown(s string, header bool, max int) string {
	var b strings.Builder
	for i, r := range eachByte(s) {
		if i+utf8.RuneLen(r) > max {
			break
		}
		switch {
		case !header && (r == '\n' || r == '\r'):
			b.WriteRune(r)
		case strconv.IsPrint(r) || r >= 0xa0 && !isMark(r):
			b.WriteRune(r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

func isMark(r rune) bool {
	return slices.Contains([]rune{
		0x061c, 0x200e, 0x200f, 0x2028, 0x2029, 0x202a, 0x202b, 0x202c, 0x202d, 0x202e,
		0x2066, 0x2067, 0x2068, 0x2069,
	}, r)
}

// For all texts, parseCEF reads the CEF line back, and the JSON forms are
// single lines of valid JSON without control characters.
func FuzzSIEM(f *testing.F) {
	f.Add("alice", "too much", "host", "a")
	f.Add("x suid=root|", "a\\\n=|\r\x00\u202e", `\`, "\\|")
	f.Add("=", "\xff\x7f\u0085", "192.0.2.1", "\u2028")
	f.Fuzz(func(t *testing.T, actor, reason, source, version string) {
		if len(actor)+len(reason)+len(source)+len(version) > 150 {
			return // cutting has its own test; an invalid byte becomes three
		}
		e := &audit.Event{Action: "a", Outcome: "b", Actor: audit.Actor{ID: actor}, Reason: reason, Attrs: []slog.Attr{slog.String(source, reason)}}
		p := siem.Product{Version: version, Name: "n"}
		header, ext := parseCEF(t, string(p.AppendCEF(e, nil)))
		if header[2] != shown(version, true, 512) || ext["suid"] != shown(eachByte(actor), false, 1023) || ext["msg"] != shown(eachByte(reason), false, 1023) {
			t.Errorf("header %q, extension %q", header, ext)
		}
		for _, line := range [][]byte{p.AppendECS(e, nil), p.AppendOCSF(e, nil)} {
			if !json.Valid(line) || strings.ContainsFunc(string(line), func(r rune) bool { return r < 0x20 || 0x7f <= r && r < 0xa0 || isMark(r) }) {
				t.Errorf("line %q", line)
			}
		}
	})
}

// eachByte replaces every invalid byte, as the JSON form of events does.
func eachByte(s string) string { return string([]rune(s)) }
