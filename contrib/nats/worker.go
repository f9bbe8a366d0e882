package redoubtnats

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/redoubt-go/redoubt/breaker"
	"github.com/redoubt-go/redoubt/internal/ctxerr"
	"github.com/redoubt-go/redoubt/internal/errtree"
	"github.com/redoubt-go/redoubt/internal/quote"
	"github.com/redoubt-go/redoubt/retry"
)

// WorkerConfig configures a [Worker].
type WorkerConfig struct {
	_ [0]func() // not comparable, so that fields can be added

	// Name identifies the worker in errors, events and statistics. It may be
	// empty.
	Name string

	// Handle does the work of a message. Required. It must allow for messages
	// that are delivered more than once.
	Handle func(context.Context, jetstream.Msg) error

	// Policy decides about another delivery after an error of Handle, by
	// [retry.Policy.Next]. Its MaxElapsed counts from the time when the message
	// was stored.
	Policy retry.Policy

	// DeadLetter keeps a message that the Policy gives up, before the message
	// is terminated. Required. If it returns an error, the message is delivered
	// again. See [DeadLetters].
	DeadLetter func(ctx context.Context, msg jetstream.Msg, reason error) error

	// Breaker guards the dependency of Handle, which calls it by Breaker.Do.
	// While it is open, the worker takes no message. Nil means that the worker
	// never pauses.
	Breaker *breaker.Breaker

	// Parallel is the number of messages that are handled at once. Zero means
	// 1.
	Parallel int

	// OnEvent may be nil. It is called synchronously, outside locks, after the
	// change that the event reports, in the order of the changes. It may call
	// back into this package and must not block. With Parallel, several
	// messages may call it at once.
	OnEvent func(context.Context, WorkerEvent)
}

// Validate returns an error that joins all problems of c.
func (c WorkerConfig) Validate() error {
	p := problems{prefix: "worker"}
	p.add(c.Handle == nil, "Handle is missing")
	p.add(c.DeadLetter == nil, "DeadLetter is missing")
	p.add(c.Parallel < 0, "Parallel is %d, want at least 0", c.Parallel)
	if err := c.Policy.Validate(); err != nil {
		p.add(true, "Policy: %w", err)
	}
	return p.join()
}

// A WorkerKind is the kind of a [WorkerEvent].
type WorkerKind uint8

// The kinds of events.
const (
	WorkerKindRetry WorkerKind = iota // the message will be delivered again after Delay
	WorkerKindDead                    // the message was given up
	WorkerKindHeld                    // a guard refused the work; the message waits for Delay
)

// String returns the name in lower case.
func (k WorkerKind) String() string {
	switch k {
	case WorkerKindRetry:
		return "retry"
	case WorkerKindDead:
		return "dead"
	case WorkerKindHeld:
		return "held"
	}
	return fmt.Sprintf("WorkerKind(%d)", uint8(k))
}

// A WorkerEvent reports a message that was not handled.
type WorkerEvent struct {
	Kind     WorkerKind    // kind of event
	Name     string        // WorkerConfig.Name
	Sequence uint64        // number of the message in the stream
	Attempt  int           // number of the delivery, from 1
	Delay    time.Duration // pause before the next attempt
	Err      error         // error of Handle, or reason of the Policy
}

// LogValue returns the fields as a group.
func (e WorkerEvent) LogValue() slog.Value {
	return slog.GroupValue(slog.String("kind", e.Kind.String()), slog.String("name", e.Name), slog.Uint64("sequence", e.Sequence),
		slog.Int("attempt", e.Attempt), slog.Duration("delay", e.Delay), slog.Any("err", e.Err))
}

// A Worker handles the messages of a consumer. A handled message is
// acknowledged. After an error, the message is delivered again when the Policy
// allows it, and other messages are handled meanwhile. A message that is given
// up goes to DeadLetter.
//
// If a guard refuses the work, such as an open circuit breaker, the worker
// keeps the message and tries again, so that an outage costs no attempts. While
// Handle runs, the server does not deliver the message again.
type Worker struct {
	cfg WorkerConfig
	op  string

	handled, retried, dead, held atomic.Uint64
}

// NewWorker returns a Worker. It panics with the error of
// [WorkerConfig.Validate].
func NewWorker(c WorkerConfig) *Worker {
	if err := c.Validate(); err != nil {
		panic(err)
	}
	c.Parallel = cmp.Or(c.Parallel, 1)
	return &Worker{cfg: c, op: op("worker", c.Name)}
}

