package semver

import "strings"

// A Dialect is a language of version constraints together with a rule for
// pre-releases. Each Dialect is a parser: Cargo.ParseRange is a func(string)
// (Range, error).
type Dialect uint16

// The dialects. The same text means different sets in them: 1.2.3 is a single
// version in NPM and ^1.2.3 in Cargo, and ~>1.2 is 1.2.x in Helm and
// >=1.2, <2.0 in Terraform. docs/semver.md lists every known difference
// between a dialect and its tool.
const (
	// NPM is the language of package.json, as the npm package semver reads it:
	// alternatives joined by ||, each a hyphen range such as 1.2 - 2.3 or
	// comparators joined by spaces. Additions are != and a comma in place of a
	// space. An empty text or alternative means *, so never join texts that may
	// be empty.
	NPM Dialect = iota

	// Cargo is the language of Cargo.toml, as the Rust crate semver reads it:
	// at most 32 comparators joined by commas. A bare version means ^.
	Cargo

	// Helm is the language of Helm charts, as
	// github.com/Masterminds/semver/v3 reads it. A single known defect is not
	// copied: ~0.0.0 is 0.0.x here, not every version.
	Helm

	// Terraform is the language of required_version, as
	// github.com/hashicorp/go-version reads it: comparators joined by commas,
	// missing numbers are 0, and ~> lets the last number given grow. So ~> 5
	// has no upper bound. ~> with a pre-release contains no release.
	Terraform

	// TerraformProvider is the language of provider requirements, as
	// github.com/apparentlymart/go-versions reads it. Unlike in Terraform,
	// ~> 5 is >= 5, < 6, the rule for pre-releases is PreExact, and a "v" is an
	// error.
	TerraformProvider
)

// A Prereleases value is a rule that selects the pre-releases of a range. Its
// releases are the same under every rule. ^1.2.3 never contains 2.0.0-rc.1.
type Prereleases uint8

// The rules. A comparator names a pre-release if its version is a pre-release.
const (
	// PreSameCore admits a pre-release within the bounds if a comparator of the
	// same alternative names a pre-release of the same three numbers:
	// >=1.2.3-rc.1 contains 1.2.3-rc.2 but not 1.2.4-rc.1. It is the rule of
	// NPM and Cargo.
	PreSameCore Prereleases = iota + 1

	// PreAll admits every pre-release within the bounds. In NPM and Cargo a
	// bound with missing numbers then begins at the lowest pre-release: 1.x
	// begins at 1.0.0-0. It is npm's includePrerelease.
	PreAll

	// PreGroup admits every pre-release within the bounds of an alternative
	// that names a pre-release. It is the rule of Helm.
	PreGroup

	// PreExact admits the pre-releases that a bare version or = names. It is
	// the rule of TerraformProvider.
	PreExact

	// PreNone admits no pre-release.
	PreNone

	// PreEachCore admits a pre-release within the bounds if every comparator
	// except != names a pre-release of the same three numbers. It is the rule
	// of Terraform.
	PreEachCore
)

var (
	dialectNames    = nameList{"Dialect", []string{"npm", "cargo", "helm", "terraform", "terraform-provider"}}
	prereleaseNames = nameList{
		"Prereleases", []string{"default", "same-core", "all", "group", "exact", "none", "each-core"},
	}
)

// String returns the name in lower case, for instance "same-core". The name of
// 0, the rule that a dialect has by itself, is "default".
func (p Prereleases) String() string { return prereleaseNames.text(int(p)) }

// MarshalText returns the name of p.
//
// Errors: ErrUnsupported if p is not a rule of this package.
func (p Prereleases) MarshalText() ([]byte, error) { return prereleaseNames.marshal(int(p)) }

// UnmarshalText reads a name as String returns it.
//
// Errors: ErrUnsupported for another text.
func (p *Prereleases) UnmarshalText(text []byte) error { return unmarshal(prereleaseNames, text, p) }

// With returns the dialect d with the rule p for pre-releases.
func (d Dialect) With(p Prereleases) Dialect { return d&0xff | Dialect(p)<<8 }

// String returns the name in lower case, for instance "npm", followed by the
// rule that With has set: "helm+all".
func (d Dialect) String() string {
	s := dialectNames.text(int(d & 0xff))
	if d>>8 != 0 {
		s += "+" + Prereleases(d>>8).String()
	}
	return s
}

// MarshalText returns the text that String returns.
//
// Errors: ErrUnsupported if d is not a dialect of this package.
func (d Dialect) MarshalText() ([]byte, error) {
	if _, err := dialectNames.marshal(int(d & 0xff)); err != nil {
		return nil, err
	}
	_, err := Prereleases(d >> 8).MarshalText()
	return []byte(d.String()), err
}

// UnmarshalText reads a text as String returns it.
//
// Errors: ErrUnsupported for another text.
func (d *Dialect) UnmarshalText(text []byte) error {
	name, rule, two := strings.Cut(string(text), "+")
	var n uint8
	var p Prereleases
	err := unmarshal(dialectNames, []byte(name), &n)
	if err == nil && two {
		err = p.UnmarshalText([]byte(rule))
	}
	if err == nil {
		*d = Dialect(n).With(p)
	}
	return err
}

// known reports whether d is a dialect of this package.
func (d Dialect) known() bool { return int(d&0xff) < len(grammars) && d>>8 <= Dialect(PreEachCore) }

// rule returns the rule for pre-releases.
func (d Dialect) rule() Prereleases {
	if d>>8 != 0 {
		return Prereleases(d >> 8)
	}
	return grammars[d].rule
}

// ParseRange parses a version constraint in dialect d, in linear time. The
// range refers to s, see [Range.Clone].
//
// Errors: a [*ParseError] with the class ErrSyntax, ErrTooLong,
// ErrLeadingZero, ErrEmptyIdent, or ErrUnsupported if d is not a dialect of
// this package.
func (d Dialect) ParseRange(s string) (Range, error) {
	if !d.known() {
		return Range{}, parseError("dialect", s, 0, ErrUnsupported)
	}
	if len(s) > MaxRangeLength {
		return Range{}, parseError("range", s, MaxRangeLength, ErrTooLong)
	}
	return d.parse(s, 0, len(s), false)
}

// parse parses s[from:to]. A stored text contains longer versions than other
// texts, and no empty alternative.
func (d Dialect) parse(s string, from, to int, stored bool) (Range, error) {
	p := syntax{grammar: grammars[d&0xff], dialect: d & 0xff, s: s[from:to], longest: MaxLength}
	if stored {
		p.longest, p.empty = maxStored, false
	}
	r, err := p.parse(d.rule())
	if err != nil {
		return Range{}, parseError("range", s, from+p.i, err)
	}
	r.text = s
	return r, nil
}
