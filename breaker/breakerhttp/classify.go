package breakerhttp

import (
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/redoubt-go/redoubt/breaker"
	"github.com/redoubt-go/redoubt/internal/errtree"
)

// Classify is the default judgement of a response or an error. An error is
// judged by [breaker.Classify], and a response by its status code:
//
//   - 500 and above is a failure, except 501, 505 and 510, which are ignored.
//   - 404, 405, 406, 409, 410, 412, 416, 422, 423 and 424 are successes: the
//     server has looked at its data.
//   - Every other code from 400 to 499 is ignored, because a proxy can answer
//     it while the server behind it is down.
//   - Every code below 400 is a success.
func Classify(resp *http.Response, err error) breaker.Outcome {
	if err != nil {
		return breaker.Classify(err)
	}
	switch code := resp.StatusCode; code {
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotAcceptable, http.StatusConflict, http.StatusGone,
		http.StatusPreconditionFailed, http.StatusRequestedRangeNotSatisfiable, http.StatusUnprocessableEntity,
		http.StatusLocked, http.StatusFailedDependency:
		return breaker.OutcomeSuccess
	case http.StatusNotImplemented, http.StatusHTTPVersionNotSupported, http.StatusNotExtended:
		return breaker.OutcomeIgnored
	default:
		switch {
		case code >= 500:
			return breaker.OutcomeFailure
		case code >= 400:
			return breaker.OutcomeIgnored
		}
		return breaker.OutcomeSuccess
	}
}

// A statusError is the failure that a status code reports. It is the Cause of a
// breaker.OpenError.
type statusError struct {
	code  int
	after time.Duration
}

func (e *statusError) Error() string {
	return fmt.Sprintf("breakerhttp: status %d", e.code)
}

// RetryAfter returns the pause that the server asks for, or 0.
func (e *statusError) RetryAfter() time.Duration { return e.after }

// fault reports whether err is the fault of the caller: the request could not
// be sent as it was, or the caller canceled it by Request.Cancel.
func (x *exchange) fault(err error) bool {
	if x.unsound || x.upload != nil && x.upload.fault.Load() || !sendable(x.req) {
		return true
	}
	_, address := errtree.Find[*net.AddrError](err) // such as a port above 65535
	_, file := errtree.Find[*fs.PathError](err)     // the body of the request
	return address || file || !errtree.Walk(err, func(e error) bool { return !x.faultText(e) })
}

// faults are the texts of errors of net/http that have no type.
var faults = []string{
	"http: ContentLength=",
	"http2: request body larger than specified content length",
	"http2: request header list larger than peer's advertised limit",
	"http: invalid Host header",
	"http2: invalid Host header",
	"http2: invalid Connection request header",
	"http2: invalid Transfer-Encoding request header",
	"http2: invalid Upgrade request header",
	"http2: invalid Trailer key",
}

func (x *exchange) faultText(err error) bool {
	defer func() { _ = recover() }()
	text := err.Error()
	for _, f := range faults {
		if strings.HasPrefix(text, f) {
			return true
		}
	}
	switch {
	case strings.HasPrefix(text, "unsupported protocol scheme"):
		return x.req.URL.Scheme != "http" && x.req.URL.Scheme != "https"
	case strings.HasPrefix(text, "net/http: request canceled"):
		// The caller closed Request.Cancel. The timeout of http.Client does
		// so too, at the deadline of the context.
		end, ok := x.req.Context().Deadline()
		return !ok || time.Now().Before(end)
	}
	return false
}

// sendable reports whether net/http can send req. If it cannot, its errors have
// no types. Other schemes than http and https have their own rules.
func sendable(req *http.Request) bool {
	if req.URL.Scheme != "http" && req.URL.Scheme != "https" {
		return true
	}
	if req.URL.Host == "" || req.Header == nil || req.Method != "" && !token(req.Method) {
		return false
	}
	if strings.ContainsFunc(req.URL.RequestURI(), control) {
		return false
	}
	return fields(req.Header) && fields(req.Trailer)
}

func fields(h http.Header) bool {
	for name, values := range h {
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
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return !alnum(r) && !strings.ContainsRune("!#$%&'*+-.^_`|~", r) })
}

func alnum(r rune) bool { return '0' <= r && r <= '9' || 'A' <= r && r <= 'Z' || 'a' <= r && r <= 'z' }

// control reports whether r must not be in the value of a header field.
func control(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }
