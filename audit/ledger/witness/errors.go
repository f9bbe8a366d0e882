package witness

import (
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"

	"github.com/redoubt-go/redoubt/audit/ledger"
	"github.com/redoubt-go/redoubt/internal/quote"
)

// Error classes, for errors.Is.
var (
	// ErrQuorum means that too few witnesses have cosigned a checkpoint.
	ErrQuorum = errors.New("witness: quorum not reached")
	// ErrConflict means that a witness knows another state of the log: a longer
	// log, or different records. Either the log was cut or rewritten, or two
	// programs use its key, or the witness is wrong.
	ErrConflict = errors.New("witness: another state of the log")
)

// A fault matches a class of package ledger and has its own text.
type fault struct {
	text  string
	class error
}

func (e *fault) Error() string { return e.text }
func (e *fault) Unwrap() error { return e.class }

func formatError(format string, args ...any) error {
	return &fault{"witness: " + fmt.Sprintf(format, args...), ledger.ErrFormat}
}

func tamperError(format string, args ...any) error {
	return &fault{"witness: " + fmt.Sprintf(format, args...), ledger.ErrTampered}
}

// An Error is the failure of a single witness.
type Error struct {
	Witness string // name in the policy
	Status  int    // HTTP status of the last answer; 0 without an answer
	Err     error  // cause
}

// Error returns the name of the witness, the status and the cause.
func (e *Error) Error() string {
	s := "witness: " + quote.Name(e.Witness) + ": "
	if e.Status != 0 {
		s += "status " + strconv.Itoa(e.Status) + ": "
	}
	return s + text(e.Err)
}

// text returns the text of an error of this package, or the quoted text of
// another error.
func text(err error) string {
	var own *fault
	if errors.As(err, &own) || errors.Is(err, ErrConflict) {
		return strings.TrimPrefix(err.Error(), "witness: ")
	}
	return quote.Error(err)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// LogValue returns the fields.
func (e *Error) LogValue() slog.Value {
	return slog.GroupValue(slog.String("witness", e.Witness), slog.Int("status", e.Status), slog.String("error", text(e.Err)))
}

// A QuorumError reports why a checkpoint was not cosigned by a quorum. It
// matches [ErrQuorum], and the errors of the witnesses.
type QuorumError struct {
	Size   uint64   // records of the checkpoint
	Signed int      // witnesses that have cosigned it
	Errors []*Error // failures, in the order of the policy
}

// Error returns the number of cosignatures and the first failure.
func (e *QuorumError) Error() string {
	s := fmt.Sprintf("%v: %d cosignatures of %d records", ErrQuorum, e.Signed, e.Size)
	if len(e.Errors) == 0 {
		return s
	}
	s += ": " + strings.TrimPrefix(e.Errors[0].Error(), "witness: ")
	if n := len(e.Errors) - 1; n > 0 {
		s += " and " + strconv.Itoa(n) + " more"
	}
	return s
}

// Unwrap returns [ErrQuorum] and the failures.
func (e *QuorumError) Unwrap() []error {
	errs := []error{ErrQuorum}
	for _, err := range e.Errors {
		errs = append(errs, err)
	}
	return errs
}

// LogValue returns the figures and the text of the error.
func (e *QuorumError) LogValue() slog.Value {
	return slog.GroupValue(slog.Uint64("size", e.Size), slog.Int("signed", e.Signed), slog.String("error", e.Error()))
}
