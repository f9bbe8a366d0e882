package logscan

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"iter"
	"math"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/redoubt-go/redoubt/internal/ctxerr"
)

// maxInputErrors bounds the InputErrors that Reduce keeps.
const maxInputErrors = 100

// An Accumulator collects records and the results of other accumulators, such
// as counts, or a struct of sketches of package sketch. Add must not keep the
// record. Merge adds the results of other, whose records follow those of the
// receiver in the input. The Merge methods of package sketch have the same
// form.
type Accumulator[A any] interface {
	Add(*Record)
	Merge(other A) error
}

// Reduce adds up all records of the inputs with [Scanner.Workers] goroutines.
// It gives each input, or each chunk of a plain file, to an accumulator made by
// newA, and merges them in the order of the input. The result does not depend
// on Workers and Chunk if merging gives the same result as adding.
//
// Reduce opens up to Workers inputs at a time, and reads a file up to the size
// that it then has. When Reduce returns, its goroutines have ended. A panic or
// [runtime.Goexit] in a function that it calls ends the scan and is passed to
// the caller.
//
// Errors: input errors do not end the scan. Reduce returns the first 100 of
// them, joined, with the result of all that could be read. The error of
// [Scanner.Validate], of Merge, of Malformed or of ctx ends the scan. Reduce
// returns it alone, with the result so far.
func Reduce[A Accumulator[A]](ctx context.Context, s Scanner, in Inputs, newA func() A) (A, error) {
	total := newA()
	var failed []error
	run := func(c *worker[A], t *task) {
		a := newA()
		c.each = func(r *Record) bool {
			a.Add(r)
			return true
		}
		c.run(t)
		c.send(result[A]{v: a})
	}
	for r := range ordered(ctx, s, in, run) {
		switch {
		case r.over:
			return total, r.err
		case r.err != nil && len(failed) < maxInputErrors:
			failed = append(failed, r.err)
		case r.err == nil:
			if err := total.Merge(r.v); err != nil {
				return total, err
			}
		}
	}
	return total, errors.Join(failed...)
}

// Map calls fn with every record, from [Scanner.Workers] goroutines. It
// delivers the results for which fn reports true, in the order of the records.
// A result must not share bytes with the record. Map opens and reads files as
// [Reduce] does. Workers that are ahead of the loop wait, so memory is bounded.
// When the loop ends, the goroutines have ended. A panic or [runtime.Goexit] in
// fn is passed to the loop.
//
// Errors: as in [Scanner.Records].
func Map[T any](ctx context.Context, s Scanner, in Inputs, fn func(*Record) (T, bool)) iter.Seq2[T, error] {
	run := func(c *worker[T], t *task) {
		c.each = func(r *Record) bool {
			v, ok := fn(r)
			return !ok || c.send(result[T]{v: v})
		}
		c.run(t)
	}
	return func(yield func(T, error) bool) {
		for r := range ordered(ctx, s, in, run) {
			if !yield(r.v, r.err) {
				return
			}
		}
	}
}

// A task is an input, a chunk of an input, or an error in place of an input.
type task struct {
	in   Input
	err  error
	src  *source
	from int64 // of the lines that begin at from or later and before end
	end  int64
}

// A job is a task with the channel of its results.
type job[T any] struct {
	*task
	out chan []result[T]
}

// A source is an open input, shared by the tasks for its chunks.
type source struct {
	io.ReadCloser
	at   io.ReaderAt // nil if the input cannot be divided
	size int64
	refs atomic.Int32
}

func (s *source) release() {
	if s.refs.Add(-1) == 0 {
		s.Close()
	}
}

// An unclosed is a source that its task closes, not the scan.
type unclosed struct{ *source }

// Close implements io.Closer.
func (unclosed) Close() error { return nil }

// Seek implements io.Seeker for inputs that do. The scan reads the bytes up to
// Input.Offset if Seek fails.
func (u unclosed) Seek(offset int64, whence int) (int64, error) {
	if seeker, ok := u.ReadCloser.(io.Seeker); ok {
		return seeker.Seek(offset, whence)
	}
	return 0, errors.ErrUnsupported
}

type result[T any] struct {
	v    T
	err  error
	over bool // err ends the scan
}

// batch is the number of results that are sent together.
const batch = 256

