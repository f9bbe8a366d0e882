package ratelimithttp

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/redoubt-go/redoubt/internal/ctxerr"
	"github.com/redoubt-go/redoubt/internal/errtree"
	"github.com/redoubt-go/redoubt/ratelimit"
)

// A Transport is an http.RoundTripper that obeys the rate limits that a server
// announces. It never retries a request. The requests to a host wait
//
//   - after a refusal, for the time in Retry-After. A refusal is status 429, or
//     status 403, 503 or 529 with Retry-After.
//   - after status 429 without Retry-After, for 1 second. The time doubles with
//     each further refusal, up to 1 minute.
//   - while a quota has nothing left. A 403 with such a quota is a refusal. If
//     less than half of a quota is left, requests are spaced, so that the rest
//     lasts until the reset.
//   - for the next event of a token bucket, which [Middleware] announces.
//   - for the response to the first request to the host, at most 1 second.
//
// Waiting requests are sent in the order of their calls. After a pause they are
// sent slowly at first, and then faster. A Transport may be used concurrently
// if Base may, and must not be copied or changed after first use. If the limits
// of a server depend on the user, use a Transport for each user.
type Transport struct {
	// Base sends the requests. Nil means [http.DefaultTransport].
	Base http.RoundTripper
	// Limit returns the Waiter that a request waits for last, when its host
	// accepts it, or nil. Nil means no limit. See [All].
	Limit func(*http.Request) ratelimit.Waiter
	// MaxWait bounds the whole wait of a request. A request that would wait
	// longer fails, immediately if that is known. Zero means 1 minute. Negative
	// means that requests do not wait for their host, and that only their
	// context bounds the wait for Limit.
	MaxWait time.Duration
	// Quotas returns the quotas that a response announces. An error counts as
	// no quotas. Nil means [ParseAny].
	Quotas func(http.Header) ([]Quota, error)

	mu    sync.Mutex
	hosts map[string]*host
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

// maxHosts bounds the number of remembered hosts, and maxPause the length of a
// pause.
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
	h := t.host(hostOf(req))
	sent, err := t.wait(req, h)
	if err != nil {
		if req.Body != nil {
			req.Body.Close()
		}
		return nil, err
	}
	answered := false
	defer func() { // also if Base or Quotas panics
		if !answered {
			h.failed()
		}
	}()
	resp, err := t.base().RoundTrip(req)
	if err != nil {
		return resp, err
	}
	h.obey(sent, resp, t.quotas(resp.Header))
	answered = true
	return resp, nil
}

// quotas returns the quotas of a response, none if it comes from a cache and so
// says nothing about the present.
func (t *Transport) quotas(h http.Header) (quotas []Quota) {
	if age := h.Get("Age"); age != "" && age != "0" {
		return nil
	}
	if t.Quotas != nil {
		quotas, _ = t.Quotas(h)
	} else {
		quotas, _ = ParseAny(h)
	}
	return quotas
}

// wait waits for the host, then for Limit, and then again for the host, which
// may have asked for a pause meanwhile.
func (t *Transport) wait(req *http.Request, h *host) (ticket, error) {
	b := bound{ctx: req.Context(), late: time.Now().Add(max(t.MaxWait, 0))}
	if t.MaxWait == 0 {
		b.late = b.late.Add(time.Minute)
	}
	var w ratelimit.Waiter
	if t.Limit != nil {
		w = t.Limit(req)
	}
	if w == nil {
		return h.wait(b, true)
	}
	_, err := h.wait(b, false)
	if err == nil && t.MaxWait < 0 {
		err = w.Wait(b.ctx)
	} else if err == nil {
		err = b.waitFor(w)
	}
	if err != nil {
		return ticket{}, err
	}
	return h.wait(b, true)
}

// A bound is the end of the wait of a request.
type bound struct {
	ctx  context.Context
	late time.Time // by MaxWait
}

// waitFor waits for w until b ends.
func (b bound) waitFor(w ratelimit.Waiter) error {
	ctx, cancel := context.WithDeadline(b.ctx, b.late)
	defer cancel()
	err := w.Wait(ctx)
	if deadline, ok := b.ctx.Deadline(); err == nil || b.ctx.Err() != nil || ok && !deadline.After(b.late) {
		return err
	}
	// The error must not match the deadline of MaxWait, which the caller does
	// not know.
	if limited, ok := errtree.Find[*ratelimit.LimitedError](err); ok {
		return &ratelimit.LimitedError{Decision: limited.Decision}
	}
	if errtree.Is(err, context.DeadlineExceeded) {
		return refusal("", time.Second)
	}
	return err
}

// exceeded returns the error of a request that would be sent only at the
// instant at, or nil if that is early enough.
func (b bound) exceeded(name string, now, at time.Time) error {
	if b.ctx.Err() != nil {
		return ctxerr.New(b.ctx, "ratelimithttp: wait")
	}
	if !at.After(now) {
		return nil
	}
	deadline, ok := b.ctx.Deadline()
	late := ok && !deadline.After(at)
	if !late && !at.After(b.late) {
		return nil
	}
	err := refusal(name, at.Sub(now))
	err.Late = late
	return err
}

// refusal returns the error of a request that a host does not want before d.
func refusal(host string, d time.Duration) *ratelimit.LimitedError {
	limit := ratelimit.Every(max(d, 1)).WithName(host)
	return &ratelimit.LimitedError{Decision: ratelimit.Decision{N: 1, Limit: limit, Retryable: true, RetryAfter: d}}
}

func (t *Transport) host(name string) *host {
	t.mu.Lock()
	defer t.mu.Unlock()
	h := t.hosts[name]
	if h == nil {
		if t.hosts == nil {
			t.hosts = make(map[string]*host)
		}
		if len(t.hosts) >= maxHosts {
			t.forget(time.Now())
		}
		h = &host{name: name}
		t.hosts[name] = h
	}
	return h
}

// forget removes the hosts that nothing binds. If there are none, it removes
// the host that accepts requests first.
func (t *Transport) forget(now time.Time) {
	var first string
	var earliest time.Time
	for name, h := range t.hosts {
		at := h.free(now)
		if !at.After(now) {
			delete(t.hosts, name)
		} else if first == "" || at.Before(earliest) {
			first, earliest = name, at
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

// hostOf returns the host of a request in lower case, without the port of its
// scheme. Hosts longer than 255 bytes, which cannot exist, share an entry.
func hostOf(req *http.Request) string {
	if req.URL == nil || len(req.URL.Host) > 255 {
		return ""
	}
	host := req.URL.Host
	switch req.URL.Scheme {
	case "http":
		host = strings.TrimSuffix(host, ":80")
	case "https":
		host = strings.TrimSuffix(host, ":443")
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}
