package redoubtredis_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"

	redoubtredis "github.com/redoubt-go/redoubt/contrib/redis"
	"github.com/redoubt-go/redoubt/contrib/redis/goredisclient"
	"github.com/redoubt-go/redoubt/ratelimit"
	"github.com/redoubt-go/redoubt/ratelimit/ratelimithttp"
)

// Two processes behind a load balancer serve each address four requests per
// minute, together.
func Example_gateway() {
	rdb, stop := exampleServer()
	defer stop()
	hello := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "hello") })
	var processes []http.Handler
	for range 2 {
		limiter := redoubtredis.New(redoubtredis.Config{
			Client:  goredisclient.New(rdb),
			Name:    "gateway",
			Limits:  []ratelimit.Limit{ratelimit.PerMinute(4)},
			Nodes:   2,
			Timeout: exampleTimeout,
		})
		limited := ratelimithttp.Middleware(ratelimithttp.Config{
			Store: limiter,
			Key:   func(r *http.Request) (string, bool) { return r.RemoteAddr, true },
		})
		processes = append(processes, limited(hello))
	}
	for i := range 6 {
		w := httptest.NewRecorder()
		processes[i%2].ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		fmt.Printf("%d %s, retry after %q\n", w.Code, w.Header().Get("RateLimit"), w.Header().Get("Retry-After"))
	}
	// Output:
	// 200 "default";r=3;t=15;redoubt-burst=4, retry after ""
	// 200 "default";r=2;t=15;redoubt-burst=4, retry after ""
	// 200 "default";r=1;t=15;redoubt-burst=4, retry after ""
	// 200 "default";r=0;t=15;redoubt-burst=4, retry after ""
	// 429 "default";r=0;t=15;redoubt-burst=4, retry after "15"
	// 429 "default";r=0;t=15;redoubt-burst=4, retry after "15"
}
