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
)

// The reasons for which a call ends without success, as found in Error.Reason.
// Besides these it can be the error of the context, context.Canceled or
// context.DeadlineExceeded.
var (
	// ErrExhausted means that MaxAttempts attempts failed.
	ErrExhausted = errors.New("retry: exhausted")
	// ErrPermanent means that the last error cannot be helped by retrying.
	ErrPermanent = errors.New("retry: permanent error")
	// ErrBudget means that the Budget refused a retry.
	ErrBudget = errors.New("retry: budget exhausted")
	// ErrElapsed means that the next attempt would have started at MaxElapsed
	// or after it.
	ErrElapsed = errors.New("retry: time limit reached")
	// ErrDeadline means that the next attempt would have started at the
	// deadline of the context or after it. It matches
	// context.DeadlineExceeded.
	ErrDeadline error = deadlineError("retry: deadline too near")
	// ErrRetryAfter means that the other side asked for a pause longer than
	// MaxRetryAfter.
	ErrRetryAfter = errors.New("retry: asked to wait too long")
)

// The other errors of this package.
var (
	// ErrAttemptTimeout is the cause of a context ended by AttemptTimeout, and
	// matched by the error of that attempt. It matches
	// context.DeadlineExceeded.
	ErrAttemptTimeout error = deadlineError("retry: attempt timed out")
	// ErrPending is the error of a Poll whose last check found the work still
	// going on.
	ErrPending = errors.New("retry: still pending")
	// ErrLost is the cause of the context of a hedged attempt that is no longer
	// needed.
	ErrLost = errors.New("retry: another attempt was first")
	// ErrUnassigned is the error of an Attempts loop whose body did not assign
	// the error it was told to, usually because := declared another.
	ErrUnassigned = errors.New("retry: loop body did not assign its error")
)

// A deadlineError is an error of this package that is also a deadline's.
type deadlineError string

func (e deadlineError) Error() string        { return string(e) }
func (e deadlineError) Is(target error) bool { return target == context.DeadlineExceeded }

// kept is the number of errors an Error remembers.
const kept = 8

// A history holds the error of the first attempt and those of the last seven,
// so that a call without a limit needs no more memory than another.
type history [kept]error

// slot returns the place of attempt n, counted from 1.
func slot(n int) int {
	if n == 1 {
		return 0
	}
	return 1 + (n-2)%(kept-1)
}

// add records the error of attempt n.
func (h *history) add(n int, err error) { h[slot(n)] = err }

// all yields the errors kept of n attempts.
func (h *history) all(n int, yield func(int, error) bool) {
	if !yield(1, h[0]) {
		return
	}
	for i := max(2, n-kept+2); i <= n; i++ {
		if !yield(i, h[slot(i)]) {
			return
		}
	}
}

// An Error says why a call failed, after how many attempts, and with what.
// It matches, by errors.Is and errors.As, its Reason, the error of the last
// attempt and, when the context ended the call, its error and its cause. The
// errors of earlier attempts are not matched: see All and Join.
type Error struct {
	Reason   error         // why there was no further attempt, see ErrExhausted
	Attempts int           // number of attempts made
	Elapsed  time.Duration // from the start of the call; 0 unless the policy has MaxElapsed or OnEvent
	Hint     time.Duration // the pause the last error asked for, 0 for none

	cause error    // of the context that ended the call
	last  error    // of the attempts
	older *history // of all attempts, nil unless there were several
}

// Last returns the error of the last attempt as it was returned, or nil if
// there was no attempt.
func (e *Error) Last() error {
	if e == nil {
		return nil
	}
	return e.last
}

// All returns the attempts' numbers, from 1, and errors: the first attempt and
// the last seven.
func (e *Error) All() iter.Seq2[int, error] {
	return func(yield func(int, error) bool) {
		switch {
		case e.Last() == nil:
		case e.older == nil:
			yield(1, e.last)
		default:
			e.older.all(e.Attempts, yield)
		}
	}
}

// Join returns the errors of All as one, made by errors.Join.
func (e *Error) Join() error {
	var errs []error
	for _, err := range e.All() {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// Unwrap returns the reason, the last attempt's error, and the cause of the
// context if that ended the call.
func (e *Error) Unwrap() []error {
	if e == nil {
		return nil
	}
	errs := make([]error, 0, 3)
	for _, err := range [...]error{e.Reason, e.Last(), e.cause} {
		if err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

// Timeout reports whether e matches context.DeadlineExceeded, as net.Error and
// url.Error want to know.
func (e *Error) Timeout() bool { return errors.Is(e, context.DeadlineExceeded) }

// Error returns a text such as
//
//	retry: exhausted after 3 attempts: connection refused
func (e *Error) Error() string {
	if e == nil || e.Reason == nil {
		return "retry: failed"
	}
	var b strings.Builder
	b.WriteString("retry: ")
	b.WriteString(strings.TrimPrefix(e.Reason.Error(), "retry: "))
	if e.Reason == ErrRetryAfter {
		fmt.Fprintf(&b, " (%v)", milliseconds(e.Hint))
	}
	if e.cause != nil && e.cause != e.Reason {
		fmt.Fprintf(&b, " (%v)", e.cause)
	}
	b.WriteString(" after ")
	b.WriteString(strconv.Itoa(e.Attempts))
	b.WriteString(" attempt")
	if e.Attempts != 1 {
		b.WriteByte('s')
	}
	if last := e.Last(); last != nil {
		b.WriteString(": ")
		b.WriteString(last.Error())
	}
	return b.String()
}

var _ slog.LogValuer = (*Error)(nil)

// LogValue returns the error as a group of its parts.
func (e *Error) LogValue() slog.Value {
	if e == nil {
		return slog.Value{}
	}
	attrs := []slog.Attr{slog.Any("reason", e.Reason), slog.Int("attempts", e.Attempts)}
	if e.Elapsed > 0 {
		attrs = append(attrs, slog.Duration("elapsed", e.Elapsed))
	}
	if e.Hint > 0 {
		attrs = append(attrs, slog.Duration("retry_after", e.Hint))
	}
	if last := e.Last(); last != nil {
		attrs = append(attrs, slog.Any("last", last))
	}
	return slog.GroupValue(attrs...)
}

// milliseconds rounds d up to a whole millisecond, for texts.
func milliseconds(d time.Duration) time.Duration {
	if r := d % time.Millisecond; r > 0 {
		return add(d, time.Millisecond-r)
	}
	return d
}
