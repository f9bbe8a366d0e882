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

// A trail is a log that is followed: the files that had its name and are not
// yet read, the file that has its name, and the files that rotation has made.
type trail struct {
	l      *loop
	path   string
	target string // path without links, when cur was opened
	from   *Checkpoint
	begun  bool

	cur   *generation   // has the name; nil if there was none. The last of queue
	queue []*generation // to be read, the oldest first
	late  []*generation // read, but a writer may still write into them
	known []known       // files that are not read, or were
	skip  map[string]bool

	info    fs.FileInfo // of cur, when it was last looked at
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

// A known file is not a generation that was missed.
type known struct {
	place
	read   bool // later bytes are delivered
	packed bool
	absent bool
}

// visit looks at the files and delivers what is complete, at most a quantum. It
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
	case !t.caught && t.failing == "" && t.begun && len(t.queue) <= 1:
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
		(len(t.queue) == 0 || len(t.queue) == 1 && t.queue[0] == t.cur && !t.pending(t.cur))
}

// pending reports whether g contains bytes that are not delivered.
func (t *trail) pending(g *generation) bool { return !g.packed && g.size > g.pos }

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

// checkpoint returns the place up to which the trail was read, with p in place
// of the place of g. The first file is the oldest of the queue.
func (t *trail) checkpoint(g *generation, p place) (c Checkpoint) {
	all := t.late
	if len(t.queue) > 0 {
		all = slices.Concat(t.queue[:1], t.late)
	}
	for _, o := range all {
		if c.n == maxPlaces {
			break
		}
		if c.places[c.n] = p; o != g {
			c.places[c.n] = o.place()
		}
		c.n++
	}
	return c
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
	info, err := t.l.fsys.Stat(t.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return t.vanished()
	case err != nil:
		t.fail(err)
		return t.cur == nil || t.cur.pos > 0 // open files are read on
	}
	t.absent = time.Time{}
	if !t.begun || t.cur == nil {
		return t.try(false) || t.begun
	}
	dev, ino := t.l.fsys.ID(info)
	g := t.cur
	switch {
	case !(place{dev: dev, ino: ino}).is(place{dev: g.dev, ino: g.ino}) || !g.left.IsZero():
		t.try(false)
		return true // what is open is read on
	case t.info != nil && info.Size() == t.info.Size() && info.ModTime().Equal(t.info.ModTime()) && !recent(info):
		if t.failing != "" && !g.dirty {
			t.failing = ""
		}
		return true
	}
	if g.packed && t.info != nil && info.Size() == t.info.Size() && info.ModTime().Equal(t.info.ModTime()) {
		return true
	}
	if !g.packed && (info.Size() < g.size || info.Size() == 0 && t.info != nil && (recent(info) || !info.ModTime().Equal(t.info.ModTime()))) {
		return t.try(true) // cut, or written and cut, perhaps
	}
	if g.dirty = true; g.pos == 0 && g.size == 0 && len(g.peek) == 0 && !g.packed && t.info != nil && t.info.Size() == 0 && !t.try(true) {
		return false // nothing shows a cut of a file of which nothing was read
	}
	if t.cur == g {
		t.info, g.at = info, info.ModTime()
	}
	return true
}

// recent reports whether the file was written to so lately that a further
// change could have the same time. Some file systems count in 2 seconds.
func recent(info fs.FileInfo) bool {
	age := time.Since(info.ModTime())
	return -3*time.Second < age && age < 3*time.Second
}

// vanished is called while the name does not exist.
func (t *trail) vanished() bool {
	now := time.Now()
	g := t.cur
	if !t.begun && t.from != nil {
		t.try(false)
	}
	if !t.begun || g == nil { // a link may lead nowhere: where rotated files are is not known
		return t.begun
	}
	if t.absent.IsZero() || now.Sub(t.absent) < 3*time.Second {
		t.try(false) // files may have had the name since
		if g = t.cur; g == nil {
			return true
		}
	}
	if t.absent.IsZero() {
		t.absent = now
	}
	g.dirty = true
	if g.file != nil && now.Sub(t.absent) >= t.l.Linger && g.left.IsZero() && len(t.queue) == 1 && t.absent.Add(t.l.Linger).Before(now) && !t.pending(g) {
		t.l.release(g)
		t.event(Event{Kind: KindGone, Source: g.name, Offset: g.pos})
		g.dirty = false
	}
	return true
}

