package logscan

import "context"

const defaultMaxJoined = 1000

// A Joiner makes one record of several lines: a first line, for which Start
// reports true, and the lines up to the next first line. It joins them with
// "\n". [Scanner.MaxLine] bounds the record. Lines before the first such line
// are records of their own.
type Joiner struct {
	// Start reports whether line is the first line of a record. It must depend
	// on line alone and must not keep it. [Reduce] and [Map] call it from
	// several goroutines at once. Nil means every line that is not empty and
	// does not begin with a space or a tab.
	Start func(line []byte) bool

	// MaxLines bounds the number of lines of a record. The next line begins a
	// new record. Zero means 1000. Negative means no limit.
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

// joined is records for a scan with a Joiner.
func (c *scan) joined(ctx context.Context, p part) bool {
	j := &c.joiner
	j.lines = 0
	for (c.lines.off < p.end || j.lines > 0) && c.lines.next(&c.rec) {
		if !c.alive(ctx) {
			return false
		}
		starts := c.Join.starts(c.rec.Line)
		switch {
		case p.inside && !starts:
			continue // of a record that began before the part
		case starts && !c.release():
			return false
		case starts && c.rec.Offset >= p.end:
			return true
		case !starts && c.full() && !c.release():
			return false
		}
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
