package semver

import (
	"errors"
	"log/slog"
	"strconv"
	"strings"

	"github.com/redoubt-go/redoubt/internal/quote"
)

// Classes of malformed text, wrapped by a [ParseError].
var (
	ErrSyntax      = errors.New("semver: syntax error")             // an unexpected byte or a missing part
	ErrTooLong     = errors.New("semver: too long")                 // over MaxLength, MaxRangeLength or the limit of a dialect
	ErrLeadingZero = errors.New("semver: leading zero in a number") // 01.2.3, 1.0.0-01
	ErrEmptyIdent  = errors.New("semver: empty identifier")         // 1.0.0-, 1.0.0-a..b, 1.0.0+
	ErrUnsupported = errors.New("semver: unsupported")              // an unknown dialect, name or type
)

// errDerived is the panic of a version that is derived from another version
// again and again.
var errDerived = errors.New("semver: a derived version is longer than 16384 bytes")

// Classes of refusal, wrapped by a [Violation].
var (
	ErrBelow      = errors.New("semver: below every allowed version")
	ErrAbove      = errors.New("semver: above every allowed version")
	ErrExcluded   = errors.New("semver: excluded")
	ErrPrerelease = errors.New("semver: pre-release not allowed")
	ErrStep       = errors.New("semver: too large a step")
	ErrEmptyRange = errors.New("semver: empty range")
	ErrOrder      = errors.New("semver: would not be a higher version")
)

// A ParseError reports where and why a text is not a version or a range. Its
// message quotes at most 64 bytes of the input.
type ParseError struct {
	Kind   string // the expected text: "version", "range", "key", "dialect"
	Input  string // the text; after 64 bytes it is cut and ends with "…"
	Offset int    // byte offset of the fault in the whole text
	Err    error  // the class: ErrSyntax, ErrTooLong, ErrLeadingZero, …
}

var _ slog.LogValuer = (*ParseError)(nil)

// Error returns, for example,
// `semver: version "1.02.3": leading zero in a number at byte 2`.
func (e *ParseError) Error() string {
	input, cut := strings.CutSuffix(e.Input, "…")
	mark := ""
	if cut {
		mark = "…"
	}
	return prefix + e.Kind + " " + strconv.Quote(input) + mark + ": " + reason(e.Err) +
		" at byte " + strconv.Itoa(e.Offset)
}

// Unwrap returns the class of the error.
func (e *ParseError) Unwrap() error { return e.Err }

// LogValue implements slog.LogValuer.
func (e *ParseError) LogValue() slog.Value {
	return slog.GroupValue(slog.String("kind", e.Kind), slog.String("input", e.Input),
		slog.Int("offset", e.Offset), slog.String("err", reason(e.Err)))
}

// parseError returns a ParseError for input.
func parseError(kind, input string, offset int, err error) error {
	return &ParseError{Kind: kind, Input: quote.Cut(input), Offset: offset, Err: err}
}

// A Violation reports which rule a version breaks, and how.
type Violation struct {
	Version Version // the refused version
	Rule    string  // the rule, for instance `in "^1.2"` or "stable"
	Err     error   // the class: ErrBelow, ErrAbove, ErrExcluded, ErrPrerelease, …
}

var _ slog.LogValuer = (*Violation)(nil)

// Error returns, for example,
// `semver: 2.1.0: above every allowed version (in "^1.2")`.
func (e *Violation) Error() string {
	return prefix + quote.Cut(e.Version.String()) + ": " + reason(e.Err) + " (" + e.Rule + ")"
}

// Unwrap returns the class of the refusal.
func (e *Violation) Unwrap() error { return e.Err }

// LogValue implements slog.LogValuer.
func (e *Violation) LogValue() slog.Value {
	return slog.GroupValue(slog.String("version", quote.Cut(e.Version.String())),
		slog.String("rule", e.Rule), slog.String("err", reason(e.Err)))
}

// prefix begins the text of every error of this package.
const prefix = "semver: "

// reason returns the text of err without the prefix.
func reason(err error) string { return strings.TrimPrefix(err.Error(), prefix) }
