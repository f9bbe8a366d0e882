// Package breaker tests that the circuit breaker of redoubt and other circuit
// breakers admit the same calls where their settings have the same meaning.
package breaker
