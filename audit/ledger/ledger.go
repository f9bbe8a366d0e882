package ledger

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/redoubt-go/redoubt/audit"
	"github.com/redoubt-go/redoubt/internal/outbox"
)

var _ audit.Sink = (*Ledger)(nil)

// A Ledger is an open log directory. It is safe for concurrent use.
type Ledger struct {
	dir       string
	config    Config // with its defaults, and the origin of the log
	log       string // identity of the log
	files     storage
	unlock    io.Closer
	secret    []byte // key of the MACs; nil without them
	recovered Recovery

	counters counters
	out      outbox.Outbox[Event]

	joinMu sync.Mutex
	joined *batch // collects events for the next commit; may be nil
	spare  []byte // memory for the text of the next batch; may be nil

	chores    sync.WaitGroup // chores that are running
	endChores context.CancelFunc

	sealing   turn  // held while a checkpoint is signed and written
	anchoring turn  // held during a call of Anchor; guards anchorErr
	anchorErr error // of the last call

	mu       sync.Mutex // held for one commit; guards the fields below
	f        file
	path     string
	segs     []uint64  // first records of the segments in the directory
	born     time.Time // of the current segment
	at       position
	last     Checkpoint // in the log, if known
	office   string     // public key in office, empty if there is none
	handover string     // note by which office came into office; may be empty
	pending  Checkpoint // not anchored yet; may be empty
	retryAt  time.Time  // no checkpoint before this time, after an error
	unsealed int        // records after last, without its line
	unsynced bool       // the syncer has work
	durable  bool       // all lines are on the disk
	fail     error      // why nothing is written any more: ErrFailed or ErrClosed
	buf      []byte
	closing  bool

	syncer, sealer, anchorer chore
}

// A position is the state of the log that the next line depends on.
type position struct {
	off  int64 // bytes
	prev Hash  // leaf hash of the last line
	tree tree  // its size is the next sequence number
}

func (p *position) add(line []byte) {
	p.prev = leafHash(line)
	p.tree.push(p.prev)
	p.off += int64(len(line)) + 1
}

// A batch contains the events of one commit. The caller that creates it commits
// it; callers that join wait for done.
type batch struct {
	text []byte // the JSON forms of the events, concatenated
	ends []int  // the end of each event in text
	done chan struct{}
	err  error // valid after done
}

// WriteEvents appends the events in their order, without other events between
// them, and returns after their commit. The end of ctx does not interrupt a
// commit.
//
// Errors:
//
//   - ctx.Err() and context.Cause(ctx) if ctx is done before the call;
//   - [audit.ErrUncertain] if the events may be in the log;
//   - [ErrClosed], [ErrFailed];
//   - the error of the write or of a rotation, which left no events behind.
func (l *Ledger) WriteEvents(ctx context.Context, events []*audit.Event) error {
	if err := done(ctx, "write"); err != nil || len(events) == 0 {
		return err
	}
	b, leads := l.join(events)
	if leads {
		l.lead(b)
		l.deliver()
		return b.err
	}
	select {
	case <-b.done:
		return b.err
	case <-ctx.Done():
		return fmt.Errorf("ledger: write: %w: %w", audit.ErrUncertain, context.Cause(ctx))
	}
}

// encoded contains memory for encoding.
var encoded = sync.Pool{New: func() any { return new([]byte) }}

// join adds events to the batch of the next commit. It encodes them before it
// takes a lock, because methods of their attributes may take any time, call
// this ledger, panic or exit.
func (l *Ledger) join(events []*audit.Event) (b *batch, leads bool) {
	buf := encoded.Get().(*[]byte)
	text, ends := (*buf)[:0], make([]int, 0, 4)
	for _, e := range events {
		text = e.AppendJSON(text)
		ends = append(ends, len(text))
	}
	l.joinMu.Lock()
	defer l.joinMu.Unlock()
	if l.joined == nil {
		l.joined = &batch{text: l.spare[:0], done: make(chan struct{}), err: audit.ErrUncertain}
		l.spare = nil
		leads = true
	}
	b = l.joined
	for _, end := range ends {
		b.ends = append(b.ends, len(b.text)+end)
	}
	b.text = append(b.text, text...)
	if cap(text) <= maxLine {
		*buf = text // a large buffer is not kept
		encoded.Put(buf)
	}
	return b, leads
}

// lead waits for the previous commit, closes the batch and commits it. There is
// no timer, so a single writer never waits.
func (l *Ledger) lead(b *batch) {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer close(b.done)
	l.joinMu.Lock()
	l.joined = nil
	l.joinMu.Unlock()
	// The next caller of join leads another batch, which collects events during
	// this commit.
	b.err = l.commit(b)
	l.counters.answered(uint64(len(b.ends)), b.err)
	if cap(b.text) <= maxLine {
		l.joinMu.Lock()
		l.spare = b.text // a large buffer is not kept
		l.joinMu.Unlock()
	}
}

// commit appends the events of b, in a new segment if the current segment is
// full. The caller holds l.mu.
func (l *Ledger) commit(b *batch) error {
	if l.closing && l.fail == nil {
		return ErrClosed
	}
	// A checkpoint that is being signed belongs into this segment, unless the
	// signer takes too long.
	if l.full() && (len(l.sealing) == 0 || l.at.off >= 2*l.config.MaxSize) {
		if err := l.rotate(); err != nil {
			return err
		}
	}
	err := l.append(b.text, b.ends)
	l.remind()
	return err
}

