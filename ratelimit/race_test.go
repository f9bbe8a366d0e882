//go:build race

package ratelimit_test

// raceEnabled says that the race detector runs, which allocates in maphash and
// slows loops down.
const raceEnabled = true
