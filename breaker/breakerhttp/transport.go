package breakerhttp

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/redoubt-go/redoubt/breaker"
	"github.com/redoubt-go/redoubt/internal/retryafter"
)

// A Transport is an http.RoundTripper that guards requests with circuit
// breakers. It is as safe for concurrent use as its Base. Do not change it
// after its first use.
type Transport struct {
	// Base sends the requests. Nil means http.DefaultTransport.
	Base http.RoundTripper
	// Gate returns the guard of a request, such as the breaker of its host.
	// If it returns nil, the request passes. Nil means that all requests pass.
	Gate func(*http.Request) breaker.Gate
	// Classify judges a response, or an error if that is not nil. If it
	// returns OutcomeFailure for an error, package breaker decides: it knows
	// refusals, marks and callers that gave up. Nil means [Classify].
	Classify func(*http.Response, error) breaker.Outcome
}

var _ http.RoundTripper = (*Transport)(nil)

// RoundTrip sends req by Base if its gate admits it. If not, RoundTrip closes
// the body of req.
//
// Errors: the errors of Base and of Breaker.Allow.
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
	defer call.Report(breaker.OutcomeFailure) // if Base panics; otherwise the call has been reported by then
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
	case o != breaker.OutcomeFailure:
		call.Report(o)
	case err != nil:
		call.Done(err)
	default:
		after, _ := retryafter.Parse(resp.Header, time.Now())
		call.Done(breaker.Mark(&statusError{resp.StatusCode, after}, breaker.OutcomeFailure))
	}
}

// CloseIdleConnections closes the idle connections of Base.
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

// Classify is the default judgement of a response or an error, as described in
// the package comment.
func Classify(resp *http.Response, err error) breaker.Outcome {
	if err != nil {
		return breaker.Classify(err)
	}
	switch resp.StatusCode {
	case http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return breaker.OutcomeFailure
	case http.StatusTooManyRequests:
		return breaker.OutcomeIgnored
	}
	return breaker.OutcomeSuccess
}

// One returns a function for Transport.Gate that guards all requests with g.
func One(g breaker.Gate) func(*http.Request) breaker.Gate {
	return func(*http.Request) breaker.Gate { return g }
}

// PerHost returns a function for Transport.Gate that guards each host with a
// breaker of its own. The port is part of the host. Hosts longer than 255
// bytes, which cannot exist, share a breaker.
func PerHost(g *breaker.Group[string]) func(*http.Request) breaker.Gate {
	return func(req *http.Request) breaker.Gate {
		host := strings.ToLower(req.URL.Host)
		if len(host) > 255 {
			host = "" // the sender chooses the length
		}
		return g.For(host)
	}
}

// A statusError is the failure that a status code reports. It is the Cause of
// a breaker.OpenError.
type statusError struct {
	code  int
	after time.Duration
}

func (e *statusError) Error() string {
	return fmt.Sprintf("breakerhttp: status %d", e.code)
}

// RetryAfter returns the pause that the server asks for, or 0.
func (e *statusError) RetryAfter() time.Duration { return e.after }
