package ratelimithttp_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"time"

	"github.com/redoubt-go/redoubt/ratelimit"
	"github.com/redoubt-go/redoubt/ratelimit/bulkhead"
	"github.com/redoubt-go/redoubt/ratelimit/ratelimithttp"
)

var mux = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "hello") })

func Example() {
	perIP := ratelimit.NewKeyed[string](ratelimit.KeyedConfig{
		Limit: ratelimit.PerMinute(60),
	})
	limit := ratelimithttp.Middleware(ratelimithttp.Config{
		Store: ratelimit.Local(perIP),
		Key:   ratelimithttp.ByIP(ratelimithttp.ClientIP()),
	})
	handler := limit(mux)

	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	fmt.Println(w.Code, w.Header().Get("RateLimit-Policy"), w.Header().Get("RateLimit"))
	// Output: 200 "default";q=60;w=60 "default";r=59;t=1;redoubt-burst=60
}

// At most so many requests at a time, and some more that wait.
func Example_concurrency() {
	places := bulkhead.New(bulkhead.Config{Limit: 100, MaxWait: time.Second})
	room := ratelimithttp.Concurrency(ratelimithttp.ConcurrencyConfig{
		Acquire: func(r *http.Request) (ratelimithttp.Permit, error) {
			return places.Acquire(r.Context())
		},
	})
	handler := room(mux)

	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	fmt.Println(w.Code)
	// Output: 200
}

// A client that sends at most ten requests per second, and fewer if the server
// asks for it.
func Example_client() {
	server := httptest.NewServer(mux)
	defer server.Close()

	client := &http.Client{Transport: &ratelimithttp.Transport{
		Limit: ratelimithttp.All(ratelimit.New(ratelimit.PerSecond(10))),
	}}
	resp, err := client.Get(server.URL)
	if err != nil {
		fmt.Println(err)
		return
	}
	resp.Body.Close()
	fmt.Println(resp.StatusCode)
	// Output: 200
}

func ExampleAll() {
	lim := ratelimit.New(ratelimit.PerHour(1))
	limit := ratelimithttp.All(ratelimit.Reject(lim))
	client := &http.Client{Transport: &ratelimithttp.Transport{Limit: limit}}
	lim.Allow()
	_, err := client.Get("http://example.com")
	fmt.Println(errors.Is(err, ratelimit.ErrLimited))
	// Output: true
}

func ExampleMiddleware() {
	limit := ratelimithttp.Middleware(ratelimithttp.Config{
		Store: ratelimit.Local(ratelimit.NewKeyed[string](ratelimit.KeyedConfig{Limit: ratelimit.PerHour(1)})),
		Key:   ratelimithttp.ByIP(ratelimithttp.ClientIP()),
		Name:  "trial",
	})
	for range 2 {
		w := httptest.NewRecorder()
		limit(mux).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
		fmt.Print(w.Code, " ", w.Body)
	}
	// Output:
	// 200 hello
	// 429 {"type":"https://iana.org/assignments/http-problem-types#quota-exceeded","title":"Quota exceeded","status":429,"violated-policies":["trial"]}
}

func ExampleConfig() {
	fmt.Println(ratelimithttp.Config{}.Validate())
	// Output:
	// ratelimithttp: Store is missing
	// ratelimithttp: Key is missing
}

func ExampleClientIP() {
	client := ratelimithttp.ClientIP(netip.MustParsePrefix("10.0.0.0/8"))
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.RemoteAddr = "10.0.0.1:4711"
	r.Header.Set("X-Forwarded-For", "1.2.3.4, 203.0.113.9, 10.0.0.7") // the first is forged
	fmt.Println(client(r))
	// Output: 203.0.113.9
}

func ExampleIPKey() {
	fmt.Println(ratelimithttp.IPKey(netip.MustParseAddr("2001:db8:1:2:3::4"), 32, 64))
	fmt.Println(ratelimithttp.IPKey(netip.MustParseAddr("::ffff:192.0.2.1"), 32, 64))
	// Output:
	// 2001:db8:1:2::/64
	// 192.0.2.1/32
}

