package logscan

import (
	"bytes"
	"fmt"
	"slices"
)

var (
	errCSV       = fmt.Errorf("%w: CSV: a quote out of place", ErrMalformed)
	errCSVCount  = fmt.Errorf("%w: CSV: number of columns", ErrMalformed)
	errCSVHeader = fmt.Errorf("%w: CSV: the header", ErrMalformed)
)

type csvParser struct{ header []string }

// CSV returns a parser for rows of RFC 4180 with the given columns. A column
// named "" is not kept. A row with more or fewer columns is malformed. So is
// the header row, which is counted once a file. A row is a line, so a value can
// contain a newline only if a [Joiner] joins the lines of a row.
func CSV(header ...string) Parser { return &csvParser{slices.Clone(header)} }

// Parse implements Parser.
func (p *csvParser) Parse(r *Record) error {
	r.reset()
	b, isHeader := r.Line, true
	for i, name := range p.header {
		value, rest, ok := column(r, b)
		last := i == len(p.header)-1
		switch {
		case !ok:
			return errCSV
		case last != (rest == nil):
			return errCSVCount
		}
		isHeader = isHeader && (name == "" || string(value) == name)
		if b = rest; name != "" {
			r.Set(name, value)
		}
	}
	if isHeader && len(r.fields) > 0 {
		return errCSVHeader
	}
	return nil
}

// column reads a value and the comma after it. At the end of the row, rest is
// nil.
func column(r *Record, b []byte) (value, rest []byte, ok bool) {
	if len(b) > 0 && b[0] == '"' {
		return quotedColumn(r, b[1:])
	}
	i := bytes.IndexByte(b, ',')
	if i < 0 {
		i = len(b)
	} else {
		rest = b[i+1:]
	}
	return b[:i:i], rest, bytes.IndexByte(b[:i], '"') < 0
}

// quotedColumn is column behind an opening quote. Two quotes stand for a quote.
func quotedColumn(r *Record, b []byte) (value, rest []byte, ok bool) {
	start := len(r.scratch)
	for {
		i := bytes.IndexByte(b, '"')
		if i < 0 {
			return nil, nil, false
		}
		if i+1 < len(b) && b[i+1] == '"' {
			r.scratch = append(r.scratch, b[:i+1]...)
			b = b[i+2:]
			continue
		}
		value = b[:i:i]
		if len(r.scratch) > start {
			r.scratch = append(r.scratch, value...)
			value = r.scratch[start:len(r.scratch):len(r.scratch)]
		}
		if i+1 == len(b) {
			return value, nil, true
		}
		return value, b[i+2:], b[i+1] == ','
	}
}
