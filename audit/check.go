package audit

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"unicode/utf8"

	"github.com/redoubt-go/redoubt/internal/quote"
)

// A ruleError reports a broken built-in rule. Its text describes the rule and
// not the value, so it is shown for sensitive fields too.
type ruleError string

func (e ruleError) Error() string        { return string(e) }
func (e ruleError) Is(target error) bool { return target == ErrInvalid }

// Length accepts strings of min to max runes, inclusive. Each invalid UTF-8
// byte counts as one rune. The error matches [ErrInvalid].
func Length(min, max int) func(string) error {
	broken := ruleError(fmt.Sprintf("length not in %d..%d", min, max))
	return func(s string) error {
		if n := utf8.RuneCountInString(s); n < min || n > max {
			return broken
		}
		return nil
	}
}

// Match accepts strings that contain a match of re. To match the whole string,
// anchor re with ^ and $. The error matches [ErrInvalid].
func Match(re *regexp.Regexp) func(string) error {
	broken := ruleError("no match for " + quote.Text(re.String()))
	return func(s string) error {
		if !re.MatchString(s) {
			return broken
		}
		return nil
	}
}

// Between accepts lo <= v <= hi. It never accepts NaN. The error matches
// [ErrInvalid].
func Between[T cmp.Ordered](lo, hi T) func(T) error {
	broken := ruleError("not in " + quote.Cut(fmt.Sprintf("%v..%v", lo, hi)))
	return func(v T) error {
		if v >= lo && v <= hi {
			return nil
		}
		return broken
	}
}

// OneOf accepts the given values. The error does not list them and matches
// [ErrInvalid].
func OneOf[T comparable](allowed ...T) func(T) error {
	allowed = slices.Clone(allowed)
	return func(v T) error {
		if !slices.Contains(allowed, v) {
			return ruleError("not one of the allowed values")
		}
		return nil
	}
}

// All accepts values that every check accepts. It calls the checks in order and
// returns the first error.
func All[T any](checks ...func(T) error) func(T) error {
	checks = slices.Clone(checks)
	return func(v T) error {
		for _, check := range checks {
			if err := check(v); err != nil {
				return err
			}
		}
		return nil
	}
}
