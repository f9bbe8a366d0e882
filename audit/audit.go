package audit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/redoubt-go/redoubt/internal/errtree"
	"github.com/redoubt-go/redoubt/internal/quote"
)

// defaultTimeout bounds one write to the sink: long enough for a slow disk,
// short enough for a waiting request.
const defaultTimeout = 10 * time.Second

// Config configures a [Log].
type Config struct {
	_ [0]func() // not comparable, so that fields can be added

	// Name identifies the log in Stats and errors. It may be empty.
	Name string

	// Sink receives every event. Required.
	Sink Sink

	// AllowAnonymous accepts events whose context names no actor. Such events
	// have the actor type "anonymous". If it is false, they fail with
	// [ErrNoActor].
	AllowAnonymous bool

	// Timeout bounds one write to the sink. Zero means 10 seconds. Negative
	// means no limit. Record waits for a sink that ignores its context.
	Timeout time.Duration

	// TokenKeys are the keys of tokens, see [Attribute.Token]. The first key
	// makes the tokens of new events. [Log.Tokens] uses all keys. To rotate,
	// put a new key in front. Without keys, the mask is recorded in place of a
	// token.
	TokenKeys []TokenKey

	// Filter drops an event by returning false. The work continues as if the
	// event had been recorded. Filter sees the complete event, and must neither
	// change nor keep it. Nil records every event.
	Filter func(*Event) bool

	// Enrich adds data that only the program knows, such as a trace ID. It may
	// also set the Actor, for example from a context of another package. It
	// runs after the values of the context are set, and before the names are
	// checked and before Filter. It must not keep the event. It may be nil.
	Enrich func(context.Context, *Event)

	// MaxEvent bounds the bytes of text in the changes, attributes and reason
	// of an event. An event over the bound loses first the attributes that do
	// not fit, then the changes, then the end of its reason, and has Truncated
	// set. Zero means 64 KiB. Negative means the bounds of [Event.AppendJSON].
	MaxEvent int
}

// Validate reports everything that is wrong with c. The error matches
// [ErrInvalid].
func (c Config) Validate() error {
	var errs []error
	if isNil(c.Sink) {
		errs = append(errs, invalid("Sink is missing"))
	}
	for i, k := range c.TokenKeys {
		errs = append(errs, k.validate())
		if slices.ContainsFunc(c.TokenKeys[:i], func(o TokenKey) bool { return o.ID == k.ID }) {
			errs = append(errs, invalid("TokenKeys contains the ID %s twice", quote.Text(k.ID)))
		}
	}
	return errors.Join(errs...)
}

// A Log completes events and writes them to its sink, one event at a time, in
// the goroutine of the caller. It is safe for concurrent use.
type Log struct {
	config   Config      // with its defaults
	op       string      // begins the text of errors
	tokens   []tokenizer // the current key first
	pool     sync.Pool   // of *envelope
	counters counters
}

// An envelope holds the memory for one call of the sink, which keeps none of
// it.
type envelope struct {
	e    Event
	list [1]*Event
}

// New returns a log that writes to c.Sink. It panics with the error of
// [Config.Validate].
func New(c Config) *Log {
	if err := c.Validate(); err != nil {
		panic(err)
	}
	c.Timeout, c.MaxEvent = cmp.Or(c.Timeout, defaultTimeout), cmp.Or(c.MaxEvent, maxEvent)
	l := &Log{config: c, op: opOf(c.Name, "audit"), pool: sync.Pool{New: func() any { return new(envelope) }}}
	for _, k := range c.TokenKeys {
		l.tokens = append(l.tokens, newTokenizer(k))
	}
	return l
}

