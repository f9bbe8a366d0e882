package ratelimithttp

import (
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/redoubt-go/redoubt/internal/ctxerr"
	"github.com/redoubt-go/redoubt/internal/retryafter"
	"github.com/redoubt-go/redoubt/ratelimit"
)

// A Transport is an http.RoundTripper that obeys the rate limits that a server
// announces. After a response with status 429 or 503 and Retry-After, or with a
// RateLimit field that has nothing left, requests to the same host wait. A
// Transport never retries a request. It may be used concurrently if Base may,
// and must not be copied or changed after first use.
type Transport struct {
	// Base sends the requests. Nil means [http.DefaultTransport].
	Base http.RoundTripper
	// Limit returns the Waiter that a request waits for before it is sent, or
	// nil. Nil means no limit. See [All].
	Limit func(*http.Request) ratelimit.Waiter
	// MaxWait bounds each pause of a host that a request waits for. A request
	// that would wait longer fails immediately. Zero means 1 minute. Negative
	// means that requests do not wait.
	MaxWait time.Duration

	mu    sync.Mutex
	hosts map[string]pause
}

var _ http.RoundTripper = (*Transport)(nil)

// All returns a function for Transport.Limit by which all requests wait for w.
// It panics if w is nil, which would mean no limit.
func All(w ratelimit.Waiter) func(*http.Request) ratelimit.Waiter {
	if w == nil {
		panic(errors.New("ratelimithttp: the Waiter of All is missing"))
	}
	return func(*http.Request) ratelimit.Waiter { return w }
}

// A pause is the request of a host to send nothing.
type pause struct {
	until time.Time
	limit ratelimit.Limit // that the host announced
}

// maxHosts bounds the number of remembered pauses, and maxPause their length.
const (
	maxHosts = 1024
	maxPause = 24 * time.Hour
)

// RoundTrip sends req by Base when its host and Limit allow. It closes the body
// of a request that it does not send.
//
// Errors: if req would wait longer than MaxWait or its deadline, the error is a
// *[ratelimit.LimitedError]. If the context of req ends first, the error
// matches its Err and its [context.Cause]. Other errors come from Limit and
// Base.
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
			return ctxerr.New(ctx, "ratelimithttp: wait")
		}
		p := t.pause(host)
		left := time.Until(p.until)
		if left <= 0 {
			return nil
		}
		deadline, bounded := ctx.Deadline()
		late := bounded && time.Until(deadline) <= left
		if late || left > most {
			d := ratelimit.Decision{N: 1, Limit: p.limit, Retryable: true, RetryAfter: left}
			return &ratelimit.LimitedError{Decision: d, Late: late}
		}
		timer := time.NewTimer(left)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctxerr.New(ctx, "ratelimithttp: wait")
		}
	}
}

func (t *Transport) pause(host string) pause {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.hosts[host]
}

// obey remembers the pause that a response asks for.
func (t *Transport) obey(host string, resp *http.Response) {
	d, limit := time.Duration(0), ratelimit.PerSecond(1)
	if resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode == http.StatusServiceUnavailable {
		d, _ = retryafter.Parse(resp.Header, time.Now())
	}
	quotas, _ := ParseRateLimit(resp.Header) // a malformed field asks for nothing
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

// forget removes the pauses that are over. If there are none, it removes the
// pause that ends first.
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

// CloseIdleConnections calls the method of Base, if any. It is called by
// [http.Client.CloseIdleConnections].
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

// hostOf returns the host of a request with its port. Hosts longer than 255
// bytes, which cannot exist, share an entry.
func hostOf(req *http.Request) string {
	if req.URL == nil || len(req.URL.Host) > 255 {
		return ""
	}
	return strings.ToLower(req.URL.Host)
}
