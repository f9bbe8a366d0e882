package semver

import "strings"

// A grammar is the syntax of a dialect, except for its operators.
type grammar struct {
	rule   Prereleases // the rule of the dialect
	mode   Mode        // of the versions
	or     bool        // || and hyphen ranges
	spaces bool        // a space joins comparators
	tabs   bool        // tabs and line ends are spaces
	empty  bool        // an empty alternative means *
	wild   bool        // x, X and * stand for numbers
	limit  int         // the most comparators, 0 for any number
}

var grammars = [...]grammar{
	NPM: {
		rule: PreSameCore, mode: AllowV | AllowPartial,
		or: true, spaces: true, tabs: true, empty: true, wild: true,
	},
	Cargo:             {rule: PreSameCore, mode: AllowPartial, wild: true, limit: 32},
	Helm:              {rule: PreGroup, mode: Tolerant, or: true, spaces: true, tabs: true, wild: true},
	Terraform:         {rule: PreEachCore, mode: Tolerant, tabs: true},
	TerraformProvider: {rule: PreExact, mode: AllowPartial | AllowZeros, tabs: true},
}

// An op is the relation of a comparator.
type op uint8

const (
	opNone op = iota // a bare version
	opEq
	opNe
	opLt
	opLe
	opGt
	opGe
	opTilde
	opCaret
	opPessimistic // Terraform's ~>
	opFrom        // the lower end of a hyphen range
	opTo          // the upper end of a hyphen range
)

// operators lists the texts of the operators and the dialects that have them,
// as bits 1<<Dialect.
var operators = [...]struct {
	text string
	op   op
	in   uint8
}{
	{"^", opCaret, 1<<NPM | 1<<Cargo | 1<<Helm},
	{">=", opGe, everywhere},
	{"<", opLt, everywhere},
	{"~", opTilde, 1<<NPM | 1<<Cargo | 1<<Helm},
	{"=", opEq, everywhere},
	{"<=", opLe, everywhere},
	{">", opGt, everywhere},
	{"!=", opNe, everywhere &^ (1 << Cargo)},
	{"~>", opTilde, 1<<NPM | 1<<Helm},
	{"~>", opPessimistic, 1<<Terraform | 1<<TerraformProvider},
	{"=<", opLe, 1 << Helm},
	{"=>", opGe, 1 << Helm},
}

const everywhere = 1<<NPM | 1<<Cargo | 1<<Helm | 1<<Terraform | 1<<TerraformProvider

// A comparator is a relation to a version, as it is written.
type comparator struct {
	v       Version // missing numbers are 0
	op      op
	wild    bool // at least one wildcard
	loose   bool // npm: "=" or several "v" before the version
	parts   int  // how many numbers stand before the first wildcard, 0 to 3
	written int  // how many numbers and wildcards there are, 0 to 3
	start   int  // offset of the version
	mixed   int  // offset of a number after a wildcard, 0 if there is none
	tail    int  // offset of the pre-release or build metadata, 0 if none
}

// anyVersion is the comparator of an empty alternative.
var anyVersion = comparator{written: 1, wild: true}

// A syntax reads a range as lists of comparators. If a method fails, i is the
// offset of the fault.
type syntax struct {
	grammar
	dialect Dialect // without the rule
	s       string
	i       int
	longest int // limit of a version in bytes
}

// parse reads the whole range and evaluates one alternative after the other.
func (p *syntax) parse(rule Prereleases) (Range, error) {
	var (
		list  [4]comparator
		spans [4]Interval
	)
	e := evaluation{dialect: p.dialect, rule: rule}
	out := spans[:0]
	if len(p.s) >= len("1||1||1||1||1") {
		if n := 1 + strings.Count(p.s, "||"); n > len(spans) {
			out = make([]Interval, 0, n)
		}
	}
	for {
		terms, err := p.alternative(list[:0])
		if err != nil {
			return Range{}, err
		}
		out = e.alternative(terms, out)
		if p.i == len(p.s) {
			return newRange(p.s, out), nil
		}
		p.i += len("||")
	}
}

