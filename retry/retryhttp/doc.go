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
// # Timeouts
//
// AttemptTimeout covers an attempt until its headers arrive. Client.Timeout
// covers all attempts, all pauses and the body.
//
//	policy := retry.Policy{AttemptTimeout: 2 * time.Second}
//	client := &http.Client{
//		Transport: &retryhttp.Transport{Policy: policy},
//		Timeout:   10 * time.Second,
//	}
//
// The context of an attempt that takes longer ends with
// context.DeadlineExceeded. The attempt is retried, and a circuit breaker below
// counts a failure. After the headers the body may take longer.
//
// # Hedging
//
// A [Hedge] sends a request again while the first attempt is slow. Put it below
// the Transport, and a breaker below the Hedge. Only requests that are [Safe]
// are hedged.
//
//	client := &http.Client{
//		Transport: &retryhttp.Transport{Base: &retryhttp.Hedge{}},
//	}
//
// # Between processes
//
// A request that is sent again has the header [AttemptHeader]. On a server the
// handler [Nest] reads it, so that the retries of two processes do not
// multiply. A [Deadline] bounds the work of a server by the time that its
// client waits.
//
// # Statuses as errors
//
// A function that returns a value needs an error for each status that is no
// success. [Check] makes it, with the pause that the server asks for:
//
//	defer resp.Body.Close()
//	if err := retryhttp.Check(resp); err != nil {
//		return nil, err
//	}
//	return io.ReadAll(resp.Body)
//
// # Errors
//
// If the last attempt received a response, the caller gets that response, with
// its body unread. Its Request has the AttemptHeader of that attempt. Otherwise
// the error is a *retry.Error, with an exception: if the first attempt fails
// and is not retried, its error is passed on unchanged. A response that was
// discarded for an attempt that then came too late is a [*StatusError].
//
// # Concurrency and cost
//
// A Transport and a Hedge may be used by any number of goroutines at once. They
// never modify the request, and close its body once. For a GET that succeeds at
// once a Transport adds no allocation to net/http, or 3 with an AttemptTimeout.
//
// Costs, formats and sources: docs/retry.md
package retryhttp