func ExampleByIP() {
	key := ratelimithttp.ByIP(ratelimithttp.ClientIP())
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.RemoteAddr = "[2001:db8::1]:4711"
	one, _ := key(r)
	r.RemoteAddr = "[2001:db8::2]:4711"
	other, limited := key(r)
	fmt.Println(one == other, limited)
	// Output: true true
}

func ExampleConcurrency() {
	b := bulkhead.New(bulkhead.Config{Limit: 1, MaxQueue: -1})
	room := ratelimithttp.Concurrency(ratelimithttp.ConcurrencyConfig{
		Acquire: func(r *http.Request) (ratelimithttp.Permit, error) { return b.Acquire(r.Context()) },
	})
	permit, _ := b.TryAcquire() // another request is being served
	w := httptest.NewRecorder()
	room(mux).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	fmt.Println(w.Code, w.Header().Get("Retry-After"))
	permit.Release()
	// Output: 503 1
}

func ExampleTransport() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "3600")
		w.WriteHeader(http.StatusTooManyRequests)
	}))
	defer server.Close()
	client := &http.Client{Transport: &ratelimithttp.Transport{MaxWait: 5 * time.Second}}
	for range 2 {
		resp, err := client.Get(server.URL)
		if err != nil {
			fmt.Println("not sent")
			continue
		}
		resp.Body.Close()
		fmt.Println(resp.StatusCode)
	}
	// Output:
	// 429
	// not sent
}

// An upload needs as many resources as five other requests, requests that a
// user waits for go first, and a quick failure says nothing about the load.
func ExampleConcurrencyConfig() {
	b := bulkhead.New(bulkhead.Config{Limit: 10})
	room := ratelimithttp.Concurrency(ratelimithttp.ConcurrencyConfig{
		Acquire: func(r *http.Request) (ratelimithttp.Permit, error) {
			ctx, weight := r.Context(), 1
			if r.Header.Get("Sec-Fetch-Mode") == "navigate" {
				ctx = bulkhead.WithPriority(ctx, bulkhead.High)
			}
			if r.Method == http.MethodPut {
				weight = 5
			}
			return b.AcquireN(ctx, weight)
		},
		Failure: func(status int) error {
			if status >= http.StatusInternalServerError {
				return errors.New(http.StatusText(status))
			}
			return nil
		},
	})
	handler := room(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Println(r.Method, "takes", b.Inflight())
	}))
	for _, method := range []string{http.MethodGet, http.MethodPut} {
		handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(method, "/", nil))
	}
	// Output:
	// GET takes 1
	// PUT takes 5
}

func ExamplePermit() {
	b := bulkhead.New(bulkhead.Config{Limit: 10})
	var p ratelimithttp.Permit
	p, err := b.Acquire(context.Background())
	fmt.Println(b.Inflight(), err)
	p.Done(nil)
	fmt.Println(b.Inflight())
	// Output:
	// 1 <nil>
	// 0
}

// A refusal has the look of the service, and is logged.
func ExampleEvent() {
	limit := ratelimithttp.Middleware(ratelimithttp.Config{
		Name:  "search",
		Store: ratelimit.Local(ratelimit.NewKeyed[string](ratelimit.KeyedConfig{Limit: ratelimit.PerHour(1)})),
		Key:   ratelimithttp.ByIP(ratelimithttp.ClientIP()),
		Refuse: func(w http.ResponseWriter, r *http.Request, err error) {
			http.Error(w, "Too many searches, try again in "+w.Header().Get("Retry-After")+" seconds.", http.StatusTooManyRequests)
		},
		OnEvent: func(_ context.Context, e ratelimithttp.Event) {
			fmt.Println("log:", e.Name, e.Kind, e.Request.URL)
		},
	})
	for range 2 {
		w := httptest.NewRecorder()
		limit(mux).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/search", nil))
		fmt.Print(w.Code, " ", w.Body)
	}
	// Output:
	// 200 hello
	// log: search refused /search
	// 429 Too many searches, try again in 3600 seconds.
}

func ExampleKind() {
	fmt.Println(ratelimithttp.KindRefused, ratelimithttp.KindFailed)
	// Output: refused failed
}

