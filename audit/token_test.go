package audit_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"log/slog"
	"math"
	"net/netip"
	"strings"
	"testing"

	"github.com/leanovate/gopter/gen"
	"github.com/leanovate/gopter/prop"

	"github.com/redoubt-go/redoubt/audit"
)

func tokenKey(id, key string) audit.TokenKey {
	return audit.TokenKey{ID: id, Key: audit.NewSecret([]byte(key))}
}

var (
	keyOld = tokenKey("k1", "an older key, retired")
	keyNew = tokenKey("k2", "the current key, in use")
)

func tokenLog(s audit.Sink, keys ...audit.TokenKey) *audit.Log {
	return audit.New(audit.Config{Sink: s, TokenKeys: keys})
}

type named string

func TestTokens(t *testing.T) {
	l := tokenLog(&memory{}, keyNew, keyOld)
	token := func(domain string, v any) string { return l.Tokens(domain, v)[0] }
	for name, pair := range map[string][2]string{
		"int and text":           {token("d", 1), token("d", "1")},
		"bool and text":          {token("d", true), token("d", "true")},
		"length of the domain":   {token("ab", "c"), token("a", "bc")},
		"domains":                {token("user.key", "x"), token("user.pin", "x")},
		"values":                 {token("d", "x"), token("d", "y")},
		"floats":                 {token("d", 1.0), token("d", 1)},
		"negative zero":          {token("d", 0.0), token("d", math.Copysign(0, -1))},
		"invalid bytes":          {token("d", "\xff"), token("d", "\xfe")},
		"text and its marshaler": {token("d", netip.MustParseAddr("1.2.3.4")), token("d", "1.2.3.4")},
		"structs":                {token("d", struct{ A int }{1}), token("d", struct{ A int }{2})},
	} {
		if pair[0] == pair[1] {
			t.Errorf("%s: both %s", name, pair[0])
		}
	}
	for name, pair := range map[string][2]string{
		"bytes":           {token("d", "x"), token("d", []byte("x"))},
		"named":           {token("d", "x"), token("d", named("x"))},
		"widths":          {token("d", int8(7)), token("d", uint64(7))},
		"another log":     {token("d", "x"), tokenLog(&memory{}, keyNew).Tokens("d", "x")[0]},
		"the old key":     {l.Tokens("d", "x")[1], tokenLog(&memory{}, keyOld).Tokens("d", "x")[0]},
		"by another HMAC": {token("user.key", "hunter2"), "k2:_jqujVDfonX-AKJ0mZERjg"},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s: %s and %s", name, pair[0], pair[1])
		}
	}
	kid, sum, _ := strings.Cut(token("d", "x"), ":")
	if raw, err := base64.RawURLEncoding.DecodeString(sum); kid != "k2" || err != nil || len(raw) != 16 {
		t.Errorf("token %s: %d bytes, %v", token("d", "x"), len(raw), err)
	}
	if l.Tokens("d", nil) != nil || l.Tokens("d", func() {}) != nil || len(newLog(&memory{}).Tokens("d", "x")) != 0 {
		t.Error("tokens of what has none")
	}
}

type panics struct{}

func (panics) MarshalText() ([]byte, error) { panic("secret") }

func TestTokensInEvents(t *testing.T) {
	m := &memory{}
	l := tokenLog(m, keyNew)
	key := audit.Attribute[string]{Name: "key", Sensitive: true, Token: true, Check: audit.Length(4, 20)}
	o := l.Object("user", "1")
	f := key.Of(o)
	_ = f.Set(alice(), "first")
	_ = f.Set(alice(), "second")
	_ = f.Set(alice(), "no") // rejected: the value leaves no token
	_, _ = f.Get(alice())
	_ = f.Delete(alice())
	first, second := l.Tokens("user.key", "first")[0], l.Tokens("user.key", "second")[0]
	checkEvents(t, m, "create success >"+first, "modify success "+first+">"+second, "modify failure invalid >", "read success >", "delete success "+second+">")
	if f.Masked() != "<unset>" {
		t.Errorf("masked %s", f.Masked())
	}
	for name, attr := range map[string]string{
		"without keys": func() string {
			m := &memory{}
			_ = key.Of(newLog(m).Object("user", "1")).Set(alice(), "first")
			return m.events[0].Changes[0].New
		}(),
		"not canonical": func() string {
			a := audit.Attribute[panics]{Name: "key", Sensitive: true, Token: true}
			_ = a.Of(o).Set(alice(), panics{})
			return m.events[len(m.events)-1].Changes[0].New
		}(),
	} {
		if attr != "***" {
			t.Errorf("%s: %q, want the mask", name, attr)
		}
	}
	other := audit.Attribute[string]{Name: "other", Sensitive: true, Token: true, Domain: "user.key"}
	_ = other.Of(o).Set(alice(), "first")
	if got := m.events[len(m.events)-1].Changes[0].New; got != first {
		t.Errorf("token %s in a shared domain, want %s", got, first)
	}
}

