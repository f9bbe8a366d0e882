package audit

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strconv"
)

// Classes of errors, for errors.Is.
var (
	// ErrNoActor: the context names no actor and the log does not allow that.
	ErrNoActor = errors.New("no actor in the context")
	// ErrDenied: the actor is not allowed to do this.
	ErrDenied = errors.New("denied")
	// ErrInvalid: a value breaks the rule of its attribute, or a name or Config is not valid.
	ErrInvalid = errors.New("invalid")
	// ErrUnset: the field has no value.
	ErrUnset = errors.New("unset")
	// ErrUnbound: a zero Field, or a Guard without a Log.
	ErrUnbound = errors.New("not bound to a log")
	// ErrFailed: the sink did not store the event, so the work was not done.
	ErrFailed = errors.New("event not recorded")
	// ErrUncertain: the sink gave no answer in time, or could not say. The event
	// may be in the log although the work was not done.
	ErrUncertain = errors.New("event may or may not be recorded")
	// ErrFull: a [Buffer] has no room.
	ErrFull = errors.New("full")
	// ErrClosed: a [Buffer] was closed.
	ErrClosed = errors.New("closed")
)

var (
	_ slog.LogValuer = (*FieldError)(nil)
	_ slog.LogValuer = (*DeniedError)(nil)
)

// FieldError is a refused operation on a [Field]. It never shows the value, nor
// the words of a foreign check of a sensitive field; those are reached with
// errors.Is and errors.As only.
type FieldError struct {
	Target Target // the object; its ID is not part of the text
	Field  string // name of the attribute
	Code   Code   // "invalid" or "unset"

	rule  string       // the broken rule, in words that hold no value
	class error        // ErrInvalid or ErrUnset
	cause func() error // a closure: dumps that walk structs end here
}

// Error names target type, field, code and rule.
func (e *FieldError) Error() string {
	s := "audit: " + e.Target.Type + "." + e.Field + ": " + string(e.Code)
	if e.rule != "" {
		s += ": " + e.rule
	}
	return s
}

// Format writes the same text for every verb.
func (e *FieldError) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, e.Error()) }

// Unwrap returns the class and, where a check made one, its error.
func (e *FieldError) Unwrap() []error {
	if e.cause == nil {
		return []error{e.class}
	}
	return []error{e.class, e.cause()}
}

// LogValue returns target, field and code, never a value.
func (e *FieldError) LogValue() slog.Value {
	return slog.GroupValue(slog.String("target_type", e.Target.Type), slog.String("target", e.Target.ID),
		slog.String("field", e.Field), slog.String("code", string(e.Code)))
}

// DeniedError is work that a [Guard] did not let begin.
type DeniedError struct {
	Action Action // what was asked for
	Target Target // on what
	Err    error  // what Guard.Allow said
}

// Error names the action and gives the reason, cut at 64 bytes.
func (e *DeniedError) Error() string {
	return "audit: " + string(e.Action) + ": denied: " + quote(e.Err.Error())
}

// Is reports true for [ErrDenied]: whatever the reason, it was not allowed.
func (e *DeniedError) Is(target error) bool { return target == ErrDenied }

// Unwrap returns the reason.
func (e *DeniedError) Unwrap() error { return e.Err }

// Rejected reports true: the work was never tried.
func (e *DeniedError) Rejected() bool { return true }

// Retryable reports whether asking again can help: yes when the question could
// not be decided, no when the answer was no.
func (e *DeniedError) Retryable() bool { return e.code() == "undecided" }

// LogValue returns action, target and code.
func (e *DeniedError) LogValue() slog.Value {
	return slog.GroupValue(slog.String("action", string(e.Action)), slog.String("target_type", e.Target.Type),
		slog.String("target", e.Target.ID), slog.String("code", string(e.code())))
}

func (e *DeniedError) code() Code {
	switch {
	case errors.Is(e.Err, ErrNoActor):
		return "no_actor"
	case errors.Is(e.Err, ErrDenied):
		return "denied"
	}
	return "undecided"
}

// both is a and b in one line of text; either may be nil.
func both(a, b error) error {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	return fmt.Errorf("%w; %w", a, b)
}

// quote makes foreign text safe for an error: one line, at most 64 bytes.
func quote(s string) string { return strconv.Quote(cut(s, 64)) }
