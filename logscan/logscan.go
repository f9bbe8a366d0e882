package logscan

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"runtime"
	"strings"

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
