package follow

import (
	"cmp"
	"errors"
	"io"
	"io/fs"
	"maps"
	"slices"
	"time"
)

// A change is the comparison of the files on disk with a trail. Files are
// compared with the bytes that were read, so a file is one of these:
//
//   - the file that a generation is read from: the same number, and its bytes;
//   - another copy of these bytes, complete or not, compressed or not. It is
//     not read, unless the generation has lost its file: then the rest is read
//     from the copy;
//   - a file that is known: it was there when following began, or was read;
//   - a file that had the name since: it is read from its start.
//
// The same rules hold after a restart: then no file is open, and the
// checkpoint contains the places.
type change struct {
	t       *trail
	began   time.Time
	x, y    *generation // had the name, has the name
	target  string
	inPlace bool                       // y is the file of x, or has its number, but may have other bytes
	name    string                     // of the file of x, or of its copy; "" if there is none
	lost    []*generation              // without a file that contains their bytes
	exact   map[*generation]*sibling   // their files, which were closed
	copies  map[*generation][]*sibling // contain their bytes
	missed  []*sibling                 // to be read
	kept    []place                    // known from now on
	still   map[int]bool               // indexes of known that were found
	seen    map[node]string            // the names under which files were opened
	twice   map[string]node            // names of files that were opened under another, too
	oldest  int64                      // files with an earlier time are older than the checkpoint
	streams []*generation              // whose files are open
	ends    []place                    // of streams
}

// sync compares the files with the trail, and changes the trail if nothing was
// renamed meanwhile and every read succeeded. The file with the name is held
// open, so that its number is not used again.
func (t *trail) sync() error {
	t.noted = nil
	c := &change{
		t: t, began: time.Now(), x: t.cur, still: map[int]bool{}, seen: map[node]string{}, twice: map[string]node{},
		exact: map[*generation]*sibling{}, copies: map[*generation][]*sibling{},
	}
	defer c.close()
	var err error
	if c.y, err = t.open(); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if c.target, err = t.l.fsys.Target(t.path); err != nil {
		return err
	}
	c.prepare()
	names, err := c.names()
	if err != nil {
		return err
	}
	for _, name := range names {
		s, err := t.sibling(name, c.target)
		if errors.Is(err, errIrregular) {
			continue
		}
		if err != nil {
			return unstable(err)
		}
		s.source = s.packed && packedOf(name, names)
		if !c.classify(s) {
			s.file.Close()
		}
	}
	back := c.returned()
	err = c.stable(names)
	if err = cmp.Or(t.noted, err); err != nil {
		return err
	}
	c.apply(back)
	return nil
}

// unstable turns the absence of a file that was there into errUnstable.
func unstable(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, errShort) {
		return errUnstable
	}
	return err
}

// stable reports errUnstable if the names or the current file have changed.
func (c *change) stable(names []string) error {
	t := c.t
	again, err := c.names()
	if err != nil {
		return err
	}
	for name, n := range c.twice {
		if info, err := t.l.fsys.Stat(name); err != nil || !t.l.node(info).is(n) {
			return errUnstable
		}
	}
	info, err := t.l.fsys.Stat(t.path)
	absent := errors.Is(err, fs.ErrNotExist)
	switch {
	case err != nil && !absent:
		return err
	case !slices.Equal(again, names), absent != (c.y == nil):
		return errUnstable
	case c.y != nil && !c.y.packed && !t.within(c.y.mark, c.y.file): // cut meanwhile
		return errUnstable
	case c.y != nil && (!t.l.node(info).is(c.y.node) || c.y.size == 0 && info.Size() > 0 && !c.y.packed): // or perhaps cut
		return errUnstable
	}
	return nil
}

// close closes the files that were not taken.
func (c *change) close() {
	all := slices.Concat(c.missed, slices.Collect(maps.Values(c.exact)), slices.Concat(slices.Collect(maps.Values(c.copies))...))
	for _, s := range all {
		if s.file != nil {
			s.file.Close()
		}
	}
	if c.y != nil && c.y.file != nil && c.t.cur != c.y {
		c.y.file.Close()
	}
}

