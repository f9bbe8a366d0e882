package ledger

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"time"

	"github.com/redoubt-go/redoubt/audit"
)

// SyncPolicy says when written events are forced to the disk: one of the
// constants or [SyncEvery].
type SyncPolicy int64

// The policies.
const (
	// SyncAlways acknowledges events after an fsync that covers them. The default.
	SyncAlways SyncPolicy = 0
	// SyncNever leaves it to the operating system: events survive a crash of the
	// program, but not one of the machine. After such a crash a sealed log can
	// look tampered with, because a signature may have outlived what it covers.
	SyncNever SyncPolicy = -1
)

// SyncEvery acknowledges events when they are written and syncs no later than d
// after the first of them, which is what a crash of the machine can take. d is at
// least a millisecond.
func SyncEvery(d time.Duration) SyncPolicy { return SyncPolicy(d) }

// Defaults of [Config].
const (
	defaultMaxSize         = 64 << 20
	defaultCheckpointEvery = 1024
	defaultCheckpointDelay = time.Second
)

// Config sets up a [Ledger].
type Config struct {
	_ [0]func() // not comparable, so that fields can be added

	// Origin names the log in its first line and its checkpoints, such as
	// "example.com/billing": up to 128 ASCII letters, digits and . _ - : / The
	// default is the name of the Signer, else "ledger" for a new log and whatever
	// the log says for an old one.
	Origin string

	// Sync is SyncAlways by default; SyncNever, negative, turns syncing off.
	Sync SyncPolicy

	// MaxSize is the number of bytes after which the next event begins a new
	// segment. The default is 64 MiB; a negative value means no bound.
	MaxSize int64

	// MaxAge is the age after which the next event begins a new segment. The
	// default, zero, and negative values mean no bound.
	MaxAge time.Duration

	// Retain is the number of segments kept; older ones are removed once a
	// checkpoint covers the header of the oldest that stays, so it needs a Signer.
	// The default, zero, and negative values keep all.
	Retain int

	// Signer seals the log with checkpoints. The default, nil, writes none: only
	// heads kept elsewhere then show a rewritten or shortened log.
	Signer *Signer

	// Previous is the signer that Signer takes over from. The first checkpoint
	// after Open is then signed by both, which is what [VerifyConfig.Keys] asks of
	// a change of keys. It does nothing in a log that Signer has sealed already.
	Previous *Signer

	// CheckpointEvery is the number of records after which a checkpoint is due. The
	// default is 1024; a negative value leaves it to CheckpointDelay.
	CheckpointEvery int

	// CheckpointDelay is how long a record may stay unsealed. The default is one
	// second; with a negative value only CheckpointEvery, [Ledger.Checkpoint],
	// rotation and Close seal.
	CheckpointDelay time.Duration

	// Anchor is given every new checkpoint, to keep it out of reach of whoever can
	// write the directory: in another system, with a witness, on paper. It may be
	// nil. It is called outside locks by Checkpoint, Rotate and Close, which return
	// its error, and by a goroutine of the ledger, which does not: the next
	// checkpoint covers what a lost one did. Its context ends with Close.
	Anchor func(context.Context, Checkpoint) error

	// Known is an earlier state of the log. Open then verifies the whole log and
	// refuses one that does not begin with it.
	Known *Head
}

// Validate reports everything that is wrong with c, joined. The error matches
// [ErrFormat].
func (c Config) Validate() error {
	var errs []error
	check := func(ok bool, text string) {
		if !ok {
			errs = append(errs, formatError("config: "+text))
		}
	}
	check(isOrigin(c.Origin), "Origin is not a name")
	check(c.Sync == SyncAlways || c.Sync == SyncNever || c.Sync >= SyncPolicy(time.Millisecond), "Sync is not a policy")
	check(c.Retain <= 0 || c.Signer != nil, "Retain needs a Signer")
	check(c.Previous == nil || c.Signer != nil, "Previous needs a Signer")
	check(c.Anchor == nil || c.Signer != nil, "Anchor needs a Signer")
	for _, s := range [...]*Signer{c.Signer, c.Previous} {
		if s != nil {
			check(s.v.name == c.origin(), "Signer is named after another log")
		}
	}
	return errors.Join(errs...)
}

// origin is the origin of a new log.
func (c Config) origin() string {
	switch {
	case c.Origin != "":
		return c.Origin
	case c.Signer != nil:
		return c.Signer.v.name
	}
	return "ledger"
}

func isOrigin(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case c == '.' || c == '_' || c == '-' || c == ':' || c == '/':
		default:
			return false
		}
	}
	return len(s) <= 128
}

var _ audit.Sink = (*Ledger)(nil)

