package retryhttp

import (
	"fmt"
	"log/slog"
	"net/http"
	"time"
)

// A StatusError stands for a response that is no success: the result of
// [Check], or a response that was retried, in events and in the history of a
// *retry.Error.
type StatusError struct {
	StatusCode int         // of the response
	Header     http.Header // of the response

	retryAfter time.Duration
	resp       *http.Response
	discarded  bool // the body of resp is gone
}

func newStatusError(resp *http.Response) *StatusError {
	d, _ := RetryAfter(resp.Header, time.Now())
	return &StatusError{StatusCode: resp.StatusCode, Header: resp.Header, retryAfter: d, resp: resp}
}

// Check returns nil if the status of resp is from 200 to 299, and otherwise a
// [*StatusError]. It neither reads nor closes the body.
//
// A loader of a cache, and a function that a retry or a circuit breaker
// guards, returns the error, so that they know whether to go on, and when.
func Check(resp *http.Response) error {
	if resp.StatusCode >= 200 && resp.StatusCode <= 299 {
		return nil
	}
	e := newStatusError(resp)
	e.resp = nil
	return e
}

// Error returns a text such as "retryhttp: 503 Service Unavailable".
func (e *StatusError) Error() string {
	return fmt.Sprintf("retryhttp: %d %s", e.StatusCode, http.StatusText(e.StatusCode))
}

// RetryAfter returns the pause that the response asked for, or 0 if it asked
// for none. It makes retry.Do wait.
func (e *StatusError) RetryAfter() time.Duration { return e.retryAfter }

// Answered reports whether the status shows that the server has looked at its
// data, such as 404 or 409. A circuit breaker counts such an answer as a
// success, by the list of package breakerhttp.
func (e *StatusError) Answered() bool {
	switch e.StatusCode {
	case 404, 405, 406, 409, 410, 412, 416, 422, 423, 424:
		return true
	}
	return false
}

// Retryable reports whether the response was retried, or would be by default.
func (e *StatusError) Retryable() bool {
	return e.resp != nil || Retryable(nil, &http.Response{StatusCode: e.StatusCode}, nil)
}

var _ slog.LogValuer = (*StatusError)(nil)

// LogValue returns the status code and the pause that the response asked for
// as a group.
func (e *StatusError) LogValue() slog.Value {
	attrs := []slog.Attr{slog.Int("status", e.StatusCode)}
	if e.retryAfter > 0 {
		attrs = append(attrs, slog.Duration("retry_after", e.retryAfter))
	}
	return slog.GroupValue(attrs...)
}
