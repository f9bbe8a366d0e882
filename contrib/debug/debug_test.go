package debug_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/redoubt-go/redoubt/audit"
	"github.com/redoubt-go/redoubt/audit/ledger"
	"github.com/redoubt-go/redoubt/breaker"
	"github.com/redoubt-go/redoubt/cache"
	"github.com/redoubt-go/redoubt/contrib/debug"
	"github.com/redoubt-go/redoubt/logscan"
	"github.com/redoubt-go/redoubt/logscan/detect"
	"github.com/redoubt-go/redoubt/logscan/follow"
	"github.com/redoubt-go/redoubt/ratelimit"
	"github.com/redoubt-go/redoubt/ratelimit/bulkhead"
	"github.com/redoubt-go/redoubt/retry"
)

func checkEqual[T any](t *testing.T, got, want T) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// objects returns an object of every type that has statistics.
func objects(t testing.TB) map[string]any {
	l, err := ledger.Open(context.Background(), t.TempDir(), ledger.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	load := func(context.Context, string) (int, error) { return 1, nil }
	window := ratelimit.WindowConfig{Limit: ratelimit.PerMinute(5)}
	alert := detect.Config{Limit: 3, Per: time.Minute}
	group := breaker.NewGroup(breaker.GroupConfig[string]{Name: "hosts"})
	return map[string]any{
		"breaker":  breaker.New(breaker.Config{}),
		"group":    group,
		"pool":     breaker.NewPool(breaker.PoolConfig[string]{Endpoints: []string{"a", "b"}}),
		"throttle": breaker.NewThrottle(breaker.ThrottleConfig{}),
		"limiter":  ratelimit.New(ratelimit.PerSecond(10)),
		"keyed":    ratelimit.NewKeyed[string](ratelimit.KeyedConfig{Limit: ratelimit.PerSecond(1)}),
		"window":   ratelimit.NewWindow(window.Limit),
		"counter":  ratelimit.NewCounter(window.Limit),
		"bulkhead": bulkhead.New(bulkhead.Config{}),
		"cache":    cache.New(cache.Config[string, int]{Capacity: 10}),
		"memo":     cache.Memoize(cache.Config[string, int]{Capacity: 10}, load),
		"audit":    audit.New(audit.Config{Sink: l}),
		"buffer":   audit.NewBuffer(audit.BufferConfig{Next: l}),
		"ledger":   l,
		"budget":   &retry.TokenBudget{},
		"scan":     &logscan.Counters{},
		"follow":   &follow.Counters{},
		"detect":   detect.NewWindow[string](alert),
	}
}

func get(t *testing.T, h http.Handler, target, accept string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, target, nil)
	r.Header.Set("Accept", accept)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestEveryObjectIsShown(t *testing.T) {
	all := objects(t)
	h := debug.New(debug.Config{Objects: all})
	var page struct {
		Objects []struct {
			Name, State, Type string
			Stats             map[string]any
		}
	}
	w := get(t, h, "/", "application/json")
	if err := json.Unmarshal(w.Body.Bytes(), &page); err != nil {
		t.Fatal(err)
	}
	if len(page.Objects) != len(all) {
		t.Errorf("%d objects, want %d", len(page.Objects), len(all))
	}
	html, text := get(t, h, "/", "text/html,*/*").Body.String(), get(t, h, "/", "*/*").Body.String()
	for _, o := range page.Objects {
		if len(o.Stats) < 2 || o.Type == "" || strings.ContainsAny(o.Type, "*[") {
			t.Errorf("%s of type %q has the statistics %v", o.Name, o.Type, o.Stats)
		}
		if !strings.Contains(html, `data-id="&#34;`+o.Name+`&#34;"`) || !strings.Contains(text, "\n"+o.Name+" ") {
			t.Errorf("%s is not on the page or not in the text", o.Name)
		}
	}
	if strings.Contains(html, "<form") {
		t.Error("a page without Authorize has forms")
	}
}

func TestFormats(t *testing.T) {
	h := debug.New(debug.Config{Objects: map[string]any{"b": breaker.New(breaker.Config{})}})
	for _, test := range []struct {
		target, accept, want string
		status               int
	}{
		{"/", "", "text/plain; charset=utf-8", 200},
		{"/", "*/*", "text/plain; charset=utf-8", 200},
		{"/", "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8", "text/html; charset=utf-8", 200},
		{"/", "application/json", "application/json", 200},
		{"/?format=json", "text/html", "application/json", 200},
		{"/?format=html", "", "text/html; charset=utf-8", 200},
		{"/?format=xml", "", "text/plain; charset=utf-8", 400},
	} {
		w := get(t, h, test.target, test.accept)
		if got := w.Header().Get("Content-Type"); got != test.want || w.Code != test.status {
			t.Errorf("%s, accept %q: %d %s, want %d %s", test.target, test.accept, w.Code, got, test.status, test.want)
		}
		for name, want := range map[string]string{"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"} {
			checkEqual(t, w.Header().Get(name), want)
		}
		if csp := w.Header().Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none';") || strings.Contains(csp, "unsafe") {
			t.Errorf("Content-Security-Policy: %s", csp)
		}
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodDelete, "/", nil))
	checkEqual(t, w.Code, http.StatusMethodNotAllowed)
}

