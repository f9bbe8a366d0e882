package logscan

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"slices"
)

var errLogfmt = fmt.Errorf("%w: logfmt", ErrMalformed)

type logfmtParser struct{ keys []string }

// Logfmt returns a parser for lines of key=value pairs, separated by spaces. A
// value is a word, or a string in quotes with the escapes of JSON. It is empty
// after "key=" and for a key without "=". The fields are the given keys or,
// without keys, all pairs in their order.
//
// A line is malformed if a pair begins with "=", if a key or an unquoted value
// contains a quote, or if a quote is not closed.
func Logfmt(keys ...string) Parser { return &logfmtParser{slices.Clone(keys)} }

// Parse implements Parser.
func (p *logfmtParser) Parse(r *Record) error {
	r.reset()
	d := jsonDecoder{b: r.Line, r: r}
	for i, b := 0, r.Line; ; {
		for i < len(b) && b[i] <= ' ' {
			i++
		}
		if i == len(b) {
			return nil
		}
		start := i
		i = bareKey(b, i)
		key, value := b[start:i], b[i:i:i]
		if i < len(b) && b[i] == '=' {
			var ok bool
			if i, value, ok = d.logfmtValue(i + 1); !ok {
				return errLogfmt
			}
		}
		if len(key) == 0 || i < len(b) && b[i] > ' ' {
			return errLogfmt
		}
		p.set(r, key, value)
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

// logfmtValue reads the value behind "=".
func (d *jsonDecoder) logfmtValue(i int) (end int, text []byte, ok bool) {
	if i == len(d.b) || d.b[i] != '"' {
		end = bareValue(d.b, i)
		return end, d.b[i:end:end], true
	}
	end, escaped, err := str(d.b, i+1)
	if err != nil {
		return end, nil, false
	}
	if text = d.b[i+1 : end : end]; escaped {
		text = d.unescape(text)
	}
	return end + 1, text, true
}