// try is sync with errors reported. If files were renamed meanwhile, it tries
// again. It reports whether the trail can go on.
func (t *trail) try(cut bool) bool {
	for range 4 {
		err := t.sync(cut)
		if err == nil {
			t.tries = 0
			if t.failing != "" {
				t.failing = ""
			}
			return true
		}
		if !errors.Is(err, errUnstable) {
			t.fail(err)
			var perr *fs.PathError
			if t.tries++; t.tries >= maxTries && errors.As(err, &perr) && perr.Path != t.path && len(t.skip) < 16 {
				if t.skip == nil {
					t.skip = map[string]bool{}
				}
				t.skip[perr.Path] = true
				t.tell(&GapError{Path: t.path, Offset: 0, Lost: -1, Reason: "a rotated file cannot be read"})
			}
			break
		}
	}
	return false
}

// maxTries is the number of looks after which a rotated file that cannot be
// opened is given up.
const maxTries = 20

// open opens the file with the name.
func (t *trail) open() (*generation, fs.FileInfo, error) {
	f, err := t.l.fsys.Open(t.path)
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	head := make([]byte, headSize)
	n := 0
	if err == nil {
		n, err = f.ReadAt(head, 0)
		err = noEOF(err)
	}
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	g := &generation{file: f, name: t.path, packed: t.l.packer.packed(head[:n]), size: info.Size(), at: info.ModTime(), dirty: true}
	if !g.packed {
		g.peek = head[:n:n]
	}
	g.dev, g.ino = t.l.fsys.ID(info)
	return g, info, nil
}

// sync finds the files between the file that had the name and the file that has
// it now. If cut, it is the same file, with other bytes. The new file is held
// open while the others are listed: if it has the name before and after, it is
// the last.
func (t *trail) sync(cut bool) error {
	y, info, err := t.open()
	if errors.Is(err, fs.ErrNotExist) {
		y, err = nil, nil
	}
	if err != nil {
		return err
	}
	done := false
	var all []*sibling
	defer func() {
		closeAll(all)
		if y != nil && !done {
			y.close()
		}
	}()
	target, err := t.l.fsys.Target(t.path)
	if errors.Is(err, fs.ErrNotExist) {
		target, err = cmp.Or(t.target, t.path), nil
		if y != nil {
			return errUnstable
		}
	}
	if err != nil {
		return err
	}
	all, names, err := t.siblings(target)
	if err != nil {
		return err
	}
	if err := t.stable(target, names, y); err != nil {
		return err
	}
	done, all, err = t.settle(y, info, target, names, all, cut)
	if err == nil && done && y != nil {
		t.target, t.info = target, info
	}
	return err
}

// settle changes the trail after the files were opened. It reports whether y is
// now the current file, and returns the files that are still to be closed.
func (t *trail) settle(y *generation, info fs.FileInfo, target string, names []string, all []*sibling, cut bool) (done bool, rest []*sibling, err error) {
	all = slices.DeleteFunc(all, func(s *sibling) bool { // the patterns may match the name itself
		mine := s.foreign || y != nil && s.numbered() && s.is(place{dev: y.dev, ino: y.ino}) || s.name == target
		if mine {
			s.file.Close()
		}
		return mine
	})
	t.noted = nil
	t.absences(all)
	if t.noted != nil {
		return false, all, t.noted
	}
	switch {
	case !t.begun && (y != nil || t.from != nil && t.find(t.from.places[0], all) != nil):
		if done = t.begin(y, target, all); t.noted != nil { // again from the start
			for _, g := range t.queue {
				t.l.release(g)
			}
			for _, g := range t.late {
				t.l.release(g)
			}
			t.queue, t.late, t.cur, t.known, done = nil, nil, nil, nil, false
			return false, all, t.noted
		}
		t.begun = done
	case y == nil && !t.begun:
		return false, all, errUnstable
	case y == nil:
		if opened := t.reopen(all); opened || t.noted != nil {
			return false, all, t.noted // the next look goes on
		}
		if c := t.compare(nil, target, all, false); t.noted != nil {
			return false, all, t.noted
		} else if len(c.missed) > 0 {
			t.advance(c, all, false)
		}
	case cut && (t.cur == nil || y.dev != t.cur.dev || y.ino != t.cur.ino):
		return false, all, errUnstable // replaced meanwhile
	default:
		c := t.compare(y, target, all, cut)
		if t.noted != nil {
			return false, all, t.noted
		}
		if err := t.stable(target, names, y); err != nil {
			return false, all, err
		}
		if done = t.advance(c, all, cut); !done {
			t.info, t.cur.peek = info, y.peek
		}
	}
	return done, all, nil
}

