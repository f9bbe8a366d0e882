package servehttp

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/redoubt-go/redoubt/audit"
	"github.com/redoubt-go/redoubt/cache"
	"github.com/redoubt-go/redoubt/internal/errtree"
	"github.com/redoubt-go/redoubt/ratelimit"
	"github.com/redoubt-go/redoubt/retry"
	"github.com/redoubt-go/redoubt/retry/retryhttp"
)

// StatusClientClosed is the status of a request whose client has gone. No
// client sees it, but logs and metrics do. It is the number that nginx uses.
const StatusClientClosed = 499

// WithStatus returns err with a status from 400 to 599, for [Status] and
// [Error]. The text of err stays the same. WithStatus(status, nil) is nil. It
// panics if the status is out of range.
func WithStatus(status int, err error) error {
	if status < 400 || status > 599 {
		panic("servehttp: WithStatus: status " + strconv.Itoa(status) + ", want 400 to 599")
	}
	if err == nil {
		return nil
	}
	return &marked{err, status}
}

type marked struct {
	error
	status int
}

func (m *marked) Unwrap() error { return m.error }

// Status returns the status code that answers a request that failed with err.
// It also returns the time after which the client may try again, or 0 if that
// is unknown. The first line that applies decides:
//
//   - the status of [WithStatus]
//   - 413 for a *[http.MaxBytesError]
//   - 401 for [audit.ErrNoActor]
//   - 503 for a *[audit.DeniedError] whose rule could not decide, otherwise
//     403 for [audit.ErrDenied]
//   - 422 for [audit.ErrInvalid], 404 for [audit.ErrUnset]
//   - 404 for [cache.ErrNotFound]
//   - 500 for [audit.ErrUnrecorded], because the work has been done
//   - 429 for a *[ratelimit.LimitedError]
//   - 503 for every other refusal: an error with a method Rejected() bool that
//     returns true, such as an open circuit breaker or a full bulkhead
//   - 503 for [audit.ErrFailed], [audit.ErrUncertain], [retry.ErrBudget] and
//     [retry.ErrRetryAfter]
//   - 504 for [context.DeadlineExceeded], and for a [net.Error] that is a
//     timeout
//   - 503 for [context.Canceled]
//   - 502 for a *[retryhttp.StatusError], and for every other [net.Error]
//   - 500 for every other error
//
// The time is from the method RetryAfter() time.Duration of err.
func Status(err error) (status int, retryAfter time.Duration) {
	signs := errtree.Read(err)
	status = code(err, signs)
	if status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable {
		retryAfter = max(signs.RetryAfter, 0)
	}
	return status, retryAfter
}

func code(err error, signs errtree.Signs) int {
	is := func(targets ...error) bool {
		for _, target := range targets {
			if errtree.Is(err, target) {
				return true
			}
		}
		return false
	}
	if m, ok := errtree.Find[*marked](err); ok {
		return m.status
	}
	switch {
	case has[*http.MaxBytesError](err):
		return http.StatusRequestEntityTooLarge
	case is(audit.ErrNoActor):
		return http.StatusUnauthorized
	case is(audit.ErrDenied):
		if signs.HasRetryable && signs.Retryable { // the rule could not decide
			return http.StatusServiceUnavailable
		}
		return http.StatusForbidden
	case is(audit.ErrInvalid):
		return http.StatusUnprocessableEntity
	case is(audit.ErrUnset, cache.ErrNotFound):
		return http.StatusNotFound
	case is(audit.ErrUnrecorded):
		return http.StatusInternalServerError
	case has[*ratelimit.LimitedError](err):
		return http.StatusTooManyRequests
	case signs.Rejected, is(audit.ErrFailed, audit.ErrUncertain, retry.ErrBudget, retry.ErrRetryAfter):
		return http.StatusServiceUnavailable
	case is(context.DeadlineExceeded):
		return http.StatusGatewayTimeout
	case is(context.Canceled):
		return http.StatusServiceUnavailable
	case has[*retryhttp.StatusError](err):
		return http.StatusBadGateway
	}
	if e, ok := errtree.Find[net.Error](err); ok && e.Timeout() {
		return http.StatusGatewayTimeout
	} else if ok {
		return http.StatusBadGateway
	}
	return http.StatusInternalServerError
}

func has[T any](err error) bool {
	_, ok := errtree.Find[T](err)
	return ok
}

// A problem is a problem document. Without a type, its title is the text of
// the status.
type problem struct {
	Type   string  `json:"type,omitempty"`
	Title  string  `json:"title"`
	Status int     `json:"status"`
	Errors []fault `json:"errors,omitempty"`
}

// A fault is a field that the client has to correct.
type fault struct {
	Field string     `json:"field"`
	Code  audit.Code `json:"code"`
}

// maxFaults bounds the fields in a problem document.
const maxFaults = 32

// Error answers a request that failed with err: with the status and the
// Retry-After of [Status], and a problem document (RFC 9457). If the client has
// gone, the status is [StatusClientClosed]. A Retry-After that is already set
// stays, if err names no time.
//
// The document contains nothing of the text of err. For status 422 it lists the
// fields and codes of the *[audit.FieldError] values in the tree of err. An
// answer with status 401 needs a header WWW-Authenticate: set it before.
//
// Do not call Error after the response has begun.
func Error(w http.ResponseWriter, r *http.Request, err error) {
	status, retryAfter := Status(err)
	if errors.Is(r.Context().Err(), context.Canceled) && !has[*marked](err) {
		status, retryAfter = StatusClientClosed, 0
	}
	h := w.Header()
	for _, name := range [...]string{"Content-Length", "Content-Encoding", "Etag", "Last-Modified"} {
		h.Del(name) // of the response that did not come about
	}
	if retryAfter > 0 {
		h.Set("Retry-After", strconv.FormatInt(seconds(retryAfter), 10))
	}
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	body, _ := json.Marshal(document(status, err)) // has no value that JSON cannot encode
	_, _ = w.Write(append(body, '\n'))             // the client may be gone
}

// seconds rounds up.
func seconds(d time.Duration) int64 {
	s := int64(d / time.Second)
	if d%time.Second > 0 {
		s++
	}
	return s
}

func document(status int, err error) problem {
	const registry = "https://iana.org/assignments/http-problem-types#"
	p := problem{Title: http.StatusText(status), Status: status}
	switch status {
	case StatusClientClosed:
		p.Title = "Client Closed Request"
	case http.StatusTooManyRequests:
		p.Type, p.Title = registry+"quota-exceeded", "Quota exceeded"
	case http.StatusServiceUnavailable:
		p.Type, p.Title = registry+"temporary-reduced-capacity", "Temporary reduced capacity"
	case http.StatusUnprocessableEntity:
		errtree.Walk(err, func(e error) bool {
			if f, ok := e.(*audit.FieldError); ok && f != nil {
				p.Errors = append(p.Errors, fault{f.Field, f.Code})
			}
			return len(p.Errors) < maxFaults
		})
	}
	return p
}
