package ratelimithttp_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redoubt-go/redoubt/ratelimit"
	"github.com/redoubt-go/redoubt/ratelimit/bulkhead"
	"github.com/redoubt-go/redoubt/ratelimit/ratelimithttp"
)

// oneKey is the key of all requests.
func oneKey(*http.Request) (string, bool) { return "all", true }

func local(l ratelimit.Limit) ratelimit.Store {
	return ratelimit.Local(ratelimit.NewKeyed[string](ratelimit.KeyedConfig{Limit: l}))
}

func get(h http.Handler) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	return w
}

func TestIPKey(t *testing.T) {
	tests := []struct{ addr, want string }{
		{"192.0.2.1", "192.0.2.1/32"},
		{"::ffff:192.0.2.1", "192.0.2.1/32"},
		{"64:ff9b::c000:201", "192.0.2.1/32"},
		{"2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"},
		{"fe80::1%eth0", "fe80::/64"},
	}
	for _, tt := range tests {
		if got := ratelimithttp.IPKey(netip.MustParseAddr(tt.addr), 32, 64).String(); got != tt.want {
			t.Errorf("IPKey(%s) = %s, want %s", tt.addr, got, tt.want)
		}
	}
	a := netip.MustParseAddr("2001:db8:1:2:3:4:5:6")
	if got := ratelimithttp.IPKey(a, -1, 56); got.String() != "2001:db8:1::/56" {
		t.Errorf("/56: got %v", got)
	}
	if got := ratelimithttp.IPKey(a, 0, 999); got.Bits() != 128 {
		t.Errorf("999 bits: got %v", got)
	}
	if got := ratelimithttp.IPKey(netip.Addr{}, 32, 64); got.IsValid() {
		t.Errorf("no address: got %v", got)
	}
	key := ratelimithttp.ByIP(ratelimithttp.ClientIP())
	seen := map[string]string{}
	for _, addr := range []string{"192.0.2.1:1", "[::1]:1", "[::]:1", "@", "0.0.0.0:1", "[2001:db8::1]:1"} {
		k, limited := key(&http.Request{RemoteAddr: addr})
		if other, ok := seen[k]; ok && !(strings.HasPrefix(addr, "[::") && strings.HasPrefix(other, "[::")) || !limited {
			t.Errorf("%s has the key of %s, or is not limited", addr, other)
		}
		seen[k] = addr
	}
}

