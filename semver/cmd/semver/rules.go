package main

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	"github.com/redoubt-go/redoubt/internal/quote"
	"github.com/redoubt-go/redoubt/semver"
	"github.com/redoubt-go/redoubt/semver/advisory"
)

// A texts is a flag that may be repeated.
type texts []string

func (t *texts) String() string { return strings.Join(*t, ", ") }

func (t *texts) Set(s string) error {
	*t = append(*t, s)
	return nil
}

// ruleFlags are the flags that make the rules of filter, max, min and gate.
type ruleFlags struct {
	in, notIn, osv texts
	pkg            string
	stable         bool
	from           string
	step           semver.Part
}

// dialectFlags defines the flags of commands that read ranges.
func (c *call) dialectFlags() {
	c.flags.Func("dialect", "`NAME` of the language of ranges: npm, cargo, helm, terraform, terraform-provider", func(s string) error {
		if c.dialect.UnmarshalText([]byte(s)) != nil {
			return errors.New("it is npm, cargo, helm, terraform or terraform-provider")
		}
		return nil
	})
	c.flags.Func("pre", "`RULE` for pre-releases in place of the dialect's: all, none, same-core, group, exact, each-core", func(s string) error {
		if c.pre.UnmarshalText([]byte(s)) != nil {
			return errors.New("it is all, none, same-core, group, exact or each-core")
		}
		return nil
	})
}

// ruleFlags defines the flags of commands that decide on versions.
func (c *call) ruleFlags() *ruleFlags {
	c.versionFlags()
	c.dialectFlags()
	f := new(ruleFlags)
	c.flags.Var(&f.in, "range", "`RANGE` that contains the version; repeat it for several")
	c.flags.Var(&f.notIn, "not", "`RANGE` that does not contain the version; repeat it for several")
	c.flags.Var(&f.osv, "osv", "`FILE` or folder of OSV records that do not affect the version; repeat it for several")
	c.flags.StringVar(&f.pkg, "package", "", "`NAME` or ecosystem/name of the package in OSV records")
	c.flags.BoolVar(&f.stable, "stable", false, "no pre-releases")
	c.flags.StringVar(&f.from, "from", "", "`VERSION` that runs now: nothing below it")
	c.flags.TextVar(&f.step, "step", semver.Same, "`PART` that may change at most since -from: patch, minor, major")
	return f
}

// rules are the rules of a command, and the versions that they leave.
type rules struct {
	rule    semver.Rule
	allowed semver.Range // the releases that pass, apart from -step
}

// rules makes the rules from the flags.
func (c *call) rules(f *ruleFlags) (r rules, err error) {
	r.allowed = semver.Releases()
	var all []semver.Rule
	for _, text := range f.in {
		set, err := c.parseRange(text)
		if err != nil {
			return r, err
		}
		all, r.allowed = append(all, semver.In(set)), r.allowed.Intersect(set)
	}
	for _, text := range f.notIn {
		set, err := c.parseRange(text)
		if err != nil {
			return r, err
		}
		all, r.allowed = append(all, semver.NotIn(set)), r.allowed.Difference(set)
	}
	found, err := readAll(f.osv, f.pkg)
	if err != nil {
		return r, err
	}
	for _, a := range found {
		all, r.allowed = append(all, a.Rule()), r.allowed.Difference(a.Range)
	}
	if len(f.osv) > 0 && len(found) == 0 {
		fmt.Fprintf(c.err, "semver %s: note: no OSV record concerns %s\n", c.name, cmp.Or(quote.Name(f.pkg), "any package"))
	}
	if f.stable {
		all = append(all, semver.Stable)
	}
	if f.step != semver.Same && f.from == "" {
		return r, errors.New("-step needs -from")
	}
	if f.from != "" {
		from, err := c.one(f.from)
		if err != nil {
			return r, fmt.Errorf("-from: %w", err)
		}
		all, r.allowed = append(all, semver.NoDowngrade(from)), r.allowed.Intersect(semver.AtLeast(from))
		if f.step != semver.Same {
			all = append(all, semver.MaxStep(from, f.step))
		}
	}
	if f.pkg != "" && len(f.osv) == 0 {
		return r, errors.New("-package needs -osv")
	}
	if c.name == "gate" && len(all) == 0 && len(f.osv) == 0 {
		return r, errors.New("no rule, so every version would pass; semver help gate lists the flags that make rules")
	}
	r.rule = semver.Rules(all...)
	return r, nil
}

// next returns the lowest release above v that passes.
func (r rules) next(v semver.Version) string {
	if w, ok := r.allowed.Ceil(v.Core()); ok && r.rule(w) == nil {
		return w.String()
	}
	return ""
}

