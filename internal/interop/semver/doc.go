// Package semver compares package semver with other implementations: versions
// and their order, and the constraints of each dialect with the tool that the
// dialect describes. Known deviations are listed with their reasons, in
// known_test.go and in docs/semver.md.
package semver
