package retryhttp_test

import (
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redoubt-go/redoubt/retry"
	"github.com/redoubt-go/redoubt/retry/retryhttp"
)

// A ledger grants every retry for a cost of 1 and records outcomes.
type ledger struct{ settled []string }

func (l *ledger) Withdraw(error) (cost int, ok bool) { return 1, true }
func (l *ledger) Settle(o retry.Outcome, cost int, _ error) {
	l.settled = append(l.settled, fmt.Sprint(o, " ", cost))
}

// A budget shared by a Transport and its Hedge counts each request once.
func TestSharedBudgetIsSettledOnce(t *testing.T) {
	for _, tt := range []struct {
		codes []int
		want  string
	}{
		{[]int{200}, "[success 0]"},
		{[]int{503, 503, 200}, "[failure 1 failure 0 success 1]"},
	} {
		synctest.Test(t, func(t *testing.T) {
			b := &ledger{}
			n := 0
			tr := &retryhttp.Transport{
				Policy: retry.Policy{Budget: b, Backoff: retry.Constant(time.Second)},
				Base: tripper((&retryhttp.Hedge{ // below another transport
					Policy: retry.Hedge[*http.Response]{Budget: b, Delay: time.Minute},
					Base: tripper(func(*http.Request) (*http.Response, error) {
						n++
						return response(tt.codes[min(n, len(tt.codes))-1], http.NoBody), nil
					}),
				}).RoundTrip),
			}
			resp, err := get(t, tr, "http://example.com/")
			if err != nil || resp.StatusCode != 200 {
				t.Fatalf("RoundTrip = %v, %v, want 200", resp, err)
			}
			if got := fmt.Sprint(b.settled); got != tt.want {
				t.Errorf("settled = %v, want %v", got, tt.want)
			}
		})
	}
}

// The failure of a request that cannot be sent again is no sign of health.
func TestBudgetCountsFailuresThatAreNotRetried(t *testing.T) {
	for _, tt := range []struct {
		method string
		code   int // 0 for an error
		want   string
	}{
		{"POST", 503, "[failure 0]"},
		{"POST", 0, "[failure 0]"},
		{"POST", 200, "[success 0]"},
		{"POST", 409, "[success 0]"},
		{"GET", 404, "[success 0]"},
		{"GET", 503, "[failure 0 failure 1]"},
	} {
		b := &ledger{}
		tr := &retryhttp.Transport{Policy: quick(2), Base: tripper(func(*http.Request) (*http.Response, error) {
			if tt.code == 0 {
				return nil, errBoom
			}
			return response(tt.code, http.NoBody), nil
		})}
		tr.Policy.Budget = b
		req, _ := http.NewRequestWithContext(t.Context(), tt.method, "http://example.com/", nil)
		resp, err := tr.RoundTrip(req)
		if tt.code == 0 && err != errBoom || tt.code != 0 && (err != nil || resp.StatusCode != tt.code) {
			t.Errorf("%s, status %d: RoundTrip = %v, %v", tt.method, tt.code, resp, err)
		}
		if got := fmt.Sprint(b.settled); got != tt.want {
			t.Errorf("%s, status %d: settled = %v, want %v", tt.method, tt.code, got, tt.want)
		}
	}
}
