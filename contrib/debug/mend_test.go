package debug_test

import (
	"bufio"
	"context"
	"encoding/json"
	"html"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/redoubt-go/redoubt/audit"
	"github.com/redoubt-go/redoubt/breaker"
	"github.com/redoubt-go/redoubt/contrib/debug"
	"github.com/redoubt-go/redoubt/ratelimit"
	"github.com/redoubt-go/redoubt/ratelimit/bulkhead"
)

// A broken is an object of another package.
type broken struct{}

func (broken) Stats() struct{ N int } { panic("no figures") }

func TestStatsThatPanics(t *testing.T) {
	h := debug.New(debug.Config{Name: "x", Objects: map[string]any{"a": broken{}, "b": breaker.New(breaker.Config{})}})
	for _, accept := range []string{"", "text/html", "application/json"} {
		text := get(t, h, "/", accept).Body.String()
		if !strings.Contains(text, "Stats panics: no figures") || !strings.Contains(text, "closed") {
			t.Errorf("got %s", text)
		}
	}
}

// While Authorize and the audit log take their time, the program changes the
// same guard.
func TestChangeKeepsTheOtherSettings(t *testing.T) {
	b := bulkhead.New(bulkhead.Config{Limit: 5})
	l := ratelimit.New(ratelimit.PerSecond(1).WithName("fast"), ratelimit.PerHour(9).WithName("slow"))
	w := ratelimit.NewWindow(ratelimit.PerHour(9).WithName("mails"))
	k := ratelimit.NewKeyed[string](ratelimit.KeyedConfig{Limit: ratelimit.PerHour(9).WithName("clients")})
	h := debug.New(debug.Config{
		Objects: map[string]any{"b": b, "l": l, "w": w, "k": k},
		Audit:   audit.New(audit.Config{Sink: &journal{}}),
		Authorize: func(_ *http.Request, asked debug.Action) (audit.Actor, error) {
			var err error
			switch asked.Object {
			case "b":
				err = b.Set(bulkhead.Config{Name: "new", Limit: 6, MaxWait: time.Minute})
			case "l":
				err = l.Set(ratelimit.Config{Name: "new", Limits: l.Config().Limits})
			}
			return audit.Actor{ID: "alice"}, err
		},
	})
	for _, name := range []string{"b", "l", "w", "k"} {
		value := map[bool]string{true: "7", false: "7/s"}[name == "b"]
		if w := post(h, nil, "object", name, "action", "limit", "value", value); w.Code != http.StatusOK {
			t.Fatal(w.Code, w.Body)
		}
	}
	checkEqual(t, b.Config().Name, "new")
	checkEqual(t, b.Config().MaxWait, time.Minute)
	checkEqual(t, b.Config().Limit, 7)
	checkEqual(t, l.Config().Name, "new")
	checkEqual(t, l.Config().Limits, []ratelimit.Limit{ratelimit.PerSecond(7).WithName("fast")})
	checkEqual(t, w.Config().Limit, ratelimit.PerSecond(7).WithName("mails"))
	checkEqual(t, k.Peek("x").Limit, ratelimit.PerSecond(7).WithName("clients"))
}

// Without TLS a browser sends no Sec-Fetch-Site. The policy no-referrer would
// make the Origin of a button "null", which is another origin.
func TestButtonsWorkWithoutTLS(t *testing.T) {
	h := debug.New(debug.Config{})
	checkEqual(t, get(t, h, "/", "text/html").Header().Get("Referrer-Policy"), "same-origin")
}

func TestHeadOfTheStreamEnds(t *testing.T) {
	h := debug.New(debug.Config{})
	r := httptest.NewRequest(http.MethodHead, "/?format=events", nil)
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	time.AfterFunc(20*time.Second, cancel)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r.WithContext(ctx))
	if ctx.Err() != nil || w.Body.Len() != 0 {
		t.Errorf("the answer lasts, or contains %q", w.Body)
	}
	checkEqual(t, w.Header().Get("Content-Type"), "text/event-stream")
}

// Keys can be chosen by clients. They forge no line of the text, and no control
// sequence of a terminal, and the page knows them again in an event.
func TestHostileKeys(t *testing.T) {
	group := breaker.NewGroup(breaker.GroupConfig[string]{Name: "hosts"})
	for _, key := range []string{"a\rb", "a\nb is closed", "\xff\xfe", "\x1b[2J", "\x00", "\u202e", "é"} {
		_ = group.Do(context.Background(), key, func(context.Context) error { return nil })
	}
	var none error
	h := debug.New(debug.Config{
		Objects: map[string]any{"hosts": group}, Authorize: authorized(&none), Audit: audit.New(audit.Config{Sink: &journal{}}),
	})
	text := get(t, h, "/", "").Body.String()
	if strings.ContainsAny(text, "\r\x00\x1b\u202e") || !utf8.ValidString(text) || strings.Contains(text, "\nb is closed") {
		t.Errorf("got %q", text)
	}
	if w := post(h, nil, "object", "hosts/\x1b[2J", "action", "reset"); strings.Contains(w.Body.String(), "\x1b") || w.Code != 200 ||
		w.Header().Get("Content-Type") != "text/plain; charset=utf-8" {
		t.Errorf("got %d %q %v", w.Code, w.Body, w.Header())
	}
	page := get(t, h, "/", "text/html").Body.String()
	if !strings.Contains(page, `<h2>&#34;hosts/a\rb&#34;</h2>`) {
		t.Error("a key is on the page without quotes")
	}
	server := httptest.NewServer(h)
	defer server.Close()
	defer h.Close()
	resp, err := http.Get(server.URL + "?format=events")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var news struct{ Objects []struct{ ID string } }
	if err := json.Unmarshal([]byte(next(t, bufio.NewReader(resp.Body))), &news); err != nil {
		t.Fatal(err)
	}
	ids := regexp.MustCompile(`data-id="([^"]*)"`).FindAllStringSubmatch(page, -1)
	if len(ids) != 8 || len(news.Objects) != 8 {
		t.Fatalf("%d and %d objects", len(ids), len(news.Objects))
	}
	for i, id := range ids {
		if name := html.UnescapeString(id[1]); name != news.Objects[i].ID || strings.Trim(name, "\x20!\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~") != "" {
			t.Errorf("%q on the page, %q in the event", name, news.Objects[i].ID)
		}
	}
}

// A change must mean a single object.
func TestNamesOfObjectsInGroups(t *testing.T) {
	group := breaker.NewGroup(breaker.GroupConfig[string]{Name: "hosts"})
	err := debug.Config{Objects: map[string]any{"a": group, "a/b": breaker.New(breaker.Config{}), "ab/c": group}}.Validate()
	if err == nil {
		t.Fatal("no error")
	}
	checkEqual(t, err.Error(), `debug: Objects["a/b"] has the name of a breaker in the group Objects["a"]`)
}

// A Handler keeps its own map of objects, and Config returns a copy.
func TestObjectsAreCopied(t *testing.T) {
	mine := map[string]any{}
	h := debug.New(debug.Config{Objects: mine})
	mine["a"] = 1
	h.Config().Objects["b"] = 2
	checkEqual(t, len(h.Config().Objects), 0)
}
