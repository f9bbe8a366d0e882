package follow_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redoubt-go/redoubt/logscan"
	"github.com/redoubt-go/redoubt/logscan/follow"
)

// model is a file system in memory: names, and files that live on without one.
type model struct {
	mu    sync.Mutex
	names map[string]*node
	now   time.Time // moves at every change
	deny  bool      // opening fails
	open  int       // files that were opened and not closed
}

type node struct {
	m    *model
	id   int
	data []byte
	at   time.Time
}

func newModel() *model { return &model{names: map[string]*node{}, now: time.Unix(1e9, 0)} }

func (m *model) create(name string) *node {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := &node{m: m}
	n.touch()
	n.id = int(m.now.Unix())
	m.names[name] = n
	return n
}

func (n *node) touch() {
	n.m.now = n.m.now.Add(time.Second)
	n.at = n.m.now
}

func (n *node) write(s string) {
	n.m.mu.Lock()
	defer n.m.mu.Unlock()
	n.data = append(n.data, s...)
	n.touch()
}

// set replaces what is in the file, which stays the same file.
func (n *node) set(s string) {
	n.m.mu.Lock()
	defer n.m.mu.Unlock()
	n.data = []byte(s)
	n.touch()
}

func (m *model) rename(from, to string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if n := m.names[from]; n != nil {
		m.names[to] = n
		delete(m.names, from)
	}
}

// copy makes a second file of what is in the first.
func (m *model) copy(from, to string) {
	n := m.create(to)
	n.write(string(m.names[from].data))
}

// remove takes the name away; who has the file open keeps it.
func (m *model) remove(name string) { m.rename(name, "") }

// refuse makes opening fail or not.
func (m *model) refuse(deny bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.deny = deny
}

// pack replaces a file by a compressed one with its time, as gzip(1) does.
func (m *model) pack(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if n := m.names[name]; n != nil {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		w.Write(n.data)
		w.Close()
		delete(m.names, name)
		m.names[name+".gz"] = &node{m: m, id: -n.id, data: b.Bytes(), at: n.at}
	}
}

func (m *model) Open(name string) (follow.File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.deny {
		return nil, fs.ErrPermission
	}
	if n := m.names[name]; n != nil {
		m.open++
		return &handle{n: n}, nil
	}
	return nil, fs.ErrNotExist
}

func (m *model) Stat(name string) (fs.FileInfo, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if n := m.names[name]; n != nil {
		return info{id: n.id, size: int64(len(n.data)), at: n.at}, nil
	}
	return nil, fs.ErrNotExist
}

func (m *model) Glob(pattern string) (names []string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for name := range m.names {
		if ok, _ := path.Match(pattern, name); ok {
			names = append(names, name)
		}
	}
	return names, nil
}

func (m *model) Same(a, b fs.FileInfo) bool { return a.(info).id == b.(info).id }

func (m *model) ID(i fs.FileInfo) (dev, ino uint64) { return 1, uint64(i.(info).id) }

type handle struct {
	n      *node
	closed bool
}

func (h *handle) ReadAt(p []byte, off int64) (int, error) {
	h.n.m.mu.Lock()
	defer h.n.m.mu.Unlock()
	return bytes.NewReader(h.n.data).ReadAt(p, off)
}

func (h *handle) Close() error {
	h.n.m.mu.Lock()
	defer h.n.m.mu.Unlock()
	if h.closed {
		return fs.ErrClosed
	}
	h.closed = true
	h.n.m.open--
	return nil
}

func (h *handle) Stat() (fs.FileInfo, error) {
	h.n.m.mu.Lock()
	defer h.n.m.mu.Unlock()
	return info{id: h.n.id, size: int64(len(h.n.data)), at: h.n.at}, nil
}

type info struct {
	fs.FileInfo
	id   int
	size int64
	at   time.Time
}

func (i info) Size() int64        { return i.size }
func (info) Mode() fs.FileMode    { return 0 }
func (i info) ModTime() time.Time { return i.at }

