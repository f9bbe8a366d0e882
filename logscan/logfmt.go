package logscan

import (
	"fmt"
	"slices"
)

var errLogfmt = fmt.Errorf("%w: logfmt", ErrMalformed)

type logfmtParser struct{ keys []string }

// Logfmt returns a parser for lines of key=value pairs, separated by spaces. A
// value is a word or a string in quotes with the escapes of JSON; it is empty
// after "key=" and for a key alone. The fields are those of the given keys, or
// without any all, in their order. A line is malformed where a pair begins with
// "=", a key or a bare value contains a quote, or a quote is not closed.
func Logfmt(keys ...string) Parser { return &logfmtParser{slices.Clone(keys)} }

// Parse implements Parser.
func (p *logfmtParser) Parse(r *Record) error {
	r.reset()
	d := jsonDecoder{b: r.Line, r: r}
	for {
		for d.i < len(d.b) && d.b[d.i] <= ' ' {
			d.i++
		}
		if d.i == len(d.b) {
			return nil
		}
		key := d.bare(true)
		value := d.b[d.i:d.i:d.i]
		if d.accept('=', '=') {
			var ok bool
			if value, ok = d.logfmtValue(); !ok {
				return errLogfmt
			}
		}
		if len(key) == 0 || d.i < len(d.b) && d.b[d.i] > ' ' {
			return errLogfmt
		}
		p.set(r, key, value)
	}
}

// set sets the field if it is wanted.
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

// bare reads a word up to a space, a quote or, in a key, a "=".
func (d *jsonDecoder) bare(key bool) []byte {
	b := d.b[d.i:]
	i := 0
	for i < len(b) && b[i] > ' ' && b[i] != '"' && (b[i] != '=' || !key) {
		i++
	}
	d.i += i
	return b[:i:i]
}

// logfmtValue reads what follows "=".
func (d *jsonDecoder) logfmtValue() ([]byte, bool) {
	if d.i == len(d.b) || d.b[d.i] != '"' {
		return d.bare(false), true
	}
	text, escaped, err := d.str()
	if err == nil && escaped {
		text = d.unescape(text)
	}
	return text, err == nil
}