func TestNamesAreEscaped(t *testing.T) {
	const name = `"><script>alert(1)</script>`
	h := debug.New(debug.Config{Name: name, Objects: map[string]any{name: breaker.New(breaker.Config{Name: name})}})
	if html := get(t, h, "/", "text/html").Body.String(); strings.Contains(html, "<script>alert") {
		t.Error("the page contains a name as markup")
	}
}

func TestGroupShowsBreakersThatAreNotClosedFirst(t *testing.T) {
	group := breaker.NewGroup(breaker.GroupConfig[string]{Name: "hosts"})
	for i := range 300 {
		key := "https://" + string(rune('a'+i%26)) + strings.Repeat("x", i) + ".example.com"
		_ = group.Do(context.Background(), key, func(context.Context) error { return nil })
	}
	for range 10 {
		_ = group.Do(context.Background(), "https://zz.example.com", func(context.Context) error { return errors.New("down") })
	}
	h := debug.New(debug.Config{Name: "shop", Objects: map[string]any{"hosts": group}})
	text := get(t, h, "/", "").Body.String()
	if !strings.HasPrefix(text, "shop: hosts/https://zz.example.com is open\n") {
		t.Errorf("the text begins with %.80q", text)
	}
	if n := strings.Count(text, "\nhosts/"); n != 100 {
		t.Errorf("%d breakers are shown, want 100", n)
	}
}

func TestSummary(t *testing.T) {
	closed, open := breaker.New(breaker.Config{}), breaker.New(breaker.Config{})
	open.ForceOpen()
	for _, test := range []struct {
		objects map[string]any
		want    string
	}{
		{nil, "x"},
		{map[string]any{"a": closed}, "x: the circuit breaker is closed"},
		{map[string]any{"a": closed, "b": closed}, "x: all 2 circuit breakers are closed"},
		{map[string]any{"a": closed, "b": open}, "x: b is forced open"},
		{
			map[string]any{"a": open, "b": open, "c": open, "d": open, "e": open, "f": open, "g": open},
			"x: a is forced open, b is forced open, c is forced open, d is forced open, e is forced open and 2 more",
		},
	} {
		text := get(t, debug.New(debug.Config{Name: "x", Objects: test.objects}), "/", "").Body.String()
		line, _, _ := strings.Cut(text, "\n")
		checkEqual(t, line, test.want)
	}
}

// actor is the actor of all changes, if it is allowed.
func authorized(allow *error) func(*http.Request, debug.Action) (audit.Actor, error) {
	return func(*http.Request, debug.Action) (audit.Actor, error) { return audit.Actor{ID: "alice"}, *allow }
}

// A journal is a Sink that keeps events.
type journal struct {
	mu     sync.Mutex
	events []string
	fail   error
}

func (j *journal) WriteEvents(_ context.Context, events []*audit.Event) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, e := range events {
		if j.fail != nil {
			return j.fail
		}
		j.events = append(j.events, e.Target.ID+" "+e.Attrs[0].Value.String()+" "+string(e.Outcome))
	}
	return nil
}

