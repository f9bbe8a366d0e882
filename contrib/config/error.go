package config

import (
	"log/slog"

	"github.com/redoubt-go/redoubt/internal/quote"
)

// An Error is a problem of a value. [Decode], [Encode] and [Env] join the
// errors of all values.
type Error struct {
	// Path is the place of the value, such as "retry.payments.max_attempts" or
	// "limits[2]". It is empty for the whole value.
	Path string
	// Err is the problem: an error of Validate, of UnmarshalText or of
	// MarshalText, or a text such as "is 0.5, want a whole number".
	Err error
}

var _ slog.LogValuer = (*Error)(nil)

// Error returns a text such as
//
//	config: retry.payments.max_attempts: is 0.5, want a whole number
func (e *Error) Error() string {
	if e.Path == "" {
		return "config: " + e.Err.Error()
	}
	return "config: " + e.Path + ": " + e.Err.Error()
}

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// LogValue returns the fields as a group.
func (e *Error) LogValue() slog.Value {
	return slog.GroupValue(slog.String("path", e.Path), slog.String("problem", quote.Cut(e.Err.Error())))
}
