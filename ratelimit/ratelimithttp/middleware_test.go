package ratelimithttp_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redoubt-go/redoubt/ratelimit"
	"github.com/redoubt-go/redoubt/ratelimit/bulkhead"
	"github.com/redoubt-go/redoubt/ratelimit/ratelimithttp"
)

func TestNestedCountsOnceAndTouchesNothing(t *testing.T) {
	limit := ratelimithttp.Middleware(ratelimithttp.Config{Store: local(ratelimit.PerHour(2)), Key: oneKey})
	var passed http.ResponseWriter
	h := limit(limit(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		passed = w
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s", body)
	})))
	for i, want := range []int{200, 200, 429} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/", strings.NewReader("body")))
		if w.Code != want || want == 200 && (w.Body.String() != "body" || passed != http.ResponseWriter(w)) {
			t.Errorf("request %d: got %d %q, want %d", i, w.Code, w.Body, want)
		}
	}
}

// failing is a Store that is down.
type failing struct{}

func (failing) TakeKey(context.Context, string, int64) (ratelimit.Decision, error) {
	return ratelimit.Decision{}, errors.New("down")
}

func TestMiddlewareConfig(t *testing.T) {
	ok := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	var got []string
	c := ratelimithttp.Config{Store: failing{}, Key: oneKey, OnEvent: func(_ context.Context, e ratelimithttp.Event) { got = append(got, e.Err.Error()) }}
	refused := get(ratelimithttp.Middleware(c)(ok))
	c.ServeOnError = true
	served := get(ratelimithttp.Middleware(c)(ok))
	if served.Code != 200 || refused.Code != 503 || !strings.Contains(refused.Body.String(), "temporary-reduced-capacity") {
		t.Errorf("ServeOnError: %d, otherwise %d %s, want 200 and 503", served.Code, refused.Code, refused.Body)
	}
	checkEqual(t, got, []string{"down", "down"})
	c = ratelimithttp.Config{Store: local(ratelimit.PerHour(1)), Key: func(*http.Request) (string, bool) { return "", false }}
	h := ratelimithttp.Middleware(c)(ok)
	if get(h); get(h).Code != 200 {
		t.Error("a request that is not limited was refused")
	}
	c = ratelimithttp.Config{Store: local(ratelimit.PerHour(1)), Key: oneKey, NoFields: true, Cost: func(*http.Request) int64 { return 0 }}
	h = ratelimithttp.Middleware(c)(ok)
	if get(h); get(h).Code != 200 || len(get(h).Header()) != 0 {
		t.Errorf("free requests: %d, header %v", get(h).Code, get(h).Header())
	}
	c.Cost = func(*http.Request) int64 { return -5 }
	h = ratelimithttp.Middleware(c)(ok)
	if get(h); get(h).Code != 429 {
		t.Error("a request of negative cost is free")
	}
	c.Name = "ü" + strings.Repeat("x", 100)
	defer func() {
		if got := fmt.Sprint(recover()); !strings.Contains(got, "Name") || len(got) > 200 {
			t.Errorf("Middleware panics with %q", got)
		}
	}()
	ratelimithttp.Middleware(c)
}

// A request counts even if the client cancels it before the limiter sees it.
func TestCancelledRequestsCount(t *testing.T) {
	served := 0
	h := ratelimithttp.Middleware(ratelimithttp.Config{Store: local(ratelimit.PerHour(5)), Key: oneKey})(
		http.HandlerFunc(func(http.ResponseWriter, *http.Request) { served++ }))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 100 {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil))
	}
	if served != 5 {
		t.Errorf("served %d of 100 cancelled requests, want 5", served)
	}
}

// The handler has the context of the request, with its end.
func TestContextOfTheHandler(t *testing.T) {
	type key struct{}
	ctx, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, "value"))
	store := storeFunc(func(ctx context.Context, _ string, n int64) (ratelimit.Decision, error) {
		checkEqual(t, ctx.Value(key{}), any("value"))
		return ratelimit.Decision{OK: true, N: n, Limit: ratelimit.Inf()}, nil
	})
	h := ratelimithttp.Middleware(ratelimithttp.Config{Store: store, Key: oneKey})(
		http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			cancel()
			if r.Context().Err() == nil || r.Context().Value(key{}) != "value" {
				t.Errorf("the handler has another context: %v", r.Context())
			}
		}))
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil))
}

// A storeFunc is a Store.
type storeFunc func(ctx context.Context, key string, n int64) (ratelimit.Decision, error)

func (f storeFunc) TakeKey(ctx context.Context, key string, n int64) (ratelimit.Decision, error) {
	return f(ctx, key, n)
}

