package prometheus_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"time"

	client "github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/common/expfmt"
	"github.com/redoubt-go/redoubt/breaker"
	"github.com/redoubt-go/redoubt/contrib/prometheus"
	"github.com/redoubt-go/redoubt/retry"
)

func Example() {
	http := http.NewServeMux() // stands for the package, whose handlers are shared
	reg := client.NewRegistry()
	b := breaker.New(breaker.Config{Name: "payments"})
	policy := retry.Policy{Backoff: retry.Constant(0)}

	reg.MustRegister(prometheus.NewCollector("payments", b))
	policy.OnEvent = prometheus.OnEvent(reg, "payments", policy.OnEvent)
	http.Handle("/metrics", promhttp.HandlerFor(reg, promhttp.HandlerOpts{}))

	fail := errors.New("unavailable")
	_, err := retry.Do(context.Background(), policy, breaker.Wrap(b, func(context.Context) (int, error) { return 0, fail }))
	fmt.Println(errors.Is(err, retry.ErrExhausted))
	page := httptest.NewRecorder()
	http.ServeHTTP(page, httptest.NewRequest("GET", "/metrics", nil))
	for line := range strings.Lines(page.Body.String()) {
		if strings.HasPrefix(line, "redoubt_breaker_calls") || strings.HasPrefix(line, "redoubt_retry_retries") {
			fmt.Print(line)
		}
	}
	// Output:
	// true
	// redoubt_breaker_calls_total{name="payments",outcome="failure"} 3
	// redoubt_breaker_calls_total{name="payments",outcome="ignored"} 0
	// redoubt_breaker_calls_total{name="payments",outcome="late"} 0
	// redoubt_breaker_calls_total{name="payments",outcome="success"} 0
	// redoubt_retry_retries_total{name="payments"} 2
}

// print writes the metric of reg in the text format.
func print(reg *client.Registry, name string) {
	families, err := reg.Gather()
	for _, f := range families {
		if f.GetName() == name {
			_, e := expfmt.MetricFamilyToText(os.Stdout, f)
			err = errors.Join(err, e)
		}
	}
	if err != nil {
		fmt.Println(err)
	}
}

func ExampleNewCollector() {
	reg := client.NewRegistry()
	b := breaker.New(breaker.Config{})
	reg.MustRegister(prometheus.NewCollector("payments", b))
	b.Trip(time.Hour, nil)
	print(reg, "redoubt_breaker_state")
	// Output:
	// # HELP redoubt_breaker_state 1 for the present state, 0 for every other state.
	// # TYPE redoubt_breaker_state gauge
	// redoubt_breaker_state{name="payments",state="closed"} 0
	// redoubt_breaker_state{name="payments",state="forced closed"} 0
	// redoubt_breaker_state{name="payments",state="forced open"} 0
	// redoubt_breaker_state{name="payments",state="half-open"} 0
	// redoubt_breaker_state{name="payments",state="open"} 1
	// redoubt_breaker_state{name="payments",state="recovering"} 0
}

// The hook that was there is told as before.
func ExampleOnEvent() {
	reg := client.NewRegistry()
	cfg := breaker.Config{OnEvent: func(_ context.Context, e breaker.Event) { fmt.Println("now", e.To) }}
	cfg.OnEvent = prometheus.OnEvent(reg, "payments", cfg.OnEvent)
	b := breaker.New(cfg)
	b.Trip(time.Minute, nil)
	b.Reset()
	print(reg, "redoubt_breaker_transitions_total")
	// Output:
	// now open
	// now closed
	// # HELP redoubt_breaker_transitions_total Changes of state, by the new state.
	// # TYPE redoubt_breaker_transitions_total counter
	// redoubt_breaker_transitions_total{name="payments",to="closed"} 1
	// redoubt_breaker_transitions_total{name="payments",to="forced closed"} 0
	// redoubt_breaker_transitions_total{name="payments",to="forced open"} 0
	// redoubt_breaker_transitions_total{name="payments",to="half-open"} 0
	// redoubt_breaker_transitions_total{name="payments",to="open"} 1
	// redoubt_breaker_transitions_total{name="payments",to="recovering"} 0
}
