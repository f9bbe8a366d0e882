package retryhttp

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

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
	if c.n == 1 && c.req.Context().Err() == nil && errors.Is(err, retry.ErrPermanent) {
		return nil, c.err
	}
	return nil, err
}

// send makes an attempt. It returns a response to retry with a *StatusError.
func (c *call) send(ctx context.Context) (*http.Response, error) {
	c.n++
	resp, err := c.roundTrip(ctx, c.request())
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

// request returns the request of this attempt. It is the caller's request if
// nothing in it must differ.
func (c *call) request() *http.Request {
	body := c.body.take()
	if c.n == 1 && !c.body.buffered && c.t.AttemptHeader == "" {
		return c.req
	}
	r := c.req.WithContext(c.req.Context())
	r.Body = body
	if name := c.t.AttemptHeader; name != "" {
		r.Header = r.Header.Clone()
		if r.Header == nil {
			r.Header = make(http.Header)
		}
		r.Header.Set(name, strconv.Itoa(c.n))
	}
	return r
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
// free for other requests.
func discarding(next func(context.Context, retry.Event)) func(context.Context, retry.Event) {
	if next == nil {
		return discardRetried
	}
	return func(ctx context.Context, e retry.Event) {
		discardRetried(ctx, e)
		next(ctx, e)
	}
}

func discardRetried(_ context.Context, e retry.Event) {
	if s, ok := e.Err.(*StatusError); ok && e.Kind == retry.KindRetry {
		discard(s.resp.Body)
	}
}
