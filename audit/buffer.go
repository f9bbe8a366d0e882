package audit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// Overflow says what a full [Buffer] does with the next event.
type Overflow uint8

// The policies.
const (
	Block Overflow = iota // the caller waits for room, until its context ends; the default
	Drop                // the event is lost, and counted in the log by an event with the action "audit.gap"
	Fail                // the caller is told [ErrFull]
)

// String returns the policy in lower case.
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

// BufferConfig sets up a [Buffer].
type BufferConfig struct {
	_ [0]func() // not comparable, so that fields can be added

	// Next is the sink behind the buffer. Required.
	Next Sink

	// Size is the number of events that may wait. The default is 1024; negative
	// values are an error, because the memory must have a bound.
	Size int

	// MaxBatch is the number of events in one write to Next. The default is 256; a
	// negative value means 1.
	MaxBatch int

	// Delay is how long a batch that is not full waits for more events. The
	// default, zero, and negative values mean not at all: a batch is what came in
	// during the write before.
	Delay time.Duration

	// Overflow is Block by default.
	Overflow Overflow

	// OnError is told of a batch that Next refused. Those events are lost, and
	// counted in the next gap event: wrap Next in a retry to try again. It is called
	// by the buffer's goroutine, must not block, and must not keep the events. It
	// may be nil.
	OnError func(ctx context.Context, events []*Event, err error)
}

// Validate reports everything that is wrong with c, joined. The error matches
// [ErrInvalid].
func (c BufferConfig) Validate() error {
	var err error
	if isNil(c.Next) {
		err = fmt.Errorf("audit: config: Next is missing: %w", ErrInvalid)
	}
	if c.Size < 0 {
		err = errors.Join(err, fmt.Errorf("audit: config: Size is negative: %w", ErrInvalid))
	}
	if c.Overflow > Fail {
		err = errors.Join(err, fmt.Errorf("audit: config: Overflow is unknown: %w", ErrInvalid))
	}
	return err
}

// Buffer is a sink that accepts events at once and writes them in batches, in
// their order, from a goroutine that Close ends. An accepted event is in memory
// only: whoever needs it to be stored before the work begins does without a
// Buffer.
type Buffer struct {
	next     Sink
	maxBatch int
	delay    time.Duration
	policy   Overflow
	onError  func(context.Context, []*Event, error)

	queue   chan queued        // never closed, so that a late sender finds no panic
	closing chan struct{}      // closed when Close begins
	stopped chan struct{}      // closed when the goroutine is gone
	abort   context.CancelFunc // ends the write under way
	once    sync.Once          // for the first Close
	senders sync.RWMutex       // held for reading while an event goes into queue

	pool            sync.Pool     // of *Event, which keep their slices
	written, lost   atomic.Uint64 // as in BufferStats
	accepted        atomic.Uint64 // all that were ever taken
	mu              sync.Mutex    // guards the three below
	gap             uint64        // lost events that no gap event has counted yet
	gapFrom, gapTil time.Time     // times of the first and the last of them
}

// queued is an event, or a mark: everything before it is written when it is
// reached.
type queued struct {
	e    *Event
	mark chan<- struct{}
}

// NewBuffer starts a buffer. It panics with the error of [BufferConfig.Validate],
// and with nothing else.
func NewBuffer(c BufferConfig) *Buffer {
	if err := c.Validate(); err != nil {
		panic(err)
	}
	if c.Size == 0 {
		c.Size = 1024
	}
	if c.MaxBatch == 0 {
		c.MaxBatch = 256
	}
	b := &Buffer{
		next: c.Next, maxBatch: max(c.MaxBatch, 1), delay: c.Delay, policy: c.Overflow, onError: c.OnError,
		queue: make(chan queued, c.Size), closing: make(chan struct{}), stopped: make(chan struct{}),
		pool: sync.Pool{New: func() any { return new(Event) }},
	}
	var ctx context.Context
	ctx, b.abort = context.WithCancel(context.Background())
	go b.run(ctx)
	return b
}

// WriteEvents accepts copies of the events. With [Block] it waits for room.
//
// Errors: [ErrClosed]; [ErrFull] with [Fail]; with [Block], ctx.Err() and
// context.Cause(ctx) where ctx ends first; [ErrUncertain] too where some of
// several events were accepted.
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
		return fmt.Errorf("audit: buffer: %w", ErrClosed)
	default:
	}
	own := b.pool.Get().(*Event)
	own.set(e)
	q := queued{e: own}
	b.accepted.Add(1) // before it can be written: Waiting is never negative
	select {
	case b.queue <- q:
		return nil
	default:
	}
	if b.policy == Drop {
		b.lose(1, e.Time, e.Time) // own is left to the collector: a full buffer has enough of them
		return nil
	}
	var err error
	if b.policy == Fail {
		err = fmt.Errorf("audit: buffer: %w", ErrFull)
	} else {
		select {
		case b.queue <- q:
			return nil
		case <-b.closing:
			err = fmt.Errorf("audit: buffer: %w", ErrClosed)
		case <-ctx.Done():
			err = done(ctx)
		}
	}
	b.accepted.Add(^uint64(0)) // minus one: it was refused
	return err
}

