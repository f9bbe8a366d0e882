package ratelimithttp_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redoubt-go/redoubt/ratelimit"
	"github.com/redoubt-go/redoubt/ratelimit/ratelimithttp"
)

// answers returns an http.RoundTripper that gives the answers of reply, with
// its n-th call counted from 0.
func answers(reply func(n int) (status int, header http.Header)) roundTrip {
	var mu sync.Mutex
	n := 0
	return func(*http.Request) (*http.Response, error) {
		mu.Lock()
		defer mu.Unlock()
		status, header := reply(n)
		n++
		if header == nil {
			header = http.Header{}
		}
		return &http.Response{StatusCode: status, Header: header, Body: http.NoBody}, nil
	}
}

func send(rt http.RoundTripper, url string) error {
	_, err := rt.RoundTrip(httptest.NewRequest(http.MethodGet, url, nil))
	return err
}

// draft-ietf-httpapi-ratelimit-headers-10, section 7: Retry-After MUST take
// precedence over t.
func TestRetryAfterTakesPrecedence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt := &ratelimithttp.Transport{Base: answers(func(n int) (int, http.Header) {
			if n == 0 {
				return 429, http.Header{"Retry-After": {"5"}, "Ratelimit": {`"a";r=0;t=40`}}
			}
			return 200, nil
		})}
		_ = send(rt, "http://a.example")
		start := time.Now()
		if err := send(rt, "http://a.example"); err != nil || time.Since(start) != 5*time.Second {
			t.Errorf("sent after %v, %v, want 5s", time.Since(start), err)
		}
	})
}

// Responses in flight that renew the pause do not prolong a wait beyond
// MaxWait.
func TestMaxWaitBoundsTheWholeWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n atomic.Int64
		rt := &ratelimithttp.Transport{MaxWait: 10 * time.Second, Base: roundTrip(func(*http.Request) (*http.Response, error) {
			if i := n.Add(1) - 1; i <= 20 {
				time.Sleep(time.Duration(i) * 4 * time.Second)
			}
			return &http.Response{StatusCode: 429, Header: http.Header{"Retry-After": {"8"}}, Body: http.NoBody}, nil
		})}
		_ = send(rt, "http://a.example")
		time.Sleep(8 * time.Second)
		for range 20 {
			go func() { _ = send(rt, "http://a.example") }()
		}
		time.Sleep(9 * time.Second)
		for range 3 { // the first in the queue, and others
			start := time.Now()
			err := send(rt, "http://a.example")
			if waited := time.Since(start); waited > 10*time.Second || waited == 0 || !errors.Is(err, ratelimit.ErrLimited) {
				t.Errorf("waited %v, %v, want at most 10s and a refusal", waited, err)
			}
		}
		time.Sleep(time.Hour)
	})
}

// A request that is refused because of a pause takes no event of Limit.
func TestLimitIsAskedLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lim := ratelimit.New(ratelimit.PerHour(10))
		rt := &ratelimithttp.Transport{
			Limit: ratelimithttp.All(lim), MaxWait: time.Second,
			Base: answers(func(int) (int, http.Header) { return 429, http.Header{"Retry-After": {"60"}} }),
		}
		for range 10 {
			_ = send(rt, "http://a.example")
		}
		if got := lim.Tokens(); got < 9 {
			t.Errorf("%v events are left, want 9: one request was sent", got)
		}
	})
}

// The requests that waited for the end of a pause are not sent at once.
func TestResumptionIsSpread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at := map[time.Time]int{}
		var mu sync.Mutex
		first := true
		rt := &ratelimithttp.Transport{Base: roundTrip(func(*http.Request) (*http.Response, error) {
			mu.Lock()
			defer mu.Unlock()
			if first {
				first = false
				return &http.Response{StatusCode: 429, Header: http.Header{"Retry-After": {"5"}}, Body: http.NoBody}, nil
			}
			at[time.Now()]++
			return &http.Response{StatusCode: 200, Header: http.Header{}, Body: http.NoBody}, nil
		})}
		_ = send(rt, "http://a.example")
		start := time.Now()
		var wg sync.WaitGroup
		for range 500 {
			wg.Go(func() {
				if err := send(rt, "http://a.example"); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		most := 0
		for _, n := range at {
			most = max(most, n)
		}
		if most > 5 || time.Since(start) > 15*time.Second {
			t.Errorf("%d requests were sent in the same instant, all within %v, want at most 5 and 15s", most, time.Since(start))
		}
	})
}

