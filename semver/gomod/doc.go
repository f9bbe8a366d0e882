// Package gomod reads and makes the versions of the Go toolchain: the
// pseudo-version of a commit, the name of a toolchain, and the versions that a
// retract directive names.
//
// Go writes all of them in its own form. The functions of this package convert
// them from and to a [semver.Version] or a [semver.Range], which then compare,
// sort and combine like any other.
//
// # Read a pseudo-version
//
//	v, err := semver.AllowV.Parse("v1.2.4-0.20191109021931-daa7c04131f5")
//	p, ok := gomod.ParsePseudo(v)
//
// # Compare toolchains
//
//	have, err := gomod.ParseToolchain("go1.26.0")
//	need, err := gomod.ParseToolchain("1.26rc2")
//	ok := !have.Less(need)
//
// # Leave retracted versions out
//
//	retracted, err := gomod.ParseRetract("[v1.0.0, v1.1.0]")
//	ok := !retracted.Contains(semver.New(1, 0, 3))
//
// # Errors
//
// A malformed text gives a [*semver.ParseError].
//
// # Concurrency and cost
//
// All functions are safe for concurrent use and take linear time.
//
// Costs, formats and sources: docs/semver.md.
package gomod
