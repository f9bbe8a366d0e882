//go:build race

package retry_test

// raceEnabled reports whether the race detector is on, which makes millions of
// switches between goroutines slow.
const raceEnabled = true
