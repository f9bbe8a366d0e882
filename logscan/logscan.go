package logscan

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"runtime"
	"strings"

	"github.com/redoubt-go/redoubt/internal/ctxerr"
	"github.com/redoubt-go/redoubt/internal/quote"
)

const (
	defaultMaxLine    = 256 << 10
	defaultMaxDecoded = 64 << 30
	defaultMaxRatio   = 1000
	defaultChunk      = 1 << 20
	blockSize         = 64 << 10 // bytes asked of an input at a time
)

// A Scanner says how inputs are read. The zero value is ready: it delivers
// lines, unparsed. Records copies it, and any number of goroutines may use it at
// once.
type Scanner struct {
	// Parser finds the fields of every record. Nil: records are lines only.
	Parser Parser

	// Require makes the scan deliver only records that contain one of these
	// texts, byte by byte; the others are counted as Prefiltered and no parser
	// sees them. Whole blocks are searched before lines are cut, which makes it
	// much faster than a test in the loop. It is judged before Redact, on what
	// MaxLine leaves of the record. Empty: all records; an empty text is in each.
	Require []string

	// Join makes one record of several lines, such as a message and its stack
	// trace. Nil: a line is a record.
	Join *Joiner

	// Redact appends to dst what may be known of src, the bytes of a record, and
	// returns the result; Mask makes such functions. The result becomes
	// Record.Line before the parser, hooks or the loop see it, cut at MaxLine
	// should it be longer; Offset, Next and Dropped stay those of the input. It
	// must not keep or change src, and is called by several goroutines at once
	// in Reduce and Map. Nil: lines are left as they are.
	Redact func(dst, src []byte) []byte

	// Decoders unpack inputs of further formats, in addition to gzip and bzip2.
	Decoders []Decoder

	// Workers is how many goroutines Reduce and Map scan with. The default,
	// also for negative values, is GOMAXPROCS.
	Workers int

	// Chunk is how many bytes of an uncompressed file Reduce and Map give to a
	// worker at a time. The default is 1 MiB; negative means that files are
	// not divided.
	Chunk int

	// MaxLine is the longest line delivered, in bytes without its terminator;
	// what is beyond it is dropped and told in Record.Dropped. The default is
	// 256 KiB. There is no unlimited: zero and less mean the default. The
	// memory of a scan is in proportion to it.
	MaxLine int

	// MaxDecoded is the most bytes one compressed input may unpack to; what
	// comes after them is not read and the input ends with ErrLimit. The
	// default is 64 GiB, negative means no limit.
	MaxDecoded int64

	// MaxRatio is how many bytes one byte of a compressed input may unpack to,
	// on average, judged from the first MiB of output on; an input that
	// exceeds it ends with ErrLimit. The default is 1000, just below the most
	// that gzip can do (1032), which no log with a clock in its lines comes
	// near. Negative means no limit.
	MaxRatio int

	// Malformed is called for every record the parser refuses, with the parser's
	// error and the record, which has no fields and is valid during the call. An
	// error it returns ends the scan and is its last error. Reduce and Map call it
	// from several goroutines at once. Nil: the record is counted and skipped.
	Malformed func(r *Record, err error) error

	// Stats is where scans count what they do. Nil: nothing is counted.
	Stats *Counters
}

// A Parser finds the fields of a record in its Line and hands them over with
// Record.Set. An error makes the record malformed: it is counted and not
// delivered. Parse must not keep r, must not change the bytes of r.Line, and is
// called by several goroutines at once when scans share the parser.
type Parser interface {
	Parse(r *Record) error
}

// Lines returns the lines of r, which can be ranged over once. The errors are
// those of Scanner.Records; what r returns is an *InputError.
func Lines(r io.Reader) iter.Seq2[*Record, error] {
	return Scanner{}.Records(context.Background(), Readers("", r))
}

// Records reads the inputs one after the other and delivers their records in
// order. The record is the same variable every time, valid until the next
// iteration; Clone keeps it. With an error the record is nil.
//
// An error is not the end: after an *InputError, ranging on continues with the
// next input. Only an error of ctx, which matches both ctx.Err() and
// context.Cause(ctx), and an error returned by Malformed are always the last. ctx is
// looked at before every record and given to Input.Open, but it cannot
// interrupt a Read that blocks. However the loop ends, the open input is closed.
func (s Scanner) Records(ctx context.Context, in Inputs) iter.Seq2[*Record, error] {
	return func(yield func(*Record, error) bool) {
		if err := s.Validate(); err != nil {
			yield(nil, err)
			return
		}
		c := newScan(ctx, s.withDefaults(), yield)
		defer c.flush()
		if !c.alive(ctx) {
			return
		}
		for input, err := range in {
			if !c.alive(ctx) || !c.input(ctx, input, err) {
				return
			}
		}
	}
}

