// Package breaker compares redoubt's breaker with other circuit breakers for
// Go. It contains only benchmarks. Its folder sim contains the simulation of a
// fleet.
package breaker
