// Package breakerhttp guards an HTTP client with a breaker.
//
//	perHost := breaker.NewGroup(breaker.GroupConfig[string]{Max: 1000})
//	client := &http.Client{Transport: &breakerhttp.Transport{Gate: breakerhttp.PerHost(perHost)}}
//	for {
//		resp, err := client.Get(url)
//		if errors.Is(err, breaker.ErrOpen) {
//			break // the host is failing: nothing was sent
//		}
//
// A response with status 500, 502, 503 or 504 counts as a failure and is returned intact, its body open; status 429
// says that the server is well and is ignored; every other response is a success. An error counts as the package
// breaker judges it, with the context of the request. A call ends when the header of the response has arrived: what
// happens to the body is not seen.
//
// If a failing response opens the breaker and has a Retry-After header, the breaker stays open for as long, within its
// MaxOpenFor.
package breakerhttp
