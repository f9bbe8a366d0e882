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

	"github.com/google/go-cmp/cmp"

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
	rt := &retryhttp.Hedge{
		Base: base(t), Policy: retry.Hedge[*http.Response]{Delay: 50 * time.Millisecond}, Safe: retryhttp.Idempotent,
	}
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
	deadline := time.Now().Add(3 * time.Second)
	for runtime.NumGoroutine() > before+2 && time.Now().Before(deadline) {
		time.Sleep(5 * time.Millisecond)
		tr.CloseIdleConnections() // a loser may still have been dialing
	}
	if got := runtime.NumGoroutine() - before; got > 2 {
		t.Errorf("goroutines added = %d, want none for long", got)
	}
}

// An attempt that answers while the call ends closes its body, whichever of the
// two is first.
func TestHedgeClosesAnswersAtTheEnd(t *testing.T) {
	for range 300 {
		lost, answer := track("late"), make(chan bool)
		ended := make(chan bool)
		n := atomic.Int32{}
		h := &retryhttp.Hedge{Base: tripperKeeps(func(*http.Request) (*http.Response, error) {
			if n.Add(1) == 1 {
				return response(200, track("first")), nil
			}
			<-answer
			defer close(ended)
			return response(200, lost), nil
		})}
		h.Policy.Delay = retry.AtOnce
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://example.com/", nil)
		resp, err := h.RoundTrip(req)
		close(answer)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		<-ended
		for end := time.Now().Add(time.Second); lost.closed.Load() == 0; time.Sleep(10 * time.Microsecond) {
			if time.Now().After(end) {
				t.Fatal("the late answer is open")
			}
		}
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
				want = "502slow"
			}
			if got != want {
				t.Errorf("answer = %s, want %s", got, want)
			}
		}
	})
}

// An error page of any size does not beat an answer, and is returned unread if
// there is none.
func TestHedgeOfLargeRefusals(t *testing.T) {
	large := strings.Repeat("x", 100<<10)
	for _, last := range []int{200, 503} {
		var n atomic.Int32
		bodies := []*tracked{track(large), track(large)}
		rt := &retryhttp.Hedge{Base: tripper(func(*http.Request) (*http.Response, error) {
			if n.Add(1) == 1 {
				return response(503, bodies[0]), nil
			}
			return response(last, bodies[1]), nil
		})}
		rt.Policy.Delay = retry.AfterFailure
		resp, err := get(t, rt, "http://example.com/")
		if err != nil || resp.StatusCode != last {
			t.Fatalf("RoundTrip = %v, %v, want %d", resp, err, last)
		}
		if got := bodies[0].closed.Load(); got != 1 {
			t.Errorf("body of the first refusal closed %d times, want once", got)
		}
		if got := text(t, resp); got != large || bodies[1].closed.Load() != 1 {
			t.Errorf("body of %d bytes, closed %d times, want %d, once", len(got), bodies[1].closed.Load(), len(large))
		}
	}
}

// A refusal that arrives after the answer is closed.
func TestHedgeClosesLateRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n atomic.Int32
		late := track("late")
		rt := &retryhttp.Hedge{Base: tripper(func(*http.Request) (*http.Response, error) {
			if n.Add(1) == 1 {
				time.Sleep(time.Minute) // blind to its context
				return response(503, late), nil
			}
			return response(200, http.NoBody), nil
		})}
		if resp, err := get(t, rt, "http://example.com/"); err != nil || resp.StatusCode != 200 {
			t.Fatalf("RoundTrip = %v, %v, want 200", resp, err)
		}
		time.Sleep(time.Hour)
		if got := late.closed.Load(); got != 1 {
			t.Errorf("late body closed %d times, want once", got)
		}
	})
}

// A server's Retry-After delays the next attempt; the attempts in flight go on.
func TestHedgeObeysRetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		var starts []time.Duration
		rt := &retryhttp.Hedge{
			Policy: retry.Hedge[*http.Response]{Max: 5, Delay: time.Hour},
			Base: tripper(func(*http.Request) (*http.Response, error) {
				starts = append(starts, time.Since(begin))
				resp := response(429, http.NoBody)
				resp.Header.Set("Retry-After", "30")
				if len(starts) == 3 {
					resp.StatusCode = 200
				}
				return resp, nil
			}),
		}
		resp, err := get(t, rt, "http://example.com/")
		if err != nil || resp.StatusCode != 200 {
			t.Fatalf("RoundTrip = %v, %v, want 200", resp, err)
		}
		if d := cmp.Diff([]time.Duration{0, 30 * time.Second, time.Minute}, starts); d != "" {
			t.Errorf("starts (-want +got):\n%s", d)
		}
	})
}

// Attempts share neither a header nor a URL, which transports below change
// although they must not.
func TestHedgedAttemptsShareNothing(t *testing.T) {
	var n atomic.Int32
	rt := &retryhttp.Hedge{
		Policy: retry.Hedge[*http.Response]{Max: 3, Delay: retry.AtOnce},
		Base: tripper(func(r *http.Request) (*http.Response, error) {
			r.Header.Set("Trace", fmt.Sprint(n.Add(1)))
			r.URL.Host = "10.0.0.1"
			time.Sleep(time.Millisecond)
			return response(200, http.NoBody), nil
		}),
	}
	for range 50 {
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://example.com/", nil)
		req.Header.Set("Trace", "none")
		if _, err := rt.RoundTrip(req); err != nil {
			t.Fatal(err)
		}
		if req.Header.Get("Trace") != "none" || req.URL.Host != "example.com" {
			t.Fatal("the request was changed")
		}
	}
}

