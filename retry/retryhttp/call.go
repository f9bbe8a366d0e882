package retryhttp

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/redoubt-go/redoubt/internal/errtree"
	"github.com/redoubt-go/redoubt/internal/quote"
	"github.com/redoubt-go/redoubt/retry"
)

// A call is the state of a RoundTrip.
type call struct {
	t    *Transport
	req  *http.Request
	body replay
	n    int            // attempts begun
	open *http.Response // of the last attempt, until Do returns
	err  error          // of the last attempt, as Base returned it
}

// release closes a request body that was not sent and, after a panic of a hook
// of the user, the response of the last attempt.
func (c *call) release() {
	c.body.close()
	if c.open != nil {
		closeBody(c.open)
	}
}

// last returns the results of a call that failed with err for retry.Do.
func (c *call) last(resp *http.Response, err error) (*http.Response, error) {
	live := c.req.Context().Err() == nil
	if s, ok := errtree.Find[*StatusError](err); resp != nil && live && !(ok && s.discarded) {
		return resp, nil
	}
	if resp != nil {
		closeBody(resp)
	}
	if e, ok := err.(*retry.Error); ok && live && c.n == 1 && e.Reason == retry.ErrPermanent {
		return nil, c.err
	}
	return nil, err
}

// send makes an attempt. It returns a response to retry with a *StatusError. An
// attempt that failed and cannot be made again ends the call.
func (c *call) send(ctx context.Context) (*http.Response, error) {
	c.n++
	resp, err := c.roundTrip(ctx)
	c.open, c.err = resp, err
	switch {
	case !c.t.retryable(c.req, resp, err):
		return resp, retry.Permanent(err)
	case err == nil:
		err = newStatusError(resp)
	}
	if !c.t.repeatable(c.req, err) || !c.body.rewind() {
		return resp, retry.Permanent(&finalError{err})
	}
	return resp, err
}

// A finalError is the failure of a request that cannot be sent again. A Budget
// counts it as a failure, although the call does not retry.
type finalError struct{ err error }

func (e *finalError) Error() string   { return e.err.Error() }
func (e *finalError) Unwrap() error   { return e.err }
func (e *finalError) Retryable() bool { return true }

// request returns the request of this attempt, whose context is ctx. It is the
// caller's request if nothing in it must differ.
func (c *call) request(ctx context.Context) *http.Request {
	pays := c.t.Policy.Budget != nil && c.t.mayHedge()
	body := c.body.take()
	attempt := c.attemptHeader(ctx)
	timeout := c.timeoutHeader(ctx)
	if c.n == 1 && c.body.recorder == nil && attempt == "" && timeout == "" && !pays {
		return c.req
	}
	if pays {
		ctx = &payer{ctx, c.t.Policy.Budget}
	}
	r := c.req.WithContext(ctx)
	r.Body = body
	if attempt == "" && timeout == "" {
		return r
	}
	if r.Header = r.Header.Clone(); r.Header == nil {
		r.Header = make(http.Header)
	}
	if attempt != "" {
		r.Header.Set(headerName(c.t.AttemptHeader), attempt)
	}
	if timeout != "" {
		r.Header.Set(c.t.TimeoutHeader, timeout)
	}
	return r
}

// attemptHeader returns the value of AttemptHeader, or "" for none.
func (c *call) attemptHeader(ctx context.Context) string {
	n := c.n
	if retry.Nested(ctx) {
		n = max(n, 2)
	}
	if n == 1 || c.t.AttemptHeader == NoHeader {
		return ""
	}
	return strconv.Itoa(n)
}

// timeoutHeader returns the value of TimeoutHeader, or "" for none.
func (c *call) timeoutHeader(ctx context.Context) string {
	if c.t.TimeoutHeader == "" {
		return ""
	}
	left, known := c.t.Policy.AttemptTimeout, c.t.Policy.AttemptTimeout > 0
	if end, ok := ctx.Deadline(); ok {
		if d := time.Until(end); !known || d < left {
			left, known = d, true
		}
	}
	if !known {
		return ""
	}
	return strconv.FormatInt(max(left.Milliseconds(), 0), 10)
}

// roundTrip sends the request of this attempt.
func (c *call) roundTrip(ctx context.Context) (*http.Response, error) {
	r, rt := c.request(ctx), base(c.t.Base)
	if c.t.Policy.AttemptTimeout <= 0 {
		return roundTrip(rt, r)
	}
	x := new(exchange)
	x.start(r.Context(), c.t.Policy.AttemptTimeout)
	return x.roundTrip(rt, r)
}

// discarding returns a hook that discards a response once it is certain that
// there will be another attempt, and before the pause: its connection is then
// free for other requests. It passes events with the operation to next.
func discarding(req *http.Request, next func(context.Context, retry.Event)) func(context.Context, retry.Event) {
	if next == nil {
		return discardRetried
	}
	return func(ctx context.Context, e retry.Event) {
		discardRetried(ctx, e)
		e.Op = operation(req)
		next(ctx, e)
	}
}

// operation returns the method, host and path of a request. The query may
// contain secrets.
func operation(req *http.Request) string {
	op := req.Method
	if op == "" {
		op = http.MethodGet
	}
	if req.URL != nil {
		op += " " + req.URL.Host + req.URL.EscapedPath()
	}
	return quote.Cut(op)
}

func discardRetried(_ context.Context, e retry.Event) {
	if s, ok := e.Err.(*StatusError); ok && e.Kind == retry.KindRetry {
		s.discarded = true
		discard(s.resp)
	}
}