// ordered divides the inputs into tasks, which workers run, and delivers the
// results in the order of the tasks. Every task has its own channel. There are
// at most a few tasks per worker that have begun and have not been delivered.
func ordered[T any](parent context.Context, s Scanner, in Inputs, run func(*worker[T], *task)) iter.Seq[result[T]] {
	return func(yield func(result[T]) bool) {
		if err := s.Validate(); err != nil {
			yield(result[T]{err: err, over: true})
			return
		}
		s := s.withDefaults()
		ctx, cancel := context.WithCancelCause(parent)
		var crew crew
		defer crew.wait()
		defer cancel(errStopped)
		todo := make(chan job[T])
		order := make(chan job[T], 2*s.Workers)
		crew.start(cancel, func() {
			defer close(order)
			defer close(todo)
			divide(ctx, s, in, &crew, cancel, func(t *task) bool {
				j := job[T]{t, make(chan []result[T], 4)}
				return hand(ctx, j, order) && hand(ctx, j, todo)
			})
		})
		for range s.Workers {
			crew.start(cancel, func() { work(ctx, s, todo, run) })
		}
		for j := range order {
			if !deliver(ctx, j, yield) {
				return
			}
		}
		if stopped(ctx) {
			yield(result[T]{err: ctxerr.New(ctx, "logscan"), over: true})
		}
	}
}

// A crew is the goroutines of a call that run functions of the user. If a
// function panics or exits, the others end, and then the goroutine of the call
// ends in the same way.
type crew struct {
	wg     sync.WaitGroup
	mu     sync.Mutex
	panicV any
	exited bool
}

// errCrashed is the cause if a goroutine of the crew panicked or exited.
var errCrashed = errors.New("logscan: crashed")

func (c *crew) start(cancel context.CancelCauseFunc, f func()) {
	c.wg.Go(func() {
		exited := true
		defer func() {
			v := recover()
			if v == nil && !exited {
				return
			}
			c.mu.Lock()
			defer c.mu.Unlock()
			if c.panicV == nil {
				c.panicV, c.exited = v, v == nil
			}
			cancel(errCrashed)
		}()
		f()
		exited = false
	})
}

func (c *crew) wait() {
	c.wg.Wait()
	if c.panicV != nil {
		panic(c.panicV)
	}
	if c.exited {
		runtime.Goexit()
	}
}

// stopped reports whether ctx is done for another reason than a crash, which
// the crew reports itself.
func stopped(ctx context.Context) bool {
	return ctx.Err() != nil && context.Cause(ctx) != errCrashed
}

// deliver delivers the results of a job and reports whether the loop continues.
// The error of ctx comes last; the workers may have no time to send it.
func deliver[T any](ctx context.Context, j job[T], yield func(result[T]) bool) bool {
	for {
		select {
		case <-ctx.Done():
			if stopped(ctx) {
				yield(result[T]{err: ctxerr.New(ctx, "logscan"), over: true})
			}
			return false
		case results, ok := <-j.out:
			if !ok && ctx.Err() == nil {
				return true
			}
			for _, r := range results {
				if !yield(r) || r.over {
					return false
				}
			}
		}
	}
}

// errStopped is the cause if the loop has ended.
var errStopped = errors.New("logscan: stopped")

// hand sends j to the loop or to a worker. If it reports false, it has released
// the input.
func hand[T any](ctx context.Context, j job[T], to chan<- job[T]) bool {
	select {
	case to <- j:
		return true
	case <-ctx.Done():
		j.drop()
		return false
	}
}

func (t *task) drop() {
	if t.src != nil {
		t.src.release()
	}
}

// divide passes on the tasks of the inputs in order. Up to Workers inputs are
// being opened at a time.
func divide(ctx context.Context, s Scanner, in Inputs, crew *crew, cancel context.CancelCauseFunc, hand func(*task) bool) {
	opening := make(chan chan *task, s.Workers)
	defer func() {
		for t := range opening { // of a scan that ends early
			(<-t).drop()
		}
	}()
	crew.start(cancel, func() {
		defer close(opening)
		for input, err := range in {
			opened := make(chan *task, 1)
			select {
			case opening <- opened:
			case <-ctx.Done():
				return
			}
			crew.start(cancel, func() {
				t := &task{in: input, err: err, end: math.MaxInt64}
				defer func() { opened <- t }()
				if err == nil {
					t.src, t.err = open(ctx, s, input)
				}
			})
		}
	})
	for opened := range opening {
		t := <-opened
		if t.src == nil || t.src.at == nil {
			if !hand(t) {
				return
			}
			continue
		}
		if !t.split(int64(s.Chunk), hand) {
			return
		}
	}
}

// open opens an input and finds out whether it can be divided: it must be a
// regular file without compression.
func open(ctx context.Context, s Scanner, in Input) (*source, error) {
	rc, err := in.Open(ctx)
	if err != nil {
		return nil, err
	}
	src := &source{ReadCloser: rc}
	src.refs.Store(1)
	f, ok := rc.(interface {
		io.ReaderAt
		Stat() (fs.FileInfo, error)
	})
	if !ok || s.Chunk < 0 {
		return src, nil
	}
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() || info.Size() < max(in.Offset, 0) {
		return src, nil // reading returns the error
	}
	if s.Plain(io.NewSectionReader(f, 0, info.Size())) {
		src.at, src.size = f, info.Size()
	}
	return src, nil
}

