package ledger_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/redoubt-go/redoubt/audit"
	"github.com/redoubt-go/redoubt/audit/ledger"
)

// A victim is a closed log on a disk that an attacker without the key changes.
//
//	segment  0: 0 header, 1 seal, 2 a, 3 b, 4 seal, 5 c, 6 d, 7 seal
//	segment  8: 8 header, 9 e, 10 f, 11 seal, 12 g, 13 seal
//	segment 14: 14 header, 15 h, 16 i, 17 seal
type victim struct {
	dir, mark string
	c         ledger.Config
	known     []ledger.Head     // heads that were kept elsewhere
	old       map[string][]byte // the files when segment 8 was begun, by path
	other     map[string][]byte // the files of another log by the same key, by name
	ev        *evidence         // the segments, which the attacker changes
	extra     map[string][]byte // other files that the attacker writes into the directory
	t         *testing.T
}

func newVictim(t *testing.T, elsewhere bool) *victim {
	t.Helper()
	v := &victim{dir: t.TempDir(), c: sealing(signer(t, origin, 1)), t: t, extra: map[string][]byte{}}
	must(t, os.Chmod(v.dir, 0o700))
	if v.mark = filepath.Join(v.dir, "mark"); elsewhere {
		v.mark = filepath.Join(t.TempDir(), "mark")
		v.c.Mark = v.mark
	}
	l := open(t, v.dir, v.c)
	keep := func() { v.known = append(v.known, l.Head()) }
	write(t, l, "a", "b")
	_ = checkpoint(t, l)
	keep()
	write(t, l, "c", "d")
	must(t, l.Rotate(context.Background()))
	v.old = v.files()
	write(t, l, "e", "f")
	_ = checkpoint(t, l)
	keep()
	write(t, l, "g")
	must(t, l.Rotate(context.Background()))
	write(t, l, "h", "i")
	must(t, l.Close())
	keep()
	v.load()

	second := t.TempDir()
	l = open(t, second, sealing(signer(t, origin, 1)))
	for range 6 {
		write(t, l, "x", "y", "z")
		_ = checkpoint(t, l)
	}
	_ = l.Close()
	v.other = map[string][]byte{"mark": readFile(t, filepath.Join(second, "mark")), segmentOf(0): readFile(t, filepath.Join(second, segmentOf(0)))}
	return v
}

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// files returns the files of the directory, and the mark.
func (v *victim) files() map[string][]byte {
	all := map[string][]byte{v.mark: readFile(v.t, v.mark)}
	for name, f := range contents(v.t, v.dir) {
		all[filepath.Join(v.dir, name)] = f.Data
	}
	return all
}

func (v *victim) load() {
	v.ev = &evidence{}
	for _, name := range slices.Sorted(maps.Keys(contents(v.t, v.dir))) {
		first, _ := strconv.Atoi(name[:20])
		v.ev.firsts = append(v.ev.firsts, first)
		v.ev.segs = append(v.ev.segs, split(contents(v.t, v.dir)[name].Data))
	}
}

// store writes the changed segments.
func (v *victim) store() {
	for name := range contents(v.t, v.dir) {
		must(v.t, os.Remove(filepath.Join(v.dir, name)))
	}
	for name, f := range v.ev.files() {
		must(v.t, os.WriteFile(filepath.Join(v.dir, name), f.Data, 0o600))
	}
	for name, data := range v.extra {
		must(v.t, os.WriteFile(filepath.Join(v.dir, name), data, 0o600))
	}
}

// renumber makes numbers, names, links and ranges consistent.
func renumber(ev *evidence) {
	seq := 0
	for s, lines := range ev.segs {
		ev.firsts[s] = seq
		for i, line := range lines {
			_, rest, _ := bytes.Cut(line, []byte(","))
			lines[i] = fmt.Appendf(nil, `{"seq":%d,%s`, seq, rest)
			seq++
		}
	}
	ev.rehash()
}

// unseal removes the checkpoints of the segments from seg to the end.
func unseal(seg int) func(*evidence) {
	return func(ev *evidence) {
		for s := seg; s < len(ev.segs); s++ {
			ev.segs[s] = slices.DeleteFunc(slices.Clone(ev.segs[s]), func(l []byte) bool {
				return bytes.Contains(l, []byte(`"type":"checkpoint"`))
			})
		}
	}
}