// prepare looks at the generations whose files are open. A file that has lost
// its bytes is noticed before the copies are looked for, which are made before
// a cut.
func (c *change) prepare() {
	t := c.t
	for _, g := range slices.Concat(t.queue, t.late) {
		switch {
		case g.file == nil && !g.done:
			c.lost = append(c.lost, g)
			continue
		case g.file == nil, g.packed:
			continue
		}
		size, ok, err := g.holds()
		if err != nil && t.tries >= maxTries { // if it is found, it is opened again
			t.l.release(g)
			c.lost = append(c.lost, g)
			continue
		}
		if t.note(err); err == nil && ok {
			c.stream(g, size)
		} else if err == nil && g == c.x {
			c.lost = append(c.lost, g)
		}
	}
	c.inPlace = c.x != nil && c.wasCut(c.x)
	if c.y != nil && !c.y.packed {
		c.stream(c.y, c.y.size)
	}
	if !t.begun && t.from != nil && len(t.from.places) == maxPlaces {
		c.oldest = slices.MinFunc(t.from.places, func(a, b place) int { return cmp.Compare(a.at, b.at) }).at
	}
}

// wasCut reports whether the file of g was cut, unless y is g, or its number is
// used again.
func (c *change) wasCut(g *generation) bool {
	return g.file != nil && slices.Contains(c.lost, g) || c.y != nil && g.numbered() && g.origin.is(c.y.node)
}

func (c *change) stream(g *generation, size int64) {
	end, err := placeAt(g.file, size)
	c.t.note(unstable(err))
	c.streams, c.ends = append(c.streams, g), append(c.ends, end)
}

// classify decides whether s is read. It reports whether s stays open.
func (c *change) classify(s *sibling) (keep bool) {
	t, x := c.t, c.x
	if s.foreign || c.y != nil && s.name == c.target || s.numbered() && c.y != nil && s.is(c.y.node) {
		return false
	}
	if name := c.seen[s.node]; name != "" && s.numbered() { // renamed meanwhile, or a second link
		c.twice[name] = s.node
		return false
	}
	c.seen[s.node] = s.name
	if !t.begun && t.from == nil {
		if keep = !t.l.Since.IsZero() && !s.source && !s.info.ModTime().Before(t.l.Since); keep {
			c.missed = append(c.missed, s)
		} else {
			c.keep(s)
		}
		return keep
	}
	for _, g := range slices.Concat(t.queue, t.late) {
		if c.reads(g, s) {
			if g == x {
				c.name = s.name
			}
			if g.name = s.name; g.file != nil || c.exact[g] != nil {
				return false
			}
			c.exact[g] = s
			return true
		}
	}
	if i := slices.IndexFunc(t.known, func(p place) bool { return p.in(s) }); i >= 0 {
		p := t.known[i]
		grown := !s.packed && s.offset > p.offset
		switch c.still[i] = true; {
		case grown && p.kind == finished:
			s.read = &p
			c.missed = append(c.missed, s)
			return true
		case grown && len(c.lost) > 0 && c.kin(s) == copyOfLost:
			return true
		case p.kind == finished:
			c.kept = append(c.kept, p)
		default:
			c.keep(s)
		}
		return false
	}
	if s.source {
		return false
	}
	switch c.kin(s) {
	case copyOfLost:
		return true
	case copyOfOpen:
		return false
	case older:
		c.keep(s)
		return false
	}
	if s.offset == 0 && c.inPlace && x.file != nil && !s.packed {
		return false // being copied
	}
	c.missed = append(c.missed, s)
	return true
}

// keep makes s known.
func (c *change) keep(s *sibling) {
	if !s.source {
		c.kept = append(c.kept, s.place)
	}
}

// reads reports whether g is read from the file of s.
func (c *change) reads(g *generation, s *sibling) bool {
	switch {
	case g.packed:
		return g.numbered() && g.is(s.node)
	case s.packed, g.file != nil && !slices.Contains(c.streams, g), !g.is(s.node):
		return false
	case g.pos == 0 && g.mark.offset == 0:
		return g.numbered()
	}
	return c.t.within(g.evidence(), s.file)
}

const (
	newFile = iota
	copyOfLost
	copyOfOpen
	older
)

