package breakerhttp

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/redoubt-go/redoubt/breaker"
)

// A Transport is an http.RoundTripper that guards requests with circuit
// breakers. It may be used concurrently if Base may, and must not be changed
// after its first use.
type Transport struct {
	// Base sends the requests. Nil means http.DefaultTransport.
	Base http.RoundTripper
	// Gate returns the guard of a request, such as the breaker of its host. If
	// it returns nil, the request passes. Nil means that all requests pass.
	// The URL of the request is not nil.
	Gate func(*http.Request) breaker.Gate
	// Classify judges a response or, if that is not nil, an error. The
	// response is nil unless the error is from reading its body. If Classify
	// returns OutcomeFailure for an error, the faults of the caller are still
	// ignored, and [breaker.Outcome] applies. Nil means [Classify].
	Classify func(*http.Response, error) breaker.Outcome
}

var _ http.RoundTripper = (*Transport)(nil)

// RoundTrip sends req by Base if its gate admits it. If not, RoundTrip closes
// the body of req.
//
// Errors: the errors of Base and of the Allow method of the gate.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL == nil {
		closeBody(req)
		return nil, errNoURL
	}
	var gate breaker.Gate
	if t.Gate != nil {
		gate = t.Gate(req)
	}
	if gate == nil {
		return base(t.Base).RoundTrip(req)
	}
	x, sent := newExchange(req, t.Classify)
	x.call = &x.own
	if err := x.own.Begin(req.Context(), gate); err != nil {
		closeBody(req)
		return nil, err
	}
	return x.roundTrip(base(t.Base), sent)
}

// CloseIdleConnections closes the idle connections of Base.
func (t *Transport) CloseIdleConnections() { closeIdle(t.Base) }

var errNoURL = errors.New("breakerhttp: the URL of the request is nil")

// noResponse is the error of a base that returns neither a response nor an
// error.
func noResponse(base http.RoundTripper) error {
	return fmt.Errorf("breakerhttp: %T returned neither a response nor an error", base)
}

func base(rt http.RoundTripper) http.RoundTripper {
	if rt != nil {
		return rt
	}
	return http.DefaultTransport
}

func closeIdle(rt http.RoundTripper) {
	if c, ok := base(rt).(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

func closeBody(req *http.Request) {
	if req.Body != nil {
		req.Body.Close()
	}
}
