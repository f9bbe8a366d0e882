//go:build race

package sketch_test

// The race runtime allocates on its own, so tests do not assert allocations.
const raceEnabled = true
