package audit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/redoubt-go/redoubt/internal/ctxerr"
	"github.com/redoubt-go/redoubt/internal/errtree"
	"github.com/redoubt-go/redoubt/internal/quote"
)

// Error classes, for errors.Is.
var (
	// ErrNoActor means that the context names no actor although the log
	// requires an actor.
	ErrNoActor = errors.New("audit: no actor in the context")
	// ErrDenied means that the actor is not allowed to perform the action.
	ErrDenied = errors.New("audit: denied")
	// ErrInvalid means that a value breaks the rule of its attribute, or that a
	// name or a configuration is invalid.
	ErrInvalid = errors.New("audit: invalid")
	// ErrUnset means that the field has no value.
	ErrUnset = errors.New("audit: unset")
	// ErrUnbound means that the field is the zero Field.
	ErrUnbound = errors.New("audit: not bound to a log")
	// ErrFailed means that the sink did not store the event.
	ErrFailed = errors.New("audit: event not recorded")
	// ErrUncertain means that the sink did not answer in time or does not know
	// whether it stored the event.
	ErrUncertain = errors.New("audit: event may or may not be recorded")
	// ErrUnrecorded means that the work of a [Guard] was started, and that its
	// result is not recorded. Such an error never matches ErrFailed, and is not
	// retryable.
	ErrUnrecorded = errors.New("audit: done, but its result is not recorded")
	// ErrFull means that a [Buffer] is full.
	ErrFull = errors.New("audit: full")
	// ErrClosed means that a [Buffer] is closed.
	ErrClosed = errors.New("audit: closed")
)

// A fault matches a class and has its own text.
type fault struct {
	text  string
	class error
}

func (e *fault) Error() string { return e.text }
func (e *fault) Unwrap() error { return e.class }

// classed returns an error whose text is op and the text of class. The prefix
// of the package occurs only once, in op.
func classed(op string, class error) error {
	return &fault{op + ": " + strings.TrimPrefix(class.Error(), "audit: "), class}
}

// invalid returns an error of the class [ErrInvalid].
func invalid(format string, args ...any) error {
	return &fault{"audit: " + fmt.Sprintf(format, args...), ErrInvalid}
}

// done returns an error if ctx is done. The error matches ctx.Err() and
// context.Cause(ctx).
func done(ctx context.Context) error {
	if ctx.Err() == nil {
		return nil
	}
	return ctxerr.New(ctx, "audit: not started")
}

// both joins a and b into one line of text. Either may be nil.
func both(a, b error) error {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	return fmt.Errorf("%w; %w", a, b)
}

// A FieldError reports a refused operation on a [Field]. Its text never
// contains the value. If the field is sensitive, its text does not contain the
// error of a Check function either. Errors.Is and errors.As find that error,
// errors.Unwrap does not.
type FieldError struct {
	Target Target // the object; the text does not contain its ID
	Field  string // name of the attribute
	Code   Code   // "invalid" or "unset"

	rule  string // the broken rule, without any value
	class error  // ErrInvalid or ErrUnset
	cause hidden // the error of the Check function, if any
}

// A hidden error is found by errors.Is and errors.As, but not by programs that
// unwrap errors to print them. The closure keeps printers of structs out.
type hidden struct{ cause func() error }

// Is reports whether the cause matches target.
func (h hidden) Is(target error) bool { return errtree.Is(h.Hidden(), target) }

// As finds target in the cause.
func (h hidden) As(target any) bool { return errtree.As(h.Hidden(), target) }

// Hidden returns the cause, for packages of this library that read the
// properties of errors.
func (h hidden) Hidden() error {
	if h.cause == nil {
		return nil
	}
	return h.cause()
}

// Error returns target type, field, code and rule.
func (e *FieldError) Error() string {
	s := "audit: " + e.Target.Type + "." + e.Field + ": " + string(e.Code)
	if e.rule != "" {
		s += ": " + e.rule
	}
	return s
}

// Format writes the text of Error for every verb.
func (e *FieldError) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, e.Error()) }

// Is reports whether target is the class, or matches the error of the Check
// function.
func (e *FieldError) Is(target error) bool { return target == e.class || e.cause.Is(target) }

// As finds target in the error of the Check function.
func (e *FieldError) As(target any) bool { return e.cause.As(target) }

// Hidden returns the error of the Check function, for packages of this library
// that read the properties of errors.
func (e *FieldError) Hidden() error { return e.cause.Hidden() }

