// Package breakerhttp guards an http.Client with circuit breakers, and answers
// the callers of a server whose breaker is open.
//
// An HTTP exchange fails in many ways: before it is sent, in the header, in the
// body, by a timeout. A breaker needs to know whose fault that was. [Transport]
// judges the whole exchange, until the end of the body.
//
// # A breaker for each host
//
//	perHost := breaker.NewGroup(breaker.GroupConfig[string]{})
//	client := &http.Client{
//		Transport: &breakerhttp.Transport{Gate: breakerhttp.PerHost(perHost)},
//		Timeout:   10 * time.Second,
//	}
//	fetch := func(url string) ([]byte, error) {
//		resp, err := client.Get(url)
//		if err != nil {
//			return nil, err // is breaker.ErrOpen if nothing was sent
//		}
//		defer resp.Body.Close()
//		return io.ReadAll(resp.Body)
//	}
//
// [One] guards all requests with the same breaker.
//
// # What counts
//
//   - Statuses count as [Classify] describes: most codes above 499 are
//     failures, and most codes from 400 to 499 are ignored.
//   - An error of the connection, in the header or in the body is a failure. A
//     call ends with the body. Its duration ends with the header, so that a
//     long body is not slow. A body that still arrives after 5 seconds is a
//     success.
//   - The faults of the caller are ignored, such as a request that cannot be
//     sent, or a request body that cannot be read. So is a canceled request.
//     [breaker.Outcome] describes timeouts, also of http.Client.
//   - An upgrade or a stream of events counts when its header arrives.
//
// If a failure opens the breaker and the response has a Retry-After header, the
// breaker stays open for at least as long, up to its MaxOpenFor.
//
// # Several endpoints
//
// [Pool] sends requests to endpoints that are well.
//
//	regions := breaker.NewPool(breaker.PoolConfig[string]{
//		Endpoints: []string{eu.URL, us.URL}, // such as "https://eu.example.com"
//		Ordered:   true,
//	})
//	client := &http.Client{Transport: &breakerhttp.Pool{Endpoints: regions}}
//
// # In a server
//
// [Refuse] answers a request that a breaker refused.
//
//	case breakerhttp.Refuse(w, err):
//		return // answered with status 503 and Retry-After
//
// # Choosing values
//
//   - Put the Transport and the Hedge of package retryhttp above this
//     Transport. Then each request that is sent is counted, an open breaker
//     refuses hedges too, and a Pool sends them to another endpoint.
//   - Set http.Client.Timeout or a deadline. Without it, calls that hang are
//     noticed, but their goroutines wait forever.
//   - Close every body. A body that is neither read to its end nor closed is a
//     call that never ends.
//
// # Errors
//
// A refusal is an error of [breaker.Gate], such as a [*breaker.OpenError]. All
// other errors and all responses come from the base, unchanged.
//
// # Concurrency and cost
//
// A Transport and a Pool may be used by any number of goroutines at once. A
// Transport adds one allocation to an exchange, and [PerHost] adds the key.
//
// Costs, formats and sources: docs/breaker.md.
package breakerhttp
