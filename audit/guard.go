package audit

import (
	"context"
	"fmt"
	"log/slog"
)

// Guard lets work begin only when it is allowed and recorded: an event before it
// with outcome [Attempt], and one after it with [Success] or [Failure], which
// names the first in its attribute "attempt". Refused work leaves one event, with
// [Denied]. It is used with [Do], [Wrap] or its method Do.
type Guard struct {
	// Log records the events. Required.
	Log *Log

	// Action and Target describe the work. Action is required.
	Action Action
	Target Target // thing worked on; may be zero

	// Allow returns nil to let the work begin. The default is [Authenticated];
	// see also [Permission].
	Allow func(context.Context) error
}

// Do is [Do] for work without a result.
func (g Guard) Do(ctx context.Context, fn func(context.Context) error) error {
	_, err := Do(ctx, g, func(ctx context.Context) (struct{}, error) { return struct{}{}, fn(ctx) })
	return err
}

// Do runs fn under g. If the last event cannot be recorded, the result of fn is
// returned together with that error. A panic of fn is recorded as a failure and
// passes on.
//
// Errors: that of fn unchanged, [*DeniedError], [ErrUnbound], those of
// [Log.Record].
func Do[T any](ctx context.Context, g Guard, fn func(context.Context) (T, error)) (v T, err error) {
	id, err := g.enter(ctx)
	if err != nil {
		return v, err
	}
	code := Code("panic") // until fn has returned
	defer func() { err = both(err, g.leave(ctx, id, code)) }()
	v, err = fn(ctx)
	if code = ""; err != nil {
		code = codeOf(err) // its text may hold anything, so it is not recorded
	}
	return v, err
}

// Wrap returns fn under g, for composing with other guards. The errors are those
// of [Do].
func Wrap[T any](g Guard, fn func(context.Context) (T, error)) func(context.Context) (T, error) {
	return func(ctx context.Context) (T, error) { return Do(ctx, g, fn) }
}

// enter decides and records, and returns the ID of the attempt.
func (g Guard) enter(ctx context.Context) (id string, err error) {
	if g.Log == nil {
		return "", fmt.Errorf("audit: guard: %w", ErrUnbound)
	}
	if err := done(ctx); err != nil {
		return "", err
	}
	allow := g.Allow
	if allow == nil {
		allow = Authenticated
	}
	e := Event{ID: newID(), Action: g.Action, Outcome: Attempt, Target: g.Target}
	if err := allow(ctx); err != nil { // an undecided question is a no
		denied := &DeniedError{Action: g.Action, Target: g.Target, Err: err}
		e.Outcome, e.Code = Denied, denied.code()
		return "", both(denied, g.Log.write(ctx, &e))
	}
	return e.ID, g.Log.write(ctx, &e)
}

// leave records what came of it, even where the caller's context has ended meanwhile:
// the work is done or not, whoever still waits for it.
func (g Guard) leave(ctx context.Context, attempt string, code Code) error {
	e := Event{Action: g.Action, Outcome: Success, Target: g.Target, Code: code}
	if code != "" {
		e.Outcome = Failure
	}
	e.Attrs = []slog.Attr{slog.String("attempt", attempt)}
	return g.Log.write(ctx, &e)
}

// Authenticated allows whoever the context names. Errors: [ErrNoActor].
func Authenticated(ctx context.Context) error {
	if _, ok := ActorFrom(ctx); !ok {
		return ErrNoActor
	}
	return nil
}

// Permission returns a rule that allows an actor for whom has reports true. An
// error of has means that the question is open, and refuses too.
//
// The rule's errors: [ErrNoActor], [ErrDenied], that of has.
func Permission(p string, has func(ctx context.Context, a Actor, p string) (bool, error)) func(context.Context) error {
	return func(ctx context.Context) error {
		a, ok := ActorFrom(ctx)
		if !ok {
			return ErrNoActor
		}
		switch ok, err := has(ctx, a, p); {
		case err != nil:
			return fmt.Errorf("permission %s undecided: %w", quote(p), err)
		case !ok:
			return fmt.Errorf("permission %s: %w", quote(p), ErrDenied)
		}
		return nil
	}
}
