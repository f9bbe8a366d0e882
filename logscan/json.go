package logscan

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/bits"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// maxNesting is how deep the values of a line may be nested, as in encoding/json.
const maxNesting = 10000

// The errors say what is wrong, not where, so that a malformed line costs no
// more than a good one.
var (
	errJSONEnd     = fmt.Errorf("%w: JSON: unexpected end of line", ErrMalformed)
	errJSONSyntax  = fmt.Errorf("%w: JSON: syntax error", ErrMalformed)
	errJSONObject  = fmt.Errorf("%w: JSON: not an object", ErrMalformed)
	errJSONTrail   = fmt.Errorf("%w: JSON: text after the object", ErrMalformed)
	errJSONString  = fmt.Errorf("%w: JSON: invalid string", ErrMalformed)
	errJSONNesting = fmt.Errorf("%w: JSON: nested too deeply", ErrMalformed)
)

type jsonParser struct {
	paths []string
}

// JSON returns a parser for lines that are one JSON object each (RFC 8259).
//
// The fields are the values at the given paths; a path is the keys from the outermost in,
// joined with dots, and where a key has dots itself it is found all the same:
// "user.id" is both {"user":{"id":7}} and {"user.id":7}. Without paths the
// fields are the members of the object, in their order.
//
// The value of a string is its text, without quotes and escapes; of all else, what
// the line has: 200, true, null, {"id":7}. Of a key that occurs twice, the last
// counts. Invalid UTF-8 in a string is kept as it is; half of a surrogate pair becomes
// U+FFFD.
//
// The whole line is checked: one that encoding/json does not accept as an
// object is malformed, whether the fault is in a value that is wanted or not. A line
// longer than MaxLine, of which the end is missing, is therefore malformed.
func JSON(paths ...string) Parser {
	return &jsonParser{append([]string(nil), paths...)}
}

// Parse implements Parser.
func (p *jsonParser) Parse(r *Record) error {
	r.reset()
	for _, path := range p.paths {
		r.Set(path, nil)
	}
	d := jsonDecoder{b: r.Line, r: r, paths: p.paths, depth: 1}
	if d.next() != '{' {
		return errJSONObject
	}
	if err := d.object(""); err != nil {
		return err
	}
	if d.next(); d.i < len(d.b) {
		return errJSONTrail
	}
	return nil
}

// A jsonDecoder goes over a line once, from b[i] on.
type jsonDecoder struct {
	b     []byte
	i     int
	r     *Record
	paths []string
	depth int // objects that object has entered
}

// next skips white space and returns the byte after it, 0 at the end. No JSON
// text has a 0 there.
func (d *jsonDecoder) next() byte {
	for ; d.i < len(d.b); d.i++ {
		if c := d.b[d.i]; c != ' ' && c != '\t' && c != '\r' && c != '\n' {
			return c
		}
	}
	return 0
}

// bad returns err, or that the line is at its end.
func (d *jsonDecoder) bad(err error) error {
	if d.i >= len(d.b) {
		return errJSONEnd
	}
	return err
}

// object reads an object of which fields are wanted. prefix is the part of their
// paths that has led here. It calls itself once per key of a path, no deeper.
func (d *jsonDecoder) object(prefix string) error {
	d.i++
	if d.next() == '}' {
		d.i++
		return nil
	}
	for {
		key, escaped, err := d.key()
		if err != nil {
			return err
		}
		if escaped {
			key = d.unescape(key)
		}
		if err := d.member(key, prefix); err != nil {
			return err
		}
		switch d.next() {
		case ',':
			d.i++
			d.next()
		case '}':
			d.i++
			return nil
		default:
			return d.bad(errJSONSyntax)
		}
	}
}

// member reads the value of key, and sets the field when it is one.
func (d *jsonDecoder) member(key []byte, prefix string) error {
	slot, below := d.match(key, prefix)
	start := d.i
	if d.b[d.i] == '"' {
		text, escaped, err := d.str()
		if err == nil && slot >= 0 {
			if escaped {
				text = d.unescape(text)
			}
			d.r.fields[slot].value = text
		}
		return err
	}
	var err error
	if below != "" && d.b[d.i] == '{' {
		d.depth++
		err = d.object(below)
		d.depth--
	} else {
		err = d.skip()
	}
	if err == nil && slot >= 0 {
		d.r.fields[slot].value = d.b[start:d.i:d.i]
	}
	return err
}

