package semver

import (
	"fmt"
	"slices"
	"strings"
)

// Dialect is a language for ranges together with its rule for pre-releases.
// Each is a parser: Cargo.ParseRange is a func(string) (Range, error).
type Dialect uint16

// The dialects. They are kept apart because the same text means different
// sets: 1.2.3 is one version to npm and ^1.2.3 to Cargo; ~>1.2 is 1.2.x to
// Helm and 1.x from 1.2 to Terraform.
const (
	// NPM is the language of package.json: sets joined by ||, each a hyphen
	// range 1.2 - 2.3 or comparators joined by spaces, with <, <=, >, >=, =,
	// ~, ^ and x-ranges. A comma for a space, ==, and != are admitted too. An
	// empty text or alternative means *, as it does to npm: never build a
	// range by joining texts that may be empty.
	NPM Dialect = iota

	// Cargo is the language of Cargo.toml: comparators joined by commas, a
	// bare version meaning ^, at most 32 of them, and no ||.
	Cargo

	// Helm is the language of Helm charts, that is of
	// github.com/Masterminds/semver/v3, without its defects: ~0.0.0 is 0.0.x.
	Helm

	// Terraform is the language of Terraform: comparators joined by commas,
	// missing parts are 0, and ~> lets the last part given grow. One part
	// alone after ~> is refused, for tools disagree on its meaning.
	Terraform
)

// Prereleases is a rule for the pre-releases that a range admits besides its
// releases. Under each, ^1.2.3 never has 2.0.0-rc.1.
type Prereleases uint8

// The rules. A comparator names a pre-release if its version is one.
const (
	// PreSameCore admits, of the pre-releases within the bounds, those of the
	// numbers that a comparator of the same alternative names a pre-release
	// of: >=1.2.3-rc.1 has 1.2.3-rc.2 but not 1.2.4-rc.1. It is the rule of NPM
	// and Cargo.
	PreSameCore Prereleases = iota + 1

	// PreAll admits all within the bounds, and then 1.x and other bounds with
	// missing parts begin at 1.0.0-0. It is npm's includePrerelease.
	PreAll

	// PreGroup admits all within the bounds of an alternative that names a
	// pre-release anywhere. It is the rule of Helm.
	PreGroup

	// PreExact admits those that a bare version or = names. It is the rule of
	// Terraform.
	PreExact

	// PreNone admits none.
	PreNone
)

// With returns the dialect d with the rule p for pre-releases.
func (d Dialect) With(p Prereleases) Dialect { return d&0xff | Dialect(p)<<8 }

// ParseRange parses a range as npm does, the same as NPM.ParseRange.
func ParseRange(s string) (Range, error) { return NPM.ParseRange(s) }

// MustParseRange is ParseRange for texts known to be right, constants mostly;
// it panics with the error of ParseRange.
func MustParseRange(s string) Range {
	r, err := ParseRange(s)
	if err != nil {
		panic(err)
	}
	return r
}

// ParseRange parses a range in dialect d. It takes linear time and refers to
// s as [Parse] does. The error is a [*ParseError] of class ErrSyntax,
// ErrTooLong, ErrLeadingZero, ErrEmptyIdent or ErrUnsupported, the last for a
// dialect that does not exist.
func (d Dialect) ParseRange(s string) (Range, error) {
	if int(d&0xff) >= len(grammars) || d>>8 > Dialect(PreNone) {
		return Range{}, parseError("dialect", s, 0, ErrUnsupported)
	}
	if len(s) > MaxRangeLength {
		return Range{}, parseError("range", s, MaxRangeLength, ErrTooLong)
	}
	var buf [4]Interval
	g := &grammars[d&0xff]
	p := parser{grammar: g, rule: g.rule, dialect: d & 0xff, s: s}
	if d>>8 != 0 {
		p.rule = Prereleases(d >> 8)
	}
	out := buf[:0]
	if n := 1 + strings.Count(s, "||"); n > len(buf) {
		out = make([]Interval, 0, n)
	}
	out, err := p.alternatives(out)
	if err != nil {
		return Range{}, parseError("range", s, p.i, err)
	}
	return newRange(s, out), nil
}

