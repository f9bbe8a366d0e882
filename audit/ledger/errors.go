package ledger

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"

	"github.com/redoubt-go/redoubt/internal/ctxerr"
)

// Error classes, for errors.Is.
var (
	// ErrFailed means that the ledger has stopped, because its file was changed
	// or a sync failed. Open the directory again, which reads the file.
	ErrFailed = errors.New("ledger: stopped")
	// ErrTampered means that the log is not as it was written.
	ErrTampered = errors.New("ledger: tampered with")
	// ErrLocked means that another Ledger uses the directory.
	ErrLocked = errors.New("ledger: in use")
	// ErrClosed means that the ledger is closed.
	ErrClosed = errors.New("ledger: closed")
	// ErrFormat means that an input or a configuration is invalid, or that a
	// log has a newer version.
	ErrFormat = errors.New("ledger: invalid format")
)

// A fault matches a class and has its own text.
type fault struct {
	text  string
	class error
}

func (e *fault) Error() string { return e.text }
func (e *fault) Unwrap() error { return e.class }

// formatError returns an error of the class [ErrFormat].
func formatError(format string, args ...any) error {
	return &fault{"ledger: " + fmt.Sprintf(format, args...), ErrFormat}
}

// tamperError returns an error of the class [ErrTampered].
func tamperError(format string, args ...any) error {
	return &fault{"ledger: " + fmt.Sprintf(format, args...), ErrTampered}
}

// done returns an error if ctx is done. The error matches ctx.Err() and
// context.Cause(ctx).
func done(ctx context.Context, op string) error {
	if ctx.Err() == nil {
		return nil
	}
	return ctxerr.New(ctx, "ledger: "+op)
}

// A TamperError reports the problems of a log.
type TamperError struct {
	Problems []Problem // in the order of the file; never empty
}

// Error returns the first problem and the number of the others.
func (e *TamperError) Error() string {
	if len(e.Problems) == 0 {
		return ErrTampered.Error()
	}
	s := "ledger: " + e.Problems[0].String()
	if n := len(e.Problems) - 1; n > 0 {
		s += " and " + strconv.Itoa(n) + " more"
	}
	return s
}

// Is reports whether target is [ErrTampered].
func (e *TamperError) Is(target error) bool { return target == ErrTampered }

// LogValue returns the number of problems and the text of the error.
func (e *TamperError) LogValue() slog.Value {
	return slog.GroupValue(slog.Int("problems", len(e.Problems)), slog.String("error", e.Error()))
}

// A Kind is the kind of a [Problem].
type Kind uint8

// The kinds of problems.
const (
	KindAltered   Kind = iota // the bytes of the records were changed
	KindRemoved               // the records are missing
	KindInserted              // the records, or other lines, were added
	KindReordered             // the records are complete but in another order
	KindTruncated             // the log ends before the known head
	KindRewritten             // the log is consistent but differs from the known head or from a checkpoint
	KindBadSeal               // the signature of a checkpoint is invalid or not by the current key
	KindUnsealed              // too many records, or all, have no checkpoint
	KindForked                // the log differs from the known head although its checkpoints are valid
)

// String returns the name in lower case.
func (k Kind) String() string {
	names := [...]string{"altered", "removed", "inserted", "reordered", "truncated", "rewritten", "badly sealed", "unsealed", "forked"}
	if int(k) < len(names) {
		return names[k]
	}
	return "Kind(" + strconv.Itoa(int(k)) + ")"
}

// A Problem is a place where the log is not as it was written.
type Problem struct {
	Kind    Kind   // kind of change
	From    uint64 // first record; for inserted lines that are not records, the record after them
	To      uint64 // last record, From or greater
	Segment string // file name
	Line    int    // line in the file, from 1; the last line for KindTruncated
	Offset  int64  // byte offset of the line
}

// String returns the problem in the form "record 3 altered
// (00000000000000000000.jsonl:4, offset 812)".
func (p Problem) String() string {
	records := "record " + strconv.FormatUint(p.From, 10)
	if p.To > p.From {
		records = fmt.Sprintf("records %d-%d", p.From, p.To)
	}
	return fmt.Sprintf("%s %s (%s:%d, offset %d)", records, p.Kind, p.Segment, p.Line, p.Offset)
}
