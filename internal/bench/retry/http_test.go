package retry_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/failsafe-go/failsafe-go/failsafehttp"
	"github.com/hashicorp/go-retryablehttp"

	"github.com/redoubt-go/redoubt/retry"
	"github.com/redoubt-go/redoubt/retry/retryhttp"
)

// A wire is a transport without a network: it refuses so many times with a
// small body, and then answers, over and over.
type wire struct{ refusals, requests int }

func (w *wire) RoundTrip(*http.Request) (*http.Response, error) {
	code := http.StatusOK
	if w.requests++; w.requests%(w.refusals+1) != 0 {
		code = http.StatusServiceUnavailable
	}
	return &http.Response{
		StatusCode: code, Header: http.Header{}, ContentLength: 5,
		Body: io.NopCloser(strings.NewReader("hello")),
	}, nil
}

// clients are http.Clients over the same wire, at most 4 attempts, no pauses.
var clients = []struct {
	name string
	make func(w *wire) *http.Client
}{
	{"floor-client", func(w *wire) *http.Client { return &http.Client{Transport: w} }},
	{"redoubt", func(w *wire) *http.Client {
		policy := retry.Policy{MaxAttempts: 4, Backoff: retry.Constant(0)}
		return &http.Client{Transport: &retryhttp.Transport{Base: w, Policy: policy}}
	}},
	{"retryablehttp", func(w *wire) *http.Client {
		c := retryablehttp.NewClient()
		c.HTTPClient = &http.Client{Transport: w}
		c.Logger, c.RetryMax = nil, 3
		c.Backoff = func(_, _ time.Duration, _ int, _ *http.Response) time.Duration { return 0 }
		return c.StandardClient()
	}},
	{"failsafe", func(w *wire) *http.Client {
		policy := failsafehttp.NewRetryPolicyBuilder().WithMaxRetries(3).WithDelay(0).Build()
		return &http.Client{Transport: failsafehttp.NewRoundTripper(w, policy)}
	}},
}

// fetch makes one request and reads its answer.
func fetch(b *testing.B, c *http.Client) {
	req, err := http.NewRequestWithContext(b.Context(), http.MethodGet, "http://example.com/", nil)
	if err != nil {
		b.Fatal(err)
	}
	resp, err := c.Do(req)
	if err != nil {
		b.Fatal(err)
	}
	n, _ := io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK || n != 5 {
		b.Fatalf("status %d, %d bytes, want 200, 5", resp.StatusCode, n)
	}
}

func runHTTP(b *testing.B, refusals int) {
	for _, c := range clients {
		b.Run("impl="+c.name, func(b *testing.B) {
			w := &wire{refusals: refusals}
			client := c.make(w)
			if c.name == "floor-client" {
				w.refusals = 0 // it does not retry
			}
			fetch(b, client)
			if want := w.refusals + 1; w.requests != want {
				b.Fatalf("%d requests, want %d", w.requests, want)
			}
			b.ReportAllocs()
			for b.Loop() {
				fetch(b, client)
			}
		})
	}
}

// Held fixed: a GET through an http.Client over a transport without a network,
// which answers at once; the body is read and closed. The floor has no retries.
func BenchmarkHTTPGet(b *testing.B) { runHTTP(b, 0) }

// Held fixed: as HTTPGet, with one 503 before the answer. The floor gets the
// answer at once.
func BenchmarkHTTP503Then200(b *testing.B) { runHTTP(b, 1) }