// stable reports errUnstable if the names or the current file have changed.
func (t *trail) stable(target string, names []string, y *generation) error {
	again, err := t.names(target)
	if err != nil {
		return err
	}
	if !slices.Equal(again, names) {
		return errUnstable
	}
	info, err := t.l.fsys.Stat(t.path)
	if y == nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return errors.Join(err, errUnstable)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return errUnstable
	}
	if err != nil {
		return err
	}
	dev, ino := t.l.fsys.ID(info)
	if dev != y.dev || ino != y.ino || y.size == 0 && info.Size() > 0 && !y.packed {
		return errUnstable // or perhaps cut
	}
	return nil
}

// reopen finds the current file, which was closed, under another name. It
// reports whether it has opened it.
func (t *trail) reopen(all []*sibling) bool {
	g := t.cur
	if g == nil || g.file != nil {
		return false
	}
	for _, s := range all {
		if t.isGeneration(g, s) || g.pos > 0 && s.packed && t.contains(s, g.place()) {
			g.file = s.take()
			g.packed = g.packed || s.packed
			g.dirty = true
			g.name = s.name
			t.l.held(g)
			return true
		}
	}
	return false
}

// begin finds the place where the trail begins.
func (t *trail) begin(y *generation, target string, all []*sibling) bool {
	finish := func() bool {
		t.remember(all)
		if y != nil {
			t.become(y, nil)
		} else {
			t.headless()
		}
		return true
	}
	switch {
	case t.from != nil && t.from.n > 0:
		return t.resume(y, target, all, finish)
	case !t.l.Since.IsZero():
		order(target, all, "", true)
		for _, s := range all {
			if !s.source && !s.info.ModTime().Before(t.l.Since) {
				t.adopt(s)
			}
		}
		if y != nil && y.at.Before(t.l.Since) {
			t.toEnd(y)
		}
	case t.l.AtEnd && y != nil && !t.fresh:
		t.toEnd(y)
	}
	return finish()
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
			t.note(noEOF(err))
			return
		}
		size = from
		count(t.l.scratch[:to-from])
		to = from
	}
	t.note(g.load(end))
}

// resume opens the files of the checkpoint, and then the files that are newer
// than the file of its record.
func (t *trail) resume(y *generation, target string, all []*sibling, finish func() bool) bool {
	main := t.from.places[0]
	order(target, all, "", true)
	for _, p := range t.from.places[1:t.from.n] {
		if s := t.find(p, all); s != nil {
			g := t.adopt(s)
			t.note(g.load(p.offset))
			g.dev, g.ino = p.dev, p.ino
		}
	}
	if main.offset == 0 { // nothing of the file was read, and its number may be another file's
		for _, s := range all {
			if s.file != nil && !s.source && s.place.at >= main.at && !t.isBegun(s, y) {
				t.adopt(s)
			}
		}
		return finish()
	}
	mine := false
	if y != nil {
		if y.packed {
			found, _ := t.l.packer.matches(y.file, []place{main})
			mine = len(found) > 0
		} else {
			mine = t.within(main, y.file)
		}
	}
	if mine && !main.is(place{dev: y.dev, ino: y.ino}) { // a renamed file with the same bytes is nearer
		mine = !slices.ContainsFunc(all, func(s *sibling) bool { return s.file != nil && s.numbered() && main.is(s.place) && t.contains(s, main) })
	}
	if mine {
		t.note(y.load(main.offset))
		return finish()
	}
	i := -1
	if s := t.find(main, all); s != nil {
		i = slices.Index(all, s)
		g := t.adopt(s)
		t.note(g.load(main.offset))
		if y != nil && main.is(place{dev: y.dev, ino: y.ino}) && !main.is(s.place) {
			g.gap = &GapError{Path: t.path, Offset: main.offset, Lost: -1, Reason: "truncated"}
		}
		g.dev, g.ino = main.dev, main.ino
	} else {
		gone := &generation{done: true, name: t.path, pos: main.offset, left: time.Now()}
		gone.gap = &GapError{Path: t.path, Offset: main.offset, Lost: -1, Reason: "the file of the checkpoint is missing"}
		t.queue = append(t.queue, gone)
	}
	for j, s := range all {
		if s.file == nil || s.source {
			continue
		}
		if t.isBegun(s, y) {
			t.adoptBegun(s, y)
			continue
		}
		if (i < 0 || j > i) && s.info.ModTime().UnixNano() >= main.at {
			t.adopt(s)
		}
	}
	return finish()
}

