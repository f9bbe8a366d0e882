// Package retry compares redoubt's retry and retryhttp with other libraries that retry. It holds nothing but benchmarks.
package retry
