package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/redoubt-go/redoubt/internal/quote"
	"github.com/redoubt-go/redoubt/semver"
	"github.com/redoubt-go/redoubt/semver/advisory"
)

// ranges does an operation on sets of versions.
func ranges(c *call) func([]string) (int, error) {
	c.dialectFlags()
	c.versionFlags()
	scheme := c.flags.String("vers", "", "`SCHEME` of a vers specifier in place of a range: semver, npm, cargo, golang")
	from := c.flags.String("from", "", "`VERSION` for least: the lowest member at or above it")
	return func(args []string) (int, error) {
		if len(args) == 0 {
			return failed, c.usage("no operation")
		}
		op := args[0]
		sets, err := c.sets(args[1:])
		if err != nil {
			return failed, err
		}
		if err := operands(op, len(sets)); err != nil {
			return failed, c.usage("%v", err)
		}
		r := sets[0]
		switch op {
		case "or":
			r = r.Union(sets[1:]...)
		case "and":
			for _, s := range sets[1:] {
				r = r.Intersect(s)
			}
		case "minus":
			for _, s := range sets[1:] {
				r = r.Difference(s)
			}
		case "not":
			r = r.Complement()
		case "subset", "equal", "overlaps":
			return c.relation(op, r, sets[1])
		case "least":
			return c.least(r, *from)
		}
		return yes, c.printRange(r, *scheme)
	}
}

// sets parses ranges that are arguments, or else lines of standard input.
func (c *call) sets(args []string) (sets []semver.Range, err error) {
	if len(args) == 0 {
		for n, line := range c.lines() {
			r, err := c.parseRange(strings.TrimSpace(line))
			if err != nil {
				return nil, fmt.Errorf("line %d: %w", n, err)
			}
			sets = append(sets, r)
		}
		return sets, nil
	}
	for _, text := range args {
		r, err := c.parseRange(text)
		if err != nil {
			return nil, err
		}
		sets = append(sets, r)
	}
	return sets, nil
}

// operands returns an error if an operation does not take n ranges.
func operands(op string, n int) error {
	want, ok := map[string][2]int{
		"show": {1, 1}, "not": {1, 1}, "least": {1, 1}, "subset": {2, 2}, "equal": {2, 2}, "overlaps": {2, 2},
		"and": {1, 1 << 30}, "or": {1, 1 << 30}, "minus": {1, 1 << 30},
	}[op]
	switch {
	case !ok:
		return fmt.Errorf("no operation %s", quote.Text(op))
	case n == 0:
		return errors.New("no range")
	case n < want[0] || n > want[1]:
		return fmt.Errorf("%s takes %d ranges, not %d", op, want[0], n)
	}
	return nil
}

// relation decides on two sets. If the answer is no, a line on standard error
// contains a version that shows it.
func (c *call) relation(op string, a, b semver.Range) (int, error) {
	var holds bool
	var witness semver.Version
	var why string
	switch op {
	case "overlaps":
		witness, holds = a.Intersect(b).Least()
		why = "no version is in both"
	default:
		holds, why = true, ""
		if v, ok := a.Difference(b).Least(); ok {
			witness, holds, why = v, false, v.String()+" is in the first range only"
		} else if v, ok := b.Difference(a).Least(); ok && op == "equal" {
			witness, holds, why = v, false, v.String()+" is in the second range only"
		}
	}
	status := yes
	if !holds {
		status = no
	}
	if c.json {
		out := struct {
			Holds   bool   `json:"holds"`
			Witness string `json:"witness,omitempty"`
		}{Holds: holds}
		if holds == (op == "overlaps") {
			out.Witness = witness.String()
		}
		return status, c.printJSON(out)
	}
	if !holds {
		fmt.Fprintf(c.err, "semver range %s: no: %s\n", op, why)
	}
	return status, nil
}

// least prints the lowest member of a set, or its lowest member at or above a
// version.
func (c *call) least(r semver.Range, from string) (int, error) {
	v, ok := r.Least()
	if from != "" {
		w, err := c.one(from)
		if err != nil {
			return failed, fmt.Errorf("-from: %w", err)
		}
		v, ok = r.Ceil(w)
	}
	if !ok {
		return no, nil
	}
	if c.json {
		return yes, c.printJSON(map[string]semver.Version{"least": v})
	}
	_, err := fmt.Fprintln(c.out, v)
	return yes, err
}

// An interval is the JSON form of an interval.
type interval struct {
	Lo          string `json:"lo"`
	Hi          string `json:"hi,omitempty"` // not a member; none without a bound
	Releases    bool   `json:"releases"`
	Prereleases bool   `json:"prereleases"`
}

