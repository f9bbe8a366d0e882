package audit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/redoubt-go/redoubt/internal/ctxerr"
	"github.com/redoubt-go/redoubt/internal/quote"
)

// defaultSinkTimeout is shorter than defaultTimeout, so that a quorum answers
// before the log stops waiting.
const defaultSinkTimeout = 5 * time.Second

// maxQueue bounds the writes that wait for one member.
const maxQueue = 256

// A Member is a sink of a [Quorum], and says which events it receives.
type Member struct {
	// Sink stores the events. Required.
	Sink Sink

	// BestEffort members receive events without delaying or failing a write.
	// Their errors go to [QuorumConfig.OnError] only.
	BestEffort bool

	// Filter keeps an event from this member by returning false. If no event of
	// a write is left, the member does not count: Need is then at most the
	// number of the other required members. Filter must neither change nor keep
	// the event. Nil passes every event.
	Filter func(*Event) bool
}

// QuorumConfig configures a [Quorum].
type QuorumConfig struct {
	_ [0]func() // not comparable, so that fields can be added

	// Name identifies the quorum in errors. It may be empty.
	Name string

	// Members store the events. At least one member must not be BestEffort.
	Members []Member

	// Need is the number of members that must store an event, without the
	// BestEffort members. Zero means all of them.
	Need int

	// Timeout is how long a write waits for a member. Zero means 5 seconds.
	// Negative means no limit.
	Timeout time.Duration

	// OnError is called with events that a member did not store, and with the
	// index of the member. It is called outside locks, must not block and must
	// not keep the events. It may be nil.
	OnError func(ctx context.Context, member int, events []*Event, err error)
}

// Validate reports everything that is wrong with c. The error matches
// [ErrInvalid].
func (c QuorumConfig) Validate() error {
	var errs []error
	required := 0
	for i, m := range c.Members {
		if isNil(m.Sink) {
			errs = append(errs, invalid("quorum: Members[%d].Sink is missing", i))
		}
		if !m.BestEffort {
			required++
		}
	}
	if required == 0 {
		errs = append(errs, invalid("quorum: Members contains no required member"))
	}
	if c.Need < 0 || c.Need > required {
		errs = append(errs, invalid("quorum: Need is %d, want 0 to %d", c.Need, required))
	}
	return errors.Join(errs...)
}

// A Quorum is a sink that writes to several sinks at the same time and succeeds
// when enough of them have stored the events. It is safe for concurrent use.
//
// Each member receives the events in the order of the calls of WriteEvents,
// from one goroutine that lasts while events wait. A write fails for a member
// that does not answer within the timeout. Further writes fail for that member
// immediately until it answers. Its waiting events are stored late, so a
// restart of the member may also store events of failed writes. A panic of a
// sink is not recovered: it ends the program.
type Quorum struct {
	op      string
	need    int
	timeout time.Duration
	members []*member

	mu     sync.Mutex // held while a write is queued: all members have the same order
	closed bool
}

// A member is one sink of a quorum and its queue.
type member struct {
	Member
	index   int
	timeout time.Duration
	onError func(context.Context, int, []*Event, error)

	mu      sync.Mutex
	queue   []*delivery
	idle    chan struct{} // closed when the goroutine ends; nil without one
	current time.Time     // when the present call of the sink must have returned; zero without a call
}

// A delivery is a write for one member.
type delivery struct {
	ctx    context.Context
	events []*Event
	answer chan<- error // has room for every answer; nil if nothing waits
}

// NewQuorum returns a quorum. It panics with the error of
// [QuorumConfig.Validate].
func NewQuorum(c QuorumConfig) *Quorum {
	if err := c.Validate(); err != nil {
		panic(err)
	}
	q := &Quorum{op: opOf(c.Name, "audit: quorum"), need: c.Need, timeout: cmp.Or(c.Timeout, defaultSinkTimeout)}
	required := 0
	for i, m := range c.Members {
		if !m.BestEffort {
			required++
		}
		q.members = append(q.members, &member{Member: m, index: i, timeout: q.timeout, onError: c.OnError})
	}
	q.need = cmp.Or(c.Need, required)
	return q
}

