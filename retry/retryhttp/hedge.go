package retryhttp

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redoubt-go/redoubt/retry"
)

// maxHosts bounds the number of hosts whose delay a Hedge learns.
const maxHosts = 1000

// A Hedge is an http.RoundTripper that sends a request again before the first
// attempt has failed, and takes the first good answer (hedged requests).
// Requests that are not Safe are sent once: a server may refuse the second of
// two concurrent requests although it executes the first. A Hedge must not be
// copied, and its fields must not change, after the first request.
//
// A response that is Retryable counts as a failure of its attempt, so that a
// server that refuses quickly does not win. If no attempt succeeds, the last
// response is returned, with its body unread. A Retry-After header delays the
// next attempt; see retry.Hedge.
type Hedge struct {
	// Base sends the attempts. Nil means http.DefaultTransport.
	Base http.RoundTripper

	// Policy decides how many attempts start and when. Its Discard is not
	// used. A nil Fatal means errors that are not Retryable. With a Latency,
	// each of the first 1000 hosts learns its own delay, with the same P and
	// Warm, and all other hosts share the Latency.
	Policy retry.Hedge[*http.Response]

	// Safe reports whether req may be sent twice at the same time. Nil means
	// Safe.
	Safe func(req *http.Request) bool

	// AttemptHeader is the name of the request header that contains the number
	// of the attempt. Attempts after the first have it. Empty means
	// AttemptHeader. NoHeader means no header.
	AttemptHeader string

	mu    sync.Mutex
	hosts map[string]*retry.Latency
}

var _ http.RoundTripper = (*Hedge)(nil)

// RoundTrip sends req, more than once if the answer is late.
//
// Errors: as for retry.Hedge.Do; or the error of Base, if req was sent once and
// the error is not retryable.
func (h *Hedge) RoundTrip(req *http.Request) (*http.Response, error) {
	safe := h.Safe
	if safe == nil {
		safe = Safe
	}
	body := req.Body != nil && req.Body != http.NoBody
	if body && req.GetBody == nil || !safe(req) {
		return base(h.Base).RoundTrip(req)
	}
	p := h.Policy
	p.Latency = h.latency(req)
	p.Discard = closeBody
	if p.Fatal == nil {
		p.Fatal = func(err error) bool { return !is[*StatusError](err) && !Retryable(req, nil, err) }
	}
	if paid(req.Context(), p.Budget) {
		p.Budget = hedges{p.Budget}
	}
	if next := p.OnEvent; next != nil {
		p.OnEvent = func(ctx context.Context, e retry.Event) {
			e.Op = operation(req)
			next(ctx, e)
		}
	}
	c := hedgedCall{h: h, req: req, body: body}
	ended := false
	defer func() {
		if !ended { // a panic
			c.end(nil, nil)
		}
	}()
	resp, err := p.Do(req.Context(), c.attempt)
	ended = true
	return c.end(resp, err)
}

// Validate reports every setting of Policy that is out of range, and a header
// name that is not valid.
func (h *Hedge) Validate() error {
	return errors.Join(h.Policy.Validate(), header("Hedge.AttemptHeader", h.AttemptHeader))
}

// CloseIdleConnections closes the idle connections of Base, if it can.
// http.Client.CloseIdleConnections calls it.
func (h *Hedge) CloseIdleConnections() { closeIdle(h.Base) }

// latency returns the Latency for the host of req.
func (h *Hedge) latency(req *http.Request) *retry.Latency {
	shared := h.Policy.Latency
	if shared == nil || req.URL == nil || len(req.URL.Host) > 255 {
		return shared
	}
	host := strings.ToLower(req.URL.Host)
	h.mu.Lock()
	defer h.mu.Unlock()
	l := h.hosts[host]
	switch {
	case l != nil:
		return l
	case len(h.hosts) == maxHosts:
		return shared
	case h.hosts == nil:
		h.hosts = make(map[string]*retry.Latency)
	}
	l = &retry.Latency{P: shared.P, Warm: shared.Warm}
	h.hosts[host] = l
	return l
}

// A hedgedCall is the state of a RoundTrip of a Hedge.
type hedgedCall struct {
	h    *Hedge
	req  *http.Request
	body bool         // req has a body
	sent atomic.Int32 // attempts begun

	mu   sync.Mutex
	held []*http.Response // failures with an open body, the latest last
	over bool             // the call has its result
}

// attempt makes an attempt. Its response lives by a clock of its own, which
// ends with ctx only until the headers have arrived.
func (c *hedgedCall) attempt(ctx context.Context) (*http.Response, error) {
	r, err := c.request(int(c.sent.Add(1)))
	if err != nil {
		return nil, err
	}
	x := new(exchange)
	x.start(c.req.Context(), 0)
	detach := context.AfterFunc(ctx, func() { x.stop(context.Cause(ctx)) })
	resp, err := x.roundTrip(base(c.h.Base), r)
	live := detach()
	switch {
	case err != nil && overdue(c.req.Context()):
		return nil, retry.Permanent(&finalError{err})
	case err != nil:
		return nil, err
	case !live:
		closeBody(resp) // another attempt was first
		return nil, ctx.Err()
	case !Retryable(c.req, resp, nil):
		return resp, nil
	}
	c.hold(resp)
	return nil, newStatusError(resp)
}

// overdue reports whether the deadline of ctx is over. The Timeout of an
// http.Client ends a request by other means, shortly before the context ends.
func overdue(ctx context.Context) bool {
	end, ok := ctx.Deadline()
	return ok && time.Until(end) <= 0
}

// request returns the request of attempt n. The attempts share nothing that a
// transport could change, such as the header.
func (c *hedgedCall) request(n int) (*http.Request, error) {
	r := c.req.Clone(c.req.Context())
	if n == 1 {
		return r, nil
	}
	if c.body {
		body, err := c.req.GetBody()
		if err != nil {
			return nil, err
		}
		r.Body = body
	}
	if name := headerName(c.h.AttemptHeader); name != NoHeader {
		before, _ := strconv.Atoi(r.Header.Get(name)) // of a Transport above
		if r.Header == nil {
			r.Header = make(http.Header)
		}
		r.Header.Set(name, strconv.Itoa(max(before, 1)+n-1))
	}
	return r, nil
}

// hold keeps a response that is returned only if no attempt succeeds.
func (c *hedgedCall) hold(resp *http.Response) {
	c.mu.Lock()
	over := c.over
	if !over {
		c.held = append(c.held, resp)
	}
	c.mu.Unlock()
	if over {
		closeBody(resp)
	}
}

// end returns the results of a call that ended with resp and err for
// retry.Hedge.Do, and closes the other responses.
func (c *hedgedCall) end(resp *http.Response, err error) (*http.Response, error) {
	c.mu.Lock()
	held := c.held
	c.over = true
	c.mu.Unlock()
	if n := len(held); err != nil && n > 0 && c.req.Context().Err() == nil {
		resp, err, held = held[n-1], nil, held[:n-1]
	}
	for _, r := range held {
		closeBody(r)
	}
	if err == nil {
		return resp, nil
	}
	if c.body && c.sent.Add(1) == 1 {
		c.req.Body.Close() // no attempt has taken it or will
	}
	if e, ok := err.(*retry.Error); ok && e.Attempts == 1 && e.Reason == retry.ErrPermanent {
		return nil, e.Last()
	}
	return nil, err
}
