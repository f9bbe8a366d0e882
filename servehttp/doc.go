// Package servehttp contains the two ends of an HTTP server: it turns errors
// into answers (problem details, RFC 9457), and it shuts the server down
// without losing requests (graceful shutdown).
//
// A handler gets errors of many kinds: an open circuit breaker, a full
// bulkhead, a permission that is missing, a deadline. Each has its status, and
// some know when another try can succeed. A server that ends has an order to
// keep, too: main must not return before the last request has been answered,
// and a log must not be closed before.
//
// # Answer an error
//
// [Error] has the signature of the field Refuse of package
// [github.com/redoubt-go/redoubt/ratelimit/ratelimithttp], and replaces
// http.Error in a handler:
//
//	if err := pay(r.Context()); err != nil {
//		servehttp.Error(w, r, err)
//		return
//	}
//
// [Status] returns the decision alone, for a body in a form of your own.
// [WithStatus] gives an error of the program a status:
//
//	return servehttp.WithStatus(http.StatusConflict, errSoldOut)
//
// # Serve until the program is told to end
//
//	err := servehttp.Run(ctx, servehttp.Config{
//		Server: &http.Server{Addr: addr, Handler: handler},
//		Grace:  20 * time.Second,
//		Close:  []func(context.Context) error{events.Close},
//	})
//
// # Choosing values
//
//   - Config.Grace: a little more than the longest request, and less than the
//     time after which the platform kills the program.
//   - Config.Linger: the time in which load balancers notice that the program
//     is not ready. A few seconds in Kubernetes, zero without a load balancer.
//
// # Errors
//
// [Run] returns nil after a clean shutdown. [Error] returns nothing, and never
// writes the text of the error, which can contain host names and secrets. Log
// it.
//
// # Concurrency and cost
//
// All functions may be called concurrently. Run starts a goroutine, which ends
// before Run returns.
//
// The table of statuses: docs/service.md.
package servehttp