// The port of a scheme is part of its hosts, written or not.
func TestHostsWithPorts(t *testing.T) {
	for _, tt := range []struct {
		one, other string
		same       bool
	}{
		{"https://a.example", "https://A.example:443/x", true},
		{"http://a.example:80", "http://a.example.", true},
		{"https://[::1]:443", "https://[::1]", true},
		{"http://a.example:443", "http://a.example", false},
		{"https://a.example:8443", "https://a.example", false},
		{"http://a.example:80", "https://a.example:443", true},
	} {
		rt := &ratelimithttp.Transport{MaxWait: -1, Base: answers(func(int) (int, http.Header) { return 429, http.Header{"Retry-After": {"60"}} })}
		_ = send(rt, tt.one)
		if err := send(rt, tt.other); errors.Is(err, ratelimit.ErrLimited) != tt.same {
			t.Errorf("%s after a pause of %s: %v", tt.other, tt.one, err)
		}
	}
}

// roundTrip is an http.RoundTripper.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestTransportObeys(t *testing.T) {
	tests := []struct {
		name   string
		status int
		header http.Header
		wait   time.Duration
	}{
		{"nothing said", 429, nil, time.Second},
		{"forbidden", 403, nil, 0},
		{"forbidden for some time", 403, http.Header{"Retry-After": {"7"}}, 7 * time.Second},
		{"forbidden, nothing left", 403, http.Header{"Ratelimit": {`"a";r=0;t=5`}}, 5 * time.Second},
		{"GitHub", 403, http.Header{"X-Ratelimit-Remaining": {"0"}, "X-Ratelimit-Reset": {"946684860"}}, time.Minute},
		{"overloaded", 529, http.Header{"Retry-After": {"7"}}, 7 * time.Second},
		{"unavailable, nothing said", 503, nil, 0},
		{"from a cache", 200, http.Header{"Ratelimit": {`"a";r=0;t=5`}, "Age": {"1"}}, 0},
		{"a token bucket", 200, http.Header{"Ratelimit": {`"a";r=0;t=1;redoubt-burst=1`}, "Ratelimit-Policy": {`"a";q=10;w=1`}}, 103125 * time.Microsecond},
		{"a quota of tokens", 200, http.Header{"Ratelimit": {`"a";r=0;t=5`}, "Ratelimit-Policy": {`"a";q=10;w=60;qu="tokens"`}}, 5 * time.Second},
		{"the last of many", 200, http.Header{"Ratelimit": {`"a";r=1;t=60`}, "Ratelimit-Policy": {`"a";q=100;w=60`}}, 58800 * time.Millisecond},
		{"endless", 200, http.Header{"Ratelimit": {`"a";r=0;t=999999999999999`}}, 24 * time.Hour},
		{"retry after", 429, http.Header{"Retry-After": {"7"}}, 7 * time.Second},
		{"unavailable", 503, http.Header{"Retry-After": {"7"}}, 7 * time.Second},
		{"a date", 429, http.Header{"Retry-After": {"Sat, 01 Jan 2000 00:00:09 GMT"}}, 9 * time.Second},
		{"a date in the past", 429, http.Header{"Retry-After": {"Sat, 01 Jan 1999 00:00:09 GMT"}}, 0},
		{"a redirect", 301, http.Header{"Retry-After": {"7"}}, 0},
		{"nothing left", 200, http.Header{"Ratelimit": {`"a";r=0;t=5, "b";r=0;t=3`}}, 5 * time.Second},
		{"some left", 200, http.Header{"Ratelimit": {`"a";r=1;t=5`}}, 0},
		{"hostile", 429, http.Header{"Retry-After": {"-1"}, "Ratelimit": {`"a;r=0`}}, time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				first := true
				rt := &ratelimithttp.Transport{MaxWait: 48 * time.Hour, Base: roundTrip(func(*http.Request) (*http.Response, error) {
					resp := &http.Response{StatusCode: 200, Header: http.Header{}}
					if first {
						resp.StatusCode, resp.Header, first = tt.status, tt.header, false
					}
					return resp, nil
				})}
				_ = send(rt, "http://a.example")
				start := time.Now()
				_ = send(rt, "http://b.example")
				if time.Since(start) != 0 {
					t.Error("another host waits as well")
				}
				if _ = send(rt, "http://A.example"); time.Since(start) != tt.wait {
					t.Errorf("waited %v, want %v", time.Since(start), tt.wait)
				}
			})
		})
	}
}

