// Package audithttp is HTTP middleware for the audit trail: it records each
// request before the handler runs and its outcome afterwards.
//
// Middleware sees every request, also the request that no handler expects. A
// request that cannot be recorded is not served.
//
// # Record the requests of a server
//
//	record := audithttp.Middleware(audithttp.Config{
//		Log:   log,
//		Actor: session,
//	})
//	handler := record(mux)
//
// The handler's context carries the actor, the source and the request ID, so
// that the events of the handler have them too.
//
// # Name actions and targets
//
//	orders := audithttp.Middleware(audithttp.Config{
//		Log: log,
//		Action: func(r *http.Request) audit.Action {
//			return audit.Action("order." + strings.ToLower(r.Method))
//		},
//		Target: func(r *http.Request) audit.Target {
//			return audit.Target{Type: "order", ID: r.PathValue("id")}
//		},
//	})
//	mux.Handle("/orders/{id}", orders(next))
//
// # Find the client behind a proxy
//
// Without [Config.Client], the source is the TCP peer. Behind a proxy, use a
// function that reads the header field of that proxy, such as ClientIP of
// package ratelimit/ratelimithttp:
//
//	behind := audithttp.Middleware(audithttp.Config{
//		Log:    log,
//		Client: clientIP,
//	})
//
// # Choosing values
//
//   - [Config.Actor]: it runs before the handler, so authenticate outside this
//     middleware or in this function. Without an actor the request is denied,
//     unless the log allows anonymous events.
//   - [Config.Target]: the default contains the path. Set Target if paths
//     contain secrets, such as links to reset a password.
//   - [Config.Skip]: only for requests such as health checks.
//
// # Errors
//
// If the attempt cannot be recorded, the answer is 503 with Retry-After. If
// there is no actor, it is 401. Both are problem documents (RFC 9457). If the
// outcome cannot be recorded, the response has already been sent:
// [Config.OnError] is called, and [audit.Log.Stats] counts the event.
//
// # Concurrency and cost
//
// Middleware may be used concurrently. A request costs two events. Bodies,
// queries and header fields are never recorded.
//
// Costs, formats and sources: docs/audit.md.
package audithttp
