package retryhttp

import (
	"net/http"
	"strconv"

	"github.com/redoubt-go/redoubt/retry"
)

const (
	// AttemptHeader is the name of the request header by which a Transport
	// announces an attempt after the first.
	AttemptHeader = "Retry-Attempt"

	// NoHeader, as Transport.AttemptHeader, means that there is no header.
	NoHeader = "-"
)

// Nest returns a handler that calls next, for a request with an AttemptHeader
// of 2 or more with a context that is retry.Nested. The calls that next makes
// with this context are not retried: the client retries already. So the retries
// of two processes do not multiply.
//
// A client that sends the header without need only loses retries for its own
// request. Use retry.Unnest in work whose result other requests share, such as
// the load of a cache.
func Nest(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n, err := strconv.Atoi(r.Header.Get(AttemptHeader)); err == nil && n > 1 {
			r = r.WithContext(retry.Nest(r.Context()))
		}
		next.ServeHTTP(w, r)
	})
}
