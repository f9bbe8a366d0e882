// Package retryhttp has http.RoundTrippers that retry and hedge requests.
//
// A request is more than a function call: its body can be read once, the
// response of a failed attempt holds a connection until it is drained, and a
// POST sent twice may order twice. Transport knows these rules.
//
//	client := &http.Client{
//		Transport: &retryhttp.Transport{Policy: retry.Policy{MaxAttempts: 4}},
//		Timeout:   30 * time.Second,
//	}
//	resp, err := client.Get(url)
//
// # What is retried
//
// Requests that are Idempotent, after an error or a status that is Retryable;
// any other request only if it cannot have been sent, since no connection was
// made or a guard below refused it. A request with a body needs GetBody, which
// http.NewRequest sets for the usual types, or MaxBuffer. A Retry-After header
// sets the pause.
//
// # Errors
//
// Once there is a response, the caller gets a response: when no attempt is
// left, that of the last one, its body unread. A *retry.Error comes back when
// the last of several attempts had no response, or the request's context ended
// the call. The error of a request that was sent once is that of the transport
// below, unchanged.
//
// # Concurrency
//
// A Transport and a Hedge may be used by any number of goroutines. The
// request given is never modified, and its body is closed once.
//
// # Composition
//
// Client.Timeout covers all attempts and pauses together; AttemptTimeout covers
// one attempt until its headers are there. Use one Transport per client, with
// the Hedge below it if there is one:
//
//	&retryhttp.Transport{Base: &retryhttp.Hedge{Base: base}}
//
// # Source
//
// RFC 9110 (methods, status codes, Retry-After), RFC 6585 (429), RFC 8470
// (425), and the contract of http.RoundTripper.
package retryhttp
