package ledger

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"runtime"
	"slices"
	"sync"
	"time"
)

// chunkSize is how many bytes of lines one worker is given at a time: enough that
// handing over costs nothing, little enough that memory stays small.
const chunkSize = 128 << 10

// entry is what reading keeps of a line.
type entry struct {
	ok   bool   // a well-formed line; else seq and prev are zero
	seq  uint64 // the number it carries
	prev Hash
	leaf Hash
	time time.Time // zero if there is none
	seg  uint64    // its segment
	line int       // in that segment, from 1
	off  int64
	own  *ownLine // nil for events and malformed lines
}

// ownLine is what a line of this package's own says.
type ownLine struct {
	header *header // of a header line
	note   string  // of a checkpoint
	before Head    // the log up to here, filled in by the verifier
}

// chunk is some lines in a row of one segment. It goes from the reader to a worker
// to the verifier and back: nothing may point into it for longer.
type chunk struct {
	text    []byte // one byte of room, then lines with their ends
	seg     uint64
	off     int64 // of the first line
	first   bool  // the first of its segment
	unended bool  // the end of the last line was put there by the reader
	entries []entry
	torn    int64 // bytes of a last line without an end, which is not in text
	err     error // why there is nothing more
	done    chan struct{}
}

// check fills in what can be known of each line alone. The line end before a line,
// which has done its work, makes room for the 0 that a leaf hash begins with: so a
// line is hashed where it stands, in one go.
func (c *chunk) check(p *objectParser) {
	defer close(c.done)
	c.entries = c.entries[:0]
	for start := 1; start < len(c.text); {
		end := start + bytes.IndexByte(c.text[start:], '\n')
		next := end + 1
		if c.unended && next == len(c.text) {
			end = next // no well-formed line has a line end in it
		}
		c.text[start-1] = 0
		e := entry{seg: c.seg, off: c.off + int64(start-1), leaf: sha256.Sum256(c.text[start-1 : end])}
		line := c.text[start:end]
		if e.seq, e.prev, e.ok = p.parseLine(line); e.ok {
			e.own, e.time = parseOwn(line), timeOf(line)
		}
		c.entries = append(c.entries, e)
		start = next
	}
}

// parseOwn reads what the verifier must know of a line of this package's own; a
// header that says nothing sensible leaves both fields empty.
func parseOwn(line []byte) *ownLine {
	switch {
	case !isService(line, ""):
		return nil
	case isService(line, "checkpoint"):
		return &ownLine{note: noteOf(line)}
	}
	own := &ownLine{}
	if h, ok := parseHeader(line); ok {
		own.header = &h
	}
	return own
}

// readAll calls take for the lines of the segments in their order, and checks them
// on all processors. It stops when take returns false, and returns the bytes of an
// unfinished last line.
func readAll(ctx context.Context, fsys fs.FS, segs []uint64, take func(*entry) bool) (torn int64, err error) {
	workers := runtime.GOMAXPROCS(0)
	inner, cancel := context.WithCancel(ctx)
	todo, ordered := make(chan *chunk), make(chan *chunk, 2*workers)
	used := make(chan *chunk, cap(ordered)+workers+2) // to be filled again: as many as can be under way
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() {
		defer close(ordered)
		defer close(todo)
		readChunks(fsys, segs, used, func(c *chunk) bool {
			for _, to := range [...]chan *chunk{ordered, todo} {
				select {
				case to <- c:
				case <-inner.Done():
					return false
				}
			}
			return true
		})
	})
	// Hashing and parsing need nothing but the line; links and the tree need the order,
	// which is that of the second channel.
	for range workers {
		wg.Go(func() {
			var p objectParser
			for c := range todo {
				c.check(&p)
			}
		})
	}
	line := 0
	for c := range ordered {
		select {
		case <-c.done:
		case <-ctx.Done():
			return 0, done(ctx)
		}
		if c.err != nil {
			return 0, fmt.Errorf("ledger: read: %w", c.err)
		}
		if c.first {
			line = 0
		}
		for i := range c.entries {
			line++
			c.entries[i].line = line
			if !take(&c.entries[i]) {
				return 0, nil
			}
		}
		torn = c.torn
		select {
		case used <- c:
		default:
		}
	}
	return torn, done(ctx)
}

// readChunks reads the segments until yield has enough or something fails. Only the
// last line of the last of them may lack its end; elsewhere that is a fault, which
// the verifier finds in the line.
func readChunks(fsys fs.FS, segs []uint64, used <-chan *chunk, yield func(*chunk) bool) {
	for i, seg := range segs {
		r := segmentReader{last: i == len(segs)-1}
		f, err := fsys.Open(segmentName(seg))
		for first, more := true, true; more; first = false {
			c := recycled(used)
			c.seg, c.first, c.err = seg, first, err
			if r.r = f; err == nil {
				more = r.next(c)
			}
			if !yield(c) || c.err != nil {
				err, more = errStopped, false
			}
		}
		if f != nil {
			_ = f.Close()
		}
		if err != nil {
			return
		}
	}
}

// errStopped ends reading when nobody wants more.
var errStopped = errors.New("enough")

// recycled is a chunk to be filled, in the memory of a used one if there is any.
func recycled(used <-chan *chunk) *chunk {
	c := &chunk{}
	select {
	case c = <-used:
	default:
	}
	*c = chunk{text: c.text, entries: c.entries, done: make(chan struct{})}
	return c
}

// segmentReader cuts a segment into chunks of whole lines.
type segmentReader struct {
	r    io.Reader
	last bool   // the last segment, where a line may be unfinished
	off  int64  // of the next line
	rest []byte // what was read of it
}

// next fills c up to the last line end in sight and reports whether there is more.
// It reads until there is one, and keeps no more of a line than shows that it is
// over maxLine.
func (r *segmentReader) next(c *chunk) (more bool) {
	c.off = r.off
	c.text = append(append(c.text[:0], 0), r.rest...)
	r.rest = r.rest[:0]
	dropped := 0
	for {
		from := min(len(c.text), maxLine+2)
		dropped += len(c.text) - from
		c.text = slices.Grow(c.text[:from], chunkSize)
		n, err := io.ReadFull(r.r, c.text[from:from+chunkSize])
		c.text = c.text[:from+n]
		end := bytes.LastIndexByte(c.text, '\n')
		if dropped > 0 {
			end = bytes.IndexByte(c.text, '\n') // those behind it have other places than in text
		}
		ended := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
		switch {
		case err != nil && !ended:
			c.err, c.text = err, c.text[:0]
			return false
		case ended && (dropped == 0 || end < 0):
			r.finish(c, max(end, 0), dropped)
			return false
		case end > 0:
			r.rest = append(r.rest, c.text[end+1:]...)
			r.off += int64(end + dropped)
			c.text = c.text[:end+1]
			return true
		}
	}
}

// finish deals with what stands behind the last line end of the segment.
func (r *segmentReader) finish(c *chunk, end, dropped int) {
	switch unended := len(c.text) - (end + 1); {
	case unended == 0:
	case r.last:
		c.torn = int64(unended + dropped)
		c.text = c.text[:end+1]
	default:
		c.text, c.unended = append(c.text, '\n'), true
	}
}
