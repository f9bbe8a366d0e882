//go:build !race

package redoubtotel_test

const raceEnabled = false
