// Package retry compares the speed of redoubt/retry and retryhttp with other
// libraries that retry.
package retry
