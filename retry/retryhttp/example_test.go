package retryhttp_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/redoubt-go/redoubt/retry"
	"github.com/redoubt-go/redoubt/retry/retryhttp"
)

// busy returns a server that refuses the first requests, with n 503s.
func busy(n int) *httptest.Server {
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n--; n >= 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		io.WriteString(w, "ready")
	}))
}

// Example is the use in the package documentation.
func Example() {
	server := busy(2)
	defer server.Close()
	url := server.URL
	client := &http.Client{
		Transport: &retryhttp.Transport{Policy: retry.Policy{MaxAttempts: 4}},
		Timeout:   30 * time.Second,
	}
	resp, err := client.Get(url)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	fmt.Println(resp.StatusCode, string(body), err)
	// Output: 200 ready <nil>
}

// A server that hangs for the first request.
func Example_timeouts() {
	n := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n++; n == 1 {
			<-r.Context().Done()
		}
		io.WriteString(w, "ready")
	}))
	defer server.Close()
	policy := retry.Policy{AttemptTimeout: 2 * time.Second}
	client := &http.Client{
		Transport: &retryhttp.Transport{Policy: policy},
		Timeout:   10 * time.Second,
	}
	client.Transport.(*retryhttp.Transport).Policy.AttemptTimeout = 50 * time.Millisecond // for a quick example
	resp, err := client.Get(server.URL)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	fmt.Println(resp.Status, "after attempt", resp.Request.Header.Get(retryhttp.AttemptHeader))
	// Output: 200 OK after attempt 2
}

func ExampleTransport() {
	server := busy(9)
	defer server.Close()
	// When no attempt is left, the caller gets the last response.
	client := &http.Client{Transport: &retryhttp.Transport{
		Policy: retry.Policy{
			Backoff: retry.Constant(time.Millisecond),
			Budget:  &retry.TokenBudget{}, // shared by all requests
			OnEvent: func(_ context.Context, e retry.Event) { fmt.Println(e.Kind, e.Attempt, e.Err) },
		},
		AttemptHeader: "X-Attempt",
	}}
	resp, err := client.Get(server.URL)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	fmt.Println(resp.Status)
	// Output:
	// retry 1 retryhttp: 503 Service Unavailable
	// retry 2 retryhttp: 503 Service Unavailable
	// done 3 retryhttp: 503 Service Unavailable
	// 503 Service Unavailable
}

func ExampleHedge() {
	server := busy(0)
	defer server.Close()
	client := &http.Client{
		Transport: &retryhttp.Transport{Base: &retryhttp.Hedge{}},
	}
	resp, err := client.Get(server.URL)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	fmt.Println(resp.Status)
	// Output: 200 OK
}

func ExampleRetryAfter() {
	h := http.Header{}
	h.Set("Retry-After", "120")
	fmt.Println(retryhttp.RetryAfter(h, time.Now()))
	h.Set("Date", "Wed, 21 Oct 2026 07:28:00 GMT")
	h.Set("Retry-After", "Wed, 21 Oct 2026 07:28:30 GMT")
	fmt.Println(retryhttp.RetryAfter(h, time.Now()))
	h.Set("Retry-After", "-1")
	fmt.Println(retryhttp.RetryAfter(h, time.Now()))
	// Output:
	// 2m0s true
	// 30s true
	// 0s false
}

func ExampleIdempotent() {
	req := httptest.NewRequest("POST", "/orders", nil)
	fmt.Println(retryhttp.Idempotent(req))
	req.Header.Set("Idempotency-Key", "4f1c")
	fmt.Println(retryhttp.Idempotent(req))
	// Output:
	// false
	// true
}

func ExampleSafe() {
	fmt.Println(retryhttp.Safe(httptest.NewRequest("GET", "/orders", nil)))
	fmt.Println(retryhttp.Safe(httptest.NewRequest("DELETE", "/orders/1", nil)))
	// Output:
	// true
	// false
}

func ExampleRetryable() {
	req := httptest.NewRequest("GET", "http://example.com/", nil)
	for _, code := range []int{200, 404, 429, 501, 503} {
		fmt.Println(code, retryhttp.Retryable(req, &http.Response{StatusCode: code}, nil))
	}
	// Output:
	// 200 false
	// 404 false
	// 429 true
	// 501 false
	// 503 true
}

func ExampleStatusError() {
	err := &retryhttp.StatusError{StatusCode: 429}
	fmt.Println(err)
	// Output: retryhttp: 429 Too Many Requests
}

// The handler of a client that retries: its own calls are not retried once the
// client sends the request again.
func ExampleNest() {
	handler := retryhttp.Nest(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := retry.Policy{MaxAttempts: 4, Backoff: retry.Constant(0)}.Do(r.Context(), func(context.Context) error {
			return errors.New("database is down")
		})
		fmt.Println(err)
	}))
	req := httptest.NewRequest("GET", "/", nil)
	handler.ServeHTTP(httptest.NewRecorder(), req)
	req.Header.Set(retryhttp.AttemptHeader, "2")
	handler.ServeHTTP(httptest.NewRecorder(), req)
	// Output:
	// retry: exhausted after 4 attempts: database is down
	// retry: left to the outer retry after 1 attempt: database is down
}

func ExampleDeadline() {
	deadline := retryhttp.Deadline{Min: 50 * time.Millisecond, Max: 10 * time.Second}
	server := httptest.NewServer(deadline.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		end, ok := r.Context().Deadline()
		fmt.Fprint(w, ok && time.Until(end) <= 2*time.Second)
	})))
	defer server.Close()
	client := &http.Client{
		Transport: &retryhttp.Transport{TimeoutHeader: retryhttp.TimeoutHeader},
		Timeout:   2 * time.Second,
	}
	resp, err := client.Get(server.URL)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	fmt.Println(resp.StatusCode, string(body), err)
	// Output: 200 true <nil>
}

func ExampleCheck() {
	server := busy(1)
	defer server.Close()
	fetch := func(context.Context) ([]byte, error) {
		resp, err := http.Get(server.URL)
		if err != nil {
			return nil, err
		}
		defer resp.Body.Close()
		if err := retryhttp.Check(resp); err != nil {
			return nil, err
		}
		return io.ReadAll(resp.Body)
	}
	_, err := fetch(context.Background())
	fmt.Println(err, retry.Retryable(err))
	body, err := fetch(context.Background())
	fmt.Println(string(body), err)
	// Output:
	// retryhttp: 503 Service Unavailable true
	// ready <nil>
}