// swap changes an event anywhere.
func swap(id string) func(*evidence) {
	return func(ev *evidence) {
		for _, lines := range ev.segs {
			for i, line := range lines {
				if bytes.Contains(line, []byte(`"id":"`+id+`"`)) {
					lines[i] = bytes.Replace(line, []byte("success"), []byte("failure"), 1)
					return
				}
			}
		}
		panic("no event " + id)
	}
}

// reseals replaces all checkpoints by checkpoints of an unknown key.
func reseals(t *testing.T) func(*evidence) {
	return func(ev *evidence) {
		for seq := range ev.firsts[len(ev.firsts)-1] + len(ev.segs[len(ev.segs)-1]) {
			if bytes.Contains(*ev.at(seq), []byte(`"type":"checkpoint"`)) {
				ev.rehash()
				*ev.at(seq) = withNote(*ev.at(seq), noteBy(t, ev, seq, signer(t, origin, 9)))
			}
		}
		ev.rehash()
	}
}

// A laundering is a program of an attacker: it edits the files, hoping that the
// service seals them at its next start.
var launderings = map[string]func(v *victim){
	"an event in the last segment":       func(v *victim) { then(unseal(2), swap("h"), renumber)(v.ev) },
	"an event in the first segment":      func(v *victim) { then(unseal(0), swap("a"), renumber)(v.ev) },
	"an event from the middle on":        func(v *victim) { then(unseal(1), swap("g"), renumber)(v.ev) },
	"an event, seals kept":               func(v *victim) { then(swap("h"), renumber)(v.ev) },
	"an old event, later seals kept":     func(v *victim) { then(swap("a"), renumber)(v.ev) },
	"an event alone":                     func(v *victim) { swap("h")(v.ev) },
	"an event of an older segment alone": func(v *victim) { swap("a")(v.ev) },
	"event removed": func(v *victim) {
		then(unseal(0), lines(1, func(l [][]byte) [][]byte { return slices.Delete(l, 1, 2) }), renumber)(v.ev)
	},
	"event added": func(v *victim) {
		then(unseal(0), lines(1, func(l [][]byte) [][]byte { return slices.Insert(l, 1, l[1]) }), renumber)(v.ev)
	},
	"events swapped": func(v *victim) {
		then(unseal(2), lines(2, func(l [][]byte) [][]byte { l[1], l[2] = l[2], l[1]; return l }), renumber)(v.ev)
	},
	"seals by another key": func(v *victim) { then(swap("h"), reseals(v.t))(v.ev) },
	"last seal by another key": func(v *victim) {
		then(swap("i"), func(ev *evidence) { ev.rehash(); reseal(v.t, ev, 17) }, rehash)(v.ev)
	},
	"last seal cut, event changed": func(v *victim) { then(cut(2, 3), swap("h"), renumber)(v.ev) },
	"cut behind an old seal":       func(v *victim) { then(dropSegment(2), cut(1, 4))(v.ev) },
	"cut behind an old event":      func(v *victim) { then(dropSegment(2), cut(1, 2))(v.ev) },
	"cut behind a header":          func(v *victim) { cut(2, 1)(v.ev) },
	"cut behind the first header":  func(v *victim) { then(dropSegment(2), dropSegment(1), cut(0, 1))(v.ev) },
	"last segment removed":         func(v *victim) { dropSegment(2)(v.ev) },
	"last segment emptied":         func(v *victim) { cut(2, 0)(v.ev) },
	"middle segment removed":       func(v *victim) { then(dropSegment(1), renumber)(v.ev) },
	"all segments removed":         func(v *victim) { v.ev = &evidence{} },
	"older copy of the segments":   func(v *victim) { v.restore(func(path string) bool { return path != v.mark }) },
	"older copy, then forged": func(v *victim) {
		v.restore(func(path string) bool { return path != v.mark })
		then(lines(1, func(l [][]byte) [][]byte { return append(l, v.ev.segs[0][2]) }), renumber)(v.ev)
	},
	"forged range":         func(v *victim) { then(dropSegment(0), change(8, `"range":["`, `"range":["AAAA`), relink)(v.ev) },
	"forged key in office": func(v *victim) { then(change(14, origin+"+", origin+"+0"), relink)(v.ev) },
	"hole in the middle": func(v *victim) {
		line := bytes.Clone(*v.ev.at(15))
		line[100] = 0
		*v.ev.at(15) = line
	},
	"hole before the last seal, which is cut": func(v *victim) {
		line := bytes.Clone(*v.ev.at(15))
		line[100] = 0
		*v.ev.at(15) = line
		cut(2, 3)(v.ev)
	},
	"last line torn":     func(v *victim) { lines(2, func(l [][]byte) [][]byte { l[3] = l[3][:40]; return l })(v.ev) },
	"log of a stranger":  func(v *victim) { v.replace(ledger.Config{Origin: origin, Sync: ledger.SyncNever}) },
	"log by another key": func(v *victim) { v.replace(sealing(signer(v.t, origin, 9))) },
	"log by the key":     func(v *victim) { v.ev = &evidence{firsts: []int{0}, segs: [][][]byte{split(v.other[segmentOf(0)])}} },
	"tail of another log": func(v *victim) {
		lines(2, func(l [][]byte) [][]byte { return append(l, split(v.other[segmentOf(0)])[3]) })(v.ev)
		renumber(v.ev)
	},
	"seal of another log": func(v *victim) {
		lines(2, func(l [][]byte) [][]byte { l[3] = split(v.other[segmentOf(0)])[5]; return l })(v.ev)
		renumber(v.ev)
	},
	"last seal moved back": func(v *victim) {
		lines(2, func(l [][]byte) [][]byte { l[2], l[3] = l[3], l[2]; return l })(v.ev)
		renumber(v.ev)
	},
	"last seal doubled, forged between": func(v *victim) {
		lines(2, func(l [][]byte) [][]byte { return append(l, l[1], l[3]) })(v.ev)
		renumber(v.ev)
	},
}

