//go:build race

package ratelimithttp_test

// raceEnabled says that the race detector runs, which allocates in maphash and
// slows loops down.
const raceEnabled = true
