package breakerhttp

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/redoubt-go/redoubt/breaker"
	"github.com/redoubt-go/redoubt/internal/quote"
)

// A Pool is an http.RoundTripper that distributes requests over several
// endpoints. It replaces the scheme and host of the URL of the request, and
// judges the exchange as a [Transport] does. It repeats no request: put it
// below a Transport of package retryhttp, which then goes elsewhere. A Pool may
// be used concurrently if Base may, and must not be changed after its first
// use.
type Pool struct {
	// Base sends the requests. Nil means http.DefaultTransport.
	Base http.RoundTripper
	// Endpoints chooses the endpoint of a request; required. Its keys are
	// origins as [PerHost] makes them, such as "https://eu.example.com" and
	// "https://us.example.com:8443".
	Endpoints *breaker.Pool[string]
	// Classify judges a response or an error, as Transport.Classify does.
	Classify func(*http.Response, error) breaker.Outcome
}

var _ http.RoundTripper = (*Pool)(nil)

// Validate reports all problems of p, joined by errors.Join, or nil.
func (p *Pool) Validate() error {
	if p.Endpoints == nil {
		return errNoEndpoints
	}
	var errs []error
	for _, key := range p.Endpoints.Config().Endpoints {
		if _, err := parseOrigin(key); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

var errNoEndpoints = errors.New("breakerhttp: Endpoints is missing")

// RoundTrip sends a copy of req to an endpoint by Base. If all endpoints
// refuse, RoundTrip closes the body of req. The Host of req is replaced too,
// unless it differs from the host of the URL. The Request of the response is
// the copy.
//
// Errors: the errors of Base and of breaker.Pool.Allow.
func (p *Pool) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL == nil {
		closeBody(req)
		return nil, errNoURL
	}
	if p.Endpoints == nil {
		closeBody(req)
		return nil, errNoEndpoints
	}
	key, call, err := p.Endpoints.Allow(req.Context())
	if err != nil {
		closeBody(req)
		return nil, err
	}
	u, err := parseOrigin(key)
	if err != nil {
		call.Report(breaker.OutcomeIgnored)
		closeBody(req)
		return nil, err
	}
	at, to := *req, *req.URL
	to.Scheme, to.Host = u.Scheme, u.Host
	if at.URL = &to; req.Host == req.URL.Host {
		at.Host = ""
	}
	x, sent := newExchange(&at, p.Classify)
	x.call = call
	return x.roundTrip(base(p.Base), sent)
}

// CloseIdleConnections closes the idle connections of Base.
func (p *Pool) CloseIdleConnections() { closeIdle(p.Base) }

// parseOrigin returns the scheme and host of key.
func parseOrigin(key string) (url.URL, error) {
	scheme, host, ok := strings.Cut(key, "://")
	if !ok || scheme != "http" && scheme != "https" || host == "" || strings.ContainsAny(host, "/?#@ ") {
		return url.URL{}, fmt.Errorf("breakerhttp: endpoint is %s, want an origin such as https://example.com", quote.Text(key))
	}
	return url.URL{Scheme: scheme, Host: host}, nil
}