// Record completes e, writes it to the sink and returns when the sink has
// accepted it. Record sets Time and ID where they are zero. An ID given by the
// caller stays, so that a repeated Record can be recognized as the same event.
// The Actor always comes from ctx or [Config.Enrich]. RequestID and Source of
// ctx replace the values in e. To store events of another system unchanged,
// write them to the [Sink].
//
// Record starts nothing if ctx is done. Afterwards ctx does not cancel the
// write, which runs under [Config.Timeout].
//
// Errors:
//
//   - ctx.Err() and context.Cause(ctx) if ctx is done;
//   - [ErrNoActor];
//   - [ErrInvalid] if the action, outcome or target type is not a name;
//   - [ErrFailed] if the sink refused the event;
//   - [ErrUncertain] if the sink may have stored the event.
func (l *Log) Record(ctx context.Context, e Event) error {
	if err := done(ctx); err != nil {
		return err
	}
	return l.write(ctx, &e)
}

// write is Record for work that has already started: it ignores the end of ctx.
// It does not change e, which may therefore stay on the stack of the caller.
func (l *Log) write(ctx context.Context, e *Event) error {
	v := l.pool.Get().(*envelope)
	v.e, v.list[0] = *e, &v.e
	err := l.send(ctx, v)
	v.e = Event{} // not deferred: after a panic the sink may still use it
	l.pool.Put(v)
	return err
}

func (l *Log) send(ctx context.Context, v *envelope) error {
	v.e.from(ctx)
	if l.config.Enrich != nil {
		l.config.Enrich(ctx, &v.e)
	}
	if err := l.complete(&v.e); err != nil {
		l.counters.refused.Add(1)
		return err
	}
	if l.config.Filter != nil && !l.config.Filter(&v.e) {
		l.counters.filtered.Add(1)
		return nil
	}
	return l.store(ctx, v)
}

// store calls the sink. The cancellation of the caller does not reach the sink,
// which might otherwise stop halfway through an event.
func (l *Log) store(ctx context.Context, v *envelope) error {
	if l.config.Timeout > 0 {
		timed := &timeoutContext{parent: ctx, at: time.Now().Add(l.config.Timeout)}
		defer timed.end()
		ctx = timed
	} else if ctx.Done() != nil {
		ctx = context.WithoutCancel(ctx)
	}
	err := l.config.Sink.WriteEvents(ctx, v.list[:])
	if err == nil {
		l.counters.stored(&v.e)
		return nil
	}
	class := classOf(ctx, err)
	l.counters.notStored(class)
	return fmt.Errorf("%w: %w", classed(l.op, class), err)
}

// classOf returns the class of an error of a sink. After the deadline the event
// may have been stored, unless the sink says that it was not.
func classOf(ctx context.Context, err error) error {
	refused := func() bool {
		return errtree.Is(err, ErrFailed) || errtree.Is(err, ErrFull) || errtree.Is(err, ErrClosed)
	}
	if errtree.Is(err, ErrUncertain) || ctx.Err() != nil && !refused() {
		return ErrUncertain
	}
	return ErrFailed
}

// from sets the fields that the context determines. A decoded request can fill
// an Event, so the actor of the event does not count.
func (e *Event) from(ctx context.Context) {
	o := originOf(ctx)
	e.Actor = Actor{}
	if o.actor.identified() {
		e.Actor = o.actor
	}
	if o.request != "" {
		e.RequestID = o.request
	}
	if o.source != "" {
		e.Source = o.source
	}
}

// complete checks the names and the actor, and sets the remaining fields.
func (l *Log) complete(e *Event) error {
	if !isName(string(e.Action)) {
		return l.badName("action", string(e.Action))
	}
	if !isName(string(e.Outcome)) {
		return l.badName("outcome", string(e.Outcome))
	}
	if e.Target.Type != "" && !isName(e.Target.Type) {
		return l.badName("target type", e.Target.Type)
	}
	if !e.Actor.identified() {
		// Denials are always recorded, because they most often concern
		// anonymous actors.
		if !l.config.AllowAnonymous && e.Outcome != Denied {
			return classed(l.op+": "+string(e.Action), ErrNoActor)
		}
		e.Actor = Actor{Type: anonymous}
	}
	e.fill()
	e.resolve()
	if l.config.MaxEvent > 0 {
		e.fit(l.config.MaxEvent)
	}
	return nil
}

func (l *Log) badName(kind, s string) error {
	return &fault{l.op + ": " + kind + " " + quote.Text(s) + " is not a name", ErrInvalid}
}