// alternative appends the comparators up to || or the end of the range.
func (p *syntax) alternative(list []comparator) ([]comparator, error) {
	p.space()
	if p.empty && p.atEnd() {
		return append(list, anyVersion), nil
	}
	for first := true; ; {
		if p.limit > 0 && len(list) == p.limit {
			return nil, ErrTooLong
		}
		list = append(list, comparator{})
		c := &list[len(list)-1]
		err := p.comparator(c)
		if err != nil {
			return nil, err
		}
		hyphenated := p.or && first && c.bare(p.dialect) && p.hyphen()
		if hyphenated {
			if list, err = p.hyphenRange(list); err != nil {
				return nil, err
			}
		}
		if err := p.check(list); err != nil {
			return nil, err
		}
		spaced := p.space()
		if p.atEnd() {
			return list, nil
		}
		comma := p.s[p.i] == ','
		if !comma && (!p.spaces || !spaced) || p.dialect == Cargo && list[0].parts == 0 {
			return nil, ErrSyntax
		}
		if comma {
			p.i++
			p.space()
		}
		first = p.dialect == Helm && (comma || hyphenated)
	}
}

// space skips white space and reports whether there was any.
func (p *syntax) space() bool {
	start := p.i
	for p.i < len(p.s) && class[p.s[p.i]] == space && (p.tabs || p.s[p.i] == ' ') {
		p.i++
	}
	return p.i > start
}

// atEnd reports whether the alternative ends here.
func (p *syntax) atEnd() bool {
	return p.i == len(p.s) || p.or && strings.HasPrefix(p.s[p.i:], "||")
}

// hyphen skips the hyphen of a hyphen range and the spaces around it, if they
// come next.
func (p *syntax) hyphen() bool {
	start := p.i
	if p.space() && strings.HasPrefix(p.s[p.i:], "-") {
		if p.i++; p.space() {
			return true
		}
	}
	p.i = start
	return false
}

// bare reports whether c may be an end of a hyphen range. To node-semver, "="
// belongs to the version.
func (c *comparator) bare(d Dialect) bool { return c.op == opNone || d == NPM && c.op == opEq }

// hyphenRange reads the upper end of a hyphen range, of which list contains
// the lower end.
func (p *syntax) hyphenRange(list []comparator) ([]comparator, error) {
	at := p.i
	list = append(list, comparator{})
	lo, hi := &list[len(list)-2], &list[len(list)-1]
	if err := p.comparator(hi); err != nil {
		return nil, err
	}
	if p.dialect == NPM { // the hyphen range is the whole alternative
		p.space()
	}
	if !hi.bare(p.dialect) || p.dialect == NPM && !p.atEnd() {
		p.i = at
		return nil, ErrSyntax
	}
	lo.loose = lo.loose || lo.op == opEq
	hi.loose = hi.loose || hi.op == opEq
	lo.op, hi.op = opFrom, opTo
	return list, p.check(list[:len(list)-1])
}

// comparator reads an operator and a version.
func (p *syntax) comparator(c *comparator) error {
	if err := p.operator(c); err != nil {
		return err
	}
	p.prefix(c)
	c.start = p.i
	var seen uint8
	for p.i < len(p.s) && class[p.s[p.i]]&(digit|letter|joint) != 0 {
		seen |= class[p.s[p.i]]
		p.i++
	}
	var (
		at   int
		err  error
		text = p.s[c.start:p.i]
	)
	if p.wild && seen&wild != 0 {
		at, err = p.wildcards(c, text)
	} else {
		c.parts, at, err = scan(text, p.mode, p.longest, &c.v)
		c.written = c.parts
		if seen&tailed != 0 && err == nil {
			c.tail = c.start + strings.IndexAny(text, "-+")
		}
	}
	if err != nil {
		p.i = c.start + at
	}
	return err
}

// operator reads an optional operator and the space after it.
func (p *syntax) operator(c *comparator) error {
	end := p.i
	for end < len(p.s) && class[p.s[end]] == comparing {
		end++
	}
	text := p.s[p.i:end]
	for ; text != ""; text = text[:len(text)-1] {
		for i := range operators {
			if o := &operators[i]; o.text == text && o.in>>p.dialect&1 == 1 {
				c.op = o.op
				p.i += len(text)
				return nil
			}
		}
		if p.dialect != NPM { // the text must be an operator as a whole
			return ErrSyntax
		}
	}
	if end > p.i {
		return ErrSyntax
	}
	return nil
}

