package semver

// An evaluation computes the set of a range from its comparators, one
// alternative after the other.
type evaluation struct {
	dialect Dialect // without the rule
	rule    Prereleases
	whole   bool // npm: an alternative was *

	// The alternative at hand: its bounds, the bounds of its pre-releases if
	// they are apart, its exclusions, and whether it names a pre-release.
	rel, pre Interval
	apart    bool
	not      []Interval
	named    bool
}

// alternative appends the versions that all terms admit to out, which
// contains the versions of the alternatives before.
func (e *evaluation) alternative(terms []comparator, out []Interval) []Interval {
	if e.whole {
		return out
	}
	e.rel = Interval{Lo: origin, Unbounded: true, Releases: true}
	e.apart, e.not, e.named = false, nil, false
	start := len(out)
	for i := range terms {
		e.narrow(&terms[i])
		out = e.name(&terms[i], out)
	}
	return e.finish(out, start)
}

// narrow applies the bounds of c.
func (e *evaluation) narrow(c *comparator) {
	switch e.dialect {
	case NPM:
		e.npm(c)
	case Cargo:
		e.cargo(c)
	case Helm:
		e.helm(c)
	default:
		e.terraform(c)
	}
}

// atLeast removes the versions below v.
func (e *evaluation) atLeast(v Version) {
	e.rel.atLeast(v)
	if e.apart {
		e.pre.atLeast(v)
	}
}

// below removes the versions at or above v.
func (e *evaluation) below(v Version) {
	e.rel.below(v)
	if e.apart {
		e.pre.below(v)
	}
}

// prereleases returns the bounds of the pre-releases, which are apart from the
// bounds of the releases from now on.
func (e *evaluation) prereleases() *Interval {
	if !e.apart {
		e.pre, e.apart = e.rel, true
		e.pre.Releases, e.pre.Prereleases = false, true
	}
	return &e.pre
}

// exclude removes the versions from lo up to hi.
func (e *evaluation) exclude(lo, hi Version) { e.not = append(e.not, between(lo, hi)) }

// prefixEnd returns the first version above all versions that begin with the
// numbers of c. Without numbers it is the successor of c.v.
func (c *comparator) prefixEnd() Version {
	if c.parts == 3 {
		return c.v.Next()
	}
	return c.v.step(Part(int(Patch) + 3 - c.parts)).floor()
}

// compatibleEnd returns the first version above all versions that ~, ^ or ~>
// takes for compatible with c.
func (c *comparator) compatibleEnd() Version {
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
	}
	return c.v.step(part).floor()
}

// end returns the first version above the versions that a bare version, =, ~,
// ^ or ~> admits. For < and >= of a full version, which need no end, it saves
// the work.
func (c *comparator) end() Version {
	switch c.op {
	case opTilde, opCaret, opPessimistic:
		return c.compatibleEnd()
	case opLt, opGe, opFrom:
		if c.parts == 3 {
			return Version{}
		}
	}
	return c.prefixEnd()
}

// npm applies the bounds of node-semver, and != in addition.
func (e *evaluation) npm(c *comparator) {
	if c.parts == 0 {
		if c.op == opLt || c.op == opGt || c.op == opNe {
			e.below(origin)
		}
		return
	}
	partial, all := c.parts < 3, e.rule == PreAll
	lo, end := c.v.WithoutBuild(), c.end()
	switch {
	case all && (partial || c.op == opFrom && c.v.pre == 0), partial && (c.op == opLt || c.op == opNe):
		lo = lo.floor()
	case lo == Version{} && e.rule == PreSameCore && (partial || c.op >= opGe):
		lo = origin // node-semver takes >=0.0.0 for *
	}
	if c.op == opGt && partial && !all {
		end = end.Core()
	}
	e.full(c, lo, end)
}

// cargo applies the bounds of Rust's semver crate, which compares only the
// numbers given: a partial version then matches its releases alone, except
// for ^, which matches pre-releases as well.
func (e *evaluation) cargo(c *comparator) {
	if c.parts == 0 {
		return
	}
	if c.op == opNone && !c.wild {
		caret := *c
		caret.op = opCaret
		c = &caret
	}
	lo, end := c.v.WithoutBuild(), c.end()
	if c.parts == 3 {
		e.full(c, lo, end)
		return
	}
	floor := lo.floor()
	if e.rule == PreAll || c.op == opCaret || c.op == opLt || c.op == opGt {
		e.full(c, floor, end)
		return
	}
	switch c.op {
	case opGe:
		e.prereleases().atLeast(end)
		e.rel.atLeast(lo)
	case opLe:
		e.prereleases().below(floor)
		e.rel.below(end)
	default:
		e.prereleases().below(origin)
		e.rel.atLeast(lo)
		e.rel.below(end)
	}
}