func post(h http.Handler, header map[string]string, pairs ...string) *httptest.ResponseRecorder {
	form := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for name, value := range header {
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestEveryActionWorks(t *testing.T) {
	all := objects(t)
	group := all["group"].(*breaker.Group[string])
	_ = group.Do(context.Background(), "a/b", func(context.Context) error { return nil })
	c := all["cache"].(*cache.Cache[string, int])
	c.Set("a", 1)
	var none error
	h := debug.New(debug.Config{Objects: all, Authorize: authorized(&none), Audit: audit.New(audit.Config{Sink: &journal{}})})
	for _, test := range []struct {
		object, action, value string
		check                 func() any
		want                  any
	}{
		{"breaker", "force-open", "", func() any { return all["breaker"].(*breaker.Breaker).State() }, breaker.StateForcedOpen},
		{"breaker", "force-closed", "", func() any { return all["breaker"].(*breaker.Breaker).State() }, breaker.StateForcedClosed},
		{"breaker", "reset", "", func() any { return all["breaker"].(*breaker.Breaker).State() }, breaker.StateClosed},
		{"group/a/b", "force-open", "", func() any { return group.State("a/b") }, breaker.StateForcedOpen},
		{"limiter", "limit", "7/m burst 3, 1/s", func() any { return all["limiter"].(*ratelimit.Limiter).Config().Limits[0].String() }, "7/m burst 3"},
		{"limiter", "reset", "", func() any { return all["limiter"].(*ratelimit.Limiter).Peek().OK }, true},
		{"keyed", "limit", "7/m", func() any { return all["keyed"].(*ratelimit.Keyed[string]).Peek("k").Limit.String() }, "7/m"},
		{"keyed", "reset", "k", func() any { return all["keyed"].(*ratelimit.Keyed[string]).Peek("k").OK }, true},
		{"window", "limit", "7/m", func() any { return all["window"].(*ratelimit.Window).Config().Limit.String() }, "7/m"},
		{"counter", "limit", "7/m", func() any { return all["counter"].(*ratelimit.Counter).Config().Limit.String() }, "7/m"},
		{"bulkhead", "limit", "7", func() any { return all["bulkhead"].(*bulkhead.Bulkhead).Config().Limit }, 7},
		{"cache", "clear", "", func() any { return c.Len() }, 0},
		{"memo", "clear", "", func() any { return 0 }, 0},
	} {
		w := post(h, nil, "object", test.object, "action", test.action, "value", test.value)
		if w.Code != http.StatusOK {
			t.Errorf("%s %s: %d %s", test.object, test.action, w.Code, w.Body)
		}
		checkEqual(t, test.check(), test.want)
	}
}

func TestChangesAreRefused(t *testing.T) {
	b := breaker.New(breaker.Config{})
	all := map[string]any{"b": b, "l": bulkhead.New(bulkhead.Config{}), "r": ratelimit.New(ratelimit.PerSecond(1))}
	var allow error
	sink := &journal{}
	config := debug.Config{Objects: all, Authorize: authorized(&allow), Audit: audit.New(audit.Config{Sink: sink})}
	h := debug.New(config)
	for _, test := range []struct {
		name   string
		header map[string]string
		form   []string
		want   int
	}{
		{"another origin", map[string]string{"Sec-Fetch-Site": "cross-site"}, []string{"object", "b", "action", "reset"}, 403},
		{"no such object", nil, []string{"object", "x", "action", "reset"}, 404},
		{"no such key", nil, []string{"object", "b/x", "action", "reset"}, 404},
		{"no such action", nil, []string{"object", "b", "action", "explode"}, 404},
		{"a value too many", nil, []string{"object", "b", "action", "reset", "value", "1"}, 400},
		{"no value", nil, []string{"object", "l", "action", "limit"}, 400},
		{"not a number", nil, []string{"object", "l", "action", "limit", "value", "many"}, 400},
		{"zero", nil, []string{"object", "l", "action", "limit", "value", "0"}, 400},
		{"not a limit", nil, []string{"object", "r", "action", "limit", "value", "5 per second"}, 400},
		{"a large form", nil, []string{"object", strings.Repeat("x", 1<<20)}, 400},
	} {
		if w := post(h, test.header, test.form...); w.Code != test.want {
			t.Errorf("%s: %d %s, want %d", test.name, w.Code, w.Body, test.want)
		}
	}
	sink.events = nil
	allow = errors.New("secret reason")
	w := post(h, nil, "object", "b", "action", "force-open")
	if w.Code != 403 || strings.Contains(w.Body.String(), "secret") {
		t.Errorf("without permission: %d %s", w.Code, w.Body)
	}
	checkEqual(t, sink.events, []string{"b force-open denied"})
	allow, sink.fail = nil, errors.New("disk full")
	if w := post(h, nil, "object", "b", "action", "force-open"); w.Code != 503 {
		t.Errorf("without an audit log: %d %s", w.Code, w.Body)
	}
	config.Authorize, config.Audit = nil, nil
	if err := h.Set(config); err != nil {
		t.Fatal(err)
	}
	if w := post(h, nil, "object", "b", "action", "force-open"); w.Code != 403 {
		t.Errorf("without Authorize: %d %s", w.Code, w.Body)
	}
	checkEqual(t, b.State(), breaker.StateClosed)
}

func TestBrowserIsSentBackToThePage(t *testing.T) {
	var none error
	h := debug.New(debug.Config{
		Objects:   map[string]any{"b": breaker.New(breaker.Config{})},
		Authorize: authorized(&none), Audit: audit.New(audit.Config{Sink: &journal{}}),
	})
	w := post(h, map[string]string{"Accept": "text/html", "Sec-Fetch-Site": "same-origin"}, "object", "b", "action", "force-open")
	checkEqual(t, w.Code, http.StatusSeeOther)
	checkEqual(t, w.Header().Get("Location"), "?")
	if html := get(t, h, "/", "text/html").Body.String(); strings.Count(html, "<form") != 3 || !strings.Contains(html, "forced open") {
		t.Error("the page does not show three actions and the new state")
	}
}

// next returns the data of the next event of a stream.
func next(t *testing.T, events *bufio.Reader) (data string) {
	t.Helper()
	for {
		line, err := events.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if data, ok := strings.CutPrefix(line, "data: "); ok {
			return data
		}
	}
}

func TestStream(t *testing.T) {
	before := runtime.NumGoroutine()
	b := breaker.New(breaker.Config{})
	h := debug.New(debug.Config{Objects: map[string]any{"b": b}, Interval: 50 * time.Millisecond, MaxStreams: 1})
	server := httptest.NewServer(h)
	defer server.Close()
	open := func() *http.Response {
		resp, err := http.Get(server.URL + "?format=events")
		if err != nil {
			t.Fatal(err)
		}
		return resp
	}
	resp := open()
	events := bufio.NewReader(resp.Body)
	if data := next(t, events); !strings.Contains(data, `"state":"closed"`) {
		t.Errorf("first event: %s", data)
	}
	b.ForceOpen()
	for !strings.Contains(next(t, events), `"bad":true,"objects":[{"id":"\"b\"","state":"forced open"`) {
	}
	second := open()
	checkEqual(t, second.StatusCode, http.StatusServiceUnavailable)
	second.Body.Close()
	h.Close()
	if _, err := io.Copy(io.Discard, events); err != nil {
		t.Errorf("the stream ends with %v", err)
	}
	resp.Body.Close()
	closed := open()
	checkEqual(t, closed.StatusCode, http.StatusServiceUnavailable)
	closed.Body.Close()
	server.Close()
	http.DefaultClient.CloseIdleConnections()
	for end := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > before; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), before)
		}
	}
}

