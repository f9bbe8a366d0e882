package follow

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// errUnstable reports that files were renamed while they were listed.
var errUnstable = errors.New("files changed while they were listed")

// A sibling is a file whose name matches the patterns of rotated files.
type sibling struct {
	name    string
	file    file
	info    fs.FileInfo
	place   // the end of the file, as it is stored
	packed  bool
	read    *place // how far it was read; nil if it was not
	source  bool   // packed, and the file that is being packed is still there
	foreign bool   // a checkpoint
	moved   bool   // beside another target of a link
}

// packedOf reports whether names contain the file that name is a compressed
// copy of.
func packedOf(name string, names []string) bool {
	return slices.ContainsFunc(names, func(o string) bool {
		rest, ok := strings.CutPrefix(name, o)
		return ok && rest != "" && packing.FindString(rest) == rest
	})
}

// take returns the file, which is then no longer closed with the siblings.
func (s *sibling) take() file {
	f := s.file
	s.file = nil
	if n, ok := f.(noted); ok {
		return n.file
	}
	return f
}

// A noted file notes errors, so that a failed read is not taken for a
// difference.
type noted struct {
	file
	t    *trail
	name string
}

func (f noted) ReadAt(p []byte, off int64) (int, error) {
	n, err := f.file.ReadAt(p, off)
	if !f.t.skip[f.name] {
		f.t.note(noEOF(err))
	}
	return n, err
}

// skipped turns the error of a file that was given up into errIrregular.
func (t *trail) skipped(name string, err error) error {
	if t.skip[name] {
		return errIrregular
	}
	return err
}

func (t *trail) sibling(name, target string) (*sibling, error) {
	f, err := t.l.fsys.Open(name)
	if err != nil {
		return nil, t.skipped(name, err)
	}
	s := &sibling{name: name, file: noted{f, t, name}}
	head := make([]byte, tailSize)
	n := 0
	if s.info, err = f.Stat(); err == nil {
		if n, err = f.ReadAt(head, 0); err == io.EOF {
			err = nil
		}
	}
	if err == nil {
		s.place, err = placeAt(f, s.info.Size())
	}
	if err != nil {
		f.Close()
		return nil, t.skipped(name, err)
	}
	s.node, s.place.at = t.l.node(s.info), s.info.ModTime().UnixNano()
	if s.packed = t.l.packer.packed(head[:n]) || n < 10 && packing.MatchString(name); s.packed { // being packed
		s.kind = compressed
	} else {
		s.kind = known
	}
	s.foreign = bytes.HasPrefix(head[:n], []byte(magic))
	s.moved = t.target != "" && target != t.target && !t.beside(t.target, name)
	return s, nil
}

// names lists the rotated files of the target, and of the target before a link
// was switched.
func (c *change) names() (names []string, err error) {
	t := c.t
	patterns := t.patterns(c.target)
	if t.target != "" && t.target != c.target {
		patterns = append(append(t.patterns(t.target), literal(t.target)), patterns...)
	}
	folders := listing{}
	if t.l.dir != nil && !t.begun { // one list for all files that are found
		folders = t.l.dir.listing
	}
	for _, pattern := range patterns {
		more, err := folders.glob(t.l.fsys, pattern)
		if err != nil {
			return nil, err
		}
		names = append(names, more...)
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// patterns returns the patterns of the rotated files of target.
func (t *trail) patterns(target string) []string {
	if t.l.Rotated != nil {
		return t.l.Rotated
	}
	name := literal(target)
	return []string{name + ".[0-9]*", name + "-[0-9]*", name + ".old", name + ".old.*"}
}

// beside reports whether name is target or one of its rotated files.
func (t *trail) beside(target, name string) bool {
	return name == target || slices.ContainsFunc(t.patterns(target), func(p string) bool {
		ok, _ := filepath.Match(p, name)
		return ok
	})
}

// in reports whether s is the file of p, which is known.
func (p place) in(s *sibling) bool {
	if !p.is(s.node) || s.offset < p.offset || s.packed != (p.kind == compressed) {
		return false
	}
	if p.offset == 0 { // later bytes of an empty file are not known
		return p.numbered() && s.offset == 0 && s.place.at == p.at
	}
	ok, _ := p.of(s.file) // s.file notes errors
	return ok
}

var (
	packing = regexp.MustCompile(`(\.(gz|bz2|xz|zst|lz4|Z|tmp))+$`)
	digits  = regexp.MustCompile(`[0-9]+`)
)

// number returns the numbers in the part of name that rotation has added.
func number(target, name string) []uint64 {
	rest, ok := strings.CutPrefix(name, target)
	if !ok {
		rest = filepath.Base(name)
	}
	var all []uint64
	for _, text := range digits.FindAllString(packing.ReplaceAllString(rest, ""), -1) {
		n, _ := strconv.ParseUint(text, 10, 64) // the largest number if it is out of range
		all = append(all, n)
	}
	return all
}

// order sorts rotated files by age, the oldest first. The names decide, as long
// as all have numbers. Dates and times grow. Small numbers fall, unless the
// number of oldest, the present name of the oldest file, is smaller than all of
// them. If timed, they grow if the times of the files show it. If names do not
// decide, times do.
func order(target string, all []*sibling, oldest string, timed bool) {
	dates, named := false, true
	key := map[string][]uint64{}
	for _, s := range all {
		n := number(target, s.name)
		key[s.name] = n
		named = named && len(n) > 0
		dates = dates || len(n) > 1 || len(n) == 1 && n[0] >= 1000
	}
	byName := func(a, b *sibling) int { return slices.Compare(key[a.name], key[b.name]) }
	byTime := func(a, b *sibling) int {
		return cmp.Or(a.info.ModTime().Compare(b.info.ModTime()), cmp.Compare(a.name, b.name))
	}
	if !named {
		slices.SortFunc(all, byTime)
		return
	}
	slices.SortFunc(all, byName)
	grow := dates
	if first := number(target, oldest); !dates && oldest != "" && len(first) > 0 && len(all) > 0 {
		larger := 0
		for _, s := range all {
			larger += slices.Compare(key[s.name], first)
		}
		grow = larger > 0
	} else if timed && !dates {
		// Packing may change times.
		votes := ballot(slices.DeleteFunc(slices.Clone(all), func(s *sibling) bool { return s.packed }))
		grow = votes < -1 // a late write may change a time
	}
	if !grow {
		slices.Reverse(all)
	}
}

// ballot counts the neighbours that are older, less those that are newer.
func ballot(all []*sibling) (votes int) {
	for i := range all[:max(len(all)-1, 0)] {
		votes += all[i].info.ModTime().Compare(all[i+1].info.ModTime())
	}
	return votes
}
