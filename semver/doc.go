// Package semver parses semantic versions and version constraints, and decides
// which version may be deployed.
//
// A [Version] is a comparable value with numbers of any size. A version
// constraint is a [Range]: a set that is parsed in the language of npm, Cargo,
// Helm or Terraform, and then united, intersected, subtracted and compared
// exactly, pre-releases included.
//
// # Choose a version
//
// Parse a constraint, and ask for the highest published version that it
// contains:
//
//	want := semver.MustParseRange("^1.2 || >=3.1 <4")
//	vuln := semver.Below(semver.New(1, 4, 2))
//	best, ok := want.Difference(vuln).Max(slices.Values(available))
//
// # Gate a deployment
//
// A [Rule] is a func(Version) error. [Rules] joins rules, and the error of
// the gate contains every [Violation]:
//
//	gate := semver.Rules(
//		semver.In(want),
//		semver.Named("vulnerable", semver.NotIn(vuln)),
//		semver.Stable,
//		semver.NoDowngrade(running),
//	)
//	err := gate(semver.MustParse("1.4.0"))
//
// # Read what a tool reads
//
// The same text means different sets to different tools, so name the
// [Dialect]. Each dialect has a rule for pre-releases, and [Dialect.With] sets
// another rule:
//
//	chart, err := semver.Helm.ParseRange(">=1.19-0")
//	admit, err := semver.NPM.With(semver.PreAll).ParseRange(">=1.19")
//
// # Find versions in a store
//
// The key of a version sorts as the version does. Every interval of a range is
// then a scan of an ordered store:
//
//	for iv := range r.Intervals() {
//		lo, _ := iv.Lo.MarshalBinary()
//		hi, _ := iv.Hi.MarshalBinary()
//		scan(lo, hi)
//	}
//
// # Choosing values
//
//   - [Parse] is strict. For texts from people use a [Mode]: AllowV.Parse for
//     Go modules, Tolerant.Parse for most others. Package tag parses the tags
//     of images and repositories.
//   - [Version.Compare] is precedence, in which 1.0.0+a and 1.0.0+b are equal.
//     == and [Version.CompareTotal] distinguish them.
//   - In npm and Cargo, a range contains a pre-release only if it names a
//     pre-release of the same three numbers. So >=1.19 lacks
//     1.34.1-eks-3025e55. [PreAll] admits it. A bound such as >=1.34.1 still
//     excludes it, because a pre-release is below its release; package tag can
//     count a vendor's build as its release.
//   - [AtLeast], [Above], [AtMost], [Below], [Between], [Closed] and [Exactly]
//     use plain precedence, in which Below(2.0.0) contains 2.0.0-rc.1.
//     Advisories, see package advisory, use the same order.
//   - An empty npm range or alternative means every release.
//
// # Errors
//
// A text that cannot be parsed gives a [*ParseError] with the offset and the
// class of the fault, for instance [ErrSyntax]. A rule and [Range.Check] return
// a [*Violation] with the rule and the class, for instance [ErrPrerelease].
// Both quote at most 64 bytes of foreign text. If in doubt, a gate refuses: the
// zero [Range] is empty, and [NotIn] of an empty range passes no version.
//
// # Concurrency and cost
//
// Versions, ranges and rules are immutable and safe for concurrent use. With
// numbers below 2^64-1, parsing a valid version, comparing and
// [Range.Contains] do not allocate. Parsing takes linear time, and [MaxLength]
// and [MaxRangeLength] bound the text.
//
// Costs, formats and sources: docs/semver.md.
package semver
