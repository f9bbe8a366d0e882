package audit

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"unicode/utf8"
)

// ruleError is a broken built-in rule. Its text is made of the rule alone, so it
// may be shown for sensitive fields too.
type ruleError string

func (e ruleError) Error() string        { return string(e) }
func (e ruleError) Is(target error) bool { return target == ErrInvalid }

// Length accepts strings of min to max runes, both inclusive. Bytes that are not
// UTF-8 count one each. The error matches [ErrInvalid].
func Length(min, max int) func(string) error {
	broken := ruleError(fmt.Sprintf("length not in %d..%d", min, max))
	return func(s string) error {
		if n := utf8.RuneCountInString(s); n < min || n > max {
			return broken
		}
		return nil
	}
}

// Match accepts strings in which re finds a match; anchor it with ^ and $ to
// cover the whole. The error matches [ErrInvalid].
func Match(re *regexp.Regexp) func(string) error {
	broken := ruleError("no match for " + quote(re.String()))
	return func(s string) error {
		if !re.MatchString(s) {
			return broken
		}
		return nil
	}
}

// Between accepts lo <= v <= hi, and never a NaN. The error matches [ErrInvalid].
func Between[T cmp.Ordered](lo, hi T) func(T) error {
	broken := ruleError("not in " + cut(fmt.Sprintf("%v..%v", lo, hi), 64))
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

// All accepts what all checks accept, asked in order. The error is that of the
// first check that refuses.
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