// A handler that limits a part of its work itself.
func ExampleAddFields() {
	lim := ratelimit.New(ratelimit.PerHour(1).WithName("reports"))
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d := lim.Take(1)
		ratelimithttp.AddFields(w.Header(), d)
		if err := d.Err(); err != nil {
			ratelimithttp.WriteError(w, err)
			return
		}
		fmt.Fprintln(w, "report")
	})
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	fmt.Println(w.Header().Get("RateLimit-Policy"), w.Header().Get("RateLimit"))
	// Output: "reports";q=1;w=3600 "reports";r=0;t=3600;redoubt-burst=1
}

func ExampleWriteError() {
	lim := ratelimit.New(ratelimit.PerHour(1).WithName("reports"))
	lim.Allow()
	w := httptest.NewRecorder()
	ratelimithttp.WriteError(w, lim.Take(1).Err())
	fmt.Print(w.Code, " ", w.Header().Get("Retry-After"), " ", w.Body)
	// Output: 429 3600 {"type":"https://iana.org/assignments/http-problem-types#quota-exceeded","title":"Quota exceeded","status":429,"violated-policies":["reports"]}
}

func ExampleForwardedIP() {
	client := ratelimithttp.ForwardedIP(netip.MustParsePrefix("10.0.0.0/8"))
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.RemoteAddr = "10.0.0.1:4711"
	r.Header.Set("Forwarded", `for=1.2.3.4, for="[2001:db8::1]:4711";proto=https`) // the first is forged
	fmt.Println(client(r))
	// Output: 2001:db8::1
}

func ExampleParseAny() {
	h := http.Header{}
	h.Set("X-RateLimit-Limit", "5000")
	h.Set("X-RateLimit-Remaining", "4999")
	h.Set("X-RateLimit-Reset", "3600")
	quotas, err := ratelimithttp.ParseAny(h)
	fmt.Println(quotas[0].Remaining, quotas[0].Reset, err)
	// Output: 4999 1h0m0s <nil>
}

func ExampleParseOldRateLimit() {
	h := http.Header{"Ratelimit": {"limit=100, remaining=50, reset=5"}}
	quotas, err := ratelimithttp.ParseOldRateLimit(h)
	fmt.Println(quotas[0].Remaining, quotas[0].Reset, err)
	// Output: 50 5s <nil>
}

func ExampleParseXRateLimit() {
	h := http.Header{}
	h.Set("X-RateLimit-Limit-Requests", "60")
	h.Set("X-RateLimit-Remaining-Requests", "0")
	h.Set("X-RateLimit-Reset-Requests", "1m0s") // until the whole limit is available
	quotas, err := ratelimithttp.ParseXRateLimit(h)
	fmt.Println(quotas[0].Name, quotas[0].Remaining, quotas[0].Reset, err)
	// Output: requests 0 1s <nil>
}

func ExampleParseAnthropic() {
	h := http.Header{}
	h.Set("Date", "Tue, 14 Nov 2023 22:13:20 GMT")
	h.Set("Anthropic-RateLimit-Requests-Limit", "50")
	h.Set("Anthropic-RateLimit-Requests-Remaining", "40")
	h.Set("Anthropic-RateLimit-Requests-Reset", "2023-11-14T22:13:32Z")
	quotas, err := ratelimithttp.ParseAnthropic(h)
	fmt.Println(quotas[0].Name, quotas[0].Remaining, quotas[0].Window, err)
	// Output: requests 40 1m0s <nil>
}

func ExampleParseRateLimit() {
	h := http.Header{}
	h.Set("RateLimit-Policy", `"burst";q=100;w=60`)
	h.Set("RateLimit", `"burst";r=50;t=30`)
	quotas, err := ratelimithttp.ParseRateLimit(h)
	fmt.Println(quotas, err)
	// Output: [{burst  100 1m0s 0 50 30s}] <nil>
}

func ExampleQuota() {
	quotas, _ := ratelimithttp.ParseRateLimit(http.Header{"Ratelimit": {`"day";r=0`}})
	q := quotas[0]
	fmt.Println(q.Name, q.Remaining, q.Limit, q.Reset)
	// Output: day 0 -1 -1ns
}
