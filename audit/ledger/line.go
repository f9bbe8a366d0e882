package ledger

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"strconv"
)

const (
	segmentName = "00000000000000000000.jsonl"
	maxLine     = 1 << 20 // bytes of one line; an encoded event is far below

	// maxKeys bounds the keys of one object, and so the work of comparing them.
	// The encoder writes at most 256.
	maxKeys = 512
)

// appendHead begins a line; the rest of the event's object follows after it.
func appendHead(b []byte, seq uint64, prev Hash) []byte {
	b = append(b, `{"seq":`...)
	b = strconv.AppendUint(b, seq, 10)
	b = append(b, `,"prev":"`...)
	b = base64.StdEncoding.AppendEncode(b, prev[:])
	return append(b, `",`...)
}

// parseLine reads the two numbers that chain a line, and reports whether the
// whole line is one that this package could have written.
func parseLine(line []byte) (seq uint64, prev Hash, ok bool) {
	rest, ok := bytes.CutPrefix(line, []byte(`{"seq":`))
	if !ok || len(line) > maxLine || line[len(line)-1] != '}' {
		return 0, prev, false
	}
	digits, rest, ok := bytes.Cut(rest, []byte(`,"prev":"`))
	if !ok || len(digits) > 20 || (len(digits) > 1 && digits[0] == '0') {
		return 0, prev, false
	}
	seq, err := strconv.ParseUint(string(digits), 10, 64)
	text, _, ok := bytes.Cut(rest, []byte(`",`))
	if err != nil || !ok || !decodeHash(&prev, text) {
		return 0, prev, false
	}
	if !isPlain(line) || !json.Valid(line) || repeatsKey(line) {
		return 0, Hash{}, false
	}
	return seq, prev, true
}

// isPlain reports whether line is free of control characters. JSON allows some
// between its tokens; the encoder writes none.
func isPlain(line []byte) bool {
	for _, c := range line {
		if c < 0x20 || c == 0x7f {
			return false
		}
	}
	return true
}

// repeatsKey reports whether any object in the valid JSON of line has one key
// twice, or more than maxKeys: readers would not agree on what it says.
func repeatsKey(line []byte) bool {
	var keyRoom [32][]byte
	var openRoom [16]int
	keys := keyRoom[:0]  // of all open objects, outermost first
	open := openRoom[:0] // where the keys of each open object or array begin
	for i := 0; i < len(line); i++ {
		switch line[i] {
		case '{', '[':
			open = append(open, len(keys))
		case '}', ']':
			keys = keys[:open[len(open)-1]]
			open = open[:len(open)-1]
		case '"':
			end := stringEnd(line, i)
			if end < len(line) && line[end] == ':' {
				mine := keys[open[len(open)-1]:]
				key := plainKey(line[i:end])
				if len(mine) == maxKeys || contains(mine, key) {
					return true
				}
				keys = append(keys, key)
			}
			i = end - 1
		}
	}
	return false
}

// stringEnd returns the index after the string that begins at line[i].
func stringEnd(line []byte, i int) int {
	for i++; line[i] != '"'; i++ {
		if line[i] == '\\' {
			i++
		}
	}
	return i + 1
}

// plainKey undoes escapes, because one key can be spelled in several ways.
func plainKey(quoted []byte) []byte {
	if bytes.IndexByte(quoted, '\\') < 0 {
		return quoted[1 : len(quoted)-1]
	}
	var s string
	_ = json.Unmarshal(quoted, &s) // the line is valid JSON, so this is a string
	return []byte(s)
}

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
