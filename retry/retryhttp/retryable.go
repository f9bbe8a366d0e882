package retryhttp

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"slices"
	"strings"

	"github.com/redoubt-go/redoubt/internal/errtree"
	"github.com/redoubt-go/redoubt/retry"
)

// Idempotent reports whether sending req twice has the effect of sending it
// once. It is true for the methods GET, HEAD, OPTIONS, TRACE, PUT and DELETE,
// and for requests with a header Idempotency-Key or X-Idempotency-Key. As in
// net/http, a key with a nil value counts and is not sent.
func Idempotent(req *http.Request) bool {
	switch req.Method {
	case "", "GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE":
		return true
	}
	_, key := req.Header["Idempotency-Key"]
	_, xkey := req.Header["X-Idempotency-Key"]
	return key || xkey
}

// Safe reports whether req may be sent twice at the same time: whether its
// method is GET, HEAD, OPTIONS or TRACE (RFC 9110, section 9.2.1).
func Safe(req *http.Request) bool {
	switch req.Method {
	case "", "GET", "HEAD", "OPTIONS", "TRACE":
		return true
	}
	return false
}

// Retryable reports whether to send a request again after an attempt that ended
// with resp or with err. It is true for the status codes 408, 425, 429, 500,
// 502, 503 and 504, and for errors except
//
//   - errors that are not retry.Retryable, such as context.Canceled
//   - a TLS certificate that is not valid, a TLS alert, such as the demand for
//     a client certificate, and an answer that is not TLS
//   - a name that DNS does not know
//   - a request that no transport can send: without a host, with a scheme
//     other than http and https, or with a header field that is not valid
func Retryable(req *http.Request, resp *http.Response, err error) bool {
	if err != nil {
		return retry.Retryable(err) && !hopeless(err) && sendable(req)
	}
	if resp == nil {
		return false
	}
	switch resp.StatusCode {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests,
		http.StatusInternalServerError, http.StatusBadGateway,
		http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// hopeless reports whether a further attempt would fail with err again.
func hopeless(err error) bool {
	if dns, ok := errtree.Find[*net.DNSError](err); ok {
		return dns.IsNotFound && !dns.IsTemporary
	}
	if op(err, "remote error", "local error") { // the Op of a TLS alert
		return true
	}
	return is[*tls.CertificateVerificationError](err) || is[tls.RecordHeaderError](err) ||
		is[x509.UnknownAuthorityError](err) || is[x509.HostnameError](err) ||
		is[x509.CertificateInvalidError](err) || is[x509.SystemRootsError](err)
}

// is reports whether the tree of err contains an E.
func is[E error](err error) bool {
	_, ok := errtree.Find[E](err)
	return ok
}

// unsent reports whether err shows that the request cannot have been sent:
// there was no connection, or a guard refused it.
func unsent(err error) bool {
	return op(err, "dial", "proxyconnect") || errtree.Read(err).Rejected
}

// op reports whether the tree of err contains a *net.OpError whose operation is
// in ops.
func op(err error, ops ...string) bool {
	return !errtree.Walk(err, func(e error) bool {
		op, ok := e.(*net.OpError)
		return !ok || op == nil || !slices.Contains(ops, op.Op)
	})
}

// sendable reports whether net/http can send req at all. If it cannot, its
// errors have no types, so sendable looks for the causes.
func sendable(req *http.Request) bool {
	if req.URL == nil || req.URL.Host == "" {
		return false
	}
	if req.URL.Scheme != "http" && req.URL.Scheme != "https" {
		return false
	}
	for name, values := range req.Header {
		if !token(name) {
			return false
		}
		for _, v := range values {
			if strings.ContainsFunc(v, control) {
				return false
			}
		}
	}
	return true
}

// token reports whether s is a token of RFC 9110, section 5.6.2.
func token(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		alnum := '0' <= r && r <= '9' || 'A' <= r && r <= 'Z' || 'a' <= r && r <= 'z'
		return !alnum && !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
	})
}

// control reports whether r must not be in the value of a header field.
func control(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }
