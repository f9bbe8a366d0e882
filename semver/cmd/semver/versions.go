package main

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/redoubt-go/redoubt/internal/quote"
	"github.com/redoubt-go/redoubt/semver"
	"github.com/redoubt-go/redoubt/semver/gomod"
)

// valid prints the versions and reports the texts that are none.
func valid(c *call) func([]string) (int, error) {
	c.versionFlags()
	return func(args []string) (int, error) {
		status, n := yes, 0
		for it := range c.items(args) {
			n++
			var err error
			switch {
			case it.err == nil:
				err = c.print(it)
			case c.skip:
			case c.json:
				status = no
				err = c.printJSON(struct {
					row
					Error string `json:"error"`
				}{newRow(it), plain(it.err)})
			default:
				status = no
				_, err = fmt.Fprintf(c.err, "%s: %s\n", it.place(), plain(it.err))
			}
			if err != nil {
				return failed, err
			}
		}
		return c.some(n, status)
	}
}

// some returns status, or an error if there was no version to decide on.
func (c *call) some(n, status int) (int, error) {
	if n == 0 && !c.failed {
		return failed, errors.New("no version, neither as an argument nor on standard input")
	}
	return status, nil
}

// compare prints the order of two versions, or decides on it.
func compare(c *call) func([]string) (int, error) {
	c.versionFlags()
	total := c.flags.Bool("build", false, "order equal versions by build metadata")
	return func(args []string) (int, error) {
		op := ""
		if len(args) == 3 {
			op, args = args[1], []string{args[0], args[2]}
		}
		if len(args) != 2 {
			return failed, c.usage("%d arguments", len(args))
		}
		a, err := c.one(args[0])
		b, err2 := c.one(args[1])
		if err := cmp.Or(err, err2); err != nil {
			return failed, err
		}
		order := sign(a, b, *total)
		if op != "" {
			return decide(op, order)
		}
		if c.json {
			return yes, c.printJSON(struct {
				A     string      `json:"a"`
				B     string      `json:"b"`
				Order int         `json:"order"`
				Diff  semver.Part `json:"diff"`
			}{args[0], args[1], order, a.Diff(b)})
		}
		_, err = fmt.Fprintln(c.out, order)
		return yes, err
	}
}

// decide returns whether an order fits an operator.
func decide(op string, order int) (int, error) {
	holds, ok := map[string]bool{
		"lt": order < 0, "<": order < 0, "le": order <= 0, "<=": order <= 0, "eq": order == 0, "=": order == 0, "==": order == 0,
		"ne": order != 0, "!=": order != 0, "ge": order >= 0, ">=": order >= 0, "gt": order > 0, ">": order > 0,
	}[op]
	switch {
	case !ok:
		return failed, fmt.Errorf("no operator %s; it is lt, le, eq, ne, ge or gt", quote.Text(op))
	case holds:
		return yes, nil
	}
	return no, nil
}

// diff prints the part in which two versions differ.
func diff(c *call) func([]string) (int, error) {
	c.versionFlags()
	return func(args []string) (int, error) {
		if len(args) != 2 {
			return failed, c.usage("%d arguments", len(args))
		}
		a, err := c.one(args[0])
		b, err2 := c.one(args[1])
		if err := cmp.Or(err, err2); err != nil {
			return failed, err
		}
		if c.json {
			return yes, c.printJSON(map[string]semver.Part{"diff": a.Diff(b)})
		}
		_, err = fmt.Fprintln(c.out, a.Diff(b))
		return yes, err
	}
}

