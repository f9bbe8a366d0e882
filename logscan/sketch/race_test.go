//go:build race

package sketch_test

// raceEnabled: the race runtime allocates on its own, so allocations are not
// asserted under it.
const raceEnabled = true