// watched is what a follower that runs in the background has delivered.
type watched struct {
	lines []string
	gaps  int
	errs  int
	last  follow.Checkpoint
	stop  func()
}

// watch follows "log" until stop, inside a synctest bubble.
func watch(t *testing.T, f follow.Follower) *watched {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan bool)
	w := &watched{stop: func() { cancel(); <-done }}
	go func() {
		defer close(done)
		for rec, err := range f.Records(ctx) {
			var gap *follow.GapError
			switch {
			case errors.As(err, &gap):
				w.gaps++
			case errors.Is(err, context.Canceled):
			case err != nil:
				w.errs++
			default:
				line := string(rec.Line)
				if rec.Partial {
					line += "~"
				}
				w.lines = append(w.lines, line)
				w.last = rec.Checkpoint()
			}
		}
	}()
	return w
}

// pass lets the follower look at the files.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// expect runs a script against the model and compares what was delivered.
func expect(t *testing.T, f follow.Follower, want string, gaps int, script func(m *model, w *watched)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		m := newModel()
		f.Path = "log"
		w := watch(t, f.On(m))
		script(m, w)
		pass(time.Minute)
		w.stop()
		if diff := cmp.Diff(want, strings.Join(w.lines, " ")); diff != "" || w.gaps != gaps {
			t.Errorf("got %d gaps, want %d: %s", w.gaps, gaps, diff)
		}
		if m.open != 0 {
			t.Errorf("got %d files left open", m.open)
		}
	})
}

const poll = 300 * time.Millisecond

func TestTrap01_NoHalfLines(t *testing.T) {
	expect(t, follow.Follower{}, "one two", 0, func(m *model, w *watched) {
		n := m.create("log")
		n.write("one\ntw")
		pass(time.Hour)
		if len(w.lines) != 1 {
			t.Errorf("got %q", w.lines)
		}
		n.write("o\nhalf")
	})
}

// break and panic close the file; so does the end of ctx, which every test shows.
func TestTrap07_EarlyEnd(t *testing.T) {
	m := newModel()
	m.create("log").write("a\nb\n")
	f := follow.Follower{Path: "log"}.On(m)
	for range f.Records(t.Context()) {
		break
	}
	func() {
		defer func() { recover() }()
		for range f.Records(t.Context()) {
			panic("in the body")
		}
	}()
	if m.open != 0 {
		t.Errorf("got %d files left open", m.open)
	}
}

func TestTrap15_Rotation(t *testing.T) {
	expect(t, follow.Follower{}, "a b late c", 0, func(m *model, w *watched) {
		old := m.create("log")
		old.write("a\n")
		pass(poll)
		old.write("b\n")
		m.rename("log", "log.1")
		m.create("log").write("c\n")
		pass(poll)
		old.write("late\n")
	})
	expect(t, follow.Follower{Linger: -1}, "a b c d", 0, func(m *model, w *watched) { // two rotations between polls
		m.create("log").write("a\n")
		pass(poll)
		m.names["log"].write("b\n")
		m.rename("log", "log.2")
		m.create("log").write("c\n")
		m.rename("log", "log.1")
		m.pack("log.2")
		m.pack("log.1")
		m.create("log").write("d\n")
	})
	expect(t, follow.Follower{}, "a b", 0, func(m *model, w *watched) { // unlinked, not made anew
		n := m.create("log")
		n.write("a\n")
		pass(poll)
		m.rename("log", "elsewhere")
		pass(poll)
		n.write("b\n")
	})
	expect(t, follow.Follower{Rotated: []string{"*"}}, "a b late c", 0, func(m *model, w *watched) { // the patterns match the file itself
		m.create("log").write("a\n")
		pass(poll)
		m.rename("log", "log.2")
		second := m.create("log")
		second.write("b\n")
		m.rename("log", "log.1")
		m.create("log").write("c\n")
		second.write("late\n")
	})
	expect(t, follow.Follower{}, "a~ b", 0, func(m *model, w *watched) { // a line that is never ended
		m.create("log").write("a")
		pass(poll)
		m.rename("log", "log.1")
		m.create("log").write("b\n")
	})
}

