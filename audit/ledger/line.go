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
	maxLine = 1 << 20 // bytes of a line; an encoded event is much shorter

	// maxKeys bounds the keys of an object and the work of comparing them. The
	// encoder writes at most 256.
	maxKeys = 512

	// maxNesting bounds objects inside objects. The encoder writes at most 10.
	maxNesting = 32
)

// appendHead appends the beginning of a line, up to the fields of the event.
func appendHead(b []byte, seq uint64, prev Hash) []byte {
	b = append(b, `{"seq":`...)
	b = strconv.AppendUint(b, seq, 10)
	b = append(b, `,"prev":"`...)
	b = base64.StdEncoding.AppendEncode(b, prev[:])
	return append(b, `",`...)
}

// syncedPart ends the first line of a commit if all lines before it were
// durable.
const syncedPart = `,"synced":true}`

// A line starts with {"seq":N,"prev":"H", in which only N varies in length.
const (
	seqPart  = `{"seq":`
	prevPart = `,"prev":"`
	hashLen  = (len(Hash{}) + 2) / 3 * 4
	prevLen  = len(prevPart) + hashLen + len(`",`)
)

// bodyOf returns the index of the fields after the sequence number and prev. It
// returns -1 if the line does not start with these two.
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

// parseLine returns the sequence number and prev of a line. It reports whether
// this package could have written the line.
func parseLine(line []byte) (seq uint64, prev Hash, ok bool) {
	var p objectParser
	return p.parseLine(line)
}

// parseLine is the function parseLine with reused memory.
func (p *objectParser) parseLine(line []byte) (seq uint64, prev Hash, ok bool) {
	body := bodyOf(line)
	if body < 0 || len(line) > maxLine || line[len(line)-1] != '}' {
		return 0, prev, false
	}
	digits, text := line[len(seqPart):body-prevLen], line[body-len(`",`)-hashLen:body-len(`",`)]
	// At most 19 digits, so that no sum overflows.
	if len(digits) > 19 || (len(digits) > 1 && digits[0] == '0') || !decodeHash(&prev, text) {
		return 0, prev, false
	}
	seq, err := strconv.ParseUint(string(digits), 10, 64)
	if err != nil {
		return 0, prev, false
	}
	// Continue after the beginning, in an object with two keys.
	p.b, p.i, p.keys = line, body, append(p.keys[:0], line[2:5], line[body-prevLen+2:body-prevLen+6])
	if !p.members(0, 0) || p.i != len(line) {
		return 0, Hash{}, false
	}
	return seq, prev, true
}

// timeOf returns the time of a well-formed line, or the zero time.
func (p *objectParser) timeOf(line []byte) (t time.Time) {
	rest := line[bodyOf(line):]
	if own, ok := bytes.CutPrefix(rest, []byte(`"type":"`)); ok {
		rest = own[bytes.IndexByte(own, ',')+1:]
	}
	if rest, ok := bytes.CutPrefix(rest, []byte(`"time":"`)); ok {
		text, _, _ := bytes.Cut(rest, []byte{'"'})
		t = p.time(text)
	}
	return t
}

// time parses a time. It keeps the last minute, because consecutive lines are
// often of the same minute.
func (p *objectParser) time(text []byte) time.Time {
	const minute, whole = len("2006-01-02T15:04:"), len("2006-01-02T15:04:05.000000000Z")
	if len(text) == whole && string(text[:minute]) == p.minute && text[minute] < '6' && text[minute+2] == '.' && text[whole-1] == 'Z' {
		n := int64(0)
		for i, c := range text[minute : whole-1] {
			if i == 2 {
				continue
			}
			if c < '0' || c > '9' {
				return time.Time{}
			}
			n = n*10 + int64(c-'0')
		}
		return p.start.Add(time.Duration(n))
	}
	t, err := time.Parse(time.RFC3339Nano, string(text))
	if err == nil && len(text) == whole && text[whole-1] == 'Z' {
		p.minute, p.start = string(text[:minute]), t.Truncate(time.Minute)
	}
	return t
}

// An objectParser checks JSON in the only spelling that the encoder writes: no
// space between tokens, no control characters, and no object with the same key
// twice. Readers would not agree about the value of such a key.
type objectParser struct {
	b    []byte
	i    int
	keys [][]byte // of all open objects, the outermost first

	escaped bool // the last text contains an escape

	minute string    // of the last time, as text
	start  time.Time // of this minute
}

// next skips c if it is the next byte.
func (p *objectParser) next(c byte) bool {
	if p.i < len(p.b) && p.b[p.i] == c {
		p.i++
		return true
	}
	return false
}

// object checks an object.
func (p *objectParser) object(depth int) bool {
	if depth > maxNesting || !p.next('{') {
		return false
	}
	if p.next('}') {
		return true
	}
	return p.members(len(p.keys), depth)
}

// members checks the keys and values of an object and its end. The keys of the
// object start at index mine of p.keys.
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

// array checks an array.
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

// value checks a value inside depth objects and arrays.
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

// text checks a string. It accepts bytes that are not UTF-8: the hash is over
// bytes, and the encoder writes only UTF-8.
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

// plain contains the bytes that need no escape. A table is faster than four
// comparisons.
var plain = func() (t [256]bool) {
	for c := range t {
		t[c] = c >= 0x20 && c != 0x7f && c != '"' && c != '\\'
	}
	return t
}()

// escapeLen returns the length of the escape at the start of b, or 0.
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

// number checks a number by RFC 8259, which allows no leading zeros.
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

// digits skips digits and counts them.
func (p *objectParser) digits() (n int) {
	for p.i < len(p.b) && '0' <= p.b[p.i] && p.b[p.i] <= '9' {
		p.i++
		n++
	}
	return n
}

// plainKey decodes the escapes of a key, which can be written in several ways.
func plainKey(quoted []byte) []byte {
	var s string
	_ = json.Unmarshal(quoted, &s) // a valid string
	return []byte(s)
}

// contains searches linearly. Keys are few, see maxKeys, and a set would
// allocate.
func contains(keys [][]byte, key []byte) bool {
	for _, k := range keys {
		if len(k) == len(key) && string(k) == string(key) {
			return true
		}
	}
	return false
}

// A lineReader reads lines and their places, in bounded memory.
type lineReader struct {
	r    *bufio.Reader
	buf  []byte
	no   int   // number of the last line, from 1
	off  int64 // where it starts
	next int64 // where the next line starts
}

func newLineReader(r io.Reader) *lineReader {
	return &lineReader{r: bufio.NewReaderSize(r, 64<<10)}
}

// read returns the next line without its end, valid until the next call, and
// reports whether the line had an end. Of a line over maxLine it returns only
// so much that the line is still too long. The error is io.EOF if there are no
// more bytes.
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
