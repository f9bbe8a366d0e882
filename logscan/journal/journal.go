package journal

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/redoubt-go/redoubt/logscan"
)

var errExport = errors.New("journal: not in the export format")

const (
	maxEntry = 1 << 20   // bytes of an entry that are kept
	maxValue = 768 << 20 // bytes of a value: the limit of journald
)

// Export returns a Decoder for the journal export format. It writes each entry
// as a JSON object on a line, for [Parser]. Values that are not text are
// written as text with U+FFFD in place of invalid bytes.
//
// Source: systemd, "Journal Export Formats".
func Export() logscan.Decoder {
	return logscan.Decoder{Name: "journal", Magic: "__CURSOR=", New: func(r io.Reader) (io.ReadCloser, error) {
		return &export{r: bufio.NewReaderSize(r, 64<<10)}, nil
	}}
}

// An export is the reader of a Decoder.
type export struct {
	r    *bufio.Reader
	line []byte // of JSON, the rest that Read has not returned
}

// Close implements io.Closer.
func (*export) Close() error { return nil }

// Read implements io.Reader.
func (e *export) Read(p []byte) (int, error) {
	for len(e.line) == 0 {
		entry, err := e.entry()
		if len(entry) > 0 && err == nil {
			if e.line, err = json.Marshal(entry); err == nil {
				e.line = append(e.line, '\n')
			}
		}
		if err != nil {
			return 0, err
		}
	}
	n := copy(p, e.line)
	e.line = e.line[n:]
	return n, nil
}

// entry reads the fields up to an empty line. A field that occurs several times
// keeps its last value.
func (e *export) entry() (map[string]string, error) {
	fields := map[string]string{}
	size := 0
	for {
		line, whole, err := e.readLine()
		switch {
		case err == io.EOF && len(line) == 0 && len(fields) == 0:
			return nil, io.EOF
		case err == io.EOF:
			return nil, io.ErrUnexpectedEOF
		case err != nil:
			return nil, err
		case len(line) == 1:
			return fields, nil
		}
		name, value, text := bytes.Cut(line[:len(line)-1], []byte{'='})
		if !fieldName(name) {
			return nil, errExport
		}
		if !text {
			if value, whole, err = e.binary(); err != nil {
				return nil, err
			}
		}
		if !whole || size+len(name)+len(value) > maxEntry {
			fields["CUT"] = "true"
			continue
		}
		size += len(name) + len(value)
		fields[string(name)] = string(value)
	}
}

// readLine reads a line with its newline. If it is longer than an entry may be,
// it returns only the beginning.
func (e *export) readLine() (line []byte, whole bool, err error) {
	whole = true
	for {
		part, err := e.r.ReadSlice('\n')
		if len(line)+len(part) <= maxEntry {
			line = append(line, part...)
		} else {
			whole = false
		}
		switch {
		case err == bufio.ErrBufferFull:
			continue
		case err == nil && !whole:
			line = append(line, '\n')
		}
		return line, whole, err
	}
}

// binary reads the length of a value, the value and a newline. A value that is
// longer than an entry may be is not kept.
func (e *export) binary() (value []byte, whole bool, err error) {
	var head [8]byte
	if _, err := io.ReadFull(e.r, head[:]); err != nil {
		return nil, false, cut(err)
	}
	n := binary.LittleEndian.Uint64(head[:])
	if n > maxValue {
		return nil, false, fmt.Errorf("%w: a value of %d bytes", errExport, n)
	}
	if n <= maxEntry {
		value, whole = make([]byte, n), true
		if _, err := io.ReadFull(e.r, value); err != nil {
			return nil, false, cut(err)
		}
	} else if _, err := e.r.Discard(int(n)); err != nil {
		return nil, false, cut(err)
	}
	if c, err := e.r.ReadByte(); err != nil || c != '\n' {
		return nil, false, errors.Join(errExport, err)
	}
	return value, whole, nil
}

// cut returns the error of an entry that ends too early.
func cut(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// fieldName reports whether b is the name of a field: upper case letters,
// digits and underscores.
func fieldName(b []byte) bool {
	for _, c := range b {
		if (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '_' {
			return false
		}
	}
	return len(b) > 0 && len(b) <= 64
}

// names are the fields of journald and the names that the parsers of logscan
// use.
var names = [...][2]string{
	{"MESSAGE", "message"},
	{"SYSLOG_IDENTIFIER", "app"},
	{"_PID", "pid"},
	{"_HOSTNAME", "host"},
	{"PRIORITY", "priority"},
	{"_SYSTEMD_UNIT", "unit"},
	{"_UID", "uid"},
	{"__CURSOR", "cursor"},
	{"CUT", "cut"},
}

type parser struct {
	p     logscan.Parser
	paths []string
}

// Parser returns a parser for the lines of [Export] and of journalctl -o json.
// The fields are message, app, pid, host, priority, unit, uid and cursor, as
// far as the entry has them, and the fields of journald that are listed, such
// as "_COMM". [logscan.Record.Time] returns the time of the entry. In a
// [logscan.Chain], package detect reads the message.
func Parser(fields ...string) logscan.Parser {
	paths := []string{"__REALTIME_TIMESTAMP"}
	for _, n := range names {
		paths = append(paths, n[0])
	}
	paths = append(paths, fields...)
	return &parser{logscan.JSON(paths...), fields}
}

// Parse implements logscan.Parser.
func (p *parser) Parse(r *logscan.Record) error {
	if err := p.p.Parse(r); err != nil {
		return err
	}
	us, ok := r.Int("__REALTIME_TIMESTAMP")
	if !ok {
		return fmt.Errorf("%w: journal: no time", logscan.ErrMalformed)
	}
	r.SetTime(time.UnixMicro(us).UTC())
	r.Set("__REALTIME_TIMESTAMP", nil)
	for _, n := range names {
		if v := r.Get(n[0]); v != nil {
			r.Set(n[0], nil)
			r.Set(n[1], v)
		}
	}
	return nil
}
