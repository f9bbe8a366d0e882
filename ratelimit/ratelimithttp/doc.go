// Package ratelimithttp provides rate limiting middleware for HTTP servers, and
// an HTTP transport that obeys the rate limits of servers.
//
// # Limit each client of a server
//
// [Middleware] answers requests over the limit with status 429. It adds the
// fields RateLimit and RateLimit-Policy to every response.
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
// # Limit the requests in progress
//
// [Concurrency] answers requests that a concurrency limiter refuses with status
// 503.
//
//	places := bulkhead.New(bulkhead.Config{Limit: 100, MaxWait: time.Second})
//	handler := ratelimithttp.Concurrency(places)(mux)
//
// # Obey a server
//
// [Transport] pauses the requests to a host that asks for a pause. It can also
// limit the requests that it sends.
//
//	client := &http.Client{Transport: &ratelimithttp.Transport{
//		Limit: ratelimithttp.All(ratelimit.New(ratelimit.PerSecond(10))),
//	}}
//
// # Choosing values
//
//   - Behind a proxy, pass the address ranges of the proxy to [ClientIP].
//     Without them, all requests appear to come from the proxy. With ranges
//     that are too wide, a client can forge its address.
//   - [ByIP] counts the /64 prefix of an IPv6 address as one client, because a
//     single client gets that much. Many clients get a /56 or a /48: use
//     [IPKey].
//
// # Errors
//
// Refused requests are answered with a problem document (RFC 9457) and, if
// another try can succeed, Retry-After. A Transport returns a
// *[ratelimit.LimitedError] for a request that it did not send.
//
// # Concurrency and cost
//
// All functions may be used concurrently. Middleware allocates at most four
// times per request.
//
// Costs, formats and sources: docs/ratelimit.md.
package ratelimithttp
