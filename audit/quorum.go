package audit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// defaultSinkTimeout is shorter than defaultTimeout, so that a quorum answers
// before the log stops waiting.
const defaultSinkTimeout = 5 * time.Second

// QuorumConfig configures a [Quorum].
type QuorumConfig struct {
	_ [0]func() // not comparable, so that fields can be added

	// Sinks store the events. Required.
	Sinks []Sink

	// Need is the number of sinks that must store an event. Zero means all of
	// them.
	Need int

	// Timeout bounds one write to one sink. Zero means 5 seconds. Negative
	// means no limit.
	Timeout time.Duration
}

// Validate reports everything that is wrong with c. The error matches
// [ErrInvalid].
func (c QuorumConfig) Validate() error {
	var errs []error
	if len(c.Sinks) == 0 {
		errs = append(errs, invalid("quorum: Sinks is empty"))
	}
	for i, s := range c.Sinks {
		if isNil(s) {
			errs = append(errs, invalid("quorum: Sinks[%d] is missing", i))
		}
	}
	if c.Need < 0 || c.Need > len(c.Sinks) {
		errs = append(errs, invalid("quorum: Need is %d, want 0 to %d", c.Need, len(c.Sinks)))
	}
	return errors.Join(errs...)
}

// A Quorum is a sink that writes to several sinks at the same time and succeeds
// when enough of them have stored the events. It is safe for concurrent use.
//
// Every write to a sink runs in a goroutine. A write fails if the sink does not
// return within the timeout. The Quorum does not call that sink again before
// the call returns. Concurrent writes may reach a sink in another order.
//
// The errors of the other sinks are dropped if enough sinks succeed. To count
// them, wrap each sink in a [SinkFunc].
type Quorum struct {
	need    int
	members []*member
}

// A member is one sink of a quorum.
type member struct {
	sink    Sink
	timeout time.Duration
	hung    atomic.Int64 // calls that exceeded the timeout and have not returned
}

// NewQuorum returns a Quorum. It panics with the error of
// [QuorumConfig.Validate].
func NewQuorum(c QuorumConfig) *Quorum {
	if err := c.Validate(); err != nil {
		panic(err)
	}
	q := &Quorum{need: cmp.Or(c.Need, len(c.Sinks))}
	for _, s := range c.Sinks {
		q.members = append(q.members, &member{sink: s, timeout: cmp.Or(c.Timeout, defaultSinkTimeout)})
	}
	return q
}

// WriteEvents writes the events to all sinks and returns when enough of them
// have stored the events. The other writes continue.
//
// Errors: the errors of the sinks; also [ErrUncertain] if some sinks, but too
// few, may have stored the events.
func (q *Quorum) WriteEvents(ctx context.Context, events []*Event) error {
	events = cloneEvents(events)                // slow sinks read them after the return
	answers := make(chan error, len(q.members)) // never blocks a member
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
			return fmt.Errorf("%w: %w", classed("audit: quorum", ErrUncertain), context.Cause(ctx))
		}
	}
	err := errors.Join(errs...)
	if stored > 0 {
		err = fmt.Errorf("%w: %w", classed(fmt.Sprintf("audit: stored by %d of %d sinks", stored, q.need), ErrUncertain), err)
	}
	return err
}

// write calls the sink and stops waiting at the timeout.
func (m *member) write(ctx context.Context, events []*Event) error {
	if m.hung.Load() > 0 { // another call would hang too and keep its events in memory
		return errors.New("audit: sink still hangs")
	}
	if m.timeout < 0 {
		return m.sink.WriteEvents(ctx, events)
	}
	ctx, cancel := context.WithTimeout(ctx, m.timeout)
	answer := make(chan error, 1) // never blocks the goroutine
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
	case err := <-answer: // it returned at the deadline
		return err
	default:
	}
	m.hung.Add(1)
	go func() {
		<-answer
		m.hung.Add(-1)
	}()
	return fmt.Errorf("%w: %w", classed("audit: sink does not answer", ErrUncertain), ctx.Err())
}