// kin finds the file of which s is a copy. s is not known, and no generation is
// read from it.
func (c *change) kin(s *sibling) int {
	t, x := c.t, c.x
	end, head := s.place, []byte(nil)
	contains := func(p place) bool { return p.offset > 0 && t.within(p, s.file) }
	if s.packed {
		places := slices.Clone(c.ends)
		places = append(places, t.known...)
		for _, g := range c.lost {
			places = append(places, g.evidence(), g.early)
		}
		u := t.l.packer.unpack(s.file, places)
		if u.unsupported && len(places) > 0 {
			return older // it cannot be read in any case
		}
		end, head = u.end, u.head
		contains = func(p place) bool { return slices.Contains(u.found, p) }
	} else if end.offset > 0 {
		head = make([]byte, min(headSize, end.offset))
		t.note(unstable(readAll(s.file, head, 0)))
	}
	for _, g := range c.lost {
		if contains(g.evidence()) {
			c.copies[g] = append(c.copies[g], s)
			return copyOfLost
		}
	}
	for i, g := range c.streams {
		prefix := end.offset > 0 && end.offset <= c.ends[i].offset && t.within(end, g.file)
		if !prefix && !contains(c.ends[i]) {
			continue
		}
		if g == x {
			c.name = s.name
		}
		if g == c.y && end.offset > g.mark.offset && prefix {
			g.mark = end // shows a cut, after which the copy is needed
		}
		if slices.Contains(t.late, g) {
			return older
		}
		return copyOfOpen
	}
	if slices.ContainsFunc(t.known, func(p place) bool { return p.kind != compressed && contains(p) }) ||
		slices.ContainsFunc(c.lost, func(g *generation) bool {
			return c.wasCut(g) && end.offset <= g.pos && (contains(g.early) || g.begins(head, end.offset, s))
		}) {
		return older
	}
	if at := s.info.ModTime(); s.moved && x != nil && at.Before(x.at) || at.UnixNano() < c.oldest {
		return older
	}
	return newFile
}

// returned returns the generation whose file has the name now, or nil.
func (c *change) returned() *generation {
	t, y, x := c.t, c.y, c.x
	if y == nil {
		return nil
	}
	if !t.begun && t.from == nil {
		if t.l.Since.IsZero() && t.l.AtEnd && !t.fresh || y.at.Before(t.l.Since) {
			t.toEnd(y)
		}
		return nil
	}
	for _, g := range slices.Concat(t.queue, t.late) {
		switch {
		case g.done, g.file != nil && !g.packed && !slices.Contains(c.streams, g), !g.is(y.node), g.file != nil && g.packed != y.packed:
		case g.packed, g.evidence().offset == 0 && g.numbered(), c.holds(y, g.evidence()):
			return g
		}
	}
	if x != nil && x.file == nil && c.exact[x] == nil && x.pos > 0 && c.holds(y, x.place()) {
		return x // its number has changed
	}
	for i, p := range t.known {
		if p.kind == finished && p.numbered() && p.is(y.node) && p.offset > 0 && !y.packed && t.within(p, y.file) {
			y.pos, y.saved = p.offset, p
			c.still[i] = true // no longer known
			break
		}
	}
	return nil
}

// holds reports whether y contains the bytes before p.
func (c *change) holds(y *generation, p place) bool {
	if y.packed {
		return len(c.t.l.packer.unpack(y.file, []place{p}).found) > 0
	}
	return c.t.within(p, y.file)
}

// apply changes the trail. back is the generation of y, if it is not new.
func (c *change) apply(back *generation) {
	t, x, y := c.t, c.x, c.y
	if y == nil && (!t.begun && t.from == nil || len(c.missed) == 0 && slices.Contains(c.lost, x) && c.exact[x] == nil && len(c.copies[x]) == 0) {
		return // the name may come back
	}
	same := x != nil && back == x
	now := time.Now()
	if x != nil && !same {
		x.left, x.dirty = now, true
		if !slices.Contains(c.lost, x) && c.name == "" && slices.ContainsFunc(c.missed, func(s *sibling) bool { return s.read == nil && s.offset > 0 }) {
			x.gap = t.gap(x, -1, "rotated files may have been removed")
		}
	}
	for _, g := range c.lost {
		if g != back {
			c.find(g, now)
		}
	}
	if same {
		c.name = "" // a copy of x is the newest file, not the oldest
	}
	c.order()
	for _, s := range c.missed {
		g := t.adopt(s)
		if g.target = c.target; t.target != "" && t.beside(t.target, s.name) {
			g.target = t.target
		}
		if c.inPlace && s.read == nil && s.offset > 0 {
			g.gap = &GapError{Path: t.path, Lost: -1, Reason: "truncated"}
		}
	}
	t.remember(c)
	if x != nil && (!same || len(c.missed) > 0) {
		kind := KindRotated
		if c.inPlace {
			kind = KindTruncated
		}
		t.l.count(func(s *Stats) {
			if c.inPlace {
				s.Truncations++
			} else {
				s.Rotations += uint64(1 + len(c.missed))
			}
		})
		t.event(Event{Kind: kind, Source: x.name, Offset: x.pos})
	}
	c.become(back)
}

