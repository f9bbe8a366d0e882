// Package semver compares the speed of redoubt/semver with other
// implementations of semantic versions.
package semver
