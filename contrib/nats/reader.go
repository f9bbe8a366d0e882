package redoubtnats

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/redoubt-go/redoubt/audit"
	"github.com/redoubt-go/redoubt/internal/ctxerr"
	"github.com/redoubt-go/redoubt/internal/errtree"
	"github.com/redoubt-go/redoubt/internal/quote"
	"github.com/redoubt-go/redoubt/retry"
)

// ReaderConfig configures a [Reader].
type ReaderConfig struct {
	_ [0]func() // not comparable, so that fields can be added

	// Name identifies the reader in errors, events and statistics. It may be
	// empty.
	Name string

	// JetStream reads the events. Required.
	JetStream jetstream.JetStream

	// Stream is the stream that contains the events. Required.
	Stream string

	// Durable is the name of the consumer, whose place the stream keeps.
	// Required. Use another name for each Sink.
	Durable string

	// Subjects selects events, with wildcards. Nil means all events. Servers
	// before 2.10 accept a single subject.
	Subjects []string

	// Sink receives the events. Required.
	Sink audit.Sink

	// Recent returns the IDs of the last n events that Sink contains, or of all
	// if it contains fewer. The reader calls it when it starts, and after an
	// error that leaves open whether Sink stored events. Nil means that an
	// event may be written twice after a crash, or after such an error. See
	// [LedgerRecent].
	Recent func(ctx context.Context, n int) ([]string, error)

	// Remember is the number of last IDs by which the reader recognizes an
	// event that it has written already. It must be larger than the number of
	// events that other programs write to the Sink between two events of the
	// reader. Zero means 65536.
	Remember int

	// Batch is the largest number of events in a call of Sink. Zero means 256.
	Batch int

	// Policy decides about further attempts if Sink returns an error. The zero
	// Policy makes three attempts; then Run returns the error.
	Policy retry.Policy

	// OnEvent may be nil. It is called synchronously, outside locks, after the
	// change that the event reports, in the order of the changes. It may call
	// back into this package and must not block.
	OnEvent func(context.Context, ReaderEvent)
}

func (c ReaderConfig) withDefaults() ReaderConfig {
	c.Batch, c.Remember = cmp.Or(c.Batch, 256), cmp.Or(c.Remember, 1<<16)
	return c
}

// ackWait is the time after which the stream delivers an event again that was
// not acknowledged.
const ackWait = 30 * time.Second

// Validate returns an error that joins all problems of c.
func (c ReaderConfig) Validate() error {
	p := problems{prefix: "reader"}
	c = c.withDefaults()
	p.add(c.JetStream == nil, "JetStream is missing")
	p.add(c.Stream == "", "Stream is missing")
	p.add(c.Durable == "", "Durable is missing")
	p.add(c.Sink == nil, "Sink is missing")
	p.add(c.Batch < 1, "Batch is %d, want at least 1", c.Batch)
	p.add(c.Batch >= 1 && c.Remember < 4*c.Batch, "Remember is %d, want at least %d, four times Batch", c.Remember, 4*c.Batch)
	if err := c.Policy.Validate(); err != nil {
		p.add(true, "Policy: %w", err)
	}
	return p.join()
}

// A ReaderKind is the kind of a [ReaderEvent].
type ReaderKind uint8

// The kinds of events.
const (
	ReaderKindMalformed ReaderKind = iota // a message is not an audit event; it was skipped
	ReaderKindFailed                      // the sink returned an error; Policy decides about another attempt
)

// String returns the name in lower case.
func (k ReaderKind) String() string {
	switch k {
	case ReaderKindMalformed:
		return "malformed"
	case ReaderKindFailed:
		return "failed"
	}
	return fmt.Sprintf("ReaderKind(%d)", uint8(k))
}

// A ReaderEvent reports messages that did not reach the Sink.
type ReaderEvent struct {
	Kind     ReaderKind // kind of event
	Name     string     // ReaderConfig.Name
	Sequence uint64     // number of the message in the stream, or of the first message of the batch
	Err      error      // error of the sink, or nil
}

