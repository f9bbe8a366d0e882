package ledger

import (
	"errors"
	"fmt"
	"log/slog"
	"strconv"
)

// Classes of errors, for errors.Is.
var (
	// ErrFailed: the ledger has stopped, because the file changed under it or a
	// sync failed. Only a new Open, which reads the file again, helps.
	ErrFailed = errors.New("ledger stopped")
	// ErrTampered: the file is not as it was written.
	ErrTampered = errors.New("ledger tampered with")
	// ErrLocked: the directory is in use by another Ledger.
	ErrLocked = errors.New("ledger in use")
	// ErrClosed: the ledger was closed.
	ErrClosed = errors.New("ledger closed")
	// ErrFormat: input is not in the form of this package, or of a later version.
	ErrFormat = errors.New("ledger format")
)

var _ slog.LogValuer = (*TamperError)(nil)

func formatError(text string) error { return fmt.Errorf("ledger: %s: %w", text, ErrFormat) }

// TamperError is the verdict of a verification that found something.
type TamperError struct {
	Problems []Problem // in the order of the file; never empty
}

// Error names the first problem and counts the others.
func (e *TamperError) Error() string {
	if len(e.Problems) == 0 {
		return "ledger: tampered with"
	}
	s := "ledger: " + e.Problems[0].String()
	if n := len(e.Problems) - 1; n > 0 {
		s += " and " + strconv.Itoa(n) + " more"
	}
	return s
}

// Is reports true for [ErrTampered].
func (e *TamperError) Is(target error) bool { return target == ErrTampered }

// LogValue returns the number of problems and the text of the error.
func (e *TamperError) LogValue() slog.Value {
	return slog.GroupValue(slog.Int("problems", len(e.Problems)), slog.String("error", e.Error()))
}

// Kind says what was done to records.
type Kind uint8

// The kinds of problems.
const (
	Altered   Kind = iota + 1 // the bytes of the records changed
	Removed                   // the records are missing
	Inserted                  // the records, or something else, stand where nothing was written
	Reordered                 // the records are all there, in another order
	Truncated                 // the log ends before the known head
	Rewritten                 // the log hangs together but is not the one of the known head, or of a checkpoint in it
	BadSeal                   // a checkpoint's signature does not hold, or is not by the key in office
	Unsealed                  // too many records, or all, are under no checkpoint
	Forked                    // the keys have sealed this log and another that has the known head
)

// String returns the kind in lower case.
func (k Kind) String() string {
	names := [...]string{"", "altered", "removed", "inserted", "reordered", "truncated", "rewritten", "badly sealed", "unsealed", "forked"}
	if int(k) < len(names) && k > 0 {
		return names[k]
	}
	return "Kind(" + strconv.Itoa(int(k)) + ")"
}

// Problem is one place where a log is not as it was written.
type Problem struct {
	Kind    Kind   // what was done
	From    uint64 // first record concerned; for foreign lines inserted, the record they stand before
	To      uint64 // last record concerned, From or greater
	Segment string // file name
	Line    int    // line where it shows, from 1; the last one for Truncated
	Offset  int64  // byte offset of that line
}

// String returns the problem as "record 3 altered (00000000000000000000.jsonl:4,
// offset 812)".
func (p Problem) String() string {
	what := "record " + strconv.FormatUint(p.From, 10)
	if p.To > p.From {
		what = fmt.Sprintf("records %d-%d", p.From, p.To)
	}
	return fmt.Sprintf("%s %s (%s:%d, offset %d)", what, p.Kind, p.Segment, p.Line, p.Offset)
}