// parseRange parses a range in the dialect. It also parses vers specifiers and
// the texts that range and osv print.
func (c *call) parseRange(text string) (semver.Range, error) {
	d := c.dialect
	if c.pre != 0 {
		d = d.With(c.pre)
	}
	if strings.HasPrefix(text, "vers:") {
		_, r, err := advisory.ParseVERS(text)
		return r, err
	}
	for alternative := range strings.SplitSeq(text, "||") {
		if strings.TrimSpace(alternative) == "" {
			return semver.Range{}, fmt.Errorf("the range %s has an empty alternative, which npm reads as every release; write * for that", quote.Text(text))
		}
	}
	if strings.HasPrefix(text, "plain ") || strings.Contains(text, ";") {
		return semver.ParseRange(text)
	}
	r, err := d.ParseRange(text)
	if err != nil {
		for _, other := range dialects() {
			if _, e := other.ParseRange(text); e == nil {
				return r, fmt.Errorf("%w; -dialect %s reads it", err, other)
			}
		}
	}
	return r, err
}

// dialects returns all dialects.
func dialects() []semver.Dialect {
	return []semver.Dialect{semver.NPM, semver.Cargo, semver.Helm, semver.Terraform, semver.TerraformProvider}
}

// filter prints the versions that pass.
func filter(c *call) func([]string) (int, error) {
	f := c.ruleFlags()
	return func(args []string) (int, error) {
		r, err := c.rules(f)
		if err != nil {
			return failed, err
		}
		status := no
		for it := range c.versions(args) {
			if r.rule(it.Version) != nil {
				continue
			}
			status = yes
			if err := c.print(it); err != nil {
				return failed, err
			}
		}
		return status, nil
	}
}

// highest prints the highest version that passes.
func highest(c *call) func([]string) (int, error) { return c.best(+1) }

// lowest prints the lowest version that passes.
func lowest(c *call) func([]string) (int, error) { return c.best(-1) }

// best prints the version that passes and is highest, or lowest if sign is -1.
func (c *call) best(sign int) func([]string) (int, error) {
	f := c.ruleFlags()
	return func(args []string) (int, error) {
		r, err := c.rules(f)
		if err != nil {
			return failed, err
		}
		var best item
		found := false
		for it := range c.versions(args) {
			if r.rule(it.Version) == nil && (!found || it.Compare(best.Tag)*sign > 0) {
				best, found = it, true
			}
		}
		switch {
		case c.failed: // the best version may be among the texts that failed
			return failed, nil
		case !found:
			return no, nil
		}
		return yes, c.print(best)
	}
}

// A reason is the JSON form of a violation.
type reason struct {
	Rule   string `json:"rule"`
	Reason string `json:"reason"`
}

// reasons returns the violations in the error of a rule.
func reasons(err error) (all []reason) {
	switch e := err.(type) {
	case nil:
	case *semver.Violation:
		all = append(all, reason{e.Rule, plain(e.Err)})
	case interface{ Unwrap() []error }:
		for _, err := range e.Unwrap() {
			all = append(all, reasons(err)...)
		}
	}
	return all
}

// A verdict is the JSON form of a decision.
type verdict struct {
	Text    string   `json:"text"`
	Version string   `json:"version,omitempty"`
	Pass    bool     `json:"pass"`
	Reasons []reason `json:"reasons,omitempty"`
	Next    string   `json:"next,omitempty"` // the lowest release above that passes
	Error   string   `json:"error,omitempty"`
}

// String returns the line that gate prints.
func (v verdict) String() string {
	text := quote.Name(v.Text)
	switch {
	case v.Error != "":
		return text + ": not understood: " + v.Error
	case v.Pass:
		return text + ": pass"
	}
	var all []string
	for _, r := range v.Reasons {
		all = append(all, r.Reason+" ("+r.Rule+")")
	}
	line := text + ": refused: " + strings.Join(all, "; ")
	if v.Next != "" {
		line += "; next release that passes: " + v.Next
	}
	return line
}

// gate prints a verdict for each version.
func gate(c *call) func([]string) (int, error) {
	f := c.ruleFlags()
	quiet := c.flags.Bool("q", false, "print only what is refused")
	return func(args []string) (int, error) {
		r, err := c.rules(f)
		if err != nil {
			return failed, err
		}
		n, status := 0, yes
		for it := range c.items(args) {
			if it.err != nil && c.skip {
				continue
			}
			n++
			v := verdict{Text: it.Text}
			if it.err != nil {
				v.Error, c.failed = plain(it.err), true
			} else {
				err := r.rule(it.Version)
				v.Version, v.Pass, v.Reasons = it.Version.String(), err == nil, reasons(err)
				if err != nil {
					status, v.Next = no, r.next(it.Version)
				}
			}
			if err := c.printVerdict(v, *quiet); err != nil {
				return failed, err
			}
		}
		return c.some(n, status)
	}
}

func (c *call) printVerdict(v verdict, quiet bool) error {
	if quiet && v.Pass {
		return nil
	}
	if c.json {
		return c.printJSON(v)
	}
	_, err := fmt.Fprintln(c.out, v)
	return err
}
