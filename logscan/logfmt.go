package logscan

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"slices"
	"strconv"
	"unicode/utf8"
)

var errLogfmt = fmt.Errorf("%w: logfmt", ErrMalformed)

type logfmtParser struct{ keys []string }

// Logfmt returns a parser for lines of key=value pairs, separated by spaces. A
// value is a word, or a string in quotes with the escapes of JSON or of Go, as
// [log/slog.TextHandler] writes it. It is empty after "key=" and for a key
// without "=". A key in quotes has the same escapes. The fields are the given
// keys or, without keys, all pairs in their order.
//
// A line is malformed if a pair begins with "=", if an unquoted key or value
// contains a quote, or if a quote is not closed.
func Logfmt(keys ...string) Parser { return &logfmtParser{slices.Clone(keys)} }

// Parse implements Parser.
func (p *logfmtParser) Parse(r *Record) error {
	r.reset()
	d := jsonDecoder{b: r.Line, r: r}
	for at, b := 0, r.Line; ; {
		i := at
		for i < len(b) && b[i] <= ' ' {
			i++
		}
		if i == len(b) {
			return nil
		}
		i, key, ok := d.logfmtKey(i)
		if !ok {
			return errLogfmt
		}
		value := b[i:i:i]
		if i < len(b) && b[i] == '=' {
			i, value, ok = d.logfmtValue(i + 1)
		}
		if !ok || len(key) == 0 || i < len(b) && b[i] > ' ' {
			return errLogfmt
		}
		p.set(r, key, value)
		at = i
	}
}

// set sets the field, if it is wanted.
func (p *logfmtParser) set(r *Record, key, value []byte) {
	if len(p.keys) == 0 {
		r.Set(r.intern(key), value)
		return
	}
	for _, k := range p.keys {
		if k == string(key) {
			r.Set(k, value)
			return
		}
	}
}

// bareKey skips a word, up to a space, a quote or a "=".
func bareKey(b []byte, i int) int {
	for i < len(b) && b[i] > ' ' && b[i] != '"' && b[i] != '=' {
		i++
	}
	return i
}

// bareValue skips a word, up to a space or a quote.
func bareValue(b []byte, i int) int {
	for ; i+8 <= len(b); i += 8 {
		w := binary.LittleEndian.Uint64(b[i:])
		quote := w ^ ones*'"'
		if stop := ((w-ones*(' '+1))&^w | (quote-ones)&^quote) & high; stop != 0 {
			return i + bits.TrailingZeros64(stop)/8
		}
	}
	for i < len(b) && b[i] > ' ' && b[i] != '"' {
		i++
	}
	return i
}

// logfmtKey reads a key.
func (d *jsonDecoder) logfmtKey(i int) (end int, key []byte, ok bool) {
	if d.b[i] == '"' {
		return d.goString(i)
	}
	end = bareKey(d.b, i)
	return end, d.b[i:end], true
}

// logfmtValue reads the value behind "=".
func (d *jsonDecoder) logfmtValue(i int) (end int, text []byte, ok bool) {
	if i == len(d.b) || d.b[i] != '"' {
		end = bareValue(d.b, i)
		return end, d.b[i:end:end], true
	}
	end, escaped, err := str(d.b, i+1)
	if err != nil {
		return d.goString(i)
	}
	if text = d.b[i+1 : end : end]; escaped {
		text = d.unescape(text)
	}
	return end + 1, text, true
}

// goString reads a string in quotes with the escapes of strconv.Quote.
func (d *jsonDecoder) goString(i int) (end int, text []byte, ok bool) {
	for end = i + 1; ; end++ {
		switch {
		case end >= len(d.b):
			return end, nil, false
		case d.b[end] == '\\':
			end++
			continue
		case d.b[end] != '"':
			continue
		}
		break
	}
	dst := d.r.scratch
	start := len(dst)
	for rest := d.b[i+1 : end]; len(rest) > 0; {
		c := rest[0]
		if c != '\\' {
			dst, rest = append(dst, c), rest[1:]
			continue
		}
		r, n := escape(rest)
		if n == 0 {
			var raw bool
			if r, n, raw = goEscape(rest); n == 0 {
				return end, nil, false
			} else if raw {
				dst, rest = append(dst, byte(r)), rest[n:]
				continue
			}
		}
		dst, rest = utf8.AppendRune(dst, r), rest[n:]
	}
	d.r.scratch = dst
	return end + 1, dst[start:len(dst):len(dst)], true
}

// goEscape returns the rune of an escape that Go has and JSON lacks, and its
// length. If raw, the rune is a byte.
func goEscape(b []byte) (r rune, n int, raw bool) {
	if len(b) < 2 {
		return 0, 0, false
	}
	switch b[1] {
	case 'a':
		return '\a', 2, false
	case 'v':
		return '\v', 2, false
	case '\'':
		return '\'', 2, false
	case 'x', 'U':
		n = 4
		if b[1] == 'U' {
			n = 10
		}
		if len(b) < n {
			return 0, 0, false
		}
		v, err := strconv.ParseUint(string(b[2:n]), 16, 32)
		if err != nil || v > utf8.MaxRune {
			return 0, 0, false
		}
		return rune(v), n, n == 4
	}
	return 0, 0, false
}
