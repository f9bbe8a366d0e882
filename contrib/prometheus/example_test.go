package redoubtprometheus_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/common/expfmt"
	"github.com/redoubt-go/redoubt/breaker"
	redoubtprometheus "github.com/redoubt-go/redoubt/contrib/prometheus"
	"github.com/redoubt-go/redoubt/retry"
)

func Example() {
	http := http.NewServeMux() // stands for the package, whose handlers are shared
	reg := prometheus.NewRegistry()
	b := breaker.New(breaker.Config{Name: "payments"})
	policy := retry.Policy{Backoff: retry.Constant(0)}

	config := redoubtprometheus.HooksConfig{Name: "payments"}
	hooks := redoubtprometheus.NewHooks(config)
	policy.OnEvent = hooks.Retry(nil)
	payments := redoubtprometheus.NewCollector("payments", b)
	reg.MustRegister(hooks, payments)
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
	// redoubt_breaker_calls_total{key="",name="payments",outcome="failure"} 3
	// redoubt_breaker_calls_total{key="",name="payments",outcome="ignored"} 0
	// redoubt_breaker_calls_total{key="",name="payments",outcome="late"} 0
	// redoubt_breaker_calls_total{key="",name="payments",outcome="success"} 0
	// redoubt_retry_retries_total{host="",name="payments",policy=""} 2
}

// print writes the metric of reg in the text format.
func print(reg *prometheus.Registry, name string) {
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
	reg := prometheus.NewRegistry()
	b := breaker.New(breaker.Config{Name: "payments"})
	reg.MustRegister(redoubtprometheus.NewCollector("", b)) // under the name of b
	b.Trip(time.Hour, nil)
	print(reg, "redoubt_breaker_state")
	// Output:
	// # HELP redoubt_breaker_state 1 for the present state, 0 for every other state.
	// # TYPE redoubt_breaker_state gauge
	// redoubt_breaker_state{key="",name="payments",state="closed"} 0
	// redoubt_breaker_state{key="",name="payments",state="forced closed"} 0
	// redoubt_breaker_state{key="",name="payments",state="forced open"} 0
	// redoubt_breaker_state{key="",name="payments",state="half-open"} 0
	// redoubt_breaker_state{key="",name="payments",state="open"} 1
	// redoubt_breaker_state{key="",name="payments",state="recovering"} 0
}

// A group reports how many of its breakers are open, and for the listed keys
// which breakers.
func ExampleNewCollector_keys() {
	reg := prometheus.NewRegistry()
	group := breaker.NewGroup(breaker.GroupConfig[string]{Name: "hosts"})
	hosts := redoubtprometheus.NewCollector("", group, "a.test", "b.test")
	reg.MustRegister(hosts)
	for _, host := range []string{"b.test", "c.test"} {
		for range 10 {
			_ = group.Do(context.Background(), host, func(context.Context) error { return errors.New("down") })
		}
	}
	print(reg, "redoubt_breaker_group_openings_total")
	print(reg, "redoubt_breaker_openings_total")
	// Output:
	// # HELP redoubt_breaker_group_openings_total Transitions of all breakers to open.
	// # TYPE redoubt_breaker_group_openings_total counter
	// redoubt_breaker_group_openings_total{name="hosts"} 2
	// # HELP redoubt_breaker_openings_total Transitions to open.
	// # TYPE redoubt_breaker_openings_total counter
	// redoubt_breaker_openings_total{key="a.test",name="hosts"} 0
	// redoubt_breaker_openings_total{key="b.test",name="hosts"} 1
}

func ExampleNewHooks() {
	reg := prometheus.NewRegistry()
	hooks := redoubtprometheus.NewHooks(redoubtprometheus.HooksConfig{
		Name: "fetch",
		Keys: []string{"a.example", "b.example"}, // other hosts are "other"
	})
	reg.MustRegister(hooks)
	policy := retry.Policy{Backoff: retry.Constant(0), OnEvent: hooks.Retry(nil)}
	_ = policy.Do(context.Background(), func(context.Context) error { return errors.New("unavailable") })
	print(reg, "redoubt_retry_retries_total")
	reg.Unregister(hooks) // removes its series
	print(reg, "redoubt_retry_retries_total")
	// Output:
	// # HELP redoubt_retry_retries_total Attempts after a failed attempt.
	// # TYPE redoubt_retry_retries_total counter
	// redoubt_retry_retries_total{host="",name="fetch",policy=""} 2
}

func ExampleHooksConfig_Validate() {
	fmt.Println(redoubtprometheus.HooksConfig{}.Validate())
	// Output: redoubtprometheus: Name is "", want a text in UTF-8
}

// A hook calls the next hook after it has counted the event.
func ExampleHooks_Breaker() {
	reg := prometheus.NewRegistry()
	hooks := redoubtprometheus.NewHooks(redoubtprometheus.HooksConfig{Name: "payments"})
	reg.MustRegister(hooks)
	cfg := breaker.Config{OnEvent: func(_ context.Context, e breaker.Event) { fmt.Println("now", e.To) }}
	cfg.OnEvent = hooks.Breaker(cfg.OnEvent)
	b := breaker.New(cfg)
	b.Trip(time.Minute, nil)
	b.Reset()
	print(reg, "redoubt_breaker_transitions_total")
	// Output:
	// now open
	// now closed
	// # HELP redoubt_breaker_transitions_total Changes of state, by the new state.
	// # TYPE redoubt_breaker_transitions_total counter
	// redoubt_breaker_transitions_total{key="",name="payments",to="closed"} 1
	// redoubt_breaker_transitions_total{key="",name="payments",to="forced closed"} 0
	// redoubt_breaker_transitions_total{key="",name="payments",to="forced open"} 0
	// redoubt_breaker_transitions_total{key="",name="payments",to="half-open"} 0
	// redoubt_breaker_transitions_total{key="",name="payments",to="open"} 1
	// redoubt_breaker_transitions_total{key="",name="payments",to="recovering"} 0
}
