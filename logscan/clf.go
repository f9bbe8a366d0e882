package logscan

import (
	"bytes"
	"fmt"
)

var errCLF = fmt.Errorf("%w: common log format", ErrMalformed)

type clfParser struct{ t TimeParser }

// CLF returns a parser for access logs in the common and the combined log
// format of Apache and nginx:
//
//	addr ident user [time] "request" status bytes "referer" "agent" ...
//
// The fields have these names, and [Record.Time] returns the time. A request of
// the form "GET /path HTTP/1.1" also sets method, path and proto. A field whose
// text is "-" is not set. Values keep the escapes of the log. A user name may
// contain anything but a quote: it ends before the first bracketed time that is
// followed by a quote.
func CLF(t TimeParser) Parser { return &clfParser{t} }

// Parse implements Parser.
func (p *clfParser) Parse(r *Record) error {
	r.reset()
	addr, b, ok1 := bytes.Cut(r.Line, space)
	ident, b, ok2 := bytes.Cut(b, space)
	end := bytes.Index(b, []byte("] \""))
	if !ok1 || !ok2 || end < 0 {
		return errCLF
	}
	start := bytes.LastIndexByte(b[:end], '[')
	if start < 1 || b[start-1] != ' ' {
		return errCLF
	}
	if p.t.Set(r, b[start+1:end]) != nil {
		return errCLF
	}
	setValue(r, "addr", addr)
	setValue(r, "ident", ident)
	setValue(r, "user", b[:start-1])
	request, b, ok := quoted(b[end+2:])
	if !ok {
		return errCLF
	}
	setValue(r, "request", request)
	setRequest(r, request)
	return setResponse(r, b)
}

// setValue sets a field, unless its text is "-".
func setValue(r *Record, key string, b []byte) {
	if string(b) != "-" {
		r.Set(key, b[:len(b):len(b)])
	}
}

// setRequest sets the parts of METHOD PATH PROTO.
func setRequest(r *Record, b []byte) {
	i, j := bytes.IndexByte(b, ' '), bytes.LastIndexByte(b, ' ')
	if i <= 0 || j <= i+1 || !bytes.HasPrefix(b[j+1:], []byte("HTTP/")) {
		return
	}
	r.Set("method", b[:i:i])
	r.Set("path", b[i+1:j:j])
	r.Set("proto", b[j+1:len(b):len(b)])
}

// setResponse reads ` status bytes` and, if present, ` "referer" "agent"`. It
// ignores further columns.
func setResponse(r *Record, b []byte) error {
	b, ok := cutByte(b, ' ')
	status, b, ok2 := bytes.Cut(b, space)
	if _, rest, isNumber := leadingDigits(status, 3); !ok || !ok2 || !isNumber || len(rest) > 0 {
		return errCLF
	}
	r.Set("status", status)
	size, b, _ := bytes.Cut(b, space)
	for _, c := range size {
		if !digit(c) && len(size) > 1 {
			return errCLF
		}
	}
	setValue(r, "bytes", size)
	for _, name := range [...]string{"referer", "agent"} {
		var v []byte
		if v, b, ok = quoted(b); !ok {
			return nil
		}
		setValue(r, name, v)
		b, _ = cutByte(b, ' ')
	}
	return nil
}

// quoted reads a text in quotes. A backslash escapes the next byte.
func quoted(b []byte) (text, rest []byte, ok bool) {
	if b, ok = cutByte(b, '"'); !ok {
		return nil, b, false
	}
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return b[:i:i], b[i+1:], true
		}
	}
	return nil, b, false
}