// LogValue returns target, field and code, but no value.
func (e *FieldError) LogValue() slog.Value {
	return slog.GroupValue(slog.String("target_type", e.Target.Type), slog.String("target", e.Target.ID),
		slog.String("field", e.Field), slog.String("code", string(e.Code)))
}

// A DeniedError reports work that a [Guard] refused to start.
type DeniedError struct {
	Action Action // the refused action
	Target Target // its object
	Err    error  // the error of Guard.Allow

	// Permission is the missing permission, if Guard.Allow is a [Permission].
	Permission string
}

// Error returns the action and the reason, which is cut at 64 bytes.
func (e *DeniedError) Error() string {
	reason := strings.TrimPrefix(fmt.Sprint(e.Err), "audit: ")
	return "audit: " + quote.Name(string(e.Action)) + ": denied: " + quote.Text(reason)
}

// Is reports whether target is [ErrDenied].
func (e *DeniedError) Is(target error) bool { return target == ErrDenied }

// Unwrap returns the reason.
func (e *DeniedError) Unwrap() error { return e.Err }

// Rejected reports true: the work was not started.
func (e *DeniedError) Rejected() bool { return true }

// Retryable reports whether another attempt may succeed. It reports true if
// Guard.Allow could not decide, and false if Guard.Allow denied the action.
func (e *DeniedError) Retryable() bool { return e.code() == "undecided" }

// LogValue returns action, target and code.
func (e *DeniedError) LogValue() slog.Value {
	as := []slog.Attr{
		slog.String("action", string(e.Action)), slog.String("target_type", e.Target.Type),
		slog.String("target", e.Target.ID), slog.String("code", string(e.code())),
	}
	if e.Permission != "" {
		as = append(as, slog.String("permission", e.Permission))
	}
	return slog.GroupValue(as...)
}

func (e *DeniedError) code() Code {
	switch {
	case errtree.Is(e.Err, ErrNoActor):
		return "no_actor"
	case errtree.Is(e.Err, ErrDenied):
		return "denied"
	}
	return "undecided"
}

// Opaque returns an error that prints code in place of the text of cause, which
// may contain secrets. Errors.Is and errors.As find cause, errors.Unwrap does
// not, so that programs that print all wrapped errors print code only. If the
// work of a [Guard] fails with an opaque error, the guard records its code.
func Opaque(code Code, cause error) error {
	return &opaqueError{code, hidden{func() error { return cause }}}
}

type opaqueError struct {
	code Code
	hidden
}

// Error returns the code, in quotes if it is not a name.
func (e *opaqueError) Error() string { return quote.Name(string(e.code)) }

// Format writes the text of Error for every verb.
func (e *opaqueError) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, e.Error()) }

// LogValue returns the code.
func (e *opaqueError) LogValue() slog.Value { return slog.StringValue(e.Error()) }

// MarshalText returns the code.
func (e *opaqueError) MarshalText() ([]byte, error) { return []byte(e.Error()), nil }

// An unrecordedError reports work whose result is not recorded. Its class is
// ErrUnrecorded in place of the class of record, and record decides nothing
// about a retry.
type unrecordedError struct {
	op     string
	work   error // the error of the work, if any
	record error // the error of the log
}

// Error returns the error of the work and the error of the log.
func (e *unrecordedError) Error() string {
	s := e.op + ": " + strings.TrimPrefix(ErrUnrecorded.Error(), "audit: ") + ": " + strings.TrimPrefix(e.record.Error(), "audit: ")
	if e.work != nil {
		s = fmt.Sprintf("%v; %s", e.work, s)
	}
	return s
}

// Is reports whether target is the class, or matches the error of the work or
// of the log. There is no Unwrap, because the error of the work may be the
// ErrFailed of another guard.
func (e *unrecordedError) Is(target error) bool {
	return target == ErrUnrecorded || target != ErrFailed && target != ErrUncertain &&
		(errtree.Is(e.work, target) || errtree.Is(e.record, target))
}

// As finds target in the error of the work.
func (e *unrecordedError) As(target any) bool { return errtree.As(e.work, target) }

// Retryable reports false: another call would do the work again.
func (e *unrecordedError) Retryable() bool { return false }

// RetryAfter reports 0, for the same reason.
func (e *unrecordedError) RetryAfter() time.Duration { return 0 }

// Rejected reports false: the work was started.
func (e *unrecordedError) Rejected() bool { return false }

// codeOf returns the code of a failure: the code of an opaque error, otherwise
// "failed".
func codeOf(err error) Code {
	if o := (*opaqueError)(nil); errtree.As(err, &o) && o != nil && isName(string(o.code)) {
		return o.code
	}
	return "failed"
}
