package retryhttp_test

import (
	"testing"

	"github.com/redoubt-go/redoubt/retry"
	"github.com/redoubt-go/redoubt/retry/retryhttp"
)

func TestValidate(t *testing.T) {
	tests := []struct {
		name string
		v    interface{ Validate() error }
		want string
	}{
		{"valid", &retryhttp.Transport{AttemptHeader: retryhttp.NoHeader, TimeoutHeader: retryhttp.TimeoutHeader}, ""},
		{"zero hedge", &retryhttp.Hedge{}, ""},
		{"all at once", &retryhttp.Transport{
			Policy:        retry.Policy{Backoff: retry.Exponential{Factor: -1}},
			AttemptHeader: "a b",
			TimeoutHeader: ":",
		}, `retry: Exponential.Factor is -1, want 0 or at least 1
retryhttp: Transport.AttemptHeader is "a b", want the name of a header
retryhttp: Transport.TimeoutHeader is ":", want the name of a header`},
	}
	for _, tt := range tests {
		got := ""
		if err := tt.v.Validate(); err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%s: Validate = %q, want %q", tt.name, got, tt.want)
		}
	}
}
