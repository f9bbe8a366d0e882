package retryhttp

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// TimeoutHeader is the usual name for Transport.TimeoutHeader and
// Deadline.Header.
const TimeoutHeader = "Request-Timeout-Ms"

// A Deadline bounds the time of requests on a server by the time that their
// clients wait, as announced in a request header. The zero value is ready for
// use.
type Deadline struct {
	_ [0]func() // not comparable

	// Header is the name of the header with the client's time in milliseconds.
	// Empty means TimeoutHeader. A value that is not a number is ignored.
	Header string

	// Margin is subtracted from the client's time, for the way back. Zero or
	// negative means nothing.
	Margin time.Duration

	// Min is the shortest time in which a request can be answered. A request
	// with less time is refused with status 504 Gateway Timeout, and its work
	// does not start. Zero or negative means 1 ms.
	Min time.Duration

	// Max bounds the client's time, and is the time of requests without the
	// header. Zero or negative means no bound.
	Max time.Duration
}

// Validate reports every field whose value is out of range.
func (d Deadline) Validate() error {
	if d.Max > 0 && d.Min > d.Max {
		return fmt.Errorf("retryhttp: Deadline.Min is %v, want at most Max, %v", d.Min, d.Max)
	}
	return nil
}

// Handler returns a handler that calls next with a context that ends with the
// client's time.
func (d Deadline) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		left, ok := d.left(r.Header)
		if !ok {
			next.ServeHTTP(w, r)
			return
		}
		if left < max(d.Min, time.Millisecond) {
			http.Error(w, "too little time left", http.StatusGatewayTimeout)
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), left)
		defer cancel()
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// left returns the time of a request, and whether it is bounded.
func (d Deadline) left(h http.Header) (left time.Duration, ok bool) {
	name := d.Header
	if name == "" {
		name = TimeoutHeader
	}
	// Times over a century are as good as none.
	const most = 100 * 365 * 24 * time.Hour
	ms, err := strconv.ParseUint(h.Get(name), 10, 63)
	if err != nil {
		return d.Max, d.Max > 0
	}
	left = time.Duration(min(ms, uint64(most/time.Millisecond)))*time.Millisecond - max(d.Margin, 0)
	if d.Max > 0 {
		left = min(left, d.Max)
	}
	return left, true
}