// grammar is what tells the dialects apart, besides their operators.
type grammar struct {
	rule   Prereleases // unless With sets another
	bare   op          // the meaning of no operator
	mode   Mode        // of the versions
	or     bool        // || and hyphen ranges
	spaces bool        // a space joins comparators
	empty  bool        // no comparator means all
	wild   bool        // x-ranges; if not, missing parts are 0
	lone   bool        // * stands alone
	floor  bool        // bounds with missing parts begin at the pre-releases
	limit  int         // the most comparators, 0 for any number
}

var grammars = [...]grammar{
	NPM: {
		rule: PreSameCore, bare: opEq, mode: AllowV | AllowPartial,
		or: true, spaces: true, empty: true, wild: true,
	},
	// Cargo compares only the parts given, so with another comparator to name
	// it 1.0.0-a is in 1.*: hence floor.
	Cargo:     {rule: PreSameCore, bare: opCaret, mode: AllowPartial, wild: true, lone: true, floor: true, limit: 32},
	Helm:      {rule: PreGroup, bare: opEq, mode: AllowV | AllowPartial, or: true, spaces: true, wild: true},
	Terraform: {rule: PreExact, bare: opEq, mode: AllowPartial},
}

// op is the relation of a comparator.
type op uint8

const (
	opNone op = iota
	opEq
	opNe
	opLt
	opLe
	opGt
	opGe
	opTilde
	opCaret
	opPessimistic // Terraform's ~>
)

// operators lists what is written for them, in the dialects of the bits
// 1<<Dialect.
var operators = [...]struct {
	text string
	op   op
	in   uint8
}{
	{"^", opCaret, 1<<NPM | 1<<Cargo | 1<<Helm},
	{">=", opGe, 1<<NPM | 1<<Cargo | 1<<Helm | 1<<Terraform},
	{"<", opLt, 1<<NPM | 1<<Cargo | 1<<Helm | 1<<Terraform},
	{"~", opTilde, 1<<NPM | 1<<Cargo | 1<<Helm},
	{"=", opEq, 1<<NPM | 1<<Cargo | 1<<Helm | 1<<Terraform},
	{"<=", opLe, 1<<NPM | 1<<Cargo | 1<<Helm | 1<<Terraform},
	{">", opGt, 1<<NPM | 1<<Cargo | 1<<Helm | 1<<Terraform},
	{"!=", opNe, 1<<NPM | 1<<Helm | 1<<Terraform},
	{"~>", opTilde, 1<<NPM | 1<<Helm},
	{"~>", opPessimistic, 1 << Terraform},
	{"==", opEq, 1 << NPM},
	{"=<", opLe, 1 << Helm},
	{"=>", opGe, 1 << Helm},
}

// parser reads a range. Its methods leave i at the fault if they fail.
type parser struct {
	*grammar
	rule    Prereleases // instead of the grammar's
	dialect Dialect     // without the rule
	s       string
	i       int
	whole   bool // an alternative is npm's *
}

// comparator is one term: a relation to a version.
type comparator struct {
	op    op
	v     Version
	parts int  // how many of the numbers were given, 0 for *
	wild  bool // the others are x or *
}

// conjunction is what the comparators of an alternative add up to.
type conjunction struct {
	n      int        // how many comparators there were
	bounds Interval   // what all of them admit, in plain order
	not    []Interval // what != takes out
	group  bool       // whether any pre-release was named
}

// alternatives reads the whole text and appends what it admits to out.
func (p *parser) alternatives(out []Interval) ([]Interval, error) {
	for {
		var err error
		if out, err = p.alternative(out); err != nil || p.i == len(p.s) {
			return out, err
		}
		p.i += len("||")
	}
}

