// Package semver has exact semantic versions, exact sets of them, and rules
// that decide which version may be deployed.
//
// A version is a comparable value, so it is a map key and == means identical;
// its numbers have any size. A range is a set: it is parsed from the languages
// of npm, Cargo, Helm and Terraform or from vulnerability records, and then
// united, intersected, subtracted and compared without approximation, whatever
// it says of pre-releases.
//
//	want := semver.MustParseRange("^1.2 || >=3.1 <4")
//	vuln, err := semver.ParseOSV(advisory...)
//	best, ok := want.Difference(vuln).Max(slices.Values(available))
//	gate := semver.Rules(semver.In(want), semver.NotIn(vuln), semver.Stable)
//	refused := gate(semver.MustParse("1.4.0"))
//
// # Choosing values
//
// [Parse] is strict. Where texts come from people or from tags, name the
// liberties they may take: AllowV.Parse for Go modules and Git tags, Tolerant.Parse for the rest.
//
// [Version.Compare] is precedence, where 1.0.0+a and 1.0.0+b are the same;
// == and [Version.CompareTotal] tell them apart.
//
// Name the [Dialect] of a range: one text means different sets to different
// tools. Its rule for pre-releases is part of it, and [Dialect.With] sets
// another. The surprise most often met is that of npm and Cargo: a range
// has a pre-release only if it names one of the same three numbers, so
// >=1.19 lacks 1.34.1-eks-3025e55. To admit it, use NPM.With(PreAll).
//
// Records of vulnerabilities are the other way round. A range such as <2.0.0
// would miss 1.5.0-beta and 2.0.0-rc.1, so [ParseOSV], [ParseVERS] and the
// constructors [AtLeast], [Below], [Between] and [Exactly] know only plain
// precedence. As sets, both sorts combine.
//
// # Errors
//
// What cannot be parsed is a [*ParseError] with the offset and the class of
// the fault, ErrSyntax for instance. What a rule or [Range.Check] refuses is a
// [*Violation] with the rule and the reason, ErrPrerelease for instance. Both
// quote foreign text and cut it to 64 bytes. Texts have limits, [MaxLength]
// and [MaxRangeLength], and are parsed in linear time.
//
// Doubt closes the gate: the zero Range is empty, an advisory without
// events is an error, and [NotIn] of an empty range refuses everything. One
// thing to know is npm's: an empty range or alternative means every release.
//
// # Concurrency
//
// Versions, ranges and rules are immutable; use them from any goroutine.
//
// # Cost
//
// A Version takes 48 bytes. Parsing, comparing and Contains do not
// allocate. Parsing does not copy either: a version refers to the text
// it was parsed from and keeps it in memory, see [Version.Clone]. A Range
// takes 48 bytes and at most 96 for each interval and kind; parsing one
// allocates once, or twice beyond four alternatives, unless it has !=. Contains
// takes logarithmic time in the number of intervals, the algebra linear time.
//
// # Composition
//
// A [Rule] is a func(Version) error, so a gate mixes those given here with a
// program's own. Versions are text for encoding/json, YAML, flag.TextVar,
// database/sql and log/slog; their binary form is a key that sorts in any
// ordered store, where [Range.Intervals] become index scans. Ranges are text as
// well.
//
// # Source
//
// Semantic Versioning 2.0.0, https://semver.org. The range languages follow
// the npm package semver, the Rust crate semver, Masterminds/semver and
// Terraform; the split of sets into releases and pre-releases is that of the
// Rust crate semver-pubgrub. The OSV schema and the vers specification are
// linked at their functions.
package semver