// WriteEvents writes the events to all members and returns when enough of them
// have stored the events. The other writes continue.
//
// Errors: [ErrClosed]; the errors of the sinks; also [ErrUncertain] if some
// members, but too few, may have stored the events.
func (q *Quorum) WriteEvents(ctx context.Context, events []*Event) error {
	copies := cloneEvents(events)               // members read them after the return
	answers := make(chan error, len(q.members)) // never blocks a member
	required, err := q.post(ctx, copies, answers)
	if err != nil {
		return err
	}
	var late <-chan time.Time
	if q.timeout > 0 {
		t := time.NewTimer(q.timeout)
		defer t.Stop()
		late = t.C
	}
	var errs []error
	stored, need := 0, min(q.need, required)
	for range required {
		select {
		case err := <-answers:
			if err != nil {
				errs = append(errs, err)
			} else if stored++; stored == need {
				return nil
			}
			continue
		case <-late:
			err = classed("audit: sink does not answer", ErrUncertain)
		case <-ctx.Done():
			err = fmt.Errorf("%w: %w", classed(q.op, ErrUncertain), context.Cause(ctx))
		}
		return errors.Join(append(errs, err)...)
	}
	err = errors.Join(errs...)
	if stored > 0 {
		err = fmt.Errorf("%w: %w", classed(fmt.Sprintf("audit: stored by %d of %d sinks", stored, need), ErrUncertain), err)
	}
	return err
}

// post queues the events for every member and returns the number of answers.
func (q *Quorum) post(ctx context.Context, events []*Event, answers chan<- error) (required int, err error) {
	ctx = context.WithoutCancel(ctx)
	wanted := make([][]*Event, len(q.members))
	for i, m := range q.members { // before the lock: a filter is foreign code
		wanted[i] = m.wanted(events)
	}
	errs := make([]error, len(q.members))
	list := make([]*delivery, len(q.members))
	q.mu.Lock()
	closed := q.closed
	for i, m := range q.members {
		list[i] = &delivery{ctx: ctx, events: wanted[i]}
		if !m.BestEffort && len(wanted[i]) > 0 {
			list[i].answer = answers
			required++
		}
		if !closed && len(wanted[i]) > 0 {
			errs[i] = m.post(list[i])
		}
	}
	q.mu.Unlock()
	if closed {
		return 0, classed(q.op, ErrClosed)
	}
	for i, m := range q.members { // outside the lock: settle calls a hook
		if errs[i] != nil {
			m.settle(list[i], errs[i])
		}
	}
	return required, nil
}

// wanted returns the events that pass the filter.
func (m *member) wanted(events []*Event) []*Event {
	if m.Filter == nil {
		return events
	}
	var out []*Event
	for _, e := range events {
		if m.Filter(e) {
			out = append(out, e)
		}
	}
	return out
}

// post queues d and starts the goroutine of the member if there is none.
func (m *member) post(d *delivery) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case !m.current.IsZero() && !time.Now().Before(m.current):
		return classed("audit: sink still does not answer", ErrFailed)
	case len(m.queue) == maxQueue:
		return classed("audit: queue of a sink", ErrFull)
	}
	m.queue = append(m.queue, d)
	if m.idle == nil {
		m.idle = make(chan struct{})
		go m.run()
	}
	return nil
}

// settle answers d.
func (m *member) settle(d *delivery, err error) {
	if d.answer != nil {
		d.answer <- err
	}
	if err != nil && m.onError != nil {
		m.onError(d.ctx, m.index, d.events, err)
	}
}

// run writes queued events until there are none.
func (m *member) run() {
	ended := false
	defer func() {
		if !ended { // runtime.Goexit in the sink
			go m.run()
		}
	}()
	for d := m.next(); d != nil; d = m.next() {
		m.write(d)
	}
	ended = true
}

// next takes a delivery, or ends the goroutine.
func (m *member) next() *delivery {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.current = time.Time{}
	if len(m.queue) == 0 {
		m.queue = nil
		close(m.idle)
		m.idle = nil
		return nil
	}
	d := m.queue[0]
	m.queue[0] = nil
	m.queue = m.queue[1:]
	if m.timeout > 0 {
		m.current = time.Now().Add(m.timeout)
	}
	return d
}

// write calls the sink. The answer is sent after a panic or Goexit too.
func (m *member) write(d *delivery) {
	err := classed("audit: sink did not return", ErrUncertain)
	defer func() { m.settle(d, err) }()
	ctx := d.ctx
	if m.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, m.timeout)
		defer cancel()
	}
	err = m.Sink.WriteEvents(ctx, d.events)
}

// Close stops accepting events and waits until the members have stored the
// waiting events. It does not close the sinks. A second Close waits for the
// same end.
//
// Errors: [ErrUncertain] with ctx.Err() and context.Cause(ctx) if ctx ends
// first.
func (q *Quorum) Close(ctx context.Context) error {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	for _, m := range q.members {
		m.mu.Lock()
		idle := m.idle
		m.mu.Unlock()
		if idle == nil {
			continue
		}
		select {
		case <-idle:
		case <-ctx.Done():
			op := fmt.Sprintf("%s: close: Members[%d] has not stored all events", q.op, m.index)
			return fmt.Errorf("%w: %w", &fault{op, ErrUncertain}, ctxerr.New(ctx, "audit: close"))
		}
	}
	return nil
}

// opOf returns the beginning of the error texts of an object.
func opOf(name, unnamed string) string {
	if name == "" {
		return unnamed
	}
	return "audit: " + quote.Name(name)
}
