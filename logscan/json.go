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

// maxNesting bounds the depth of values, as in encoding/json.
const maxNesting = 10000

// The errors name the problem and not its place, so that a malformed line costs
// no more than a good line.
var (
	errJSONEnd     = fmt.Errorf("%w: JSON: unexpected end of line", ErrMalformed)
	errJSONSyntax  = fmt.Errorf("%w: JSON: syntax error", ErrMalformed)
	errJSONObject  = fmt.Errorf("%w: JSON: not an object", ErrMalformed)
	errJSONTrail   = fmt.Errorf("%w: JSON: text after the object", ErrMalformed)
	errJSONString  = fmt.Errorf("%w: JSON: invalid string", ErrMalformed)
	errJSONNesting = fmt.Errorf("%w: JSON: nested too deeply", ErrMalformed)
)

type jsonParser struct {
	paths  []string
	fields []field // a field for each path, without a value
	firsts uint64  // sieves of the outermost keys that lead to a field
}

// JSON returns a parser for lines that are one JSON object each (RFC 8259).
//
// The fields are the values at the given paths. A path is the keys from the
// outermost to the innermost, joined with dots. A key may contain dots itself:
// the path "user.id" finds {"user":{"id":7}} and {"user.id":7}. Without paths,
// the fields are the members of the object, in their order.
//
// The value of a string is its text, without quotes and escapes. All other
// values are as in the line: 200, true, null, {"id":7}. If a key occurs twice,
// the last value counts: a second "user" removes the "id" of the first. Invalid
// UTF-8 in a string is kept; half of a surrogate pair becomes U+FFFD.
//
// The whole line is checked. If [encoding/json] does not accept it as an
// object, the record is malformed, even if the fault is outside the wanted
// values. A line that was cut at [Scanner.MaxLine] is therefore malformed.
func JSON(paths ...string) Parser {
	p := &jsonParser{paths: append([]string(nil), paths...)}
	if len(paths) == 0 {
		p.firsts = ^p.firsts
	}
	for _, path := range p.paths {
		p.fields = append(p.fields, field{name: path})
		for i := range len(path) + 1 { // a key may end at any dot
			if i == len(path) || path[i] == '.' {
				p.firsts |= sieve(path[:i])
			}
		}
	}
	return p
}

// sieve returns a single bit for a key. Keys with different bits are different,
// which saves the comparison of most keys with every path.
func sieve[S string | []byte](key S) uint64 {
	if len(key) == 0 {
		return 1
	}
	return 1 << ((uint(key[0]) + 5*uint(len(key))) % 64)
}

// Parse implements Parser.
func (p *jsonParser) Parse(r *Record) error {
	r.reset()
	r.fields = append(r.fields, p.fields...)
	d := jsonDecoder{b: r.Line, r: r, paths: p.paths, firsts: p.firsts, depth: 1}
	i, c := next(d.b, 0)
	if c != '{' {
		return errJSONObject
	}
	i, err := d.object(i, "")
	if err != nil {
		return err
	}
	if i, _ = next(d.b, i); i < len(d.b) {
		return errJSONTrail
	}
	return nil
}

// A jsonDecoder reads a line once. Its methods read the element at b[i] and
// return the index behind it. A field in place of i would be stored and loaded
// for every byte or two.
type jsonDecoder struct {
	b      []byte
	r      *Record
	paths  []string
	firsts uint64 // jsonParser.firsts
	depth  int    // objects that object has entered
}

// next skips white space, which most logs do not have, and returns the next
// byte and its index. At the end the byte is 0, which no JSON text contains
// there.
func next(b []byte, i int) (int, byte) {
	if i < len(b) && b[i] > ' ' {
		return i, b[i]
	}
	return afterSpace(b, i)
}

func afterSpace(b []byte, i int) (int, byte) {
	for ; i < len(b); i++ {
		if c := b[i]; c != ' ' && c != '\t' && c != '\r' && c != '\n' {
			return i, c
		}
	}
	return i, 0
}

// bad returns err, or errJSONEnd if the line is at its end.
func (d *jsonDecoder) bad(i int, err error) (int, error) {
	if i >= len(d.b) {
		return i, errJSONEnd
	}
	return i, err
}

