package ledger

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"strconv"
	"sync"

	"github.com/redoubt-go/redoubt/audit"
)

// A Record is an event of a log.
type Record struct {
	Seq   uint64      // sequence number; service records have numbers too
	Event audit.Event // the event
	Line  []byte      // its line in the log, without the end; valid until the next record
	Next  Cursor      // the place after the event
}

// Events returns the events of the log in fsys from number from on, without
// service records and without an unfinished last line. The number of a pruned
// record means the oldest record. Events checks the form of each line but not
// the chain, see [Verify]. It ends after an error.
//
// Errors: [ErrFormat], fs.ErrNotExist, the errors of fsys.
func Events(fsys fs.FS, from uint64) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		segs, err := someSegments(fsys)
		if err != nil {
			yield(Record{}, err)
			return
		}
		readHashes(fsys, func(s *storedHashes) {
			for line, err := range linesFrom(fsys, segs, s, from) {
				var r Record
				service := false
				if err == nil {
					r, service, err = parseRecord(line.text)
				}
				if err != nil {
					yield(Record{}, fmt.Errorf("ledger: %s: %w", line.place(), err))
					return
				}
				if !service && !yield(r, nil) {
					return
				}
			}
		})
	}
}

// A textLine is a line and its place. The text is valid until the next line.
type textLine struct {
	text []byte
	file string
	no   int   // line number from 1; 0 if the file could not be opened
	end  int64 // offset after the line
}

// place returns the place as text, for errors.
func (l textLine) place() string {
	if l.no == 0 {
		return l.file
	}
	return l.file + ":" + strconv.Itoa(l.no)
}

// linesFrom returns the complete lines from record seq on, or from the oldest
// segment on. A wrong offset in s costs time only.
func linesFrom(fsys fs.FS, segs []uint64, s *storedHashes, seq uint64) iter.Seq2[textLine, error] {
	return func(yield func(textLine, error) bool) {
		at, i, off := s.find(segs, max(seq, segs[0]))
		wrong := off > 0 // until the first line shows that the offset is right
		for ; i < len(segs); i, off = i+1, 0 {
			if off == 0 {
				at = segs[i]
			}
			more := linesOf(fsys, segmentName(segs[i]), off, int(at-segs[i]), func(line textLine, err error) bool {
				if wrong {
					n, _, ok := parseLine(line.text)
					if wrong = err != nil || !ok || n != at; wrong {
						return false
					}
				}
				at++
				return err == nil && at <= seq || yield(line, err)
			})
			if wrong {
				linesFrom(fsys, segs, nil, seq)(yield)
			}
			if wrong || !more {
				return
			}
		}
	}
}

// linesOf returns the complete lines of a segment from an offset on, before
// which are skipped lines.
func linesOf(fsys fs.FS, name string, off int64, skipped int, yield func(textLine, error) bool) (more bool) {
	f, err := fsys.Open(name)
	if err == nil && off > 0 {
		if err = skip(f, off); err != nil {
			_ = f.Close()
		}
	}
	if err != nil {
		yield(textLine{file: name}, err)
		return false
	}
	defer func() { _ = f.Close() }()
	lr := lineReaders.Get().(*lineReader)
	defer lineReaders.Put(lr)
	lr.r.Reset(f)
	lr.no, lr.next = skipped, off
	for {
		text, whole, err := lr.read()
		if errors.Is(err, io.EOF) || err == nil && !whole {
			return true
		}
		if !yield(textLine{text, name, lr.no, lr.next}, err) || err != nil {
			return false
		}
	}
}

// lineReaders contains memory for reading short parts of a log.
var lineReaders = sync.Pool{New: func() any { return newLineReader(nil) }}

// skip moves a file that was just opened to an offset.
func skip(f fs.File, off int64) error {
	if s, ok := f.(io.Seeker); ok {
		_, err := s.Seek(off, io.SeekStart)
		return err
	}
	_, err := io.CopyN(io.Discard, f, off)
	return err
}

// parseRecord reads a line and reports whether it is a service record.
func parseRecord(line []byte) (r Record, service bool, err error) {
	seq, _, ok := parseLine(line)
	if !ok {
		return r, false, ErrFormat
	}
	r.Seq, r.Line, r.Next = seq, line, Cursor{Next: seq + 1, Prev: leafHash(line)}
	if isService(line, "") {
		return r, true, nil
	}
	if r.Event.UnmarshalJSON(line) != nil {
		return r, false, ErrFormat
	}
	return r, false, nil
}

// noteOf returns the signed note of a checkpoint line, or an empty text.
func noteOf(line []byte) string {
	var c struct {
		Note string `json:"note"`
	}
	_ = json.Unmarshal(line, &c)
	return c.Note
}
