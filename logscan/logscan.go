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
	defaultMaxRatio   = 20000
	defaultChunk      = 1 << 20
	blockSize         = 64 << 10 // bytes of a read
)

// A Scanner reads inputs as records. The zero value is ready: it delivers lines
// without fields. [Scanner.Records] copies the Scanner, and any number of
// goroutines may use it.
type Scanner struct {
	// Parser finds the fields of every record. Nil means that records have no
	// fields.
	Parser Parser

	// Require limits the scan to records that contain one of these texts, byte
	// by byte. The other records are counted as Prefiltered and are not parsed.
	// The scan searches whole blocks before it cuts lines, which is much faster
	// than a test in the loop. It judges the record as MaxLine has cut it,
	// before Redact. Empty means all records; an empty text is in every record.
	Require []string

	// Join makes one record of several lines, such as a message and its stack
	// trace. Nil means that every line is a record.
	Join *Joiner

	// Redact appends to dst the bytes of a record, src, without their secrets,
	// and returns the result. [Mask] returns such functions. The result, cut at
	// MaxLine, becomes Record.Line before a parser, a hook or the loop sees it.
	// Offset, Next and Dropped still describe the input. Redact must not keep
	// or change src. [Reduce] and [Map] call it from several goroutines at
	// once. Nil means that lines stay as they are.
	Redact func(dst, src []byte) []byte

	// Decoders unpack further formats, in addition to gzip and bzip2.
	Decoders []Decoder

	// Workers is the number of goroutines with which [Reduce] and [Map] scan.
	// Zero means GOMAXPROCS. A negative value is invalid.
	Workers int

	// Chunk is the number of bytes of an uncompressed file that [Reduce] and
	// [Map] give to a worker at a time. Zero means 1 MiB. Negative means that
	// files are not divided.
	Chunk int

	// MaxLine bounds a record, in bytes without its terminator. The rest of a
	// longer line is dropped and counted in [Record].Dropped. The memory of a
	// scan is proportional to it. Zero means 256 KiB. A negative value is
	// invalid.
	MaxLine int

	// MaxDecoded bounds the bytes that a compressed input may unpack to. An
	// input that exceeds it ends with [ErrLimit]. Zero means 64 GiB. Negative
	// means no limit.
	MaxDecoded int64

	// MaxRatio bounds the bytes that a byte of a compressed input may unpack
	// to, on average. It is checked from 1 MiB of output on. An input that
	// exceeds it ends with [ErrLimit]. Zero means 20,000: a log that repeats a
	// line reaches 10,000 with zstd. gzip cannot exceed 1032. Negative means no
	// limit.
	MaxRatio int

	// Malformed is called with every record that the parser refuses, and with
	// the error of the parser. The record has no fields and is valid during the
	// call. If Malformed returns an error, the scan ends, and that is its last
	// error. [Reduce] and [Map] call it from several goroutines at once. Nil
	// means that such records are counted and skipped.
	Malformed func(r *Record, err error) error

	// Stats counts the work of scans. Nil means that nothing is counted.
	Stats *Counters
}

// A Parser finds the fields in the Line of a record and sets them with
// [Record.Set]. If Parse returns an error, the record is malformed: it is
// counted and not delivered.
//
// Parse must not keep r and must not change the bytes of r.Line. Scans that
// share a parser call it from several goroutines at once. A Parser may call
// Parse of another Parser first and then set fields of its own.
type Parser interface {
	Parse(r *Record) error
}

// Lines returns the lines of r, for one loop. Errors of r are delivered as
// [*InputError].
func Lines(r io.Reader) iter.Seq2[*Record, error] {
	return Scanner{}.Records(context.Background(), Readers("", r))
}

// Records reads the inputs in order and delivers their records. The loop gets
// the same *Record each time, valid until the next iteration; [Record.Clone]
// makes a copy to keep. However the loop ends, the open input is closed.
//
// Errors: with an error, the record is nil. After an [*InputError] the loop may
// continue, with the next input. Three errors are always the last: the error of
// [Scanner.Validate], an error returned by Malformed, and the error of ctx,
// which matches both ctx.Err() and context.Cause(ctx). ctx is checked before
// every record and passed to Input.Open. It cannot interrupt a Read that
// blocks.
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

// Validate reports every field whose value is out of range or incomplete. A
// scan with an invalid Scanner delivers that error and no records.
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
