package retryhttp_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redoubt-go/redoubt/retry"
	"github.com/redoubt-go/redoubt/retry/retryhttp"
)

// transports returns a Transport, one with a timeout, a Hedge and a Transport
// above a Hedge, all above base.
func transports(base http.RoundTripper) map[string]http.RoundTripper {
	timed := quick(2)
	timed.AttemptTimeout = time.Hour
	hedge := func() *retryhttp.Hedge { return &retryhttp.Hedge{Base: base} }
	return map[string]http.RoundTripper{
		"transport": &retryhttp.Transport{Base: base, Policy: quick(2)},
		"timeout":   &retryhttp.Transport{Base: base, Policy: timed},
		"hedge":     hedge(),
		"both":      &retryhttp.Transport{Base: hedge(), Policy: timed},
	}
}

// Responses as tests and middleware make them: http.Client completes them, and
// so do not fail here.
func TestIncompleteResponses(t *testing.T) {
	fakes := []struct {
		name string
		resp *http.Response
		err  error
		want string
	}{
		{"no body", &http.Response{StatusCode: 200}, nil, "200 <nil>"},
		{"no body, retried", &http.Response{StatusCode: 503}, nil, "503 <nil>"},
		{"NoBody", &http.Response{StatusCode: 503, Body: http.NoBody}, nil, "503 <nil>"},
		{"upgrade without a body", &http.Response{StatusCode: 101}, nil, "101 <nil>"},
		{"upgrade to no connection", &http.Response{StatusCode: 101, Body: io.NopCloser(track("x"))}, nil, "101 <nil>"},
		{"nothing", nil, nil, `Get "http://example.com/": retryhttp: retryhttp_test.tripper returned neither a response nor an error`},
	}
	for _, fake := range fakes {
		rts := transports(tripper(func(*http.Request) (*http.Response, error) {
			if fake.resp == nil {
				return nil, fake.err
			}
			resp := *fake.resp
			return &resp, fake.err
		}))
		for name, rt := range rts {
			resp, err := (&http.Client{Transport: rt}).Get("http://example.com/")
			got := fmt.Sprint(err)
			if err == nil {
				got = fmt.Sprint(resp.StatusCode, " ", resp.Body.Close())
			}
			if got != fake.want {
				t.Errorf("%s, %s: got %s, want %s", name, fake.name, got, fake.want)
			}
		}
	}
	for name, rt := range transports(tripper(func(*http.Request) (*http.Response, error) { return response(200, http.NoBody), nil })) {
		if resp, err := get(t, rt, "http://example.com/"); err != nil || resp.Body != http.NoBody {
			t.Errorf("%s: NoBody became %v, error %v", name, resp, err)
		}
	}
	time.Sleep(300 * time.Millisecond) // the drain of a nil body must not panic later
}

// Of a response and an error, the error counts, and the response is closed.
func TestResponseWithAnError(t *testing.T) {
	var bodies []*tracked
	rts := transports(tripper(func(*http.Request) (*http.Response, error) {
		b := track("x")
		bodies = append(bodies, b)
		return response(200, b), errBoom
	}))
	delete(rts, "hedge") // its attempts run side by side
	delete(rts, "both")
	for name, rt := range rts {
		if resp, err := get(t, rt, "http://example.com/"); resp != nil || !errors.Is(err, errBoom) {
			t.Errorf("%s: RoundTrip = %v, %v, want nil, %v", name, resp, err, errBoom)
		}
	}
	for i, b := range bodies {
		if b.closed.Load() != 1 {
			t.Errorf("body %d closed %d times, want once", i, b.closed.Load())
		}
	}
}

// The Timeout of an http.Client ends an attempt at the deadline, before the
// context ends: nothing is sent after that.
func TestOverdueRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		rts := transports(tripper(func(r *http.Request) (*http.Response, error) { n++; return nil, errBoom }))
		for name, rt := range rts {
			b := &ledger{}
			if tr, ok := rt.(*retryhttp.Transport); ok {
				tr.Policy.Budget = b
			}
			req, _ := http.NewRequestWithContext(&overdue{t.Context()}, http.MethodGet, "http://example.com/", nil)
			n = 0
			if _, err := rt.RoundTrip(req); !errors.Is(err, errBoom) || n != 1 {
				t.Errorf("%s: error %v after %d attempts, want %v after 1", name, err, n, errBoom)
			}
			if got := fmt.Sprint(b.settled); name != "hedge" && got != "[failure 0]" {
				t.Errorf("%s: settled = %v, want a failure", name, got)
			}
		}
	})
}

// An overdue context is at its deadline, but has not ended.
type overdue struct{ context.Context }

func (overdue) Deadline() (time.Time, bool) { return time.Now(), true }

// A panic of a transport passes, and leaves nothing open.
func TestPanicOfTheBase(t *testing.T) {
	refusal, sent := track("busy"), track("hello")
	n := 0
	base := tripperKeeps(func(r *http.Request) (*http.Response, error) {
		if n++; n == 1 {
			return response(503, refusal), nil
		}
		if r.Body != nil {
			r.Body.Close()
		}
		panic(errBoom)
	})
	h := &retryhttp.Hedge{Base: base}
	h.Policy.Delay = retry.AfterFailure
	for _, tt := range []struct {
		rt   http.RoundTripper
		body *tracked
	}{{h, nil}, {&retryhttp.Transport{Base: base, Policy: quick(2), MaxBuffer: 9}, sent}} {
		n = 0
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://example.com/", nil)
		if tt.body != nil {
			req.Body = tt.body
		}
		func() {
			defer func() {
				err, ok := recover().(error)
				if !ok || !errors.Is(err, errBoom) {
					t.Errorf("%T: recovered %v, want %v", tt.rt, err, errBoom)
				}
			}()
			tt.rt.RoundTrip(req)
		}()
		if refusal.closed.Swap(0) == 0 {
			t.Errorf("%T: the refusal is open", tt.rt)
		}
	}
}

