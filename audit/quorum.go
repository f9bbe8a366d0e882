package audit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"
)

// defaultPerSink is shorter than defaultTimeout, so that a quorum has an answer
// before the log stops waiting for one.
const defaultPerSink = 5 * time.Second

// Quorum returns a sink that writes to all sinks at once and is content when n of
// them have stored the events: 1 for any, len(sinks) for all. It returns at the
// n-th success, and the other writes go on. It panics if n is not in 1 to
// len(sinks), or a sink is nil.
//
// PerSink bounds one write to one sink; the default is 5 seconds, a negative value
// means no bound. A sink that does not come back by then has failed, and is not
// asked again before it has come back: it holds at most as many goroutines as
// there were writes in that time.
//
// While enough sinks answer, nobody hears of the others: wrap each in a [SinkFunc]
// that counts its errors.
//
// Errors: those of the sinks; [ErrUncertain] too where too few have stored the
// events but one has, or did not say.
func Quorum(n int, perSink time.Duration, sinks ...Sink) Sink {
	if n < 1 || n > len(sinks) {
		panic(fmt.Errorf("audit: quorum of %d among %d sinks: %w", n, len(sinks), ErrInvalid))
	}
	if perSink == 0 {
		perSink = defaultPerSink
	}
	q := &quorum{need: n}
	for i, s := range sinks {
		if isNil(s) {
			panic(fmt.Errorf("audit: quorum: sink %d is missing: %w", i, ErrInvalid))
		}
		q.members = append(q.members, &member{sink: s, timeout: perSink})
	}
	return q
}

type quorum struct {
	need    int
	members []*member
}

// member is one sink of a quorum.
type member struct {
	sink    Sink
	timeout time.Duration
	hung    atomic.Int64 // writes that are over their time and not back
}

// WriteEvents asks all members at once and waits for enough of them: the slowest
// that is needed decides how long it takes, and not the slowest of all.
func (q *quorum) WriteEvents(ctx context.Context, events []*Event) error {
	events = cloneEvents(events)                // a slow member reads them after the return
	answers := make(chan error, len(q.members)) // room for all: nobody waits to be heard
	for _, m := range q.members {
		go func() { answers <- m.write(context.WithoutCancel(ctx), events) }()
	}
	var errs []error
	stored := 0
	for range q.members {
		select {
		case err := <-answers:
			if err != nil {
				errs = append(errs, err)
			} else if stored++; stored == q.need {
				return nil
			}
		case <-ctx.Done():
			return fmt.Errorf("audit: quorum: %w: %w", ErrUncertain, context.Cause(ctx))
		}
	}
	err := errors.Join(errs...)
	if stored > 0 { // too few for a promise, and still it is in somebody's log
		err = fmt.Errorf("audit: %d of %d sinks: %w: %w", stored, q.need, ErrUncertain, err)
	}
	return err
}

// write is one write, in a goroutine of its own once its time is over.
func (m *member) write(ctx context.Context, events []*Event) error {
	if m.hung.Load() > 0 { // one more call would hang too, and hold its events
		return errors.New("audit: sink still hangs")
	}
	if m.timeout < 0 {
		return m.sink.WriteEvents(ctx, events)
	}
	ctx, cancel := context.WithTimeout(ctx, m.timeout)
	answer := make(chan error, 1) // room for an answer that nobody waits for any more
	go func() {
		defer cancel()
		answer <- m.sink.WriteEvents(ctx, events)
	}()
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
	}
	select {
	case err := <-answer: // it came back at the last moment, or because of ctx
		return err
	default:
	}
	m.hung.Add(1)
	go func() {
		<-answer
		m.hung.Add(-1)
	}()
	return fmt.Errorf("audit: sink does not answer: %w: %w", ErrUncertain, ctx.Err())
}

// cloneEvents copies what the caller may use again after the call.
func cloneEvents(events []*Event) []*Event {
	copies := make([]Event, len(events))
	out := make([]*Event, len(events))
	for i, e := range events {
		copies[i].set(e)
		out[i] = &copies[i]
	}
	return out
}

// set makes e a copy of from, in the memory it has. Attributes that refer to memory of
// the caller become what the encoder would make of them now: later they may say
// something else, or be changed while they are read.
func (e *Event) set(from *Event) {
	changes, attrs := append(e.Changes[:0], from.Changes...), append(e.Attrs[:0], from.Attrs...)
	*e = *from
	e.Changes, e.Attrs = changes, attrs
	l := attrLimit{left: maxEvent, cut: from.Truncated}
	for i := range attrs {
		switch v := &attrs[i].Value; v.Kind() {
		case slog.KindAny, slog.KindLogValuer, slog.KindGroup:
			*v = l.value(*v, 1)
		}
	}
	e.Truncated = l.cut
}