// alternative reads comparators up to || or the end.
func (p *parser) alternative(out []Interval) ([]Interval, error) {
	all, start := conjunction{bounds: from(origin)}, len(out)
	p.space()
	for !p.empty || all.n > 0 || !p.atEnd() {
		at := p.i
		c, err := p.comparator()
		if err != nil {
			return out, err
		}
		if p.or && c.op == opNone && all.n == 0 && p.hyphen() {
			hi, err := p.hyphenRange(&c)
			if err != nil {
				return out, err
			}
			out = p.add(&all, &hi, p.add(&all, &c, out))
			break
		}
		spaced := p.space()
		more, comma := !p.atEnd(), p.i < len(p.s) && p.s[p.i] == ','
		switch {
		case p.limit > 0 && all.n == p.limit:
			p.i = at
			return out, ErrTooLong
		case p.lone && c.parts == 0 && (c.op != opNone || all.n > 0 || more):
			p.i = at
			return out, ErrSyntax
		case more && !comma && (!p.spaces || !spaced):
			return out, ErrSyntax
		}
		out = p.add(&all, &c, out)
		if !more {
			break
		}
		if comma {
			p.i++
			p.space()
		}
	}
	return p.finish(&all, out, start), nil
}

// space skips white space and reports whether there was any.
func (p *parser) space() bool {
	start := p.i
	for p.i < len(p.s) && class[p.s[p.i]] == space {
		p.i++
	}
	return p.i > start
}

// atEnd reports whether the alternative ends here.
func (p *parser) atEnd() bool {
	return p.i == len(p.s) || p.or && strings.HasPrefix(p.s[p.i:], "||")
}

// hyphen skips the hyphen of a hyphen range, spaces around it, if one is next.
func (p *parser) hyphen() bool {
	start := p.i
	if p.space() && strings.HasPrefix(p.s[p.i:], "-") {
		if p.i++; p.space() {
			return true
		}
	}
	p.i = start
	return false
}

// hyphenRange reads the upper version of a hyphen range, which is all of its
// alternative, and makes comparators of both.
func (p *parser) hyphenRange(lo *comparator) (hi comparator, err error) {
	at := p.i
	if hi, err = p.comparator(); err != nil {
		return hi, err
	}
	if p.space(); hi.op != opNone || !p.atEnd() {
		p.i = at
		return hi, ErrSyntax
	}
	if p.rule == PreAll && lo.v.pre == 0 { // npm: even if all parts are given
		lo.v = lo.v.floor()
	}
	lo.op, hi.op = opGe, opLe
	return hi, nil
}

// comparator reads an operator and a version with wildcards or missing parts.
func (p *parser) comparator() (c comparator, err error) {
	if c.op, err = p.operator(); err != nil {
		return c, err
	}
	start := p.i
	var seen uint8
	for p.i < len(p.s) && class[p.s[p.i]]&(digit|letter|joint) != 0 {
		seen |= class[p.s[p.i]]
		p.i++
	}
	text, n := p.s[start:p.i], 0
	if p.wild && seen&wild != 0 && seen&tailed == 0 {
		text, n = trimWildcards(text)
	}
	if text != "" || n == 0 {
		var at int
		if c.parts, at, err = scan(text, p.mode, &c.v); err != nil {
			p.i = start + at
			return c, err
		}
	}
	c.wild = n > 0
	switch {
	case c.parts+n > 3:
		err = ErrSyntax
	case c.op == opPessimistic && c.parts == 1:
		err = fmt.Errorf("%w: ~> needs two parts, such as 1.0,", ErrSyntax)
	}
	if err != nil {
		p.i = start
	}
	return c, err
}

// operator reads an operator, if there is one, and the space after it.
func (p *parser) operator() (op, error) {
	end := p.i
	for end < len(p.s) && class[p.s[end]] == comparing {
		end++
	}
	if end == p.i {
		return opNone, nil
	}
	for _, o := range &operators {
		if o.text == p.s[p.i:end] && o.in>>p.dialect&1 == 1 {
			p.i = end
			p.space()
			return o.op, nil
		}
	}
	return opNone, ErrSyntax
}