func TestClientIP(t *testing.T) {
	tests := []struct {
		name, peer string
		lines      []string
		want       string
	}{
		{"no proxy", "203.0.113.9:1", nil, "203.0.113.9"},
		{"peer not trusted", "203.0.113.9:1", []string{"1.2.3.4"}, "203.0.113.9"},
		{"one hop", "10.0.0.1:1", []string{"1.2.3.4"}, "1.2.3.4"},
		{"made up on the left", "10.0.0.1:1", []string{"6.6.6.6, 1.2.3.4"}, "1.2.3.4"},
		{"trusted hops are skipped", "10.0.0.1:1", []string{"6.6.6.6, 1.2.3.4, 10.0.0.3,10.0.0.2"}, "1.2.3.4"},
		{"all lines count", "10.0.0.1:1", []string{"6.6.6.6", "1.2.3.4, 10.0.0.2", "10.0.0.3"}, "1.2.3.4"},
		{"stops at what cannot be read", "10.0.0.1:1", []string{"1.2.3.4, unknown, 10.0.0.2"}, "10.0.0.2"},
		{"empty element", "10.0.0.1:1", []string{"1.2.3.4,,10.0.0.2"}, "10.0.0.2"},
		{"empty line", "10.0.0.1:1", []string{"1.2.3.4", ""}, "10.0.0.1"},
		{"all trusted", "10.0.0.1:1", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		{"port", "10.0.0.1:1", []string{" 1.2.3.4:80\t"}, "1.2.3.4"},
		{"IPv6 with port", "10.0.0.1:1", []string{"[2001:db8::1]:80"}, "2001:db8::1"},
		{"IPv6 in brackets", "10.0.0.1:1", []string{"[2001:db8::1]"}, "2001:db8::1"},
		{"IPv6 with zone", "10.0.0.1:1", []string{"fe80::1%eth0"}, "fe80::1"},
		{"mapped peer", "[::ffff:10.0.0.1]:1", []string{"1.2.3.4"}, "1.2.3.4"},
		{"no port", "10.0.0.1", []string{"1.2.3.4"}, "1.2.3.4"},
		{"no address", "@", []string{"1.2.3.4"}, "invalid IP"},
		{"many hops", "10.0.0.1:1", []string{"1.2.3.4" + strings.Repeat(", 10.0.0.2", 1000)}, "10.0.0.2"},
		{"long", "10.0.0.1:1", []string{strings.Repeat("1", 10_000)}, "10.0.0.1"},
	}
	find := ratelimithttp.ClientIP(netip.MustParsePrefix("10.0.0.0/8"))
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := &http.Request{RemoteAddr: tt.peer, Header: http.Header{"X-Forwarded-For": tt.lines, "X-Real-Ip": {"9.9.9.9"}}}
			if got := find(r).String(); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func TestFields(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type fields struct {
			Code              int
			Policy, Limit     []string
			RetryAfter, Media string
		}
		see := func(h http.Handler) fields {
			w := get(h)
			return fields{w.Code, w.Header()["Ratelimit-Policy"], w.Header()["Ratelimit"], w.Header().Get("Retry-After"), w.Header().Get("Content-Type")}
		}
		upstream := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Type", "x") })
		h := ratelimithttp.Middleware(ratelimithttp.Config{
			Store: local(ratelimit.Per(10, 100*time.Millisecond).WithBurst(1)), Key: oneKey, Policy: `a"b\`,
		})(upstream)
		policy := []string{`"a\"b\\";q=100;w=1`}
		want := []fields{
			{200, policy, []string{`"a\"b\\";r=0;t=1`}, "", "x"},
			{429, policy, []string{`"a\"b\\";r=0;t=1`}, "1", "application/problem+json"},
		}
		checkEqual(t, []fields{see(h), see(h)}, want)
		for _, tt := range []struct {
			limit ratelimit.Limit
			want  string
		}{
			{ratelimit.Per(3, 1500*time.Millisecond), "q=4;w=2"},
			{ratelimit.PerHour(1 << 60), "q=999999999999999;w=3600"},
			{ratelimit.PerSecond(0).WithBurst(3), "q=0;w=1"},
			{ratelimit.Per(1, 1<<63-1), "q=1;w=9223372037"},
		} {
			got := see(ratelimithttp.Middleware(ratelimithttp.Config{Store: local(tt.limit), Key: oneKey})(upstream)).Policy[0]
			if got != `"default";`+tt.want {
				t.Errorf("%v: policy %s, want %s", tt.limit, got, tt.want)
			}
		}
		hour := ratelimithttp.Middleware(ratelimithttp.Config{Store: local(ratelimit.Every(90*time.Minute + 1)), Key: oneKey})(h)
		get(hour)
		if got := see(hour); got.RetryAfter != "5401" || got.Limit[0] != `"default";r=0;t=5401` {
			t.Errorf("got %+v, want a retry after 5401", got)
		}
		big := ratelimithttp.Middleware(ratelimithttp.Config{
			Store: local(ratelimit.PerHour(5)), Key: oneKey, Cost: func(*http.Request) int64 { return 6 },
		})(h)
		if got := see(big); got.Code != 429 || got.RetryAfter != "" {
			t.Errorf("more than the burst: %+v, want 429 without Retry-After", got)
		}
	})
}

func TestFieldsAreAppended(t *testing.T) {
	inner := ratelimithttp.Middleware(ratelimithttp.Config{Store: local(ratelimit.PerHour(5)), Key: oneKey, Policy: "inner"})
	outer := ratelimithttp.Middleware(ratelimithttp.Config{Store: local(ratelimit.PerHour(9)), Key: oneKey, Policy: "outer"})
	w := get(outer(inner(http.NotFoundHandler())))
	got, err := ratelimithttp.ParseRateLimit(w.Header())
	want := []ratelimithttp.Quota{
		{Name: "outer", Limit: 9, Window: time.Hour, Remaining: 8, Reset: 400 * time.Second},
		{Name: "inner", Limit: 5, Window: time.Hour, Remaining: 4, Reset: 720 * time.Second},
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("quotas (-want +got):\n%s%v", diff, err)
	}
}

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
	c := ratelimithttp.Config{Store: failing{}, Key: oneKey, OnError: func(_ *http.Request, err error) { got = append(got, err.Error()) }}
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
	c.Policy = "ü" + strings.Repeat("x", 100)
	defer func() {
		if got := fmt.Sprint(recover()); !strings.Contains(got, "Policy") || len(got) > 200 {
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
	store := storeFunc(func(ctx context.Context) { checkEqual(t, ctx.Value(key{}), any("value")) })
	h := ratelimithttp.Middleware(ratelimithttp.Config{Store: store, Key: oneKey})(
		http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			cancel()
			if r.Context().Err() == nil || r.Context().Value(key{}) != "value" {
				t.Errorf("the handler has another context: %v", r.Context())
			}
		}))
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil))
}

// storeFunc is a Store that allows everything.
type storeFunc func(context.Context)

func (f storeFunc) TakeKey(ctx context.Context, _ string, n int64) (ratelimit.Decision, error) {
	f(ctx)
	return ratelimit.Decision{OK: true, N: n, Limit: ratelimit.Inf()}, nil
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
		"Ratelimit-Policy": {`x-"default";q=5;w=3600`, "y"}, "Ratelimit": {`x-"default";r=3;t=1440`, "y"},
	})
}

func TestConcurrencyReleasesOnPanic(t *testing.T) {
	b := bulkhead.New(bulkhead.Config{Limit: 1, MaxQueue: -1})
	h := ratelimithttp.Concurrency(b)(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	for range 3 {
		func() {
			defer func() {
				if got := recover(); got != http.ErrAbortHandler {
					t.Errorf("recovered %v", got)
				}
			}()
			get(h)
		}()
	}
	if b.Inflight() != 0 {
		t.Errorf("%d inside, want 0", b.Inflight())
	}
	p, _ := b.TryAcquire()
	defer p.Release()
	if w := get(h); w.Code != 503 || !strings.Contains(w.Body.String(), "temporary-reduced-capacity") {
		t.Errorf("got %d %s, want 503", w.Code, w.Body)
	}
}

// roundTrip is an http.RoundTripper.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestTransportObeys(t *testing.T) {
	tests := []struct {
		name   string
		status int
		header http.Header
		wait   time.Duration
	}{
		{"nothing said", 429, nil, 0},
		{"retry after", 429, http.Header{"Retry-After": {"7"}}, 7 * time.Second},
		{"unavailable", 503, http.Header{"Retry-After": {"7"}}, 7 * time.Second},
		{"a date", 429, http.Header{"Retry-After": {"Sat, 01 Jan 2000 00:00:09 GMT"}}, 9 * time.Second},
		{"a date in the past", 429, http.Header{"Retry-After": {"Sat, 01 Jan 1999 00:00:09 GMT"}}, 0},
		{"a redirect", 301, http.Header{"Retry-After": {"7"}}, 0},
		{"nothing left", 200, http.Header{"Ratelimit": {`"a";r=0;t=5, "b";r=0;t=3`}}, 5 * time.Second},
		{"some left", 200, http.Header{"Ratelimit": {`"a";r=1;t=5`}}, 0},
		{"hostile", 429, http.Header{"Retry-After": {"-1"}, "Ratelimit": {`"a;r=0`}}, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				first := true
				rt := &ratelimithttp.Transport{Base: roundTrip(func(*http.Request) (*http.Response, error) {
					resp := &http.Response{StatusCode: 200, Header: http.Header{}}
					if first {
						resp.StatusCode, resp.Header, first = tt.status, tt.header, false
					}
					return resp, nil
				})}
				send := func(host string) { _, _ = rt.RoundTrip(httptest.NewRequest(http.MethodGet, "http://"+host, nil)) }
				send("a.example")
				start := time.Now()
				send("b.example")
				if time.Since(start) != 0 {
					t.Error("another host waits as well")
				}
				if send("A.example"); time.Since(start) != tt.wait {
					t.Errorf("waited %v, want %v", time.Since(start), tt.wait)
				}
			})
		})
	}
}

