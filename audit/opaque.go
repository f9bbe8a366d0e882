package audit

import (
	"fmt"
	"io"
	"log/slog"

	"github.com/redoubt-go/redoubt/internal/errtree"
	"github.com/redoubt-go/redoubt/internal/quote"
)

var _ slog.LogValuer = (*opaqueError)(nil)

// Opaque returns an error that prints code in place of the text of cause, which
// may contain secrets. Errors.Is and errors.As still find cause, and so does
// every program that unwraps errors to print them. If the work of a [Guard]
// fails with an opaque error, the guard records its code.
func Opaque(code Code, cause error) error {
	return &opaqueError{code, func() error { return cause }}
}

// An opaqueError holds its cause in a closure, which printers of structs cannot
// enter.
type opaqueError struct {
	code  Code
	cause func() error
}

// Error returns the code, in quotes if it is not a name.
func (e *opaqueError) Error() string { return quote.Name(string(e.code)) }

// Format writes the text of Error for every verb.
func (e *opaqueError) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, e.Error()) }

// Unwrap returns the cause.
func (e *opaqueError) Unwrap() error { return e.cause() }

// LogValue returns the code.
func (e *opaqueError) LogValue() slog.Value { return slog.StringValue(e.Error()) }

// MarshalText returns the code.
func (e *opaqueError) MarshalText() ([]byte, error) { return []byte(e.Error()), nil }

// codeOf returns the code of a failure: the code of an opaque error, otherwise
// "failed".
func codeOf(err error) Code {
	if o, ok := errtree.Find[*opaqueError](err); ok && o != nil && isName(string(o.code)) {
		return o.code
	}
	return "failed"
}
