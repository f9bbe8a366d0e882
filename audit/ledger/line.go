package ledger

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"time"
)

const (
	maxLine = 1 << 20 // bytes of one line; an encoded event is far below

	// maxKeys bounds the keys of one object, and so the work of comparing them.
	// The encoder writes at most 256.
	maxKeys = 512

	// maxNesting bounds objects in objects. The encoder writes at most ten.
	maxNesting = 32
)

// appendHead begins a line; the rest of the event's object follows after it.
func appendHead(b []byte, seq uint64, prev Hash) []byte {
	b = append(b, `{"seq":`...)
	b = strconv.AppendUint(b, seq, 10)
	b = append(b, `,"prev":"`...)
	b = base64.StdEncoding.AppendEncode(b, prev[:])
	return append(b, `",`...)
}

// The beginning of a line is {"seq":N,"prev":"H", and only N varies in length.
const (
	seqPart  = `{"seq":`
	prevPart = `,"prev":"`
	hashLen  = (len(Hash{}) + 2) / 3 * 4
	prevLen  = len(prevPart) + hashLen + len(`",`)
)

// bodyOf is where the part of a line begins that comes from elsewhere, behind the
// two numbers; -1 if it does not begin with two.
func bodyOf(line []byte) int {
	if len(line) < len(seqPart) || string(line[:len(seqPart)]) != seqPart {
		return -1
	}
	i := len(seqPart) + bytes.IndexByte(line[len(seqPart):], ',')
	if body := i + prevLen; i >= len(seqPart) && body <= len(line) &&
		string(line[i:i+len(prevPart)]) == prevPart && string(line[body-len(`",`):body]) == `",` {
		return body
	}
	return -1
}

// parseLine reads the two numbers that chain a line, and reports whether the
// whole line is one that this package could have written.
func parseLine(line []byte) (seq uint64, prev Hash, ok bool) {
	var p objectParser
	return p.parseLine(line)
}

// parseLine is the same for many lines in a row, in the memory of the first.
func (p *objectParser) parseLine(line []byte) (seq uint64, prev Hash, ok bool) {
	body := bodyOf(line)
	if body < 0 || len(line) > maxLine || line[len(line)-1] != '}' {
		return 0, prev, false
	}
	digits, text := line[len(seqPart):body-prevLen], line[body-len(`",`)-hashLen:body-len(`",`)]
	// Nineteen digits: no log gets there, and no sum with such a number overflows.
	if len(digits) > 19 || (len(digits) > 1 && digits[0] == '0') || !decodeHash(&prev, text) {
		return 0, prev, false
	}
	seq, err := strconv.ParseUint(string(digits), 10, 64)
	if err != nil {
		return 0, prev, false
	}
	// The beginning is checked: go on behind it, in an object with two keys.
	p.b, p.i, p.keys = line, body, append(p.keys[:0], line[2:5], line[body-prevLen+2:body-prevLen+6])
	if !p.members(0, 0) || p.i != len(line) {
		return 0, Hash{}, false
	}
	return seq, prev, true
}

// timeOf is the time that a well-formed line of an event or of this package names,
// zero if it names none.
func timeOf(line []byte) (t time.Time) {
	rest := line[bodyOf(line):]
	if own, ok := bytes.CutPrefix(rest, []byte(`"type":"`)); ok {
		rest = own[bytes.IndexByte(own, ',')+1:]
	}
	if rest, ok := bytes.CutPrefix(rest, []byte(`"time":"`)); ok {
		text, _, _ := bytes.Cut(rest, []byte{'"'})
		t, _ = time.Parse(time.RFC3339Nano, string(text))
	}
	return t
}

// objectParser checks JSON in the one spelling that the encoder writes: no space
// between tokens, no control character anywhere, and no object with one key twice,
// of which readers would not agree what it says.
type objectParser struct {
	b    []byte
	i    int
	keys [][]byte // of all open objects, outermost first

	escaped bool // the last text has an escape
}

// next takes c, if that is what comes.
func (p *objectParser) next(c byte) bool {
	if p.i < len(p.b) && p.b[p.i] == c {
		p.i++
		return true
	}
	return false
}

// object checks an object, from its brace on.
func (p *objectParser) object(depth int) bool {
	if depth > maxNesting || !p.next('{') {
		return false
	}
	if p.next('}') {
		return true
	}
	return p.members(len(p.keys), depth)
}

// members checks the keys and values of an object, of whose keys the ones from mine
// on have been read, and its end.
func (p *objectParser) members(mine, depth int) bool {
	for {
		start := p.i
		if !p.text() {
			return false
		}
		key := p.b[start+1 : p.i-1]
		if p.escaped {
			key = plainKey(p.b[start:p.i])
		}
		if len(p.keys)-mine == maxKeys || contains(p.keys[mine:], key) {
			return false
		}
		p.keys = append(p.keys, key)
		if !p.next(':') || !p.value(depth+1) {
			return false
		}
		if p.next('}') {
			p.keys = p.keys[:mine]
			return true
		}
		if !p.next(',') {
			return false
		}
	}
}

