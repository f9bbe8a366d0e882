package logscan

import (
	"bytes"
	"io"
	"math"
)

const bom = "\xef\xbb\xbf"

var newline = []byte{'\n'}

// lines cuts a stream into lines. It reads block by block and returns views of
// its buffer. Only the unfinished line at the end of a block is moved.
type lines struct {
	src        io.Reader
	limit      int    // bytes of the longest line returned
	buf        []byte // buf[start:end] is read and not yet returned
	start, end int
	off        int64 // offset of buf[start] in the stream
	err        error // of src, sticky; io.EOF at a regular end

	require []needle // lines with none of these may be passed over
	until   int64    // no line that begins here or later is wanted; the caller checks it, too
	whole   int64    // offset behind the last whole line in the buffer
	passed  uint64   // lines passed over
}

// reset makes l read src, whose first byte has the given offset. A byte order
// mark is skipped only at the beginning of a stream.
func (l *lines) reset(src io.Reader, limit int, off int64) {
	*l = lines{src: src, limit: limit, buf: l.buf, off: off, require: l.require, until: math.MaxInt64}
	for i := range l.require {
		l.require[i].next = 0
	}
	if off > 0 {
		return
	}
	// Read on only while the bytes agree: otherwise a pipe with fewer than
	// three bytes would block the scan.
	for l.err == nil && l.end < len(bom) && string(l.buf[:l.end]) == bom[:l.end] {
		l.fill()
	}
	if l.end >= len(bom) && string(l.buf[:len(bom)]) == bom {
		l.start, l.off = len(bom), int64(len(bom))
	}
}

// next sets r to the next line. If there is none, it reports false, and l.err
// is the reason.
func (l *lines) next(r *Record) bool {
	if len(l.require) > 0 {
		if l.pass(r); l.off >= l.until {
			return false
		}
	}
	line := l.buf[l.start:l.end]
	n := bytes.IndexByte(line, '\n')
	if n < 0 || n > l.limit {
		return l.refill(r)
	}
	// The usual line, which is not cut: emit without its tests.
	l.start += n + 1
	r.Offset = l.off
	l.off += int64(n) + 1
	r.Next = l.off
	if n > 0 && line[n-1] == '\r' {
		n--
	}
	r.Line = line[:n:n]
	r.Num++
	r.Dropped, r.Partial = 0, false
	return true
}

// pass passes over the whole lines in the buffer before the first line with a
// literal. It only saves time: it sees neither the unfinished line at the end
// of the buffer nor the place where a line is cut.
func (l *lines) pass(r *Record) {
	data := l.buf[l.start:l.end]
	if l.off >= l.whole {
		l.whole = l.off + int64(bytes.LastIndexByte(data, '\n')+1)
	}
	whole := int(l.whole - l.off)
	if whole == 0 {
		return
	}
	if rest := l.until - l.off; 0 < rest && rest < int64(whole) { // a line that begins later is counted elsewhere
		whole = int(rest) + bytes.IndexByte(data[rest-1:whole], '\n')
	}
	at := whole
	for i := range l.require {
		at = min(at, l.require[i].find(data[:whole], l.off))
	}
	if at < whole {
		at = bytes.LastIndexByte(data[:at], '\n') + 1
	}
	n := bytes.Count(data[:at], newline)
	l.passed += uint64(n)
	r.Num += int64(n)
	l.start += at
	l.off += int64(at)
}

// refill is next if the buffer has no whole line, or a line that may be cut.
func (l *lines) refill(r *Record) bool {
	if i := bytes.IndexByte(l.buf[l.start:l.end], '\n'); i >= 0 {
		l.emit(r, i, true)
		return true
	}
	for l.err == nil {
		searched := l.end - l.start
		if searched > l.limit {
			l.long(r)
			return true
		}
		l.fill()
		if i := bytes.IndexByte(l.buf[searched:l.end], '\n'); i >= 0 {
			l.emit(r, searched+i, true)
			return true
		}
	}
	if l.start == l.end {
		return false
	}
	l.emit(r, l.end-l.start, false)
	return true
}

// emit returns the next n bytes as a line. If ended, a newline follows them.
func (l *lines) emit(r *Record, n int, ended bool) {
	cr := n > 0 && l.buf[l.start+n-1] == '\r'
	l.describe(r, int64(n), cr, ended)
	l.start += n
	if ended {
		l.start++
	}
}

// long returns the first limit bytes of a line that is longer, or that has a
// "\r" behind them. They stay at the front of the buffer while the rest of the
// line is read behind them.
func (l *lines) long(r *Record) {
	l.compact()
	n, cr, stop := int64(l.end), l.buf[l.end-1] == '\r', -1
	for stop < 0 && l.err == nil {
		l.end = l.limit
		l.fill()
		rest := l.buf[l.limit:l.end]
		if stop = bytes.IndexByte(rest, '\n'); stop >= 0 {
			rest = rest[:stop]
		}
		if n += int64(len(rest)); len(rest) > 0 {
			cr = rest[len(rest)-1] == '\r'
		}
	}
	l.describe(r, n, cr, stop >= 0)
	l.start = l.end
	if stop >= 0 {
		l.start = l.limit + stop + 1
	}
}

// describe sets r to the line of n bytes at l.start. cr reports whether the
// last of them is a "\r", which belongs to the terminator. That also holds at
// the end of the input, where only the newline is missing.
func (l *lines) describe(r *Record, n int64, cr, ended bool) {
	size := n
	if cr {
		size--
	}
	keep := min(size, int64(l.limit))
	end := l.start + int(keep)
	r.Line = l.buf[l.start:end:end]
	r.Num++
	r.Offset = l.off
	l.off += n
	if ended {
		l.off++
	}
	r.Next = l.off
	r.Dropped = size - keep
	r.Partial = !ended
}

// compact moves the unread bytes to the front of the buffer.
func (l *lines) compact() {
	if l.start > 0 {
		l.end = copy(l.buf, l.buf[l.start:l.end])
		l.start = 0
	}
}

// fill compacts the buffer and reads into a block or more of free room. At most
// limit bytes are unread, which bounds the buffer.
func (l *lines) fill() {
	l.compact()
	if need := l.end + blockSize; len(l.buf) < need {
		buf := make([]byte, max(need, min(2*len(l.buf), l.limit+blockSize)))
		copy(buf, l.buf[:l.end])
		l.buf = buf
	}
	for range 100 { // empty reads, as in bufio
		n, err := l.src.Read(l.buf[l.end:])
		l.end += n
		l.err = err
		if n > 0 || err != nil {
			return
		}
	}
	l.err = io.ErrNoProgress
}

// seek skips to the byte behind the next newline. If there is none, it reports
// false.
func (l *lines) seek() bool {
	var none Record
	req := l.require
	l.require = nil
	ok := l.next(&none) && !none.Partial
	l.require = req
	return ok
}
