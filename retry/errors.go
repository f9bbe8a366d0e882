package retry

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/redoubt-go/redoubt/internal/errtree"
	"github.com/redoubt-go/redoubt/internal/quote"
)

// The values of Error.Reason, besides the errors context.Canceled and
// context.DeadlineExceeded of a context that ended the call.
var (
	// ErrExhausted means that MaxAttempts attempts failed.
	ErrExhausted = errors.New("retry: exhausted")
	// ErrPermanent means that the last error is not retried.
	ErrPermanent = errors.New("retry: not retryable")
	// ErrBudget means that the Budget refused a retry.
	ErrBudget = errors.New("retry: budget exhausted")
	// ErrElapsed means that the next attempt would have started at MaxElapsed
	// or later.
	ErrElapsed = errors.New("retry: time limit reached")
	// ErrDeadline means that the next attempt would have started at the
	// deadline of the context or later. It matches context.DeadlineExceeded.
	ErrDeadline error = deadlineError("retry: deadline too near")
	// ErrRetryAfter means that the last error asked for a pause longer than
	// MaxRetryAfter or, if a guard refused the attempt, MaxRejected.
	ErrRetryAfter = errors.New("retry: asked to wait too long")
	// ErrNested means that the call belongs to the retry of another call,
	// which decides. See Nest.
	ErrNested = errors.New("retry: left to the outer retry")
)

// The other errors of this package.
var (
	// ErrAttemptTimeout is the cause of a context that AttemptTimeout ended.
	// The error of that attempt matches it. It matches
	// context.DeadlineExceeded.
	ErrAttemptTimeout error = deadlineError("retry: attempt timed out")
	// ErrPending is the last error of a Poll whose last check reported
	// neither success nor failure.
	ErrPending = errors.New("retry: still pending")
	// ErrLost is the cause of the context of a hedged attempt that is no
	// longer needed.
	ErrLost = errors.New("retry: another attempt was first")
	// ErrUnassigned is the error of an Attempts loop whose body did not assign
	// the error variable of the loop, usually because := declared another.
	ErrUnassigned = errors.New("retry: loop body did not assign its error")
)

// A deadlineError is an error of this package that matches
// context.DeadlineExceeded.
type deadlineError string

func (e deadlineError) Error() string        { return string(e) }
func (e deadlineError) Is(target error) bool { return target == context.DeadlineExceeded }

// An Error is the error of a call that failed. It matches its Reason, the error
// of the last attempt and, if a context ended the call, the error of the
// context and its cause. It does not match the errors of earlier attempts: see
// All and Join.
type Error struct {
	Name       string        // of the policy
	Reason     error         // why there was no further attempt, such as ErrExhausted
	Attempts   int           // number of attempts made
	Elapsed    time.Duration // since the start of the call; measured with MaxElapsed, ResetAfter or OnEvent
	RetryAfter time.Duration // the pause that the last error asked for, 0 for none

	last error // of the attempts
	more *more // nil if there is no more to know
}

// A more is the part of an Error that few errors need.
type more struct {
	history history // of the attempts, empty if only the last is known
	failed  int     // attempts in the history, also those it forgot
	cause   error   // of the context that ended the call
	nested  bool    // a call inside an attempt retried and gave up
}

// Last returns the error of the last attempt as it was returned, or nil if
// there was no attempt.
func (e *Error) Last() error {
	if e == nil {
		return nil
	}
	return e.last
}

// All returns the numbers, from 1, and the errors of the first attempt and of
// the last seven. The error of a Next knows only the last attempt.
func (e *Error) All() iter.Seq2[int, error] {
	return func(yield func(int, error) bool) {
		switch {
		case e.Last() == nil:
		case e.more == nil || e.more.history[0] == nil:
			yield(e.Attempts, e.last)
		default:
			e.more.history.all(e.more.failed, yield)
		}
	}
}

// Join returns the errors of All, joined by errors.Join.
func (e *Error) Join() error {
	var errs []error
	for _, err := range e.All() {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// Unwrap returns the reason, the error of the last attempt and, if a context
// ended the call, its cause.
func (e *Error) Unwrap() []error {
	if e == nil {
		return nil
	}
	errs := make([]error, 0, 3)
	for _, err := range [...]error{e.Reason, e.last, e.cause()} {
		if err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

// cause returns the cause of the context that ended the call, or nil.
func (e *Error) cause() error {
	if e.more == nil {
		return nil
	}
	return e.more.cause
}

// Retryable reports whether a call outside the failed call may retry. It is
// false if the failed call stopped for a reason that holds outside too:
// ErrPermanent, ErrBudget, ErrElapsed, ErrRetryAfter or context.Canceled. It
// is also false for ErrExhausted if a further call inside was exhausted, so
// that at most two layers retry.
func (e *Error) Retryable() bool {
	if e == nil {
		return true
	}
	switch e.Reason {
	case ErrPermanent, ErrBudget, ErrElapsed, ErrRetryAfter, context.Canceled:
		return false
	case ErrNested:
		return true
	}
	return e.more == nil || !e.more.nested
}

// Timeout reports whether e matches context.DeadlineExceeded. Package net/url
// calls it.
func (e *Error) Timeout() bool { return errtree.Is(e, context.DeadlineExceeded) }

// Error returns a text such as
//
//	retry: billing: exhausted after 3 attempts: connection refused
func (e *Error) Error() string {
	if e == nil || e.Reason == nil {
		return "retry: failed"
	}
	var b strings.Builder
	b.WriteString("retry: ")
	if e.Name != "" {
		b.WriteString(quote.Name(e.Name))
		b.WriteString(": ")
	}
	b.WriteString(strings.TrimPrefix(line(e.Reason), "retry: "))
	if cause := e.cause(); cause != nil && !errtree.Is(e.Reason, cause) {
		fmt.Fprintf(&b, " (%s)", line(cause))
	}
	b.WriteString(" after ")
	b.WriteString(strconv.Itoa(e.Attempts))
	b.WriteString(" attempt")
	if e.Attempts != 1 {
		b.WriteByte('s')
	}
	if e.Reason == ErrRetryAfter {
		fmt.Fprintf(&b, ", retry after %v", e.RetryAfter.Round(time.Millisecond))
	}
	if last := e.Last(); last != nil {
		b.WriteString(": ")
		b.WriteString(line(last))
	}
	return b.String()
}

var _ slog.LogValuer = (*Error)(nil)

// LogValue returns the fields of e as a group, without empty fields.
func (e *Error) LogValue() slog.Value {
	if e == nil {
		return slog.Value{}
	}
	var attrs []slog.Attr
	if e.Name != "" {
		attrs = append(attrs, slog.String("name", e.Name))
	}
	attrs = append(attrs, slog.Any("reason", e.Reason), slog.Int("attempts", e.Attempts))
	if e.Elapsed > 0 {
		attrs = append(attrs, slog.Duration("elapsed", e.Elapsed))
	}
	if e.RetryAfter > 0 {
		attrs = append(attrs, slog.Duration("retry_after", e.RetryAfter))
	}
	if last := e.Last(); last != nil {
		attrs = append(attrs, slog.Any("last", last))
	}
	return slog.GroupValue(attrs...)
}

// line returns the text of err on one line. The Error method of err may panic.
func line(err error) string { return strings.ReplaceAll(fmt.Sprint(err), "\n", "; ") }
