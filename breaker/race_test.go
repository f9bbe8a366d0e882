//go:build race

package breaker_test

// raceEnabled says that the race detector runs, which makes loops of millions
// of operations slow.
const raceEnabled = true