func TestTrap16_Truncation(t *testing.T) {
	expect(t, follow.Follower{}, "first second x", 1, func(m *model, w *watched) {
		n := m.create("log")
		n.write("first\nsecond\n")
		pass(poll)
		n.set("x\n")
	})
	expect(t, follow.Follower{}, "first second third longer than before", 1, func(m *model, w *watched) {
		n := m.create("log")
		n.write("first\nsecond\n")
		pass(poll)
		n.set("third longer than before\n")
	})
	header := strings.Repeat("h", 1200)
	expect(t, follow.Follower{}, header+" a "+header+" b cccc", 1, func(m *model, w *watched) { // the first KiB is the same
		n := m.create("log")
		n.write(header + "\na\n")
		pass(poll)
		n.set(header + "\nb\ncccc\n")
	})
}

// copytruncate: what was written between the last read and the copy is read in it.
func TestTrap16_Copy(t *testing.T) {
	old := strings.Repeat("0123456789\n", 300)
	for name, tt := range map[string]struct{ text, want string }{
		"cut":                {"", "a b"},
		"grown beyond":       {old + "c\n", "a b " + strings.Join(strings.Fields(old), " ") + " c"},
		"within a line":      {"c\n", "a b c"},
		"an earlier rotated": {"c\n", "a c"},
		"a later, of others": {"c\n", "a c"},
	} {
		t.Run(name, func(t *testing.T) {
			expect(t, follow.Follower{}, tt.want, 1, func(m *model, w *watched) {
				m.create("log.3").write("a\nnot of this file\n") // begins as the log does, but was written before
				n := m.create("log")
				n.write("a\n")
				if name == "within a line" {
					pass(poll)
					n.write("b")
					pass(poll)
					n.write("\n")
				} else if pass(poll); tt.want != "a c" {
					n.write("b\n")
				}
				switch name {
				case "a later, of others":
					m.create("log-errors").write("b\nnot of this file\n")
				case "an earlier rotated":
				default:
					m.create("log-errors").write("of others\n")
					m.copy("log", "log.1")
				}
				n.set(tt.text)
			})
		})
	}
}

// A file is cut, and grows again, before anything was read of it after a restart.
func TestTrap16_AfterResume(t *testing.T) {
	long := strings.Repeat("0123456789\n", 300)
	for name, text := range map[string]string{"shorter": long[:2200], "other tail": long[:2200] + strings.Repeat("abcdefghij\n", 200)} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newModel()
				m.create("log").write(long)
				f := follow.Follower{Path: "log"}.On(m)
				w := watch(t, f)
				pass(poll)
				w.stop()
				f.From = &w.last
				w = watch(t, f)
				pass(poll)
				m.names["log"].set(text)
				pass(poll)
				w.stop()
				if diff := cmp.Diff(strings.Fields(text), w.lines); diff != "" || w.gaps != 1 {
					t.Errorf("got %d gaps, want 1: %s", w.gaps, diff)
				}
			})
		})
	}
}

// What was seen and had not been read when the file was cut is told.
func TestTrap16_Lost(t *testing.T) {
	m := newModel()
	text := strings.Repeat("0123456789\n", 100000)
	m.create("log").write(text)
	var gap *follow.GapError
	var in *logscan.InputError
	for rec, err := range (follow.Follower{Path: "log"}).On(m).Records(t.Context()) {
		if errors.As(err, &gap) {
			errors.As(err, &in)
			break
		}
		if rec.Num == 1 {
			m.names["log"].set("new\n")
		}
	}
	if gap.Lost <= 0 || gap.Offset+gap.Lost != int64(len(text)) || in.Name != "log" {
		t.Errorf("got %+v, want all of %d bytes read or lost", gap, len(text))
	}
}