// match returns the index of the field that key is, or -1, and the prefix of
// the paths that go on below key, if any. The values such fields have from an
// earlier occurrence of key are taken away: they are not in the last one.
func (d *jsonDecoder) match(key []byte, prefix string) (slot int, below string) {
	if len(d.paths) == 0 {
		d.r.Set(d.r.intern(key), nil)
		return len(d.r.fields) - 1, ""
	}
	slot = -1
	for i, path := range d.paths {
		end := len(prefix) + len(key)
		if len(path) < end || path[len(prefix):end] != string(key) || path[:len(prefix)] != prefix {
			continue
		}
		if len(path) == end {
			slot = i
		} else if path[end] == '.' {
			below = path[:end+1]
			d.r.fields[i].value = nil
		}
	}
	return slot, below
}

// key reads a key and its colon, up to the value.
func (d *jsonDecoder) key() (key []byte, escaped bool, err error) {
	if d.i >= len(d.b) || d.b[d.i] != '"' {
		return nil, false, d.bad(errJSONSyntax)
	}
	if key, escaped, err = d.str(); err != nil {
		return nil, false, err
	}
	if d.next() != ':' {
		return nil, false, d.bad(errJSONSyntax)
	}
	d.i++
	if d.next(); d.i >= len(d.b) {
		return nil, false, errJSONEnd
	}
	return key, escaped, nil
}

// skipKey reads a key that is not wanted.
func (d *jsonDecoder) skipKey() error {
	_, _, err := d.key()
	return err
}

// skip reads a value of which no part is wanted. It keeps the nesting as bits,
// 1 for an object, in place of calling itself.
func (d *jsonDecoder) skip() error {
	for depth := 0; ; {
		c := d.next()
		if c != '{' && c != '[' {
			if err := d.scalar(c); err != nil {
				return err
			}
		} else if empty, err := d.enter(c, depth); err != nil {
			return err
		} else if !empty {
			depth++
			continue
		}
		var err error
		if depth, err = d.leave(depth); depth == 0 || err != nil {
			return err
		}
	}
}

// enter reads the beginning of an object or array, up to its first value, or
// all of it when it is empty.
func (d *jsonDecoder) enter(c byte, depth int) (empty bool, err error) {
	if d.depth+depth >= maxNesting {
		return false, errJSONNesting
	}
	d.i++
	if d.next() == c+2 { // '}' or ']'
		d.i++
		return true, nil
	}
	if depth/64 == len(d.r.nesting) {
		d.r.nesting = append(d.r.nesting, 0)
	}
	word, bit := &d.r.nesting[depth/64], uint64(1)<<(depth%64)
	if c == '[' {
		*word &^= bit
		return false, nil
	}
	*word |= bit
	return false, d.skipKey()
}

// leave reads what follows a value: the ends of the objects and arrays it is
// the last of, then a comma and the way to the next value. It returns how many are
// still open.
func (d *jsonDecoder) leave(depth int) (int, error) {
	for ; depth > 0; depth-- {
		top := depth - 1
		inObject := d.r.nesting[top/64]>>(top%64)&1 == 1
		switch c := d.next(); {
		case c == ',':
			d.i++
			if d.next(); inObject {
				return depth, d.skipKey()
			}
			return depth, nil
		case c == '}' && inObject, c == ']' && !inObject:
			d.i++
		default:
			return depth, d.bad(errJSONSyntax)
		}
	}
	return 0, nil
}

// scalar reads a value that begins with c and is neither object nor array.
func (d *jsonDecoder) scalar(c byte) error {
	switch c {
	case '"':
		_, _, err := d.str()
		return err
	case 't':
		return d.word("true")
	case 'f':
		return d.word("false")
	case 'n':
		return d.word("null")
	}
	return d.number()
}

func (d *jsonDecoder) word(w string) error {
	if end := d.i + len(w); end > len(d.b) || string(d.b[d.i:end]) != w {
		return errJSONSyntax
	}
	d.i += len(w)
	return nil
}

