package follow

import (
	"bytes"
	"cmp"
	"errors"
	"io/fs"
	"math"
	"slices"
	"time"

	"github.com/redoubt-go/redoubt/logscan"
)

// A trail is a log that is followed. It contains the files that had its name
// and are not yet read, the file that has its name, and the known files.
type trail struct {
	l      *loop
	path   string
	target string // path without links, when cur was opened
	from   *Checkpoint
	begun  bool // the files were compared once

	cur   *generation   // has the name; nil if there was none. The last of queue
	queue []*generation // to be read, the oldest first
	late  []*generation // read, but a writer may still write into them
	known []place       // files that are not read, or were
	skip  map[string]bool

	info    fs.FileInfo // of cur, when it was last looked at
	looked  time.Time   // when that was
	absent  time.Time   // since when the name does not exist
	tries   int         // failed attempts to list the rotated files
	failing string      // the error that was reported last
	caught  bool        // KindCaughtUp was reported
	resting time.Time   // since when nothing was read
	due     time.Time   // when a file at rest is looked at again

	fresh bool       // found while a Dir was running: begins at its start
	noted error      // a failed comparison
	saved Checkpoint // Dir: as it was saved last
	save  bool       // Dir: records were handled since
}

// visit looks at the files and delivers complete lines, at most a quantum. It
// reports whether there may be more.
func (t *trail) visit() (busy bool) {
	if !t.look() || t.l.stopped {
		return t.l.stopped
	}
	busy = t.lateReads() || t.read()
	now := time.Now()
	switch {
	case busy:
		t.resting, t.caught = now, false
	case !t.caught && t.failing == "" && len(t.queue) <= 1:
		t.caught = true
		if t.cur != nil {
			t.event(Event{Kind: KindCaughtUp, Source: t.cur.name, Offset: t.cur.pos})
		}
	}
	return busy
}

// rests reports whether nothing waits for a time.
func (t *trail) rests() bool {
	return t.failing == "" && t.begun && len(t.late) == 0 && t.absent.IsZero() &&
		(len(t.queue) == 0 || len(t.queue) == 1 && t.queue[0] == t.cur && (t.cur.packed || t.cur.size <= t.cur.pos))
}

func (t *trail) event(e Event) {
	e.Name, e.Path = t.l.Name, t.path
	t.l.event(e)
}

// fail reports err, unless it was the last error that was reported.
func (t *trail) fail(err error) {
	if text := err.Error(); text != t.failing {
		t.failing = text
		t.l.count(func(s *Stats) { s.Errors++ })
		t.event(Event{Kind: KindFailed, Err: err})
		t.l.report(t.path, err)
	}
}

func (t *trail) tell(gap *GapError) {
	t.l.count(func(s *Stats) { s.Gaps++; s.LostBytes += uint64(max(gap.Lost, 0)) })
	t.event(Event{Kind: KindGap, Offset: gap.Offset, Lost: gap.Lost, Err: gap})
	t.l.report(t.path, gap)
}

// gap returns an error at the place up to which g was read.
func (t *trail) gap(g *generation, lost int64, reason string) *GapError {
	return &GapError{Path: t.path, Offset: g.pos, Lost: lost, Reason: reason}
}

// checkpoint returns the state of the trail, with p in place of the place of g.
func (t *trail) checkpoint(g *generation, p place) (c Checkpoint) {
	add := func(o *generation, kind byte) {
		q := o.place()
		if o == g {
			q = p
		}
		if q.kind = kind; q.offset == 0 && kind == late {
			return // empty
		} else if q.offset == 0 {
			q.offset, q.sum, q.kind = o.mark.offset, o.mark.sum, unread
		}
		if o == g { // the place of the record is the first
			c.places = slices.Insert(c.places, 0, q)
		} else {
			c.places = append(c.places, q)
		}
	}
	whole := true // the queue so far
	for _, o := range t.queue {
		if whole = whole && !o.done && o.evidence().offset > 0; whole {
			add(o, waiting)
		} else if o.pos > 0 {
			add(o, finished)
		}
	}
	for _, o := range t.late {
		add(o, late)
	}
	known := t.known
	if room := maxPlaces - len(c.places); len(known) > max(room, 0) { // the newest
		known = slices.Clone(known)
		slices.SortStableFunc(known, func(a, b place) int { return cmp.Compare(b.at, a.at) })
		known = known[:max(room, 0)]
	}
	c.places = append(c.places, known...)
	c.places = c.places[:min(len(c.places), maxPlaces)]
	if c.target = t.target; len(t.queue) > 0 {
		c.target = t.queue[0].target
	}
	if c.target == t.path {
		c.target = ""
	}
	return c
}

// restore is the opposite of checkpoint. No file is open.
func (t *trail) restore(c *Checkpoint) {
	t.target = cmp.Or(c.target, t.path)
	for _, p := range c.places {
		g := &generation{name: t.path, target: t.target, pos: p.offset, size: p.offset, saved: p, node: p.node, origin: p.node, at: time.Unix(0, p.at), dirty: true}
		switch p.kind {
		case unread:
			g.pos, g.mark = 0, p
			t.queue = append(t.queue, g)
		case waiting:
			t.queue = append(t.queue, g)
		case late:
			t.late = append(t.late, g)
		default:
			t.known = append(t.known, p)
		}
	}
	if n := len(t.queue); n > 0 {
		t.cur = t.queue[n-1]
	}
}

