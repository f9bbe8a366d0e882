package retry_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redoubt-go/redoubt/breaker"
	"github.com/redoubt-go/redoubt/breaker/breakerhttp"
	"github.com/redoubt-go/redoubt/cache"
	"github.com/redoubt-go/redoubt/ratelimit"
	"github.com/redoubt-go/redoubt/ratelimit/ratelimithttp"
	"github.com/redoubt-go/redoubt/retry"
	"github.com/redoubt-go/redoubt/retry/retryhttp"
)

var errCaller = errors.New("the caller gave up")

// The time after which the attempt, the caller or the client ends.
const timeout = time.Second

// A hang is a server that hangs the first time, in a phase of the request, for
// three timeouts, and then works.
type hang struct {
	phase string
	*httptest.Server
	listener *listener
	client   *http.Transport
	dials    atomic.Int32
	served   atomic.Int32
}

func newHang(phase string, http2 bool) *hang {
	h := &hang{phase: phase, listener: newListener()}
	h.Server = &httptest.Server{Listener: h.listener, Config: &http.Server{Handler: h}, EnableHTTP2: http2}
	h.Config.ErrorLog = log.New(io.Discard, "", 0)
	h.StartTLS()
	h.client = h.Server.Client().Transport.(*http.Transport)
	h.client.DialContext = h.dial
	return h
}

// dial hangs, or returns a connection to a server that never answers.
func (h *hang) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	first := h.dials.Add(1) == 1
	switch {
	case first && h.phase == "dial":
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(3 * timeout):
			return nil, net.ErrClosed
		}
	case first && h.phase == "TLS":
		client, server := newPipe()
		go func() {
			time.Sleep(3 * timeout)
			server.Close()
		}()
		return client, nil
	}
	return h.listener.dial()
}

func (h *hang) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	first := h.served.Add(1) == 1
	if first && h.phase == "headers" {
		time.Sleep(3 * timeout)
	}
	io.WriteString(w, "he")
	http.NewResponseController(w).Flush()
	if first && h.phase == "body" {
		time.Sleep(3 * timeout)
	}
	io.WriteString(w, "llo")
}

// A memo is a cache as a transport. It reads the whole body before it answers.
type memo struct{ *cache.Memo[string, []byte] }

func newMemo(base http.RoundTripper) memo {
	return memo{cache.Memoize(cache.Config[string, []byte]{Capacity: 10}, func(ctx context.Context, url string) ([]byte, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return nil, err
		}
		resp, err := base.RoundTrip(req)
		if err != nil {
			return nil, err
		}
		defer resp.Body.Close()
		return io.ReadAll(resp.Body)
	})}
}

func (m memo) RoundTrip(req *http.Request) (*http.Response, error) {
	body, err := m.Get(req.Context(), req.URL.String())
	if err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(bytes.NewReader(body)), Request: req}, nil
}

// stacks are the transports below the Transport that retries.
var stacks = []struct {
	name string
	make func(base http.RoundTripper, b *breaker.Breaker) http.RoundTripper
}{
	{"net/http", func(base http.RoundTripper, _ *breaker.Breaker) http.RoundTripper { return base }},
	{"Hedge", func(base http.RoundTripper, _ *breaker.Breaker) http.RoundTripper {
		return &retryhttp.Hedge{Base: base, Policy: retry.Hedge[*http.Response]{Delay: time.Hour}}
	}},
	{"breakerhttp", func(base http.RoundTripper, b *breaker.Breaker) http.RoundTripper {
		return &breakerhttp.Transport{Base: base, Gate: breakerhttp.One(b)}
	}},
	{"Hedge above breakerhttp", func(base http.RoundTripper, b *breaker.Breaker) http.RoundTripper {
		return &retryhttp.Hedge{
			Base:   &breakerhttp.Transport{Base: base, Gate: breakerhttp.One(b)},
			Policy: retry.Hedge[*http.Response]{Delay: time.Hour},
		}
	}},
	{"ratelimithttp", func(base http.RoundTripper, _ *breaker.Breaker) http.RoundTripper {
		return &ratelimithttp.Transport{Base: base, Limit: ratelimithttp.All(ratelimit.New(ratelimit.PerSecond(1000)))}
	}},
	{"cache", func(base http.RoundTripper, _ *breaker.Breaker) http.RoundTripper { return newMemo(base) }},
	{"cache above breakerhttp", func(base http.RoundTripper, b *breaker.Breaker) http.RoundTripper {
		return newMemo(&breakerhttp.Transport{Base: base, Gate: breakerhttp.One(b)})
	}},
}

