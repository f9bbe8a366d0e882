// Package advisory reads the vulnerable versions of security advisories: the
// events of OSV records and vers version range specifiers.
//
// Both formats use plain precedence, in which a pre-release is a version like
// any other: fixed in 1.2.0 leaves 1.2.0-rc.1 affected. The result is a
// [semver.Range], so advisories combine with version constraints.
//
// # Gate a version by OSV records
//
// [ReadOSV] reads records, and answers to queries, for a package or for all:
//
//	found, err := advisory.ReadOSV(file, "Go/example.com/widget")
//	gate := semver.Stable
//	for _, a := range found {
//		gate = semver.Rules(gate, a.Rule())
//	}
//
// # Read the events of a range
//
// The events of a range of type SEMVER have the JSON form of [Event]:
//
//	var record struct{ Events []advisory.Event }
//	err := json.Unmarshal(doc, &record)
//	vuln, err := advisory.ParseOSV(record.Events...)
//
// # Find the nearest fix
//
//	fix, ok := vuln.Complement().Ceil(semver.MustParse("1.3.0"))
//
// # Exchange a set
//
// [ParseVERS] and [FormatVERS] convert from and to specifiers such as
// vers:npm/>=1.0.0|<1.4.2:
//
//	text, err := advisory.FormatVERS("npm", vuln)
//
// # Errors
//
// [ParseOSV] returns [ErrEvents], [ParseVERS] a [*semver.ParseError]. If in
// doubt, all functions fail: a record without events is an error and not an
// empty set, which would mean that no version is vulnerable.
//
// # Concurrency and cost
//
// All functions are safe for concurrent use, and take n log n time for n
// events and linear time for a specifier.
//
// Costs, formats and sources: docs/semver.md.
package advisory
