package semver

import (
	"errors"
	"log/slog"
	"strconv"
)

// Classes of malformed text, found inside a [ParseError].
var (
	ErrSyntax      = errors.New("syntax error")             // a byte that cannot stand there, or a missing part
	ErrTooLong     = errors.New("too long")                 // over MaxLength, MaxRangeLength, or a dialect's own limit
	ErrLeadingZero = errors.New("leading zero in a number") // 01.2.3, 1.0.0-01
	ErrEmptyIdent  = errors.New("empty identifier")         // 1.0.0-, 1.0.0-a..b, 1.0.0+
	ErrUnsupported = errors.New("unsupported")              // a versioning scheme, or a set a format cannot say
	ErrEvents      = errors.New("malformed OSV events")     // see ParseOSV
)

// Classes of refusal, found inside a [Violation], and of impossible bumps.
var (
	ErrBelow      = errors.New("below every allowed version")
	ErrAbove      = errors.New("above every allowed version")
	ErrExcluded   = errors.New("excluded")
	ErrPrerelease = errors.New("pre-release not allowed")
	ErrPatch      = errors.New("not the first patch of its minor version")
	ErrBuild      = errors.New("build metadata not allowed")
	ErrStep       = errors.New("too large a step")
	ErrEmptyRange = errors.New("empty range")
	ErrOrder      = errors.New("would not be a higher version")
)

// ParseError says where and why a text is not a version, a range or a vers
// URI. Its own text quotes at most 64 bytes of the input.
type ParseError struct {
	Kind   string // what was expected: "version", "range", "vers", "key" …
	Input  string // the text, cut to its first 64 bytes
	Offset int    // byte offset of the fault in the whole text
	Err    error  // the class: ErrSyntax, ErrTooLong, ErrLeadingZero …
}

var _ slog.LogValuer = (*ParseError)(nil)

// Error returns, for example,
// `semver: version "1.02.3": leading zero in a number at byte 2`.
func (e *ParseError) Error() string {
	return "semver: " + e.Kind + " " + strconv.Quote(e.Input) + ": " + e.Err.Error() +
		" at byte " + strconv.Itoa(e.Offset)
}

// Unwrap returns the class of the error.
func (e *ParseError) Unwrap() error { return e.Err }

// LogValue implements slog.LogValuer.
func (e *ParseError) LogValue() slog.Value {
	return slog.GroupValue(slog.String("kind", e.Kind), slog.String("input", e.Input),
		slog.Int("offset", e.Offset), slog.String("err", e.Err.Error()))
}

// parseError builds a ParseError.
func parseError(kind, input string, offset int, err error) error {
	return &ParseError{Kind: kind, Input: cut(input), Offset: offset, Err: err}
}

// Violation says which rule a version broke, and how.
type Violation struct {
	Version Version // the version that was refused
	Rule    string  // the rule: "in ^1.2", "stable", …
	Err     error   // the class: ErrBelow, ErrAbove, ErrExcluded, ErrPrerelease …
}

var _ slog.LogValuer = (*Violation)(nil)

// Error returns, for example, `semver: 2.1.0: above every allowed version (in "^1.2")`.
func (e *Violation) Error() string {
	return "semver: " + cut(e.Version.String()) + ": " + e.Err.Error() + " (" + e.Rule + ")"
}

// Unwrap returns the class of the refusal.
func (e *Violation) Unwrap() error { return e.Err }

// LogValue implements slog.LogValuer.
func (e *Violation) LogValue() slog.Value {
	return slog.GroupValue(slog.String("version", cut(e.Version.String())),
		slog.String("rule", e.Rule), slog.String("err", e.Err.Error()))
}

// cut keeps at most the first 64 bytes of s, the most that foreign text may
// take of an error. What it cuts it copies, so that an error does not keep
// a large input alive.
func cut(s string) string {
	if len(s) <= 64 {
		return s
	}
	return string([]byte(s[:64]))
}
