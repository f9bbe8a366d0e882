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

// A Follower says which file is followed, and how. It is copied by Records.
type Follower struct {
	// Scanner parses the records. With Join, see Flush. Workers and Chunk have
	// no meaning here.
	Scanner logscan.Scanner

	// Path is the file that is written to. Required.
	Path string

	// Rotated are the patterns (filepath.Match) of the names that Path is given
	// by rotation. The default is Path+".*" and Path+"-*".
	Rotated []string

	// Poll is how often the file is looked at. The default is 250 ms, also for
	// negative values.
	Poll time.Duration

	// Wake makes a look at the file not wait for Poll, for instance when inotify
	// has told of a change. It must not be closed. Nil: there is none.
	Wake <-chan struct{}

	// Linger is how long a file is read on after its end was reached and another
	// was seen in its place. What is written to it later is not read. The default is
	// 2 s; negative means that it is read to its end once more.
	Linger time.Duration

	// Flush is how long a record that Scanner.Join may still lengthen waits for
	// its next line. The default is 1 s; negative means for ever.
	Flush time.Duration

	// From is where to begin: after the record of which the checkpoint was
	// taken. Where its file is not found there is a *GapError, and Path is read
	// from its beginning. Nil: that, without the error.
	From *Checkpoint

	// AtEnd begins with the last unfinished line of Path. It is ignored with From.
	AtEnd bool

	fsys fileSystem // nil: that of the system
}

// A Record is a record of a file that is followed.
type Record struct {
	*logscan.Record
	t *tail
}

// Checkpoint returns the place behind the record. It reads about 1 KiB of the
// file, and of a compressed one all up to the place, so it should not be asked for
// at every record. It may be asked for until the next iteration. Of a file that was
// cut since the record was read it is a place that is not found again: the next
// run begins with a *GapError, at the beginning of what is there then.
func (r Record) Checkpoint() Checkpoint { return r.t.checkpoint(r.Next) }

// A GapError reports that records may have been lost.
type GapError struct {
	Path   string // Follower.Path
	Offset int64  // how far the file had been read
	Lost   int64  // bytes beyond Offset that were there and were not read; -1 when it is not known
	Reason string // what has happened
}

var _ slog.LogValuer = (*GapError)(nil)

// Error returns a text such as `follow: "app.log": gap at byte 4096: truncated`,
// with the bytes lost when they are known.
func (e *GapError) Error() string {
	text := fmt.Sprintf("follow: %s: gap at byte %d: %s", quote.Text(e.Path), e.Offset, e.Reason)
	if e.Lost >= 0 {
		text += fmt.Sprintf(", %d bytes lost", e.Lost)
	}
	return text
}

// LogValue returns the fields as a group.
func (e *GapError) LogValue() slog.Value {
	return slog.GroupValue(slog.String("path", quote.Cut(e.Path)), slog.Int64("offset", e.Offset), slog.Int64("lost", e.Lost), slog.String("reason", e.Reason))
}

// A file is what is read of an open file.
type file interface {
	io.ReaderAt
	io.Closer
	Stat() (fs.FileInfo, error)
}

// A fileSystem is what a Follower needs of one. Tests have one in memory, in
// which they can do what real ones do only now and then.
type fileSystem interface {
	Open(name string) (file, error)
	Stat(name string) (fs.FileInfo, error)
	Glob(pattern string) ([]string, error)
	Same(a, b fs.FileInfo) bool
	ID(fs.FileInfo) (dev, ino uint64) // 0 and 0 when files have no numbers
}

type osFS struct{}

func (osFS) Open(name string) (file, error)        { return os.Open(name) }
func (osFS) Stat(name string) (fs.FileInfo, error) { return os.Stat(name) }
func (osFS) Glob(pattern string) ([]string, error) { return filepath.Glob(pattern) }
func (osFS) Same(a, b fs.FileInfo) bool            { return os.SameFile(a, b) }
func (osFS) ID(info fs.FileInfo) (dev, ino uint64) { return fileID(info) }

// Validate reports every field whose value is missing or out of range.
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

// Records delivers the records as they are written, until ctx ends. The record
// is valid until the next iteration, as in logscan.Scanner.Records; its Source is
// the name of the file when it was opened, its Num counts from where that was
// begun.
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

// A tail is one range over Follower.Records. ctx lives as long.
type tail struct {
	Follower
	ctx  context.Context
	gen  *generation  // which is read; nil: the file that has the name is opened next
	seen []Checkpoint // the ends of the last that were
}

func (t *tail) close() {
	if t.gen != nil {
		t.gen.Close()
		t.gen = nil
	}
}

// inputs yields the file, again from its beginning when it was truncated, and
// what takes its place, until ctx ends. An input is a stretch of a file without
// a break: it ends where the reader tells the scanner of an end, and the generation
// says why.
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
		in := logscan.Input{Name: g.name, Offset: g.start, Open: func(context.Context) (io.ReadCloser, error) { return r, nil }}
		if !yield(in, nil) {
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

// again makes g begin anew, and returns what has happened. Where the end of the
// file had not been reached, what was seen beyond is known to be lost.
func (g *generation) again(path string) *GapError {
	gap := &GapError{Path: path, Offset: g.pos, Lost: -1, Reason: "truncated"}
	if g.cut != nil { // all that is known to have been there was in the copy
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
	return yield(logscan.Input{Name: t.Path}, &GapError{Path: t.Path, Offset: t.From.offset, Lost: -1, Reason: "the file of the checkpoint is not there"})
}

// resume opens the first of the files that has the bytes of From and, if numbered,
// its numbers. A file that was copied or compressed has only the bytes.
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

// openCurrent waits until the file is there. An error other than that it is
// missing is told once: it may be that its owner is about to change.
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
		more, _ := t.fsys.Glob(pattern) // a bad pattern matches nothing
		names = append(names, more...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// cured waits until a file that cannot be read is cut or replaced. The loop
// has had the error.
func (t *tail) cured() end {
	for t.wait(t.Poll) == nil && !t.replaced() {
		if info, err := t.gen.Stat(); err == nil && info.Size() < t.gen.start {
			return truncated
		}
	}
	return rotated
}

// next takes leave of the file that was read. What comes after it is the first of
// those that have come and gone, files among the rotated ones that were written to
// later, or else the current file.
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

// maxSeen is how many files that were read are known again by their bytes, when
// they were written to later or the clock of the file system is coarse.
const maxSeen = 16

// known reports whether a file was read.
func (t *tail) known(g *generation) bool {
	return slices.ContainsFunc(t.seen, func(c Checkpoint) bool { return c.of(g) })
}

// after returns the first of the rotated files written to after prev, nil when
// the current file is the next.
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

// wait waits for d, or until it is woken.
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
