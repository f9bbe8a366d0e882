package ratelimithttp

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redoubt-go/redoubt/ratelimit"
)

// A Transport is an http.RoundTripper that asks no more of a server than it wants. After a response with status 429 or
// 503 and Retry-After, or one whose RateLimit says that nothing is left, it sends nothing to that host until then:
// requests wait. It repeats none. It may be used by several goroutines at the same time, if Base may, and must not be
// copied or changed once used.
type Transport struct {
	// Base sends the requests. Default http.DefaultTransport.
	Base http.RoundTripper
	// Limit returns what a request waits for before it is sent, such as a ratelimit.Limiter; nil for nothing. Default
	// none.
	Limit func(*http.Request) ratelimit.Waiter
	// MaxWait is how long a request waits for its host at most; if it would be longer, it fails at once. Default one
	// minute; negative means not at all.
	MaxWait time.Duration

	mu    sync.Mutex
	hosts map[string]pause
}

var _ http.RoundTripper = (*Transport)(nil)

// A pause is what a host asked for.
type pause struct {
	until time.Time
	limit ratelimit.Limit // as far as it said
}

// maxHosts bounds the hosts remembered, and maxPause how long.
const (
	maxHosts = 1024
	maxPause = 24 * time.Hour
)

// RoundTrip sends req by Base when its host and Limit allow. For a request that would wait longer than MaxWait or its
// deadline, the error is a *ratelimit.LimitedError; when its context is done, it matches ctx.Err and [context.Cause].
// Other errors are those of Limit and Base. The body of a request that is not sent is closed.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := t.wait(req); err != nil {
		if req.Body != nil {
			req.Body.Close()
		}
		return nil, err
	}
	resp, err := t.base().RoundTrip(req)
	if err == nil {
		t.obey(hostOf(req), resp)
	}
	return resp, err
}

func (t *Transport) wait(req *http.Request) error {
	ctx, host := req.Context(), hostOf(req)
	if t.Limit != nil {
		if w := t.Limit(req); w != nil {
			if err := w.Wait(ctx); err != nil {
				return err
			}
		}
	}
	most := t.MaxWait
	if most == 0 {
		most = time.Minute
	}
	for {
		if ctx.Err() != nil {
			return cancelled(ctx)
		}
		p := t.pause(host)
		left := time.Until(p.until)
		if left <= 0 {
			return nil
		}
		deadline, bounded := ctx.Deadline()
		late := bounded && time.Until(deadline) <= left
		if late || left > most {
			return &ratelimit.LimitedError{Decision: ratelimit.Decision{N: 1, Limit: p.limit, RetryAfter: left}, Late: late}
		}
		timer := time.NewTimer(left)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return cancelled(ctx)
		}
	}
}

func (t *Transport) pause(host string) pause {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.hosts[host]
}

// obey remembers until when a host wants nothing.
func (t *Transport) obey(host string, resp *http.Response) {
	d, limit := time.Duration(0), ratelimit.PerSecond(1)
	if resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode == http.StatusServiceUnavailable {
		d = retryAfter(resp.Header)
	}
	quotas, _ := ParseRateLimit(resp.Header) // what cannot be read says nothing
	for _, q := range quotas {
		if q.Remaining == 0 && q.Reset > d {
			d = q.Reset
			if q.Limit > 0 && q.Window > 0 {
				limit = ratelimit.Per(q.Limit, q.Window)
			}
		}
	}
	if d <= 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	if t.hosts == nil {
		t.hosts = make(map[string]pause)
	}
	if _, known := t.hosts[host]; !known && len(t.hosts) >= maxHosts {
		t.forget(now)
	}
	if until := now.Add(min(d, maxPause)); until.After(t.hosts[host].until) {
		t.hosts[host] = pause{until, limit}
	}
}

// forget drops the pauses that are over, and if there are none, the one that is over first.
func (t *Transport) forget(now time.Time) {
	var first string
	for host, p := range t.hosts {
		if !p.until.After(now) {
			delete(t.hosts, host)
		} else if first == "" || p.until.Before(t.hosts[first].until) {
			first = host
		}
	}
	if len(t.hosts) >= maxHosts {
		delete(t.hosts, first)
	}
}

// CloseIdleConnections passes the call on to Base, for http.Client.CloseIdleConnections.
func (t *Transport) CloseIdleConnections() {
	if c, ok := t.base().(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

func (t *Transport) base() http.RoundTripper {
	if t.Base != nil {
		return t.Base
	}
	return http.DefaultTransport
}

// hostOf returns the host with its port. Hosts longer than 255 bytes, which no server has, share one entry.
func hostOf(req *http.Request) string {
	if req.URL == nil || len(req.URL.Host) > 255 {
		return ""
	}
	return strings.ToLower(req.URL.Host)
}

// retryAfter reads the field of RFC 9110, section 10.2.3: a number of seconds or a date.
func retryAfter(h http.Header) time.Duration {
	v := h.Get("Retry-After")
	if n, err := strconv.ParseUint(v, 10, 63); err == nil {
		return duration(int64(n))
	}
	if at, err := http.ParseTime(v); err == nil {
		return max(0, time.Until(at))
	}
	return 0
}

// cancelled returns the error of a wait that ctx ended.
func cancelled(ctx context.Context) error {
	err := ctx.Err()
	if cause := context.Cause(ctx); !errors.Is(err, cause) {
		return fmt.Errorf("ratelimithttp: wait: %w: %w", err, cause)
	}
	return fmt.Errorf("ratelimithttp: wait: %w", err)
}
