package follow_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io/fs"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redoubt-go/redoubt/logscan/follow"
)

// model is a file system in memory: names, and files that outlive their names.
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
	err  error // of every read
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

// set replaces the bytes of the file, which stays the same file.
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

// copy creates a second file with the bytes of the first.
func (m *model) copy(from, to string) {
	n := m.create(to)
	n.write(string(m.names[from].data))
}

// remove removes the name; open handles stay valid.
func (m *model) remove(name string) { m.rename(name, "") }

// refuse makes opening fail, or not.
func (m *model) refuse(deny bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.deny = deny
}

// pack replaces a file by a compressed file with the same time, as gzip(1)
// does.
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

func (m *model) Target(name string) (string, error) { return name, nil }

func (m *model) List(string) (names []string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for name := range m.names {
		names = append(names, name)
	}
	return names, nil
}

func (m *model) ID(i fs.FileInfo) (dev, ino uint64) { return 1, uint64(i.(info).id) }

type handle struct {
	n      *node
	closed bool
}

func (h *handle) ReadAt(p []byte, off int64) (int, error) {
	h.n.m.mu.Lock()
	defer h.n.m.mu.Unlock()
	if h.n.err != nil {
		return 0, h.n.err
	}
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
	if h.n.err != nil {
		return nil, h.n.err
	}
	return info{id: h.n.id, size: int64(len(h.n.data)), at: h.n.at}, nil
}

type info struct {
	fs.FileInfo
	id   int
	size int64
	at   time.Time
}

func (i info) Size() int64 { return i.size }

func (info) Mode() fs.FileMode { return 0 }

func (i info) ModTime() time.Time { return i.at }

// watched is the output of a follower that runs in the background.
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

// pass gives the follower time to look at the files.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// expect runs a script against the model and compares the lines delivered.
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
