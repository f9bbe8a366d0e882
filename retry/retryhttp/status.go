package retryhttp

import (
	"fmt"
	"log/slog"
	"net/http"
	"time"
)

// A StatusError stands for a response that was retried, in events and in the
// history of a *retry.Error.
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

// Error returns a text such as "retryhttp: 503 Service Unavailable".
func (e *StatusError) Error() string {
	return fmt.Sprintf("retryhttp: %d %s", e.StatusCode, http.StatusText(e.StatusCode))
}

// RetryAfter returns the pause that the response asked for, or 0 if it asked
// for none. It makes retry.Do wait.
func (e *StatusError) RetryAfter() time.Duration { return e.retryAfter }

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
