package audit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/redoubt-go/redoubt/internal/errtree"
	"github.com/redoubt-go/redoubt/internal/quote"
)

// A Guard starts work only if the work is allowed and recorded. It records an
// event with the outcome [Attempt] before the work and an event with [Success]
// or [Failure] after it. The second event has the ID of the first in its
// attribute "attempt". Refused work leaves one event, with [Denied] and, if the
// reason is a [Permission], the attribute "permission". Use a Guard with [Do],
// [Wrap], [WrapArg] or [Guard.Do].
//
// A Guard is a value. For a target or attributes that are known with the call
// only, change a copy of it:
//
//	g := guard
//	g.Target.ID, g.Attrs = order, []slog.Attr{slog.Int("cents", 1999)}
//	err := g.Do(ctx, refund)
type Guard struct {
	// Log records the events. Required: without a Log, Do calls nothing and
	// fails.
	Log *Log

	// Action names the work. Required.
	Action Action

	// Target is the object of the work. It may be zero.
	Target Target

	// Reason is the reason in every event, as a text for people. It may be
	// empty. It must not contain secrets.
	Reason string

	// Attrs are attributes of every event, such as an amount. They must not
	// contain secrets.
	Attrs []slog.Attr

	// Allow decides whether the work may start. Any error refuses the work. Nil
	// allows every actor in the context. See also [Permission].
	Allow func(context.Context) error
}

// Validate reports everything that is wrong with g. The error matches
// [ErrInvalid].
func (g Guard) Validate() error {
	var errs []error
	if g.Log == nil {
		errs = append(errs, invalid("guard: Log is missing"))
	}
	if !isName(string(g.Action)) {
		errs = append(errs, invalid("guard: Action is %s, want a name", quote.Text(string(g.Action))))
	}
	if g.Target.Type != "" && !isName(g.Target.Type) {
		errs = append(errs, invalid("guard: Target.Type is %s, want a name", quote.Text(g.Target.Type)))
	}
	return errors.Join(errs...)
}

// Do is like the function [Do], for work without a result.
func (g Guard) Do(ctx context.Context, fn func(context.Context) error) error {
	_, err := Do(ctx, g, func(ctx context.Context) (struct{}, error) { return struct{}{}, fn(ctx) })
	return err
}

// Do runs fn under g. A panic of fn is recorded as a failure and continues.
//
// If the event after the work cannot be recorded, Do returns the result of fn
// and an error that matches [ErrUnrecorded] and the error of fn. It is not
// retryable, so that a retry does not do the work twice.
//
// Errors: the error of fn unchanged, [*DeniedError], the error of
// [Guard.Validate], the errors of [Log.Record] if fn was not called,
// [ErrUnrecorded] if it was.
func Do[T any](ctx context.Context, g Guard, fn func(context.Context) (T, error)) (v T, err error) {
	id, err := g.enter(ctx)
	if err != nil {
		return v, err
	}
	code := Code("panic") // until fn has returned
	defer func() {
		if lost := g.leave(ctx, id, code); lost != nil {
			err = &unrecordedError{op: "audit: " + string(g.Action), work: err, record: lost}
		}
	}()
	v, err = fn(ctx)
	if code = ""; err != nil {
		code = codeOf(err) // the text of err may contain secrets
	}
	return v, err
}

// Wrap returns a function that runs fn under g. Its errors are the errors of
// [Do].
func Wrap[T any](g Guard, fn func(context.Context) (T, error)) func(context.Context) (T, error) {
	return func(ctx context.Context) (T, error) { return Do(ctx, g, fn) }
}

// WrapArg is [Wrap] for a function with an argument.
func WrapArg[A, T any](g Guard, fn func(context.Context, A) (T, error)) func(context.Context, A) (T, error) {
	return func(ctx context.Context, arg A) (T, error) {
		return Do(ctx, g, func(ctx context.Context) (T, error) { return fn(ctx, arg) })
	}
}

// enter decides, records the attempt or the denial, and returns the ID of the
// attempt.
func (g Guard) enter(ctx context.Context) (id string, err error) {
	if err := g.Validate(); err != nil {
		return "", err
	}
	if err := done(ctx); err != nil {
		return "", err
	}
	e := Event{ID: newID(), Action: g.Action, Outcome: Attempt, Target: g.Target, Reason: g.Reason, Attrs: g.Attrs}
	if err := g.allow(ctx); err != nil {
		denied := &DeniedError{Action: g.Action, Target: g.Target, Err: err}
		e.Outcome, e.Code = Denied, denied.code()
		if p, ok := errtree.Find[*permissionError](err); ok {
			denied.Permission = p.permission
			e.Attrs = append([]slog.Attr{slog.String("permission", p.permission)}, g.Attrs...)
		}
		return "", both(denied, g.Log.write(ctx, &e))
	}
	return e.ID, g.Log.write(ctx, &e)
}

func (g Guard) allow(ctx context.Context) error {
	if g.Allow != nil {
		return g.Allow(ctx)
	}
	if _, ok := ActorFrom(ctx); !ok {
		return ErrNoActor
	}
	return nil
}

// leave records the result of the work, even if the context of the caller has
// ended since.
func (g Guard) leave(ctx context.Context, attempt string, code Code) error {
	e := Event{Action: g.Action, Outcome: Success, Target: g.Target, Reason: g.Reason, Code: code}
	if code != "" {
		e.Outcome = Failure
	}
	e.Attrs = append([]slog.Attr{slog.String("attempt", attempt)}, g.Attrs...)
	return g.Log.write(ctx, &e)
}

// Permission returns a function for [Guard.Allow] that allows an actor if has
// reports true for the actor and the permission p. An error of has refuses the
// work too, and is retryable.
//
// Errors of the function: [ErrNoActor], [ErrDenied], the error of has.
func Permission(p string, has func(ctx context.Context, a Actor, p string) (bool, error)) func(context.Context) error {
	return func(ctx context.Context) error {
		a, ok := ActorFrom(ctx)
		if !ok {
			return ErrNoActor
		}
		switch ok, err := has(ctx, a, p); {
		case err != nil:
			return &permissionError{p, " undecided: " + fmt.Sprint(err), err}
		case !ok:
			return &permissionError{p, ": denied", ErrDenied}
		}
		return nil
	}
}

// A permissionError reports a permission that an actor does not have.
type permissionError struct {
	permission string
	text       string
	err        error
}

func (e *permissionError) Error() string {
	return "permission " + quote.Text(e.permission) + e.text
}
func (e *permissionError) Unwrap() error { return e.err }