// lose counts events for the next gap event.
func (b *Buffer) lose(n uint64, from, til time.Time) {
	b.lost.Add(n)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.widen(n, from, til)
}

// widen adds lost events to the next gap. The times of concurrent callers come in
// any order, so both ends may move. The caller holds mu.
func (b *Buffer) widen(n uint64, from, til time.Time) {
	if b.gap == 0 || from.Before(b.gapFrom) {
		b.gapFrom = from
	}
	if b.gap == 0 || til.After(b.gapTil) {
		b.gapTil = til
	}
	b.gap += n
}

// run writes batches until the queue is empty after Close.
func (b *Buffer) run(ctx context.Context) {
	defer close(b.stopped)
	defer b.abort()
	batch := make([]*Event, 1, b.maxBatch+1) // the first place is for a gap event
	for more := true; more; {
		var mark chan<- struct{}
		batch, mark, more = b.collect(batch[:1])
		b.write(ctx, batch)
		for _, e := range batch[1:] { // sinks keep nothing, so the memory is free again
			b.pool.Put(e)
		}
		if mark != nil {
			close(mark)
		}
	}
}

// collect waits for the first event and takes what else there is, up to a mark.
// More is false after the mark of Close.
func (b *Buffer) collect(batch []*Event) (_ []*Event, mark chan<- struct{}, more bool) {
	q := <-b.queue
	var timeout <-chan time.Time // nil blocks for ever; here: is not waited for
	if b.delay > 0 && q.e != nil {
		t := time.NewTimer(b.delay)
		defer t.Stop()
		timeout = t.C
	}
	for q.e != nil {
		if batch = append(batch, q.e); len(batch) > b.maxBatch {
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

// write hands a batch on, with a gap event in front where something was lost.
func (b *Buffer) write(ctx context.Context, batch []*Event) {
	// The gap is taken out before the write, so that what is lost during the write is
	// counted in the next one, and put back if this one is not stored.
	b.mu.Lock()
	gap, from, til := b.gap, b.gapFrom, b.gapTil
	b.gap = 0
	b.mu.Unlock()
	events := batch[1:]
	if gap > 0 {
		batch[0] = gapEvent(gap, from, til)
		events = batch
	}
	if len(events) == 0 {
		return
	}
	err := b.next.WriteEvents(ctx, events)
	if err == nil {
		b.written.Add(uint64(len(batch) - 1))
		return
	}
	if gap > 0 {
		b.mu.Lock()
		b.widen(gap, from, til) // not counted in the log yet
		b.mu.Unlock()
	}
	for _, e := range batch[1:] {
		b.lose(1, e.Time, e.Time)
	}
	if b.onError != nil && len(batch) > 1 {
		b.onError(ctx, batch[1:], err)
	}
}

// gapEvent says that events are missing. Its actor is the buffer: nobody asked for
// it, and an event must be signed.
func gapEvent(lost uint64, from, til time.Time) *Event {
	e := &Event{
		Action: "audit.gap", Outcome: Failure, Code: "lost", Actor: Actor{ID: "audit.buffer", Type: "program"},
		Attrs: []slog.Attr{slog.Uint64("lost", lost), slog.Time("first", from), slog.Time("last", til)},
	}
	e.fill()
	return e
}

// Flush waits until everything accepted before it was handed to the next sink.
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
		return done(ctx)
	}
}

// mark puts a mark into the queue, behind everything accepted so far.
func (b *Buffer) mark(ctx context.Context, mark chan<- struct{}) error {
	b.senders.RLock()
	defer b.senders.RUnlock()
	closed := fmt.Errorf("audit: buffer: %w", ErrClosed)
	select {
	case <-b.closing:
		return closed
	default:
	}
	select {
	case b.queue <- queued{mark: mark}:
		return nil
	case <-b.closing:
		return closed
	case <-ctx.Done():
		return done(ctx)
	}
}

// Close takes no more events, writes those that wait, and ends the goroutine. If
// ctx ends first, the write under way is cancelled and the rest is given up: the
// error says how many events were not written. Closing again waits for the same
// end.
//
// Errors: [ErrFailed] where accepted events were not written since the last gap
// event, with ctx.Err() and context.Cause(ctx) if ctx was the reason.
func (b *Buffer) Close(ctx context.Context) error {
	b.once.Do(func() {
		close(b.closing) // wakes those who wait for room
		b.senders.Lock() // all that are on their way are in, or have been refused
		defer b.senders.Unlock()
		// run reads until this, and it is the last. It is sent from elsewhere, because
		// the queue may be full behind a hung sink and ctx must still bound Close.
		go func() { b.queue <- queued{} }()
	})
	var err error
	select {
	case <-b.stopped:
	case <-ctx.Done():
		b.abort()
		err = done(ctx)
	}
	b.mu.Lock()
	missing := b.gap
	b.mu.Unlock()
	// What was lost and already counted by a gap event in the log is not missing.
	if missing += uint64(b.Stats().Waiting); missing == 0 {
		return nil
	}
	failed := fmt.Errorf("audit: buffer: %d events not written: %w", missing, ErrFailed)
	if err != nil {
		return fmt.Errorf("%w: %w", failed, err)
	}
	return failed
}
