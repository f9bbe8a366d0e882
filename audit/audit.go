package audit

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"
)

// defaultTimeout bounds one write to the sink: long enough for a disk that has a
// bad moment, short enough that a request does not hang for ever.
const defaultTimeout = 10 * time.Second

// Sink stores events. A nil error means the events are stored as durably as the
// sink promises; any error means that the caller must not go on. The events are
// read-only, may be shared with other sinks, and must not be kept after the call.
// WriteEvents may be called by several goroutines at once.
type Sink interface {
	// WriteEvents stores all events or says why not. Its context is detached from
	// the caller's cancellation and carries the deadline of [Config.Timeout].
	WriteEvents(ctx context.Context, events []*Event) error
}

// SinkFunc is a function used as a [Sink], so that retries, breakers and other
// wrappers need no type of their own.
type SinkFunc func(ctx context.Context, events []*Event) error

// WriteEvents calls f.
func (f SinkFunc) WriteEvents(ctx context.Context, events []*Event) error { return f(ctx, events) }

// Config sets up a [Log].
type Config struct {
	_ [0]func() // not comparable, so that fields can be added

	// Sink receives every event. Required: a log without a sink would let
	// everything pass unrecorded.
	Sink Sink

	// AllowAnonymous lets events through whose context names no actor; they carry
	// the actor type "anonymous". By default such events fail with [ErrNoActor].
	AllowAnonymous bool

	// Timeout bounds one write to the sink. The default is 10 seconds; a negative
	// value means no bound. A sink that ignores its context is waited for.
	Timeout time.Duration
}

// Validate reports everything that is wrong with c, joined. The error matches
// [ErrInvalid].
func (c Config) Validate() error {
	if c.Sink == nil {
		return fmt.Errorf("audit: config: Sink is missing: %w", ErrInvalid)
	}
	if f, ok := c.Sink.(SinkFunc); ok && f == nil {
		return fmt.Errorf("audit: config: Sink is a nil function: %w", ErrInvalid)
	}
	return nil
}

// Log completes events and hands them to its sink, one at a time and in the
// calling goroutine. It is safe for concurrent use.
type Log struct {
	sink      Sink
	anonymous bool
	timeout   time.Duration
}

// New returns a log that writes to c.Sink. It panics with the error of
// [Config.Validate], and with nothing else.
func New(c Config) *Log {
	if err := c.Validate(); err != nil {
		panic(err)
	}
	if c.Timeout == 0 {
		c.Timeout = defaultTimeout
	}
	return &Log{sink: c.Sink, anonymous: c.AllowAnonymous, timeout: c.Timeout}
}

// Record completes e and returns once the sink has accepted it. Time, ID, Actor
// and RequestID are filled in where they are zero: an ID given by the caller
// stays, so that a repeated Record can be recognised as one event.
//
// The caller's cancellation stops Record only before the write: an event that has
// been handed over is written under the log's own timeout.
//
// Errors: ctx.Err() and context.Cause(ctx) when ctx is already done, [ErrNoActor],
// [ErrInvalid] for an action, outcome or target type that is not a name,
// [ErrFailed] when the sink refused, [ErrUncertain] when it cannot be known
// whether the event is stored.
func (l *Log) Record(ctx context.Context, e Event) error {
	if err := done(ctx); err != nil {
		return err
	}
	return l.write(ctx, e)
}

// write is Record for work that has begun, whatever became of ctx since.
func (l *Log) write(ctx context.Context, e Event) error {
	if err := l.complete(ctx, &e); err != nil {
		return err
	}
	ctx = context.WithoutCancel(ctx)
	if l.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, l.timeout)
		defer cancel()
	}
	err := l.sink.WriteEvents(ctx, []*Event{&e})
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil && !errors.Is(err, ErrUncertain):
		return fmt.Errorf("audit: %w: %w", ErrUncertain, err)
	case errors.Is(err, ErrUncertain):
		return fmt.Errorf("audit: %w", err)
	}
	return fmt.Errorf("audit: %w: %w", ErrFailed, err)
}

// complete fills in what the context and the clock know and checks the names.
func (l *Log) complete(ctx context.Context, e *Event) error {
	for _, n := range [...]struct{ what, name string }{
		{"action", string(e.Action)}, {"outcome", string(e.Outcome)},
	} {
		if !isName(n.name) {
			return fmt.Errorf("audit: %s %s is not a name: %w", n.what, quote(n.name), ErrInvalid)
		}
	}
	if e.Target.Type != "" && !isName(e.Target.Type) {
		return fmt.Errorf("audit: target type %s is not a name: %w", quote(e.Target.Type), ErrInvalid)
	}
	if e.Actor.ID == "" {
		e.Actor = l.actor(ctx, e)
	}
	if e.Actor == (Actor{}) {
		return fmt.Errorf("audit: %s: %w", e.Action, ErrNoActor)
	}
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	e.Time = e.Time.UTC()
	if e.ID == "" {
		e.ID = rand.Text()
	}
	if e.RequestID == "" {
		e.RequestID, _ = ctx.Value(requestKey{}).(string)
	}
	return nil
}

// actor is who the context names, else nobody. Denials are recorded whoever asked:
// a refused stranger is what an audit log is for.
func (l *Log) actor(ctx context.Context, e *Event) Actor {
	if a, ok := ActorFrom(ctx); ok {
		return a
	}
	if l.anonymous || e.Outcome == Denied {
		return Actor{Type: anonymous}
	}
	return Actor{}
}

// Object names a thing whose attributes are audited. The type must be a name as
// in [Action]; if it is not, every operation on the object's fields fails with
// [ErrInvalid]. The id is free text.
func (l *Log) Object(typ, id string) *Object {
	return &Object{log: l, target: Target{Type: typ, ID: id}}
}

// Object is one audited thing, made by [Log.Object]. Its fields come from
// [Attr.Of] and [Attr.Load].
type Object struct {
	log    *Log
	target Target
}

// Target says which thing this is.
func (o *Object) Target() Target { return o.target }

// done reports a context that is already finished. The error matches both the
// context's error and its cause.
func done(ctx context.Context) error {
	err := ctx.Err()
	if err == nil {
		return nil
	}
	if cause := context.Cause(ctx); !errors.Is(err, cause) {
		return fmt.Errorf("audit: not started: %w: %w", err, cause)
	}
	return fmt.Errorf("audit: not started: %w", err)
}
