package audit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redoubt-go/redoubt/internal/ctxerr"
	"github.com/redoubt-go/redoubt/internal/errtree"
)

// Overflow is the behavior of a full [Buffer].
type Overflow uint8

// The behaviors of a full buffer.
const (
	Block Overflow = iota // WriteEvents waits until there is room or its context ends; the default
	Drop                  // the event is lost; an event with the action "audit.gap" counts the lost events
	Fail                  // WriteEvents returns [ErrFull]
)

// String returns the name in lower case.
func (o Overflow) String() string {
	switch o {
	case Block:
		return "block"
	case Drop:
		return "drop"
	case Fail:
		return "fail"
	}
	return fmt.Sprintf("Overflow(%d)", uint8(o))
}

// BufferConfig configures a [Buffer].
type BufferConfig struct {
	_ [0]func() // not comparable, so that fields can be added

	// Name identifies the buffer in Stats and errors. It may be empty.
	Name string

	// Next is the sink behind the buffer. Required.
	Next Sink

	// Size is the number of events that may wait. Zero means 1024. Negative is
	// invalid, because the memory must be bounded.
	Size int

	// MaxBatch is the number of events in one write to Next. Zero means 256.
	// Negative means 1.
	MaxBatch int

	// Timeout bounds one write to Next. Zero means 10 seconds. Negative means
	// no limit.
	Timeout time.Duration

	// Delay is how long an incomplete batch waits for more events. Zero or
	// negative means no delay: a batch contains the events that arrived during
	// the previous write.
	Delay time.Duration

	// Overflow is the behavior of the full buffer. Zero means Block.
	Overflow Overflow

	// OnError is called with a batch that Next refused. The events of the batch
	// are lost, or uncertain if the error matches ErrUncertain, and the next
	// gap event counts them. To try again, wrap Next in a retry. The goroutine
	// of the buffer calls OnError, which must not block and must not keep the
	// events. It may be nil.
	OnError func(ctx context.Context, events []*Event, err error)
}

// Validate reports everything that is wrong with c. The error matches
// [ErrInvalid].
func (c BufferConfig) Validate() error {
	var errs []error
	if isNil(c.Next) {
		errs = append(errs, invalid("buffer: Next is missing"))
	}
	if c.Size < 0 {
		errs = append(errs, invalid("buffer: Size is %d, want 0 or more", c.Size))
	}
	if c.Overflow > Fail {
		errs = append(errs, invalid("buffer: Overflow is %s, want Block, Drop or Fail", c.Overflow))
	}
	return errors.Join(errs...)
}

// A Buffer is a sink that accepts events into memory. A goroutine, which Close
// ends, writes them in order and in batches to the next sink. An accepted event
// is lost if the program ends before it is written. Do not use a Buffer if the
// event must be stored before the work starts. A panic of the next sink is not
// recovered: it ends the program.
type Buffer struct {
	config BufferConfig // with its defaults
	op     string       // begins the text of errors

	queue   chan queued        // never closed, so that a late sender does not panic
	closing chan struct{}      // closed when Close starts
	stopped chan struct{}      // closed when the goroutine has ended
	abort   context.CancelFunc // cancels the current write
	once    sync.Once          // for the first Close
	senders sync.RWMutex       // held for reading while an event enters queue

	pool                     sync.Pool     // of *Event, which keep their slices
	written, lost, uncertain atomic.Uint64 // as in BufferStats
	accepted                 atomic.Uint64 // all accepted events

	mu  sync.Mutex // guards gap
	gap gap        // events that no gap event has counted yet
}

// A gap counts events that are not in the log, or perhaps not.
type gap struct {
	lost, uncertain uint64
	from, til       time.Time // times of the first and last of them
}

// add includes another gap. Concurrent callers lose events in any order of
// time, so both ends may move.
func (g *gap) add(o gap) {
	if empty := g.lost+g.uncertain == 0; empty || o.from.Before(g.from) {
		g.from = o.from
	}
	if o.til.After(g.til) {
		g.til = o.til
	}
	g.lost += o.lost
	g.uncertain += o.uncertain
}

// A queued value is an event or a mark, which is closed when all events before
// it are written. The zero value ends the goroutine.
type queued struct {
	e    *Event
	mark chan<- struct{}
}