// printRange prints a set in its canonical text or as a vers specifier.
func (c *call) printRange(r semver.Range, scheme string) error {
	text := r.Canonical()
	if scheme != "" {
		var err error
		if text, err = advisory.FormatVERS(scheme, r); err != nil {
			return err
		}
	}
	if !c.json {
		_, err := fmt.Fprintln(c.out, text)
		return err
	}
	all := []interval{}
	for iv := range r.Intervals() {
		j := interval{Lo: iv.Lo.String(), Releases: iv.Releases, Prereleases: iv.Prereleases}
		if !iv.Unbounded {
			j.Hi = iv.Hi.String()
		}
		all = append(all, j)
	}
	return c.printJSON(struct {
		Range     string     `json:"range"`
		Intervals []interval `json:"intervals"`
	}{text, all})
}

// A reading is the answer of a dialect in an explanation.
type reading struct {
	Dialect string `json:"dialect"`
	In      bool   `json:"in"`
	Range   string `json:"range,omitempty"`  // the canonical text of the set
	Reason  string `json:"reason,omitempty"` // why the version is not in it
	Error   string `json:"error,omitempty"`  // why the dialect refuses the text
}

// An explanation is the JSON form of the answer of why.
type explanation struct {
	Text    string    `json:"text"`
	Range   string    `json:"range"`
	In      bool      `json:"in"`
	Next    string    `json:"next,omitempty"` // the lowest member above the version
	Answers []reading `json:"answers"`

	vendor bool // the release of the pre-release is a member
}

// why explains the answer for a range and a version.
func why(c *call) func([]string) (int, error) {
	c.versionFlags()
	c.dialectFlags()
	return func(args []string) (int, error) {
		if len(args) == 0 {
			return failed, c.usage("no range")
		}
		r, err := c.parseRange(args[0])
		if err != nil {
			return failed, err
		}
		n, status := 0, yes
		for it := range c.versions(args[1:]) {
			n++
			e := c.explain(args[0], r, it)
			if !e.In {
				status = no
			}
			if c.json {
				err = c.printJSON(e)
			} else {
				err = c.printExplanation(e)
			}
			if err != nil {
				return failed, err
			}
		}
		return c.some(n, status)
	}
}

// explain asks the dialect of the call, the same dialect with pre-releases, and
// the other dialects.
func (c *call) explain(text string, r semver.Range, it item) explanation {
	e := explanation{Text: it.Text, Range: text, In: r.Contains(it.Version)}
	e.vendor = it.Version.IsPrerelease() && r.Contains(it.Version.Core())
	if next, ok := r.Ceil(it.Version); ok && !e.In {
		e.Next = next.String()
	}
	d := c.dialect
	if c.pre != 0 {
		d = d.With(c.pre)
	}
	e.Answers = append(e.Answers, answer(d.String(), r, it.Version, nil))
	if it.Version.IsPrerelease() && c.pre != semver.PreAll {
		admit, err := c.dialect.With(semver.PreAll).ParseRange(text)
		e.Answers = append(e.Answers, answer(c.dialect.With(semver.PreAll).String(), admit, it.Version, err))
	}
	for _, other := range dialects() {
		if other != d && other != c.dialect {
			set, err := other.ParseRange(text)
			e.Answers = append(e.Answers, answer(other.String(), set, it.Version, err))
		}
	}
	return e
}

func answer(dialect string, r semver.Range, v semver.Version, err error) reading {
	a := reading{Dialect: dialect}
	if err != nil {
		a.Error = plain(err)
		return a
	}
	a.Range, a.In = r.Canonical(), r.Contains(v)
	var violation *semver.Violation
	if errors.As(r.Check(v), &violation) {
		a.Reason = plain(violation.Err)
	}
	return a
}

// printExplanation prints an explanation as a sentence and a table.
func (c *call) printExplanation(e explanation) error {
	verb, tail := "is in", ""
	if !e.In {
		verb, tail = "is not in", ": "+e.Answers[0].Reason
	}
	if e.Next != "" {
		tail += "; the next member is " + e.Next
	}
	if !e.In && e.vendor {
		tail += ", see -vendors if it is the build of a vendor"
	}
	fmt.Fprintf(c.out, "%s %s %s%s\n", quote.Name(e.Text), verb, quote.Text(e.Range), tail)
	width := 0
	for _, a := range e.Answers {
		width = max(width, len(a.Dialect))
	}
	for _, a := range e.Answers {
		answer := "no   " + a.Reason + ", reads " + a.Range
		switch {
		case a.Error != "":
			answer = "-    " + a.Error
		case a.In:
			answer = "yes  reads " + a.Range
		}
		fmt.Fprintf(c.out, "  %-*s  %s\n", width, a.Dialect, answer)
	}
	return nil
}
