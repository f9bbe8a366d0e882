//go:build !race

package ratelimithttp_test

const raceEnabled = false
