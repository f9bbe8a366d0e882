package ratelimithttp_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/redoubt-go/redoubt/ratelimit/bulkhead"
	"github.com/redoubt-go/redoubt/ratelimit/ratelimithttp"
)

func TestConcurrencyReleasesOnPanic(t *testing.T) {
	b := bulkhead.New(bulkhead.Config{Limit: 1, MaxQueue: -1})
	h := ratelimithttp.Concurrency(ratelimithttp.ConcurrencyConfig{Acquire: acquire(b)})(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	for range 3 {
		func() {
			defer func() {
				if got := recover(); got != http.ErrAbortHandler {
					t.Errorf("recovered %v", got)
				}
			}()
			get(h)
		}()
	}
	if b.Inflight() != 0 {
		t.Errorf("%d inside, want 0", b.Inflight())
	}
	p, _ := b.TryAcquire()
	defer p.Release()
	if w := get(h); w.Code != 503 || !strings.Contains(w.Body.String(), "temporary-reduced-capacity") {
		t.Errorf("got %d %s, want 503", w.Code, w.Body)
	}
}

func TestConcurrencyConfig(t *testing.T) {
	checkEqual(t, ratelimithttp.ConcurrencyConfig{}.Validate().Error(), "ratelimithttp: Acquire is missing")
	b := bulkhead.New(bulkhead.Config{Limit: 10, MaxQueue: -1})
	inside := 0
	h := ratelimithttp.Concurrency(ratelimithttp.ConcurrencyConfig{
		Acquire: func(r *http.Request) (ratelimithttp.Permit, error) {
			return b.AcquireN(r.Context(), int(r.ContentLength))
		},
		Refuse: func(w http.ResponseWriter, _ *http.Request, err error) {
			fmt.Fprint(w, errors.Is(err, bulkhead.ErrFull), w.Header().Get("Retry-After"))
		},
	})(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { inside = b.Inflight() }))
	serve := func(weight int64) *httptest.ResponseRecorder {
		w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil)
		r.ContentLength = weight
		h.ServeHTTP(w, r)
		return w
	}
	if serve(7); inside != 7 || b.Inflight() != 0 {
		t.Errorf("a request of weight 7 has %d places, and %d are left", inside, b.Inflight())
	}
	checkEqual(t, serve(11).Body.String(), "true")
	p, _ := b.AcquireN(t.Context(), 10)
	defer p.Release()
	checkEqual(t, serve(1).Body.String(), "true1")
}

// The bulkhead gets the error that a status means, and the handler keeps the
// abilities of its ResponseWriter.
func TestConcurrencySeesStatus(t *testing.T) {
	var got []string
	failure := func(status int) error {
		got = append(got, fmt.Sprint(status))
		return nil
	}
	b := bulkhead.New(bulkhead.Config{Limit: 1})
	var handler http.HandlerFunc
	server := httptest.NewUnstartedServer(ratelimithttp.Concurrency(ratelimithttp.ConcurrencyConfig{Acquire: acquire(b), Failure: failure})(
		http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler(w, r) })))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // statuses that come too late
	server.Start()
	defer server.Close()
	for _, h := range []http.HandlerFunc{
		func(http.ResponseWriter, *http.Request) {},
		func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500); w.WriteHeader(200) },
		func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(nil); w.WriteHeader(500) },
		func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(103); w.WriteHeader(404) },
		func(w http.ResponseWriter, _ *http.Request) { w.(http.Flusher).Flush(); w.WriteHeader(500) },
		func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.Copy(w, strings.NewReader("x"))
			w.WriteHeader(500)
		},
		func(w http.ResponseWriter, _ *http.Request) {
			_ = http.NewResponseController(w).SetWriteDeadline(time.Time{})
		},
		func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
			conn.Close()
		},
	} {
		handler = h
		resp, err := http.Get(server.URL)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body) // otherwise the client would be gone
		resp.Body.Close()
	}
	for b.Inflight() > 0 {
		time.Sleep(time.Millisecond)
	}
	checkEqual(t, got, []string{"200", "500", "200", "404", "200", "200", "200"})
}

// acquire returns a function for ConcurrencyConfig.Acquire.
func acquire(b *bulkhead.Bulkhead) func(*http.Request) (ratelimithttp.Permit, error) {
	return func(r *http.Request) (ratelimithttp.Permit, error) { return b.Acquire(r.Context()) }
}

// A permit records the calls of its methods.
type permit struct{ calls []string }

func (p *permit) Release()       { p.calls = append(p.calls, "release") }
func (p *permit) Done(err error) { p.calls = append(p.calls, fmt.Sprint(err)) }

// The time of a client that has gone is no measure of the server.
func TestClientsThatHaveGoneAreNotMeasured(t *testing.T) {
	for _, failure := range []func(int) error{nil, func(status int) error { return fmt.Errorf("status %d", status) }} {
		for _, gone := range []bool{false, true} {
			p := new(permit)
			ctx, cancel := context.WithCancel(t.Context())
			h := ratelimithttp.Concurrency(ratelimithttp.ConcurrencyConfig{
				Acquire: func(*http.Request) (ratelimithttp.Permit, error) { return p, nil }, Failure: failure,
			})(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				if w.WriteHeader(503); gone {
					cancel()
				}
			}))
			h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil))
			want := []string{"<nil>", "release"}
			if failure != nil {
				want[0] = "status 503"
			}
			if gone {
				want = want[1:]
			}
			checkEqual(t, p.calls, want)
			cancel()
		}
	}
}
