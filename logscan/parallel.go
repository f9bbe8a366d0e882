package logscan

import (
	"bufio"
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

// maxInputErrors is how many InputErrors Reduce keeps.
const maxInputErrors = 100

// An Accumulator takes in records and the results of other accumulators, such as
// counts, or the sketches of package sketch in a struct. Add must not keep the
// record. Merge adds to the receiver what other has seen, which in the input
// follows what the receiver has seen.
type Accumulator[A any] interface {
	Add(*Record)
	Merge(other A) error
}

// Reduce adds up all records of the inputs with Scanner.Workers goroutines. Each
// adds the records of one input, or of one chunk of a plain file, to an
// accumulator that newA has made; these are merged in the order of the input. So
// the result is the same for any Workers and Chunk, provided that merging what
// two runs of records make gives what both in one run make.
//
// A file is read up to the size it has when it is opened; if it is then shorter,
// that is an *InputError. Input errors do not end the scan: Reduce returns the
// result of all that could be read, and the first 100 of them joined. An error
// of ctx or of Malformed does: it is returned alone, with the result so far.
// When Reduce returns, its goroutines have ended. A panic or runtime.Goexit in the
// functions it calls ends the scan and is passed on to the caller.
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

// Map calls fn with every record, from Scanner.Workers goroutines, and delivers
// the results for which it reports true, in the order of the records. What it
// returns must not hold bytes of the record. Files are read as by Reduce, and
// errors come as in Scanner.Records. Memory is bounded: workers wait when they
// are ahead of the loop. When the loop ends, so have the goroutines. A panic or
// runtime.Goexit in fn is passed on to the loop.
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

// A task is an input or a chunk of one, or an error in place of an input.
type task struct {
	in   Input
	err  error
	src  *source
	from int64 // what begins at from or later and before end
	end  int64
}

// A job is a task and the way of its results to the loop.
type job[T any] struct {
	*task
	out chan []result[T]
}

// A source is an opened input, shared by the tasks for its chunks.
type source struct {
	io.ReadCloser
	at   io.ReaderAt // nil: the input cannot be divided
	size int64
	refs atomic.Int32
}

func (s *source) release() {
	if s.refs.Add(-1) == 0 {
		s.Close()
	}
}

type result[T any] struct {
	v    T
	err  error
	over bool // err ends the scan
}

// batch is how many results travel together.
const batch = 256

// ordered divides the inputs into tasks, has workers run them, and delivers what
// they send in the order of the tasks. Every task has a channel of its own; the
// tasks begun and not yet delivered are at most a few per worker.
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
			divide(ctx, s, in, func(t *task) bool {
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

// A crew is the goroutines of one call, which run functions of the user's. What
// ends one of them ends all, and then the goroutine of the call in the same way.
type crew struct {
	wg     sync.WaitGroup
	mu     sync.Mutex
	panicV any
	exited bool
}

// errCrashed is the cause when one of the crew panicked or exited.
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

// stopped reports whether ctx is done and the loop is to be told: not of a crash,
// which tells by itself.
func stopped(ctx context.Context) bool {
	return ctx.Err() != nil && context.Cause(ctx) != errCrashed
}

// deliver hands the results of a job to the loop and reports whether that goes
// on. The error of ctx, of which workers may have no time to tell, is the last.
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

// errStopped is the cause when the loop was left.
var errStopped = errors.New("logscan: stopped")

// hand gives j to the loop or to a worker. If it reports false, it has let go of
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

// divide opens the inputs and hands out their tasks in order.
func divide(ctx context.Context, s Scanner, in Inputs, hand func(*task) bool) {
	for input, err := range in {
		t := &task{in: input, err: err, end: math.MaxInt64}
		if err == nil {
			t.src, t.err = open(ctx, s, input)
		}
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

// open opens an input and finds out whether it can be divided: it is a regular
// file and not compressed.
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
		return src, nil // reading it will tell
	}
	c := scan{Scanner: s, br: bufio.NewReaderSize(io.NewSectionReader(f, 0, info.Size()), 4096)}
	if c.decoder() == nil && sniff(c.br) == "" {
		src.at, src.size = f, info.Size()
	}
	return src, nil
}

// split hands out the chunks of t, at least one.
func (t *task) split(chunk int64, hand func(*task) bool) bool {
	defer t.src.release()
	for from := max(t.in.Offset, 0); ; from += chunk {
		part := &task{in: t.in, src: t.src, from: from, end: min(from+chunk, t.src.size)}
		t.src.refs.Add(1)
		if !hand(part) {
			return false
		}
		if part.end == t.src.size {
			return true
		}
	}
}

// A worker runs tasks one after the other.
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

// send adds a result to those of the task. It reports false when nobody wants it.
func (w *worker[T]) send(r result[T]) bool {
	w.done = append(w.done, r)
	return len(w.done) < batch || w.ship()
}

func (w *worker[T]) ship() bool {
	results := w.done
	w.done = nil
	if len(results) == 0 {
		return true
	}
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
		in.Open = func(context.Context) (io.ReadCloser, error) { return io.NopCloser(t.src), nil }
		c.input(w.ctx, in, nil)
	default:
		c.chunk(w.ctx, t)
	}
}

// chunk delivers the records that begin in the chunk t. A line that begins in
// the chunk before it ends in this one with the first newline from from-1 on.
func (c *scan) chunk(ctx context.Context, t *task) bool {
	first := t.from == max(t.in.Offset, 0)
	if first {
		c.stats.Inputs++
	}
	from := t.from
	if !first {
		from--
	}
	src := &chunkReader{c: c, at: t.src.at, off: from, from: t.from, end: t.end, size: t.src.size}
	c.lines.reset(src, c.MaxLine, from)
	c.rec.Source, c.rec.Num = t.in.Name, 0
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

// A chunkReader reads a chunk and then, in small steps, what its last line needs.
type chunkReader struct {
	c         *scan
	at        io.ReaderAt
	off, size int64 // of the next byte, and of the file
	from, end int64 // the bytes that this chunk counts; the others are its neighbors'
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
