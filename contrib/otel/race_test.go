//go:build race

package redoubtotel_test

const raceEnabled = true