func TestTrap17_InodeReused(t *testing.T) {
	expect(t, follow.Follower{}, "old new and longer", 1, func(m *model, w *watched) {
		n := m.create("log")
		n.write("old\n")
		pass(poll)
		n.set("new and longer\n") // the same number, other bytes
	})
	expect(t, follow.Follower{}, "a b", 0, func(m *model, w *watched) { // not readable at first
		m.create("log").write("a\n")
		pass(poll)
		m.refuse(true)
		m.rename("log", "log.1")
		m.create("log").write("b\n")
		pass(time.Minute)
		m.refuse(false)
		if w.errs != 1 {
			t.Errorf("got %d errors, want one", w.errs)
		}
	})
}

func TestTrap17_Resume(t *testing.T) {
	long := strings.Repeat("0123456789\n", 300)
	for name, change := range map[string]func(m *model){
		"as it was":  func(*model) {},
		"renamed":    func(m *model) { m.rename("log", "log.1"); m.create("log").write("new\n") },
		"compressed": func(m *model) { m.rename("log", "log.1"); m.pack("log.1"); m.create("log").write("new\n") },
		"truncated":  func(m *model) { m.names["log"].set("new\n") },
		"other file": func(m *model) { m.create("log").write(long + "new\n") },
		"number reused": func(m *model) {
			id := m.names["log"].id
			m.rename("log", "log.1")
			m.names["log.1"].id = -1
			m.create("log").write("new\n")
			m.names["log"].id = id
		},
		"number reused, longer": func(m *model) {
			id := m.names["log"].id
			m.create("log").write(strings.Repeat("x", len(long)+100) + "\nnew\n")
			m.names["log"].id = id
		},
		"same head": func(m *model) { m.create("log").write(long + "LAST\nnew\n") },
		"same tail": func(m *model) { m.create("log").write("X" + long[1:] + "last\nnew\n") },
		"same bytes": func(m *model) {
			m.rename("log", "log.1")
			m.create("log").write(long + "last\nnew\n")
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newModel()
				m.create("log").write(long + "last\n")
				f := follow.Follower{Path: "log"}.On(m)
				w := watch(t, f)
				pass(poll)
				w.stop()
				m.names["log"].write("more\n")
				change(m)
				f.From = &w.last
				w = watch(t, f)
				pass(time.Minute)
				w.stop()
				want, gaps := []string{"more", "new"}, 0
				switch name {
				case "as it was":
					want = want[:1]
				case "truncated":
					want, gaps = want[1:], 1
				case "other file":
					want, gaps = append(strings.Fields(long), "new"), 1
				case "number reused, longer":
					want, gaps = []string{strings.Repeat("x", len(long)+100), "new"}, 1
				case "same head":
					want, gaps = append(strings.Fields(long), "LAST", "new"), 1
				case "same tail":
					want, gaps = append(strings.Fields("X"+long[1:]), "last", "new"), 1
				case "same bytes":
					want = append(append([]string{"more"}, strings.Fields(long)...), "last", "new")
				}
				if diff := cmp.Diff(want, w.lines); diff != "" || w.gaps != gaps {
					t.Errorf("got %d gaps, want %d: %s", w.gaps, gaps, diff)
				}
			})
		})
	}
}

// A checkpoint taken after the file was cut, and grew beyond the place, is not a
// place in its new bytes.
func TestTrap18_CheckpointOfCutFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newModel()
		m.create("log").write("one\ntwo\n")
		f := follow.Follower{Path: "log"}.On(m)
		var c follow.Checkpoint
		for rec := range f.Records(t.Context()) {
			m.names["log"].set("ONE\nTWO\nTHREE\n")
			c = rec.Checkpoint()
			break
		}
		f.From = &c
		w := watch(t, f)
		pass(poll)
		w.stop()
		if diff := cmp.Diff([]string{"ONE", "TWO", "THREE"}, w.lines); diff != "" || w.gaps != 1 {
			t.Errorf("got %d gaps, want 1: %s", w.gaps, diff)
		}
	})
}