// restore replaces files by their older copies.
func (v *victim) restore(which func(path string) bool) {
	v.ev = &evidence{}
	for _, path := range slices.Sorted(maps.Keys(v.old)) {
		if !which(path) {
			continue
		}
		first, err := strconv.Atoi(filepath.Base(path)[:min(20, len(filepath.Base(path)))])
		if err == nil {
			v.ev.firsts = append(v.ev.firsts, first)
			v.ev.segs = append(v.ev.segs, split(v.old[path]))
		}
	}
}

// replace writes a whole new log with the same number of records.
func (v *victim) replace(c ledger.Config) {
	dir := v.t.TempDir()
	l := open(v.t, dir, c)
	for l.Head().Size < 18 {
		write(v.t, l, "forged")
	}
	_ = l.Close()
	v.ev = &evidence{firsts: []int{0}, segs: [][][]byte{split(read(v.t, dir))}}
}

// A reach is an attacker's access to the mark.
var reaches = map[string]func(v *victim){
	"mark is kept":        func(*victim) {},
	"mark is removed":     func(v *victim) { must(v.t, os.Remove(v.mark)) },
	"mark is older":       func(v *victim) { must(v.t, os.WriteFile(v.mark, v.old[v.mark], 0o600)) },
	"mark of another log": func(v *victim) { must(v.t, os.WriteFile(v.mark, v.other["mark"], 0o600)) },
	"mark is damaged":     func(v *victim) { must(v.t, os.WriteFile(v.mark, []byte("x"), 0o600)) },
	"mark by another key": func(v *victim) { must(v.t, os.WriteFile(v.mark, []byte(v.strangeMark()), 0o600)) },
	"mark is a link":      func(v *victim) { _ = os.Remove(v.mark); must(v.t, os.Symlink(v.oldMark(), v.mark)) },
	"mark of another size": func(v *victim) {
		must(v.t, os.WriteFile(v.mark, bytes.Replace(readFile(v.t, v.mark), []byte("\n17\n"), []byte("\n1\n"), 1), 0o600))
	},
}

func (v *victim) strangeMark() string {
	var all [][]byte
	for _, lines := range v.ev.segs {
		all = append(all, lines...)
	}
	note, _ := ledger.SignHead(origin, headOf(all), signer(v.t, origin, 9))
	return note
}

func (v *victim) oldMark() string {
	path := filepath.Join(v.t.TempDir(), "old")
	must(v.t, os.WriteFile(path, v.old[v.mark], 0o600))
	return path
}

// restart opens the log as the honest service, writes and closes.
func (v *victim) restart() error {
	l, err := ledger.Open(context.Background(), v.dir, v.c)
	if err != nil {
		return err
	}
	err = l.WriteEvents(context.Background(), []*audit.Event{event("after")})
	return errors.Join(err, l.Close())
}