// A handler that changes its response header does not change other responses.
func TestResponsesShareNoMemory(t *testing.T) {
	h := ratelimithttp.Middleware(ratelimithttp.Config{Store: local(ratelimit.PerHour(5)), Key: oneKey})(
		http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			for _, name := range []string{"Ratelimit-Policy", "Ratelimit"} {
				w.Header()[name][0] = "x-" + w.Header()[name][0]
				w.Header().Add(name, "y")
			}
		}))
	get(h)
	checkEqual(t, get(h).Header(), http.Header{
		"Ratelimit-Policy": {`x-"default";q=5;w=3600`, "y"}, "Ratelimit": {`x-"default";r=3;t=720;redoubt-burst=5`, "y"},
	})
}

func TestAllocations(t *testing.T) {
	several := ratelimit.NewKeyed[string](ratelimit.KeyedConfig{Limit: ratelimit.PerSecond(1e9), Quotas: []ratelimit.Quota{{N: 1e9, Unit: ratelimit.Month}}})
	for name, store := range map[string]ratelimit.Store{"a limit": local(ratelimit.PerSecond(1e9)), "a limit and a quota": ratelimit.Local(several)} {
		h := ratelimithttp.Middleware(ratelimithttp.Config{
			Store: store, Key: ratelimithttp.ByIP(ratelimithttp.ClientIP()),
		})(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		r, w := httptest.NewRequest(http.MethodGet, "/", nil), httptest.NewRecorder()
		if got := testing.AllocsPerRun(100, func() { clear(w.Header()); h.ServeHTTP(w, r) }); got > 3 && !raceEnabled {
			t.Errorf("%s: %v allocations for a request, want at most 3", name, got)
		}
	}
}

func BenchmarkMiddleware(b *testing.B) {
	h := ratelimithttp.Middleware(ratelimithttp.Config{
		Store: local(ratelimit.PerSecond(1e9)), Key: ratelimithttp.ByIP(ratelimithttp.ClientIP()),
	})(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	r, w := httptest.NewRequest(http.MethodGet, "/", nil), httptest.NewRecorder()
	b.ReportAllocs()
	for b.Loop() {
		clear(w.Header())
		h.ServeHTTP(w, r)
	}
}

// A request that a handler dispatches in the process counts, even with the
// context of a counted request. Copies of the request itself do not.
func TestRequestsInTheProcessCount(t *testing.T) {
	limit := ratelimithttp.Middleware(ratelimithttp.Config{Store: local(ratelimit.PerHour(5)), Key: oneKey})
	served := 0
	part := limit(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { served++ }))
	batch := limit(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		part.ServeHTTP(httptest.NewRecorder(), r) // the same request
		part.ServeHTTP(httptest.NewRecorder(), r.WithContext(context.WithValue(r.Context(), t, t)))
		http.StripPrefix("/", part).ServeHTTP(httptest.NewRecorder(), r)
		for range 1000 {
			sub, _ := http.NewRequestWithContext(r.Context(), http.MethodGet, "/part", nil)
			part.ServeHTTP(httptest.NewRecorder(), sub)
			part.ServeHTTP(httptest.NewRecorder(), (&http.Request{Method: "GET", URL: r.URL}).WithContext(r.Context()))
		}
	}))
	get(batch)
	if served != 3+4 {
		t.Errorf("served %d, want the request itself 3 times and 4 parts", served)
	}
}

func TestRefuseAndOnEvent(t *testing.T) {
	var events []ratelimithttp.Event
	c := ratelimithttp.Config{
		Name: "api", Store: local(ratelimit.PerHour(1)), Key: oneKey,
		Refuse: func(w http.ResponseWriter, r *http.Request, err error) {
			w.WriteHeader(420)
			fmt.Fprintf(w, "%s: %v", r.Method, errors.Is(err, ratelimit.ErrLimited))
		},
		OnEvent: func(_ context.Context, e ratelimithttp.Event) { events = append(events, e) },
	}
	h := ratelimithttp.Middleware(c)(http.NotFoundHandler())
	get(h)
	if w := get(h); w.Code != 420 || w.Body.String() != "GET: true" || w.Header().Get("Retry-After") != "3600" || w.Header().Get("RateLimit") == "" {
		t.Errorf("refused: %d %q %v", w.Code, w.Body, w.Header())
	}
	c.Store = failing{}
	if w := get(ratelimithttp.Middleware(c)(http.NotFoundHandler())); w.Body.String() != "GET: false" || w.Header().Get("Retry-After") != "" {
		t.Errorf("failed: %q %v", w.Body, w.Header())
	}
	var texts []string
	for _, e := range events {
		texts = append(texts, fmt.Sprint(e.Kind, " ", e.Name, " ", e.Request.URL, " ", e.Err))
	}
	checkEqual(t, texts, []string{"refused api / ratelimit: api: limited to 1/h, retry after 1h0m0s", "failed api / down"})
	if got := events[0].LogValue().String(); !strings.Contains(got, "route=") || strings.Contains(got, "/?") {
		t.Errorf("log value %s", got)
	}
	checkEqual(t, ratelimithttp.Kind(7).String(), "Kind(7)")
}

