// Package breaker compares the speed of the circuit breaker of redoubt with
// other circuit breakers. Its folder sim contains the simulation of a fleet.
package breaker
