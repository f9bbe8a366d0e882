package follow

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"time"

	"github.com/redoubt-go/redoubt/logscan"
)

// A change is the difference between two looks: the files between the former
// current file, x, and the current file, y.
type change struct {
	x, y    *generation
	cut     bool        // x no longer has the bytes that were read
	renamed *sibling    // x
	rest    *sibling    // contains the bytes of x that were not read
	missed  []*sibling  // the files between, the oldest first
	begun   []*sibling  // copies of y, which is about to be cut
	early   *generation // the copy of x that was begun before x was read
	packed  []place     // known files, of which there is a packed copy now
	oldest  string      // the name that x has now
	present bool        // x was found
	back    *generation // y, if it was read before
}

// compare finds the files between t.cur and y. It changes nothing.
func (t *trail) compare(y *generation, target string, all []*sibling, cut bool) *change {
	x := t.cur
	c := &change{x: x, y: y}
	c.cut = cut || x != nil && x.file != nil && x.pos > 0 && !x.packed && !t.holds(x.file, x)
	c.present = x == nil || c.cut
	if y != nil {
		t.returned(c)
	}
	for _, s := range all {
		if x != nil && !c.cut && t.isGeneration(x, s) {
			c.renamed, c.oldest, c.present = s, s.name, true
			continue
		}
		if i := slices.IndexFunc(t.known, func(k known) bool { return k.in(s) }); i >= 0 {
			if k := t.known[i]; k.read && !k.packed && s.offset > k.offset {
				s.from = k.offset
				c.missed = append(c.missed, s)
			}
			continue
		}
		is := func(g *generation) bool { return g != x && t.isGeneration(g, s) }
		switch {
		case s.source, slices.ContainsFunc(t.queue, is), slices.ContainsFunc(t.late, is):
		case s.moved && x != nil && s.info.ModTime().Before(x.at):
		case t.isPart(c, s):
		case t.isBegun(s, y):
			c.begun = append(c.begun, s)
		default:
			c.missed = append(c.missed, s)
		}
	}
	for _, g := range t.late {
		if c.cut && g.copyOf == x && g.pos > x.pos && g.file != nil {
			c.early = g
		}
	}
	if c.cut && c.rest == nil && c.early == nil && x.pos > 0 { // a copy that was made before the latest read
		order(target, c.missed, "", false)
		for i, s := range slices.Backward(c.missed) {
			if t.copyOf(s, x) {
				c.missed = slices.Delete(c.missed, i, i+1)
				break
			}
		}
	}
	if c.rest != nil {
		c.oldest = c.rest.name
	}
	if t.target == "" || t.target == target {
		order(target, c.missed, c.oldest, false)
		return c
	}
	// The files beside the old target are older. It is the last of them.
	var old, last, beside []*sibling
	for _, s := range c.missed {
		switch {
		case s.name == t.target:
			last = append(last, s)
		case !s.moved && t.beside(t.target, s.name):
			old = append(old, s)
		default:
			beside = append(beside, s)
		}
	}
	order(t.target, old, c.oldest, false)
	order(target, beside, "", false)
	c.missed = slices.Concat(old, last, beside)
	return c
}

// isBegun reports whether s is a copy of y, which is about to be cut.
func (t *trail) isBegun(s *sibling, y *generation) bool {
	return y != nil && !s.packed && s.offset > 0 && !y.packed && t.within(s.place, y.file)
}

// adoptBegun keeps a copy of y that is not needed unless y is cut before it is
// read.
func (t *trail) adoptBegun(s *sibling, y *generation) {
	g := t.adopt(s)
	t.queue = t.queue[:len(t.queue)-1]
	if g.load(s.offset) != nil {
		t.l.release(g)
		return
	}
	g.copyOf = y
	t.late = append(t.late, g)
}

// wasCut reports whether g was cut before the bytes of a copy of it were read.
func (t *trail) wasCut(g *generation) bool {
	t.noted = nil
	for _, c := range t.late {
		if c.copyOf == g && c.pos > g.pos && !t.within(c.place(), g.file) {
			return true
		}
	}
	return false
}

// isPart reports whether s is the copy of a file that is known, packed or not.
func (t *trail) isPart(c *change, s *sibling) bool {
	x := c.x
	ofX := x != nil && x.pos > 0 && !s.packed && (c.cut || x.file == nil) && t.contains(s, x.place())
	if s.packed {
		var known bool
		if known, ofX = t.packedKnown(c, s); known && !ofX {
			return true
		}
	}
	switch {
	case ofX && c.rest == nil && (c.cut || x.file == nil):
		c.rest, c.present = s, true
	case ofX && s.packed:
		c.oldest, c.present = s.name, true
	default:
		return false
	}
	return true
}