// append writes a line for each JSON object in text, and syncs with SyncAlways.
func (l *Ledger) append(text []byte, ends []int) error {
	if l.fail != nil {
		return l.fail
	}
	if err := l.unchanged(); err != nil {
		return l.stop(err)
	}
	next := l.at // becomes the position after the write
	b := l.buf[:0]
	from := 0
	for i, end := range ends {
		start := len(b)
		b = appendHead(b, next.tree.size, next.prev)
		b = append(b, text[from+1:end]...) // without the brace, which is in the head
		closing := "}"
		if l.durable && i == 0 {
			closing = syncedPart
			b = append(b[:len(b)-1], closing...)
		}
		if l.secret != nil && i == len(ends)-1 {
			b = l.appendMAC(b, start, closing)
		}
		next.add(b[start:])
		b = append(b, '\n')
		from = end
	}
	if cap(b) <= maxLine {
		l.buf = b // a large buffer is not kept
	}
	n, err := l.f.Write(b)
	if err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	if err != nil {
		// The next line must not follow a part of a line.
		if terr := l.f.Truncate(l.at.off); terr != nil {
			return fmt.Errorf("%w: %w", l.stop(terr), audit.ErrUncertain)
		}
		return fmt.Errorf("ledger: write: %w", err)
	}
	l.durable, l.unsynced = false, l.config.Sync > 0
	if l.config.Sync == SyncAlways {
		if err := l.flush(l.f); err != nil {
			// Never sync again: the next sync may succeed without the lost
			// pages.
			return fmt.Errorf("%w: %w", l.stop(err), audit.ErrUncertain)
		}
		l.durable = true
	}
	l.moved(next, len(ends), uint64(len(b)))
	return nil
}

// service appends a service line.
func (l *Ledger) service(typ, fields string) error {
	body := serviceBody(typ, fields)
	return l.append(body, []int{len(body)})
}

// settle syncs the writes that SyncEvery has not synced yet. The caller holds
// l.mu.
func (l *Ledger) settle() error {
	if l.fail != nil || !l.unsynced {
		return l.fail
	}
	if err := l.flush(l.f); err != nil {
		return l.stop(err)
	}
	l.unsynced, l.durable = false, l.config.Sync != SyncNever
	return nil
}

// moved makes written lines part of the log.
func (l *Ledger) moved(to position, records int, bytes uint64) {
	l.at = to
	l.unsealed += records
	l.counters.size.Store(to.tree.size)
	l.counters.records.Add(uint64(records))
	l.counters.bytes.Add(bytes)
}

// flush syncs f and counts the sync.
func (l *Ledger) flush(f file) error {
	start := time.Now()
	err := l.config.Sync.file(f)
	if l.config.Sync != SyncNever {
		l.counters.syncs.Add(1)
		l.counters.syncTime.Add(int64(time.Since(start)))
	}
	return err
}

// unchanged returns an error if the file at the path was removed, replaced, cut
// or written by another program.
func (l *Ledger) unchanged() error {
	open, err := l.f.Stat()
	if err != nil {
		return err
	}
	named, err := os.Lstat(l.path)
	switch {
	case err != nil:
		return fmt.Errorf("file removed: %w", err)
	case !os.SameFile(open, named):
		return errors.New("file replaced")
	case open.Size() != l.at.off:
		return fmt.Errorf("file has %d bytes instead of %d", open.Size(), l.at.off)
	}
	return nil
}

// stop refuses all further writes.
func (l *Ledger) stop(err error) error {
	l.fail = fmt.Errorf("%w: %w", ErrFailed, err)
	l.counters.stopped.Store(true)
	return l.fail
}

// Head returns the state of the log after the last commit. Keep it for
// [VerifyConfig.Known].
func (l *Ledger) Head() Head {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.at.tree.head()
}

// Close waits for the current commit, seals the log if there is a
// [Config.Signer], and releases the directory. It writes nothing to a log that
// is sealed already. A second Close does nothing. Close waits at most 10
// seconds for the signer and for Anchor, which may then still be running.
//
// Errors: the errors of Checkpoint. The ledger is closed in any case.
func (l *Ledger) Close() error {
	defer l.deliver()
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	l.endChores()
	l.mu.Lock()
	l.closing = true
	seal := l.config.Signer != nil && l.fail == nil
	l.mu.Unlock()
	err := within(ctx, func() error { l.chores.Wait(); return nil })
	if seal && err == nil {
		err = within(ctx, func() error { _, _, err := l.seal(ctx); return err })
	}
	pending, serr := l.shut()
	if pending {
		err = errors.Join(err, within(ctx, func() error { return l.anchor(ctx, true) }))
	}
	return errors.Join(err, serr)
}

// within runs f in another goroutine and returns its error, or an error if ctx
// is done before.
func within(ctx context.Context, f func() error) error {
	ended := make(chan error, 1)
	go func() { ended <- f() }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
		return done(ctx, "close")
	}
}

// shut releases the directory. It reports whether a checkpoint is not anchored
// yet.
func (l *Ledger) shut() (pending bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if errors.Is(l.fail, ErrClosed) {
		return false, nil
	}
	if l.fail == nil {
		err = l.settle()
	}
	l.fail = ErrClosed
	l.counters.stopped.Store(true)
	if cerr := errors.Join(l.f.Close(), l.unlock.Close()); cerr != nil {
		err = errors.Join(err, fmt.Errorf("ledger: close: %w", cerr))
	}
	return l.pending.Note != "", err
}
