//go:build race

package cache_test

// underRace says that the race detector is on: it allocates on its own account.
const underRace = true