// advance makes y the current file.
func (t *trail) advance(c *change, all []*sibling, cut bool) bool {
	x, y := c.x, c.y
	if cut && x.pos == 0 && x.size == 0 && len(c.missed) == 0 && c.early == nil {
		x.dirty = y.size > 0 // else nothing was written, or it is gone without a trace
		return false
	}
	if c.renamed != nil {
		x.name = c.renamed.name
		if x.file == nil {
			x.file = c.renamed.take()
			t.l.held(x)
		}
	}
	t.known = slices.DeleteFunc(t.known, func(k known) bool { return slices.Contains(c.packed, k.place) })
	if x != nil {
		t.leaveBehind(c)
	}
	for _, s := range c.missed {
		g := t.adopt(s)
		if s.from > 0 {
			t.known = slices.DeleteFunc(t.known, func(k known) bool { return k.is(s.place) && k.read })
			g.done = g.load(s.from) != nil
		} else if cut {
			g.gap = &GapError{Path: t.path, Lost: -1, Reason: "truncated"}
		}
	}
	for _, s := range c.begun {
		t.adoptBegun(s, y)
	}
	t.remember(all)
	kind := KindRotated
	if cut {
		kind = KindTruncated
	}
	t.l.count(func(s *Stats) {
		if cut {
			s.Truncations++
		} else if x != nil {
			s.Rotations += uint64(1 + len(c.missed))
		}
	})
	if x != nil {
		t.event(Event{Kind: kind, Source: x.name, Offset: x.pos})
	}
	if y == nil {
		t.headless()
		return true
	}
	t.become(y, c.back)
	return true
}

// headless makes the last file of the queue the current file while no file has
// the name.
func (t *trail) headless() {
	t.cur = nil
	if n := len(t.queue); n > 0 && !t.queue[n-1].done && !t.queue[n-1].packed {
		t.cur = t.queue[n-1]
		t.cur.left = time.Time{}
	}
}

// leaveBehind ends x, which no longer has the name or no longer has its bytes.
func (t *trail) leaveBehind(c *change) {
	x := c.x
	x.left, x.dirty = time.Now(), true
	if c.cut {
		x.gap = &GapError{Path: t.path, Offset: x.pos, Lost: -1, Reason: "truncated"}
		if c.rest == nil && c.early == nil && x.size > x.pos {
			x.gap.Lost = x.size - x.pos
		}
		t.l.release(x)
		x.left = time.Time{}.Add(1) // nothing is written to it later
	}
	switch {
	case c.early != nil:
		x.file, x.name, x.size, x.peek = c.early.file, c.early.name, c.early.pos, nil
		c.early.file = nil
		t.late = slices.DeleteFunc(t.late, func(g *generation) bool { return g == c.early })
	case c.rest != nil:
		x.file, x.name, x.size, x.peek = c.rest.take(), c.rest.name, c.rest.offset, nil
		x.packed = c.rest.packed
		t.l.held(x)
	case c.cut:
		x.done = true
	case x.file == nil:
		x.done = true
		if x.size > x.pos {
			x.gap = &GapError{Path: t.path, Offset: x.pos, Lost: x.size - x.pos, Reason: "removed before it was read"}
		}
	}
	if !c.present && len(c.missed) > 0 && x.gap == nil {
		x.gap = &GapError{Path: t.path, Offset: x.pos, Lost: -1, Reason: "rotated files may have been removed"}
	}
	if !slices.Contains(t.queue, x) {
		t.queue = append(t.queue, x)
	}
}

// adopt appends a rotated file to the queue.
func (t *trail) adopt(s *sibling) *generation {
	g := &generation{
		file: s.take(), name: s.name, packed: s.packed, dev: s.dev, ino: s.ino,
		size: s.info.Size(), at: s.info.ModTime(), left: time.Now(), dirty: true,
	}
	t.l.held(g)
	t.queue = append(t.queue, g)
	t.began(g)
	return g
}

func (t *trail) began(g *generation) {
	t.l.count(func(s *Stats) { s.Files++ })
	t.event(Event{Kind: KindOpened, Source: g.name, Offset: g.pos})
}

// returned finds out whether y was read before and has its name again.
func (t *trail) returned(c *change) {
	y := c.y
	if y.dev|y.ino == 0 || y.packed {
		return
	}
	for _, g := range slices.Concat(t.late, t.queue) {
		if g != c.x && g.file != nil && !g.done && !g.packed && g.pos > 0 && g.dev == y.dev && g.ino == y.ino && t.holds(y.file, g) {
			c.back = g
			return
		}
	}
	for _, k := range t.known {
		if k.read && k.dev == y.dev && k.ino == y.ino && k.offset > 0 && t.within(k.place, y.file) {
			t.note(y.load(k.offset))
			return
		}
	}
}

