package logscan

import (
	"bufio"
	"bytes"
	"context"
	"io"

	"github.com/redoubt-go/redoubt/internal/ctxerr"
)

// A scan is one loop over Scanner.Records. Its methods that return a bool
// report whether the scan continues.
type scan struct {
	Scanner
	yield func(*Record, error) bool
	raw   rawReader     // the open input, as it is stored
	br    *bufio.Reader // reads raw; decoders need its ReadByte
	lines lines
	rec   Record
	stats Stats // counts that are not yet in Scanner.Stats

	joiner     joiner
	require    [][]byte // Scanner.Require
	redacted   []byte   // result of Redact
	unnumbered bool     // Record.Num stays 0
	mayEnd     bool     // the context can end
	over       bool     // the error yielded last ends the scan
}

func newScan(ctx context.Context, s Scanner, yield func(*Record, error) bool) *scan {
	c := &scan{Scanner: s, yield: yield, mayEnd: ctx.Done() != nil, br: bufio.NewReaderSize(nil, blockSize/2)}
	for _, text := range s.Require {
		c.require = append(c.require, []byte(text))
	}
	if s.Join == nil {
		texts := c.require
		// If nothing looks at the lines that a regular expression cannot match,
		// they need not be cut.
		if p, ok := s.Parser.(*regexpParser); ok && len(c.require) == 0 && s.Malformed == nil && s.Redact == nil {
			texts = p.literals
		}
		c.lines.require = needles(texts)
	}
	return c
}

// alive ends the scan with an error if ctx is done.
func (c *scan) alive(ctx context.Context) bool {
	return !c.mayEnd || c.running(ctx)
}

// running is alive for a context that can end. Err is an atomic load in the
// contexts of the standard library, and cheaper than Done.
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

// input delivers the records of an input, or the error in its place.
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
	// file was cut or replaced after the offset was noted.
	skip := max(in.Offset, 0)
	inside := in.Within && skip > 0
	if inside {
		skip-- // the newline before the offset
	}
	if skipped, err := c.discard(rc, src, skip); err != nil {
		return c.fail(in.Name, skipped, noEOF(err))
	}
	c.lines.reset(src, c.MaxLine, skip)
	c.rec.Source, c.rec.Num, c.rec.modTime = in.Name, 0, in.ModTime
	if inside && !c.lines.seek() {
		return c.ended(ctx)
	}
	end := in.end()
	if skip == 0 && !inside { // a byte order mark may be longer than the part
		end = max(end, c.lines.off+1)
	}
	c.lines.until = end
	return c.records(ctx, part{end: end, inside: inside})
}

// discard skips the first n bytes of src, the decoded bytes of rc. It seeks in
// plain files.
func (c *scan) discard(rc io.Reader, src *decoded, n int64) (int64, error) {
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

// A part is the range of an input whose records a scan delivers: the records
// that begin before end. If inside, the part begins within a record, which is
// skipped.
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
		if c.lines.passed > 0 {
			c.countPassed()
		}
		if !c.alive(ctx) || !c.record() {
			return false
		}
	}
	c.countPassed()
	return c.ended(ctx)
}

// ended delivers the error that has ended c.lines, if any.
func (c *scan) ended(ctx context.Context) bool {
	if err := c.lines.err; err != nil && err != io.EOF {
		return c.alive(ctx) && c.fail(c.rec.Source, c.lines.off, err)
	}
	return true
}

// countPassed counts the lines that c.lines has passed over.
func (c *scan) countPassed() {
	n := c.lines.passed
	c.lines.passed = 0
	c.stats.Records += n
	if len(c.require) > 0 {
		c.stats.Prefiltered += n
	} else {
		c.stats.Malformed += n
	}
}

// required reports whether line contains a text of Scanner.Require.
func (c *scan) required(line []byte) bool {
	for _, text := range c.require {
		if bytes.Contains(line, text) {
			return true
		}
	}
	return false
}

// redact replaces the line of the record by the result of Redact.
func (c *scan) redact() {
	c.redacted = c.Redact(c.redacted[:0], c.rec.Line)
	n := min(len(c.redacted), c.MaxLine)
	c.rec.Line = c.redacted[:n:n]
}

// record parses, counts and delivers c.rec. It counts after the parser has
// returned, so that the counts also hold if the parser panics.
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

// fail delivers the error of an input that ended early, at the decoded offset
// off.
func (c *scan) fail(name string, off int64, err error) bool {
	c.stats.Failed++
	if in, ok := err.(*InputError); ok && in != nil { // Inputs name the input that they could not list
		return c.yield(nil, in)
	}
	return c.yield(nil, &InputError{Name: name, Offset: off, Err: err})
}

// flush moves the counts of the scan to Scanner.Stats.
func (c *scan) flush() {
	if c.Stats != nil {
		c.Stats.add(c.stats)
	}
	c.stats = Stats{}
}

// noEOF turns io.EOF in the middle of an element into io.ErrUnexpectedEOF.
func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
