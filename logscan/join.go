package logscan

import "context"

const defaultMaxJoined = 1000

// A Joiner makes one record of a line that begins one and the lines after it that
// do not. They are joined with "\n", whatever their terminators were. MaxLine
// bounds the whole. Lines before the first beginning are records, too.
type Joiner struct {
	// Start reports whether line begins a record; it must depend on nothing
	// but line, and not keep it. Reduce and Map call it from several
	// goroutines at once. Nil: every line does but those that are empty or
	// begin with a space or a tab.
	Start func(line []byte) bool

	// MaxLines is the most lines of one record; the next one begins a record
	// of its own. The default is 1000, negative means no limit.
	MaxLines int
}

// starts reports whether line begins a record.
func (j *Joiner) starts(line []byte) bool {
	if j.Start != nil {
		return j.Start(line)
	}
	return len(line) > 0 && line[0] != ' ' && line[0] != '\t'
}

// A joiner holds the record that further lines may still belong to.
type joiner struct {
	held  Record
	buf   []byte // of held.Line
	lines int    // in held, 0 when nothing is held
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

// full reports whether the held record has as many lines as it may have.
func (c *scan) full() bool {
	most := c.Join.MaxLines
	if most == 0 {
		most = defaultMaxJoined
	}
	return most > 0 && c.joiner.lines >= most
}

// hold adds the line in c.rec to the held record, or begins it.
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
	r.Num, r.Offset, r.Next, r.Dropped, r.Partial = j.held.Num, j.held.Offset, j.held.Next, j.held.Dropped, j.held.Partial
	j.lines = 0
	ok := c.record()
	r.Line, r.Num, r.Offset, r.Next, r.Dropped, r.Partial = line.Line, line.Num, line.Offset, line.Next, line.Dropped, line.Partial
	return ok
}
