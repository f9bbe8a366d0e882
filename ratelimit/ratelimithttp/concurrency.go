package ratelimithttp

import (
	"context"
	"net/http"
)

// Concurrency returns a function that calls a handler within g, usually a
// *bulkhead.Bulkhead. It answers a request that g refuses with status 503 and
// Retry-After: 1. If the handler panics, its place is returned.
func Concurrency(g interface {
	Do(ctx context.Context, fn func(context.Context) error) error
},
) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			entered := false
			_ = g.Do(r.Context(), func(ctx context.Context) error {
				entered = true
				next.ServeHTTP(w, r)
				return ctx.Err() // the time of a client that has gone is no measure of the server
			})
			if !entered {
				w.Header().Set("Retry-After", "1")
				problem(w, http.StatusServiceUnavailable, "temporary-reduced-capacity", "Too many requests at once", "")
			}
		})
	}
}
