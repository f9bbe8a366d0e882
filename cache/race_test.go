//go:build race

package cache_test

// underRace reports that the race detector is on, which makes allocations of
// its own.
const underRace = true