// A missing Waiter must not mean no limit.
func TestAllNeedsAWaiter(t *testing.T) {
	defer func() {
		if got := fmt.Sprint(recover()); got != "ratelimithttp: the Waiter of All is missing" {
			t.Errorf("All(nil) panics with %s", got)
		}
	}()
	ratelimithttp.All(nil)
}

func TestTransportRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt := &ratelimithttp.Transport{MaxWait: -1, Base: roundTrip(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 429, Header: http.Header{"Retry-After": {"99999999999"}}}, nil
		})}
		req := httptest.NewRequest(http.MethodGet, "http://a.example", nil)
		_, _ = rt.RoundTrip(req)
		_, err := rt.RoundTrip(req)
		var limited *ratelimit.LimitedError
		if !errors.As(err, &limited) || limited.RetryAfter() != 24*time.Hour || !limited.Rejected() {
			t.Errorf("got %v, want a refusal for the longest time, 24h", err)
		}
		rt.MaxWait = 48 * time.Hour
		for _, after := range []time.Duration{0, time.Minute} {
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(after, cancel)
			if _, err := rt.RoundTrip(req.WithContext(ctx)); !errors.Is(err, context.Canceled) {
				t.Errorf("cancelled after %v: %v", after, err)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := rt.RoundTrip(req.WithContext(ctx)); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, ratelimit.ErrLimited) {
			t.Errorf("with a near deadline: %v", err)
		}
		lim := ratelimit.New(ratelimit.PerHour(1).WithBurst(ratelimit.NoBurst))
		rt.Limit = ratelimithttp.All(ratelimit.Reject(lim))
		if _, err := rt.RoundTrip(req); !errors.Is(err, ratelimit.ErrTooLarge) {
			t.Errorf("with Limit: %v", err)
		}
		rt.Limit = nil
		for i := range 3000 { // hosts are bounded; nothing to see but that it goes on
			_, _ = rt.RoundTrip(httptest.NewRequest(http.MethodGet, fmt.Sprintf("http://h%d.example", i), nil))
		}
	})
	new(ratelimithttp.Transport).CloseIdleConnections()
}

// Refusals without Retry-After double the pause, up to a minute; a success
// ends that.
func TestRefusalsWithoutRetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt := &ratelimithttp.Transport{Base: answers(func(n int) (int, http.Header) {
			if n == 8 {
				return 200, nil
			}
			return 429, nil
		})}
		var waits []time.Duration
		for last, i := time.Now(), 0; i < 12; i++ {
			_ = send(rt, "http://a.example")
			waits = append(waits, time.Since(last)/time.Second)
			last = time.Now()
		}
		checkEqual(t, waits, []time.Duration{0, 1, 2, 4, 8, 16, 32, 60, 60, 0, 1, 2})
	})
}

