package retryhttp

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/redoubt-go/redoubt/internal/quote"
	"github.com/redoubt-go/redoubt/retry"
)

// A call is the state of a RoundTrip.
type call struct {
	t    *Transport
	req  *http.Request
	body replay
	n    int   // attempts begun
	err  error // of the last attempt, as Base returned it
}

// last returns the results of a call that failed with err for retry.Do.
func (c *call) last(resp *http.Response, err error) (*http.Response, error) {
	if resp != nil {
		if c.req.Context().Err() == nil {
			return resp, nil
		}
		resp.Body.Close() // its context is done
	}
	e, ok := err.(*retry.Error)
	if ok && c.n == 1 && c.req.Context().Err() == nil && e.Reason == retry.ErrPermanent {
		return nil, c.err
	}
	return nil, err
}

// send makes an attempt. It returns a response to retry with a *StatusError.
func (c *call) send(ctx context.Context) (*http.Response, error) {
	c.n++
	resp, err := c.roundTrip(ctx, c.request(ctx))
	c.err = err
	retryable := c.t.retryable(c.req, resp, err) && c.body.rewind()
	switch {
	case err != nil && !retryable:
		return nil, retry.Permanent(err)
	case err != nil:
		return nil, err
	case !retryable:
		return resp, nil
	}
	return resp, newStatusError(resp)
}

// request returns the request of this attempt, whose context is ctx. It is the
// caller's request if nothing in it must differ.
func (c *call) request(ctx context.Context) *http.Request {
	body := c.body.take()
	attempt := c.attemptHeader(ctx)
	timeout := c.timeoutHeader(ctx)
	if c.n == 1 && !c.body.buffered && attempt == "" && timeout == "" {
		return c.req
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
		r.Header.Set(c.t.attemptHeader(), attempt)
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

// roundTrip sends r. With an AttemptTimeout the context of the attempt lives
// until the end of the body.
func (c *call) roundTrip(ctx context.Context, r *http.Request) (resp *http.Response, err error) {
	timeout := c.t.Policy.AttemptTimeout
	if timeout <= 0 {
		return base(c.t.Base).RoundTrip(r)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	timer := time.AfterFunc(timeout, func() { cancel(retry.ErrAttemptTimeout) })
	defer func() {
		if resp == nil {
			timer.Stop()
			cancel(nil)
		}
	}()
	resp, err = base(c.t.Base).RoundTrip(r.WithContext(ctx))
	switch intime := timer.Stop(); {
	case intime && err == nil:
		lease(resp, func() { cancel(nil) })
		return resp, nil
	case intime:
		return nil, err
	case err == nil:
		resp.Body.Close() // its context is done
		return nil, retry.ErrAttemptTimeout
	}
	return nil, fmt.Errorf("%w: %w", retry.ErrAttemptTimeout, err)
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
		discard(s.resp.Body)
	}
}