// LogValue returns the fields as a group.
func (e ReaderEvent) LogValue() slog.Value {
	return slog.GroupValue(slog.String("kind", e.Kind.String()), slog.String("name", e.Name),
		slog.Uint64("sequence", e.Sequence), slog.Any("err", e.Err))
}

// A Reader reads the events of a stream and writes them to an [audit.Sink],
// such as a ledger or a SIEM. An event is acknowledged after the sink has
// stored it, so no event is lost. With Recent, no event with an ID is written
// twice either.
//
// Events arrive in the order of the stream. After a lost connection, events
// that were on their way may arrive up to half a minute later, behind newer
// events.
type Reader struct {
	cfg     ReaderConfig
	op      string
	running atomic.Bool
	seen    memory

	written, duplicates, malformed, failures atomic.Uint64
}

// NewReader returns a reader. It panics with the error of
// [ReaderConfig.Validate].
func NewReader(c ReaderConfig) *Reader {
	if err := c.Validate(); err != nil {
		panic(err)
	}
	c = c.withDefaults()
	return &Reader{cfg: c, op: op("reader", c.Name)}
}

// ReaderStats counts the messages of a [Reader]. The counters never decrease.
type ReaderStats struct {
	Name       string `json:"name"`       // ReaderConfig.Name
	Written    uint64 `json:"written"`    // events that the sink has stored
	Duplicates uint64 `json:"duplicates"` // events that the sink contained already
	Malformed  uint64 `json:"malformed"`  // messages that are not audit events
	Errors     uint64 `json:"errors"`     // failed calls of the sink
}

// Stats returns the counters.
func (r *Reader) Stats() ReaderStats {
	return ReaderStats{
		Name: r.cfg.Name, Written: r.written.Load(), Duplicates: r.duplicates.Load(),
		Malformed: r.malformed.Load(), Errors: r.failures.Load(),
	}
}

// ErrRunning means that Run was called while another call was running.
var ErrRunning = errors.New("nats: already running")

// Run reads until ctx is done or an error occurs. Call it again to continue.
// While Run runs, no other program may read with the same Durable.
//
// Errors:
//
//   - ctx.Err() and context.Cause(ctx) if ctx is done;
//   - the error of the policy, which wraps the last error of Sink;
//   - the errors of Recent;
//   - the errors of the client, such as [jetstream.ErrConsumerDeleted];
//   - [ErrRunning].
func (r *Reader) Run(ctx context.Context) error {
	if !r.running.CompareAndSwap(false, true) {
		return fmt.Errorf("%s: %w", r.op, ErrRunning)
	}
	defer r.running.Store(false)
	err := r.run(ctx)
	if ctx.Err() != nil {
		return ctxerr.New(ctx, r.op)
	}
	return fmt.Errorf("%s: %w", r.op, err)
}

func (r *Reader) run(ctx context.Context) error {
	r.seen.reset(r.cfg.Remember)
	if err := r.recall(ctx); err != nil {
		return err
	}
	consumer, err := r.open(ctx)
	if err != nil {
		return err
	}
	it, err := consumer.Messages(jetstream.PullMaxMessages(r.cfg.Batch), jetstream.PullHeartbeat(heartbeat))
	if err != nil {
		return err
	}
	// The messages arrive in a channel, so that a batch takes all that are
	// there.
	messages, failed := make(chan jetstream.Msg), make(chan error, 1)
	inner, cancel := context.WithCancel(ctx)
	var pump sync.WaitGroup
	pump.Go(func() { failed <- pass(inner, consumer, it, messages) })
	defer giveBack(it)
	defer pump.Wait()
	defer cancel()
	for {
		select {
		case err := <-failed:
			return err
		case msg := <-messages:
			if err := r.handle(ctx, r.gather(msg, messages)); err != nil {
				return err
			}
		}
	}
}