// full applies a comparator whose versions are those from lo up to end.
func (e *evaluation) full(c *comparator, lo, end Version) {
	switch c.op {
	case opLt:
		e.below(lo)
	case opLe, opTo:
		e.below(end)
	case opGe, opFrom:
		e.atLeast(lo)
	case opGt:
		e.atLeast(end)
	case opNe:
		e.exclude(lo, end)
	default:
		e.atLeast(lo)
		e.below(end)
	}
}

// helm applies the bounds of Masterminds/semver: missing numbers are 0, and a
// bound begins at that version, not at its lowest pre-release. With most
// operators, * stands for 0.0.0.
func (e *evaluation) helm(c *comparator) {
	lo, end := c.v.WithoutBuild(), c.end()
	switch {
	case c.parts == 0 && (c.op == opNone || c.op == opEq || c.op == opTilde):
		e.atLeast(lo)
		return
	case c.parts == 0 && (c.op == opLe || c.op == opTo):
		end = Version{minor: 1}.floor()
	case c.parts == 0 && c.op == opCaret:
		end = Version{patch: 1}.floor()
	case c.parts == 0:
		end = lo.Next()
	case c.op == opNe && c.parts == 1: // everything that begins with the number
		lo = lo.floor()
	case c.op == opNe && c.parts == 2 && lo.pre == 0: // the releases alone
		e.not = append(e.not, Interval{Lo: lo, Hi: end, Releases: true})
		return
	case c.op == opNe:
		end = lo.Next()
	}
	e.full(c, lo, end)
}

// terraform applies the bounds of go-version and go-versions: missing numbers
// are 0.
func (e *evaluation) terraform(c *comparator) {
	lo := c.v.WithoutBuild()
	if c.op != opPessimistic {
		e.full(c, lo, lo.Next())
		return
	}
	e.atLeast(lo)
	if e.dialect == TerraformProvider {
		e.below(c.compatibleEnd().Core())
		return
	}
	if c.parts > 1 {
		e.below(c.compatibleEnd())
	}
	if lo.pre != 0 {
		e.prereleases() // stay as they are
		e.rel.below(origin)
	}
}

// name applies the rule for pre-releases as far as it depends on c alone. It
// appends the pre-releases that c names to out.
func (e *evaluation) name(c *comparator, out []Interval) []Interval {
	names := c.v.pre != 0
	e.named = e.named || names
	switch {
	case e.rule == PreEachCore && c.op != opNe:
		if !names {
			e.prereleases().below(origin)
			return out
		}
		e.prereleases().atLeast(c.v.floor())
		e.pre.below(c.v.Core())
	case !names || c.op == opNe:
	case e.rule == PreSameCore:
		out = append(out, Interval{Lo: c.v.floor(), Hi: c.v.Core(), Prereleases: true})
	case e.rule == PreExact && (c.op == opNone || c.op == opEq):
		out = append(out, Interval{Lo: c.v.WithoutBuild(), Hi: c.v.Next(), Prereleases: true})
	}
	return out
}

// finish appends the versions of the alternative to out, which contains the
// named pre-releases from start on.
func (e *evaluation) finish(out []Interval, start int) []Interval {
	bounds := &e.rel
	if e.apart {
		bounds = &e.pre
	}
	for i := range out[start:] {
		out[start+i].clip(bounds)
	}
	named := len(out) > start
	// As in node-semver, an alternative that is * replaces all others, even if
	// they admit pre-releases.
	if e.dialect == NPM && e.rule == PreSameCore && !named && e.not == nil && e.rel.Unbounded && e.rel.Lo == origin {
		e.whole = true
		return append(out[:0], e.rel)
	}
	all := e.rule == PreAll || e.rule == PreEachCore || e.rule == PreGroup && e.named
	e.rel.Prereleases = all && !e.apart
	out = append(out, e.rel)
	if all && e.apart {
		out = append(out, e.pre)
	}
	if e.not != nil {
		r := newRange("", out[start:]).Difference(newRange("", e.not))
		out = out[:start]
		for s := range r.intervals {
			out = append(out, s)
		}
	}
	return out
}