// file is what a ledger needs of a segment; tests put faults in between.
type file interface {
	io.WriteCloser
	Truncate(size int64) error
	Sync() error
	Stat() (fs.FileInfo, error)
}

// Ledger is an open log directory. It is safe for concurrent use.
type Ledger struct {
	dir       string
	origin    string
	log       string // the log's identity
	sync      SyncPolicy
	maxSize   int64
	maxAge    time.Duration
	retain    int
	every     int // records between checkpoints
	signer    *Signer
	anchor    func(context.Context, Checkpoint) error
	create    func(path string) (file, error) // makes a segment; a seam for tests
	unlock    io.Closer
	recovered Recovery

	counters counters

	chores         sync.WaitGroup
	endChores      context.CancelFunc
	syncer, sealer *chore // nil where there is nothing to do later

	joinMu sync.Mutex
	joined *batch // collects events for the commit after the current one; may be nil
	spare  []byte // the text of the batch before, to be used again; may be nil

	mu       sync.Mutex // one commit at a time; guards what follows
	f        file
	path     string
	segs     []uint64  // first records of the segments in the directory
	born     time.Time // of the current segment
	at       position
	sealed   Checkpoint // the last one in the current or an older segment, if known
	unsealed int        // records after it, itself not counted
	unsynced bool
	fail     error // why nothing is written any more: ErrFailed or ErrClosed
	buf      []byte
}

// position is everything a writer must know of the log so far.
type position struct {
	off  int64 // bytes
	prev Hash  // leaf of the last line
	tree tree  // its size is the next sequence number
}

func (p *position) add(line []byte) {
	p.prev = leafHash(line)
	p.tree.push(p.prev)
	p.off += int64(len(line)) + 1
}

// batch is the events of one commit. Whoever makes it leads it; those who join
// wait for done.
type batch struct {
	text []byte // the JSON forms of the events, one after the other
	ends []int  // where each of them ends
	done chan struct{}
	err  error // to be read after done
}

// WriteEvents appends events, in their order and next to each other, and returns
// after the commit that holds them. A commit that has begun is not broken off by
// ctx.
//
// Errors: [ErrClosed], [ErrFailed], that of the write or of a rotation, which then
// left nothing behind, ctx.Err() and context.Cause(ctx) when ctx was done before
// anything was begun, and [audit.ErrUncertain] when the events may be in the log.
func (l *Ledger) WriteEvents(ctx context.Context, events []*audit.Event) error {
	if err := done(ctx); err != nil || len(events) == 0 {
		return err
	}
	b, leads := l.join(events)
	if leads {
		l.lead(b)
		return b.err
	}
	select {
	case <-b.done:
		return b.err
	case <-ctx.Done():
		return fmt.Errorf("ledger: %w: %w", audit.ErrUncertain, context.Cause(ctx))
	}
}

// join adds events to the batch that waits for the next commit.
func (l *Ledger) join(events []*audit.Event) (b *batch, leads bool) {
	l.joinMu.Lock()
	defer l.joinMu.Unlock()
	if l.joined == nil {
		l.joined = &batch{text: l.spare[:0], done: make(chan struct{}), err: audit.ErrUncertain}
		l.spare = nil
		leads = true
	}
	b = l.joined
	for _, e := range events {
		b.text = e.AppendJSON(b.text)
		b.ends = append(b.ends, len(b.text))
	}
	return b, leads
}

// lead waits for the commit before, closes the batch to newcomers and commits it.
// There is no timer: a lone writer never waits for company.
func (l *Ledger) lead(b *batch) {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer close(b.done)
	l.joinMu.Lock()
	l.joined = nil
	l.joinMu.Unlock()
	// From here on nobody joins: whoever comes now leads the next batch, and gathers
	// company for as long as this commit takes.
	b.err = l.commit(b)
	l.counters.answered(uint64(len(b.ends)), b.err)
	if cap(b.text) <= maxLine {
		l.joinMu.Lock()
		l.spare = b.text // a rare giant is left to the collector
		l.joinMu.Unlock()
	}
}

// commit appends one line per event, in a new segment where the old one is full.
// It runs under l.mu.
func (l *Ledger) commit(b *batch) error {
	if l.full() {
		if err := l.rotate(); err != nil {
			return err
		}
	}
	err := l.append(b.text, b.ends)
	l.remind()
	return err
}

