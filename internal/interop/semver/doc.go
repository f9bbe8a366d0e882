// Package semver compares the parsing, order and ranges of semver with other
// implementations, among them the npm package. Known deviations are listed with
// their reasons.
package semver