// array checks an array, from its bracket on.
func (p *objectParser) array(depth int) bool {
	if depth > maxNesting || !p.next('[') {
		return false
	}
	if p.next(']') {
		return true
	}
	for p.value(depth + 1) {
		if p.next(']') {
			return true
		}
		if !p.next(',') {
			return false
		}
	}
	return false
}

// value checks any value; depth is that of the objects and arrays around it.
func (p *objectParser) value(depth int) bool {
	if p.i == len(p.b) {
		return false
	}
	switch p.b[p.i] {
	case '"':
		return p.text()
	case '{':
		return p.object(depth)
	case '[':
		return p.array(depth)
	case 't':
		return p.word("true")
	case 'f':
		return p.word("false")
	case 'n':
		return p.word("null")
	}
	return p.number()
}

func (p *objectParser) word(w string) bool {
	if len(p.b)-p.i < len(w) || string(p.b[p.i:p.i+len(w)]) != w {
		return false
	}
	p.i += len(w)
	return true
}

// text checks a string. Bytes that are no UTF-8 pass: the hash is over bytes, and
// the encoder writes none.
func (p *objectParser) text() bool {
	if p.escaped = false; !p.next('"') {
		return false
	}
	for i := p.i; i < len(p.b); i++ {
		if plain[p.b[i]] {
			continue
		}
		switch p.b[i] {
		case '"':
			p.i = i + 1
			return true
		case '\\':
			p.escaped = true
			n := escapeLen(p.b[i:])
			if n == 0 {
				return false
			}
			i += n - 1
		default:
			return false
		}
	}
	return false
}

// plain are the bytes that stand for themselves in a text. Nearly all are, and one
// look in a table is half the work of four comparisons.
var plain = func() (t [256]bool) {
	for c := range t {
		t[c] = c >= 0x20 && c != 0x7f && c != '"' && c != '\\'
	}
	return t
}()

// escapeLen is the length of the escape that b begins with, 0 if it is none.
func escapeLen(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	switch b[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if len(b) < 6 {
			return 0
		}
		for _, c := range b[2:6] {
			if (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'f') {
				return 0
			}
		}
		return 6
	}
	return 0
}

// number checks a number by the grammar of RFC 8259, which knows no leading zeros.
func (p *objectParser) number() bool {
	p.next('-')
	if !p.next('0') && p.digits() == 0 {
		return false
	}
	if p.next('.') && p.digits() == 0 {
		return false
	}
	if p.next('e') || p.next('E') {
		if !p.next('+') {
			p.next('-')
		}
		return p.digits() > 0
	}
	return true
}

// digits takes the digits that come and counts them.
func (p *objectParser) digits() (n int) {
	for p.i < len(p.b) && '0' <= p.b[p.i] && p.b[p.i] <= '9' {
		p.i++
		n++
	}
	return n
}

// plainKey undoes escapes, because one key can be spelled in several ways.
func plainKey(quoted []byte) []byte {
	var s string
	_ = json.Unmarshal(quoted, &s) // it is a valid string
	return []byte(s)
}

// contains compares one by one: keys are few, see maxKeys, and a set would cost an
// allocation for every object.
func contains(keys [][]byte, key []byte) bool {
	for _, k := range keys {
		if bytes.Equal(k, key) {
			return true
		}
	}
	return false
}

// lineReader yields lines with their places, in bounded memory.
type lineReader struct {
	r    *bufio.Reader
	buf  []byte
	no   int   // number of the line last read, from 1
	off  int64 // where it begins
	next int64 // where the one after it begins
}

func newLineReader(r io.Reader) *lineReader {
	return &lineReader{r: bufio.NewReaderSize(r, 64<<10)}
}

// read returns the next line without its end, valid until the next call, and
// whether it had an end. What is over maxLine is dropped, all but one byte, so
// that the line is still too long. The error is io.EOF only when nothing is left.
func (l *lineReader) read() (line []byte, whole bool, err error) {
	l.buf = l.buf[:0]
	l.no++
	l.off = l.next
	for {
		part, err := l.r.ReadSlice('\n')
		l.next += int64(len(part))
		l.buf = append(l.buf, part[:min(len(part), maxLine+2-len(l.buf))]...)
		switch {
		case err == nil:
			return bytes.TrimSuffix(l.buf, []byte{'\n'}), true, nil
		case errors.Is(err, io.EOF) && len(l.buf) > 0:
			return l.buf, false, nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, false, err
		}
	}
}
