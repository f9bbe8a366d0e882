package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Cursor is a place in a log between two records. Its text can be kept in a
// file or a database.
type Cursor struct {
	Next uint64 // number of the record after the place
	Prev Hash   // hash of the line before the place; zero matches any line
}

// MarshalText returns the form "42:hash", with the hash in base64.
func (c Cursor) MarshalText() ([]byte, error) {
	return []byte(strconv.FormatUint(c.Next, 10) + ":" + c.Prev.String()), nil
}

// UnmarshalText reads the form of MarshalText. The error matches [ErrFormat].
func (c *Cursor) UnmarshalText(text []byte) error {
	next, prev, _ := strings.Cut(string(text), ":")
	n, err := strconv.ParseUint(next, 10, 64)
	var h Hash
	if err != nil || strconv.FormatUint(n, 10) != next || !decodeHash(&h, []byte(prev)) {
		return formatError("cursor is malformed")
	}
	*c = Cursor{Next: n, Prev: h}
	return nil
}

const (
	followEvery = 100 * time.Millisecond // between two looks at the end of the log
	followQuiet = 10                     // looks after which the end of the log counts as written
	followAhead = 4096                   // records that are kept back at most
)

// Follow returns the events of the log in fsys from a place on, and waits for
// new events until ctx is done. The zero Cursor is the beginning.
//
// A program that stores [Record.Next] together with each event, in a single
// write or transaction, and continues from the stored place, loses and repeats
// no event.
//
// Follow checks that each line contains the hash of the line before. It keeps
// back the last events until the log shows that they are on the disk, at most
// for a second.
//
// Errors:
//
//   - ctx.Err() and context.Cause(ctx) if ctx is done;
//   - [ErrTampered] if the log does not continue the place, because lines were
//     changed, or lost by a power cut;
//   - fs.ErrNotExist if the record after the place is pruned, or if there is no
//     log;
//   - [ErrFormat], the errors of fsys.
func Follow(ctx context.Context, fsys fs.FS, from Cursor) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		f := follower{fsys: fsys, read: spot{Cursor: from, seg: noSegment}}
		f.safe = f.read
		for {
			err := done(ctx, "follow")
			if err == nil {
				err = f.poll()
			}
			for _, r := range f.ready {
				if !yield(r, nil) {
					return
				}
			}
			f.ready = f.ready[:0]
			if err != nil {
				yield(Record{}, err)
				return
			}
			if f.idle > 0 {
				timer := time.NewTimer(followEvery)
				select {
				case <-timer.C:
				case <-ctx.Done():
					timer.Stop()
				}
			}
		}
	}
}

// noSegment is the segment of a spot that was not searched yet.
const noSegment = 1<<64 - 1

// A spot is a cursor and its place in the files.
type spot struct {
	Cursor
	seg uint64
	off int64
}

// A follower reads the end of a log.
type follower struct {
	fsys    fs.FS
	read    spot     // after the last line that was read
	safe    spot     // after the last line that cannot be taken back
	pending []Record // between safe and read
	ready   []Record // before safe, not returned yet
	idle    int      // looks without a new line
	retries int      // from the same safe place
}

// errUnlinked means that a line does not continue the lines before it.
var errUnlinked = errors.New("no link")

// poll reads new lines.
func (f *follower) poll() error {
	before := f.read
	err := f.advance()
	if errors.Is(err, errUnlinked) {
		// A writer has taken back lines after an error, or Open has cut them.
		if f.retries++; f.read == f.safe || f.retries > followQuiet {
			return tamperError("log does not continue at record %d", f.read.Next)
		}
		f.rewind()
		f.idle = 1
		return nil
	}
	if f.idle++; f.read != before {
		f.idle = 0
	}
	if f.idle == followQuiet && len(f.pending) > 0 && err == nil {
		f.rewind() // read them again, because they may have been replaced
		if err = f.advance(); f.read == before {
			f.settle()
		}
		if f.idle = 0; errors.Is(err, errUnlinked) {
			f.rewind()
			return nil
		}
	}
	return err
}

func (f *follower) rewind() { f.read, f.pending = f.safe, nil }

// settle makes the pending records ready.
func (f *follower) settle() {
	f.ready = append(f.ready, f.pending...)
	if f.safe != f.read {
		f.safe, f.retries = f.read, 0
	}
	f.pending = nil
}

// advance reads lines up to the end of the segment, or goes to the next segment
// at the end.
func (f *follower) advance() (err error) {
	if f.read.seg == noSegment {
		if err := f.search(); err != nil {
			return err
		}
	}
	start, name := f.read, segmentName(f.read.seg)
	linesOf(f.fsys, name, f.read.off, 0, func(line textLine, lerr error) bool {
		if err = lerr; err == nil {
			err = f.take(line)
		}
		return err == nil && len(f.ready)+len(f.pending) < followAhead
	})
	if len(f.pending) >= followAhead {
		f.settle()
	}
	gone := errors.Is(err, fs.ErrNotExist)
	switch {
	case f.read != start || err != nil && !gone:
		return err
	case !gone:
		if st, err := fs.Stat(f.fsys, name); err == nil && st.Size() < f.read.off {
			return errUnlinked
		}
	}
	segs, serr := segments(f.fsys)
	if serr != nil {
		return serr
	}
	if f.read.seg != f.read.Next && slices.Contains(segs, f.read.Next) {
		f.read.seg, f.read.off = f.read.Next, 0
		return nil
	}
	return err
}

// take reads a line.
func (f *follower) take(line textLine) error {
	seq, prev, ok := parseLine(line.text)
	if !ok || seq != f.read.Next || f.read.Prev != (Hash{}) && prev != f.read.Prev {
		return errUnlinked
	}
	r, service, err := parseRecord(line.text)
	if err != nil {
		return fmt.Errorf("ledger: %s, record %d: %w", line.file, seq, err)
	}
	// A writer syncs all lines before it writes such a line.
	if bytes.HasSuffix(line.text, []byte(syncedPart)) || isService(line.text, "checkpoint") || isService(line.text, "ledger") {
		f.settle()
	}
	if !service {
		r.Line = bytes.Clone(r.Line)
		f.pending = append(f.pending, r)
	}
	f.read.Cursor, f.read.off = r.Next, line.end
	return nil
}

// search finds the place in the files.
func (f *follower) search() error {
	next := f.read.Next
	segs, err := someSegments(f.fsys)
	switch {
	case err != nil:
		return err
	case segs[0] > next && f.read.Cursor != (Cursor{}):
		return fmt.Errorf("ledger: record %d is pruned: %w", next, fs.ErrNotExist)
	case slices.Contains(segs, next) || next < segs[0]:
		f.read.seg = max(next, segs[0])
		f.read.Next = f.read.seg
		f.safe = f.read
		return nil
	}
	err = tamperError("log ends before record %d", next)
	readHashes(f.fsys, func(s *storedHashes) {
		for line, lerr := range linesFrom(f.fsys, segs, s, next-1) {
			if lerr != nil {
				err = fmt.Errorf("ledger: %w", lerr)
				return
			}
			if seq, _, ok := parseLine(line.text); !ok || seq != next-1 || f.read.Prev != (Hash{}) && leafHash(line.text) != f.read.Prev {
				err = tamperError("log does not continue at record %d", next)
				return
			}
			f.read.seg, _ = strconv.ParseUint(strings.TrimSuffix(line.file, ".jsonl"), 10, 64)
			f.read.off, err = line.end, nil
			break
		}
	})
	f.safe = f.read
	return err
}