// sorted prints the versions in order. Versions of equal precedence are in the
// order of their variant, their build metadata, and the input.
func sorted(c *call) func([]string) (int, error) {
	c.versionFlags()
	reverse := c.flags.Bool("r", false, "descending order")
	unique := c.flags.Bool("u", false, "print versions of equal precedence once")
	return func(args []string) (int, error) {
		all := slices.Collect(c.versions(args))
		sign := 1
		if *reverse {
			sign = -1
		}
		slices.SortFunc(all, func(a, b item) int {
			if order := a.Version.Compare(b.Version); order != 0 {
				return order * sign
			}
			order := cmp.Or(strings.Compare(a.Variant, b.Variant), a.Version.CompareTotal(b.Version))
			return cmp.Or(order*sign, cmp.Compare(a.n, b.n))
		})
		if *unique {
			all = slices.CompactFunc(all, func(a, b item) bool { return a.Version.Compare(b.Version) == 0 && a.Variant == b.Variant })
		}
		for _, it := range all {
			if err := c.print(it); err != nil {
				return failed, err
			}
		}
		return yes, nil
	}
}

// bump prints the next version of each version.
func bump(c *call) func([]string) (int, error) {
	c.versionFlags()
	id := c.flags.String("pre", "", "`LINE` of pre-releases: rc gives rc.0, rc.1 gives rc.1 first")
	build := c.flags.String("build", "", "`TEXT` that becomes the build metadata")
	return func(args []string) (int, error) {
		if len(args) == 0 {
			return failed, c.usage("no part")
		}
		next, err := step(args[0], *id)
		if err != nil {
			return failed, err
		}
		n, status := 0, yes
		for it := range c.versions(args[1:]) {
			n++
			v, err := next(it.Version)
			if err == nil {
				v, err = v.WithBuild(*build)
			}
			switch {
			case errors.Is(err, semver.ErrOrder):
				status = no
				fmt.Fprintf(c.err, "semver bump: %s: %s\n", it.place(), plain(err))
				continue
			case err != nil:
				return failed, err
			}
			it.Text, it.Version = c.rewrite(it, v), v
			if err := c.print(it); err != nil {
				return failed, err
			}
		}
		return c.some(n, status)
	}
}

// step returns the function that makes the next version.
func step(part, id string) (func(semver.Version) (semver.Version, error), error) {
	var p semver.Part
	err := p.UnmarshalText([]byte(part))
	switch {
	case part == "premajor" || part == "preminor" || part == "prepatch" || part == "prerelease": // as npm names them
		return nil, fmt.Errorf("no part %s; write bump -pre rc %s", part, cmp.Or(strings.TrimPrefix(strings.TrimSuffix(part, "release"), "pre"), "pre"))
	case part == "release" && id == "":
		return release, nil
	case err == nil && p == semver.Pre:
		return func(v semver.Version) (semver.Version, error) { return v.BumpPre(id) }, nil
	case err != nil || p < semver.Patch || part == "release":
		return nil, fmt.Errorf("no part %s; it is major, minor, patch, pre, or without -pre release", quote.Text(part))
	case id != "":
		return func(v semver.Version) (semver.Version, error) { return v.StartPre(p, id) }, nil
	}
	return func(v semver.Version) (semver.Version, error) { return v.Bump(p), nil }, nil
}

// release returns the release that a pre-release leads to.
func release(v semver.Version) (semver.Version, error) {
	if !v.IsPrerelease() {
		return v, &semver.Violation{Version: v, Rule: "release", Err: semver.ErrOrder}
	}
	return v.Core(), nil
}

// rewrite returns the text of an item with another version: its prefix, its
// "v" and its variant remain.
func (c *call) rewrite(it item, v semver.Version) string {
	text := v.String()
	switch c.input.mode {
	case "tag":
		text = strings.Replace(text, "+", "_", 1) // as registries require
	case "go":
		if name, ok := gomod.ToolchainName(v); ok && strings.HasPrefix(it.Text, "go") {
			return name
		} else if ok {
			return strings.TrimPrefix(name, "go")
		}
	}
	lead := c.input.format.Prefix
	if rest := strings.TrimPrefix(it.Text, lead); c.input.mode != "coerce" && rest != "" && (rest[0] == 'v' || rest[0] == 'V') {
		lead += rest[:1]
	}
	if it.Variant != "" {
		text += "-" + it.Variant
	}
	return lead + text
}
