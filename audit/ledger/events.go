package ledger

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"strconv"

	"github.com/redoubt-go/redoubt/audit"
)

// A Record is an event of a log.
type Record struct {
	Seq   uint64      // sequence number; service records have numbers too
	Event audit.Event // the event
}

// Events returns the events of the log in fsys in their order, without service
// records and without an unfinished last line. It checks the form of each line
// but not the chain, see [Verify]. It ends after an error.
//
// Errors: [ErrFormat], fs.ErrNotExist, the errors of fsys.
func Events(fsys fs.FS) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		for line, err := range lines(fsys) {
			var r Record
			service := false
			if err == nil {
				r, service, err = parseRecord(line.text)
			}
			if err != nil {
				if line.file != "" {
					err = fmt.Errorf("%s: %w", line.place(), err)
				}
				yield(Record{}, fmt.Errorf("ledger: %w", err))
				return
			}
			if !service && !yield(r, nil) {
				return
			}
		}
	}
}

// A textLine is a line and its place. The text is valid until the next line.
type textLine struct {
	text []byte
	file string // empty if no file was opened
	no   int    // line number from 1; 0 if the file could not be opened
}

// place returns the place as text, for errors.
func (l textLine) place() string {
	if l.no == 0 {
		return l.file
	}
	return l.file + ":" + strconv.Itoa(l.no)
}

// lines returns the complete lines, from the oldest segment on.
func lines(fsys fs.FS) iter.Seq2[textLine, error] {
	return func(yield func(textLine, error) bool) {
		segs, err := segments(fsys)
		if err == nil && len(segs) == 0 {
			err = fmt.Errorf("no segment: %w", fs.ErrNotExist)
		}
		if err != nil {
			yield(textLine{}, err)
			return
		}
		for _, seg := range segs {
			if !linesOf(fsys, segmentName(seg), yield) {
				return
			}
		}
	}
}

func linesOf(fsys fs.FS, name string, yield func(textLine, error) bool) (more bool) {
	f, err := fsys.Open(name)
	if err != nil {
		yield(textLine{file: name}, err)
		return false
	}
	defer func() { _ = f.Close() }()
	lr := newLineReader(f)
	for {
		text, whole, err := lr.read()
		if errors.Is(err, io.EOF) || err == nil && !whole {
			return true
		}
		if !yield(textLine{text, name, lr.no}, err) || err != nil {
			return false
		}
	}
}

// parseRecord reads a line and reports whether it is a service record.
func parseRecord(line []byte) (r Record, service bool, err error) {
	seq, _, ok := parseLine(line)
	if !ok {
		return r, false, ErrFormat
	}
	r.Seq = seq
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
