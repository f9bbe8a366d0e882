package follow

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/redoubt-go/redoubt/internal/quote"
	"github.com/redoubt-go/redoubt/logscan"
)

// A Follower describes the file to follow. Records copies it. Path is required.
type Follower struct {
	// Scanner parses the records. Its Workers and Chunk have no effect. For
	// Join, see Flush.
	Scanner logscan.Scanner

	// Path is the file that grows. Required.
	Path string

	// Rotated are patterns of the names that rotation gives to the file, with
	// the rules of [path/filepath.Match]. Nil means Path+".*" and Path+"-*".
	// Other files, such as checkpoints, must not match.
	Rotated []string

	// Poll is the pause between two looks at the file. Zero means 250 ms. A
	// negative value is invalid.
	Poll time.Duration

	// Wake ends a pause early, for example when inotify has reported a change.
	// It must not be closed. Nil means that every pause takes Poll.
	Wake <-chan struct{}

	// Linger is the time for which a file is read on after its end was reached
	// and another file has its name. Later bytes are not read. Zero means 2
	// seconds. Negative means that the file is read to its end once more.
	Linger time.Duration

	// Flush is the time for which a record waits for further lines that
	// Scanner.Join could append. Zero means 1 second. Negative means forever.
	Flush time.Duration

	// From is the place where the loop begins: after the record of the
	// checkpoint. If its file is not found, the loop gets a [*GapError] and
	// begins at the start of Path. Nil means the start of Path.
	From *Checkpoint

	// AtEnd begins with the last unfinished line of Path. It has no effect with
	// From, and is wrong for a compressed file.
	AtEnd bool

	fsys fileSystem // nil means the system's
}

// A Record is a record of a file that is followed.
type Record struct {
	*logscan.Record
	t *tail
}

// Checkpoint returns the place behind the record. Call it before the next
// iteration. It reads about 1 KiB of the file and, of a compressed file, all
// bytes up to the place. Do not call it for every record if that is too slow.
//
// If the file was cut after the record was read, its checkpoint matches no
// file: the next run begins at the start of Path, with a [*GapError].
func (r Record) Checkpoint() Checkpoint { return r.t.checkpoint(r.Next) }

// A GapError reports that records may have been lost.
type GapError struct {
	Path   string // Follower.Path
	Offset int64  // place up to which the file was read
	Lost   int64  // bytes seen beyond Offset and not read; -1 if unknown
	Reason string // the cause, such as "truncated"
}

var _ slog.LogValuer = (*GapError)(nil)

// Error returns a text such as
//
//	follow: "app.log": gap at byte 4096: truncated
//
// followed by the number of bytes lost, if it is known.
func (e *GapError) Error() string {
	text := fmt.Sprintf("follow: %s: gap at byte %d: %s", quote.Text(e.Path), e.Offset, e.Reason)
	if e.Lost >= 0 {
		text += fmt.Sprintf(", %d bytes lost", e.Lost)
	}
	return text
}

// LogValue returns the fields as a group.
func (e *GapError) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("path", quote.Cut(e.Path)),
		slog.Int64("offset", e.Offset),
		slog.Int64("lost", e.Lost),
		slog.String("reason", e.Reason),
	)
}

// A file is an open file.
type file interface {
	io.ReaderAt
	io.Closer
	Stat() (fs.FileInfo, error)
}

// A fileSystem is the part of a file system that a Follower uses. Tests use a
// file system in memory to provoke rare events.
type fileSystem interface {
	Open(name string) (file, error)
	Stat(name string) (fs.FileInfo, error)
	Glob(pattern string) ([]string, error)
	Same(a, b fs.FileInfo) bool
	ID(fs.FileInfo) (dev, ino uint64) // 0 and 0 if files have no numbers
}

type osFS struct{}

func (osFS) Open(name string) (file, error)        { return os.Open(name) }
func (osFS) Stat(name string) (fs.FileInfo, error) { return os.Stat(name) }
func (osFS) Glob(pattern string) ([]string, error) { return filepath.Glob(pattern) }
func (osFS) Same(a, b fs.FileInfo) bool            { return os.SameFile(a, b) }
func (osFS) ID(info fs.FileInfo) (dev, ino uint64) { return fileID(info) }