// NewBuffer starts a buffer. It panics with the error of
// [BufferConfig.Validate].
func NewBuffer(c BufferConfig) *Buffer {
	if err := c.Validate(); err != nil {
		panic(err)
	}
	c.Size, c.MaxBatch, c.Timeout = cmp.Or(c.Size, 1024), max(cmp.Or(c.MaxBatch, 256), 1), cmp.Or(c.Timeout, defaultTimeout)
	b := &Buffer{
		config: c, op: opOf(c.Name, "audit: buffer"), queue: make(chan queued, c.Size),
		closing: make(chan struct{}), stopped: make(chan struct{}), pool: sync.Pool{New: func() any { return new(Event) }},
	}
	var ctx context.Context
	ctx, b.abort = context.WithCancel(context.Background())
	go b.run(ctx)
	return b
}

// WriteEvents accepts copies of the events. With [Block] it waits for room.
//
// Errors: [ErrClosed]; [ErrFull] with [Fail]; [ErrFull], ctx.Err() and
// context.Cause(ctx) if ctx ends while WriteEvents waits; also [ErrUncertain]
// if some of the events were accepted.
func (b *Buffer) WriteEvents(ctx context.Context, events []*Event) error {
	b.senders.RLock()
	defer b.senders.RUnlock()
	for i, e := range events {
		if err := b.put(ctx, e); err != nil {
			if i > 0 {
				err = fmt.Errorf("%w: %w", err, ErrUncertain)
			}
			return err
		}
	}
	return nil
}

func (b *Buffer) put(ctx context.Context, e *Event) error {
	select {
	case <-b.closing:
		return classed(b.op, ErrClosed)
	default:
	}
	own := b.pool.Get().(*Event)
	own.set(e)
	q := queued{e: own}
	b.accepted.Add(1) // before it can be written, so that Waiting is never negative
	select {
	case b.queue <- q:
		return nil
	default:
	}
	if b.config.Overflow == Drop {
		b.lose(gap{1, 0, e.Time, e.Time})
		return nil
	}
	err := b.wait(ctx, q)
	if err != nil {
		b.accepted.Add(^uint64(0)) // minus 1
	}
	return err
}

// wait queues q when there is room, if the buffer may wait for it.
func (b *Buffer) wait(ctx context.Context, q queued) error {
	if b.config.Overflow == Fail && q.e != nil {
		return classed(b.op, ErrFull)
	}
	select {
	case b.queue <- q:
		return nil
	case <-b.closing:
		return classed(b.op, ErrClosed)
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", classed(b.op, ErrFull), ctxerr.New(ctx, "wait for room"))
	}
}

// lose counts events for the next gap event.
func (b *Buffer) lose(g gap) {
	b.lost.Add(g.lost)
	b.uncertain.Add(g.uncertain)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.gap.add(g)
}

// run writes batches until the queue is empty after Close.
func (b *Buffer) run(ctx context.Context) {
	more := true
	defer func() {
		if more { // runtime.Goexit in the sink or the hook
			go b.run(ctx)
			return
		}
		b.abort()
		close(b.stopped)
	}()
	batch := make([]*Event, 1, b.config.MaxBatch+1) // the first element is for a gap event
	for more {
		batch = b.step(ctx, batch, &more)
	}
}

// step writes one batch. More is false from the end of the queue on.
func (b *Buffer) step(ctx context.Context, batch []*Event, more *bool) []*Event {
	batch, mark, next := b.collect(batch[:1])
	*more = next
	if mark != nil {
		defer close(mark)
	}
	b.write(ctx, batch)
	for _, e := range batch[1:] { // sinks do not keep events
		b.pool.Put(e)
	}
	return batch
}

// collect waits for the first event and takes further events up to a mark. More
// is false at the end of the queue.
func (b *Buffer) collect(batch []*Event) (_ []*Event, mark chan<- struct{}, more bool) {
	q := <-b.queue
	var timeout <-chan time.Time // nil means no delay
	if b.config.Delay > 0 && q.e != nil {
		t := time.NewTimer(b.config.Delay)
		defer t.Stop()
		timeout = t.C
	}
	for q.e != nil {
		if batch = append(batch, q.e); len(batch) > b.config.MaxBatch {
			return batch, nil, true
		}
		select {
		case q = <-b.queue:
			continue
		default:
		}
		if timeout == nil {
			return batch, nil, true
		}
		select {
		case q = <-b.queue:
		case <-timeout:
			return batch, nil, true
		}
	}
	return batch, q.mark, q.mark != nil
}