// pass sends the messages of an iterator to a channel, until ctx is done.
func pass(ctx context.Context, consumer jetstream.Consumer, it jetstream.MessagesContext, to chan<- jetstream.Msg) error {
	for {
		msg, err := next(ctx, consumer, it)
		if err != nil {
			return err
		}
		select {
		case to <- msg:
		case <-ctx.Done():
			refuse([]jetstream.Msg{msg})
			return ctx.Err()
		}
	}
}

// giveBack ends an iterator and returns the messages that it has fetched
// already, so that the next Run need not wait for them.
func giveBack(it jetstream.MessagesContext) {
	it.Drain()
	for {
		msg, err := it.Next(jetstream.NextMaxWait(time.Second))
		if err != nil {
			it.Stop()
			return
		}
		refuse([]jetstream.Msg{msg})
	}
}

// linger is the time for which gather waits for another message.
const linger = 2 * time.Millisecond

// gather returns the first message of a batch and the messages that follow it
// immediately.
func (r *Reader) gather(first jetstream.Msg, more <-chan jetstream.Msg) []jetstream.Msg {
	batch := []jetstream.Msg{first}
	timer := time.NewTimer(linger)
	defer timer.Stop()
	for len(batch) < r.cfg.Batch {
		select {
		case msg := <-more:
			batch = append(batch, msg)
		case <-timer.C:
			return batch
		}
	}
	return batch
}

// recall reads the IDs that the sink contains.
func (r *Reader) recall(ctx context.Context) error {
	if r.cfg.Recent == nil {
		return nil
	}
	ids, err := r.cfg.Recent(ctx, r.cfg.Remember)
	if err != nil {
		return fmt.Errorf("recent events: %w", err)
	}
	for _, id := range ids {
		r.seen.add(id)
	}
	return nil
}

// open opens the consumer.
func (r *Reader) open(ctx context.Context) (jetstream.Consumer, error) {
	ctx, cancel := context.WithTimeout(ctx, defaultTimeout)
	defer cancel()
	stream, err := r.cfg.JetStream.Stream(ctx, r.cfg.Stream)
	if err != nil {
		return nil, fmt.Errorf("stream %s: %w", quote.Name(r.cfg.Stream), err)
	}
	c := jetstream.ConsumerConfig{
		Durable: r.cfg.Durable, AckPolicy: jetstream.AckExplicitPolicy, AckWait: ackWait,
		MaxAckPending: 2 * r.cfg.Batch, MaxDeliver: -1,
	}
	if c.FilterSubjects = r.cfg.Subjects; len(c.FilterSubjects) == 1 {
		c.FilterSubject, c.FilterSubjects = c.FilterSubjects[0], nil
	}
	consumer, err := stream.CreateOrUpdateConsumer(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("consumer %s: %w", quote.Name(r.cfg.Durable), err)
	}
	return consumer, nil
}

// heartbeat is half of the time after which a silent server is suspected.
const heartbeat = 5 * time.Second

// next returns the next message. While a server is down, it waits. If it hears
// nothing, it asks whether the consumer still exists.
func next(ctx context.Context, consumer jetstream.Consumer, it jetstream.MessagesContext) (jetstream.Msg, error) {
	for {
		msg, err := it.Next(jetstream.NextContext(ctx))
		if !errors.Is(err, jetstream.ErrNoHeartbeat) {
			return msg, err
		}
		if err := exists(ctx, consumer); err != nil {
			return nil, err
		}
	}
}

// exists returns an error if a server knows that the consumer does not exist.
func exists(ctx context.Context, consumer jetstream.Consumer) error {
	ctx, cancel := context.WithTimeout(ctx, defaultTimeout)
	defer cancel()
	_, err := consumer.Info(ctx)
	if errors.Is(err, jetstream.ErrConsumerNotFound) || errors.Is(err, jetstream.ErrStreamNotFound) || errors.Is(err, jetstream.ErrConnectionClosed) {
		return err
	}
	return nil
}