// WorkerStats counts the messages of a [Worker]. The counters never decrease.
type WorkerStats struct {
	Name    string `json:"name"`    // WorkerConfig.Name
	Handled uint64 `json:"handled"` // acknowledged
	Retried uint64 `json:"retried"` // returned, to be delivered again
	Dead    uint64 `json:"dead"`    // given up, and kept by DeadLetter
	Held    uint64 `json:"held"`    // refusals by a guard
}

// Stats returns the counters.
func (w *Worker) Stats() WorkerStats {
	return WorkerStats{
		Name: w.cfg.Name, Handled: w.handled.Load(), Retried: w.retried.Load(), Dead: w.dead.Load(), Held: w.held.Load(),
	}
}

// Settle ends the delivery of a message that was handled with the result err.
// If err is nil, it acknowledges the message. Otherwise the Policy decides:
// NakWithDelay with its pause, or DeadLetter and Term. It is for programs with
// a loop of their own. If a guard refused the work, Settle returns the message
// after the pause that the guard asks for, whatever the number of its
// deliveries. The server counts this delivery, so a later error has one attempt
// less.
//
// Errors: the errors of DeadLetter and of the client. The message will then be
// delivered again.
func (w *Worker) Settle(ctx context.Context, msg jetstream.Msg, err error) error {
	if err == nil {
		w.handled.Add(1)
		return msg.Ack()
	}
	meta, bad := msg.Metadata()
	if bad != nil {
		return bad
	}
	attempt := int(min(meta.NumDelivered, 1<<30))
	pause, stop := w.cfg.Policy.Next(attempt, meta.Timestamp, err)
	event := WorkerEvent{
		Kind: WorkerKindRetry, Name: w.cfg.Name, Sequence: meta.Sequence.Stream, Attempt: attempt, Delay: pause, Err: err,
	}
	if signs := errtree.Read(err); signs.Rejected && (!signs.HasRetryable || signs.Retryable) {
		event.Delay, stop = max(signs.RetryAfter, holdFor), nil
	}
	if stop != nil {
		event.Kind, event.Err, event.Delay = WorkerKindDead, stop, 0
		lost := w.cfg.DeadLetter(ctx, msg, stop)
		if lost == nil {
			w.dead.Add(1)
			w.report(ctx, event)
			return msg.Term()
		}
		event.Kind, event.Delay = WorkerKindRetry, holdFor
		event.Err = fmt.Errorf("%s: dead letter: %w; %w", w.op, lost, stop)
	}
	w.retried.Add(1)
	w.report(ctx, event)
	if err := msg.NakWithDelay(event.Delay); err != nil || stop == nil {
		return err
	}
	return event.Err
}

// holdFor is the pause after a refusal that names none.
const holdFor = time.Second

func (w *Worker) report(ctx context.Context, e WorkerEvent) {
	if w.cfg.OnEvent != nil {
		w.cfg.OnEvent(ctx, e)
	}
}

// Run handles the messages of a consumer until ctx is done. Then it waits for
// the calls of Handle, whose context is done too.
//
// Errors:
//
//   - ctx.Err() and context.Cause(ctx) if ctx is done;
//   - an error if the AckPolicy of the consumer is not explicit, or if its
//     MaxDeliver gives up a message before the Policy does;
//   - the errors of the client if the consumer was deleted or the connection
//     was closed.
func (w *Worker) Run(ctx context.Context, consumer jetstream.Consumer) error {
	c := consumer.CachedInfo().Config
	p := problems{prefix: "consumer " + quote.Name(c.Durable)}
	p.add(c.AckPolicy != jetstream.AckExplicitPolicy, "AckPolicy is %v, want AckExplicit", c.AckPolicy)
	p.add(c.MaxDeliver > 0, "MaxDeliver is %d, want -1: the server gives up messages without a dead letter", c.MaxDeliver)
	if err := p.join(); err != nil {
		return err
	}
	run, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var workers sync.WaitGroup
	for range w.cfg.Parallel {
		workers.Go(func() {
			defer stop(errGoexit) // the cause is the first
			for run.Err() == nil {
				if err := w.one(run, consumer, c.AckWait); err != nil {
					stop(err)
				}
			}
		})
	}
	workers.Wait()
	if ctx.Err() != nil {
		return ctxerr.New(ctx, w.op)
	}
	return fmt.Errorf("%s: %w", w.op, context.Cause(run))
}

var errGoexit = errors.New("function Handle called runtime.Goexit")

// idle is the time for which a worker waits for a message.
const idle = 5 * time.Second

