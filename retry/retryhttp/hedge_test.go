package retryhttp_test

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redoubt-go/redoubt/retry"
	"github.com/redoubt-go/redoubt/retry/retryhttp"
)

func TestHedgeTakesTheFirstAnswer(t *testing.T) {
	var n atomic.Int32
	hang := make(chan struct{})
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		i := n.Add(1)
		if i == 1 {
			<-hang
		}
		fmt.Fprintf(w, "answer %d to %s", i, b)
	})
	defer close(hang)
	rt := &retryhttp.Hedge{Base: base(t), Policy: retry.Hedge[*http.Response]{Delay: 50 * time.Millisecond}}
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodPut, s.URL, strings.NewReader("you"))
	resp, err := rt.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	if got := text(t, resp); got != "answer 2 to you" {
		t.Errorf("body = %q, want \"answer 2 to you\"", got)
	}
}

func TestHedgeClosesTheLosers(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello") })
	tr := base(t)
	rt := &retryhttp.Hedge{Base: tr, Policy: retry.Hedge[*http.Response]{Max: 3, Delay: retry.AtOnce}}
	before := runtime.NumGoroutine()
	for range 20 {
		resp, err := get(t, rt, s.URL)
		if err != nil {
			t.Fatal(err)
		}
		if got := text(t, resp); got != "hello" {
			t.Errorf("body = %q, want \"hello\"", got)
		}
	}
	tr.CloseIdleConnections()
	deadline := time.Now().Add(3 * time.Second)
	for runtime.NumGoroutine() > before+2 && time.Now().Before(deadline) {
		time.Sleep(5 * time.Millisecond)
	}
	if got := runtime.NumGoroutine() - before; got > 2 {
		t.Errorf("goroutines added = %d, want none for long", got)
	}
}

func TestHedgeOfRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// A quick refusal does not beat a slow answer, and is returned if there
		// is none.
		for _, last := range []int{200, 502} {
			var n atomic.Int32
			rt := &retryhttp.Hedge{Base: tripper(func(*http.Request) (*http.Response, error) {
				if n.Add(1) == 1 {
					time.Sleep(time.Second)
					return response(last, track("slow")), nil
				}
				return response(503, track("refused")), nil
			})}
			rt.Policy.Delay = 100 * time.Millisecond
			resp, err := get(t, rt, "http://example.com/")
			if err != nil {
				t.Fatal(err)
			}
			got, want := fmt.Sprint(resp.StatusCode, text(t, resp)), "200slow"
			if last == 502 {
				want = "503refused"
			}
			if got != want {
				t.Errorf("answer = %s, want %s", got, want)
			}
		}
	})
}

func TestHedgeLargeRefusalIsAnAnswer(t *testing.T) {
	large := strings.Repeat("x", 100<<10)
	rt := &retryhttp.Hedge{Base: tripper(func(*http.Request) (*http.Response, error) {
		return response(503, track(large)), nil
	})}
	rt.Policy.Delay = retry.AfterFailure
	resp, err := get(t, rt, "http://example.com/")
	if err != nil {
		t.Fatal(err)
	}
	if got := text(t, resp); got != large {
		t.Errorf("body of %d bytes, want %d", len(got), len(large))
	}
}

func TestHedgeSendsOnceWhatIsNotSafe(t *testing.T) {
	for _, tt := range []struct {
		method string
		body   io.Reader
		err    error
		want   int32
	}{
		{"GET", nil, errBoom, 2},
		{"POST", nil, errBoom, 1},
		{"PUT", strings.NewReader("x"), errBoom, 2},
		{"PUT", track("x"), errBoom, 1},
		{"GET", nil, x509.UnknownAuthorityError{}, 1}, // fatal
	} {
		var n atomic.Int32
		rt := &retryhttp.Hedge{Base: tripper(func(r *http.Request) (*http.Response, error) {
			n.Add(1)
			return nil, tt.err
		})}
		rt.Policy.Delay = retry.AfterFailure
		req, _ := http.NewRequestWithContext(t.Context(), tt.method, "http://example.com/", tt.body)
		_, err := rt.RoundTrip(req)
		if !errors.Is(err, tt.err) || n.Load() != tt.want {
			t.Errorf("%s with a %T: error %v after %d attempts, want %v after %d", tt.method, tt.body, err, n.Load(), tt.err, tt.want)
		}
	}
}

func TestHedgeReleasesContextsAndBodies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n atomic.Int32
		var ctx [3]context.Context
		body := [3]*tracked{nil, track("first"), track("second")}
		rt := &retryhttp.Hedge{Base: tripper(func(r *http.Request) (*http.Response, error) {
			i := n.Add(1)
			ctx[i] = r.Context()
			time.Sleep(time.Duration(3-i) * time.Second) // blind to its context
			return response(200, body[i]), nil
		})}
		resp, err := get(t, rt, "http://example.com/")
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if ctx[2].Err() != nil || body[1].closed.Load() != 1 {
			t.Errorf("winner's context %v, loser's body closed %d times, want nil, once", ctx[2].Err(), body[1].closed.Load())
		}
		if got := text(t, resp); got != "second" || ctx[2].Err() == nil {
			t.Errorf("body %q, winner's context after it %v, want \"second\", done", got, ctx[2].Err())
		}
	})
}

func TestHedgeCannotReadAgain(t *testing.T) {
	// A second body that cannot be had, and a refusal that breaks off, are
	// failures of their attempts.
	broken := &tracked{Reader: readerFunc(func([]byte) (int, error) { return 0, io.ErrUnexpectedEOF })}
	rt := &retryhttp.Hedge{Base: tripper(func(*http.Request) (*http.Response, error) {
		return response(503, broken), nil
	})}
	rt.Policy.Delay = retry.AfterFailure
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://example.com/", strings.NewReader("x"))
	req.GetBody = func() (io.ReadCloser, error) { return nil, errBoom }
	_, err := rt.RoundTrip(req)
	if !errors.Is(err, errBoom) || !errors.Is(err, io.ErrUnexpectedEOF) || broken.closed.Load() != 1 {
		t.Errorf("error = %v, want %v and %v", err, errBoom, io.ErrUnexpectedEOF)
	}
}

func TestHedgeClosesABodyItDoesNotSend(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	body := track("x")
	req, _ := http.NewRequestWithContext(ctx, http.MethodPut, "http://example.com/", body)
	req.GetBody = func() (io.ReadCloser, error) { return track("x"), nil }
	_, err := (&retryhttp.Hedge{}).RoundTrip(req)
	if !errors.Is(err, context.Canceled) || body.closed.Load() != 1 {
		t.Errorf("error %v, body closed %d times, want %v, once", err, body.closed.Load(), context.Canceled)
	}
}
