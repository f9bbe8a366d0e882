package logscan

import (
	"errors"
	"fmt"
	"log/slog"
)

// Classes of errors, matched with errors.Is.
var (
	// ErrMalformed is matched by the errors of this package's parsers.
	ErrMalformed = errors.New("logscan: malformed")

	// ErrUnsupported is matched when an input is compressed in a way that
	// cannot be read: xz and zstd, when no Decoder takes them.
	ErrUnsupported = errors.New("unsupported compression")

	// ErrLimit is matched when an input exceeds MaxDecoded or MaxRatio.
	ErrLimit = errors.New("decoded size over the limit")
)

// An InputError reports that an input could not be opened or listed, or ended
// early. All records before Offset have been delivered, the last of them Partial if
// it was torn.
type InputError struct {
	Name   string // Input.Name
	Offset int64  // bytes read of the decoded stream
	Err    error  // the cause
}

var _ slog.LogValuer = (*InputError)(nil)

// Error returns a text such as `logscan: "app.log.gz": at byte 4096: unexpected EOF`.
func (e *InputError) Error() string {
	name := ""
	if e.Name != "" {
		name = quote(e.Name) + ": "
	}
	return fmt.Sprintf("logscan: %sat byte %d: %v", name, e.Offset, e.Err)
}

// Unwrap returns the cause.
func (e *InputError) Unwrap() error { return e.Err }

// LogValue returns the fields as a group.
func (e *InputError) LogValue() slog.Value {
	return slog.GroupValue(slog.String("name", e.Name), slog.Int64("offset", e.Offset), slog.Any("err", e.Err))
}

// quote quotes foreign text for an error, at most 64 bytes of it.
func quote(s string) string {
	if len(s) > 64 {
		return fmt.Sprintf("%q...", s[:64])
	}
	return fmt.Sprintf("%q", s)
}
