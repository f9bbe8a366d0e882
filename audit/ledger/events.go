package ledger

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"

	"github.com/redoubt-go/redoubt/audit"
)

// Record is one event of a log.
type Record struct {
	Seq   uint64      // its number; the service records have numbers too
	Event audit.Event // as it was written
}

// Events yields the events of the log in fsys in their order, without the service
// records and an unfinished last line. It checks the form of each line, not the
// chain: see [Verify]. After an error it ends.
//
// Errors: [ErrFormat], those of fsys.
func Events(fsys fs.FS) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		f, err := fsys.Open(segmentName)
		if err != nil {
			yield(Record{}, fmt.Errorf("ledger: %w", err))
			return
		}
		defer func() { _ = f.Close() }()
		lr := newLineReader(f)
		for {
			line, whole, err := lr.read()
			if errors.Is(err, io.EOF) || (err == nil && !whole) {
				return
			}
			var r Record
			service := false
			if err == nil {
				r, service, err = parseRecord(line)
			}
			if err != nil {
				yield(Record{}, fmt.Errorf("ledger: line %d: %w", lr.no, err))
				return
			}
			if !service && !yield(r, nil) {
				return
			}
		}
	}
}

// parseRecord reads a line, and reports whether it is a service record: those
// have their type where events have their time.
func parseRecord(line []byte) (r Record, service bool, err error) {
	seq, prev, ok := parseLine(line)
	if !ok {
		return r, false, ErrFormat
	}
	r.Seq = seq
	if bytes.HasPrefix(line[len(appendHead(nil, seq, prev)):], []byte(`"type":`)) {
		return r, true, nil
	}
	if r.Event.UnmarshalJSON(line) != nil {
		return r, false, ErrFormat
	}
	return r, false, nil
}
