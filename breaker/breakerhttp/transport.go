package breakerhttp

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/redoubt-go/redoubt/breaker"
)

// A Transport is an http.RoundTripper that asks a gate before it sends a request. It is as safe for concurrent use
// as its Base, and must not be changed once used.
type Transport struct {
	// Base sends the requests. Default http.DefaultTransport.
	Base http.RoundTripper
	// Gate returns the gate of a request, such as the breaker of its host; nil lets the request pass. A nil Gate
	// lets all requests pass.
	Gate func(*http.Request) breaker.Gate
	// Classify judges a response, or an error if that is not nil. Default [Classify]; for an error, Failure
	// leaves the last word to the package breaker, which knows refusals, marks and callers that gave up.
	Classify func(*http.Response, error) breaker.Outcome
}

var _ http.RoundTripper = (*Transport)(nil)

// RoundTrip sends req by Base if its gate admits it. The errors are those of Base, and those of Breaker.Allow for a
// request that was not sent; its body is closed then too.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	var gate breaker.Gate
	if t.Gate != nil {
		gate = t.Gate(req)
	}
	if gate == nil {
		return t.base().RoundTrip(req)
	}
	call, err := gate.Allow(req.Context())
	if err != nil {
		if req.Body != nil {
			req.Body.Close()
		}
		return nil, err
	}
	defer call.Report(breaker.Failure) // if Base panics; otherwise the call has been reported by then
	resp, err := t.base().RoundTrip(req)
	t.report(call, resp, err)
	return resp, err
}

func (t *Transport) report(call *breaker.Call, resp *http.Response, err error) {
	classify := t.Classify
	if classify == nil {
		classify = Classify
	}
	switch o := classify(resp, err); {
	case o != breaker.Failure:
		call.Report(o)
	case err != nil:
		call.Done(err)
	default:
		call.Done(breaker.Mark(&statusError{resp.StatusCode, retryAfter(resp.Header)}, breaker.Failure))
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

// Classify is the default of Transport.Classify, as described in the package comment.
func Classify(resp *http.Response, err error) breaker.Outcome {
	if err != nil {
		return breaker.Classify(err)
	}
	switch resp.StatusCode {
	case http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return breaker.Failure
	case http.StatusTooManyRequests:
		return breaker.Ignored
	}
	return breaker.Success
}

// PerHost returns a function for Transport.Gate that gives each host, with its port, a breaker of the group. Hosts
// longer than 255 bytes, which no server has, share one.
func PerHost(g *breaker.Group[string]) func(*http.Request) breaker.Gate {
	return func(req *http.Request) breaker.Gate {
		host := strings.ToLower(req.URL.Host)
		if len(host) > 255 {
			host = "" // not kept: its length is the sender's choice
		}
		return g.Get(host)
	}
}

// A statusError is the failure of a call whose response says so. It is seen as the Cause of a breaker.OpenError.
type statusError struct {
	code  int
	after time.Duration
}

func (e *statusError) Error() string {
	return fmt.Sprintf("breakerhttp: status %d", e.code)
}

// RetryAfter returns the wish of the server, 0 if it has none.
func (e *statusError) RetryAfter() time.Duration { return e.after }

// retryAfter reads the header of RFC 9110, section 10.2.3: a number of seconds or a date.
func retryAfter(h http.Header) time.Duration {
	v := h.Get("Retry-After")
	if s, err := strconv.ParseUint(v, 10, 31); err == nil {
		return time.Duration(s) * time.Second
	}
	if at, err := http.ParseTime(v); err == nil {
		return max(0, time.Until(at))
	}
	return 0
}