// lag returns the bytes that are not delivered.
func (t *trail) lag() (n uint64) {
	for _, g := range t.queue {
		if !g.packed && !g.done {
			n += uint64(max(0, g.size-g.pos))
		}
	}
	return min(n, math.MaxInt64)
}

// look compares the name with the file that had it. It reports whether the
// trail can go on.
func (t *trail) look() bool {
	now, g := time.Now(), t.cur
	info, err := t.l.fsys.Stat(t.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if t.absent.IsZero() {
			t.absent = now
		}
		t.try() // files may have had the name since
		return t.begun
	case err != nil:
		t.fail(err)
		return t.begun && (g == nil || g.pos > 0) // open files are read on
	}
	t.absent = time.Time{}
	if !t.begun || g == nil || t.info == nil || !t.l.node(info).is(g.node) {
		done := t.try()
		return t.begun && (done || g == nil || g.size > 0)
	}
	changed := info.Size() != t.info.Size() || !info.ModTime().Equal(t.info.ModTime())
	switch {
	case !changed && (g.packed || !recent(info, t.looked)):
		if !g.dirty {
			t.failing = ""
		}
		return true
	case !g.packed && (info.Size() < g.size || g.size == 0 || !g.numbered() && g.differs(info)): // cut, or written and cut, perhaps
		return t.try()
	}
	g.dirty = true
	t.info, t.looked, g.at = info, now, info.ModTime()
	return true
}

// recent reports whether the file was written to so shortly before it was
// looked at that a later change can have the same time. Some file systems count
// in 2 seconds.
func recent(info fs.FileInfo, looked time.Time) bool {
	age := looked.Sub(info.ModTime())
	return -3*time.Second < age && age < 3*time.Second
}

// try is sync with errors reported. If files were renamed meanwhile, it tries
// again. It reports whether the trail can go on.
func (t *trail) try() bool {
	if !t.begun && t.from != nil && t.target == "" {
		t.restore(t.from)
	}
	for range 4 {
		err := t.sync()
		if err == nil {
			t.tries, t.failing = 0, ""
			return true
		}
		if errors.Is(err, errUnstable) {
			continue
		}
		t.fail(err)
		var perr *fs.PathError
		if t.tries++; t.tries >= maxTries && errors.As(err, &perr) && perr.Path != t.path && len(t.skip) < 16 {
			if t.skip == nil {
				t.skip = map[string]bool{}
			}
			t.skip[perr.Path] = true
			t.tell(&GapError{Path: t.path, Lost: -1, Reason: "a rotated file cannot be read"})
		}
		break
	}
	t.info = nil // the next look compares the files again
	return false
}

// maxTries is the number of looks after which a rotated file that cannot be
// opened is given up.
const maxTries = 20

// open opens the file with the name.
func (t *trail) open() (*generation, error) {
	f, err := t.l.fsys.Open(t.path)
	if err != nil {
		return nil, err
	}
	g := &generation{file: f, name: t.path, dirty: true}
	info, err := f.Stat()
	head := make([]byte, tailSize)
	n := 0
	if err == nil {
		n, err = f.ReadAt(head, 0)
		err = noEOF(err)
	}
	if err == nil {
		g.info, g.size, g.at, g.node = info, info.Size(), info.ModTime(), t.l.node(info)
		g.origin = g.node
		if g.packed = t.l.packer.packed(head[:n]); !g.packed {
			g.mark, err = placeAt(f, g.size)
		}
	}
	if err != nil {
		f.Close()
		return nil, unstable(err)
	}
	return g, nil
}

// toEnd moves g behind its last line.
func (t *trail) toEnd(g *generation) {
	var end, size int64
	count := func(b []byte) {
		if i := bytes.LastIndexByte(b, '\n'); i >= 0 {
			end = size + int64(i) + 1
		}
		size += int64(len(b))
	}
	if g.packed {
		r, err := t.l.packer.open(g.file)
		for err == nil {
			var n int
			n, err = r.Read(t.l.scratch)
			count(t.l.scratch[:n])
		}
		if r != nil {
			r.Close()
		}
		t.note(g.load(end))
		return
	}
	for to := g.size; to > 0 && end == 0; {
		from := max(0, to-chunk)
		if err := readAll(g.file, t.l.scratch[:to-from], from); err != nil {
			t.note(unstable(err))
			return
		}
		size = from
		count(t.l.scratch[:to-from])
		to = from
	}
	t.note(unstable(g.load(end)))
}

