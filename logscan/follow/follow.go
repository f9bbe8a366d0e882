package follow

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/redoubt-go/redoubt/internal/quote"
	"github.com/redoubt-go/redoubt/logscan"
)

// A Follower describes the log to follow. Records copies it. Path is required.
type Follower struct {
	// Name is the name of the Follower in events.
	Name string

	// Scanner parses the records. Its Workers, Chunk and MaxRatio have no
	// effect. Its Decoders also unpack rotated files. For Join, see Flush.
	Scanner logscan.Scanner

	// Path is the file that grows. It may be a symbolic link. Required.
	Path string

	// Rotated are patterns of the names that rotation gives to the file, with
	// the rules of [path/filepath.Match]. Nil means ".[0-9]*", "-[0-9]*",
	// ".old" and ".old.*" behind the name of the file that Path leads to.
	Rotated []string

	// Poll is the pause between two looks at the file. Zero means 250 ms. A
	// negative value is invalid.
	Poll time.Duration

	// Wake ends a pause early, for example when inotify has reported a change.
	// It must not be closed. Nil means that every pause takes Poll.
	Wake <-chan struct{}

	// Linger is the time for which a renamed file is looked at for late lines
	// and for the rest of an unfinished line. Zero means 2 seconds. Negative
	// means that the file is read to its end once.
	Linger time.Duration

	// Flush is the time for which a record waits for further lines that
	// Scanner.Join could append. Zero means 1 second. Negative means forever.
	Flush time.Duration

	// From is the place where the loop begins: after the record of the
	// checkpoint. If its file is not found, the loop gets a [*GapError]. Then
	// it reads the rotated files that the checkpoint does not contain, and Path
	// from its start. Nil means the start of Path.
	From *Checkpoint

	// AtEnd begins with the last unfinished line of Path. It has no effect with
	// From or Since.
	AtEnd bool

	// Since begins with the first record at this time or later. Rotated files
	// that were written to since then are read before Path, also if they are
	// compressed. A record before Since is skipped if a parser has set its
	// time. The zero time means that Since has no effect.
	Since time.Time

	// StopAtEOF ends the loop when everything complete was delivered. An
	// unfinished last line is left for a later run.
	StopAtEOF bool

	// OnEvent may be nil. It is called synchronously, outside locks, after the
	// change that the event reports, in the order of the changes. It may call
	// back into this package and must not block.
	OnEvent func(context.Context, Event)

	// Stats counts the work of loops. Nil means that nothing is counted.
	Stats *Counters

	fsys    fileSystem // nil means the system's
	onPause func()     // of a test: everything was looked at
}

// A Record is a record of a file that is followed.
type Record struct {
	*logscan.Record
	b *burst
}

// Checkpoint returns the place behind the record. Call it before the next
// iteration. It hashes about 1 KiB, which takes a few microseconds.
//
// If the file was cut after the record was read, its checkpoint may match no
// file: the next run then gets a [*GapError].
func (r Record) Checkpoint() Checkpoint {
	return r.b.t.checkpoint(r.b.g, r.b.place(r.Next))
}

// ID identifies the record: it consists of a hash that identifies the file, and
// of the offset of the record. If a record is delivered again after a restart,
// it has the same ID, also if its file was renamed. The ID of a record in a
// file that was compressed before it was opened differs.
//
// The hash covers the numbers of the file and its first line, of which it uses
// at most 1 KiB.
func (r Record) ID() string {
	return fmt.Sprintf("%016x-%d", r.b.g.id(), r.Offset)
}

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

// Validate reports every field whose value is missing or out of range. A loop
// over an invalid Follower gets that error and no records.
func (f Follower) Validate() error {
	if f.Path == "" {
		return errors.Join(errors.New("follow: Path is missing"), f.validate())
	}
	return f.validate()
}

// validate checks the fields that a Dir uses, too.
func (f Follower) validate() error {
	errs := []error{f.Scanner.Validate()}
	for i, pattern := range f.Rotated {
		if _, err := filepath.Match(pattern, ""); err != nil {
			errs = append(errs, fmt.Errorf("follow: Rotated[%d] is %s, want a pattern of filepath.Match", i, quote.Text(pattern)))
		}
	}
	if f.Poll < 0 {
		errs = append(errs, fmt.Errorf("follow: Poll is %v, want at least 0 (250ms)", f.Poll))
	}
	return errors.Join(errs...)
}

func (f Follower) withDefaults() Follower {
	if f.Poll == 0 {
		f.Poll = 250 * time.Millisecond
	}
	if f.Linger == 0 {
		f.Linger = 2 * time.Second
	}
	if f.Flush == 0 {
		f.Flush = time.Second
	}
	if f.StopAtEOF {
		f.Flush = 1
	}
	if f.fsys == nil {
		f.fsys = osFS{}
	}
	return f
}

// Records delivers records as they are written, until ctx is done. A record is
// valid until the next iteration, as in [logscan.Scanner.Records]. Its Source
// is Path. Its Num counts the lines of its file, from the place where reading
// began.
//
// Errors: see the package comment.
func (f Follower) Records(ctx context.Context) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		if err := f.Validate(); err != nil {
			yield(Record{}, err)
			return
		}
		l := newLoop(ctx, f)
		l.add(&trail{path: f.Path, from: f.From})
		for rec, err := range l.records() {
			if !yield(rec, err) {
				return
			}
		}
	}
}