// become makes y the current file. If back is not nil, it is the same file, and
// reading goes on where it ended.
func (t *trail) become(y, back *generation) {
	if back != nil {
		is := func(g *generation) bool { return g == back }
		t.late, t.queue = slices.DeleteFunc(t.late, is), slices.DeleteFunc(t.queue, is)
		back.left, back.name, back.dirty = time.Time{}, t.path, true
		y.close()
		t.queue, t.cur = append(t.queue, back), back
		return
	}
	t.known = slices.DeleteFunc(t.known, func(k known) bool { return k.read && k.numbered() && k.dev == y.dev && k.ino == y.ino })
	t.l.held(y)
	t.queue, t.cur = append(t.queue, y), y
	t.began(y)
}

// holds reports whether f contains the bytes that were read of g.
func (t *trail) holds(f io.ReaderAt, g *generation) bool {
	return t.within(g.place(), f)
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
	return t.within(p, s.file)
}

// within reports whether f contains the bytes before p. It notes an error: a
// failed read is not a difference.
func (t *trail) within(p place, f io.ReaderAt) bool {
	ok, err := p.of(f)
	t.note(err)
	return ok
}

func (t *trail) note(err error) {
	if err != nil && t.noted == nil {
		t.noted = err
	}
}

// copyOf reports whether s begins like g and is not longer than what was read.
func (t *trail) copyOf(s *sibling, g *generation) bool {
	if !s.packed {
		head := make([]byte, min(int64(len(g.head)), s.offset))
		return 0 < s.offset && s.offset <= g.pos && readAll(s.file, head, 0) == nil && bytes.HasPrefix(g.head, head)
	}
	r, err := t.l.packer.open(s.file)
	if err != nil {
		return false
	}
	defer r.Close()
	head := make([]byte, headSize)
	n, _ := io.ReadFull(r, head)
	if n == 0 || !bytes.Equal(head[:min(n, len(g.head))], g.head[:min(n, len(g.head))]) {
		return false
	}
	rest, err := io.Copy(io.Discard, r)
	return err == nil && int64(n)+rest <= g.pos
}

// absences notes the known files that are no longer there.
func (t *trail) absences(all []*sibling) {
	for i := range t.known {
		k := &t.known[i]
		k.absent = !slices.ContainsFunc(all, func(s *sibling) bool { return k.in(s) })
	}
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
	return t.within(p, s.file)
}

// packedKnown reports whether s is the packed copy of a known file, which is no
// longer there, or of a file that is being read. That file may be x. If several
// files begin alike, it is the copy of the longest.
func (t *trail) packedKnown(c *change, s *sibling) (known, ofX bool) {
	x, cut := c.x, c.cut
	var places []place
	var index []int
	for i, k := range t.known {
		if k.absent && !k.packed && k.offset > 0 {
			places, index = append(places, k.place), append(index, i)
		}
	}
	for _, g := range slices.Concat(t.queue, t.late) {
		mark := -1
		if g == x {
			mark = -2
		}
		if g.packed {
			continue
		}
		p := g.place()
		if g.file != nil && !(g == x && cut) {
			info, err := g.file.Stat()
			if t.note(err); err == nil {
				end, err := placeAt(g.file, info.Size())
				if t.note(noEOF(err)); err == nil {
					p = end
				}
			}
		}
		if p.offset > 0 {
			places, index = append(places, p), append(index, mark)
		}
	}
	found, err := t.l.packer.matches(s.file, places)
	if errors.Is(err, logscan.ErrUnsupported) {
		return len(places) > 0, false // it cannot be read in any case
	}
	if len(found) == 0 {
		return false, false
	}
	i := index[found[len(found)-1]]
	if i >= 0 {
		c.packed = append(c.packed, t.known[i].place)
	}
	return true, i == -2
}

// remember replaces the known files by the files that are there. A file that
// was read and is gone is kept for a while: its packed copy may appear.
func (t *trail) remember(all []*sibling) {
	kept := slices.DeleteFunc(slices.Clone(t.known), func(k known) bool { return !k.read && !k.absent })
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

// find returns the sibling with the bytes and the numbers of p, or else with
// its bytes.
func (t *trail) find(p place, all []*sibling) *sibling {
	if p.offset == 0 {
		if i := slices.IndexFunc(all, func(s *sibling) bool {
			return s.file != nil && p.numbered() && p.is(s.place) && !s.packed && s.place.at >= p.at
		}); i >= 0 {
			return all[i]
		}
		return nil
	}
	for _, fits := range []func(s *sibling) bool{
		func(s *sibling) bool { return p.numbered() && p.is(s.place) },
		func(s *sibling) bool { return s.place.at >= p.at },
		func(*sibling) bool { return true },
	} {
		for _, s := range all {
			if !s.source && fits(s) && t.contains(s, p) {
				return s
			}
		}
	}
	return nil
}