// A missing Waiter must not mean no limit.
func TestAllNeedsAWaiter(t *testing.T) {
	defer func() {
		if got := fmt.Sprint(recover()); got != "ratelimithttp: the Waiter of All is missing" {
			t.Errorf("All(nil) panics with %s", got)
		}
	}()
	ratelimithttp.All(nil)
}

func TestTransportRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt := &ratelimithttp.Transport{MaxWait: -1, Base: roundTrip(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 429, Header: http.Header{"Retry-After": {"99999999999"}}}, nil
		})}
		req := httptest.NewRequest(http.MethodGet, "http://a.example", nil)
		_, _ = rt.RoundTrip(req)
		_, err := rt.RoundTrip(req)
		var limited *ratelimit.LimitedError
		if !errors.As(err, &limited) || limited.RetryAfter() != 24*time.Hour || !limited.Rejected() {
			t.Errorf("got %v, want a refusal for the longest time, 24h", err)
		}
		rt.MaxWait = 48 * time.Hour
		for _, after := range []time.Duration{0, time.Minute} {
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(after, cancel)
			if _, err := rt.RoundTrip(req.WithContext(ctx)); !errors.Is(err, context.Canceled) {
				t.Errorf("cancelled after %v: %v", after, err)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := rt.RoundTrip(req.WithContext(ctx)); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, ratelimit.ErrLimited) {
			t.Errorf("with a near deadline: %v", err)
		}
		lim := ratelimit.New(ratelimit.PerHour(1).WithBurst(ratelimit.NoBurst))
		rt.Limit = ratelimithttp.All(ratelimit.Reject(lim))
		if _, err := rt.RoundTrip(req); !errors.Is(err, ratelimit.ErrTooLarge) {
			t.Errorf("with Limit: %v", err)
		}
		rt.Limit = nil
		for i := range 3000 { // hosts are bounded; nothing to see but that it goes on
			_, _ = rt.RoundTrip(httptest.NewRequest(http.MethodGet, fmt.Sprintf("http://h%d.example", i), nil))
		}
	})
	new(ratelimithttp.Transport).CloseIdleConnections()
}

