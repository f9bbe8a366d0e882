package retry_test

import (
	"math"
	"testing"

	"github.com/redoubt-go/redoubt/retry"
)

// Validate reports every value out of range at once, and no value that has a
// meaning. Do accepts all of them.
func TestValidate(t *testing.T) {
	nan := math.NaN()
	tests := []struct {
		name string
		v    interface{ Validate() error }
		want string
	}{
		{"zero policy", retry.Policy{}, ""},
		{"negative values", retry.Policy{MaxAttempts: -5, MaxElapsed: -1, AttemptTimeout: -1, MaxRetryAfter: -1, MaxRejected: -1}, ""},
		{"nil budget", retry.Policy{Budget: (*retry.TokenBudget)(nil)}, ""},
		{"backoff and budget", retry.Policy{
			Backoff: retry.Exponential{Factor: .5, Min: 3, Max: 2, Jitter: 7},
			Budget:  &retry.TokenBudget{Ratio: nan, PerSecond: 1e7, Burst: math.MaxInt},
		}, `retry: Exponential.Factor is 0.5, want 0 or at least 1
retry: Exponential.Min is 3ns, want at most Max, 2ns
retry: Exponential.Jitter is 7, want -1 to 1
retry: TokenBudget.Ratio is NaN, want 1e-06 to 1e+06, 0 or less
retry: TokenBudget.PerSecond is 1e+07, want 1e-06 to 1e+06, 0 or less
retry: TokenBudget.Burst is 9223372036854775807, want at most 2147483647`},
		{"jitters", retry.Exponential{Jitter: retry.Spread(9)}, ""},
		{"zero hedge", retry.Hedge[int]{}, ""},
		{"hedge", retry.Hedge[int]{Max: 100, Latency: &retry.Latency{P: 1}}, `retry: Hedge.Max is 100, want at most 99
retry: Latency.P is 1, want more than 0 and less than 1`},
		{"latency", &retry.Latency{P: .5}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := ""
			if err := tt.v.Validate(); err != nil {
				got = err.Error()
			}
			if math.MaxInt == math.MaxInt32 && tt.name == "backoff and budget" {
				return // no Burst is out of range
			}
			checkEqual(t, got, tt.want)
		})
	}
}