// A cell is what is seen of a request.
type cell struct {
	Attempts int
	Blamed   string // for the failure of the first attempt, or of the body
	Body     string // as far as it was read
	Breaker  string // failures and successes
}

// want returns the cell of the table: who is blamed, who retries, and what a
// breaker counts.
func want(cached, guarded bool, phase, who string) cell {
	c := cell{Attempts: 1, Blamed: who, Breaker: "1 0"}
	switch {
	case phase == "body" && !cached && who == "attempt":
		// AttemptTimeout is over once the headers are there.
		c.Blamed, c.Body, c.Breaker = "", "hello", "0 1"
	case phase == "body" && !cached:
		c.Body = "he"
	case who == "attempt":
		c.Attempts, c.Body, c.Breaker = 2, "hello", "1 1"
	}
	if !guarded {
		c.Breaker = "0 0"
	}
	return c
}

// got makes a request and returns what is seen of it.
func got(h *hang, rt http.RoundTripper, b *breaker.Breaker, cached bool, who string) (cell, error) {
	var c cell
	tr := &retryhttp.Transport{Base: rt, Policy: retry.Policy{MaxAttempts: 2, Backoff: retry.Constant(0)}}
	failed := error(nil)
	tr.Policy.OnEvent = func(_ context.Context, e retry.Event) {
		if e.Err != nil && failed == nil {
			failed = e.Err
		}
		c.Attempts = max(c.Attempts, e.Attempt)
	}
	client := &http.Client{Transport: tr}
	ctx := context.Background()
	switch who {
	case "attempt":
		tr.Policy.AttemptTimeout = timeout
	case "caller":
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, timeout, errCaller)
		defer cancel()
	case "client":
		client.Timeout = timeout
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, h.URL, nil)
	if err != nil {
		return c, err
	}
	resp, err := client.Do(req)
	if err == nil {
		var body []byte
		body, err = io.ReadAll(resp.Body)
		c.Body = string(body)
		resp.Body.Close()
	}
	c.Attempts = max(c.Attempts, 1)
	if failed == nil || err != nil {
		failed = err
	}
	c.Blamed = blamed(failed, who)
	time.Sleep(3 * timeout) // hedges and loads end later than the call
	s := b.Stats()
	failures := s.Failures
	if cached {
		failures += s.Ignored // the cache cancels a load for which no caller waits
	}
	c.Breaker = fmt.Sprint(failures, s.Successes)
	return c, err
}

// blamed returns who ended an attempt that failed with err. Over HTTP/2 the
// error of a body does not match the cause of the caller's deadline.
func blamed(err error, who string) string {
	timed, ok := errors.AsType[interface {
		error
		Timeout() bool
	}](err)
	switch {
	case err == nil:
		return ""
	case errors.Is(err, retry.ErrAttemptTimeout):
		return "attempt"
	case who == "caller" && (errors.Is(err, errCaller) || err == context.DeadlineExceeded), who == "client" && ok && timed.Timeout():
		return who
	}
	return err.Error()
}

func TestWhoseTimeIsUp(t *testing.T) {
	for _, http2 := range []bool{false, true} {
		for _, stack := range stacks {
			for _, phase := range []string{"headers", "dial", "TLS", "body"} {
				for _, who := range []string{"attempt", "caller", "client"} {
					t.Run(fmt.Sprintf("HTTP2=%t/%s/%s/%s", http2, stack.name, phase, who), func(t *testing.T) {
						synctest.Test(t, func(t *testing.T) {
							h := newHang(phase, http2)
							b := breaker.New(breaker.Config{})
							cached, guarded := strings.HasPrefix(stack.name, "cache"), strings.HasSuffix(stack.name, "breakerhttp")
							got, err := got(h, stack.make(h.client, b), b, cached, who)
							if want := want(cached, guarded, phase, who); got != want {
								t.Errorf("error %v\ngot  %+v\nwant %+v", err, got, want)
							}
							h.client.CloseIdleConnections()
							h.Close()
						})
					})
				}
			}
		}
	}
}
