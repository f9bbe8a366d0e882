package ledger

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"runtime"
	"sync"
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
	seg  uint64 // its segment
	line int    // in that segment, from 1
	off  int64
	own  *ownLine // nil for events and malformed lines
}

// ownLine is what a line of this package's own says.
type ownLine struct {
	header *header // of a header line
	note   string  // of a checkpoint
	before Head    // the log up to here, filled in by the verifier
}

// chunk is some lines in a row of one segment.
type chunk struct {
	text    []byte // the lines without their ends
	ends    []int  // where each of them ends in text
	entries []entry
	torn    int64 // bytes of a last line without an end, which is not in entries
	err     error // why there is nothing more
	done    chan struct{}
}

// check fills in what can be known of each line alone.
func (c *chunk) check() {
	defer close(c.done)
	var p objectParser
	from := 0
	for i, end := range c.ends {
		line, e := c.text[from:end], &c.entries[i]
		from = end
		e.leaf = leafHash(line)
		if e.seq, e.prev, e.ok = p.parseLine(line); e.ok {
			e.own = parseOwn(line)
		}
	}
}

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
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() {
		defer close(ordered)
		defer close(todo)
		for c := range chunks(fsys, segs) {
			for _, to := range [...]chan *chunk{ordered, todo} {
				select {
				case to <- c:
				case <-inner.Done():
					return
				}
			}
		}
	})
	for range workers {
		wg.Go(func() {
			for c := range todo {
				c.check()
			}
		})
	}
	for c := range ordered {
		select {
		case <-c.done:
		case <-ctx.Done():
			return 0, done(ctx)
		}
		if c.err != nil {
			return 0, fmt.Errorf("ledger: read: %w", c.err)
		}
		for i := range c.entries {
			if !take(&c.entries[i]) {
				return 0, nil
			}
		}
		torn = c.torn
	}
	return torn, done(ctx)
}

// chunks reads the segments. Only the last line of the last of them may lack its
// end; elsewhere that is a fault, which the verifier finds in the line.
func chunks(fsys fs.FS, segs []uint64) iter.Seq[*chunk] {
	return func(yield func(*chunk) bool) {
		for i, seg := range segs {
			f, err := fsys.Open(segmentName(seg))
			if err != nil {
				yield(failedChunk(err))
				return
			}
			lr := newLineReader(f)
			for more := true; more && err == nil; {
				var c *chunk
				if c, more = readChunk(lr, seg, i == len(segs)-1); !yield(c) {
					err = fs.ErrClosed
				}
			}
			if _ = f.Close(); err != nil {
				return
			}
		}
	}
}

func failedChunk(err error) *chunk { return &chunk{err: err, done: make(chan struct{})} }

func readChunk(lr *lineReader, seg uint64, last bool) (c *chunk, more bool) {
	c = &chunk{text: make([]byte, 0, chunkSize+chunkSize/8), done: make(chan struct{})}
	for len(c.text) < chunkSize {
		line, whole, err := lr.read()
		switch {
		case errors.Is(err, io.EOF):
			return c, false
		case err != nil:
			c.err = err
			return c, false
		case !whole && last:
			c.torn = lr.next - lr.off
			return c, false
		}
		c.text = append(c.text, line...)
		if !whole {
			c.text = append(c.text, '\n') // no well-formed line has one
		}
		c.ends = append(c.ends, len(c.text))
		c.entries = append(c.entries, entry{seg: seg, line: lr.no, off: lr.off})
	}
	return c, true
}
