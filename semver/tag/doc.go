// Package tag parses the tags of container images and repositories, and
// chooses the latest tag.
//
// A tag is rarely a plain semantic version: contrib/redis/v0.1.0 has a prefix,
// 20-alpine3.19 has a variant, 1.27 lacks a number, and the cluster version
// v1.34.1-eks-3025e55 is a vendor's build of 1.34.1. A [Format] describes the
// tags of a repository. A [Tag] contains the version and keeps the text that
// was pushed.
//
// # Choose the latest tag
//
//	want := semver.In(semver.MustParseRange("^1.26"))
//	format := tag.Format{Variant: "alpine*"}
//	best, ok := format.Latest(slices.Values(pushed), want)
//
// # Read the tags of a nested module
//
//	module := tag.Format{Prefix: "contrib/redis/"}
//	t, err := module.Parse("contrib/redis/v0.1.0")
//
// # Count a vendor's build as its release
//
// As a semantic version, v1.34.1-eks-3025e55 is a pre-release and below 1.34.1.
// With Vendors, the vendor's part becomes build metadata, and the build
// satisfies >=1.34.1:
//
//	cluster := tag.Format{Vendors: []string{"eks", "gke", "k3s"}}
//	t, err := cluster.Parse("v1.34.1-eks-3025e55")
//
// # Find a version in a text
//
//	v, ok := tag.Coerce("release of version 2.4 (stable)")
//
// # Errors
//
// [Format.Parse] returns [ErrFormat] for a tag with another prefix or variant,
// and a [*semver.ParseError] for a malformed version.
//
// # Concurrency and cost
//
// All functions are safe for concurrent use. [Format.Parse] refuses a tag with
// more than 512 bytes behind its prefix, and [Coerce] searches 8192 bytes.
//
// Costs, formats and sources: docs/semver.md.
package tag