func TestWriteError(t *testing.T) {
	forever := ratelimit.LimitedError{Decision: ratelimit.Decision{N: 9, Limit: ratelimit.PerHour(5)}}
	for _, tt := range []struct {
		name  string
		err   error
		code  int
		after string
		body  string
	}{
		{"limited", fmt.Errorf("wrapped: %w", &ratelimit.LimitedError{Decision: ratelimit.Decision{
			N: 1, Limit: ratelimit.PerHour(5).WithName("plan"), Retryable: true, RetryAfter: 1500 * time.Millisecond,
		}}), 429, "2", `"violated-policies":["plan"]`},
		{"never", &forever, 429, "", `quota-exceeded`},
		{"full", &bulkhead.FullError{}, 503, "1", `temporary-reduced-capacity`},
		{"too large", &bulkhead.FullError{Reason: bulkhead.ReasonTooLarge}, 503, "", `temporary-reduced-capacity`},
		{"soon", rejected(time.Millisecond), 503, "1", ``},
		{"later", rejected(2500 * time.Millisecond), 503, "3", ``},
		{"given up by a retry", gaveUp{rejected(2 * time.Second)}, 503, "2", ``},
		{"a secret", errors.New("password"), 503, "", `"status":503`},
		{"nil", nil, 503, "", ``},
	} {
		w := httptest.NewRecorder()
		ratelimithttp.WriteError(w, tt.err)
		if w.Code != tt.code || w.Header().Get("Retry-After") != tt.after || !strings.Contains(w.Body.String(), tt.body) ||
			strings.Contains(w.Body.String(), "password") || !json.Valid(w.Body.Bytes()) {
			t.Errorf("%s: %d, Retry-After %q, %s", tt.name, w.Code, w.Header().Get("Retry-After"), w.Body)
		}
	}
}

// A gaveUp is the error of a retry that does not wait for a refusal.
type gaveUp struct{ error }

func (gaveUp) Retryable() bool { return false }
func (g gaveUp) Unwrap() error { return g.error }

// A rejected is the refusal of another guard, with its pause.
type rejected time.Duration

func (rejected) Error() string               { return "no" }
func (rejected) Rejected() bool              { return true }
func (r rejected) RetryAfter() time.Duration { return time.Duration(r) }

// A request that is limited only on its second pass, for example because the
// key is the user, counts then.
func TestKeyThatComesLater(t *testing.T) {
	limit := ratelimithttp.Middleware(ratelimithttp.Config{
		Store: local(ratelimit.PerHour(1)),
		Key:   func(r *http.Request) (string, bool) { return "user", r.Header.Get("User") != "" },
	})
	inner := limit(http.NotFoundHandler())
	h := limit(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Set("User", "ann")
		inner.ServeHTTP(w, r)
	}))
	if first, second := get(h).Code, get(h).Code; first != 404 || second != 429 {
		t.Errorf("got %d and %d, want 404 and 429", first, second)
	}
}

// Requests whose handlers panic, and many at once, leave nothing behind.
func TestEveryRequestCounts(t *testing.T) {
	var served atomic.Int64
	h := ratelimithttp.Middleware(ratelimithttp.Config{Store: local(ratelimit.PerHour(1000)), Key: oneKey})(
		http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			if served.Add(1)%2 == 0 {
				panic(http.ErrAbortHandler)
			}
		}))
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	var wg sync.WaitGroup
	for i := range 2000 {
		if i%4 == 0 {
			r = httptest.NewRequest(http.MethodGet, "/", nil)
		}
		serve := func(r *http.Request) {
			defer func() { _ = recover() }()
			h.ServeHTTP(httptest.NewRecorder(), r)
		}
		if i%2 == 0 {
			serve(r) // again, after its handler has returned
		} else {
			wg.Go(func() { serve(httptest.NewRequest(http.MethodGet, "/", nil)) })
		}
	}
	wg.Wait()
	if got := served.Load(); got != 1000 {
		t.Errorf("served %d of 2000, want 1000", got)
	}
}
