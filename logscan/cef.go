package logscan

import (
	"bytes"
	"fmt"
)

var errCEF = fmt.Errorf("%w: CEF", ErrMalformed)

type cefParser struct{}

// CEF returns a parser for the Common Event Format, version 0 and 1, alone or
// as the message of syslog in a [Chain]:
//
//	CEF:0|vendor|product|version|signature|name|severity|key=value key=value
//
// The fields are vendor, product, version, signature, name, severity and the
// keys of the extension. Escapes (\|, \=, \\, \n, \r) are removed.
//
// Source: ArcSight Common Event Format, version 26.
func CEF() Parser { return cefParser{} }

var cefHeader = [...]string{"vendor", "product", "version", "signature", "name", "severity"}

// Parse implements Parser.
func (cefParser) Parse(r *Record) error {
	r.reset()
	b, ok := bytes.CutPrefix(r.Line, []byte("CEF:"))
	if !ok {
		return errCEF
	}
	number, b, ok := bytes.Cut(b, []byte{'|'})
	if !ok || len(number) != 1 || number[0] != '0' && number[0] != '1' {
		return errCEF
	}
	for _, name := range cefHeader {
		n := unescaped(b, '|')
		if n < 0 {
			return errCEF
		}
		r.Set(name, cefText(r, b[:n]))
		b = b[n+1:]
	}
	for b = bytes.TrimLeft(b, " "); len(b) > 0; {
		eq := unescaped(b, '=')
		if eq <= 0 || bytes.IndexByte(b[:eq], ' ') >= 0 {
			return errCEF
		}
		key, value := b[:eq], b[eq+1:]
		b = nil
		// The value ends before the word in front of the next "=".
		if next := unescaped(value, '='); next >= 0 {
			end := bytes.LastIndexByte(value[:next], ' ')
			if end < 0 {
				return errCEF
			}
			value, b = value[:end], value[end+1:]
		}
		r.Set(r.intern(key), cefText(r, bytes.TrimRight(value, " ")))
	}
	return nil
}

// unescaped returns the index of the first c without a backslash, or -1.
func unescaped(b []byte, c byte) int {
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case c:
			return i
		}
	}
	return -1
}

// cefText returns b without escapes, in the scratch of the record if it has
// any.
func cefText(r *Record, b []byte) []byte {
	if bytes.IndexByte(b, '\\') < 0 {
		return b[:len(b):len(b)]
	}
	start := len(r.scratch)
	for i := 0; i < len(b); i++ {
		c := b[i]
		if c == '\\' && i+1 < len(b) {
			i++
			switch c = b[i]; c {
			case 'n':
				c = '\n'
			case 'r':
				c = '\r'
			}
		}
		r.scratch = append(r.scratch, c)
	}
	return r.scratch[start:len(r.scratch):len(r.scratch)]
}
