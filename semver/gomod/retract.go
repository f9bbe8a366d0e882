package gomod

import (
	"strings"

	"github.com/redoubt-go/redoubt/internal/quote"
	"github.com/redoubt-go/redoubt/semver"
)

// ParseRetract parses the versions of a retract directive: a version such as
// v1.2.3, or a closed interval such as [v1.0.0, v1.1.0]. In an interval,
// versions compare by plain precedence.
//
// Errors: a [*semver.ParseError].
func ParseRetract(s string) (semver.Range, error) {
	fail := func(offset int, err error) (semver.Range, error) {
		return semver.Range{}, &semver.ParseError{Kind: "retract", Input: quote.Cut(s), Offset: offset, Err: err}
	}
	if len(s) > 4*semver.MaxLength {
		return fail(4*semver.MaxLength, semver.ErrTooLong)
	}
	trimmed := strings.TrimSpace(s)
	inner, open := strings.CutPrefix(trimmed, "[")
	inner, closed := strings.CutSuffix(inner, "]")
	if open != closed {
		return fail(len(s), semver.ErrSyntax)
	}
	lo, hi, two := strings.Cut(inner, ",")
	if two != open {
		return fail(strings.Index(s, inner)+len(lo), semver.ErrSyntax)
	}
	mode := semver.AllowV | semver.AllowSpace
	v, err := mode.Parse(lo)
	if err != nil {
		return fail(strings.Index(s, lo), semver.ErrSyntax)
	}
	if !two {
		return semver.Exactly(v), nil
	}
	w, err := mode.Parse(hi)
	if err != nil || w.Less(v) {
		return fail(strings.LastIndex(s, hi), semver.ErrSyntax)
	}
	return semver.Closed(v, w), nil
}