// read delivers from the oldest file. It reports whether it has delivered.
func (t *trail) read() bool {
	for len(t.queue) > 0 && !t.l.stopped {
		g := t.queue[0]
		superseded := g != t.cur
		if !superseded && !g.dirty && !t.flushable(g) || g.file == nil && !g.done && !t.openAgain(g) {
			return false
		}
		if g.done {
			t.leave(g)
			continue
		}
		final := superseded && (time.Since(g.left) >= t.l.Linger || g.packed)
		b, err := t.next(g, final)
		if err != nil {
			if t.trouble(g, err, superseded) {
				continue
			}
			return false
		}
		g.fails = 0
		t.failing = ""
		if b != nil {
			before := g.pos
			t.l.deliver(b)
			if g.packed {
				g.dirty = false
				g.done = g.done || superseded && !t.l.stopped
			}
			return g.pos > before || g.packed && superseded
		}
		if !superseded {
			g.dirty = false
			return false
		}
		if g.size > g.pos && !final {
			return false // a line without its end
		}
		t.leave(g)
	}
	return false
}

// flushable reports whether a joined record has waited long enough.
func (t *trail) flushable(g *generation) bool {
	return t.l.Scanner.Join != nil && t.l.Flush > 0 && g.size > g.pos && time.Since(g.grown) >= t.l.Flush
}

// openAgain opens the current file again.
func (t *trail) openAgain(g *generation) bool {
	y, err := t.open()
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, errUnstable) {
			t.fail(err)
		}
		return false
	}
	if !y.is(g.node) {
		y.file.Close()
		return false // the next look finds the change
	}
	g.file = y.file
	t.l.held(g)
	return true
}

// trouble handles the error of a read. It reports whether to go on at once.
func (t *trail) trouble(g *generation, err error, superseded bool) bool {
	switch {
	case errors.Is(err, errCut) && !superseded && !g.packed:
		return t.try() && t.cur != g
	case errors.Is(err, errCut):
		lost := int64(-1)
		if g.size > g.pos && !g.packed {
			lost = g.size - g.pos
		}
		g.gap, g.done = t.gap(g, lost, "truncated"), true
		t.l.release(g)
		return true
	}
	t.fail(&logscan.InputError{Name: g.name, Offset: g.pos, Err: err})
	g.fails++
	if errors.Is(err, logscan.ErrUnsupported) || g.packed && g.fails > 3 {
		if superseded {
			g.gap, g.done = t.gap(g, -1, "a compressed file cannot be read"), true
		}
		g.dirty = false
		return superseded
	}
	t.again(g, err)
	if superseded && g.fails > maxTries {
		g.gap, g.done = t.gap(g, max(g.size-g.pos, -1), "a rotated file cannot be read"), true
		return true
	}
	return false
}

// again opens the file of g again if err makes the open file useless, and after
// every fourth error, provided that the name still leads to the file.
func (t *trail) again(g *generation, err error) {
	if !errors.Is(err, errStale) && g.fails%4 != 0 {
		return
	}
	f, err := t.l.fsys.Open(g.name)
	if err != nil {
		return
	}
	info, err := f.Stat()
	if err == nil {
		ok := t.l.node(info).is(g.node)
		if ok && g.pos > 0 && !g.packed {
			ok, err = g.place().of(f)
		}
		if ok && err == nil {
			g.file.Close()
			g.file = f
			return
		}
	}
	f.Close()
}

// leave ends a file that was read. It is looked at for Linger longer.
func (t *trail) leave(g *generation) {
	t.queue = slices.Delete(t.queue, 0, 1)
	if g.gap != nil {
		g.gap.Offset = max(g.gap.Offset, g.pos)
		t.tell(g.gap)
		g.gap = nil
	}
	if g == t.cur {
		t.cur = nil
	}
	if g.file != nil && !g.done && !g.packed && time.Since(g.left) < t.l.Linger {
		t.late = append(t.late, g)
		return
	}
	t.forget(g)
}

// forget closes a file that was read, and makes it known.
func (t *trail) forget(g *generation) {
	t.l.release(g)
	p := g.place()
	if p.kind = finished; g.packed {
		p = g.stored
	}
	t.known = append(slices.Clip(t.known), p)
	if !t.absent.IsZero() && len(t.queue)+len(t.late) == 0 {
		t.event(Event{Kind: KindGone, Source: g.name, Offset: g.pos})
	}
}

// lateReads delivers the bytes that a writer has written into files that no
// longer have the name.
func (t *trail) lateReads() bool {
	for i := 0; i < len(t.late) && !t.l.stopped; i++ {
		g := t.late[i]
		if g.file == nil { // the next look finds it
			continue
		}
		over := time.Since(g.left) >= t.l.Linger
		b, err := t.next(g, over)
		if b != nil {
			t.l.deliver(b)
			return true
		}
		if err != nil && !errors.Is(err, errCut) {
			t.fail(&logscan.InputError{Name: g.name, Offset: g.pos, Err: err})
			if g.fails++; g.fails < maxTries {
				t.again(g, err)
				continue
			}
		}
		if over || err != nil {
			t.late = slices.Delete(t.late, i, i+1)
			i--
			if g.size > g.pos {
				t.tell(t.gap(g, g.size-g.pos, "truncated"))
			}
			t.forget(g)
		}
	}
	return false
}
