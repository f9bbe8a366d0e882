package fleet

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/redoubt-go/redoubt/internal/errtree"
	"github.com/redoubt-go/redoubt/logscan"
)

const (
	minWait    = 100 * time.Millisecond // for records
	maxWait    = 2 * time.Second
	fetchLines = 512
	fetchBytes = 256 << 10   // or the largest message
	minCall    = time.Second // for an answer
	maxCall    = 5 * time.Second
	idleAfter  = time.Minute // a consumer of the server without a request is removed
)

// A worker handles a partition, as long as its member owns it. Only its own
// goroutine uses the fields below state.
type worker[S State] struct {
	*member[S]
	part     int
	acquired uint64             // revision with which the partition was acquired
	fetching context.Context    // done when the partition is to be handed over
	stop     context.CancelFunc // ends fetching
	lost     atomic.Bool        // another member owns the partition
	done     chan struct{}      // closed when the worker has ended
	err      error              // why, once done; nil: the partition was handed over

	state    S
	lease    lease
	revision uint64 // of the lease in the bucket
	dirty    bool   // the state or its place has changed since the last snapshot
	stored   uint64 // lease.Seen in the bucket
	saved    time.Time
	mark     uint64 // the last record of the stream, at the last look
	next     uint64 // the next number of the consumer of the server
	unread   int64
	failing  string
}

// errAgain means that the consumer of the server is to be made again.
var errAgain = errors.New("records were lost on the way")

// A brokenError is an error after which the state cannot be used.
type brokenError struct{ error }

func (e brokenError) Unwrap() error { return e.error }

// errGoexit is the error of a worker whose Handle has ended its goroutine.
var errGoexit = errors.New("function Handle called runtime.Goexit")

func (w *worker[S]) run() {
	defer close(w.done)
	defer w.end()
	defer w.stop()
	w.err = errGoexit
	w.err = w.work()
}

// end counts and reports the end of the worker.
func (w *worker[S]) end() {
	w.Consumer.partitions.Add(-1)
	w.setUnread(0)
	switch {
	case w.err == nil:
		w.released.Add(1)
		w.reporter.report(w.ctx, Event{Kind: KindReleased, Partition: w.part})
	case errtree.Is(w.err, errLost):
		w.Consumer.lost.Add(1)
		w.reporter.report(w.ctx, Event{Kind: KindLost, Partition: w.part, Err: w.err})
	default:
		w.fail(w.ctx, w.part, w.err)
	}
}

// call returns a context for a request to the server.
func (w *worker[S]) call() (context.Context, context.CancelFunc) {
	return context.WithTimeout(w.ctx, min(max(w.c.Lease, minCall), maxCall))
}

// work handles records until the partition is handed over or lost, or the state
// is broken.
func (w *worker[S]) work() error {
	w.stored, w.saved = w.lease.Seen, time.Now()
	w.state = w.c.New(w.part)
	if w.lease.Data > 0 {
		ctx, cancel := w.call()
		defer cancel()
		snapshot, err := w.shelf.read(ctx, w.part, w.lease)
		if err != nil {
			return err
		}
		if err := w.state.UnmarshalBinary(snapshot); err != nil {
			return fmt.Errorf("snapshot: %w", err)
		}
	}
	w.Consumer.acquired.Add(1)
	w.reporter.report(w.ctx, Event{Kind: KindAcquired, Partition: w.part})
	for {
		if w.lost.Load() || !w.owns() {
			return errLost
		}
		err := w.read()
		var broken brokenError
		if errors.As(err, &broken) || errors.Is(err, errLost) {
			return err
		}
		if w.fetching.Err() != nil {
			return w.save(true)
		}
		if err == nil || errors.Is(err, errAgain) {
			continue
		}
		if text := err.Error(); text != w.failing {
			w.failing = text
			w.fail(w.ctx, w.part, err)
		}
		select {
		case <-w.fetching.Done():
		case <-time.After(w.c.Lease / perLease):
		}
	}
}