// check verifies the log with the public key and, if known is not nil, a head.
func (v *victim) check(known *ledger.Head) error {
	_, err := verify(os.DirFS(v.dir), ledger.VerifyConfig{Keys: []*ledger.Verifier{v.c.Signer.Verifier()}, MaxUnsealed: -1, Known: known})
	return err
}

// No restart launders a changed log. If the attacker cannot reach the mark, the
// service refuses the log or cuts forged lines off, or Verify finds the change
// without a known head. If the attacker can reach the mark too, Verify finds
// the change of records that a known head covers.
func TestNoRestartLaunders(t *testing.T) {
	for reach, reached := range reaches {
		for name, do := range launderings {
			t.Run(reach+"/"+name, func(t *testing.T) {
				v := newVictim(t, reach == "mark is kept")
				do(v)
				v.store()
				reached(v)
				before := v.filesIfAny()
				err := v.restart()
				if err != nil && !errors.Is(err, ledger.ErrTampered) && !errors.Is(err, ledger.ErrFormat) {
					t.Errorf("Open: %v", err)
				}
				if err != nil && !maps.EqualFunc(before, v.filesIfAny(), bytes.Equal) {
					t.Error("Open refuses the log and changes it")
				}
				if err != nil {
					return
				}
				switch reached := reach != "mark is kept"; {
				case reach == "mark is beside it" && (name == "tail of another log" || name == "last seal doubled, forged between"):
					// Only a mark elsewhere protects the end of the log.
				case reached && v.check(&v.known[2]) == nil && !v.intact():
					t.Error("laundered")
				case !reached && v.check(nil) == nil && !v.intact():
					t.Error("laundered although the mark was kept")
				}
			})
		}
	}
}

// intact reports whether the log contains all its events, and no others.
func (v *victim) intact() bool {
	return slices.Equal(ids(v.t, os.DirFS(v.dir)), []string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "after"})
}

func (v *victim) filesIfAny() map[string][]byte {
	all := map[string][]byte{}
	_ = filepath.WalkDir(v.dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			all[path] = readFile(v.t, path)
		}
		return nil
	})
	return all
}

// An untouched log continues. Without its mark, it needs a known head, which
// must be the complete log.
func TestAdoption(t *testing.T) {
	v := newVictim(t, false)
	if err := errors.Join(v.restart(), v.check(&v.known[2])); err != nil {
		t.Fatal(err)
	}
	must(t, os.Remove(v.mark))
	checkIs(t, v.restart(), ledger.ErrTampered)
	v.c.Known = &v.known[2]
	checkIs(t, v.restart(), ledger.ErrTampered)
	r, err := verify(os.DirFS(v.dir), ledger.VerifyConfig{})
	must(t, err)
	v.c.Known = &ledger.Head{Size: r.Records, Root: r.Root}
	must(t, v.restart())
	must(t, v.check(&v.known[2]))
	must(t, os.Remove(v.mark))
	checkIs(t, v.restart(), ledger.ErrTampered) // the same Known does not adopt a longer log
}

// A mark from before the oldest segment of a pruned log is a replaced mark.
func TestMarkBeforeAPrunedLog(t *testing.T) {
	v := newVictim(t, true)
	v.c.Retain = 1
	l := open(t, v.dir, v.c)
	write(t, l, "j")
	must(t, l.Rotate(context.Background()))
	write(t, l, "k")
	must(t, l.Close())
	must(t, os.WriteFile(v.mark, v.old[v.mark], 0o600))
	checkIs(t, v.restart(), ledger.ErrTampered)
}

// A header without a mark, which a crash can leave, belongs to the key that it
// names.
func TestHeaderOfAnotherKey(t *testing.T) {
	dir := t.TempDir()
	_ = open(t, dir, sealing(signer(t, origin, 1))).Close()
	must(t, os.WriteFile(filepath.Join(dir, segment), join(split(read(t, dir))[:1]), 0o600))
	must(t, os.Remove(filepath.Join(dir, "mark")))
	_, err := ledger.Open(context.Background(), dir, sealing(signer(t, origin, 2)))
	checkIs(t, err, ledger.ErrTampered)
	must(t, open(t, dir, sealing(signer(t, origin, 1))).Close())
}
