// Package ratelimit compares redoubt/ratelimit with golang.org/x/time/rate, uber-go/ratelimit, failsafe-go, throttled,
// sethvargo/go-limiter, ulule/limiter, go-chi/httprate and golang.org/x/sync/semaphore. It holds benchmarks and tests
// only. All implementations of one benchmark do the same work, which is verified before it is timed.
package ratelimit
