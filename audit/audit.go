package audit

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
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

	// TokenKeys make the tokens of attributes with [Attribute.Token]: the first is the
	// current one, the others are kept for [Log.Tokens]. To rotate, put a new key in
	// front. The default, none, masks those values like any other.
	TokenKeys []TokenKey

	// Filter leaves out an event by returning false; the work goes on as if it had
	// been recorded. It sees the event complete and must not change or keep it. The
	// default, nil, records all.
	Filter func(*Event) bool

	// Enrich adds what only the program knows of a context, such as a trace ID or
	// the source address. It runs before the names are checked and before Filter,
	// and must not keep the event. It may be nil.
	Enrich func(context.Context, *Event)

	// MaxEvent bounds the bytes of text in one event's changes, attributes and
	// reason, each value counted at the most it can take. What is over loses its
	// attributes, then its changes, then its reason, and has Truncated set; who did
	// what to which thing, and when, always stays. The default is 64 KiB; a negative
	// value leaves it to the bounds of [Event.AppendJSON].
	MaxEvent int
}

// Validate reports everything that is wrong with c, joined. The error matches
// [ErrInvalid].
func (c Config) Validate() error {
	var errs []error
	if isNil(c.Sink) {
		errs = append(errs, fmt.Errorf("audit: config: Sink is missing: %w", ErrInvalid))
	}
	for i, k := range c.TokenKeys {
		errs = append(errs, k.validate())
		if slices.ContainsFunc(c.TokenKeys[:i], func(o TokenKey) bool { return o.ID == k.ID }) {
			errs = append(errs, fmt.Errorf("audit: config: token key ID %s is used twice: %w", quote(k.ID), ErrInvalid))
		}
	}
	return errors.Join(errs...)
}

// isNil also finds the nil pointer or function inside an interface that is not nil:
// better found here than at the first event.
func isNil(s Sink) bool {
	v := reflect.ValueOf(s)
	return !v.IsValid() || (v.Kind() == reflect.Pointer || v.Kind() == reflect.Func) && v.IsNil()
}

// Log completes events and hands them to its sink, one at a time and in the
// calling goroutine. It is safe for concurrent use.
type Log struct {
	sink      Sink
	anonymous bool
	timeout   time.Duration
	tokens    []tokenizer // the current one first
	filter    func(*Event) bool
	enrich    func(context.Context, *Event)
	maxEvent  int
	plans     sync.Map  // of reflect.Type to []diffField
	pool      sync.Pool // of *envelope
	counters  counters
}

// envelope is what one call of the sink needs; sinks keep nothing of it.
type envelope struct {
	e    Event
	list [1]*Event
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
	if c.MaxEvent == 0 {
		c.MaxEvent = maxEvent
	}
	l := &Log{
		sink: c.Sink, anonymous: c.AllowAnonymous, timeout: c.Timeout, filter: c.Filter, enrich: c.Enrich,
		maxEvent: c.MaxEvent, pool: sync.Pool{New: func() any { return new(envelope) }},
	}
	for _, k := range c.TokenKeys {
		l.tokens = append(l.tokens, newTokenizer(k))
	}
	return l
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
	return l.write(ctx, &e)
}

// write is Record for work that has begun, whatever became of ctx since. It leaves
// e as it is, on the caller's stack.
func (l *Log) write(ctx context.Context, e *Event) error {
	v := l.pool.Get().(*envelope)
	v.e, v.list[0] = *e, &v.e
	err := l.send(ctx, v)
	v.e = Event{} // not deferred: after a panic nobody knows who still has it
	l.pool.Put(v)
	return err
}

func (l *Log) send(ctx context.Context, v *envelope) error {
	if l.enrich != nil {
		l.enrich(ctx, &v.e)
	}
	if err := l.complete(ctx, &v.e); err != nil {
		l.counters.refused.Add(1)
		return err
	}
	if l.filter != nil && !l.filter(&v.e) {
		l.counters.filtered.Add(1)
		return nil
	}
	return l.store(ctx, v)
}

// store is the write itself, detached from the caller's cancellation: half an
// event is worse than a late one.
func (l *Log) store(ctx context.Context, v *envelope) error {
	if l.timeout > 0 {
		timed := &timeoutContext{parent: ctx, at: time.Now().Add(l.timeout)}
		defer timed.end()
		ctx = timed
	} else if ctx.Done() != nil {
		ctx = context.WithoutCancel(ctx)
	}
	err := l.sink.WriteEvents(ctx, v.list[:])
	switch {
	case err == nil:
		l.counters.stored(&v.e)
		return nil
	case errors.Is(err, ErrUncertain):
		err = fmt.Errorf("audit: %w", err)
	case ctx.Err() != nil:
		err = fmt.Errorf("audit: %w: %w", ErrUncertain, err)
	default:
		err = fmt.Errorf("audit: %w: %w", ErrFailed, err)
	}
	l.counters.notStored(err)
	return err
}

// complete fills in what the context and the clock know and checks the names.
func (l *Log) complete(ctx context.Context, e *Event) error {
	if !isName(string(e.Action)) {
		return fmt.Errorf("audit: action %s is not a name: %w", quote(string(e.Action)), ErrInvalid)
	}
	if !isName(string(e.Outcome)) {
		return fmt.Errorf("audit: outcome %s is not a name: %w", quote(string(e.Outcome)), ErrInvalid)
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
	if e.RequestID == "" {
		e.RequestID, _ = ctx.Value(requestKey{}).(string)
	}
	e.fill()
	if l.maxEvent > 0 {
		e.fit(l.maxEvent)
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
// [Attribute.Of] and [Attribute.Load].
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