// A checkpoint of a file that is not there is an error that names both.
func TestTrap18_ForeignCheckpoint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newModel()
		m.create("log").write("one\n")
		var c follow.Checkpoint
		if err := c.UnmarshalText([]byte("v1 4096 2c8b08da5ce60398e1f19af0e5dccc74 1 77")); err != nil {
			t.Fatal(err)
		}
		for _, err := range (follow.Follower{Path: "log", From: &c}).On(m).Records(t.Context()) {
			var gap *follow.GapError
			var in *logscan.InputError
			if !errors.As(err, &gap) || !errors.As(err, &in) || gap.Path != "log" || gap.Offset != 4096 || gap.Lost != -1 || in.Name != "log" {
				t.Errorf("got %v, want a gap at byte 4096 of log", err)
			}
			break
		}
	})
}

func TestTrap18_CheckpointFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "checkpoint")
	var c follow.Checkpoint
	if err := c.UnmarshalText([]byte("v1 4 2c8b08da5ce60398e1f19af0e5dccc74 2049 131")); err != nil {
		t.Fatal(err)
	}
	if err := follow.SaveCheckpoint(name, c); err != nil {
		t.Fatal(err)
	}
	if got, err := follow.LoadCheckpoint(name); got != c || err != nil {
		t.Errorf("got %+v, %v, want %+v", got, err, c)
	}
	for _, text := range []string{"", "v1", "v1 4 2c8b", "v1 -4 2c8b08da5ce60398e1f19af0e5dccc74", "v1 4 2c8b08da5ce60398e1f19af0e5dccc74 x", "v1 4 2c8b08da5ce60398e1f19af0e5dccc74 0 0", "v1 4 2c8b08da5ce60398e1f19af0e5dccc74 7", strings.Repeat("x", 1000)} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := follow.LoadCheckpoint(name); !errors.Is(err, follow.ErrCheckpoint) {
			t.Errorf("%q: got %v, want ErrCheckpoint", text, err)
		}
	}
	files, _ := os.ReadDir(filepath.Dir(name))
	if len(files) != 1 {
		t.Errorf("got %d files, want no temporary one", len(files))
	}
}

func TestTrap19_JoinerFlush(t *testing.T) {
	f := follow.Follower{Scanner: logscan.Scanner{Join: &logscan.Joiner{}}}
	expect(t, f, "a\n b c\n d\n e f", 0, func(m *model, w *watched) {
		n := m.create("log")
		n.write("a\n b\nc\n d\n")
		pass(poll)
		if len(w.lines) != 1 {
			t.Errorf("before the flush: got %q", w.lines)
		}
		n.write(" e\n")
		pass(time.Minute)
		if len(w.lines) != 2 {
			t.Errorf("after the flush: got %q", w.lines)
		}
		n.write("f\n")
	})
}

func TestTrap19_FlushOfHalfLine(t *testing.T) {
	var stats logscan.Counters
	f := follow.Follower{Scanner: logscan.Scanner{Join: &logscan.Joiner{}, Stats: &stats}}
	expect(t, f, "a\n bc d", 0, func(m *model, w *watched) {
		n := m.create("log")
		n.write("a\n b")
		pass(time.Minute)
		n.write("c\n")
		pass(time.Hour)
		n.write("d\n")
	})
	if got := stats.Stats().Inputs; got > 4 {
		t.Errorf("got %d inputs, want one for each flush", got)
	}
}

func TestWakeAndAtEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, wake := newModel(), make(chan struct{})
		m.create("log").write("old\nhalf ")
		w := watch(t, follow.Follower{Path: "log", Poll: time.Hour, Wake: wake, AtEnd: true}.On(m))
		synctest.Wait()
		m.names["log"].write("line\n")
		wake <- struct{}{}
		synctest.Wait()
		w.stop()
		if diff := cmp.Diff([]string{"half line"}, w.lines); diff != "" {
			t.Error(diff)
		}
	})
}

