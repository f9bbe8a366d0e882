package retrysql

import (
	"errors"
	"log/slog"

	"github.com/redoubt-go/redoubt/internal/errtree"
	"github.com/redoubt-go/redoubt/internal/quote"
)

// ErrCommitUnknown is matched by the error of a transaction whose COMMIT failed
// without an answer of the database: it may have been committed or not.
var ErrCommitUnknown = errors.New("retrysql: outcome of commit unknown")

// A CommitError is the failure of a COMMIT whose outcome is unknown. It matches
// ErrCommitUnknown.
type CommitError struct {
	Err error // the error of Commit
}

var _ slog.LogValuer = (*CommitError)(nil)

// Error returns the text of ErrCommitUnknown and the quoted text of Err.
func (e *CommitError) Error() string {
	return ErrCommitUnknown.Error() + ": " + quote.Error(e.Err)
}

// Is reports whether target is ErrCommitUnknown.
func (e *CommitError) Is(target error) bool { return target == ErrCommitUnknown }

// Unwrap returns Err.
func (e *CommitError) Unwrap() error { return e.Err }

// Retryable returns false: a second attempt could run the transaction twice.
func (e *CommitError) Retryable() bool { return false }

// LogValue returns the text as a group.
func (e *CommitError) LogValue() slog.Value {
	return slog.GroupValue(slog.String("msg", ErrCommitUnknown.Error()), slog.String("err", quote.Error(e.Err)))
}

// A lostError is the error of a transaction whose connection is broken: it did
// not begin, or Rollback failed too.
type lostError struct{ err error }

func (e *lostError) Error() string { return e.err.Error() }
func (e *lostError) Unwrap() error { return e.err }

func lost(err error) bool {
	_, ok := errtree.Find[*lostError](err)
	return ok
}
