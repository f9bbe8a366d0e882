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

// SyncPolicy says when written events are forced to the disk.
type SyncPolicy int

// The policies.
const (
	// SyncAlways acknowledges events after an fsync that covers them. The default.
	SyncAlways SyncPolicy = 0
	// SyncNever leaves it to the operating system: events survive a crash of the
	// program, but not one of the machine.
	SyncNever SyncPolicy = -1
)

// Config sets up a [Ledger].
type Config struct {
	_ [0]func() // not comparable, so that fields can be added

	// Origin names the log in its first line, such as "example.com/billing": up
	// to 128 ASCII letters, digits and . _ - : / The default is "ledger" for a
	// new log and whatever the log says for an old one.
	Origin string

	// Sync is SyncAlways by default; SyncNever, negative, turns syncing off.
	Sync SyncPolicy
}

// Validate reports everything that is wrong with c, joined. The error matches
// [ErrFormat].
func (c Config) Validate() error {
	var errs []error
	if !isOrigin(c.Origin) {
		errs = append(errs, formatError("config: Origin is not a name"))
	}
	if c.Sync != SyncAlways && c.Sync != SyncNever {
		errs = append(errs, formatError("config: Sync is not a policy"))
	}
	return errors.Join(errs...)
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

// file is what a ledger needs of *os.File; tests put faults in between.
type file interface {
	io.WriteCloser
	Truncate(size int64) error
	Sync() error
	Stat() (fs.FileInfo, error)
}

// Ledger is an open log directory. It is safe for concurrent use.
type Ledger struct {
	path   string
	sync   SyncPolicy
	unlock io.Closer

	joinMu sync.Mutex
	joined *batch // collects events for the commit after the current one; may be nil

	mu   sync.Mutex // one commit at a time; guards what follows
	f    file
	at   position
	fail error // why nothing is written any more: ErrFailed or ErrClosed
	buf  []byte
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
	bodies [][]byte // the JSON form of each event
	done   chan struct{}
	err    error // to be read after done
}

// WriteEvents appends events, in their order and next to each other, and returns
// after the commit that holds them. A commit that has begun is not broken off by
// ctx.
//
// Errors: [ErrClosed], [ErrFailed], that of the write, which then left nothing
// behind, ctx.Err() and context.Cause(ctx) when ctx was done before anything was
// begun, and [audit.ErrUncertain] when the events may be in the log.
func (l *Ledger) WriteEvents(ctx context.Context, events []*audit.Event) error {
	if err := done(ctx); err != nil || len(events) == 0 {
		return err
	}
	bodies := make([][]byte, len(events))
	for i, e := range events {
		bodies[i] = e.AppendJSON(nil)
	}
	b, leads := l.join(bodies)
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

// join adds bodies to the batch that waits for the next commit.
func (l *Ledger) join(bodies [][]byte) (b *batch, leads bool) {
	l.joinMu.Lock()
	defer l.joinMu.Unlock()
	if l.joined == nil {
		l.joined = &batch{done: make(chan struct{}), err: audit.ErrUncertain}
		leads = true
	}
	l.joined.bodies = append(l.joined.bodies, bodies...)
	return l.joined, leads
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
	b.err = l.commit(b.bodies)
}

// commit appends one line per body and syncs. It runs under l.mu.
func (l *Ledger) commit(bodies [][]byte) error {
	if l.fail != nil {
		return l.fail
	}
	if err := l.unchanged(); err != nil {
		return l.stop(err)
	}
	next := l.at
	b := l.buf[:0]
	for _, body := range bodies {
		start := len(b)
		b = appendHead(b, next.tree.size, next.prev)
		b = append(b, body[1:]...)
		next.add(b[start:])
		b = append(b, '\n')
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
	if err := l.sync.file(l.f); err != nil {
		// The pages may be gone although the next sync would succeed: never repeat it.
		return fmt.Errorf("%w: %w", l.stop(err), audit.ErrUncertain)
	}
	l.at = next
	return nil
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
	return l.fail
}

// Head returns the state of the log after the last commit, to be kept for
// [VerifyConfig.Known].
func (l *Ledger) Head() Head {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.at.tree.head()
}

// Close waits for the commit under way and lets go of the directory. It writes
// nothing. Closing again does nothing.
func (l *Ledger) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if errors.Is(l.fail, ErrClosed) {
		return nil
	}
	l.fail = fmt.Errorf("ledger: %w", ErrClosed)
	if err := errors.Join(l.f.Close(), l.unlock.Close()); err != nil {
		return fmt.Errorf("ledger: close: %w", err)
	}
	return nil
}

// service appends a line of this package's own; fields is the inside of its
// JSON object, after the type.
func (l *Ledger) service(typ, fields string) error {
	return l.commit([][]byte{fmt.Appendf(nil, `{"type":"%s","time":"%s",%s}`,
		typ, time.Now().UTC().Format("2006-01-02T15:04:05.000000000Z"), fields)})
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