// split passes on the chunks of t. An input without bytes has one chunk.
func (t *task) split(chunk int64, hand func(*task) bool) bool {
	defer t.src.release()
	last := min(t.in.end(), t.src.size)
	for from := max(t.in.Offset, 0); ; from += chunk {
		part := &task{in: t.in, src: t.src, from: from, end: last}
		if last-from > chunk {
			part.end = from + chunk
		}
		t.src.refs.Add(1)
		if !hand(part) {
			return false
		}
		if part.end == last {
			return true
		}
	}
}

// A worker runs tasks one after another.
type worker[T any] struct {
	*scan
	ctx  context.Context // of the call that the worker serves
	each func(*Record) bool
	out  chan []result[T]
	done []result[T]
}

// work runs the tasks of todo.
func work[T any](ctx context.Context, s Scanner, todo <-chan job[T], run func(*worker[T], *task)) {
	w := &worker[T]{ctx: ctx}
	w.scan = newScan(ctx, s, func(r *Record, err error) bool {
		if err != nil {
			return w.send(result[T]{err: err, over: w.over})
		}
		return w.each(r)
	})
	w.unnumbered = true
	for j := range todo {
		func() {
			w.out = j.out
			defer close(w.out)
			defer j.drop()
			defer w.flush()
			run(w, j.task)
			w.ship()
		}()
	}
}

// send appends a result to the results of the task. It reports false if they
// are not wanted.
func (w *worker[T]) send(r result[T]) bool {
	w.done = append(w.done, r)
	return len(w.done) < batch || w.ship()
}

func (w *worker[T]) ship() bool {
	results := w.done
	if len(results) == 0 {
		return true
	}
	w.done = make([]result[T], 0, len(results)) // as many are likely
	select {
	case w.out <- results:
		return true
	case <-w.ctx.Done():
		return false
	}
}

// run scans a task.
func (w *worker[T]) run(t *task) {
	c := w.scan
	switch {
	case !c.alive(w.ctx):
	case t.src == nil:
		c.stats.Inputs++
		c.fail(t.in.Name, 0, t.err)
	case t.src.at == nil:
		in := t.in
		in.Open = func(context.Context) (io.ReadCloser, error) { return unclosed{t.src}, nil }
		c.input(w.ctx, in, nil)
	default:
		c.chunk(w.ctx, t)
	}
}

// chunk delivers the records that begin in the chunk t. A line that begins in
// an earlier chunk ends in t at the first newline from t.from-1 on.
func (c *scan) chunk(ctx context.Context, t *task) bool {
	first := t.from == max(t.in.Offset, 0)
	if first {
		c.stats.Inputs++
		first = !t.in.Within || t.from == 0
	}
	from := t.from
	if !first {
		from--
	}
	src := &chunkReader{c: c, at: t.src.at, off: from, from: t.from, end: t.end, size: t.src.size}
	c.lines.reset(src, c.MaxLine, from)
	c.rec.Source, c.rec.Num, c.rec.modTime = t.in.Name, 0, t.in.ModTime
	if !first && !c.lines.seek() {
		return c.ended(ctx)
	}
	end := t.end
	if first { // a byte order mark may be longer than the chunk
		end = max(end, c.lines.off+1)
	}
	c.lines.until = end
	return c.records(ctx, part{end: end, inside: !first})
}

// A chunkReader reads a chunk and then, in small steps, the rest of its last
// line.
type chunkReader struct {
	c         *scan
	at        io.ReaderAt
	off, size int64 // offset of the next byte, and bytes in the file
	from, end int64 // bounds of the bytes that this chunk counts; its neighbors count the others
}

func (r *chunkReader) Read(p []byte) (int, error) {
	r.c.flush() // the read may take long
	limit := r.end - r.off
	if limit <= 0 {
		limit = min(4096, r.size-r.off)
	}
	if limit == 0 {
		return 0, io.EOF
	}
	n, err := r.at.ReadAt(p[:min(int64(len(p)), limit)], r.off)
	own := max(min(r.off+int64(n), r.end)-max(r.off, r.from), 0)
	r.c.stats.ReadBytes += uint64(own)
	r.c.stats.DecodedBytes += uint64(own)
	r.off += int64(n)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF // the file has become shorter
	}
	if n > 0 && err == nil && r.off == r.size {
		err = io.EOF
	}
	return n, err
}