// trimWildcards cuts x, X and * off the end of a version and counts them.
func trimWildcards(s string) (string, int) {
	for n := 0; ; n++ {
		last := len(s) - 1
		if last < 0 || s[last] != '*' && s[last]|0x20 != 'x' || last > 0 && s[last-1] != '.' {
			return s, n
		}
		s = s[:max(last-1, 0)]
	}
}

// add narrows the conjunction by a comparator and appends to out the
// pre-releases that the rule admits for its sake. The bounds are those of
// node-semver.
func (p *parser) add(all *conjunction, c *comparator, out []Interval) []Interval {
	all.n++
	if c.op == opNone {
		c.op = p.bare
		if c.wild { // Cargo: 1.2.* is 1.2.x, not ^1.2
			c.op = opEq
		}
	}
	if !p.wild && c.op != opPessimistic {
		c.parts = 3
	}
	lo, floor := c.v.WithoutBuild(), p.floor || p.rule == PreAll
	if c.parts < 3 && (floor || c.op == opLt) {
		lo = lo.floor()
	}
	b := &all.bounds
	switch {
	case c.parts == 0:
		if c.op == opLt || c.op == opGt || c.op == opNe {
			b.atMost(origin) // nothing
		}
	case c.op == opLt:
		b.atMost(lo)
	case c.op == opLe:
		b.atMost(c.end())
	case c.op == opGe:
		b.atLeast(lo)
	case c.op == opGt && c.parts < 3 && !floor:
		b.atLeast(c.end().Core())
	case c.op == opGt:
		b.atLeast(c.end())
	case c.op == opNe:
		all.not = append(all.not, plain(lo, c.end()))
	default:
		b.atLeast(lo)
		b.atMost(c.end())
	}
	return p.name(all, c, out)
}

// name notes a pre-release that a comparator names, and appends to out those
// that the rule admits for it.
func (p *parser) name(all *conjunction, c *comparator, out []Interval) []Interval {
	if c.v.pre == 0 {
		return out
	}
	all.group = true
	switch {
	case p.rule == PreSameCore && c.op != opNe:
		out = append(out, Interval{Lo: c.v.floor(), Hi: c.v.Core(), Prereleases: true})
	case p.rule == PreExact && c.op == opEq:
		out = append(out, Interval{Lo: c.v.WithoutBuild(), Hi: c.v.next(), Prereleases: true})
	}
	return out
}

// end returns the first version above all that start with c's version, or
// that ~, ^ and ~> take for compatible with it.
func (c *comparator) end() Version {
	part := Patch
	switch {
	case c.parts == 1,
		c.parts == 2 && c.op == opPessimistic,
		c.op == opCaret && c.v.major > 0:
		part = Major
	case c.parts == 2,
		c.op == opTilde, c.op == opPessimistic,
		c.op == opCaret && c.v.minor > 0:
		part = Minor
	case c.op != opCaret:
		return c.v.next()
	}
	return c.v.step(part).floor()
}

// finish appends what an alternative admits to out, which has from start on
// what add appended for it. As npm does, it lets an alternative that is *
// replace all others, even if they admit pre-releases.
func (p *parser) finish(all *conjunction, out []Interval, start int) []Interval {
	if p.whole {
		return out[:start]
	}
	b := all.bounds
	b.Prereleases = p.rule == PreAll || p.rule == PreGroup && all.group
	for i := range out[start:] {
		out[start+i].clip(&b)
	}
	if p.empty && b.Unbounded && b.Lo.Compare(Version{}) <= 0 && len(out) == start && all.not == nil {
		p.whole = true
		return append(out[:0], b)
	}
	out = append(out, b)
	if all.not != nil {
		r := newRange("", out[start:]).Difference(newRange("", all.not))
		out = append(out[:start], slices.Collect(r.Intervals())...)
	}
	return out
}
