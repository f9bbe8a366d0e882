// Package retry compares redoubt's retry and retryhttp with other libraries
// that retry. It holds nothing but benchmarks and the simulation of an outage.
package retry