// Validate reports every field whose value is out of range or incomplete.
func (s Scanner) Validate() error {
	var errs []error
	bad := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("logscan: "+format, args...))
	}
	if s.Workers < 0 {
		bad("Workers is %d, want at least 0 (GOMAXPROCS)", s.Workers)
	}
	if s.MaxLine < 0 {
		bad("MaxLine is %d, want at least 0 (256 KiB)", s.MaxLine)
	}
	for i, d := range s.Decoders {
		if d.Magic == "" || strings.Contains(d.Magic, "\n") {
			bad("Decoders[%d].Magic is %s, want at least 1 byte and no newline", i, quote.Text(d.Magic))
		}
		if d.New == nil {
			bad("Decoders[%d].New is missing", i)
		}
	}
	return errors.Join(errs...)
}

func (s Scanner) withDefaults() Scanner {
	if s.MaxLine == 0 {
		s.MaxLine = defaultMaxLine
	}
	s.MaxLine = min(s.MaxLine, math.MaxInt/2) // leaves room for blocks
	if s.MaxDecoded == 0 {
		s.MaxDecoded = defaultMaxDecoded
	}
	if s.MaxRatio == 0 {
		s.MaxRatio = defaultMaxRatio
	}
	if s.Workers == 0 {
		s.Workers = runtime.GOMAXPROCS(0)
	}
	if s.Chunk == 0 {
		s.Chunk = defaultChunk
	}
	return s
}

// A scan is one range over Scanner.Records. Its methods that return a bool
// report whether the scan goes on.
type scan struct {
	Scanner
	yield func(*Record, error) bool
	raw   rawReader     // the open input, as it is stored
	br    *bufio.Reader // reads raw; decoders need its ReadByte
	lines lines
	rec   Record
	stats Stats // what is not yet in Scanner.Stats

	joiner     joiner
	require    [][]byte // Scanner.Require
	redacted   []byte   // what Redact has made of the record
	unnumbered bool     // Record.Num stays 0
	mayEnd     bool     // the context
	over       bool     // the error yielded last ends the scan
}

func newScan(ctx context.Context, s Scanner, yield func(*Record, error) bool) *scan {
	c := &scan{Scanner: s, yield: yield, mayEnd: ctx.Done() != nil, br: bufio.NewReaderSize(nil, blockSize/2)}
	for _, text := range s.Require {
		c.require = append(c.require, []byte(text))
	}
	if s.Join == nil {
		texts := c.require
		// What a regular expression cannot match need not be cut into lines, as
		// long as nobody looks at it.
		if p, ok := s.Parser.(*regexpParser); ok && len(c.require) == 0 && s.Malformed == nil && s.Redact == nil {
			texts = p.literals
		}
		c.lines.require = needles(texts)
	}
	return c
}

// alive ends the scan with an error when ctx is done.
func (c *scan) alive(ctx context.Context) bool {
	return !c.mayEnd || c.running(ctx)
}

// running is alive for a context that may end. Err is an atomic load in those of
// the standard library, and costs less than a look at Done.
func (c *scan) running(ctx context.Context) bool {
	if ctx.Err() == nil {
		return true
	}
	return c.abort(ctxerr.New(ctx, "logscan"))
}

// abort ends the scan with err.
func (c *scan) abort(err error) bool {
	c.over = true
	c.yield(nil, err)
	return false
}

// input delivers the records of one input, or of the error that stands for one.
func (c *scan) input(ctx context.Context, in Input, err error) bool {
	c.stats.Inputs++
	if err != nil {
		return c.fail(in.Name, 0, err)
	}
	rc, err := in.Open(ctx)
	if err != nil {
		return c.fail(in.Name, 0, err)
	}
	defer rc.Close()
	src, err := c.decode(rc)
	if err != nil {
		return c.fail(in.Name, 0, err)
	}
	defer src.Close()
	// An offset beyond the end is an error, not an input without records: the
	// file was cut or exchanged since the offset was noted.
	skip := max(in.Offset, 0)
	if skipped, err := c.skip(rc, src, skip); err != nil {
		return c.fail(in.Name, skipped, noEOF(err))
	}
	c.lines.reset(src, c.MaxLine, skip)
	c.rec.Source, c.rec.Num = in.Name, 0
	return c.records(ctx, part{end: math.MaxInt64})
}

