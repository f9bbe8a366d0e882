// Package breakerhttp guards an http.Client with circuit breakers.
//
// # One breaker per host
//
//	perHost := breaker.NewGroup(breaker.GroupConfig[string]{Max: 1000})
//	guard := &breakerhttp.Transport{Gate: breakerhttp.PerHost(perHost)}
//	client := &http.Client{Transport: guard}
//	for {
//		resp, err := client.Get(url)
//		if errors.Is(err, breaker.ErrOpen) {
//			break // the host is failing: nothing was sent
//		}
//
// # How responses count
//
// Status 500, 502, 503 or 504 is a failure. Status 429 is ignored. Every other
// response is a success. The response is returned unchanged, with its body
// open. Package breaker judges errors, with the context of the request. A call
// ends when the header of the response has arrived.
//
// If a failure opens the breaker and the response has a Retry-After header,
// the breaker stays open for at least as long, up to its MaxOpenFor.
//
// Costs, formats and sources: docs/breaker.md.
package breakerhttp