func TestHedgeNumbersItsAttempts(t *testing.T) {
	for _, tt := range []struct {
		name, before string
		want         string
	}{
		{"", "", ",2,3"},
		{"", "2", "2,3,4"}, // the second attempt of a Transport above
		{retryhttp.NoHeader, "", ",,"},
	} {
		var seen []string
		rt := &retryhttp.Hedge{AttemptHeader: tt.name, Base: tripper(func(r *http.Request) (*http.Response, error) {
			seen = append(seen, r.Header.Get(retryhttp.AttemptHeader))
			return response(503, http.NoBody), nil
		})}
		rt.Policy.Delay, rt.Policy.Max = retry.AfterFailure, 2
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://example.com/", nil)
		if req.Header = nil; tt.before != "" {
			req.Header = http.Header{retryhttp.AttemptHeader: {tt.before}}
		}
		rt.RoundTrip(req)
		if got := strings.Join(seen, ","); got != tt.want {
			t.Errorf("attempt headers = %q, want %q", got, tt.want)
		}
	}
}

// Each host learns its own delay.
func TestHedgeLearnsPerHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		took := map[string]time.Duration{"slow.example": time.Second, "fast.example": time.Millisecond}
		hedges := map[string]int{}
		rt := &retryhttp.Hedge{
			Policy: retry.Hedge[*http.Response]{
				Delay: time.Minute, Latency: &retry.Latency{P: .9, Warm: 5},
				OnEvent: func(_ context.Context, e retry.Event) {
					if e.Kind == retry.KindHedged {
						hedges[e.Op]++
					}
				},
			},
			Base: tripper(func(r *http.Request) (*http.Response, error) {
				time.Sleep(took[strings.ToLower(r.URL.Host)])
				return response(200, http.NoBody), nil
			}),
		}
		for range 20 {
			get(t, rt, "http://slow.example/")
			get(t, rt, "http://FAST.example/")
		}
		hedges = map[string]int{}
		took["fast.example"] = 500 * time.Millisecond
		for range 2 {
			get(t, rt, "http://slow.example/")
			get(t, rt, "http://fast.example/")
		}
		time.Sleep(time.Minute)
		if hedges["GET fast.example/"] == 0 || hedges["GET slow.example/"] != 0 {
			t.Errorf("hedges = %v, want some for fast.example only", hedges)
		}
		for i := range 1500 {
			get(t, rt, fmt.Sprint("http://", i, ".example/"))
		}
		if got := retryhttp.Hosts(rt); got != 1000 {
			t.Errorf("hosts = %d, want the bound of 1000", got)
		}
		time.Sleep(time.Minute)
	})
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
		{"PUT", nil, errBoom, 1},
		{"DELETE", nil, errBoom, 1},
		{"OPTIONS", strings.NewReader("x"), errBoom, 2},
		{"OPTIONS", track("x"), errBoom, 1},
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

// A second body that cannot be opened is the failure of its attempt.
func TestHedgeCannotOpenTheBodyAgain(t *testing.T) {
	refusal := track("busy")
	for _, base := range []tripper{
		func(*http.Request) (*http.Response, error) { return response(503, refusal), nil },
		func(*http.Request) (*http.Response, error) { return nil, errBoom },
	} {
		rt := &retryhttp.Hedge{Base: base, Safe: retryhttp.Idempotent}
		rt.Policy.Delay = retry.AfterFailure
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://example.com/", strings.NewReader("x"))
		req.GetBody = func() (io.ReadCloser, error) { return nil, io.ErrUnexpectedEOF }
		resp, err := rt.RoundTrip(req)
		if err == nil {
			if got := text(t, resp); got != "busy" || resp.StatusCode != 503 {
				t.Errorf("response = %d %q, want the 503", resp.StatusCode, got)
			}
			continue
		}
		e, ok := errors.AsType[*retry.Error](err)
		if !ok || !errors.Is(e.Join(), errBoom) || !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("error = %v, want %v after %v", err, io.ErrUnexpectedEOF, errBoom)
		}
	}
}

// A keyed POST that is sent twice at the same time may be executed once and
// answered by a conflict, which would win.
func TestHedgeSendsAKeyedPostOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var charged, n int
		rt := &retryhttp.Hedge{Base: tripper(func(r *http.Request) (*http.Response, error) {
			if n++; n > 1 {
				return response(http.StatusConflict, http.NoBody), nil
			}
			time.Sleep(time.Second)
			charged++
			return response(200, http.NoBody), nil
		})}
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://example.com/", nil)
		req.Header.Set("Idempotency-Key", "4f1c")
		resp, err := rt.RoundTrip(req)
		if err != nil || resp.StatusCode != 200 || charged != 1 || n != 1 {
			t.Errorf("RoundTrip = %v, %v after %d requests, charged %d times, want 200 after 1, charged once", resp, err, n, charged)
		}
	})
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