// skip goes past the first n bytes of src, the decoded bytes of rc. Plain files
// need not be read for that.
func (c *scan) skip(rc io.Reader, src *decoded, n int64) (int64, error) {
	s, ok := rc.(io.Seeker)
	if !ok || n == 0 || src.r != c.br {
		return io.CopyN(io.Discard, src, n)
	}
	size, err := s.Seek(0, io.SeekEnd)
	if err != nil { // a pipe
		return io.CopyN(io.Discard, src, n)
	}
	if size < n {
		return size, io.EOF
	}
	c.br.Reset(&c.raw)
	c.raw.err = nil
	return s.Seek(n, io.SeekStart)
}

// A part is the range of an input whose records a scan delivers: those that
// begin before end and, if inside, from the first line on that begins a record.
type part struct {
	end    int64
	inside bool
}

// records delivers the records of c.lines.
func (c *scan) records(ctx context.Context, p part) bool {
	if c.Join != nil {
		return c.joined(ctx, p)
	}
	for c.lines.off < p.end && c.lines.next(&c.rec) {
		if c.lines.skipped > 0 {
			c.skipped()
		}
		if !c.alive(ctx) || !c.record() {
			return false
		}
	}
	c.skipped()
	return c.ended(ctx)
}

// ended reports the error that has ended c.lines, if there is one.
func (c *scan) ended(ctx context.Context) bool {
	if err := c.lines.err; err != nil && err != io.EOF {
		return c.alive(ctx) && c.fail(c.rec.Source, c.lines.off, err)
	}
	return true
}

// skipped counts the lines over which c.lines has skipped.
func (c *scan) skipped() {
	n := c.lines.skipped
	c.lines.skipped = 0
	c.stats.Records += n
	if len(c.require) > 0 {
		c.stats.Prefiltered += n
	} else {
		c.stats.Malformed += n
	}
}

// required reports whether line has a text of Scanner.Require.
func (c *scan) required(line []byte) bool {
	for _, text := range c.require {
		if bytes.Contains(line, text) {
			return true
		}
	}
	return false
}

// redact puts what Redact makes of the record in its place.
func (c *scan) redact() {
	c.redacted = c.Redact(c.redacted[:0], c.rec.Line)
	n := min(len(c.redacted), c.MaxLine)
	c.rec.Line = c.redacted[:n:n]
}

// record parses, counts and delivers c.rec. It counts after the parser has
// returned, so that the counts hold also when one panics.
func (c *scan) record() bool {
	r := &c.rec
	r.reset()
	if c.unnumbered {
		r.Num = 0
	}
	if len(c.require) > 0 && !c.required(r.Line) {
		c.stats.Records++
		c.stats.Prefiltered++
		return true
	}
	if c.Redact != nil {
		c.redact()
	}
	var err error
	if c.Parser != nil {
		err = c.Parser.Parse(r)
	}
	c.stats.Records++
	if r.Dropped > 0 {
		c.stats.Cut++
		c.stats.CutBytes += uint64(r.Dropped)
	}
	if err != nil {
		return c.malformed(err)
	}
	c.stats.Delivered++
	ok := c.yield(r, nil)
	if poison {
		r.poison()
	}
	return ok
}

// malformed counts c.rec, which the parser has refused with err.
func (c *scan) malformed(err error) bool {
	c.stats.Malformed++
	c.rec.reset()
	if c.Scanner.Malformed == nil {
		return true
	}
	if err := c.Scanner.Malformed(&c.rec, err); err != nil {
		return c.abort(err)
	}
	return true
}

// fail reports that an input ended early, at the decoded offset off.
func (c *scan) fail(name string, off int64, err error) bool {
	c.stats.Failed++
	if in, ok := err.(*InputError); ok && in != nil { // Inputs name what they could not list
		return c.yield(nil, in)
	}
	return c.yield(nil, &InputError{Name: name, Offset: off, Err: err})
}

// flush moves the counts of the scan to where others can see them.
func (c *scan) flush() {
	if c.Stats != nil {
		c.Stats.add(c.stats)
	}
	c.stats = Stats{}
}

// noEOF makes an end where more was promised an error.
func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
