package redact_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/big"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"testing/slogtest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/redoubt-go/redoubt/audit"
	"github.com/redoubt-go/redoubt/audit/redact"
)

const secret = "hunter2hunter2"

// checkEqual reports how got differs from want.
func checkEqual(t *testing.T, got, want any) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// logged returns the JSON of a record through a handler, without its time and
// level.
func logged(t *testing.T, c redact.Config, log func(*slog.Logger)) map[string]any {
	t.Helper()
	var b bytes.Buffer
	c.Next = slog.NewJSONHandler(&b, nil)
	log(slog.New(redact.New(c)))
	var m map[string]any
	if err := json.Unmarshal(b.Bytes(), &m); err != nil {
		t.Fatalf("%v in %s", err, b.Bytes())
	}
	delete(m, "time")
	delete(m, "level")
	return m
}

func attr(t *testing.T, v any) any {
	t.Helper()
	return logged(t, redact.Config{}, func(l *slog.Logger) { l.Info("m", "v", v) })["v"]
}

func TestNamesAreComparedByWords(t *testing.T) {
	for key, masked := range map[string]bool{
		"password": true, "dbPassword": true, "DB_PASSWORD": true, "user.password.old": true, "APIKey": true, "apiKey": true, "X-Api-Key": true,
		"myAPIKeyID": true, "api_key": true, "apikey": true, "refresh_token": true, "Set-Cookie": true, "authorization": true, "TOKEN": true, "pin2": false,
		"tokens": false, "passwords_changed": false, "key": false, "apis": false, "monkey": false, "shipping": false, "spin": false, "": false,
	} {
		got := logged(t, redact.Config{}, func(l *slog.Logger) { l.Info("m", slog.String(key, "v"), slog.Int("n", 1)) })
		if s := fmt.Sprint(got); strings.Contains(s, "***") != masked {
			t.Errorf("%q: %s", key, s)
		}
	}
}

type (
	inner struct {
		Name     string `json:"name,omitempty"`
		Password string
		hidden   string
	}
	outer struct {
		inner
		Inner   *inner           `json:"in"`
		List    []inner          `json:"list"`
		ByName  map[string]inner `json:"by_name"`
		Card    string           `audit:"card,sensitive"`
		Skipped string           `json:"-"`
		When    time.Time
		Secret  audit.Secret[string]
		Any     any
	}
)

// Secrets are found by key, type, tag and pattern, in groups, structs, maps and
// lists. The other values keep their form.
func TestSecretsAreMaskedEverywhere(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	f, _ := (&audit.Attribute[string]{Name: "key", Sensitive: true}).Load(audit.New(audit.Config{Sink: audit.JSON(io.Discard)}).Object("u", "1"), secret)
	in := inner{"n", secret, secret}
	masked := map[string]any{"name": "n", "Password": "***"}
	for name, c := range map[string]struct{ in, want any }{
		"struct": {
			outer{Inner: &in, List: []inner{in}, ByName: map[string]inner{"k": in, "token": in}, Card: secret, Skipped: secret, When: at, Secret: audit.NewSecret(secret), Any: in},
			map[string]any{
				"name": "", "Password": "***", "in": masked, "list": []any{masked}, "by_name": map[string]any{"k": masked, "token": "***"}, "Card": "***",
				"When": "2026-01-02T03:04:05Z", "Secret": "***", "Any": masked,
			},
		},
		"pointers":      {new(&in), masked},
		"field":         {[]any{f, audit.NewSecret(secret)}, []any{"***", "***"}},
		"http header":   {map[string][]string{"Authorization": {secret}, "Accept": {"*/*"}}, map[string]any{"Authorization": "***", "Accept": []any{"*/*"}}},
		"raw JSON":      {json.RawMessage(`{"a":1,"b":2.5,"c":[{"password":"` + secret + `"}]}`), map[string]any{"a": 1.0, "b": 2.5, "c": []any{map[string]any{"password": "***"}}}},
		"bad JSON":      {json.RawMessage(`{"password":"` + secret), "***"},
		"error":         {fmt.Errorf("dial postgres://app:%s@db/x: %w", secret, io.EOF), "dial postgres://app:***@db/x: EOF"},
		"bytes":         {[]byte("token=" + secret), "token=***"},
		"address":       {netip.MustParseAddr("192.0.2.1"), "192.0.2.1"},
		"big":           {big.NewInt(42), 42.0},
		"duration":      {[]time.Duration{time.Second}, []any{float64(time.Second)}},
		"named kinds":   {[]any{mode(3), text("secret: " + secret), true, 1.5, uint8(7), nil, func() {}}, []any{3.0, "secret: ***", true, 1.5, 7.0, nil, "func()"}},
		"stringer":      {level(2), "level 2"},
		"panics":        {angry{}, "***"},
		"nil pointer":   {(*inner)(nil), nil},
		"nil stringer":  {(*url)(nil), "***"},
		"full stringer": {&url{"x", secret}, map[string]any{"Host": "x", "Password": "***"}},
	} {
		t.Run(name, func(t *testing.T) {
			got := attr(t, c.in)
			checkEqual(t, got, c.want)
			if strings.Contains(fmt.Sprint(got), "hunter2") {
				t.Errorf("leaks: %v", got)
			}
		})
	}
}