// Validate reports every field whose value is missing or out of range. A loop
// over an invalid Follower gets that error and no records.
func (f Follower) Validate() error {
	errs := []error{f.Scanner.Validate()}
	bad := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("follow: "+format, args...))
	}
	if f.Path == "" {
		bad("Path is missing")
	}
	for i, pattern := range f.Rotated {
		if _, err := filepath.Match(pattern, ""); err != nil {
			bad("Rotated[%d] is %s, want a pattern of filepath.Match", i, quote.Text(pattern))
		}
	}
	if f.Poll < 0 {
		bad("Poll is %v, want at least 0 (250ms)", f.Poll)
	}
	return errors.Join(errs...)
}

func (f Follower) withDefaults() Follower {
	if f.Rotated == nil {
		f.Rotated = []string{f.Path + ".*", f.Path + "-*"}
	}
	if f.Poll == 0 {
		f.Poll = 250 * time.Millisecond
	}
	if f.Linger == 0 {
		f.Linger = 2 * time.Second
	}
	if f.Flush == 0 {
		f.Flush = time.Second
	}
	if f.fsys == nil {
		f.fsys = osFS{}
	}
	return f
}

// Records delivers records as they are written, until ctx is done. A record is
// valid until the next iteration, as in [logscan.Scanner.Records]. Its Source
// is the name of the file when it was opened. Its Num counts from the place
// where reading began.
//
// Errors: see the package comment.
func (f Follower) Records(ctx context.Context) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		if err := f.Validate(); err != nil {
			yield(Record{}, err)
			return
		}
		t := &tail{Follower: f.withDefaults(), ctx: ctx}
		defer t.close()
		for rec, err := range t.Scanner.Records(ctx, t.inputs) {
			if !yield(Record{rec, t}, err) {
				return
			}
		}
	}
}

// A tail is one loop over Follower.Records. ctx lives as long.
type tail struct {
	Follower
	ctx  context.Context
	gen  *generation  // the file being read; nil opens Path next
	seen []Checkpoint // the ends of the latest files
}

func (t *tail) close() {
	if t.gen != nil {
		t.gen.Close()
		t.gen = nil
	}
}

// inputs yields the file, again from its beginning if it was truncated, and
// then the file in its place, until ctx is done. An input is a stretch of a
// file without a break. It ends when the reader returns io.EOF, and r.end is
// the reason.
func (t *tail) inputs(yield func(logscan.Input, error) bool) {
	if !t.begin(yield) {
		return
	}
	for t.ctx.Err() == nil {
		if t.gen == nil && !t.openCurrent(yield) {
			return
		}
		g := t.gen
		r := &reader{t: t, g: g}
		open := func(context.Context) (io.ReadCloser, error) { return r, nil }
		if !yield(logscan.Input{Name: g.name, Offset: g.start, Open: open}, nil) {
			return
		}
		why := r.end
		if why == failed {
			why = t.cured()
		}
		switch why {
		case flushed:
			g.start, g.kept = g.pos, append([]byte(nil), g.last...)
		case truncated:
			gap := g.again(t.Path)
			if !yield(logscan.Input{Name: t.Path}, gap) {
				return
			}
		default:
			t.next()
		}
	}
}

// again makes g begin again and returns the gap. If the end of the file had not
// been reached, the bytes seen beyond are lost.
func (g *generation) again(path string) *GapError {
	gap := &GapError{Path: path, Offset: g.pos, Lost: -1, Reason: "truncated"}
	if g.cut != nil { // the copy had all bytes known to have existed
		g.file.Close()
		g.file, g.cut = g.cut, nil
	} else if g.size > g.pos {
		gap.Lost = g.size - g.pos
	}
	*g = generation{file: g.file, name: g.name, info: g.info}
	g.look()
	return gap
}