// prefix skips the space after an operator, and for npm the run of "v" and "="
// before a version.
func (p *syntax) prefix(c *comparator) {
	arrow := c.op == opTilde && p.s[p.i-1] == '>'
	spaced := p.space() && c.op != opNone
	if p.dialect != NPM {
		return
	}
	if spaced && c.op == opTilde && strings.HasPrefix(p.s[p.i:], ">") { // "~ >" is "~>"
		p.i++
		arrow, spaced = true, p.space()
	}
	if spaced && (c.op == opLt || c.op == opGt) && strings.HasPrefix(p.s[p.i:], "=") {
		c.op++ // to opLe or opGe
		p.i++
	}
	run := p.run()
	if run == "=" && (c.op == opTilde || c.op == opCaret) && !(arrow && spaced) && p.space() {
		run += p.run()
	}
	c.loose = run != "" && run != "v"
	if run == "v" {
		p.i-- // the mode admits it
	}
}

// run skips a run of "v" and "=" and returns it.
func (p *syntax) run() string {
	start := p.i
	for p.i < len(p.s) && (p.s[p.i] == 'v' || p.s[p.i] == '=') {
		p.i++
	}
	return p.s[start:p.i]
}

// wildcards reads a version that may contain wildcards. If it fails, at is
// the offset of the fault in s.
func (p *syntax) wildcards(c *comparator, s string) (at int, err error) {
	if len(s) > p.longest {
		return p.longest, ErrTooLong
	}
	i := 0
	if p.mode&AllowV != 0 && strings.HasPrefix(s, "v") {
		i = 1
	}
	numbers := i // the end of the numbers before the first wildcard
	for {
		if i < len(s) && class[s[i]]&wild != 0 {
			c.wild = true
			i++
		} else {
			_, end := digits(s, i)
			if end == i {
				return i, ErrSyntax
			}
			if _, err := number(s[i:end], p.mode); err != nil {
				return i, err
			}
			switch {
			case !c.wild:
				c.parts++
				numbers = end
			case c.mixed == 0:
				c.mixed = c.start + i
			}
			i = end
		}
		if c.written++; c.written == 3 || i == len(s) || s[i] != '.' {
			break
		}
		i++
	}
	if !c.wild { // the x is in the pre-release or build metadata
		c.tail = c.start + i
		_, at, err = scan(s, p.mode, p.longest, &c.v)
		return at, err
	}
	if c.parts > 0 {
		if _, at, err = scan(s[:numbers], p.mode, p.longest, &c.v); err != nil {
			return at, err
		}
	}
	if i == len(s) {
		return 0, nil
	}
	if class[s[i]]&tailed == 0 {
		return i, ErrSyntax
	}
	c.tail = c.start + i
	pre, end, err := tail(s, i)
	if err == nil && p.dialect == Helm {
		c.v = c.v.withTag(s[i : i+pre])
	}
	return end, err
}

// check checks the last comparator of list against the rules of the dialect.
func (p *syntax) check(list []comparator) error {
	c := &list[len(list)-1]
	fault := -1
	switch p.dialect {
	case NPM:
		fixed := c.parts == 3 && c.op != opTilde && c.op != opCaret
		switch {
		case c.loose && fixed && (c.op != opTo || c.v.pre == 0):
			fault = c.start
		case c.mixed > 0 && c.op != opTilde && c.op != opCaret && c.op != opFrom && c.op != opTo:
			fault = c.mixed
		case c.tail > 0 && c.written < 3 && p.s[c.tail] == '-':
			fault = c.tail
		}
	case Cargo:
		switch {
		case c.tail > 0 && c.parts < 3:
			fault = c.tail
		case c.mixed > 0:
			fault = c.mixed
		case c.parts == 0 && (c.op != opNone || len(list) > 1 || c.written > 1):
			fault = c.start
		}
	}
	if fault >= 0 {
		p.i = fault
		return ErrSyntax
	}
	return nil
}
