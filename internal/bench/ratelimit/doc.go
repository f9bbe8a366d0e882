// Package ratelimit compares the speed of redoubt/ratelimit and its bulkhead
// with other rate limiters and semaphores. All implementations of a benchmark
// do the same work, which is verified before it is timed.
package ratelimit