// An input that cannot be read is told once, and the next one is.
func TestUnsupportedFile(t *testing.T) {
	expect(t, follow.Follower{}, "b", 0, func(m *model, w *watched) {
		m.create("log").write("\xfd7zXZ\x00\x00")
		pass(time.Hour)
		if w.errs != 1 {
			t.Errorf("got %d errors, want one", w.errs)
		}
		m.rename("log", "log.1")
		m.create("log").write("b\n")
	})
}

// Oracle: the lines that were written, each once and in order.
func TestP4_FollowerIsTheModel(t *testing.T) {
	for seed := range uint64(50) {
		synctest.Test(t, func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 1))
			m := newModel()
			f := follow.Follower{Path: "log"}.On(m)
			w := watch(t, f)
			var want, got []string
			cur, part, rotated, gaps := m.create("log"), "", 0, 0
			line := func() string { want = append(want, fmt.Sprintf("line-%d", len(want))); return want[len(want)-1] + "\n" }
			cur.write(line()) // what is rotated before it is ever seen is not followed
			pass(time.Minute)
			for range 60 {
				switch r.IntN(11) {
				case 0, 1, 2:
					cur.write(part + line())
					part = ""
				case 3:
					if s := line(); part == "" {
						cur.write(s[:3])
						part = s[3:]
					} else {
						cur.write(part + s)
						part = ""
					}
				case 4:
					cur.write(part)
					part = ""
					old := cur
					rotated++
					m.rename("log", fmt.Sprintf("log.%d", rotated))
					if r.IntN(2) == 0 {
						pass(time.Duration(r.IntN(400)) * time.Millisecond)
						old.write(line())
					}
					if r.IntN(3) == 0 {
						m.pack(fmt.Sprintf("log.%d", rotated))
					}
					cur = m.create("log")
				case 5:
					pass(time.Duration(r.IntN(4000)) * time.Millisecond)
				case 6: // copytruncate, when all has been read
					cur.write(part)
					part = ""
					pass(time.Minute)
					if len(cur.data) > 0 {
						gaps++
					}
					cur.set(line())
					pass(time.Minute)
				case 8: // copytruncate, with something in the copy
					cur.write(part)
					part = ""
					if pass(time.Minute); len(cur.data) > 0 {
						gaps++
						cur.write(line())
						rotated++
						m.copy("log", fmt.Sprintf("log.%d", rotated))
						cur.set(line())
						pass(time.Minute)
					}
				case 9: // removed, and made anew later
					cur.write(part)
					part = ""
					pass(time.Minute) // what is removed before it is opened is not followed
					m.remove("log")
					cur.write(line())
					pass(poll)
					cur = m.create("log")
					cur.write(line())
					pass(time.Minute)
				case 7: // a restart
					w.stop()
					got = append(got, w.lines...)
					gaps -= w.gaps
					if last := w.last; last.Offset() > 0 {
						f.From = &last
					}
					w = watch(t, f)
				default:
					synctest.Wait()
				}
			}
			cur.write(part)
			pass(time.Minute)
			w.stop()
			got = append(got, w.lines...)
			if diff := cmp.Diff(want, got); diff != "" || w.gaps != gaps {
				t.Fatalf("seed %d: got %d gaps, want %d: %s", seed, w.gaps, gaps, diff)
			}
			if m.open != 0 {
				t.Fatalf("seed %d: got %d files left open", seed, m.open)
			}
		})
		if t.Failed() {
			return
		}
	}
}

