package semver

import (
	"errors"

	"github.com/redoubt-go/redoubt/internal/quote"
)

// A Rule decides on a version. It returns nil if the version passes, and
// otherwise an error with the reason. Every func(Version) error is a Rule, so a
// gate combines the rules of this package with the rules of a program. The
// rules of this package return a [*Violation].
type Rule func(Version) error

// Rules returns a rule that passes a version if all rules pass it. It returns
// the errors of all rules, joined by errors.Join. Without rules it passes every
// version.
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

// Named returns a rule that decides as rule does and reports name in its
// [Violation].
func Named(name string, rule Rule) Rule {
	return func(v Version) error {
		err := rule(v)
		if err == nil {
			return nil
		}
		if inner, ok := err.(*Violation); ok {
			err = inner.Err
		}
		return &Violation{Version: v, Rule: quote.Cut(name), Err: err}
	}
}

// In returns a rule that passes the versions in r. An empty alternative of an
// npm range, as in "1.2.3 || ", contains every release.
//
// Errors of the rule: the same as [Range.Check].
func In(r Range) Rule { return r.Check }

// NotIn returns a rule that passes the versions outside r. If r is empty, the
// rule passes no version, because a list of bad versions that was never filled
// in must not open the gate. To exclude nothing, leave the rule out.
//
// Errors of the rule: ErrExcluded, and ErrEmptyRange if r is empty.
func NotIn(r Range) Rule {
	rule := r.ruleName("not in ")
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

// NoDowngrade returns a rule that passes the versions at or above from in
// precedence.
//
// Errors of the rule: ErrBelow.
func NoDowngrade(from Version) Rule {
	rule := "no downgrade from " + quote.Cut(from.String())
	return func(v Version) error {
		if v.Compare(from) < 0 {
			return &Violation{Version: v, Rule: rule, Err: ErrBelow}
		}
		return nil
	}
}

// MaxStep returns a rule that passes the versions that differ from from at
// most in the part p, up or down. With Minor, 1.2.3 may go to 1.4.0 but not to
// 2.0.0. If p is not a Part of this package, no version passes.
//
// Errors of the rule: ErrStep.
func MaxStep(from Version, p Part) Rule {
	rule := "at most a " + p.String() + " step from " + quote.Cut(from.String())
	return func(v Version) error {
		if from.Diff(v) > p || p > Major {
			return &Violation{Version: v, Rule: rule, Err: ErrStep}
		}
		return nil
	}
}

// Stable is a rule that passes releases, 0.x included.
//
// Errors: ErrPrerelease.
func Stable(v Version) error {
	if v.IsPrerelease() {
		return &Violation{Version: v, Rule: "stable", Err: ErrPrerelease}
	}
	return nil
}