// check compares the place of the partition with the stream, and reports
// records that were removed before they were handled. If idle, there was no
// record to handle, so the removed records were of other partitions.
func (w *worker[S]) check(info *jetstream.StreamInfo, idle bool) error {
	var gap error
	if idle && info.State.FirstSeq > 0 {
		w.lease.Seen = max(w.lease.Seen, info.State.FirstSeq-1)
	}
	created, last := info.Created.UnixNano(), info.State.LastSeq
	switch l := &w.lease; {
	case l.Stream == 0:
		l.Stream, l.Seen, w.dirty = created, max(info.State.FirstSeq, 1)-1, true
	case l.Stream != created:
		gap = errors.New("the stream was created again")
		l.Stream, l.Seq, l.Seen, w.dirty = created, 0, 0, true
	case last < l.Seq: // a server that was just elected may not have caught up
		return fmt.Errorf("stream: it ends at record %d, and record %d was handled", last, l.Seq)
	case info.State.FirstSeq > l.Seen+1:
		gap = fmt.Errorf("the stream has removed records %d to %d", l.Seen+1, info.State.FirstSeq-1)
		l.Seen = info.State.FirstSeq - 1
	}
	w.mark = last
	if gap != nil {
		w.gaps.Add(1)
		w.reporter.report(w.ctx, Event{Kind: KindGap, Partition: w.part, Err: gap})
	}
	return nil
}

// read handles records with a new consumer of the server. It returns nil when
// the partition is to be handed over.
func (w *worker[S]) read() error {
	ctx, cancel := w.call()
	defer cancel()
	stream, err := w.c.JetStream.Stream(ctx, w.c.Stream)
	if err != nil {
		return fmt.Errorf("stream: %w", err)
	}
	if err := w.check(stream.CachedInfo(), false); err != nil {
		return err
	}
	reconnects := w.c.JetStream.Conn().Stats().Reconnects
	from, err := stream.CreateConsumer(ctx, jetstream.ConsumerConfig{
		FilterSubject: subject(w.c.Prefix, w.part),
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: w.lease.Seq + 1,
		AckPolicy: jetstream.AckNonePolicy, MemoryStorage: true, Replicas: 1, InactiveThreshold: idleAfter,
	})
	if err != nil {
		return fmt.Errorf("stream: consumer: %w", err)
	}
	defer func() {
		ctx, cancel := w.call()
		defer cancel()
		_ = stream.DeleteConsumer(ctx, from.CachedInfo().Name) // otherwise idleAfter removes it
	}()
	w.next = 1
	looked := time.Now()
	for idle := false; w.fetching.Err() == nil; {
		if time.Since(w.saved) > w.c.Snapshot {
			if err := w.save(false); err != nil {
				return err
			}
		}
		if time.Since(looked) > w.c.Snapshot {
			looked = time.Now()
			if err := w.look(stream, from, idle); err != nil {
				return err
			}
		}
		if w.lost.Load() || !w.owns() {
			return errLost
		}
		if w.c.JetStream.Conn().Stats().Reconnects != reconnects {
			return errAgain // records may have been lost with the connection
		}
		mark := w.mark
		n, err := w.fetch(from, idle)
		if err != nil {
			return err
		}
		if idle = n == 0; idle && w.fetching.Err() == nil {
			w.lease.Seen = max(w.lease.Seen, mark)
		} else {
			w.failing = ""
		}
	}
	return nil
}

// look looks for records that were removed from the stream or lost on the way.
func (w *worker[S]) look(stream jetstream.Stream, from jetstream.Consumer, idle bool) error {
	ctx, cancel := w.call()
	defer cancel()
	created := w.lease.Stream
	info, err := stream.Info(ctx)
	if err != nil {
		return fmt.Errorf("stream: %w", err)
	}
	if err := w.check(info, idle); err != nil {
		return err
	}
	if w.lease.Stream != created {
		return errAgain
	}
	if !idle {
		return nil
	}
	sent, err := from.Info(ctx)
	if err != nil {
		return fmt.Errorf("stream: consumer: %w", err)
	}
	if sent.Delivered.Consumer >= w.next {
		return errAgain
	}
	return nil
}