// Real files, a writer that rotates at random: every line once.
func TestRealRotation(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "app.log")
	const lines = 3000
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	go func() {
		r := rand.New(rand.NewPCG(1, 1))
		f, _ := os.Create(name)
		for i := range lines {
			fmt.Fprintf(f, "line-%d\n", i)
			if r.IntN(300) == 0 {
				os.Rename(name, fmt.Sprintf("%s.%d", name, i))
				fmt.Fprintf(f, "late-%d\n", i)
				f.Close()
				f, _ = os.Create(name)
			}
			if r.IntN(100) == 0 {
				time.Sleep(5 * time.Millisecond)
			}
		}
		fmt.Fprintln(f, "end")
		f.Close()
	}()
	var got []string
	for rec, err := range (follow.Follower{Path: name, Poll: 2 * time.Millisecond, Linger: 20 * time.Millisecond}).Records(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		line := string(rec.Line)
		if line == "end" {
			break
		}
		if strings.HasPrefix(line, "line") {
			got = append(got, line)
		}
	}
	var want []string
	for i := range lines {
		want = append(want, fmt.Sprintf("line-%d", i))
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %d lines, want %d: %s", len(got), lines, cmp.Diff(want, got))
	}
}

// Real files that are copied and cut, each time after a line was read since.
func TestRealCopyTruncate(t *testing.T) {
	name := filepath.Join(t.TempDir(), "app.log")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	const cuts = 10
	seen := make(chan bool, 100)
	go func() {
		f, _ := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
		defer f.Close()
		for i := range cuts {
			fmt.Fprintf(f, "read-%d\n", i)
			<-seen
			fmt.Fprintf(f, "line-%d\n", i)
			text, _ := os.ReadFile(name)
			os.WriteFile(fmt.Sprintf("%s.%d", name, i), text, 0o600)
			f.Truncate(0)
		}
		fmt.Fprintln(f, "end")
	}()
	var got, want []string
	gaps := 0
	for rec, err := range (follow.Follower{Path: name, Poll: time.Millisecond}).Records(ctx) {
		var gap *follow.GapError
		if errors.As(err, &gap) {
			gaps++
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if string(rec.Line) == "end" {
			break
		}
		if got = append(got, string(rec.Line)); strings.HasPrefix(got[len(got)-1], "read") {
			seen <- true
		}
	}
	for i := range cuts {
		want = append(want, fmt.Sprintf("read-%d", i), fmt.Sprintf("line-%d", i))
	}
	if diff := cmp.Diff(want, got); diff != "" || gaps != cuts {
		t.Errorf("got %d gaps, want %d: %s", gaps, cuts, diff)
	}
}

// Where files have numbers they tell apart those that are equal up to the place.
func TestRealResume(t *testing.T) {
	name := filepath.Join(t.TempDir(), "app.log")
	write := func(text string) {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	first := func(f follow.Follower) (line string, c follow.Checkpoint) {
		for rec, err := range f.Records(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			return string(rec.Line), rec.Checkpoint()
		}
		return "", c
	}
	write("head\nold\n")
	_, c := first(follow.Follower{Path: name})
	if text, _ := c.MarshalText(); len(bytes.Fields(text)) != 5 {
		t.Skipf("no numbers here: %s", text)
	}
	if err := os.Rename(name, name+".1"); err != nil {
		t.Fatal(err)
	}
	write("head\nnew\n")
	if got, _ := first(follow.Follower{Path: name, From: &c}); got != "old" {
		t.Errorf("got %q, want the rest of the renamed file", got)
	}
}

func FuzzCheckpoint(f *testing.F) {
	f.Add("v1 4 2c8b08da5ce60398e1f19af0e5dccc74")
	f.Add("v1 4 2c8b08da5ce60398e1f19af0e5dccc74 2049 131")
	f.Fuzz(func(t *testing.T, s string) {
		var c follow.Checkpoint
		if c.UnmarshalText([]byte(s)) != nil {
			return
		}
		if again, _ := c.MarshalText(); string(again) != s {
			t.Errorf("got %q, want %q", again, s)
		}
	})
}

var _ io.ReaderAt = (*handle)(nil)