// Requests are spaced when less than half of a quota is left, so that the rest
// lasts until the reset.
func TestQuotaLastsUntilItsReset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit = 100
		start, used, refused := time.Now(), 0, 0
		rt := &ratelimithttp.Transport{Base: answers(func(int) (int, http.Header) {
			if time.Since(start) >= time.Minute {
				start, used = time.Now(), 0
			}
			reset := int(time.Until(start.Add(time.Minute)) / time.Second)
			if used == limit {
				refused++
				return 429, http.Header{"X-Ratelimit-Remaining": {"0"}, "X-Ratelimit-Reset": {fmt.Sprint(reset + 1)}}
			}
			used++
			return 200, http.Header{
				"X-Ratelimit-Limit": {fmt.Sprint(limit)}, "X-Ratelimit-Remaining": {fmt.Sprint(limit - used)}, "X-Ratelimit-Reset": {fmt.Sprint(reset + 1)},
			}
		})}
		var longest time.Duration
		end, sent := time.Now().Add(10*time.Minute), 0
		for time.Now().Before(end) {
			before := time.Now()
			if err := send(rt, "http://a.example"); err != nil {
				t.Fatal(err)
			}
			longest = max(longest, time.Since(before))
			sent++
		}
		if sent < 970 || refused > 0 || longest > 5*time.Second {
			t.Errorf("%d requests in 10 minutes, %d refused, the longest wait %v, want about 1000, 0 and a few seconds", sent, refused, longest)
		}
	})
}

// Other requests wait for the response to the first, but not long.
func TestFirstRequestGoesAlone(t *testing.T) {
	for _, tt := range []struct{ takes, want time.Duration }{
		{100 * time.Millisecond, 100 * time.Millisecond}, {time.Hour, time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			start, first := time.Now(), true
			rt := &ratelimithttp.Transport{Base: roundTrip(func(*http.Request) (*http.Response, error) {
				if first {
					first = false
					time.Sleep(tt.takes)
				}
				return nil, errors.New("down")
			})}
			go func() { _ = send(rt, "http://a.example") }()
			synctest.Wait()
			_ = send(rt, "http://a.example")
			if got := time.Since(start); got != tt.want {
				t.Errorf("the first request takes %v: the second is sent after %v, want %v", tt.takes, got, tt.want)
			}
			start = time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second/2)
			defer cancel()
			_, err := rt.RoundTrip(httptest.NewRequestWithContext(ctx, http.MethodGet, "http://a.example", nil))
			if err.Error() != "down" || time.Since(start) != 0 {
				t.Errorf("a request with a deadline: %v after %v", err, time.Since(start))
			}
			time.Sleep(2 * time.Hour)
		})
	}
}

// MaxWait bounds the wait for Limit, without the look of a deadline.
func TestMaxWaitBoundsLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lim := ratelimit.New(ratelimit.PerHour(1))
		rt := &ratelimithttp.Transport{Limit: ratelimithttp.All(lim), MaxWait: time.Minute, Base: answers(func(int) (int, http.Header) { return 200, nil })}
		if err := send(rt, "http://a.example"); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		err := send(rt, "http://a.example")
		if !errors.Is(err, ratelimit.ErrLimited) || errors.Is(err, context.DeadlineExceeded) || time.Since(start) > 0 {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := rt.RoundTrip(httptest.NewRequestWithContext(ctx, http.MethodGet, "http://a.example", nil)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("with a deadline: %v", err)
		}
		rt.Limit = ratelimithttp.All(waiter(func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }))
		if err := send(rt, "http://a.example"); !errors.Is(err, ratelimit.ErrLimited) || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a Waiter that waits: %v", err)
		}
		rt.MaxWait = -1
		rt.Limit = ratelimithttp.All(lim)
		if err := send(rt, "http://a.example"); err != nil || time.Since(start) < time.Hour-time.Minute {
			t.Errorf("with a negative MaxWait: %v after %v", err, time.Since(start))
		}
	})
}

// A waiter is a ratelimit.Waiter.
type waiter func(context.Context) error

func (w waiter) Wait(ctx context.Context) error { return w(ctx) }

