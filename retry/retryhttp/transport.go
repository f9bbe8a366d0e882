package retryhttp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/redoubt-go/redoubt/retry"
)

// A Transport is an http.RoundTripper that sends requests again. The zero
// value is ready to use. Its fields must not change once it is in use.
type Transport struct {
	// Base sends the attempts. nil means http.DefaultTransport.
	Base http.RoundTripper

	// Policy says how often and when. Its AttemptTimeout covers an attempt
	// until its headers are there, not its body. Its RetryIf, if any, is asked
	// about what this transport would retry: a *StatusError, or an error of
	// Base.
	Policy retry.Policy

	// RetryIf reports whether an attempt with this end, one of resp and err
	// being nil, is worth another. It must not read the body. nil means
	// Retryable.
	RetryIf func(req *http.Request, resp *http.Response, err error) bool

	// Idempotent reports whether req may be sent again though it may have had
	// its effect already. nil means Idempotent.
	Idempotent func(req *http.Request) bool

	// MaxBuffer is the size in bytes up to which the body of a request without
	// GetBody is kept in memory, to be sent again. Zero or negative means none:
	// such a request is sent once.
	MaxBuffer int64

	// AttemptHeader names a header that tells the server the number of the
	// attempt, from 1. Empty means none.
	AttemptHeader string
}

var _ http.RoundTripper = (*Transport)(nil)

// RoundTrip sends req, and sends it again as t says.
//
// Errors: that of the base transport if req was sent once; a *retry.Error; or
// one from reading the body ahead for MaxBuffer.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	body, err := newReplay(req, t.MaxBuffer)
	if err != nil {
		return nil, err
	}
	c := call{t: t, req: req, body: body}
	p := t.Policy
	p.AttemptTimeout = 0 // of the headers only, see roundTrip
	p.OnEvent = discarding(p.OnEvent)
	resp, err := retry.Do(req.Context(), p, c.send)
	c.body.close()
	if err == nil {
		return resp, nil
	}
	return c.last(resp, err)
}

// last returns what the caller gets from a call that retry.Do calls failed.
func (c *call) last(resp *http.Response, err error) (*http.Response, error) {
	if resp != nil {
		if c.req.Context().Err() == nil {
			return resp, nil
		}
		resp.Body.Close() // of no use without its context
	}
	if c.n == 1 && c.req.Context().Err() == nil && errors.Is(err, retry.ErrPermanent) {
		return nil, c.err
	}
	return nil, err
}

// A call is the state of one RoundTrip.
type call struct {
	t    *Transport
	req  *http.Request
	body replay
	n    int   // attempts begun
	err  error // of the last one, as the base transport returned it
}

// send makes one attempt. A response worth a retry comes with a *StatusError.
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

// request returns the request of this attempt: the caller's own while nothing
// in it must differ.
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

// roundTrip sends r. With an AttemptTimeout the context of the attempt outlives
// it, for the body: it ends when the body does.
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
		resp.Body.Close() // cut off: its context is done
		return nil, retry.ErrAttemptTimeout
	}
	return nil, fmt.Errorf("%w: %w", retry.ErrAttemptTimeout, err)
}

// retryable reports whether the end of an attempt is worth another one.
func (t *Transport) retryable(req *http.Request, resp *http.Response, err error) bool {
	again := t.RetryIf
	if again == nil {
		again = Retryable
	}
	if !again(req, resp, err) {
		return false
	}
	return idempotent(t.Idempotent, req) || unsent(err)
}

// base returns rt or its default.
func base(rt http.RoundTripper) http.RoundTripper {
	if rt == nil {
		return http.DefaultTransport
	}
	return rt
}

// A StatusError stands, in hooks and in the history of a *retry.Error, for a
// response that was retried.
type StatusError struct {
	StatusCode int           // of the response
	Hint       time.Duration // its Retry-After, 0 for none

	resp *http.Response
}

func newStatusError(resp *http.Response) *StatusError {
	d, _ := RetryAfter(resp.Header, time.Now())
	return &StatusError{StatusCode: resp.StatusCode, Hint: d, resp: resp}
}

// Error returns a text such as "retryhttp: 503 Service Unavailable".
func (e *StatusError) Error() string {
	return fmt.Sprintf("retryhttp: %d %s", e.StatusCode, http.StatusText(e.StatusCode))
}

// RetryAfter returns e.Hint, for retry.Do.
func (e *StatusError) RetryAfter() time.Duration { return e.Hint }

// discarding returns a hook that gives a response back to the transport once
// it is sure that there will be another attempt, and before the pause: its
// connection is then free for others.
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
	if s, ok := e.Err.(*StatusError); ok && e.Kind == retry.Retry {
		discard(s.resp.Body)
	}
}

// Limits of what is read from a response nobody wants, so that its connection
// can be used again. Beyond them a new connection is cheaper.
const (
	discardBytes = 64 << 10
	discardTime  = 250 * time.Millisecond
)

// discard drains body within limits and closes it.
func discard(body io.ReadCloser) {
	if body != http.NoBody {
		// Closing a body ends a Read that waits for the network.
		timer := time.AfterFunc(discardTime, func() { body.Close() })
		io.CopyN(io.Discard, body, discardBytes)
		timer.Stop()
	}
	body.Close()
}

// lease ties release to the end of the body of resp.
func lease(resp *http.Response, release func()) {
	if resp.StatusCode == http.StatusSwitchingProtocols {
		return // the body is a connection now, and lives with the request's context
	}
	resp.Body = &leased{resp.Body, release}
}

// A leased body calls release when it has been read to the end or closed.
type leased struct {
	io.ReadCloser
	release func()
}

func (l *leased) Read(p []byte) (int, error) {
	n, err := l.ReadCloser.Read(p)
	if err != nil {
		l.release()
	}
	return n, err
}

func (l *leased) Close() error {
	err := l.ReadCloser.Close()
	l.release()
	return err
}