type (
	mode  int
	text  string
	level int
	angry struct{}
	url   struct{ Host, Password string }
)

func (l level) String() string { return fmt.Sprint("level ", int(l)) }
func (angry) String() string   { panic(secret) }
func (u *url) String() string  { return u.Host + u.Password }

func TestPatterns(t *testing.T) {
	for in, want := range map[string]string{
		"nothing to see": "nothing to see",
		"Authorization: Bearer abcdefgh12345678.x":                     "Authorization: Bearer ***",
		"got eyJhbGciOiJI.eyJzdWIiOiIx.c2ln in a header":               "got *** in a header",
		"https://u:p@ss@host/x?a=1&token=abc&b=2":                      "https://u:***@host/x?a=1&token=***&b=2",
		`{"password":"a b","user":"x"}`:                                `{"password":***,"user":"x"}`,
		"DB_PASSWORD=abc; api-key: x":                                  "DB_PASSWORD=***; api-key: ***",
		"a\n-----BEGIN RSA PRIVATE KEY-----\nMIIE\nAB-C\n":             "a\n***",
		"-----BEGIN PRIVATE KEY-----\nx\n-----END PRIVATE KEY-----\nb": "***\nb",
	} {
		got := logged(t, redact.Config{}, func(l *slog.Logger) { l.Info(in, "v", in) })
		checkEqual(t, got, map[string]any{"msg": want, "v": want})
	}
	own := redact.Config{Keys: []string{}, Mask: "#", Patterns: []*regexp.Regexp{regexp.MustCompile(`\d+`), regexp.MustCompile(`a(b)?`)}}
	got := logged(t, own, func(l *slog.Logger) { l.Info("x1", "password", "ab12a") })
	checkEqual(t, got, map[string]any{"msg": "x#", "password": "a###"})
}

// Groups hide everything inside, also attributes of a logger and groups of a
// handler.
func TestGroups(t *testing.T) {
	got := logged(t, redact.Config{}, func(l *slog.Logger) {
		l.With("token", secret, "a", 1).WithGroup("g").With(slog.Group("secret", "x", secret, "y", slog.GroupValue(slog.Int("z", 5)))).
			WithGroup("").WithGroup("credentials").Info("m", "user", secret, "n", 7)
	})
	checkEqual(t, got, map[string]any{"msg": "m", "token": "***", "a": 1.0, "g": map[string]any{
		"secret": map[string]any{"x": "***", "y": map[string]any{"z": "***"}}, "credentials": map[string]any{"user": "***", "n": "***"},
	}})
}

