// Package retry compares the speed of redoubt/retry and retryhttp with other
// libraries that retry. It also simulates a server in an outage.
package retry
