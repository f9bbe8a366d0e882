// Package ratelimithttp limits the requests of an HTTP server, and makes an HTTP client obey the limits of others.
//
//	perIP := ratelimit.NewKeyed[string](ratelimit.KeyedConfig{Limit: ratelimit.PerMinute(60)})
//	limit := ratelimithttp.Middleware(ratelimithttp.Config{
//		Store: ratelimit.Local(perIP),
//		Key:   ratelimithttp.ByIP(ratelimithttp.ClientIP()),
//	})
//	handler := limit(mux)
//
// # Choosing values
//
// Behind a proxy, name its addresses to [ClientIP]: without, all requests seem to come from the proxy; and with more
// than its own, any client can pretend to be any other. [ByIP] counts the whole /64 of an IPv6 address as one client,
// since that is what a single one gets; many get a /56 or a /48, for which [IPKey] can be told.
//
// # Errors
//
// A request over the limit is answered with status 429 and one over a bulkhead with 503, a problem document of RFC 9457
// and Retry-After. [ParseRateLimit] reports a field that is not well-formed. A client's [Transport] returns a
// *ratelimit.LimitedError for a request that it did not send.
//
// # Source
//
// The fields RateLimit and RateLimit-Policy are those of draft-ietf-httpapi-ratelimit-headers-10, as structured fields
// of RFC 9651.
package ratelimithttp