// A client that goes away gives its place back.
func TestStreamOfAClientThatGoesAway(t *testing.T) {
	h := debug.New(debug.Config{Interval: 50 * time.Millisecond, MaxStreams: 1})
	server := httptest.NewServer(h)
	defer server.Close()
	defer h.Close()
	deadline := time.Now().Add(20 * time.Second)
	for range 5 {
		for {
			resp, err := http.Get(server.URL + "?format=events")
			if err != nil {
				t.Fatal(err)
			}
			ok := resp.StatusCode == http.StatusOK
			if ok {
				next(t, bufio.NewReader(resp.Body))
			}
			resp.Body.Close()
			if ok {
				break
			}
			if time.Now().After(deadline) {
				t.Fatal("the place of a client that went away is not given back")
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
}

func TestValidate(t *testing.T) {
	var none error
	err := debug.Config{Interval: time.Millisecond, Authorize: authorized(&none), Objects: map[string]any{
		"a": nil, "b": 1, "c": (*breaker.Breaker)(nil), "d": breaker.New(breaker.Config{}),
	}}.Validate()
	want := `debug: Interval is 1ms, want at least 50ms
debug: Audit is missing, want a Log if Authorize is set
debug: Objects["a"] is of type <nil>, want a value with a method Stats() that returns a struct
debug: Objects["b"] is of type int, want a value with a method Stats() that returns a struct
debug: Objects["c"] is of type *breaker.Breaker, want a value with a method Stats() that returns a struct`
	checkEqual(t, err.Error(), want)
	h := debug.New(debug.Config{})
	if h.Set(debug.Config{Interval: -1}) == nil {
		t.Error("Set accepts an invalid Config")
	}
	checkEqual(t, h.Config().Interval, time.Second)
}

// Changes and looks may happen at the same time.
func TestConcurrentUse(t *testing.T) {
	all := objects(t)
	var none error
	h := debug.New(debug.Config{Objects: all, Authorize: authorized(&none), Audit: audit.New(audit.Config{Sink: &journal{}})})
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() {
			for range 20 {
				get(t, h, "/", "text/html")
				post(h, nil, "object", "breaker", "action", "force-open")
				post(h, nil, "object", "limiter", "action", "limit", "value", "5/s")
				if err := h.Set(h.Config()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wait.Wait()
}