// A record and its values stay small and end, whatever is logged.
func TestRecordsAreBounded(t *testing.T) {
	loop := map[string]any{}
	loop["a"], loop["b"] = loop, loop
	list := []any{nil}
	list[0] = list
	for name, v := range map[string]any{
		"text": strings.Repeat("é", 1<<20), "list": make([]int, 1<<20), "map in itself": loop, "list in itself": list,
		"texts": strings.Split(strings.Repeat(strings.Repeat("x", 4<<10)+",", 1000), ","), "raw": json.RawMessage(`"` + strings.Repeat("x", 1<<20) + `"`),
	} {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			slog.New(redact.New(redact.Config{Next: slog.NewJSONHandler(&b, nil)})).Info("m", "v", v, "v2", v)
			if b.Len() > 200<<10 || !json.Valid(b.Bytes()) {
				t.Errorf("%d bytes", b.Len())
			}
		})
	}
}

// A secret across the place of a cut is not shown in half.
func TestCutsSplitNoSecret(t *testing.T) {
	long := strings.Repeat("token="+strings.Repeat("x", 60)+" ", 124)
	for n := 8100; n < 8192; n++ {
		s := long[:n] + " eyJhunter2hunter2.hunter2hunter2.x" + strings.Repeat("y", 100)
		if got := attr(t, s).(string); strings.Contains(got, "hunter") || !strings.HasSuffix(got, "...") {
			t.Fatalf("after %d bytes: %q", n, got[len(got)-60:])
		}
	}
}

func TestConfigIsChecked(t *testing.T) {
	c := redact.Config{Keys: []string{"-"}, Patterns: []*regexp.Regexp{nil}}
	want := "redact: Next is missing\nredact: Keys[0] contains no letter or digit\nredact: Patterns[0] is missing"
	if err := c.Validate(); err == nil || err.Error() != want {
		t.Errorf("error %v", err)
	}
	for name, f := range map[string]func(){"New": func() { redact.New(c) }, "ReplaceAttr": func() { redact.ReplaceAttr(c) }} {
		func() {
			defer func() {
				if err, ok := recover().(error); !ok {
					t.Errorf("%s: panic %v", name, err)
				}
			}()
			f()
		}()
	}
}

// The handler keeps the rules of log/slog.
func TestSlogConformance(t *testing.T) {
	var b bytes.Buffer
	h := redact.New(redact.Config{Next: slog.NewJSONHandler(&b, nil)})
	err := slogtest.TestHandler(h, func() (out []map[string]any) {
		for line := range strings.Lines(b.String()) {
			m := map[string]any{}
			if err := json.Unmarshal([]byte(line), &m); err != nil {
				t.Fatal(err)
			}
			out = append(out, m)
		}
		return out
	})
	if err != nil {
		t.Error(err)
	}
	broken := errors.New("disk full")
	if err := redact.New(redact.Config{Next: failing{broken}}).Handle(context.Background(), slog.Record{}); err != broken {
		t.Errorf("error %v", err)
	}
}

type failing struct{ err error }

func (f failing) Enabled(context.Context, slog.Level) bool  { return true }
func (f failing) Handle(context.Context, slog.Record) error { return f.err }
func (f failing) WithAttrs([]slog.Attr) slog.Handler        { return f }
func (f failing) WithGroup(string) slog.Handler             { return f }

// ReplaceAttr masks as the handler does.
func TestReplaceAttr(t *testing.T) {
	var b bytes.Buffer
	l := slog.New(slog.NewJSONHandler(&b, &slog.HandlerOptions{AddSource: true, ReplaceAttr: redact.ReplaceAttr(redact.Config{})}))
	l.WithGroup("g").With("token", secret).Info("password=x", "s", inner{"n", secret, ""}, slog.Group("secret", "a", 1, "b", inner{}))
	var got map[string]any
	if err := json.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	maps.DeleteFunc(got, func(k string, _ any) bool { return k == "time" || k == "level" || k == "source" })
	checkEqual(t, got, map[string]any{"msg": "password=***", "g": map[string]any{
		"token": "***", "s": map[string]any{"name": "n", "Password": "***"}, "secret": map[string]any{"a": "***", "b": "***"},
	}})
}