// find gives g, which has lost its file, another file with its bytes.
func (c *change) find(g *generation, now time.Time) {
	t := c.t
	cut, s := c.wasCut(g), c.exact[g]
	t.l.release(g)
	if g.left = now; s == nil && len(c.copies[g]) > 0 {
		s = slices.MaxFunc(c.copies[g], func(a, b *sibling) int {
			if a.packed != b.packed {
				return cmp.Compare(b.kind, a.kind) // compressed is less
			}
			return cmp.Compare(a.offset, b.offset)
		})
		g.left = time.Time{}.Add(1) // nothing is written to it later
		if cut {
			g.gap = t.gap(g, -1, "truncated")
		}
	}
	i := slices.Index(t.late, g)
	if i >= 0 && (s == nil || s.packed) {
		t.late = slices.Delete(t.late, i, i+1)
		if s == nil {
			t.forget(g)
			return
		}
		t.queue = slices.Insert(t.queue, 0, g)
	}
	if s != nil {
		if g == c.x {
			c.name = s.name
		}
		g.file, g.name, g.size, g.packed, g.node, g.stored = s.take(), s.name, s.offset, s.packed, s.node, s.place
		t.l.held(g)
		return
	}
	g.done = true
	lost, reason := int64(-1), "the file is missing"
	if g.size > g.pos {
		lost = g.size - g.pos
	}
	if cut {
		reason = "truncated"
	}
	g.gap = t.gap(g, lost, reason)
}

// order sorts the files that had the name, the oldest first. If a link was
// switched, the files beside the old target are older. The target is the last
// of them.
func (c *change) order() {
	t, oldest := c.t, c.name
	if t.target == "" || t.target == c.target {
		order(c.target, c.missed, oldest, !t.begun)
		return
	}
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
	order(t.target, old, oldest, !t.begun)
	order(c.target, beside, "", !t.begun)
	c.missed = slices.Concat(old, last, beside)
}

// become makes y the current file. If back is not nil, it is the same file, and
// reading goes on where it ended.
func (c *change) become(back *generation) {
	t, y := c.t, c.y
	t.begun, t.cur, t.info = true, nil, nil
	if y == nil {
		return
	}
	t.target, t.info, t.looked = c.target, y.info, c.began
	if back == nil {
		t.l.held(y)
		t.queue, t.cur = append(t.queue, y), y
		y.target = c.target
		t.began(y)
		return
	}
	is := func(g *generation) bool { return g == back }
	t.late, t.queue = slices.DeleteFunc(t.late, is), slices.DeleteFunc(t.queue, is)
	if back.file == nil {
		back.file, back.node, back.packed, y.file = y.file, y.node, y.packed, nil
		t.l.held(back)
	}
	back.target = c.target
	back.left, back.name, back.dirty, back.at = time.Time{}, t.path, true, y.at
	if y.mark.offset > back.mark.offset {
		back.mark = y.mark
	}
	t.queue, t.cur = append(t.queue, back), back
}

// adopt appends a rotated file to the queue.
func (t *trail) adopt(s *sibling) *generation {
	g := &generation{
		file: s.take(), name: s.name, packed: s.packed, node: s.node, origin: s.node,
		stored: s.place, size: s.info.Size(), at: s.info.ModTime(), left: time.Now(), dirty: true,
	}
	if s.read != nil {
		g.pos, g.saved = s.read.offset, *s.read
	} else if !g.packed {
		g.mark = s.place
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

// remember replaces the known files by the files that are there. A few that are
// gone are kept, because compressed copies of them may appear.
func (t *trail) remember(c *change) {
	var gone []place
	for i, p := range t.known {
		if !c.still[i] && p.kind != compressed {
			gone = append(gone, p)
		}
	}
	t.known = slices.Clip(slices.Concat(gone[max(0, len(gone)-maxGone):], c.kept))
}

// maxGone bounds the known files that are no longer there.
const maxGone = 16

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
