package retryhttp

import (
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/redoubt-go/redoubt/retry"
)

// An exchange is an attempt with a clock, in one allocation: the context of the
// request, the request with this context, and the body of the response.
type exchange struct {
	clock
	req  http.Request
	body leased
}

// roundTrip sends r with the context x. The context lives until the end of the
// body of the response.
func (x *exchange) roundTrip(rt http.RoundTripper, r *http.Request) (*http.Response, error) {
	x.req = *r.WithContext(x)
	leased := false
	defer func() {
		if !leased {
			x.stop(nil)
		}
	}()
	resp, err := roundTrip(rt, &x.req)
	if err != nil {
		if x.late() {
			err = newTimeoutError(err)
		}
		return nil, err
	}
	if !x.lift() {
		closeBody(resp)
		if x.late() {
			return nil, retry.ErrAttemptTimeout
		}
		return nil, x.Err()
	}
	leased = x.lease(resp)
	return resp, nil
}

// lease arranges for the clock to stop at the end of the body of resp, if there
// is a body.
func (x *exchange) lease(resp *http.Response) bool {
	if resp.Body == nil || resp.Body == http.NoBody || x.req.Method == http.MethodHead ||
		resp.StatusCode == http.StatusNoContent || resp.StatusCode == http.StatusNotModified {
		return false // HTTP/2 has a body of its own for no body
	}
	x.body = leased{resp.Body, &x.clock}
	resp.Body = &x.body
	if conn, ok := x.body.ReadCloser.(io.ReadWriteCloser); ok && resp.StatusCode == http.StatusSwitchingProtocols {
		resp.Body = &upgraded{conn, &x.clock}
	}
	return true
}

// A leased body stops its clock once it is read to the end or closed.
type leased struct {
	io.ReadCloser
	clock *clock
}

func (l *leased) Read(p []byte) (int, error) {
	n, err := l.ReadCloser.Read(p)
	if err != nil {
		l.clock.stop(nil)
	}
	return n, err
}

func (l *leased) Close() error {
	err := l.ReadCloser.Close()
	l.clock.stop(nil)
	return err
}

// An upgraded body is the connection after a response 101 Switching Protocols.
// It stops its clock once it is closed.
type upgraded struct {
	io.ReadWriteCloser
	clock *clock
}

func (u *upgraded) Close() error {
	err := u.ReadWriteCloser.Close()
	u.clock.stop(nil)
	return err
}

// CloseWrite closes the connection for writing, if the transport can do that.
func (u *upgraded) CloseWrite() error {
	if c, ok := u.ReadWriteCloser.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return fmt.Errorf("retryhttp: CloseWrite: %w", errors.ErrUnsupported)
}

// roundTrip sends r by rt, and returns either a response or an error, also if
// rt returns both or neither.
func roundTrip(rt http.RoundTripper, r *http.Request) (*http.Response, error) {
	resp, err := rt.RoundTrip(r)
	switch {
	case err == nil && resp == nil:
		return nil, retry.Permanent(fmt.Errorf("retryhttp: %T returned neither a response nor an error", rt))
	case err == nil:
		return resp, nil
	case resp != nil:
		closeBody(resp)
	}
	return nil, err
}

// closeBody closes the body of resp. A response that no net/http client made
// may have none.
func closeBody(resp *http.Response) {
	if resp.Body != nil {
		resp.Body.Close()
	}
}