func TestParseRateLimit(t *testing.T) {
	none := ratelimithttp.Quota{Limit: -1, Remaining: -1, Reset: -1}
	named := func(name string) ratelimithttp.Quota { q := none; q.Name = name; return q }
	good := map[string][]ratelimithttp.Quota{
		``:                                    nil,
		`"a"`:                                 {named("a")},
		`"a";pk=:c2Vj:;x;y=?1;z="s;,"; u=t/*`: {named("a")},
		`"a" , "b\"\\"`:                       {named("a"), named(`b"\`)},
		`"a";r=5;r=6,"a";t=999999999999999`:   {{Name: "a", Limit: -1, Remaining: 6, Reset: 9223372036 * time.Second}},
	}
	for text, want := range good {
		got, err := ratelimithttp.ParseRateLimit(http.Header{"Ratelimit": {text}})
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s (-want +got):\n%s%v", text, diff, err)
		}
	}
	for _, text := range []string{
		`a`, `"a`, `"a",`, `,`, `"a" "b"`, `"a\x"`, "\"\x00\"", `"ü"`, `"a";`, `"a";R=1`, `"a";r`, `"a";r=`, `"a";r=-1`, `"a";r=1.5`,
		`"a";r=1000000000000000`, `"a";r="5"`, `"a";pk=:c2`, strings.Repeat(`"a",`, 2000),
	} {
		if got, err := ratelimithttp.ParseRateLimit(http.Header{"Ratelimit": {text}}); err == nil || got != nil || len(err.Error()) > 400 {
			t.Errorf("%.40s: got %v, %v, want an error", text, got, err)
		}
	}
}

func FuzzParseRateLimit(f *testing.F) {
	f.Add(`"a";r=1;t=2, "b";q=3;w=4`)
	f.Add(`"a";pk=:c2:;x="\\"`)
	f.Fuzz(func(t *testing.T, text string) {
		quotas, err := ratelimithttp.ParseRateLimit(http.Header{"Ratelimit": {text}, "Ratelimit-Policy": {text}})
		if err != nil && (quotas != nil || len(err.Error()) > 500) {
			t.Errorf("%d quotas with an error of %d bytes", len(quotas), len(err.Error()))
		}
		for _, q := range quotas {
			if q.Limit < -1 || q.Remaining < -1 || q.Reset < -1 || q.Window < 0 {
				t.Errorf("%+v", q)
			}
		}
	})
}

func FuzzClientIP(f *testing.F) {
	f.Add("10.0.0.1:1", "1.2.3.4, [2001:db8::1]:5", "10.0.0.2")
	trusted := netip.MustParsePrefix("10.0.0.0/8")
	find := ratelimithttp.ClientIP(trusted)
	f.Fuzz(func(t *testing.T, peer, one, two string) {
		r := &http.Request{RemoteAddr: peer, Header: http.Header{"X-Forwarded-For": {one, two}}}
		got, direct := find(r), find(&http.Request{RemoteAddr: peer})
		if !trusted.Contains(direct) && got != direct {
			t.Errorf("%q is not trusted, and yet made %v of %v", peer, got, direct)
		}
		if got.Zone() != "" || got.Is4In6() {
			t.Errorf("got %v, which is not canonical", got)
		}
	})
}

func TestAllocations(t *testing.T) {
	h := ratelimithttp.Middleware(ratelimithttp.Config{
		Store: local(ratelimit.PerSecond(1e9)), Key: ratelimithttp.ByIP(ratelimithttp.ClientIP()),
	})(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	r, w := httptest.NewRequest(http.MethodGet, "/", nil), httptest.NewRecorder()
	if got := testing.AllocsPerRun(100, func() { clear(w.Header()); h.ServeHTTP(w, r) }); got > 4 && !raceEnabled {
		t.Errorf("%v allocations for a request, want at most 4", got)
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