func TestTokenKeysAreChecked(t *testing.T) {
	for name, keys := range map[string][]audit.TokenKey{
		"short":   {tokenKey("k", "15 bytes, no mo")},
		"no key":  {{ID: "k"}},
		"no ID":   {tokenKey("", "sixteen bytes or more")},
		"bad ID":  {tokenKey("a:b", "sixteen bytes or more")},
		"long ID": {tokenKey(strings.Repeat("a", 33), "sixteen bytes or more")},
		"twice":   {keyOld, keyOld},
	} {
		err := audit.Config{Sink: &memory{}, TokenKeys: keys}.Validate()
		checkIs(t, err, audit.ErrInvalid)
		if err != nil && strings.Contains(err.Error(), "bytes, no") {
			t.Errorf("%s: the error shows the key: %v", name, err)
		}
	}
	shown := fmt.Sprintf("%v %+v %#v", keyNew, audit.Config{TokenKeys: []audit.TokenKey{keyNew}}, keyNew)
	if strings.Contains(shown, "current key") {
		t.Errorf("the key shows in %s", shown)
	}
}

// A token is unique for its domain, kind and bytes, and does not change.
// Oracle: equality of these three.
func TestPropertyToken(t *testing.T) {
	l := tokenLog(&memory{}, keyNew)
	seen := map[string][3]string{}
	checkProperty(t, 500, prop.ForAll(func(domain, s string, n int64) string {
		for _, v := range []any{s, []byte(s), n, n%2 == 0} {
			kind := fmt.Sprintf("%T", v)
			if kind == "[]uint8" {
				kind = "string"
			}
			triple := [3]string{domain, kind, fmt.Sprintf("%s", v)}
			token := l.Tokens(domain, v)[0]
			if old, ok := seen[token]; ok && old != triple {
				return fmt.Sprintf("%q and %q have one token", old, triple)
			}
			if seen[token] = triple; l.Tokens(domain, v)[0] != token {
				return "not stable"
			}
		}
		return ""
	}, gen.AnyString(), gen.AnyString(), gen.Int64()))
}

func TestFilterAndEnrich(t *testing.T) {
	m := &memory{}
	type trace struct{}
	l := audit.New(audit.Config{
		Sink:   m,
		Filter: func(e *audit.Event) bool { return e.Action != audit.Read && e.ID != "" },
		Enrich: func(ctx context.Context, e *audit.Event) {
			e.Source, _ = ctx.Value(trace{}).(string)
		},
	})
	f, _ := (&audit.Attribute[int]{Name: "n"}).Load(l.Object("o", "1"), 1)
	ctx := context.WithValue(alice(), trace{}, "10.0.0.1")
	if v, err := f.Get(ctx); v != 1 || err != nil {
		t.Errorf("a filtered read gives %d, %v", v, err)
	}
	_ = f.Set(ctx, 2)
	checkEvents(t, m, "modify success 1>2")
	if m.events[0].Source != "10.0.0.1" {
		t.Errorf("source %q", m.events[0].Source)
	}
}

func TestMaxEvent(t *testing.T) {
	m := &memory{}
	l := audit.New(audit.Config{Sink: m, MaxEvent: 100})
	long := strings.Repeat("x", 90)
	e := audit.Event{Action: "a", Outcome: "b", Target: audit.Target{ID: long}}
	attrs := []slog.Attr{slog.Group("g", "k", "v", "n", 1), slog.String("s", long)}
	changes := []audit.Change{{Field: "f", Old: long[:40], New: long[:40]}}
	for _, c := range []struct {
		attrs                         []slog.Attr
		changes                       []audit.Change
		reason                        string
		gotAttrs, gotChanges, gotText int
	}{
		{attrs[:1], nil, "", 1, 0, 0},
		{attrs, changes, "", 0, 1, 0},
		{attrs, changes, long, 0, 0, 90},
		{nil, nil, long + long, 0, 0, 100},
		{[]slog.Attr{slog.Any("x", struct{}{})}, nil, "", 1, 0, 0}, // its text is short
	} {
		e.Attrs, e.Changes, e.Reason = c.attrs, c.changes, c.reason
		if err := l.Record(alice(), e); err != nil {
			t.Fatal(err)
		}
		got := m.events[len(m.events)-1]
		if len(got.Attrs) != c.gotAttrs || len(got.Changes) != c.gotChanges || len(got.Reason) != c.gotText ||
			got.Truncated == (c.gotAttrs == len(c.attrs)) && c.gotText == len(c.reason) || got.Target.ID != long || got.Actor.ID != "alice" {
			t.Errorf("%+v becomes %+v", c, got)
		}
	}
	if len(attrs) != 2 || len(changes) != 1 {
		t.Error("the caller's slices were changed")
	}
}
