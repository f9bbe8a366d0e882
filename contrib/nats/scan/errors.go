package scan

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/redoubt-go/redoubt/internal/quote"
)

// Classes of errors, matched with errors.Is.
var (
	// ErrVersion is returned by Run and Work if the scan was begun with another
	// Job.Program or by another version of this package. The process has then
	// changed nothing.
	ErrVersion = errors.New("scan: other version")

	// ErrChanged is returned by a Run that continues a scan, if the inputs or
	// Job.Task are not the same as before. To begin a new scan, choose another
	// name, or delete the stream.
	ErrChanged = errors.New("scan: inputs changed")

	// ErrReplaced is returned by Run if another process has called Run for the
	// same scan since.
	ErrReplaced = errors.New("scan: replaced by another coordinator")
)

// A TaskError reports a part of an input that failed permanently. The answer
// contains the records before the failure if the input could be read so far,
// and otherwise none of its records.
type TaskError struct {
	Name     string // of the input
	Offset   int64  // of the part
	End      int64  // of the part; 0 if it ends with the input
	Attempts int    // begun; 0 if the input could not be listed
	Text     string // of the last error
}

var _ slog.LogValuer = (*TaskError)(nil)

// Error returns a text such as
//
//	scan: "a.gz": bytes 0 to the end: failed after 8 attempts: unexpected EOF
func (e *TaskError) Error() string {
	return fmt.Sprintf("scan: %s: failed after %d attempts: %s", e.place(), e.Attempts, e.Text)
}

func (e *TaskError) place() string {
	end := "the end"
	if e.End > 0 {
		end = fmt.Sprint(e.End)
	}
	return fmt.Sprintf("%s: bytes %d to %s", quote.Text(e.Name), e.Offset, end)
}

// LogValue returns the fields as a group.
func (e *TaskError) LogValue() slog.Value {
	return slog.GroupValue(slog.String("name", quote.Cut(e.Name)), slog.Int64("offset", e.Offset),
		slog.Int64("end", e.End), slog.Int("attempts", e.Attempts), slog.String("text", e.Text))
}

// textOf returns the text of an error for a message: on one line, without the
// prefix of the package, cut at maxText.
func textOf(err error) string {
	text := strings.TrimPrefix(fmt.Sprint(err), "logscan: ")
	text = strings.Join(strings.Fields(strings.ToValidUTF8(text, "?")), " ")
	return strings.ToValidUTF8(text[:min(len(text), maxText)], "")
}
