// Package semver compares redoubt/semver with its peers: benchmarks in one
// run, and differential tests whose known deviations are listed with reasons.
package semver
