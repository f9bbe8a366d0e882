// Package breaker compares redoubt's breaker with other circuit breakers for Go. It holds nothing but benchmarks;
// its folder sim holds the simulation of a fleet.
package breaker