// write passes a batch to the next sink, behind a gap event if events were
// lost.
func (b *Buffer) write(ctx context.Context, batch []*Event) {
	// The gap is reset before the write, so that events lost during the write
	// count in the next gap. If the write fails, the gap is restored.
	b.mu.Lock()
	g := b.gap
	b.gap = gap{}
	b.mu.Unlock()
	events := batch[1:]
	if g.lost+g.uncertain > 0 {
		batch[0] = gapEvent(g)
		events = batch
	}
	if len(events) == 0 {
		return
	}
	err := classed(b.op+": the sink did not return", ErrUncertain)
	defer func() { b.count(ctx, batch[1:], g, err) }()
	if b.config.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, b.config.Timeout)
		defer cancel()
	}
	err = b.config.Next.WriteEvents(ctx, events)
}

// count counts a batch that was written behind the gap event of g.
func (b *Buffer) count(ctx context.Context, events []*Event, g gap, err error) {
	if err == nil {
		b.written.Add(uint64(len(events)))
		return
	}
	b.mu.Lock()
	b.gap.add(g) // not in the log yet
	b.mu.Unlock()
	unsure := errtree.Is(err, ErrUncertain)
	for _, e := range events {
		g := gap{lost: 1, from: e.Time, til: e.Time}
		if unsure {
			g.lost, g.uncertain = 0, 1
		}
		b.lose(g)
	}
	if b.config.OnError != nil && len(events) > 0 {
		b.config.OnError(ctx, events, err)
	}
}

// gapEvent returns the event that counts lost events. Its actor is the buffer,
// because no request caused it.
func gapEvent(g gap) *Event {
	e := &Event{
		Action: "audit.gap", Outcome: Failure, Code: "lost", Actor: Actor{ID: "audit.buffer", Type: "program"},
		Attrs: []slog.Attr{slog.Uint64("lost", g.lost), slog.Time("first", g.from), slog.Time("last", g.til)},
	}
	if g.uncertain > 0 {
		e.Attrs = append(e.Attrs, slog.Uint64("uncertain", g.uncertain))
	}
	e.fill()
	return e
}

// Flush waits until all events accepted before the call were passed to the next
// sink.
//
// Errors: [ErrClosed], ctx.Err() and context.Cause(ctx).
func (b *Buffer) Flush(ctx context.Context) error {
	mark := make(chan struct{})
	if err := b.mark(ctx, mark); err != nil {
		return err
	}
	select {
	case <-mark:
		return nil
	case <-ctx.Done():
		return ctxerr.New(ctx, b.op+": flush")
	}
}

// mark puts a mark into the queue, behind all accepted events.
func (b *Buffer) mark(ctx context.Context, mark chan<- struct{}) error {
	b.senders.RLock()
	defer b.senders.RUnlock()
	select {
	case <-b.closing:
		return classed(b.op, ErrClosed)
	default:
		return b.wait(ctx, queued{mark: mark})
	}
}

// Close stops accepting events, writes the waiting events and ends the
// goroutine. If ctx ends first, Close cancels the current write and returns;
// its error contains the number of events that were not written. A second Close
// waits for the same end.
//
// Errors: [ErrFailed] if accepted events were lost and no gap event has counted
// them, together with ctx.Err() and context.Cause(ctx) if ctx ended first.
func (b *Buffer) Close(ctx context.Context) error {
	b.once.Do(func() {
		close(b.closing) // wakes waiting callers
		b.senders.Lock() // every call of WriteEvents has queued its events or failed
		defer b.senders.Unlock()
		// The zero value is the last in the queue. A goroutine sends it,
		// because the queue may be full and ctx must still bound Close.
		go func() { b.queue <- queued{} }()
	})
	var err error
	select {
	case <-b.stopped:
	case <-ctx.Done():
		b.abort()
		err = ctxerr.New(ctx, b.op+": close")
	}
	b.mu.Lock()
	missing := b.gap.lost + b.gap.uncertain
	b.mu.Unlock()
	// Lost events that a gap event has counted are not missing.
	if missing += uint64(b.Stats().Waiting); missing == 0 {
		return nil
	}
	failed := error(&fault{fmt.Sprintf("%s: %d events not written", b.op, missing), ErrFailed})
	if err != nil {
		return fmt.Errorf("%w: %w", failed, err)
	}
	return failed
}
