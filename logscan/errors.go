package logscan

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/redoubt-go/redoubt/internal/quote"
)

// Classes of errors, matched with errors.Is.
var (
	// ErrMalformed is matched by the errors of the parsers of this package.
	ErrMalformed = errors.New("logscan: malformed")

	// ErrUnsupported is matched if an input is no text, and the scan knows
	// its format but cannot read it. These are xz and zstd without a
	// [Decoder], zip, 7z, tar, lz4, lzma, zlib, compress and UTF-16.
	ErrUnsupported = errors.New("logscan: unsupported format")

	// ErrLimit is matched if an input exceeds [Scanner.MaxDecoded] or
	// [Scanner.MaxRatio].
	ErrLimit = errors.New("logscan: decoded size over the limit")
)

// An InputError reports that an input could not be opened or listed, or ended
// early. All records before Offset have been delivered. If the last record was
// torn, it is Partial.
type InputError struct {
	Name   string // Input.Name
	Offset int64  // bytes read of the decoded stream
	Err    error  // the cause
}

var _ slog.LogValuer = (*InputError)(nil)

// Error returns a text such as
//
//	logscan: "app.log.gz": at byte 4096: unexpected EOF
func (e *InputError) Error() string {
	name := ""
	if e.Name != "" {
		name = quote.Text(e.Name) + ": "
	}
	// Errors of this package need no second prefix.
	cause := strings.TrimPrefix(fmt.Sprint(e.Err), "logscan: ")
	return fmt.Sprintf("logscan: %sat byte %d: %s", name, e.Offset, cause)
}

// Unwrap returns the cause.
func (e *InputError) Unwrap() error { return e.Err }

// LogValue returns the fields as a group.
func (e *InputError) LogValue() slog.Value {
	return slog.GroupValue(slog.String("name", quote.Cut(e.Name)), slog.Int64("offset", e.Offset), slog.Any("err", e.Err))
}
