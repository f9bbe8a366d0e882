package semver

import (
	"errors"
	"strconv"
)

// Rule decides on one version: nil to let it pass, else an error that says
// why not. Any func(Version) error is one, so gates combine with what a
// program checks itself. Those of this package return a [*Violation].
type Rule func(Version) error

// Rules returns a rule that holds if all of rules hold, and reports all that
// do not, joined by errors.Join. Without rules it lets everything pass.
func Rules(rules ...Rule) Rule {
	return func(v Version) error {
		var errs []error
		for _, rule := range rules {
			if err := rule(v); err != nil {
				errs = append(errs, err)
			}
		}
		return errors.Join(errs...)
	}
}

// In returns a rule that holds for the versions in r; its errors are those of
// [Range.Check]. Mind that npm's language reads an empty alternative, as in
// "1.2.3 || ", as every release.
func In(r Range) Rule {
	rule := r.rule("in ")
	return func(v Version) error { return r.check(v, rule) }
}

// rule names the rule that relation and r make.
func (r Range) rule(relation string) string { return relation + strconv.Quote(cut(r.String())) }

// NotIn returns a rule that holds for the versions not in r, wrapping
// ErrExcluded for the others. If r is empty it holds for none and wraps
// ErrEmptyRange: a list of bad versions that was never filled in must not
// open the gate. To exclude nothing, leave the rule out.
func NotIn(r Range) Rule {
	rule := r.rule("not in ")
	return func(v Version) error {
		switch {
		case r.IsEmpty():
			return &Violation{Version: v, Rule: rule, Err: ErrEmptyRange}
		case r.Contains(v):
			return &Violation{Version: v, Rule: rule, Err: ErrExcluded}
		}
		return nil
	}
}

// NoDowngrade returns a rule that holds for from and above in precedence,
// wrapping ErrBelow for what is lower.
func NoDowngrade(from Version) Rule {
	return func(v Version) error {
		if v.Compare(from) < 0 {
			return &Violation{Version: v, Rule: "no downgrade from " + cut(from.String()), Err: ErrBelow}
		}
		return nil
	}
}

// MaxStep returns a rule that holds for versions that differ from from in
// the part p or a lesser one, up or down, wrapping ErrStep for others. With
// Minor, 1.2.3 may go to 1.4.0 but not to 2.0.0.
func MaxStep(from Version, p Part) Rule {
	return func(v Version) error {
		if from.Diff(v) > p {
			return &Violation{Version: v, Rule: "at most a " + p.String() + " step from " + cut(from.String()), Err: ErrStep}
		}
		return nil
	}
}

// Stable is a rule that holds for releases, 0.x included, wrapping
// ErrPrerelease for pre-releases.
func Stable(v Version) error {
	if v.IsPrerelease() {
		return &Violation{Version: v, Rule: "stable", Err: ErrPrerelease}
	}
	return nil
}

// FirstPatch is a rule that holds for releases X.Y.0, wrapping ErrPrerelease
// or ErrPatch for others.
func FirstPatch(v Version) error {
	switch {
	case v.IsPrerelease():
		return &Violation{Version: v, Rule: "first patch", Err: ErrPrerelease}
	case v.patch != 0:
		return &Violation{Version: v, Rule: "first patch", Err: ErrPatch}
	}
	return nil
}

// NoBuild is a rule that holds for versions without build metadata, wrapping
// ErrBuild for others.
func NoBuild(v Version) error {
	if v.Build() != "" {
		return &Violation{Version: v, Rule: "no build metadata", Err: ErrBuild}
	}
	return nil
}