// object reads an object with wanted fields. prefix is the part of their paths
// that led to the object. The recursion is as deep as the longest path.
func (d *jsonDecoder) object(i int, prefix string) (int, error) {
	i, c := next(d.b, i+1)
	if c == '}' {
		return i + 1, nil
	}
	for {
		if c != '"' {
			return d.bad(i, errJSONSyntax)
		}
		end, escaped, err := str(d.b, i+1)
		if err != nil {
			return end, err
		}
		key := d.b[i+1 : end]
		if escaped {
			key = d.unescape(key)
		}
		if i = end + 2; i >= len(d.b) || d.b[i-1] != ':' || d.b[i] <= ' ' {
			if i, err = d.colon(end + 1); err != nil {
				return i, err
			}
		}
		if i, err = d.member(i, key, prefix); err != nil {
			return i, err
		}
		if i, c = next(d.b, i); c == '}' {
			return i + 1, nil
		}
		if c != ',' {
			return d.bad(i, errJSONSyntax)
		}
		i, c = next(d.b, i+1)
	}
}

// colon reads a colon and the white space around it.
func (d *jsonDecoder) colon(i int) (int, error) {
	i, c := next(d.b, i)
	if c != ':' {
		return d.bad(i, errJSONSyntax)
	}
	if i, _ = next(d.b, i+1); i >= len(d.b) {
		return i, errJSONEnd
	}
	return i, nil
}

// member reads the value of key and, if it is wanted, sets the field.
func (d *jsonDecoder) member(i int, key []byte, prefix string) (end int, err error) {
	slot, below := -1, ""
	if prefix != "" || d.firsts&sieve(key) != 0 {
		slot, below = d.match(key, prefix)
	}
	c := d.b[i]
	switch {
	case c == '"':
		end, escaped, err := str(d.b, i+1)
		if err == nil && slot >= 0 {
			text := d.b[i+1 : end : end]
			if escaped {
				text = d.unescape(text)
			}
			d.set(slot, text, prefix)
		}
		return end + 1, err
	case c == '{' && below != "":
		d.depth++
		end, err = d.object(i, below)
		d.depth--
	default:
		end, err = d.skip(i, c)
	}
	if err == nil && slot >= 0 {
		d.set(slot, d.b[i:end:end], prefix)
	}
	return end, err
}

// set sets the field of a key that was found below prefix.
func (d *jsonDecoder) set(slot int, value []byte, prefix string) {
	f := &d.r.fields[slot]
	f.value, f.base = value, len(prefix)
}

// match returns the index of the field for key, or -1, and the prefix of the
// paths that continue below key, if any. The fields below key lose the values
// that they got from an earlier occurrence of key: the last occurrence counts.
// A key with a dot, such as "log.level", is not an occurrence of "log".
func (d *jsonDecoder) match(key []byte, prefix string) (slot int, below string) {
	if len(d.paths) == 0 {
		d.r.fields = append(d.r.fields, field{name: d.r.intern(key)})
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
			if f := &d.r.fields[i]; f.base > len(prefix) {
				f.value = nil
			}
		}
	}
	return slot, below
}

// key reads a key that is not wanted and its colon, up to the value.
func (d *jsonDecoder) key(i int, c byte) (int, error) {
	if c != '"' {
		return d.bad(i, errJSONSyntax)
	}
	end, _, err := str(d.b, i+1)
	if err != nil {
		return end, err
	}
	return d.colon(end + 1)
}

// skip reads a value without wanted parts that begins with c. It does not call
// itself but keeps the nesting as bits; a 1 is an object.
func (d *jsonDecoder) skip(i int, c byte) (int, error) {
	for depth := 0; ; {
		var err error
		if c != '{' && c != '[' {
			i, err = d.scalar(i, c)
		} else {
			var empty bool
			if i, empty, err = d.enter(i, c, depth); !empty && err == nil {
				depth++
				i, c = next(d.b, i)
				continue
			}
		}
		if depth == 0 || err != nil {
			return i, err
		}
		if i, depth, err = d.leave(i, depth); depth == 0 || err != nil {
			return i, err
		}
		i, c = next(d.b, i)
	}
}

// enter reads the beginning of an object or array, up to its first value. It
// reads an empty object or array whole.
func (d *jsonDecoder) enter(i int, c byte, depth int) (end int, empty bool, err error) {
	if d.depth+depth >= maxNesting {
		return i, false, errJSONNesting
	}
	i, first := next(d.b, i+1)
	if first == c+2 { // '}' or ']'
		return i + 1, true, nil
	}
	if depth/64 == len(d.r.nesting) {
		d.r.nesting = append(d.r.nesting, 0)
	}
	word, bit := &d.r.nesting[depth/64], uint64(1)<<(depth%64)
	if c == '[' {
		*word &^= bit
		return i, false, nil
	}
	*word |= bit
	i, err = d.key(i, first)
	return i, false, err
}

