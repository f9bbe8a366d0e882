package breakerhttp_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redoubt-go/redoubt/breaker"
	"github.com/redoubt-go/redoubt/breaker/breakerhttp"
)

func TestRefusalClosesTheBody(t *testing.T) {
	b := breaker.New(config())
	b.ForceOpen()
	rt := guarded(b, trip(func(*http.Request) (*http.Response, error) { t.Error("sent"); return nil, nil }))
	req := request(t, "http://example.com/")
	sent := &body{Reader: strings.NewReader("x")}
	req.Body = sent
	resp, err := rt.RoundTrip(req)
	if resp != nil || !errors.Is(err, breaker.ErrOpen) || !sent.closed {
		t.Errorf("response %v, error %v, body closed: %v; want nil, a refusal, true", resp, err, sent.closed)
	}
	req.Body = nil
	if _, err := rt.RoundTrip(req); !errors.Is(err, breaker.ErrOpen) {
		t.Errorf("error %v, want a refusal", err)
	}
}

// TestResponseIsIntact shows that the caller gets the response as it is,
// however it counts.
func TestResponseIsIntact(t *testing.T) {
	for _, code := range []int{200, 404, 400, 500} {
		req := request(t, "http://example.com/")
		req.Body = &body{Reader: strings.NewReader("x")}
		resp, err := guarded(breaker.New(config()), status(code)).RoundTrip(req)
		if err != nil || resp.StatusCode != code || resp.Request != req {
			t.Fatalf("response %v, error %v; want it intact", resp, err)
		}
		if text, err := io.ReadAll(resp.Body); string(text) != "body" || err != nil {
			t.Errorf("body %q, %v; want it open", text, err)
		}
	}
}

func TestContextOfTheRequest(t *testing.T) {
	b := breaker.New(config())
	errReset := errors.New("connection reset")
	ctx, cancel := context.WithCancel(t.Context())
	rt := guarded(b, trip(func(*http.Request) (*http.Response, error) { cancel(); return nil, errReset }))
	req := request(t, "http://example.com/").WithContext(ctx)
	if _, err := rt.RoundTrip(req); err != errReset {
		t.Errorf("error %v, want that of Base", err)
	}
	if s := b.Stats(); s.Ignored != 1 {
		t.Errorf("totals %+v, want a call its caller gave up", s)
	}
	req.Body = &body{Reader: strings.NewReader("x")}
	if _, err := rt.RoundTrip(req); !errors.Is(err, context.Canceled) || !req.Body.(*body).closed {
		t.Errorf("error %v, want context.Canceled and the body closed", err)
	}
}

func TestErrorsAndPanics(t *testing.T) {
	b := breaker.New(config())
	errReset := errors.New("connection reset")
	rt := guarded(b, trip(func(*http.Request) (*http.Response, error) { return nil, errReset }))
	if resp, err := rt.RoundTrip(request(t, "http://example.com/")); resp != nil || err != errReset {
		t.Errorf("response %v, error %v; want that of Base", resp, err)
	}
	inner := breaker.New(config())
	inner.ForceOpen()
	guarded(b, guarded(inner, status(200))).RoundTrip(request(t, "http://example.com/"))
	func() {
		defer func() { recover() }()
		guarded(b, trip(func(*http.Request) (*http.Response, error) { panic("boom") })).RoundTrip(request(t, "http://example.com/"))
	}()
	if s := b.Stats(); s.Failures != 2 || s.Ignored != 1 {
		t.Errorf("totals %+v, want an error, a panic and an inner refusal", s)
	}
}

func TestRetryAfter(t *testing.T) {
	tests := []struct {
		header string
		want   time.Duration
	}{
		{"", time.Second},
		{"20", 20 * time.Second},
		{"100000", time.Minute},
		{"-5", time.Second},
		{"2147483648", time.Minute},
		{"99999999999999999999", time.Minute},
		{"soon", time.Second},
		{"Sat, 01 Jan 2000 00:00:30 GMT", 30 * time.Second}, // a bubble begins at midnight
		{"Sat, 01 Jan 1999 00:00:30 GMT", time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.header, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := breaker.New(config())
				rt := guarded(b, status(503, "Retry-After", tt.header))
				for range 4 {
					rt.RoundTrip(request(t, "http://example.com/"))
				}
				_, err := rt.RoundTrip(request(t, "http://example.com/"))
				var refusal *breaker.OpenError
				if !errors.As(err, &refusal) || refusal.RetryAfter() != tt.want || refusal.Cause.Error() != "breakerhttp: status 503" {
					t.Errorf("refusal %v because of %v, want one for %v because of the status", refusal, refusal.Cause, tt.want)
				}
			})
		})
	}
}

func TestCustomClassify(t *testing.T) {
	b := breaker.New(config())
	rt := guarded(b, status(404))
	rt.Classify = func(resp *http.Response, err error) breaker.Outcome {
		if err == nil && resp.StatusCode == 404 {
			return breaker.OutcomeFailure
		}
		return breakerhttp.Classify(resp, err)
	}
	exchange(rt, request(t, "http://example.com/"))
	rt.Base = status(200)
	exchange(rt, request(t, "http://example.com/"))
	if s := b.Stats(); s.Failures != 1 || s.Successes != 1 {
		t.Errorf("totals %+v, want one failure and one success", s)
	}
}

func TestNoGate(t *testing.T) {
	for name, rt := range map[string]*breakerhttp.Transport{
		"no Gate":     {Base: status(200)},
		"nil gate":    {Base: status(200), Gate: func(*http.Request) breaker.Gate { return nil }},
		"nil breaker": guarded(nil, status(200)),
	} {
		if resp, err := rt.RoundTrip(request(t, "http://example.com/")); err != nil || resp.StatusCode != 200 {
			t.Errorf("%s: response %v, error %v", name, resp, err)
		}
	}
}

// TestRealServer runs an http.Client against a real server.
func TestRealServer(t *testing.T) {
	failing := true
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if failing {
			w.WriteHeader(http.StatusBadGateway)
		}
		io.WriteString(w, "body")
	}))
	defer server.Close()
	cfg := config()
	cfg.OpenFor = time.Millisecond
	b := breaker.New(cfg)
	rt := guarded(b, nil)
	client := &http.Client{Transport: rt}
	defer client.CloseIdleConnections()
	get := func() (int, error) {
		resp, err := client.Get(server.URL)
		if err != nil {
			return 0, err
		}
		defer resp.Body.Close()
		_, err = io.Copy(io.Discard, resp.Body)
		return resp.StatusCode, err
	}
	for range 4 {
		if code, err := get(); code != http.StatusBadGateway || err != nil {
			t.Fatalf("status %d, error %v; want the failure shown", code, err)
		}
	}
	if _, err := get(); b.Stats().Openings == 0 {
		t.Errorf("not opened; error %v", err)
	}
	failing = false
	for range 1000 {
		if get(); b.State() == breaker.StateClosed {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Errorf("not closed: %+v", b.Stats())
}
