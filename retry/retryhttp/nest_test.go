package retryhttp_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/redoubt-go/redoubt/retry"
	"github.com/redoubt-go/redoubt/retry/retryhttp"
)

// Two processes of two layers each make seven calls of a service that is down,
// not 256.
func TestRetriesDoNotMultiplyAcrossProcesses(t *testing.T) {
	leaf := serve(t, status(503))
	call := func(req *http.Request) error {
		resp, err := (&retryhttp.Transport{Base: base(t), Policy: quick(4)}).RoundTrip(req)
		if err != nil {
			return err
		}
		resp.Body.Close()
		if resp.StatusCode != 200 {
			return &retryhttp.StatusError{StatusCode: resp.StatusCode}
		}
		return nil
	}
	service := httptest.NewServer(retryhttp.Nest(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		req, _ := http.NewRequestWithContext(r.Context(), http.MethodGet, leaf.URL, nil)
		if err := call(req); err != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})))
	defer service.Close()
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, service.URL, nil)
	if err := call(req); err == nil {
		t.Error("no error of a service that is down")
	}
	if got := leaf.requests.Load(); got != 7 {
		t.Errorf("requests = %d, want 7", got)
	}
}

func TestNestedRequestIsSentOnce(t *testing.T) {
	var seen []string
	tr := &retryhttp.Transport{Policy: quick(4), Base: tripper(func(r *http.Request) (*http.Response, error) {
		seen = append(seen, r.Header.Get(retryhttp.AttemptHeader))
		return response(503, http.NoBody), nil
	})}
	req, _ := http.NewRequestWithContext(retry.Nest(t.Context()), http.MethodGet, "http://example.com/", nil)
	resp, err := tr.RoundTrip(req)
	if err != nil || resp.StatusCode != 503 {
		t.Errorf("RoundTrip = %v, %v, want the 503", resp, err)
	}
	if got := strings.Join(seen, " "); got != "2" {
		t.Errorf("attempt headers = %q, want \"2\"", got)
	}
	tr.AttemptHeader = retryhttp.NoHeader
	tr.RoundTrip(req)
	if got := strings.Join(seen, " "); got != "2 " {
		t.Errorf("attempt headers = %q, want no second", got)
	}
}

func TestNestReadsOnlyNumbers(t *testing.T) {
	for value, want := range map[string]bool{"": false, "1": false, "2": true, "99": true, "-2": false, "two": false, "99999999999999999999": false} {
		r := httptest.NewRequest("GET", "/", nil)
		if value != "" {
			r.Header.Set(retryhttp.AttemptHeader, value)
		}
		retryhttp.Nest(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			if got := retry.Nested(r.Context()); got != want {
				t.Errorf("header %q: nested = %t, want %t", value, got, want)
			}
		})).ServeHTTP(httptest.NewRecorder(), r)
	}
}
