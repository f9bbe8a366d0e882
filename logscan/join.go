package logscan

import (
	"bytes"
	"context"
)

const defaultMaxJoined = 1000

// A Joiner makes one record of several lines: a first line, for which Start
// reports true, and the lines up to the next first line. It joins them with
// "\n". [Scanner.MaxLine] bounds the record. Lines before the first such line
// are records of their own.
type Joiner struct {
	// Start reports whether line is the first line of a record. It must
	// depend on line alone and must not keep it. [Reduce] and [Map] call it
	// from several goroutines at once. Nil means every line that is not
	// empty and does not begin with a space or a tab.
	Start func(line []byte) bool

	// More reports whether the record goes on after line, whatever Start
	// reports of the next line. It has the same rules as Start. Nil means
	// that Start decides alone.
	More func(line []byte) bool

	// MaxLines bounds the number of lines of a record. The next line begins
	// a new record. Zero means 1000. Negative means no limit.
	MaxLines int
}

// starts reports whether line is the first line of a record.
func (j *Joiner) starts(line []byte) bool {
	if j.Start != nil {
		return j.Start(line)
	}
	return len(line) > 0 && line[0] != ' ' && line[0] != '\t'
}

// A joiner holds the record to which further lines may belong.
type joiner struct {
	held  Record
	buf   []byte // bytes of held.Line
	lines int    // lines in held; 0 if there is none
}

// joined is records for a scan with a Joiner. With More, a part ends with the
// first line that begins behind it and has no more, and the next part begins
// behind that line.
func (c *scan) joined(ctx context.Context, p part) bool {
	j, more := &c.joiner, false
	j.lines = 0
	ended := c.Join.More == nil
	for (c.lines.off < p.end || j.lines > 0 || !ended) && c.lines.next(&c.rec) {
		if !c.alive(ctx) {
			return false
		}
		starts := !more && c.Join.starts(c.rec.Line)
		more = c.Join.More != nil && c.Join.More(c.rec.Line)
		switch {
		case p.inside && c.Join.More != nil:
			if c.rec.Offset >= p.end { // the part before goes on to here
				return true
			}
			p.inside = more
			more = false
			continue
		case p.inside && !starts:
			continue // of a record that began before the part
		case starts && !c.release():
			return false
		case starts && c.rec.Offset >= p.end && ended:
			return true
		case !starts && c.full() && !c.release():
			return false
		}
		ended = ended || c.rec.Offset >= p.end && !more
		p.inside = false
		c.hold()
	}
	return c.release() && c.ended(ctx)
}

// full reports whether the held record has as many lines as allowed.
func (c *scan) full() bool {
	most := c.Join.MaxLines
	if most == 0 {
		most = defaultMaxJoined
	}
	return most > 0 && c.joiner.lines >= most
}

// hold appends the line in c.rec to the held record, or begins a record with
// it.
func (c *scan) hold() {
	j, r := &c.joiner, &c.rec
	if j.lines == 0 {
		j.held = Record{Num: r.Num, Offset: r.Offset}
		j.buf = j.buf[:0]
	} else {
		c.stats.Joined++
		j.buf = append(j.buf, '\n')
	}
	j.lines++
	j.buf = append(j.buf, r.Line...)
	j.held.Next, j.held.Partial = r.Next, r.Partial
	j.held.Dropped += r.Dropped
	if over := len(j.buf) - c.MaxLine; over > 0 {
		j.held.Dropped += int64(over)
		j.buf = j.buf[:c.MaxLine]
	}
}

// release delivers the held record.
func (c *scan) release() bool {
	j, r := &c.joiner, &c.rec
	if j.lines == 0 {
		return true
	}
	line := *r
	r.Line = j.buf[:len(j.buf):len(j.buf)]
	place(r, &j.held)
	j.lines = 0
	ok := c.record()
	r.Line = line.Line
	place(r, &line)
	return ok
}

// place gives r the place of other in the input.
func place(r, other *Record) {
	r.Num, r.Offset, r.Next = other.Num, other.Offset, other.Next
	r.Dropped, r.Partial = other.Dropped, other.Partial
}

// JoinTraces returns a Joiner for logs with stack traces of Java, Python and
// Go: a message and its trace are a record. A line belongs to the record before
// if it is empty, if it begins with a space or a tab, or if only a trace has
// such a line.
func JoinTraces() *Joiner { return &Joiner{Start: func(line []byte) bool { return !traced(line) }} }

// traces are the beginnings of lines that only a trace has.
var traces = [...]string{
	"Caused by: ", "Suppressed: ", "Exception in thread ", // Java
	"Traceback (most recent call last):", "During handling of the above exception", "The above exception was the direct cause", // Python
	"goroutine ", "created by ", "[signal ", "exit status ", "panic: ", "fatal error: ", "\t", // Go
}

// traced reports whether line belongs to a trace.
func traced(line []byte) bool {
	if len(line) == 0 || line[0] == ' ' || line[0] == '\t' || line[0] == '}' {
		return true
	}
	for _, t := range traces {
		if len(line) >= len(t) && string(line[:len(t)]) == t {
			return true
		}
	}
	return exception(line) || call(line)
}

// exception reports whether line is the name of an exception, with a message or
// alone: java.io.IOException: text, or ValueError: text.
func exception(line []byte) bool {
	name, _, _ := bytes.Cut(line, []byte{':'})
	for _, c := range name {
		if !letter(c) && !digit(c) && c != '.' && c != '_' && c != '$' {
			return false
		}
	}
	for _, end := range [...]string{"Error", "Exception", "Warning", "Exit", "Interrupt", "Throwable"} {
		if bytes.HasSuffix(name, []byte(end)) && len(name) > len(end) {
			return true
		}
	}
	return false
}

// call reports whether line is a call in a trace of Go: main.f(0x1, ...).
func call(line []byte) bool {
	i := bytes.IndexByte(line, '(')
	if i <= 0 || line[len(line)-1] != ')' || bytes.IndexByte(line[:i], '.') < 0 {
		return false
	}
	return bytes.IndexByte(line[:i], ' ') < 0
}

func letter(c byte) bool { return c|0x20-'a' < 26 }
