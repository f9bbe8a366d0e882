// Package ratelimithttp provides rate limiting middleware for HTTP servers, and
// an HTTP transport that obeys the rate limits of servers.
//
// A server that limits its clients protects itself, but a refused request is
// work for both sides. So the server announces its limits in the fields
// RateLimit and RateLimit-Policy, and a client that reads them is not refused.
//
// # Limit each client of a server
//
// [Middleware] answers requests over the limit with status 429. It adds the
// fields to every response.
//
//	perIP := ratelimit.NewKeyed[string](ratelimit.KeyedConfig{
//		Limit: ratelimit.PerMinute(60),
//	})
//	limit := ratelimithttp.Middleware(ratelimithttp.Config{
//		Store: ratelimit.Local(perIP),
//		Key:   ratelimithttp.ByIP(ratelimithttp.ClientIP()),
//	})
//	handler := limit(mux)
//
// [Config].Refuse replaces the answer, and its OnEvent reports refusals. A
// handler that calls a limiter itself uses [AddFields] and [WriteError].
//
// # Limit the requests in progress
//
// [Concurrency] answers requests that a concurrency limiter refuses with status
// 503. Weights and priorities are chosen in Acquire.
//
//	places := bulkhead.New(bulkhead.Config{Limit: 100, MaxWait: time.Second})
//	room := ratelimithttp.Concurrency(ratelimithttp.ConcurrencyConfig{
//		Acquire: func(r *http.Request) (ratelimithttp.Permit, error) {
//			return places.Acquire(r.Context())
//		},
//	})
//	handler := room(mux)
//
// # Obey a server
//
// [Transport] sends requests no faster than a host allows. It can also limit
// the requests that it sends.
//
//	client := &http.Client{Transport: &ratelimithttp.Transport{
//		Limit: ratelimithttp.All(ratelimit.New(ratelimit.PerSecond(10))),
//	}}
//
// # Choosing values
//
//   - Behind a proxy, pass the address ranges of the proxy to [ClientIP] or, if
//     it sets the Forwarded field, to [ForwardedIP]. Without them, all requests
//     appear to come from the proxy. With ranges that are too wide, a client
//     can forge its address.
//   - [ByIP] counts the /64 prefix of an IPv6 address as one client, because a
//     single client gets that much. Many clients get a /56 or a /48: use
//     [IPKey].
//   - [Transport].Quotas selects the fields of a server: see [ParseAny].
//
// # Errors
//
// Refused requests are answered with a problem document (RFC 9457) and, if
// another try can succeed, Retry-After. A Transport returns a
// *[ratelimit.LimitedError] for a request that it did not send.
//
// # Concurrency and cost
//
// All functions may be used concurrently. Middleware allocates at most three
// times per admitted request.
//
// Costs, formats and sources: docs/ratelimit.md.
package ratelimithttp
