package config_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/redoubt-go/redoubt/breaker"
	"github.com/redoubt-go/redoubt/cache"
	"github.com/redoubt-go/redoubt/contrib/config"
	"github.com/redoubt-go/redoubt/ratelimit"
	"github.com/redoubt-go/redoubt/retry"
)

// A shop is the configuration of a program. Any parser reads the file.
func Example() {
	type shop struct {
		Listen  string
		Retry   map[string]retry.Policy
		Breaker breaker.Config
		Limits  ratelimit.Config
		Prices  cache.Config[string, float64]
	}
	file := []byte(`{
		"listen": ":8080",
		"retry": {
			"payments": {"max_attempts": 4, "attempt_timeout": "2s", "backoff": {"exponential": {"base": "50ms"}}},
			"mail": {"backoff": {"sequence": ["1s", "10s", "1m"]}}
		},
		"breaker": {"failure_ratio": 0.25, "open_for": "10s"},
		"limits": {"limits": ["100/s burst 20", "1000/m"]},
		"prices": {"capacity": 1000, "ttl": "1m", "eviction": "lru"}
	}`)

	var m map[string]any
	if err := json.Unmarshal(file, &m); err != nil {
		fmt.Println(err)
		return
	}
	c := shop{Breaker: breaker.Config{Name: "billing", OnEvent: logEvent}}
	if err := config.Decode(m, &c); err != nil {
		fmt.Println(err)
		return
	}
	b := breaker.New(c.Breaker)
	l := ratelimit.New(c.Limits.Limits...)

	fmt.Println(c.Listen, c.Retry["payments"].AttemptTimeout, c.Retry["mail"].Backoff)
	fmt.Println(b.Config().Name, b.Config().FailureRatio, b.Config().OnEvent != nil)
	fmt.Println(l.Config().Limits, c.Prices.Eviction)
	// Output:
	// :8080 2s [1s 10s 1m0s]
	// billing 0.25 true
	// [100/s burst 20 1000/m] lru
}

// Decode returns all problems at once, and nothing changes.
func ExampleDecode() {
	var c struct {
		Retry   map[string]retry.Policy
		Breaker breaker.Config
	}
	m := map[string]any{
		"retry": map[string]any{"payments": map[string]any{
			"max_attempts": 0.5,
			"max_elapsed":  30,
			"on_event":     "log",
		}},
		"breaker": map[string]any{"probes": -1},
		"limit":   "5/s",
	}
	err := config.Decode(m, &c)
	fmt.Println(err)
	// Output:
	// config: breaker: breaker: Probes is -1, want 1 to 1000
	// config: limit: is unknown, want retry or breaker
	// config: retry.payments.max_attempts: is 0.5, want a whole number
	// config: retry.payments.max_elapsed: is 30, want a duration such as "5s"
	// config: retry.payments.on_event: can be set by the program only
}

// The values in force, with their defaults, as a file.
func ExampleEncode() {
	limit := ratelimit.PerSecond(100).WithBurst(20)
	k := ratelimit.NewKeyed[string](ratelimit.KeyedConfig{Limit: limit, MaxKeys: 5000})
	m, err := config.Encode(k.Config())
	if err != nil {
		fmt.Println(err)
		return
	}
	text, err := json.Marshal(m)
	fmt.Println(string(text), err)

	m, err = config.Encode(retry.Policy{
		Backoff: retry.Exponential{Base: time.Second, Jitter: retry.Equal},
		RetryIf: retry.Retryable, // not in the map
	})
	fmt.Println(m, err)
	// Output:
	// {"limit":"100/s burst 20","max_keys":5000} <nil>
	// map[backoff:map[exponential:map[base:1s jitter:equal]]] <nil>
}

// The environment overrides the file: a second Decode changes only the fields
// that it names.
func ExampleEnv() {
	var c struct {
		Debug  bool
		Limits ratelimit.Config
	}
	file := map[string]any{"debug": true, "limits": map[string]any{"limits": []any{"5/s"}}}
	environ := []string{"HOME=/root", "SHOP__LIMITS__LIMITS__0=100/s", "SHOP__LIMITS__LIMITS__1=1000/m burst 50"}

	env, err := config.Env(environ, "SHOP") // of os.Environ()
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, m := range []map[string]any{file, env} {
		if err := config.Decode(m, &c); err != nil {
			fmt.Println(err)
			return
		}
	}
	fmt.Println(c.Debug, c.Limits.Limits)
	// Output: true [100/s 1000/m burst 50]
}

// The parts of an Error, for a log or a page.
func ExampleError() {
	err := config.Decode(map[string]any{"max_attempts": "many"}, new(retry.Policy))
	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		},
	}))
	for _, err := range err.(interface{ Unwrap() []error }).Unwrap() {
		logger.Error("configuration", "error", err)
	}
	// Output:
	// level=ERROR msg=configuration error.path=max_attempts error.problem="is \"many\", want a whole number"
}
