package retryhttp

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/redoubt-go/redoubt/internal/quote"
	"github.com/redoubt-go/redoubt/retry"
)

// A Transport is an http.RoundTripper that retries requests. The zero value is
// ready for use. Its fields must not change after the first request.
type Transport struct {
	// Base sends the attempts. Nil means http.DefaultTransport.
	Base http.RoundTripper

	// Policy decides how often and when to retry. Its AttemptTimeout covers an
	// attempt until its headers arrive, but not its body. Its RetryIf is
	// called only for errors that this Transport would retry: a *StatusError,
	// or an error of Base.
	Policy retry.Policy

	// RetryIf reports whether to retry after an attempt that ended with resp
	// or with err. The other value is nil. RetryIf must not read the body. Nil
	// means Retryable.
	RetryIf func(req *http.Request, resp *http.Response, err error) bool

	// Idempotent reports whether req may be sent again although it may have
	// had its effect. Nil means Idempotent.
	Idempotent func(req *http.Request) bool

	// MaxBuffer is the size in bytes up to which the body of a request without
	// GetBody is kept in memory while it is sent, to send it again. Zero or
	// negative means that such a request is sent once.
	MaxBuffer int64

	// AttemptHeader is the name of the request header that contains the number
	// of the attempt. Attempts after the first have it, and all attempts of a
	// request whose context is retry.Nested. Empty means AttemptHeader, which
	// the handler Nest reads. NoHeader means no header.
	AttemptHeader string

	// TimeoutHeader is the name of a request header that contains the time
	// left for the attempt in milliseconds: until the deadline of the context,
	// at most AttemptTimeout. Empty means no header. See Deadline.
	TimeoutHeader string
}

var _ http.RoundTripper = (*Transport)(nil)

// RoundTrip sends req, and sends it again as t decides.
//
// Errors: a *retry.Error; or the error of Base, if req was sent once and the
// error is not retryable or req cannot be sent again.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	c := call{t: t, req: req, body: newReplay(req, t.MaxBuffer)}
	p := t.Policy
	p.AttemptTimeout = 0 // of the headers only, see roundTrip
	p.OnEvent = discarding(req, p.OnEvent)
	defer c.release()
	resp, err := retry.Do(req.Context(), p, c.send)
	c.open = nil
	if err == nil {
		return resp, nil
	}
	return c.last(resp, err)
}

// Validate reports every setting of Policy that is out of range, and header
// names that are not valid.
func (t *Transport) Validate() error {
	return errors.Join(t.Policy.Validate(),
		header("Transport.AttemptHeader", t.AttemptHeader), header("Transport.TimeoutHeader", t.TimeoutHeader))
}

// header returns an error if the value of a field is no name of a header.
func header(field, name string) error {
	if name == "" || token(name) {
		return nil
	}
	return fmt.Errorf("retryhttp: %s is %s, want the name of a header", field, quote.Text(name))
}

// CloseIdleConnections closes the idle connections of Base, if it can.
// http.Client.CloseIdleConnections calls it.
func (t *Transport) CloseIdleConnections() { closeIdle(t.Base) }

// headerName returns the name of an AttemptHeader or its default.
func headerName(name string) string {
	if name == "" {
		return AttemptHeader
	}
	return name
}

// closeIdle closes the idle connections of rt or its default.
func closeIdle(rt http.RoundTripper) {
	if c, ok := base(rt).(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// base returns rt or its default.
func base(rt http.RoundTripper) http.RoundTripper {
	if rt == nil {
		return http.DefaultTransport
	}
	return rt
}

// retryable reports whether an attempt failed so that another may succeed.
func (t *Transport) retryable(req *http.Request, resp *http.Response, err error) bool {
	if t.RetryIf != nil {
		return t.RetryIf(req, resp, err)
	}
	return Retryable(req, resp, err)
}

// repeatable reports whether req may be sent again after an attempt that failed
// with err.
func (t *Transport) repeatable(req *http.Request, err error) bool {
	if t.Idempotent != nil && t.Idempotent(req) || t.Idempotent == nil && Idempotent(req) {
		return true
	}
	return unsent(err)
}
