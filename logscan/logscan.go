package logscan

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
)

const (
	defaultMaxLine    = 256 << 10
	defaultMaxDecoded = 64 << 30
	defaultMaxRatio   = 1000
	blockSize         = 64 << 10 // bytes asked of an input at a time
)

// A Scanner says how inputs are read. The zero value is ready: it delivers
// lines, unparsed. Records copies it, and any number of goroutines may use it at
// once.
type Scanner struct {
	// Parser finds the fields of every record. Nil: records are lines only.
	Parser Parser

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
	// error it returns ends the scan and is its last error. Nil: the record is
	// counted and skipped.
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
		c := &scan{
			Scanner: s.withDefaults(),
			yield:   yield,
			done:    ctx.Done(),
			br:      bufio.NewReaderSize(nil, blockSize/2),
		}
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

func (s Scanner) withDefaults() Scanner {
	if s.MaxLine <= 0 {
		s.MaxLine = defaultMaxLine
	}
	s.MaxLine = min(s.MaxLine, math.MaxInt/2) // leaves room for blocks
	if s.MaxDecoded == 0 {
		s.MaxDecoded = defaultMaxDecoded
	}
	if s.MaxRatio == 0 {
		s.MaxRatio = defaultMaxRatio
	}
	return s
}

// A scan is one range over Scanner.Records. Its methods that return a bool
// report whether the scan goes on.
type scan struct {
	Scanner
	yield func(*Record, error) bool
	done  <-chan struct{}
	raw   rawReader     // the open input, as it is stored
	br    *bufio.Reader // reads raw; decoders need its ReadByte
	lines lines
	rec   Record
	stats Stats // what is not yet in Scanner.Stats
}

// alive ends the scan with an error when ctx is done.
func (c *scan) alive(ctx context.Context) bool {
	select {
	case <-c.done:
		return c.cancelled(ctx)
	default:
		return true
	}
}

func (c *scan) cancelled(ctx context.Context) bool {
	err, cause := ctx.Err(), context.Cause(ctx)
	if errors.Is(cause, err) {
		c.yield(nil, fmt.Errorf("logscan: %w", cause))
	} else {
		c.yield(nil, fmt.Errorf("logscan: %w: %w", err, cause))
	}
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
	// An offset beyond the end is an error, not an input without records: the
	// file was cut or exchanged since the offset was noted.
	skip := max(in.Offset, 0)
	if skipped, err := io.CopyN(io.Discard, src, skip); err != nil {
		return c.fail(in.Name, skipped, noEOF(err))
	}
	c.lines.reset(src, c.MaxLine, skip)
	c.rec.Source, c.rec.Num = in.Name, 0
	for c.lines.next(&c.rec) {
		if !c.alive(ctx) || !c.record() {
			return false
		}
	}
	if c.lines.err != io.EOF {
		return c.fail(in.Name, c.lines.off, c.lines.err)
	}
	return true
}

// record parses, counts and delivers c.rec. It counts after the parser has
// returned, so that the counts hold also when one panics.
func (c *scan) record() bool {
	r := &c.rec
	r.reset()
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
		c.yield(nil, err)
		return false
	}
	return true
}

// fail reports that an input ended early, at the decoded offset off.
func (c *scan) fail(name string, off int64, err error) bool {
	c.stats.Failed++
	if in, ok := err.(*InputError); ok { // Inputs name what they could not list
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
