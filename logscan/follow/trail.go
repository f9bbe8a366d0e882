package follow

import (
	"bytes"
	"errors"
	"io"
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

// look compares the name with the file that had it. It reports whether the
// trail can go on.
func (t *trail) look() bool {
	info, err := t.l.fsys.Stat(t.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return t.vanished()
	case err != nil:
		t.fail(err)
		return true // open files are read on
	}
	t.absent = time.Time{}
	if !t.begun || t.cur == nil {
		return t.try(false)
	}
	dev, ino := t.l.fsys.ID(info)
	g := t.cur
	switch {
	case !(place{dev: dev, ino: ino}).is(place{dev: g.dev, ino: g.ino}) || !g.left.IsZero():
		return t.try(false)
	case t.info != nil && info.Size() == t.info.Size() && info.ModTime().Equal(t.info.ModTime()) && !recent(info):
		if t.failing != "" && !g.dirty {
			t.failing = ""
		}
		return true
	}
	if g.packed && t.info != nil && info.Size() == t.info.Size() && info.ModTime().Equal(t.info.ModTime()) {
		return true
	}
	if info.Size() == 0 && g.pos == 0 && t.info != nil && !info.ModTime().Equal(t.info.ModTime()) {
		return t.try(true) // written and cut, perhaps
	}
	g.dirty, t.info = true, info
	g.at = info.ModTime()
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
	if !t.begun {
		return t.try(false)
	}
	if g == nil {
		return true
	}
	if g.file == nil && !g.done && t.absent.IsZero() && !t.try(false) {
		return true
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
	return t.begun // what is open is read on
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
	var head [10]byte
	n := 0
	if err == nil {
		n, err = f.ReadAt(head[:], 0)
		err = noEOF(err)
	}
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	g := &generation{file: f, name: t.path, packed: t.l.packer.packed(head[:n]), size: info.Size(), at: info.ModTime(), dirty: true}
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
		target, err = t.path, nil
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
	all = slices.DeleteFunc(all, func(s *sibling) bool { // the patterns may match the name itself
		mine := s.foreign || y != nil && s.numbered() && s.is(place{dev: y.dev, ino: y.ino}) || s.name == target
		if mine {
			s.file.Close()
		}
		return mine
	})
	switch {
	case !t.begun:
		done = t.begin(y, target, all)
		t.begun = done
	case y == nil:
		t.reopen(all)
		t.remember(all)
	case cut && (t.cur == nil || y.dev != t.cur.dev || y.ino != t.cur.ino):
		return errUnstable // replaced meanwhile
	default:
		done = t.advance(y, target, all, cut)
	}
	if done && y != nil {
		t.target, t.info = target, info
	}
	return nil
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
	if dev != y.dev || ino != y.ino {
		return errUnstable
	}
	return nil
}

// advance makes y the current file. The rotated files that are not known lie
// between the former current file and y.
func (t *trail) advance(y *generation, target string, all []*sibling, cut bool) bool {
	x := t.cur
	var missed []*sibling
	rest, oldest, present := (*sibling)(nil), "", x == nil || cut
	for _, s := range all {
		switch {
		case x != nil && !cut && t.isGeneration(x, s):
			oldest, present = s.name, true
			x.name = s.name
			if x.file == nil {
				x.file, s.file = s.file, nil
				t.l.held(x)
			}
		case t.isKnown(s), slices.ContainsFunc(t.queue, func(g *generation) bool { return g != x && t.isGeneration(g, s) }),
			slices.ContainsFunc(t.late, func(g *generation) bool { return t.isGeneration(g, s) }), s.source:
		default:
			missed = append(missed, s)
		}
	}
	missed = slices.DeleteFunc(missed, func(s *sibling) bool {
		if s.moved && x != nil && s.info.ModTime().Before(x.at) {
			return true
		}
		if x != nil && x.pos > 0 && rest == nil && (cut || x.file == nil) && t.contains(s, x.place()) {
			rest, present = s, true
			return true
		}
		if s.packed && !present && x != nil && !cut && x.file != nil {
			if end, err := placeAt(x.file, x.size); err == nil && x.size > 0 && t.contains(s, end) {
				oldest, present = s.name, true
				return true
			}
		}
		return s.packed && t.packedKnown(s)
	})
	if cut && x != nil && x.pos == 0 && x.size == 0 && len(missed) == 0 {
		y.close() // nothing was written, or it is gone without a trace
		y.file = nil
		x.dirty = false
		t.info, _ = t.l.fsys.Stat(t.path)
		return false
	}
	if t.target != target && t.target != "" { // the files beside the old target are older
		old := slices.Clone(missed)
		missed = slices.DeleteFunc(missed, func(s *sibling) bool { return !s.moved && t.beside(t.target, s.name) })
		old = slices.DeleteFunc(old, func(s *sibling) bool { return s.moved || !t.beside(t.target, s.name) })
		var last []*sibling
		if i := slices.IndexFunc(old, func(s *sibling) bool { return s.name == t.target }); i >= 0 {
			last, old = append(last, old[i]), slices.Delete(old, i, i+1)
		}
		order(t.target, old, oldest)
		order(target, missed, "")
		missed = slices.Concat(old, last, missed)
	} else {
		if rest != nil {
			oldest = rest.name
		}
		order(target, missed, oldest)
	}
	if x != nil {
		t.leaveBehind(x, rest, cut, present, len(missed) > 0)
	}
	for _, s := range missed {
		g := t.adopt(s)
		if cut {
			g.gap = &GapError{Path: t.path, Lost: -1, Reason: "truncated"}
		}
	}
	t.remember(all)
	t.l.count(func(s *Stats) {
		if cut {
			s.Truncations++
		} else {
			s.Rotations += uint64(1 + len(missed))
		}
	})
	kind := KindRotated
	if cut {
		kind = KindTruncated
	}
	if x != nil {
		t.event(Event{Kind: kind, Source: x.name, Offset: x.pos})
	}
	t.become(y)
	return true
}

// leaveBehind ends x, which no longer has the name or no longer has its bytes.
func (t *trail) leaveBehind(x *generation, rest *sibling, cut, present, more bool) {
	x.left = time.Now()
	x.dirty = true
	if cut {
		gap := &GapError{Path: t.path, Offset: x.pos, Lost: -1, Reason: "truncated"}
		if rest == nil && x.size > x.pos {
			gap.Lost = x.size - x.pos
		}
		x.gap = gap
		t.l.release(x)
		x.left = time.Time{}.Add(1) // nothing is written to it later
	}
	switch {
	case rest != nil:
		x.file, rest.file = rest.file, nil
		x.name = rest.name
		if rest.packed && !x.packed || rest.packed {
			x.packed = true
		}
		t.l.held(x)
	case cut:
		x.done = true
	case x.file == nil:
		x.done = true
		if x.size > x.pos {
			x.gap = &GapError{Path: t.path, Offset: x.pos, Lost: x.size - x.pos, Reason: "removed before it was read"}
		}
	}
	if !present && more && x.gap == nil {
		x.gap = &GapError{Path: t.path, Offset: x.pos, Lost: -1, Reason: "rotated files may have been removed"}
	}
	if !slices.Contains(t.queue, x) {
		t.queue = append(t.queue, x)
	}
}

// adopt appends a rotated file to the queue.
func (t *trail) adopt(s *sibling) *generation {
	g := &generation{
		file: s.file, name: s.name, packed: s.packed, dev: s.dev, ino: s.ino,
		size: s.info.Size(), at: s.info.ModTime(), left: time.Now(), dirty: true,
	}
	s.file = nil
	t.l.held(g)
	t.queue = append(t.queue, g)
	t.began(g)
	return g
}

func (t *trail) began(g *generation) {
	t.l.count(func(s *Stats) { s.Files++ })
	t.event(Event{Kind: KindOpened, Source: g.name, Offset: g.pos})
}

// become makes y the current file. If y was read before and has its name again,
// reading goes on where it ended.
func (t *trail) become(y *generation) {
	back := func(g *generation) bool {
		return g.file != nil && g.dev == y.dev && g.ino == y.ino && y.dev|y.ino != 0 && !g.done && t.holds(y, g)
	}
	if i := slices.IndexFunc(t.late, back); i >= 0 {
		g := t.late[i]
		t.late = slices.Delete(t.late, i, i+1)
		g.left, g.name, g.dirty = time.Time{}, t.path, true
		y.close()
		t.queue, t.cur = append(t.queue, g), g
		return
	}
	if i := slices.IndexFunc(t.queue, func(g *generation) bool { return back(g) && g.pos > 0 }); i >= 0 {
		g := t.queue[i]
		t.queue = append(slices.Delete(t.queue, i, i+1), g)
		g.left, g.name, g.dirty = time.Time{}, t.path, true
		y.close()
		t.cur = g
		return
	}
	for i, k := range t.known {
		if k.read && k.dev == y.dev && k.ino == y.ino && k.numbered() && k.offset > 0 {
			if ok, _ := k.of(y.file); ok && y.load(k.offset) == nil {
				t.known = slices.Delete(t.known, i, i+1)
				break
			}
		}
	}
	t.l.held(y)
	t.queue, t.cur = append(t.queue, y), y
	t.began(y)
}

// holds reports whether y contains the bytes that were read of g.
func (t *trail) holds(y, g *generation) bool {
	ok, err := g.place().of(y.file)
	return ok && err == nil
}

// isGeneration reports whether s is the file of g.
func (t *trail) isGeneration(g *generation, s *sibling) bool {
	if s.file == nil || g.done && g.file == nil && g.pos == 0 {
		return false
	}
	p := g.place()
	if g.packed && s.packed { // bytes as stored: only the numbers
		return p.numbered() && p.is(s.place)
	}
	if p.numbered() && !p.is(s.place) || s.packed {
		return false
	}
	if g.pos == 0 {
		return p.numbered()
	}
	ok, _ := p.of(s.file)
	return ok
}

// isKnown reports whether s is a known file. Of a known file that was read and
// has grown, the rest is delivered.
func (t *trail) isKnown(s *sibling) bool {
	for i := range t.known {
		k := &t.known[i]
		if k.in(s) {
			k.absent = false
			if k.read && !k.packed && s.offset > k.offset {
				p := k.place
				t.known = slices.Delete(t.known, i, i+1)
				g := t.adopt(s)
				if g.load(p.offset) != nil {
					g.done = true
				}
			}
			return true
		}
	}
	return false
}

// contains reports whether s contains the bytes before p, packed or not.
func (t *trail) contains(s *sibling, p place) bool {
	if s.file == nil {
		return false
	}
	if s.packed {
		found, _ := t.l.packer.matches(s.file, []place{p})
		return len(found) > 0
	}
	ok, _ := p.of(s.file)
	return ok
}

// packedKnown reports whether s is the packed copy of a known file, which is no
// longer there, or of a file that is being read.
func (t *trail) packedKnown(s *sibling) bool {
	var places []place
	var index []int
	for i, k := range t.known {
		if k.absent && !k.packed && k.offset > 0 {
			places, index = append(places, k.place), append(index, i)
		}
	}
	for _, g := range slices.Concat(t.queue, t.late) {
		if g == t.cur && g.left.IsZero() && len(t.queue) > 0 && t.queue[len(t.queue)-1] == g && g.file == nil {
			continue
		}
		if g.packed || g.file == nil {
			continue
		}
		if info, err := g.file.Stat(); err == nil && info.Size() > 0 {
			if p, err := placeAt(g.file, info.Size()); err == nil {
				places, index = append(places, p), append(index, -1)
			}
		}
	}
	found, err := t.l.packer.matches(s.file, places)
	if errors.Is(err, logscan.ErrUnsupported) {
		return len(places) > 0 // it cannot be read in any case
	}
	if len(found) == 0 {
		return false
	}
	if i := index[found[len(found)-1]]; i >= 0 {
		t.known = slices.Delete(t.known, i, i+1)
	}
	return true
}

// remember replaces the known files by the files that are there. A file that
// was read and is gone is kept for a while: its packed copy may appear.
func (t *trail) remember(all []*sibling) {
	var kept []known
	for _, k := range t.known {
		if !slices.ContainsFunc(all, func(s *sibling) bool { return k.is(s.place) && k.numbered() }) {
			k.absent = true
			kept = append(kept, k)
		} else if k.read {
			kept = append(kept, k)
		}
	}
	kept = kept[max(0, len(kept)-maxKnown):]
	for _, s := range all {
		if !slices.ContainsFunc(kept, func(k known) bool { return k.read && !k.absent && k.is(s.place) }) {
			kept = append(kept, known{place: s.place, packed: s.packed})
		}
	}
	t.known = slices.Clip(kept)
}

// maxKnown bounds the files that are known and no longer there.
const maxKnown = 16

// reopen finds the current file, which was closed, under another name.
func (t *trail) reopen(all []*sibling) {
	g := t.cur
	if g == nil || g.file != nil {
		return
	}
	for _, s := range all {
		if t.isGeneration(g, s) || g.pos > 0 && s.packed && t.contains(s, g.place()) {
			g.file, s.file = s.file, nil
			g.packed = g.packed || s.packed
			g.dirty = true
			g.name = s.name
			t.l.held(g)
			return
		}
	}
}

// begin finds the place where the trail begins.
func (t *trail) begin(y *generation, target string, all []*sibling) bool {
	finish := func() bool {
		t.remember(all)
		if y != nil {
			t.become(y)
		} else if n := len(t.queue); n > 0 && !t.queue[n-1].done && !t.queue[n-1].packed {
			t.cur = t.queue[n-1] // no other file has taken its name yet
			t.cur.left = time.Time{}
		}
		return true
	}
	switch {
	case t.from != nil && t.from.n > 0:
		return t.resume(y, target, all, finish)
	case !t.l.Since.IsZero():
		order(target, all, "")
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
	tail := []byte(nil)
	count := func(b []byte) {
		if i := bytes.LastIndexByte(b, '\n'); i >= 0 {
			end = size + int64(i) + 1
		}
		size += int64(len(b))
		tail = lastBytes(append(tail[:0:0], b[max(0, len(b)-tailSize):]...))
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
		g.load(end)
		return
	}
	info, err := g.file.Stat()
	if err != nil {
		return
	}
	for to := info.Size(); to > 0 && end == 0; {
		from := max(0, to-chunk)
		if readAll(g.file, t.l.scratch[:to-from], from) != nil {
			return
		}
		size = from
		count(t.l.scratch[:to-from])
		to = from
	}
	g.load(end)
}

// resume opens the files of the checkpoint, and then the files that are newer
// than the file of its record.
func (t *trail) resume(y *generation, target string, all []*sibling, finish func() bool) bool {
	main := t.from.places[0]
	order(target, all, "")
	for _, p := range t.from.places[1:t.from.n] {
		if s := t.find(p, all); s != nil {
			if g := t.adopt(s); g.packed || g.load(p.offset) == nil {
				g.pos, g.dev, g.ino = p.offset, p.dev, p.ino
			}
		}
	}
	mine := false
	byNumbers := main.offset == 0
	if y != nil {
		if byNumbers {
			mine = main.numbered() && main.is(place{dev: y.dev, ino: y.ino})
		} else if y.packed {
			found, _ := t.l.packer.matches(y.file, []place{main})
			mine = len(found) > 0
		} else {
			mine, _ = main.of(y.file)
		}
	}
	if mine && !main.is(place{dev: y.dev, ino: y.ino}) { // a renamed file with the same bytes is nearer
		mine = !slices.ContainsFunc(all, func(s *sibling) bool { return s.file != nil && s.numbered() && main.is(s.place) && t.contains(s, main) })
	}
	if mine {
		if y.load(main.offset) != nil {
			return false
		}
		return finish()
	}
	i := -1
	if s := t.find(main, all); s != nil {
		i = slices.Index(all, s)
		g := t.adopt(s)
		if g.load(main.offset) != nil {
			return false
		}
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
		if i >= 0 && j > i || i < 0 && main.at != 0 && s.info.ModTime().UnixNano() >= main.at {
			t.adopt(s)
		}
	}
	return finish()
}

// find returns the sibling with the bytes and the numbers of p, or else with
// its bytes.
func (t *trail) find(p place, all []*sibling) *sibling {
	if p.offset == 0 {
		if i := slices.IndexFunc(all, func(s *sibling) bool { return p.numbered() && p.is(s.place) }); i >= 0 {
			return all[i]
		}
		return nil
	}
	for _, numbered := range []bool{true, false} {
		for _, s := range all {
			if !s.source && (!numbered || p.is(s.place)) && t.contains(s, p) {
				return s
			}
		}
	}
	return nil
}

// read delivers from the oldest file. It reports whether it has delivered.
func (t *trail) read() bool {
	for len(t.queue) > 0 && !t.l.stopped {
		g := t.queue[0]
		superseded := g != t.cur || !g.left.IsZero()
		if g == t.cur && !superseded && !g.dirty && !t.flushable(g) {
			return false
		}
		if g.file == nil && !g.done && !t.open1(g) {
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
		if t.failing != "" {
			t.failing = ""
		}
		if b != nil {
			before := g.pos
			t.l.deliver(b)
			if g.packed {
				g.dirty = false
				if superseded && !t.l.stopped {
					g.done = true
				}
			}
			if g.pos > before || g.packed && superseded {
				return true
			}
			return false
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

// open1 opens the current file again.
func (t *trail) open1(g *generation) bool {
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
	if isStale(err) || g.fails%4 == 0 {
		t.again(g)
	}
	if superseded && g.fails > maxTries {
		g.done = true
		g.gap = &GapError{Path: t.path, Offset: g.pos, Lost: max(g.size-g.pos, -1), Reason: "a rotated file cannot be read"}
		return true
	}
	return false
}

func isStale(err error) bool { return errors.Is(err, errStale) }

// again opens the file of g again, if its name still leads to it.
func (t *trail) again(g *generation) {
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
	if g.packed || g.pos == 0 || g.dev|g.ino == 0 && false {
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
		b, err := t.next(g, over)
		if b != nil {
			t.l.deliver(b)
			return true
		}
		if over || errors.Is(err, errCut) || err == io.EOF {
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