// append writes one line per body and syncs, if that is the policy.
func (l *Ledger) append(text []byte, ends []int) error {
	if l.fail != nil {
		return l.fail
	}
	if err := l.unchanged(); err != nil {
		return l.stop(err)
	}
	// All is computed on a copy of the position, which counts once the write holds.
	next := l.at
	b := l.buf[:0]
	from := 0
	for _, end := range ends {
		start := len(b)
		b = appendHead(b, next.tree.size, next.prev)
		b = append(b, text[from+1:end]...) // without its brace, which the head has
		next.add(b[start:])
		b = append(b, '\n')
		from = end
	}
	if cap(b) <= maxLine {
		l.buf = b // a rare giant is left to the collector
	}
	n, err := l.f.Write(b)
	if err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	if err != nil {
		// Nothing may follow half a line, so it must go before anything else.
		if terr := l.f.Truncate(l.at.off); terr != nil {
			return fmt.Errorf("%w: %w", l.stop(terr), audit.ErrUncertain)
		}
		return fmt.Errorf("ledger: write: %w", err)
	}
	l.unsynced = l.sync > 0
	if l.sync == SyncAlways {
		if err := l.flush(l.f); err != nil {
			// The pages may be gone although the next sync would succeed: never repeat it.
			return fmt.Errorf("%w: %w", l.stop(err), audit.ErrUncertain)
		}
	}
	l.unsealed += len(ends)
	l.moved(next, uint64(len(ends)), uint64(len(b)))
	return nil
}

// settle syncs what SyncEvery has left. It runs under l.mu.
func (l *Ledger) settle() error {
	if l.fail != nil || !l.unsynced {
		return l.fail
	}
	if err := l.flush(l.f); err != nil {
		return l.stop(err)
	}
	l.unsynced = false
	return nil
}

// moved makes the lines that were written part of the log.
func (l *Ledger) moved(to position, records, bytes uint64) {
	l.at = to
	l.counters.size.Store(to.tree.size)
	l.counters.records.Add(records)
	l.counters.bytes.Add(bytes)
}

// flush makes what was written to f durable, and counts it.
func (l *Ledger) flush(f file) error {
	start := time.Now()
	err := l.sync.file(f)
	if l.sync != SyncNever {
		l.counters.syncs.Add(1)
		l.counters.syncTime.Add(int64(time.Since(start)))
	}
	return err
}

// unchanged reports whether the file is still the one at the path and as long as
// it was left: a removed, replaced, cut or foreign-written log takes no more events.
func (l *Ledger) unchanged() error {
	open, err := l.f.Stat()
	if err != nil {
		return err
	}
	named, err := os.Lstat(l.path)
	switch {
	case err != nil:
		return fmt.Errorf("file gone: %w", err)
	case !os.SameFile(open, named):
		return errors.New("file replaced")
	case open.Size() != l.at.off:
		return fmt.Errorf("file has %d bytes instead of %d", open.Size(), l.at.off)
	}
	return nil
}

// stop refuses everything from now on.
func (l *Ledger) stop(err error) error {
	l.fail = fmt.Errorf("ledger: %w: %w", ErrFailed, err)
	l.counters.stopped.Store(true)
	return l.fail
}

// Head returns the state of the log after the last commit, to be kept for
// [VerifyConfig.Known].
func (l *Ledger) Head() Head {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.at.tree.head()
}

// Close waits for the commit under way, seals what is not sealed, if there is a
// [Config.Signer], and lets go of the directory. A log that was not written to is
// left as it is. Closing again does nothing.
//
// Errors: those of Checkpoint; the ledger is closed all the same.
func (l *Ledger) Close() error {
	l.endChores()
	l.chores.Wait()
	cp, fresh, err := l.shut()
	ctx, cancel := context.WithTimeout(context.Background(), anchorTimeout)
	defer cancel()
	return errors.Join(err, l.anchored(ctx, cp, fresh))
}

func (l *Ledger) shut() (cp Checkpoint, fresh bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if errors.Is(l.fail, ErrClosed) {
		return cp, false, nil
	}
	if l.fail == nil {
		if err = l.settle(); err == nil && l.signer != nil {
			cp, fresh, err = l.seal(l.signer)
		}
	}
	l.fail = fmt.Errorf("ledger: %w", ErrClosed)
	l.counters.stopped.Store(true)
	if cerr := errors.Join(l.f.Close(), l.unlock.Close()); cerr != nil {
		err = errors.Join(err, fmt.Errorf("ledger: close: %w", cerr))
	}
	return cp, fresh, err
}

// service appends a line of this package's own.
func (l *Ledger) service(typ, fields string) error {
	body := serviceBody(typ, fields)
	return l.append(body, []int{len(body)})
}

// done reports a context that is already finished. The error matches both the
// context's error and its cause.
func done(ctx context.Context) error {
	err := ctx.Err()
	if err == nil {
		return nil
	}
	if cause := context.Cause(ctx); !errors.Is(err, cause) {
		return fmt.Errorf("ledger: not started: %w: %w", err, cause)
	}
	return fmt.Errorf("ledger: not started: %w", err)
}