// read delivers from the oldest file. It reports whether it has delivered.
func (t *trail) read() bool {
	for len(t.queue) > 0 && !t.l.stopped {
		g := t.queue[0]
		superseded := g != t.cur || !g.left.IsZero()
		if g == t.cur && !superseded && !g.dirty && !t.flushable(g) {
			return false
		}
		if g.file == nil && !g.done && !t.openAgain(g) {
			return false
		}
		if g.done {
			t.leave(g)
			continue
		}
		final := superseded && (time.Since(g.left) >= t.l.Linger || g.packed)
		b, err := t.next(g, final)
		if err == nil && t.wasCut(g) {
			err = cmp.Or(t.noted, errCut)
		}
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
	if g != t.cur || !g.left.IsZero() {
		g.done = true
		return true
	}
	y, _, err := t.open()
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			t.fail(err)
		}
		return false
	}
	if y.dev != g.dev || y.ino != g.ino {
		y.close()
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
		return t.try(true) && t.cur != g
	case errors.Is(err, errCut):
		gap := &GapError{Path: t.path, Offset: g.pos, Lost: -1, Reason: "truncated"}
		if g.size > g.pos && !g.packed {
			gap.Lost = g.size - g.pos
		}
		g.gap, g.done = gap, true
		t.l.release(g)
		return true
	}
	t.fail(&logscan.InputError{Name: g.name, Offset: g.pos, Err: err})
	g.fails++
	if errors.Is(err, logscan.ErrUnsupported) || g.packed && g.fails > 3 {
		if superseded {
			g.done = true
			g.gap = &GapError{Path: t.path, Offset: g.pos, Lost: -1, Reason: "a compressed file cannot be read"}
			return true
		}
		g.dirty = false
		return false
	}
	t.again(g, err)
	if superseded && g.fails > maxTries {
		g.done = true
		g.gap = &GapError{Path: t.path, Offset: g.pos, Lost: max(g.size-g.pos, -1), Reason: "a rotated file cannot be read"}
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
		dev, ino := t.l.fsys.ID(info)
		ok := dev == g.dev && ino == g.ino
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
		gap := g.gap
		g.gap = nil
		if gap.Offset < g.pos {
			gap.Offset = g.pos
		}
		t.tell(gap)
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
	if g.packed || g.pos == 0 {
		return
	}
	t.known = slices.DeleteFunc(t.known, func(k known) bool { return k.dev == g.dev && k.ino == g.ino && k.numbered() && !k.packed })
	t.known = append(t.known, known{place: g.place(), read: true})
}

// lateReads delivers the bytes that a writer has written into files that no
// longer have the name.
func (t *trail) lateReads() bool {
	for i := 0; i < len(t.late) && !t.l.stopped; i++ {
		g := t.late[i]
		over := time.Since(g.left) >= t.l.Linger
		if c := g.copyOf; c != nil && c == t.cur && c.pos < g.pos {
			continue // needed if the file is cut before it is read
		}
		b, err := t.next(g, over)
		if b != nil {
			g.copyOf = nil // it grows
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
				t.tell(&GapError{Path: t.path, Offset: g.pos, Lost: g.size - g.pos, Reason: "truncated"})
			}
			t.forget(g)
		}
	}
	return false
}