// Waiting requests are sent in the order of their calls, and one that gives up
// leaves no gap.
func TestOrderOfWaitingRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var order []string
		rt := &ratelimithttp.Transport{Base: roundTrip(func(r *http.Request) (*http.Response, error) {
			mu.Lock()
			defer mu.Unlock()
			order = append(order, r.URL.Path)
			h := http.Header{}
			if len(order) == 1 {
				h = http.Header{"Ratelimit": {`"a";r=0;t=5`}}
			}
			return &http.Response{StatusCode: 200, Header: h, Body: http.NoBody}, nil
		})}
		_ = send(rt, "http://a.example/first")
		for i := range 6 {
			ctx, cancel := context.WithCancel(t.Context())
			go func() {
				req := httptest.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://a.example/%d", i), nil)
				if _, err := rt.RoundTrip(req); (err != nil) != (i%3 == 0) {
					t.Errorf("request %d: %v", i, err)
				}
			}()
			synctest.Wait()
			if i%3 == 0 {
				time.AfterFunc(time.Second, cancel)
			} else {
				defer cancel()
			}
		}
		time.Sleep(time.Minute)
		mu.Lock()
		defer mu.Unlock()
		checkEqual(t, order, []string{"/first", "/1", "/2", "/4", "/5"})
	})
}

// Requests that fail do not use up the copy of a quota.
func TestFailedRequestsDoNotCount(t *testing.T) {
	for name, fields := range map[string]http.Header{
		"token bucket": {"Ratelimit": {`"a";r=4;t=1;redoubt-burst=5`}, "Ratelimit-Policy": {`"a";q=5;w=5`}},
		"quota":        {"Ratelimit": {`"a";r=4;t=60`}},
	} {
		synctest.Test(t, func(t *testing.T) {
			n := 0
			rt := &ratelimithttp.Transport{MaxWait: -1, Base: roundTrip(func(*http.Request) (*http.Response, error) {
				if n++; n == 1 {
					return &http.Response{StatusCode: 200, Header: fields, Body: http.NoBody}, nil
				}
				return nil, errors.New("down")
			})}
			for range 100 {
				if err := send(rt, "http://a.example"); errors.Is(err, ratelimit.ErrLimited) {
					t.Fatalf("%s: request %d: %v", name, n, err)
				}
			}
		})
	}
}

// Many hosts, quotas and clients at once, with the race detector.
func TestTransportConcurrently(t *testing.T) {
	rt := &ratelimithttp.Transport{MaxWait: 10 * time.Millisecond, Base: roundTrip(func(r *http.Request) (*http.Response, error) {
		h := http.Header{"Ratelimit": {fmt.Sprintf(`"%s";r=%d;t=1;redoubt-burst=5`, r.URL.Path, len(r.URL.Path)%3)}, "Ratelimit-Policy": {`"/a";q=1000;w=1`}}
		return &http.Response{StatusCode: 200 + 229*(len(r.URL.Path)%2), Header: h, Body: http.NoBody}, nil
	})}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 300 {
				_ = send(rt, fmt.Sprintf("http://h%d.example/%x", j%3+j*(i%2)*10, j))
			}
		})
	}
	wg.Wait()
}

// Refusals of requests that were in progress together count once.
func TestRefusalsTogetherCountOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reply := answers(func(n int) (int, http.Header) { return 200 + 229*min(n, 1), nil })
		rt := &ratelimithttp.Transport{Base: roundTrip(func(r *http.Request) (*http.Response, error) {
			resp, err := reply(r)
			time.Sleep(100 * time.Millisecond)
			return resp, err
		})}
		_ = send(rt, "http://a.example")
		for range 5 {
			go func() { _ = send(rt, "http://a.example") }()
		}
		time.Sleep(100 * time.Millisecond)
		synctest.Wait()
		start := time.Now()
		if _ = send(rt, "http://a.example"); time.Since(start) != 1100*time.Millisecond {
			t.Errorf("waited %v, want 1s and the time of the request", time.Since(start))
		}
	})
}

// A request that would wait too long behind others fails immediately.
func TestQueueCountsForMaxWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fields := http.Header{"Ratelimit": {`"a";r=0;t=1;redoubt-burst=1`}, "Ratelimit-Policy": {`"a";q=1;w=1`}}
		rt := &ratelimithttp.Transport{MaxWait: 5 * time.Second, Base: answers(func(int) (int, http.Header) { return 200, fields })}
		_ = send(rt, "http://a.example")
		start := time.Now()
		var mu sync.Mutex
		sent, refused := 0, 0
		for range 20 {
			go func() {
				err := send(rt, "http://a.example")
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					sent++
				} else if refused++; time.Since(start) > 0 {
					t.Errorf("refused after %v: %v", time.Since(start), err)
				}
			}()
		}
		time.Sleep(time.Minute)
		mu.Lock()
		defer mu.Unlock()
		if sent != 4 || refused != 16 {
			t.Errorf("%d sent and %d refused, want 4 and 16", sent, refused)
		}
	})
}