// report calls OnEvent.
func (r *Reader) report(ctx context.Context, kind ReaderKind, msg jetstream.Msg, err error) {
	e := ReaderEvent{Kind: kind, Name: r.cfg.Name, Err: err}
	if meta, bad := msg.Metadata(); bad == nil {
		e.Sequence = meta.Sequence.Stream
	}
	if r.cfg.OnEvent != nil {
		r.cfg.OnEvent(ctx, e)
	}
}

// handle writes a batch and acknowledges it.
func (r *Reader) handle(ctx context.Context, batch []jetstream.Msg) error {
	var events []*audit.Event
	for _, msg := range batch {
		e := new(audit.Event)
		if err := e.UnmarshalJSON(msg.Data()); err != nil {
			r.malformed.Add(1)
			r.report(ctx, ReaderKindMalformed, msg, nil)
			continue
		}
		events = append(events, e)
	}
	err := r.cfg.Policy.Do(ctx, func(ctx context.Context) error {
		err := r.write(ctx, events)
		if err != nil {
			r.failures.Add(1)
			r.report(ctx, ReaderKindFailed, batch[0], err)
		}
		return err
	})
	if err != nil {
		refuse(batch)
		return err
	}
	return r.acknowledge(ctx, batch)
}

// refuse returns messages to the stream, so that the next Run need not wait for
// them.
func refuse(batch []jetstream.Msg) {
	for _, msg := range batch {
		_ = msg.Nak()
	}
}

// write writes the events that the sink does not contain.
func (r *Reader) write(ctx context.Context, events []*audit.Event) error {
	fresh := r.seen.fresh(events)
	if len(fresh) > 0 {
		if err := r.cfg.Sink.WriteEvents(ctx, fresh); err != nil {
			return r.doubt(ctx, err)
		}
	}
	r.written.Add(uint64(len(fresh)))
	r.duplicates.Add(uint64(len(events) - len(fresh)))
	for _, e := range fresh {
		r.seen.add(e.ID)
	}
	return nil
}

// doubt reads the recent events again, if err leaves open whether the sink
// stored events.
func (r *Reader) doubt(ctx context.Context, err error) error {
	certain := errtree.Is(err, audit.ErrFailed) || errtree.Is(err, audit.ErrFull) || errtree.Is(err, audit.ErrClosed)
	if errtree.Is(err, audit.ErrUncertain) || ctx.Err() != nil && !certain {
		if failed := r.recall(ctx); failed != nil {
			return retry.Permanent(fmt.Errorf("%w; %w", err, failed))
		}
	}
	return err
}

// acknowledge acknowledges a batch. If an acknowledgement is lost, the event is
// delivered again and recognized by its ID.
func (r *Reader) acknowledge(ctx context.Context, batch []jetstream.Msg) error {
	last := len(batch) - 1
	for _, msg := range batch[:last] {
		if err := msg.Ack(); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), defaultTimeout) // also if Run is to end
	defer cancel()
	_ = batch[last].DoubleAck(ctx) // waits, so that the reader is not ahead of the server
	return nil
}

// A memory contains the last IDs.
type memory struct {
	ids  map[string]bool
	ring []string
	next int
}

func (m *memory) reset(n int) { *m = memory{ids: map[string]bool{}, ring: make([]string, 0, n)} }

// add adds an ID, in place of the oldest.
func (m *memory) add(id string) {
	if id == "" || m.ids[id] {
		return
	}
	if len(m.ring) < cap(m.ring) {
		m.ring = append(m.ring, id)
	} else {
		delete(m.ids, m.ring[m.next])
		m.ring[m.next] = id
		m.next = (m.next + 1) % len(m.ring)
	}
	m.ids[id] = true
}

// fresh returns the events whose IDs are not in m, each ID once. An event
// without an ID is always fresh.
func (m *memory) fresh(events []*audit.Event) []*audit.Event {
	var list []*audit.Event
	for _, e := range events {
		known := e.ID != "" && (m.ids[e.ID] || slices.ContainsFunc(list, func(f *audit.Event) bool { return f.ID == e.ID }))
		if !known {
			list = append(list, e)
		}
	}
	return list
}
