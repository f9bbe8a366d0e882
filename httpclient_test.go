package redoubt_test

import (
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redoubt-go/redoubt/breaker/breakerhttp"
	"github.com/redoubt-go/redoubt/ratelimit/ratelimithttp"
	"github.com/redoubt-go/redoubt/retry/retryhttp"
)

// The times of a storm.
const (
	outage   = 10 * time.Second
	recovery = 40 * time.Second
	end      = 60 * time.Second
	rate     = 80 // requests per second
)

// An upstream is a server without a network. It answers in 20 ms. Between
// outage and recovery it has a fault: it is slow for 3 requests in 100, it is
// down, or it hangs.
type upstream struct {
	mu    sync.Mutex
	start time.Time
	rng   *rand.Rand
	fault string          // from outage on, until recovery
	sent  []time.Duration // the arrivals of requests
}

func (u *upstream) RoundTrip(req *http.Request) (*http.Response, error) {
	u.mu.Lock()
	since := time.Since(u.start)
	u.sent = append(u.sent, since)
	draw := u.rng.IntN(100)
	u.mu.Unlock()
	status, d := http.StatusOK, 20*time.Millisecond
	fault := u.fault
	if since < outage || since >= recovery {
		fault = ""
	}
	switch fault {
	case "tail":
		if draw < 3 {
			d = time.Second
		}
	case "down":
		status, d = http.StatusServiceUnavailable, 5*time.Millisecond
	case "hang":
		d = time.Hour
	}
	select {
	case <-req.Context().Done():
		return nil, req.Context().Err()
	case <-time.After(d):
	}
	return &http.Response{
		StatusCode: status, Status: http.StatusText(status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{}, Body: io.NopCloser(strings.NewReader("")), Request: req,
	}, nil
}

// A figure describes the requests of a storm in a span of time.
type figure struct {
	asked, answered, sent int
	mean, p99             time.Duration
	most                  int // requests at the upstream in a second
}

// storm sends requests at an even rate, and returns the figures of the outage
// and of the last 15 seconds.
func storm(t *testing.T, fault string, wrap func(http.RoundTripper) *http.Client) (during, after figure) {
	t.Helper()
	type call struct {
		at, took time.Duration
		ok       bool
	}
	var (
		mu    sync.Mutex
		calls []call
		u     *upstream
	)
	synctest.Test(t, func(t *testing.T) {
		u = &upstream{start: time.Now(), rng: rand.New(rand.NewPCG(1, 2)), fault: fault}
		client := wrap(u)
		var wg sync.WaitGroup
		for range int(end.Seconds()) * rate {
			wg.Go(func() {
				at := time.Since(u.start)
				resp, err := client.Get("http://shop.example/price")
				ok := err == nil && resp.StatusCode == http.StatusOK
				if err == nil {
					resp.Body.Close()
				}
				mu.Lock()
				defer mu.Unlock()
				calls = append(calls, call{at, time.Since(u.start) - at, ok})
			})
			time.Sleep(time.Second / rate)
		}
		wg.Wait()
	})
	slices.Sort(u.sent)
	figures := func(from, to time.Duration) (f figure) {
		var took []time.Duration
		for _, c := range calls {
			if c.at >= from && c.at < to {
				f.asked++
				f.mean += c.took
				took = append(took, c.took)
				if c.ok {
					f.answered++
				}
			}
		}
		slices.Sort(took)
		f.mean /= time.Duration(max(1, f.asked))
		f.p99 = took[len(took)*99/100]
		for i, at := range u.sent {
			if at >= from && at < to {
				f.sent++
				j := i
				for j < len(u.sent) && u.sent[j] < at+time.Second {
					j++
				}
				f.most = max(f.most, j-i)
			}
		}
		return f
	}
	return figures(outage, recovery), figures(end-15*time.Second, end)
}

func (f figure) String() string {
	return fmt.Sprintf("%d of %d answered, %d sent, at most %d a second, mean %v, p99 %v", f.answered, f.asked, f.sent, f.most, f.mean.Round(time.Millisecond), f.p99.Round(time.Millisecond))
}

// parts takes the client of the example apart.
func parts(base http.RoundTripper) (c *http.Client, r *retryhttp.Transport, h *retryhttp.Hedge, b *breakerhttp.Transport, l *ratelimithttp.Transport) {
	c = newClient(base, slog.New(slog.DiscardHandler))
	r = c.Transport.(*retryhttp.Transport)
	h = r.Base.(*retryhttp.Hedge)
	b = h.Base.(*breakerhttp.Transport)
	return c, r, h, b, b.Base.(*ratelimithttp.Transport)
}

func rightOrder(base http.RoundTripper) *http.Client {
	return newClient(base, slog.New(slog.DiscardHandler))
}

// TestOrderOfAnHTTPClient sends a storm of requests through the client of the
// example, and through clients with the same guards in another order.
func TestOrderOfAnHTTPClient(t *testing.T) {
	right := map[string]figure{}
	for _, fault := range []string{"tail", "down", "hang"} {
		during, after := storm(t, fault, rightOrder)
		t.Logf("%s: %v", fault, during)
		right[fault] = during
		if after.answered != after.asked || after.p99 > 50*time.Millisecond {
			t.Errorf("%s: 5 s after the outage: %v, want that all are answered as before", fault, after)
		}
		if during.most > 200 { // a second and the burst
			t.Errorf("%s: %v, want at most 200 a second at the upstream", fault, during)
		}
	}
	if f := right["tail"]; f.answered != f.asked || f.p99 > 100*time.Millisecond || f.sent > f.asked*11/10 {
		t.Errorf("slow requests: %v, want a p99 below 100 ms for at most a tenth more requests", f)
	}
	if f := right["down"]; f.sent > f.asked/5 || f.mean > 50*time.Millisecond {
		t.Errorf("down: %v, want a fifth of the requests sent, and failures at once", f)
	}
	if f := right["hang"]; f.sent > f.asked/5 || f.p99 > 2500*time.Millisecond {
		t.Errorf("hang: %v, want a fifth of the requests sent, and failures after an AttemptTimeout", f)
	}

	for _, row := range []struct {
		name  string
		fault string
		order func(http.RoundTripper) *http.Client
		worse func(wrong, right figure) bool
	}{
		{"without a hedge, slow requests stay slow", "tail", func(base http.RoundTripper) *http.Client {
			c, r, _, b, _ := parts(base)
			r.Base = b
			return c
		}, func(wrong, right figure) bool { return wrong.p99 > 10*right.p99 }},
		{"a breaker outside the retry sees failures late: more requests to a server that hangs, longer waits", "hang", func(base http.RoundTripper) *http.Client {
			c, r, h, b, l := parts(base)
			c.Transport, b.Base, h.Base = b, r, l
			return c
		}, func(wrong, right figure) bool { return wrong.sent > right.sent && wrong.p99 > right.p99*3/2 }},
		{"a limit outside the retry does not count the attempts", "down", func(base http.RoundTripper) *http.Client {
			c, r, _, b, l := parts(base)
			c.Transport, l.Base, b.Base = l, r, base
			return c
		}, func(wrong, _ figure) bool { return wrong.most > 220 }},
		{"a limit outside the breaker makes callers wait for calls that are refused", "hang", func(base http.RoundTripper) *http.Client {
			c, _, h, b, l := parts(base)
			h.Base, l.Base, b.Base = l, b, base
			return c
		}, func(wrong, right figure) bool { return wrong.mean > 4*right.mean }},
	} {
		during, _ := storm(t, row.fault, row.order)
		t.Logf("%s: %v", row.name, during)
		if !row.worse(during, right[row.fault]) {
			t.Errorf("%s: got %v, with the right order %v", row.name, during, right[row.fault])
		}
	}
}