// Requests in progress are taken off a quota, and older responses change
// nothing.
func TestRequestsInProgress(t *testing.T) {
	type answer struct {
		takes time.Duration
		left  int
	}
	for _, tt := range []struct {
		name    string
		answers []answer // of two requests at the same time, and of a third
		want    time.Duration
	}{
		{"the second is in progress", []answer{{time.Second, 1}, {10 * time.Second, 1}, {0, 0}}, 10 * time.Second},
		{"the second is answered first", []answer{{10 * time.Second, 5}, {time.Second, 0}, {0, 0}}, 61 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			n := -2
			rt := &ratelimithttp.Transport{MaxWait: time.Hour, Base: roundTrip(func(*http.Request) (*http.Response, error) {
				n++
				if n < 0 { // so that the host is known
					return &http.Response{StatusCode: 200, Header: http.Header{}, Body: http.NoBody}, nil
				}
				a := tt.answers[n]
				time.Sleep(a.takes)
				h := http.Header{"Ratelimit": {fmt.Sprintf(`"a";r=%d;t=60`, a.left)}}
				return &http.Response{StatusCode: 200, Header: h, Body: http.NoBody}, nil
			})}
			_ = send(rt, "http://a.example")
			start := time.Now()
			for range 2 { // one after the other, by synctest.Wait
				go func() { _ = send(rt, "http://a.example") }()
				synctest.Wait()
			}
			time.Sleep(2 * time.Second)
			if _ = send(rt, "http://a.example"); time.Since(start) != tt.want {
				t.Errorf("%s: the third was sent after %v, want %v", tt.name, time.Since(start), tt.want)
			}
		})
	}
}

// If other clients use a token bucket too, the copy follows the responses.
func TestOtherClients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		left := []string{"4", "0", "0"}
		rt := &ratelimithttp.Transport{Base: answers(func(n int) (int, http.Header) {
			return 200, http.Header{"Ratelimit": {`"a";r=` + left[n] + `;t=1;redoubt-burst=5`}, "Ratelimit-Policy": {`"a";q=60;w=60`}}
		})}
		for i, want := range []time.Duration{0, 0, time.Second} {
			start := time.Now()
			_ = send(rt, "http://a.example")
			if waited := time.Since(start).Round(100 * time.Millisecond); waited != want {
				t.Errorf("request %d waited %v, want %v", i, waited, want)
			}
		}
	})
}

// After an hour's pause, the second request need not wait long either.
func TestLongPausesDoNotSlowDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt := &ratelimithttp.Transport{MaxWait: 2 * time.Hour, Base: answers(func(n int) (int, http.Header) {
			if n == 0 {
				return 429, http.Header{"Retry-After": {"3600"}}
			}
			return 200, nil
		})}
		start := time.Now()
		for range 12 {
			_ = send(rt, "http://a.example")
		}
		if got := time.Since(start); got > time.Hour+2*time.Second {
			t.Errorf("11 requests after a pause of an hour took %v", got-time.Hour)
		}
	})
}

// A panic below the Transport leaves no request in progress.
func TestPanicsBelow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		rt := &ratelimithttp.Transport{MaxWait: -1, Base: roundTrip(func(*http.Request) (*http.Response, error) {
			if n++; n%2 == 0 {
				panic("below")
			}
			return &http.Response{StatusCode: 200, Header: http.Header{"Ratelimit": {`"a";r=1;t=60`}}, Body: http.NoBody}, nil
		})}
		for range 10 {
			func() {
				defer func() { _ = recover() }()
				if err := send(rt, "http://a.example"); err != nil {
					t.Errorf("request %d: %v", n, err)
				}
			}()
		}
	})
}