// No text that is logged under a secret name, or as a token, is in the output.
func FuzzRedact(f *testing.F) {
	f.Add("hunter2hunter2", "k")
	f.Add("a\xffb c", "pass_word")
	f.Fuzz(func(t *testing.T, value, key string) {
		var b bytes.Buffer
		l := slog.New(redact.New(redact.Config{Next: slog.NewJSONHandler(&b, nil), Mask: "#"}))
		value = "QQ" + value + "ZZ" // not a part of anything else
		l.Info("m", key+"-password", value, "o", map[string]any{key + ".token": value, "v": []any{struct{ Secret string }{value}}})
		if !json.Valid(b.Bytes()) || strings.Contains(b.String(), "QQ"+strings.ToValidUTF8(value[2:len(value)-2], "\ufffd")) && !strings.Contains(key, "QQ") {
			t.Errorf("%q under %q: %s", value, key, b.String())
		}
	})
}

type (
	Account struct{ User, Key string }
	named   struct {
		Account `json:"credentials"`
	}
	omitted struct {
		*Account `json:"-"`
	}
	tagged struct {
		Account `audit:"account,sensitive"`
	}
	marshaled struct {
		Card string `json:"card" audit:"card,sensitive"`
	}
)

func (m marshaled) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]string{"card": m.Card})
}
func (m *marshaled) String() string { return m.Card }

func TestEmbeddedAndTaggedFieldsAreMasked(t *testing.T) {
	a := Account{"u", secret}
	for _, test := range []struct{ v, want any }{
		{named{a}, map[string]any{"credentials": "***"}},
		{struct{ named }{named{a}}, map[string]any{"credentials": "***"}},
		{omitted{&a}, map[string]any{}},
		{tagged{a}, map[string]any{"User": "***", "Key": "***"}},
		{marshaled{secret}, map[string]any{"card": "***"}},
		{&marshaled{secret}, map[string]any{"card": "***"}},
		{[]any{slog.String("pin", secret)}, []any{map[string]any{"pin": "***"}}},
		{[]any{slog.GroupValue(slog.String("pin", secret))}, []any{map[string]any{"pin": "***"}}},
	} {
		got := attr(t, test.v)
		if got == nil {
			got = map[string]any{} // slog leaves out an empty group
		}
		checkEqual(t, got, test.want)
	}
}

func TestPasswordsInTexts(t *testing.T) {
	for _, s := range []string{
		`{"dbPassword":"%s"}`, `{"accessToken": "%s"}`, `{\"password\":\"%s\"}`, `{\"password\":\"a\\\"%s\"}`, `{"password":"a\"%s"}`, `password='a %s'`,
		`"password":"%s `, `{'password': '%s'}`, `{"X-Token":["%s"]}`, `map[Token:[%s]]`, `accessToken=%s`, `smtp://me@example.com:%s@host`,
	} {
		if got := fmt.Sprint(attr(t, fmt.Sprintf(s, secret))); strings.Contains(got, secret) {
			t.Errorf("%s: %s", s, got)
		}
	}
}

func TestReplaceAttrMasksKeysOfRecords(t *testing.T) {
	var b bytes.Buffer
	l := slog.New(slog.NewJSONHandler(&b, &slog.HandlerOptions{AddSource: true, ReplaceAttr: redact.ReplaceAttr(redact.Config{})}))
	for _, key := range []string{slog.TimeKey, slog.LevelKey, slog.SourceKey} {
		b.Reset()
		l.Info("m", key, "postgres://u:"+secret+"@host")
		if s := b.String(); strings.Contains(s, secret) || !strings.Contains(s, `"level":"INFO"`) || !strings.Contains(s, `"source":{"function"`) {
			t.Error(s)
		}
	}
}

func TestGroupsInSecretGroups(t *testing.T) {
	got := logged(t, redact.Config{}, func(l *slog.Logger) { l.WithGroup("credentials").WithGroup("x").With("a", 1).Info("m", "b", "v") })
	checkEqual(t, got["credentials"], any(map[string]any{"x": map[string]any{"a": "***", "b": "***"}}))
	checkEqual(t, attr(t, json.RawMessage(`"`+strings.Repeat("a", 64<<10)+`"`)), any("***"))
}