// fetch handles the next records. After a fetch without records, it waits for
// a single record, which may be larger than fetchBytes.
func (w *worker[S]) fetch(from jetstream.Consumer, idle bool) (n int, err error) {
	ctx, cancel := context.WithTimeout(w.fetching, min(max(w.c.Snapshot, minWait), maxWait))
	defer cancel()
	lines, options := 1, []jetstream.FetchOpt{jetstream.FetchContext(ctx)}
	if !idle {
		most := max(fetchBytes, int(w.c.JetStream.Conn().MaxPayload()))
		lines, options = fetchLines, append(options, jetstream.FetchMaxBytes(most))
	}
	batch, err := from.Fetch(lines, options...)
	if err != nil {
		if ctx.Err() != nil {
			return 0, nil
		}
		return 0, fmt.Errorf("stream: fetch: %w", err)
	}
	for msg := range batch.Messages() {
		if w.fetching.Err() != nil {
			return n, nil
		}
		if err := w.message(msg); err != nil {
			return n, err
		}
		n++
		if time.Since(w.saved) > w.c.Snapshot {
			if err := w.save(false); err != nil {
				return n, err
			}
		}
	}
	if err := batch.Error(); err != nil && ctx.Err() == nil {
		return n, fmt.Errorf("stream: fetch: %w", err)
	}
	return n, nil
}

// message handles a message of the stream.
func (w *worker[S]) message(msg jetstream.Msg) error {
	if w.lost.Load() || !w.owns() {
		return errLost
	}
	at, err := msg.Metadata()
	if err != nil {
		return fmt.Errorf("stream: %w", err)
	}
	if at.Sequence.Consumer != w.next {
		return errAgain
	}
	w.next++
	if at.Sequence.Stream <= w.lease.Seq {
		return nil // a server that has not caught up begins at its own end
	}
	if err := w.handle(msg, at.Sequence.Stream); err != nil {
		return brokenError{err}
	}
	w.dirty = true
	w.lease.Seq = at.Sequence.Stream
	w.lease.Seen = max(w.lease.Seen, w.lease.Seq)
	w.setUnread(int64(at.NumPending))
	return nil
}

// handle calls Handle with the record of a message.
func (w *worker[S]) handle(msg jetstream.Msg, seq uint64) error {
	h := msg.Headers()
	r := Record{Record: &logscan.Record{Line: msg.Data()}, Partition: w.part, Seq: seq}
	r.setHeaders(h)
	if r.ID == "" {
		r.ID = fmt.Sprintf("%s/%d/%d", w.c.Stream, w.lease.Stream, seq)
	}
	if h.Get(headerLayout) != layout(w.c.Partitions) {
		w.foreign.Add(1)
		if !w.warned.Swap(true) {
			w.reporter.report(w.ctx, Event{Kind: KindForeign, Partition: w.part, ID: r.ID})
		}
	}
	if w.c.Parser != nil {
		if err := w.c.Parser.Parse(r.Record); err != nil {
			w.malformed.Add(1)
			return nil
		}
	}
	r.setTime(h)
	if err := w.c.Handle(w.ctx, w.state, r); err != nil {
		return err
	}
	w.handled.Add(1)
	w.handledBytes.Add(uint64(len(r.Line)))
	return nil
}

func (w *worker[S]) setUnread(n int64) {
	w.Consumer.unread.Add(n - w.unread)
	w.unread = n
}

// save stores a snapshot and its place, if they have changed. With release, it
// gives up the partition in the same step.
func (w *worker[S]) save(release bool) error {
	w.saved = time.Now()
	next := w.lease
	if release {
		next.Owner = ""
	} else if !w.dirty && next.Seen == w.stored {
		return nil
	}
	if w.lost.Load() || !w.owns() {
		return errLost
	}
	ctx, cancel := w.call()
	defer cancel()
	size := 0
	if w.dirty {
		snapshot, err := w.state.MarshalBinary()
		if err != nil {
			return brokenError{fmt.Errorf("snapshot: %w", err)}
		}
		// A name that no other owner uses, and later than all earlier names.
		if err := w.shelf.write(ctx, w.part, &next, w.revision, snapshot); err != nil {
			return fmt.Errorf("snapshot: %w", err)
		}
		size = len(snapshot)
	}
	revision, err := w.shelf.replace(ctx, w.part, next, w.revision)
	if err != nil {
		return fmt.Errorf("%w: %w", errLost, err)
	}
	if w.lease, w.revision, w.stored = next, revision, next.Seen; !w.dirty {
		return nil
	}
	w.dirty = false
	w.snapshots.Add(1)
	w.snapshotBytes.Add(uint64(size))
	_ = w.shelf.sweep(ctx, w.part, next.Data) // the next save sweeps again
	return nil
}