// number reads -?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?
func (d *jsonDecoder) number() error {
	d.accept('-', '-')
	if !d.accept('0', '0') && !d.digits() {
		return d.bad(errJSONSyntax)
	}
	if d.accept('.', '.') && !d.digits() {
		return d.bad(errJSONSyntax)
	}
	if d.accept('e', 'E') {
		d.accept('+', '-')
		if !d.digits() {
			return d.bad(errJSONSyntax)
		}
	}
	return nil
}

// accept reads one byte if it is a or b.
func (d *jsonDecoder) accept(a, b byte) bool {
	ok := d.i < len(d.b) && (d.b[d.i] == a || d.b[d.i] == b)
	if ok {
		d.i++
	}
	return ok
}

// digits reads a run of digits and reports whether there was any.
func (d *jsonDecoder) digits() bool {
	start := d.i
	for d.i < len(d.b) && d.b[d.i]-'0' <= 9 {
		d.i++
	}
	return d.i > start
}

// str reads a string and returns what is between the quotes.
func (d *jsonDecoder) str() (text []byte, escaped bool, err error) {
	b, start := d.b, d.i+1
	for i := plain(b, start); i < len(b); i++ {
		switch c := b[i]; {
		case c == '"':
			d.i = i + 1
			return b[start:i:i], escaped, nil
		case c == '\\':
			escaped = true
			_, n := escape(b[i:])
			if n == 0 {
				return nil, false, errJSONString
			}
			i = plain(b, i+n) - 1
		case c < ' ':
			return nil, false, errJSONString
		}
	}
	return nil, false, errJSONEnd
}

// plain returns the index of the first byte from b[i] on that may not stand for
// itself in a string. It looks at eight bytes at a time: the high bit of a byte
// of w-n is set when the byte is less than n, and in bytes above such a one at
// random (Warren, Hacker's Delight, 6-1). The last seven bytes are not looked at.
func plain(b []byte, i int) int {
	const ones, high = 0x0101010101010101, 0x8080808080808080
	for ; i+8 <= len(b); i += 8 {
		w := binary.LittleEndian.Uint64(b[i:])
		quote, slash := w^ones*'"', w^ones*'\\'
		special := ((w-ones*' ')&^w | (quote-ones)&^quote | (slash-ones)&^slash) & high
		if special != 0 {
			return i + bits.TrailingZeros64(special)/8
		}
	}
	return i
}

// escape returns what the escape that b begins with stands for, and its length,
// 0 when it is none. Half of a surrogate pair is no rune: AppendRune makes it
// U+FFFD.
func escape(b []byte) (r rune, n int) {
	if r = hex4(b); r >= 0 {
		if pair := utf16.DecodeRune(r, hex4(b[6:])); pair != utf8.RuneError {
			return pair, 12
		}
		return r, 6
	}
	if len(b) < 2 {
		return 0, 0
	}
	i := strings.IndexByte(`"\/bfnrt`, b[1])
	if i < 0 {
		return 0, 0
	}
	return rune("\"\\/\b\f\n\r\t"[i]), 2
}

// hex4 returns the value of the escape \uXXXX that b begins with, or -1.
func hex4(b []byte) rune {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return -1
	}
	var v [2]byte
	if _, err := hex.Decode(v[:], b[2:6]); err != nil {
		return -1
	}
	return rune(v[0])<<8 | rune(v[1])
}

// unescape returns the text of a string that str has found good, in the scratch
// of the record. It is never longer than the string, so neither is the scratch
// longer than the line.
func (d *jsonDecoder) unescape(b []byte) []byte {
	dst := d.r.scratch
	start := len(dst)
	for len(b) > 0 {
		n := bytes.IndexByte(b, '\\')
		if n == 0 {
			var r rune
			r, n = escape(b)
			dst = utf8.AppendRune(dst, r)
		} else {
			if n < 0 {
				n = len(b)
			}
			dst = append(dst, b[:n]...)
		}
		b = b[n:]
	}
	d.r.scratch = dst
	return dst[start:len(dst):len(dst)]
}
