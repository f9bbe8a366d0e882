package audit

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
)

var _ slog.LogValuer = (*opaqueError)(nil)

// Opaque returns an error that shows code and nothing of cause, whatever prints
// it: for causes whose text may hold secrets. errors.Is and errors.As still reach
// cause. A [Guard] records the code where the work it guards fails with it.
func Opaque(code Code, cause error) error {
	return &opaqueError{code, func() error { return cause }}
}

// opaqueError holds its cause in a closure, where dumps that walk structs end.
type opaqueError struct {
	code  Code
	cause func() error
}

// Error returns the code, quoted where it is no name.
func (e *opaqueError) Error() string {
	if isName(string(e.code)) {
		return string(e.code)
	}
	return quote(string(e.code))
}

// Format writes the same text for every verb.
func (e *opaqueError) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, e.Error()) }

// Unwrap returns the cause.
func (e *opaqueError) Unwrap() error { return e.cause() }

// LogValue returns the code.
func (e *opaqueError) LogValue() slog.Value { return slog.StringValue(e.Error()) }

// MarshalText returns the code.
func (e *opaqueError) MarshalText() ([]byte, error) { return []byte(e.Error()), nil }

// codeOf is the code of a failure: that of an Opaque error, else "failed".
func codeOf(err error) Code {
	var o *opaqueError
	if errors.As(err, &o) && isName(string(o.code)) {
		return o.code
	}
	return "failed"
}
