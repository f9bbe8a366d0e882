package ratelimithttp_test

import (
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
	// Output: 200 "default";q=60;w=60 "default";r=59;t=1
}

// At most so many requests at a time, and some more that wait.
func Example_concurrency() {
	places := bulkhead.New(bulkhead.Config{Limit: 100, MaxWait: time.Second})
	handler := ratelimithttp.Concurrency(places)(mux)

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
		Store:  ratelimit.Local(ratelimit.NewKeyed[string](ratelimit.KeyedConfig{Limit: ratelimit.PerHour(1)})),
		Key:    ratelimithttp.ByIP(ratelimithttp.ClientIP()),
		Policy: "trial",
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
	handler := ratelimithttp.Concurrency(b)(mux)
	permit, _ := b.TryAcquire() // another request is being served
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
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

func ExampleParseRateLimit() {
	h := http.Header{}
	h.Set("RateLimit-Policy", `"burst";q=100;w=60`)
	h.Set("RateLimit", `"burst";r=50;t=30`)
	quotas, err := ratelimithttp.ParseRateLimit(h)
	fmt.Println(quotas, err)
	// Output: [{burst 100 1m0s 50 30s}] <nil>
}

func ExampleQuota() {
	quotas, _ := ratelimithttp.ParseRateLimit(http.Header{"Ratelimit": {`"day";r=0`}})
	q := quotas[0]
	fmt.Println(q.Name, q.Remaining, q.Limit, q.Reset)
	// Output: day 0 -1 -1ns
}
