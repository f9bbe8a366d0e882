// Package retryhttp contains http.RoundTrippers that retry HTTP requests and
// hedge them.
//
// An HTTP request is more than a function call. Its body can be read only once,
// the response of a failed attempt occupies a connection until it is drained,
// and a POST that is sent twice may order twice. [Transport] handles all that.
//
//	client := &http.Client{
//		Transport: &retryhttp.Transport{Policy: retry.Policy{MaxAttempts: 4}},
//		Timeout:   30 * time.Second,
//	}
//	resp, err := client.Get(url)
//
// # What is retried
//
// A request that is [Idempotent] is retried after an error or a status that is
// [Retryable]. Any other request is retried only if it cannot have been sent:
// no connection was made, or a guard below refused it. A request with a body
// needs GetBody, which http.NewRequest sets for the usual types, or MaxBuffer.
// A Retry-After header sets the pause.
//
// # Timeouts and hedging
//
// Client.Timeout covers all attempts and pauses together. AttemptTimeout covers
// an attempt until its headers arrive. Use one Transport per client, and put a
// [Hedge] below it:
//
//	client := &http.Client{
//		Transport: &retryhttp.Transport{Base: &retryhttp.Hedge{}},
//	}
//
// A request that is sent again has the header [AttemptHeader]. On a server the
// handler [Nest] reads it, so that the retries of two processes do not
// multiply. A [Deadline] bounds the work of a server by the time that its
// client waits.
//
// # Errors
//
// If the last attempt received a response, the caller gets that response, with
// its body unread. Otherwise the error is a *retry.Error, with an exception: if
// the first attempt fails with an error that is not retryable, that error is
// passed on unchanged.
//
// # Concurrency and cost
//
// A Transport and a Hedge may be used by any number of goroutines at once. They
// never modify the request, and close its body once. For a GET that succeeds
// at once they add no allocation to net/http.
//
// Costs, formats and sources: docs/retry.md
package retryhttp
