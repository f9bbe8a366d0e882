// Command semver decides on semantic versions and version constraints in
// pipelines, and gives the reason for each refusal.
//
//	semver valid [VERSION...]
//	semver compare A [OP] B
//	semver diff A B
//	semver sort [-r] [-u] [VERSION...]
//	semver filter [RULES] [VERSION...]
//	semver max [RULES] [VERSION...]
//	semver min [RULES] [VERSION...]
//	semver gate [RULES] [-q] [VERSION...]
//	semver why RANGE VERSION...
//	semver bump [-pre LINE] [-build TEXT] PART [VERSION...]
//	semver range OP RANGE...
//	semver osv [-package NAME] FILE...
//
// Install it with
//
//	go install github.com/redoubt-go/redoubt/semver/cmd/semver@latest
//
// # Versions
//
// Versions are arguments. Without arguments they are lines of standard input,
// which filter, valid, gate and bump process line by line in constant memory. A
// version is printed as it was written. Empty lines are left out.
//
// The flag -mode describes how versions are written:
//
//   - v, the default: 1.2.3 or v1.2.3.
//   - strict: SemVer 2.0.0 to the letter.
//   - tolerant, or names joined by |, such as v|partial: see semver.Mode.
//   - tag: tags of images and repositories, such as v1.2.3, 1.27 and 1.27rc1.
//     The flags -prefix, -variant and -vendors select this mode and leave out
//     tags of another prefix or variant.
//   - go: names of Go toolchains, such as go1.26rc2.
//   - coerce: the first version in a text, as npm's coerce.
//
// A text that is no version is an error. With -skip it is left out.
//
// # Rules
//
// The commands filter, max, min and gate apply the rules of these flags, which
// may be combined:
//
//   - -range R and -not R: the version is in R, or not in R.
//   - -osv FILE: no OSV record affects the version. FILE may be a folder. With
//     records of several packages, -package selects a package. A record that
//     names no versions is an error, because it makes no version safe.
//   - -stable: the version is no pre-release.
//   - -from V: the version is not below V.
//   - -step PART: at most this part differs from -from.
//
// Filter prints the versions that pass, max and min the highest and the lowest
// of them. Gate prints for each version "pass" or every reason, and the next
// release that would pass.
//
// # Ranges
//
// A range is a text in the language that -dialect names: npm, cargo, helm,
// terraform or terraform-provider. The flag -pre replaces the rule of the
// dialect for pre-releases. A range may also be a vers specifier, or a text
// that the commands range and osv print. A range with an empty alternative is
// an error, because an unset variable must not mean every release.
//
// The operations of range are:
//
//   - show, and, or, not, minus: print a set. With -vers SCHEME it is printed
//     as a vers specifier. Without arguments the ranges are lines of standard
//     input.
//   - subset, equal, overlaps: decide. If the answer is no, a line on standard
//     error contains a version that proves it.
//   - least: print the lowest member, or with -from V the lowest member at or
//     above V.
//
// Why prints the verdict of every dialect on a range and a version, and the
// next version that is in the range.
//
// # Bump
//
// The parts of bump are major, minor, patch, pre and release. With -pre LINE,
// major, minor and patch begin a line of pre-releases. A version never goes
// down: a step that would lower it is refused.
//
// # JSON and templates
//
// With -json every command prints an object per line. With -format a version is
// printed by a template of package text/template, which has the fields Text,
// Version, Major, Minor, Patch, Prerelease, Build and Variant.
//
// # Exit status
//
//   - 0: yes: every version passes or is valid, or a version was printed.
//   - 1: no.
//   - 2: not understood: a version, a range, a file or the command line is
//     wrong. A line on standard error contains the reason.
package main