// begin opens the file of From, or the end of the file.
func (t *tail) begin(yield func(logscan.Input, error) bool) bool {
	if t.From == nil {
		if !t.AtEnd {
			return true
		}
		if g, err := t.open(t.Path); err == nil {
			g.start = g.lastLine()
			t.gen = g
		}
		return true
	}
	names := append([]string{t.Path}, t.siblings()...)
	if t.resume(names, true) || t.resume(names, false) {
		return true
	}
	gap := &GapError{Path: t.Path, Offset: t.From.offset, Lost: -1, Reason: "the file of the checkpoint is missing"}
	return yield(logscan.Input{Name: t.Path}, gap)
}

// resume opens the first file with the bytes of From and, if numbered, with its
// numbers. A file that was copied or compressed has only the bytes.
func (t *tail) resume(names []string, numbered bool) bool {
	for _, name := range names {
		g, err := t.open(name)
		if err != nil {
			continue
		}
		dev, ino := t.fsys.ID(g.info)
		if (!numbered || dev == t.From.dev && ino == t.From.ino) && t.From.of(g) {
			g.start, t.gen = t.From.offset, g
			return true
		}
		g.Close()
	}
	return false
}

// openCurrent waits until the file exists. It reports any other error once, as
// the owner of the file may be about to change.
func (t *tail) openCurrent(yield func(logscan.Input, error) bool) bool {
	for told := false; ; {
		g, err := t.open(t.Path)
		if err == nil {
			t.gen = g
			return true
		}
		if !os.IsNotExist(err) && !told {
			told = true
			if !yield(logscan.Input{Name: t.Path}, err) {
				return false
			}
		}
		if t.wait(t.Poll) != nil {
			return false
		}
	}
}

func (t *tail) open(name string) (*generation, error) {
	f, err := t.fsys.Open(name)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "follow", Path: name, Err: fs.ErrInvalid}
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return &generation{file: f, name: name, info: info, size: info.Size(), at: info.ModTime()}, nil
}

// siblings returns the names of the rotated files.
func (t *tail) siblings() (names []string) {
	for _, pattern := range t.Rotated {
		more, _ := t.fsys.Glob(pattern) // Validate has checked the patterns
		names = append(names, more...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// cured waits until a file that cannot be read is cut or replaced. Its error
// was delivered before.
func (t *tail) cured() end {
	for t.wait(t.Poll) == nil && !t.replaced() {
		if info, err := t.gen.Stat(); err == nil && info.Size() < t.gen.start {
			return truncated
		}
	}
	return rotated
}

// next leaves the file that was read. The next file is the first rotated file
// that was written later, or else the current file.
func (t *tail) next() {
	prev := t.gen
	defer prev.Close()
	if len(t.seen) == maxSeen {
		t.seen = t.seen[1:]
	}
	if id := prev.identity(prev.pos); id.offset > 0 {
		t.seen = append(t.seen, id)
	}
	t.gen = t.after(prev)
}

// maxSeen is the number of read files that are recognized by their bytes. Their
// time does not suffice if they were written to later, or if the clock of the
// file system is coarse.
const maxSeen = 16

// known reports whether a file was read.
func (t *tail) known(g *generation) bool {
	return slices.ContainsFunc(t.seen, func(c Checkpoint) bool { return c.of(g) })
}

// after returns the first rotated file written after prev, or nil if the
// current file is the next.
func (t *tail) after(prev *generation) *generation {
	current, _ := t.fsys.Stat(t.Path)
	var next *generation
	for _, name := range t.siblings() {
		g, err := t.open(name)
		if err != nil {
			continue
		}
		switch {
		case g.info.ModTime().Before(prev.info.ModTime()), t.fsys.Same(g.info, prev.info), t.known(g),
			current != nil && t.fsys.Same(g.info, current),
			next != nil && !g.info.ModTime().Before(next.info.ModTime()):
			g.Close()
		default:
			if next != nil {
				next.Close()
			}
			next = g
		}
	}
	return next
}

// wait waits for d or for Wake.
func (t *tail) wait(d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-t.Wake:
	case <-t.ctx.Done():
	}
	return t.ctx.Err()
}