// one waits for the dependency and a message, and handles the message. It
// returns an error if there can be no further message.
func (w *Worker) one(ctx context.Context, consumer jetstream.Consumer, ackWait time.Duration) error {
	if w.cfg.Breaker.Ready(ctx) != nil {
		return nil
	}
	wait, cancel := context.WithTimeout(ctx, idle)
	defer cancel()
	msg, err := consumer.Next(jetstream.FetchContext(wait))
	switch {
	case err == nil:
		w.handle(ctx, msg, ackWait)
	case errors.Is(err, jetstream.ErrConsumerDeleted), errors.Is(err, jetstream.ErrConnectionClosed), errors.Is(err, nats.ErrConnectionClosed):
		return err
	case !errors.Is(err, nats.ErrTimeout) && !errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil:
		if err := exists(ctx, consumer); err != nil {
			return err
		}
		sleep(ctx, holdFor) // a server is down
	}
	return nil
}

// handle handles a message until no guard refuses the work.
func (w *Worker) handle(ctx context.Context, msg jetstream.Msg, ackWait time.Duration) {
	// InProgress keeps the server from delivering the message again. If the
	// worker panics or its goroutine ends, the message is delivered again.
	alive := time.NewTicker(max(ackWait/3, time.Millisecond))
	done := make(chan struct{})
	var beat sync.WaitGroup
	beat.Go(func() {
		for {
			select {
			case <-alive.C:
				_ = msg.InProgress()
			case <-done:
				return
			}
		}
	})
	defer beat.Wait()
	defer close(done)
	defer alive.Stop()
	for {
		err := w.cfg.Handle(ctx, msg)
		signs := errtree.Read(err)
		if !signs.Rejected || signs.HasRetryable && !signs.Retryable || ctx.Err() != nil {
			w.settle(ctx, msg, err)
			return
		}
		w.held.Add(1)
		pause := cmp.Or(signs.RetryAfter, holdFor)
		event := WorkerEvent{Kind: WorkerKindHeld, Name: w.cfg.Name, Delay: pause, Err: err}
		if meta, bad := msg.Metadata(); bad == nil {
			event.Sequence, event.Attempt = meta.Sequence.Stream, int(min(meta.NumDelivered, 1<<30))
		}
		w.report(ctx, event)
		sleep(ctx, pause)
		_ = w.cfg.Breaker.Ready(ctx)
	}
}

// settle settles a message after the end of ctx too. A message whose work was
// cut off by the end of ctx is returned at once.
func (w *Worker) settle(ctx context.Context, msg jetstream.Msg, err error) {
	if err != nil && ctx.Err() != nil {
		_ = msg.Nak()
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), defaultTimeout)
	defer cancel()
	_ = w.Settle(ctx, msg, err) // after an error the message is delivered again
}

func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// The headers of a dead letter.
const (
	headerReason   = "Redoubt-Reason"   // why the message was given up
	headerSubject  = "Redoubt-Subject"  // its subject
	headerStream   = "Redoubt-Stream"   // its stream
	headerSequence = "Redoubt-Sequence" // its number in the stream
	headerAttempts = "Redoubt-Attempts" // the number of deliveries
)

// DeadLetters returns a [WorkerConfig.DeadLetter] that publishes a copy of the
// message to a subject, which a stream must store. The headers Redoubt-Reason,
// Redoubt-Subject, Redoubt-Stream, Redoubt-Sequence and Redoubt-Attempts
// describe it. The stream stores a message once, even if it is given up twice
// within the Duplicates window.
//
// The headers need room in the max_payload of the server. A message without
// that room is not kept and is delivered again. So the max_msg_size of its
// stream should be at least 1 KiB smaller.
func DeadLetters(js jetstream.JetStream, subject string) func(context.Context, jetstream.Msg, error) error {
	return func(ctx context.Context, msg jetstream.Msg, reason error) error {
		meta, err := msg.Metadata()
		if err != nil {
			return err
		}
		header := nats.Header{}
		for k, v := range msg.Headers() {
			if !strings.HasPrefix(k, "Nats-") { // they command the server
				header[k] = v
			}
		}
		sequence := strconv.FormatUint(meta.Sequence.Stream, 10)
		// A stream that was created again uses its numbers again.
		stored := strconv.FormatInt(meta.Timestamp.UnixNano(), 10)
		header.Set(jetstream.MsgIDHeader, "dead-"+meta.Stream+"-"+meta.Consumer+"-"+sequence+"-"+stored)
		header.Set(headerReason, quote.Error(reason))
		header.Set(headerSubject, msg.Subject())
		header.Set(headerStream, meta.Stream)
		header.Set(headerSequence, sequence)
		header.Set(headerAttempts, strconv.FormatUint(meta.NumDelivered, 10))
		_, err = js.PublishMsg(ctx, &nats.Msg{Subject: subject, Data: msg.Data(), Header: header})
		return err
	}
}
