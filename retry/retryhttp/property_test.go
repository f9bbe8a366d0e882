package retryhttp_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/leanovate/gopter"
	"github.com/leanovate/gopter/gen"
	"github.com/leanovate/gopter/prop"

	"github.com/redoubt-go/redoubt/retry/retryhttp"
)

// Oracle: what holds for every request and every script of answers. Each
// attempt sends the same bytes, the request stays as it was, every body is
// closed, and what is not idempotent is sent once.
func TestRequestsAndBodies(t *testing.T) {
	parameters := gopter.DefaultTestParametersWithSeed(1)
	parameters.MinSuccessfulTests = 500
	properties := gopter.NewProperties(parameters)
	properties.Property("requests and bodies", prop.ForAll(
		func(method, body string, kind int, answers []int) string {
			return (&exchange{body: body, answers: append(answers, 200)}).run(t, method, kind)
		},
		gen.OneConstOf("GET", "PUT", "DELETE", "POST", "PATCH"), gen.AlphaString(), gen.IntRange(0, 3),
		gen.SliceOf(gen.OneConstOf(200, 404, 500, 503, 429, 0)),
	))
	properties.TestingRun(t)
}

// An exchange is one request with all the bodies it needs.
type exchange struct {
	body    string
	answers []int // status codes, 0 for an error without a response

	sent      []string
	requests  []*tracked // bodies given out for requests
	responses []*tracked
}

func (x *exchange) open() (io.ReadCloser, error) {
	b := track(x.body)
	x.requests = append(x.requests, b)
	return b, nil
}

// RoundTrip is the base transport.
func (x *exchange) RoundTrip(r *http.Request) (*http.Response, error) {
	got := ""
	if r.Body != nil {
		b, _ := io.ReadAll(r.Body)
		r.Body.Close()
		got = string(b)
	}
	x.sent = append(x.sent, got)
	code := x.answers[len(x.sent)-1]
	if code == 0 {
		return nil, errBoom
	}
	b := track("answer")
	x.responses = append(x.responses, b)
	return response(code, b), nil
}

// run makes the request, and returns what is wrong with it, or "". The kind is
// that of its body: none, with GetBody, without, buffered.
func (x *exchange) run(t *testing.T, method string, kind int) string {
	req, err := http.NewRequestWithContext(t.Context(), method, "http://example.com/", nil)
	if err != nil {
		return err.Error()
	}
	if kind == 0 {
		x.body = ""
	} else {
		req.Body, _ = x.open()
		req.ContentLength = int64(len(x.body))
	}
	if kind == 1 {
		req.GetBody = x.open
	}
	want := req.Clone(t.Context())
	tr := &retryhttp.Transport{Base: x, Policy: quick(len(x.answers))}
	if kind == 3 {
		tr.MaxBuffer = 1 << 20
	}
	resp, err := tr.RoundTrip(req)
	if err == nil {
		text(t, resp)
	}
	idempotent := strings.Contains("GET PUT DELETE", method)
	if len(x.sent) != 1 && (!idempotent || kind == 2) {
		return fmt.Sprintf("sent %d times, want 1", len(x.sent))
	}
	for i, got := range x.sent {
		if got != x.body {
			return fmt.Sprintf("attempt %d sent %q, want %q", i+1, got, x.body)
		}
	}
	for i, b := range append(x.requests, x.responses...) {
		if b.closed.Load() == 0 {
			return fmt.Sprintf("body %d of %d and %d not closed", i, len(x.requests), len(x.responses))
		}
	}
	if len(x.requests) > 0 && x.requests[0].closed.Load() != 1 {
		return "the caller's body was closed more than once"
	}
	if req.Body != want.Body || req.ContentLength != want.ContentLength || !cmp.Equal(req.Header, want.Header) {
		return "the request was changed"
	}
	return ""
}
