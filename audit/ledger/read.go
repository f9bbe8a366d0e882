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

// chunkSize is the number of bytes that a worker receives at a time.
const chunkSize = 128 << 10

// An entry is the data that verification keeps of a line.
type entry struct {
	ok   bool   // a well-formed line; otherwise seq and prev are zero
	seq  uint64 // sequence number
	prev Hash
	leaf Hash
	time time.Time // zero if the line has no time
	seg  uint64    // segment
	line int       // line number in the segment, from 1
	off  int64
	own  *ownLine // nil for events and malformed lines
}

// An ownLine is the content of a service line.
type ownLine struct {
	header *header // of a header line

	// Of a checkpoint, and of a last line that was perhaps a checkpoint: the
	// result of openCheckpoint, and the relation to the lines before it.
	seal    bool
	cp      Checkpoint
	signed  uint64
	err     error
	fitting fitting
}

// A fitting is the relation of a checkpoint to the lines before it.
type fitting uint8

const (
	differs fitting = iota // the root differs
	fits                   // the root is equal
	unknown                // too many lines are between, or too few lines exist
)

// A chunk is a number of consecutive lines of a segment. It passes from the
// reader to a worker, to the verifier and back to the reader, so nothing may
// keep a reference to it.
type chunk struct {
	text    []byte // one unused byte, then lines with their ends
	seg     uint64
	off     int64 // of the first line
	first   bool  // the first of its segment
	unended bool  // the reader added the end of the last line
	entries []entry
	torn    int64 // bytes of an unfinished last line, which is not in text
	err     error // why reading ended
	done    chan struct{}
}

// check computes everything that depends on a single line. The byte before each
// line becomes the 0 with which a leaf hash starts, so that a line is hashed in
// place.
func (c *chunk) check(p *objectParser, keys []*Verifier) {
	defer close(c.done)
	c.entries = c.entries[:0]
	for start := 1; start < len(c.text); {
		end := start + bytes.IndexByte(c.text[start:], '\n')
		next := end + 1
		if c.unended && next == len(c.text) {
			end = next // a well-formed line contains no line end
		}
		c.text[start-1] = 0
		e := entry{seg: c.seg, off: c.off + int64(start-1), leaf: sha256.Sum256(c.text[start-1 : end])}
		line := c.text[start:end]
		if e.seq, e.prev, e.ok = p.parseLine(line); e.ok {
			e.own, e.time = parseOwn(line, keys), p.timeOf(line)
		}
		if next == len(c.text) && e.ok && (e.own == nil || !e.own.seal) && bytes.Contains(line, []byte(`"note":"`)) {
			// The last line of a log is a checkpoint, whose type may be
			// damaged.
			e.own = &ownLine{}
			e.own.cp, e.own.signed, e.own.err = openCheckpoint(noteOf(line), keys)
		}
		c.entries = append(c.entries, e)
		start = next
	}
}

// parseOwn reads a service line. If a header is invalid, the fields of the
// result are empty.
func parseOwn(line []byte, keys []*Verifier) *ownLine {
	if !isService(line, "") {
		return nil
	}
	own := &ownLine{}
	switch {
	case isService(line, "checkpoint"):
		own.seal = true
		own.cp, own.signed, own.err = openCheckpoint(noteOf(line), keys)
	case isService(line, "ledger"):
		if h, _ := parseHeader(line); h.Version != 0 {
			own.header = &h
		}
	}
	return own
}

// readAll calls take with the lines of the segments in their order, and checks
// lines on all processors. It stops when take returns false. It returns the
// number of bytes of an unfinished last line. If limit >= 0, it reads so many
// bytes of the last segment.
func readAll(ctx context.Context, fsys fs.FS, segs []uint64, limit int64, keys []*Verifier, take func(*entry) bool) (torn int64, err error) {
	workers := runtime.GOMAXPROCS(0)
	inner, cancel := context.WithCancel(ctx)
	todo, ordered := make(chan *chunk), make(chan *chunk, 2*workers)
	used := make(chan *chunk, cap(ordered)+workers+2) // for reuse; room for all chunks in progress
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() {
		defer close(ordered)
		defer close(todo)
		readChunks(fsys, segs, limit, used, func(c *chunk) bool {
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
	// Workers hash and parse lines in any order. Links and the tree need the
	// order of the channel ordered.
	for range workers {
		wg.Go(func() {
			var p objectParser
			for c := range todo {
				c.check(&p, keys)
			}
		})
	}
	line := 0
	for c := range ordered {
		select {
		case <-c.done:
		case <-ctx.Done():
			return 0, done(ctx, "read")
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
	return torn, done(ctx, "read")
}

// readChunks reads the segments until yield returns false or an error occurs.
// Only the last line of the last segment may be unfinished. In other segments
// the verifier finds the fault in that line.
func readChunks(fsys fs.FS, segs []uint64, limit int64, used <-chan *chunk, yield func(*chunk) bool) {
	for i, seg := range segs {
		f, err := fsys.Open(segmentName(seg))
		if err != nil {
			c := recycled(used)
			c.err = err
			yield(c)
			return
		}
		r := segmentReader{r: f, last: i == len(segs)-1}
		if r.last && limit >= 0 {
			r.r = io.LimitReader(f, limit)
		}
		for first, more := true, true; more; first = false {
			c := recycled(used)
			c.seg, c.first = seg, first
			more = r.next(c)
			if !yield(c) || c.err != nil {
				_ = f.Close()
				return
			}
		}
		_ = f.Close()
	}
}

// recycled returns a chunk in the memory of a used chunk, if there is any.
func recycled(used <-chan *chunk) *chunk {
	c := &chunk{}
	select {
	case c = <-used:
	default:
	}
	*c = chunk{text: c.text, entries: c.entries, done: make(chan struct{})}
	return c
}

// A segmentReader divides a segment into chunks of complete lines.
type segmentReader struct {
	r    io.Reader
	last bool   // the last segment, where a line may be unfinished
	off  int64  // of the next line
	rest []byte // bytes read of it
}

// next fills c up to the last line end in its buffer and reports whether there
// is more. It reads until it finds a line end. Of a line over maxLine it keeps
// only so much that the line is still too long.
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
			end = bytes.IndexByte(c.text, '\n') // later offsets do not match text
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

// finish handles the bytes after the last line end of the segment.
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