// A panic of a hook passes, and leaves no response open.
func TestPanicOfAHook(t *testing.T) {
	for name, tr := range map[string]*retryhttp.Transport{
		"RetryIf":        {RetryIf: func(*http.Request, *http.Response, error) bool { panic(errBoom) }},
		"Idempotent":     {Idempotent: func(*http.Request) bool { panic(errBoom) }},
		"Policy.RetryIf": {Policy: retry.Policy{RetryIf: func(error) bool { panic(errBoom) }}},
		"OnEvent":        {Policy: retry.Policy{MaxAttempts: 1, OnEvent: func(context.Context, retry.Event) { panic(errBoom) }}},
	} {
		refusal := track("busy")
		tr.Base = tripper(func(*http.Request) (*http.Response, error) { return response(503, refusal), nil })
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://example.com/", nil)
		func() {
			defer func() {
				if got := recover(); got != errBoom {
					t.Errorf("%s: recovered %v, want %v", name, got, errBoom)
				}
			}()
			tr.RoundTrip(req)
		}()
		if refusal.closed.Load() == 0 {
			t.Errorf("%s: the response is open", name)
		}
	}
}

// A connection that changes its protocol can be written, half closed and
// outlives the timeout.
func TestUpgrade(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		rw.Flush()
		data, _ := io.ReadAll(rw)
		fmt.Fprintf(conn, "echo %s", data)
	})
	for name, rt := range transports(base(t)) {
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL, nil)
		req.Header.Set("Connection", "Upgrade")
		req.Header.Set("Upgrade", "echo")
		resp, err := rt.RoundTrip(req)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		conn, ok := resp.Body.(interface {
			io.ReadWriteCloser
			CloseWrite() error
		})
		if !ok {
			t.Fatalf("%s: body is a %T, want a connection", name, resp.Body)
		}
		if _, err := io.WriteString(conn, "hello"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := conn.CloseWrite(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := text(t, resp); got != "echo hello" {
			t.Errorf("%s: read %q, want \"echo hello\"", name, got)
		}
	}
}

func TestCloseWriteWithoutSupport(t *testing.T) {
	conn, other := net.Pipe()
	defer other.Close()
	rt := &retryhttp.Hedge{Base: tripper(func(*http.Request) (*http.Response, error) { return response(101, conn), nil })}
	resp, err := get(t, rt, "http://example.com/")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := resp.Body.(interface{ CloseWrite() error }).CloseWrite(); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("CloseWrite = %v, want %v", err, errors.ErrUnsupported)
	}
}

// Trailers arrive with the end of the body, over both versions of HTTP.
func TestTrailers(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "Sum")
		io.WriteString(w, "body")
		w.Header().Set("Sum", "42")
	}))
	s.EnableHTTP2 = true
	s.StartTLS()
	defer s.Close()
	plain := serve(t, s.Config.Handler.ServeHTTP)
	for _, url := range []string{plain.URL, s.URL} {
		for name, rt := range transports(s.Client().Transport) {
			resp, err := get(t, rt, url)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if got := text(t, resp); got != "body" || resp.Trailer.Get("Sum") != "42" {
				t.Errorf("%s, %s: body %q, trailer %v, want \"body\", 42", resp.Proto, name, got, resp.Trailer)
			}
		}
	}
}

// A body that stalls is ended by the caller, not by AttemptTimeout.
func TestStalledBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rts := transports(tripper(func(r *http.Request) (*http.Response, error) {
			pr, pw := io.Pipe()
			context.AfterFunc(r.Context(), func() { pw.CloseWithError(context.Cause(r.Context())) })
			return response(200, pr), nil
		}))
		for name, rt := range rts {
			if tr, ok := rt.(*retryhttp.Transport); ok && tr.Policy.AttemptTimeout > 0 {
				tr.Policy.AttemptTimeout = time.Second
			}
			ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, errCause)
			begin := time.Now()
			req, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://example.com/", nil)
			resp, err := rt.RoundTrip(req)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if _, err := io.ReadAll(resp.Body); err != errCause || time.Since(begin) != time.Minute {
				t.Errorf("%s: read ended with %v after %v, want %v after 1m", name, err, time.Since(begin), errCause)
			}
			resp.Body.Close()
			cancel()
		}
	})
}

func TestCostOfATimeout(t *testing.T) {
	rt := tripper(func(r *http.Request) (*http.Response, error) { return response(200, http.NoBody), nil })
	body := tripper(func(r *http.Request) (*http.Response, error) { return response(200, io.NopCloser(nil)), nil })
	for name, rt := range map[string]http.RoundTripper{"no body": rt, "body": body} {
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://example.com/", nil)
		floor := testing.AllocsPerRun(100, func() { rt.RoundTrip(req) })
		tr := &retryhttp.Transport{Base: rt, Policy: retry.Policy{AttemptTimeout: time.Hour}}
		got := testing.AllocsPerRun(100, func() {
			resp, err := tr.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
		})
		if got -= floor; got > 3 {
			t.Errorf("%s: %v allocations over the base transport, want at most 3", name, got)
		}
	}
}
