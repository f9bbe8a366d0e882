package redoubt_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/redoubt-go/redoubt/breaker"
	"github.com/redoubt-go/redoubt/breaker/breakerhttp"
	"github.com/redoubt-go/redoubt/ratelimit"
	"github.com/redoubt-go/redoubt/ratelimit/ratelimithttp"
	"github.com/redoubt-go/redoubt/retry"
	"github.com/redoubt-go/redoubt/retry/retryhttp"
)

// newClient returns a client for all hosts of a service. Make it once.
func newClient(base http.RoundTripper, logger *slog.Logger) *http.Client {
	limited := &ratelimithttp.Transport{
		Base:  base,
		Limit: ratelimithttp.All(ratelimit.New(ratelimit.PerSecond(100))),
	}
	hosts := breaker.NewGroup(breaker.GroupConfig[string]{
		Name: "shop",
		Config: func(host string) breaker.Config {
			return breaker.Config{Name: "shop " + host, OnEvent: breaker.Log(logger)}
		},
	})
	hedge := retry.Hedge[*http.Response]{
		Name:    "shop",
		Latency: &retry.Latency{},
		Budget:  &retry.TokenBudget{Name: "shop hedges"},
	}
	policy := retry.Policy{
		Name:           "shop",
		AttemptTimeout: 2 * time.Second,
		Budget:         &retry.TokenBudget{Name: "shop retries"},
		OnEvent:        retry.Log(logger),
	}
	guarded := &breakerhttp.Transport{Base: limited, Gate: breakerhttp.PerHost(hosts)}
	hedged := &retryhttp.Hedge{Base: guarded, Policy: hedge}
	retried := &retryhttp.Transport{Base: hedged, Policy: policy}
	client := &http.Client{Transport: retried, Timeout: 5 * time.Second}
	return client
}

// Example_httpClient sends requests through all guards. TestOrderOfAnHTTPClient
// shows that the order is right.
func Example_httpClient() {
	n := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n++; n == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer server.Close()

	client := newClient(http.DefaultTransport, slog.New(slog.DiscardHandler))
	resp, err := client.Get(server.URL)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	fmt.Println(resp.Status, "after", n, "attempts")
	// Output: 200 OK after 2 attempts
}