// leave reads the ends of the objects and arrays that a value completes, then a
// comma, up to the next value. It returns the number of objects and arrays that
// are still open.
func (d *jsonDecoder) leave(i, depth int) (int, int, error) {
	for ; depth > 0; depth-- {
		top := depth - 1
		inObject := d.r.nesting[top/64]>>(top%64)&1 == 1
		var c byte
		i, c = next(d.b, i)
		switch {
		case c == ',':
			var err error
			if i, c = next(d.b, i+1); inObject {
				i, err = d.key(i, c)
			}
			return i, depth, err
		case c == '}' && inObject, c == ']' && !inObject:
			i++
		default:
			i, err := d.bad(i, errJSONSyntax)
			return i, depth, err
		}
	}
	return i, 0, nil
}

// scalar reads a value that begins with c and is neither object nor array.
func (d *jsonDecoder) scalar(i int, c byte) (int, error) {
	switch c {
	case '"':
		end, _, err := str(d.b, i+1)
		return end + 1, err
	case 't':
		return d.word(i, "true")
	case 'f':
		return d.word(i, "false")
	case 'n':
		return d.word(i, "null")
	}
	return d.number(i)
}

func (d *jsonDecoder) word(i int, w string) (int, error) {
	end := i + len(w)
	if end > len(d.b) || string(d.b[i:end]) != w {
		return i, errJSONSyntax
	}
	return end, nil
}

// number reads -?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?
func (d *jsonDecoder) number(i int) (int, error) {
	b := d.b
	if i < len(b) && b[i] == '-' {
		i++
	}
	start := i
	if i = digits(b, i); i == start || i > start+1 && b[start] == '0' {
		return d.bad(i, errJSONSyntax)
	}
	if i < len(b) && b[i] == '.' {
		start = i + 1
		if i = digits(b, start); i == start {
			return d.bad(i, errJSONSyntax)
		}
	}
	if i < len(b) && b[i]|0x20 == 'e' {
		i++
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		start = i
		if i = digits(b, i); i == start {
			return d.bad(i, errJSONSyntax)
		}
	}
	return i, nil
}

// digits skips a run of digits.
func digits(b []byte, i int) int {
	for i < len(b) && digit(b[i]) {
		i++
	}
	return i
}

const ones, high = 0x0101010101010101, 0x8080808080808080

// str reads a string from its first byte b[i] up to the closing quote. It looks
// at eight bytes at a time. The high bit of a byte of w-n is set if the byte is
// less than n, and at random in the bytes above it (Warren, Hacker's Delight,
// 6-1).
func str(b []byte, i int) (end int, escaped bool, err error) {
	for {
		if i+8 <= len(b) {
			w := binary.LittleEndian.Uint64(b[i:])
			quote, slash := w^ones*'"', w^ones*'\\'
			ends := (quote - ones) &^ quote & high
			other := ((w-ones*' ')&^w | (slash-ones)&^slash) & high
			switch upTo := ends ^ (ends - 1); { // all bytes, if there is no quote
			case other&upTo != 0:
				i += bits.TrailingZeros64(other) / 8
			case ends != 0:
				return i + bits.TrailingZeros64(ends)/8, escaped, nil
			default:
				i += 8
				continue
			}
		}
		if i >= len(b) {
			return i, escaped, errJSONEnd
		}
		switch c := b[i]; {
		case c == '"':
			return i, escaped, nil
		case c == '\\':
			_, n := escape(b[i:])
			if n == 0 {
				return i, escaped, errJSONString
			}
			escaped = true
			i += n
		case c < ' ':
			return i, escaped, errJSONString
		default:
			i++
		}
	}
}

// escape returns the rune of the escape at the beginning of b and its length,
// or 0 for no escape. Half of a surrogate pair is not a rune: AppendRune makes
// it U+FFFD.
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

// hex4 returns the value of the escape \uXXXX at the beginning of b, or -1.
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

// unescape returns the text of a string that str has accepted, in the scratch
// of the record. The text is never longer than the string, so the scratch is
// never longer than the line.
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
