package ledger_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/redoubt-go/redoubt/audit"
	"github.com/redoubt-go/redoubt/audit/ledger"
)

// A recorder is the file system with a record of every operation of the writer.
// It replays a prefix of them as a disk would after a power cut.
type recorder struct {
	ledger.Storage
	root   string
	rand   *rand.Rand
	lying  bool // syncs are not recorded, as by a disk that ignores them
	faulty bool // some writes fail

	mu    sync.Mutex
	start map[string][]byte // durable files at the beginning, by path
	ops   []op
	files int
}

// An op is an operation on the file with the number file, or on its name. With
// an id or a head, it is a promise to the user.
type op struct {
	do   string
	file int
	name string
	to   string // of a rename
	off  int64
	data []byte
	id   string
	head *ledger.Head
	keys []*ledger.Signer // of the service, the newest last

	inode *inode // the file that is named, during a replay
}

func (r *recorder) add(o op) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ops = append(r.ops, o)
}

// all returns the operations so far. The chores of a ledger that is not closed
// add more.
func (r *recorder) all() []op {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clip(r.ops)
}

func (r *recorder) Create(path string) (ledger.File, error) {
	f, err := r.Storage.Create(path)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.files++
	r.ops = append(r.ops, op{do: "create", file: r.files, name: path})
	return &recorded{File: f, r: r, no: r.files}, nil
}

func (r *recorder) Open(path string) (ledger.File, error) {
	f, err := r.Storage.Open(path)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	// The number of the file is the number of its name, unless it is old.
	no := -1
	for i := len(r.ops) - 1; i >= 0 && no < 0; i-- {
		if o := r.ops[i]; o.do == "create" && o.name == path || o.do == "open" && o.name == path {
			no = o.file
		}
	}
	if no < 0 {
		r.files++
		no = r.files
		r.ops = append(r.ops, op{do: "open", file: no, name: path})
	}
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	return &recorded{File: f, r: r, no: no, size: st.Size()}, nil
}

func (r *recorder) Rename(from, to string) error {
	r.add(op{do: "rename", name: from, to: to})
	return r.Storage.Rename(from, to)
}

func (r *recorder) Remove(path string) error {
	err := r.Storage.Remove(path)
	if err == nil {
		r.add(op{do: "remove", name: path})
	}
	return err
}

func (r *recorder) SyncDir(path string) error {
	if !r.lying {
		r.add(op{do: "syncdir", name: path})
	}
	return nil
}

type recorded struct {
	ledger.File
	r    *recorder
	no   int
	size int64
}

// tear reports whether a write of n bytes fails, and after how many. Chores of
// the ledger also write, in goroutines of their own.
func (r *recorder) tear(n int) (kept int, torn bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.faulty || r.rand.IntN(25) != 0 {
		return 0, false
	}
	return r.rand.IntN(n), true
}

func (f *recorded) Write(p []byte) (n int, err error) {
	if kept, torn := f.r.tear(len(p)); torn {
		p, err = p[:kept], syscall.EIO
	}
	n, werr := f.File.Write(p)
	f.r.add(op{do: "write", file: f.no, off: f.size, data: bytes.Clone(p[:n])})
	f.size += int64(n)
	if err == nil {
		err = werr
	}
	return n, err
}

func (f *recorded) Truncate(size int64) error {
	f.r.add(op{do: "truncate", file: f.no, off: size})
	f.size = size
	return f.File.Truncate(size)
}

func (f *recorded) Sync() error {
	if !f.r.lying {
		f.r.add(op{do: "sync", file: f.no})
	}
	return nil
}

// An inode is a file on the disk: its durable bytes and its bytes in memory.
type inode struct{ durable, now []byte }

// cut writes the files into root as they may be after a power cut behind the
// first n operations. Each operation that was not synced is lost or done: a
// prefix, any of them, or for the bytes of a file any sectors. It returns the
// promises that were given before.
func (r *recorder) cut(n int, rnd *rand.Rand, root string) (ids []string, head *ledger.Head, keys []*ledger.Signer) {
	const sector = 64
	inodes := map[int]*inode{}
	durable := map[string]*inode{}
	for name, data := range r.start {
		durable[name] = &inode{data, data}
	}
	now := maps.Clone(durable)
	var pending []op
	apply := func(names map[string]*inode, o op) {
		switch o.do {
		case "create":
			names[o.name] = o.inode
		case "rename":
			names[o.to] = o.inode
			if names[o.name] == o.inode {
				delete(names, o.name)
			}
		case "remove":
			delete(names, o.name)
		}
	}
	for _, o := range r.all()[:n] {
		switch o.do {
		case "create", "rename", "remove":
			o.inode = now[o.name]
			if o.do == "create" {
				inodes[o.file] = &inode{}
				o.inode = inodes[o.file]
			}
			apply(now, o)
			pending = append(pending, o)
		case "open":
			inodes[o.file] = now[o.name]
		case "syncdir":
			pending = slices.DeleteFunc(pending, func(p op) bool {
				if filepath.Dir(p.name) != o.name {
					return false
				}
				apply(durable, p)
				return true
			})
		case "write":
			i := inodes[o.file]
			i.now = append(slices.Clip(i.now[:o.off]), o.data...)
		case "truncate":
			i := inodes[o.file]
			i.now = slices.Clip(slices.Concat(i.now, make([]byte, max(o.off-int64(len(i.now)), 0)))[:o.off])
		case "sync":
			inodes[o.file].durable = inodes[o.file].now
		case "promise":
			if o.id != "" {
				ids = append(ids, o.id)
			}
			if o.head != nil {
				head = o.head
			}
			if o.keys != nil {
				keys = o.keys
			}
		}
	}
	keep := rnd.IntN(len(pending) + 1)
	prefix := rnd.IntN(2) == 0
	for i, o := range pending {
		if prefix && i < keep || !prefix && rnd.IntN(2) == 0 {
			apply(durable, o)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(durable)) {
		i := durable[name]
		data := i.now
		switch rnd.IntN(4) {
		case 0: // nothing is written back
			data = i.durable
		case 1: // a prefix
			if len(i.now) > len(i.durable) {
				data = i.now[:len(i.durable)+rnd.IntN(len(i.now)-len(i.durable)+1)]
			}
		case 2: // any sectors; the others are old or zero
			size := min(len(i.now), len(i.durable)) + rnd.IntN(max(len(i.now), len(i.durable))-min(len(i.now), len(i.durable))+1)
			data = make([]byte, size)
			for at := 0; at < size; at += sector {
				from := i.now
				if rnd.IntN(3) == 0 {
					from = i.durable
				}
				if at < len(from) {
					copy(data[at:min(at+sector, size)], from[at:])
				}
			}
		}
		path := filepath.Join(root, strings.TrimPrefix(name, r.root))
		if err := os.WriteFile(path, data, 0o600); err != nil {
			panic(err)
		}
	}
	return ids, head, keys
}

// A life is a service from its start to a power cut.
type life struct {
	root   string
	c      ledger.Config
	keys   []*ledger.Signer
	down   *atomic.Bool
	serial int
}

func (s *life) dir() string { return filepath.Join(s.root, "log") }

// files returns the content of all files below root.
func (s *life) files(t *testing.T) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	err := filepath.WalkDir(s.root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			all[path], err = os.ReadFile(path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func newRoot(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for _, dir := range []string{"log", "elsewhere"} {
		must(t, os.Mkdir(filepath.Join(root, dir), 0o700))
	}
	return root
}

// setMark sets the path of the mark, which depends on the root.
func (s *life) setMark(elsewhere bool) {
	s.c.Mark = ""
	if elsewhere {
		s.c.Mark = filepath.Join(s.root, "elsewhere", "mark")
	}
}

// work writes, seals, rotates and restarts, and records it.
func (s *life) work(t *testing.T, rnd *rand.Rand, rec *recorder) {
	t.Helper()
	ctx := context.Background()
	open := func() *ledger.Ledger {
		s.setKeys()
		l, err := ledger.OpenOn(ctx, rec, s.dir(), s.c)
		for tries := 0; err != nil && tries < 50; tries++ { // the faulty disk or key
			l, err = ledger.OpenOn(ctx, rec, s.dir(), s.c)
		}
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	l := open()
	for range 5 + rnd.IntN(20) {
		s.down.Store(rnd.IntN(4) == 0)
		switch rnd.IntN(10) {
		case 0, 1:
			if cp, err := l.Checkpoint(ctx); err == nil {
				rec.add(op{do: "promise", head: &cp.Head})
			}
		case 2:
			_ = l.Rotate(ctx)
		case 3:
			_ = l.Close()
			if s.down.Store(false); len(s.keys) < 4 && rnd.IntN(3) == 0 {
				s.keys = append(slices.Clip(s.keys), signer(t, origin, byte(len(s.keys)+1)))
				rec.add(op{do: "promise", keys: s.keys})
			}
			l = open()
		default:
			var events []*audit.Event
			n := 1 + rnd.IntN(4)
			if rnd.IntN(6) == 0 {
				n = 50 + rnd.IntN(100) // complete blocks
			}
			for range n {
				s.serial++
				events = append(events, event(fmt.Sprintf("e%d", s.serial)))
			}
			if err := l.WriteEvents(ctx, events); err != nil || s.c.Sync != ledger.SyncAlways {
				break
			}
			head := l.Head()
			for _, e := range events {
				rec.add(op{do: "promise", id: e.ID})
			}
			rec.add(op{do: "promise", head: &head})
		}
	}
	s.down.Store(false)
	if rnd.IntN(2) == 0 {
		_ = l.Close()
	}
	t.Cleanup(func() { _ = l.Close() })
}

// setKeys makes the newest key the signer.
func (s *life) setKeys() {
	n := len(s.keys)
	if s.c.Signer = s.keys[n-1]; n > 1 {
		s.c.Previous = s.keys[n-2]
	}
}

// survive opens the log after a power cut, and verifies it against the
// promises.
func (s *life) survive(files ledger.Storage, ids []string, head *ledger.Head) error {
	ctx := context.Background()
	l, err := ledger.OpenOn(ctx, files, s.dir(), s.c)
	if err != nil {
		return fmt.Errorf("Open: %w", err)
	}
	if err := l.WriteEvents(ctx, []*audit.Event{event("after")}); err != nil {
		return err
	}
	if err := l.Close(); err != nil {
		return err
	}
	c := ledger.VerifyConfig{MaxUnsealed: -1, Known: head, Pruned: s.c.Retain > 0}
	for _, k := range s.keys {
		c.Keys = append(c.Keys, k.Verifier())
	}
	_, err = verify(os.DirFS(s.dir()), c)
	if gone := errors.Is(err, fs.ErrNotExist) && !errors.Is(err, ledger.ErrTampered); err != nil && (!gone || s.c.Retain <= 0) {
		return fmt.Errorf("Verify: %w", err)
	}
	if s.c.Retain > 0 {
		return nil // the head covers the events
	}
	got, err := os.ReadFile(filepath.Join(s.dir(), "hashes"))
	if want := ledger.HashesOf(os.DirFS(s.dir())); err != nil || !bytes.HasPrefix(want, got) {
		return fmt.Errorf("wrong stored hashes: %w", err)
	}
	found := map[string]bool{}
	for r, err := range ledger.Events(os.DirFS(s.dir()), 0) {
		if err != nil {
			return err
		}
		found[r.Event.ID] = true
	}
	for _, id := range ids {
		if !found[id] {
			return fmt.Errorf("acknowledged event %s is lost", id)
		}
	}
	return nil
}

// newLife returns a service with a random configuration.
func newLife(t *testing.T, rnd *rand.Rand) (s *life, elsewhere bool) {
	t.Helper()
	s = &life{root: newRoot(t), down: new(atomic.Bool), c: ledger.Config{CheckpointEvery: -1, CheckpointDelay: -1, MaxSize: -1}}
	if rnd.IntN(3) > 0 {
		s.c.MaxSize = 2000
	}
	s.c.Retain = rnd.IntN(3)
	s.keys = []*ledger.Signer{moodySigner(t, new(atomic.Int32), s.down)}
	elsewhere = rnd.IntN(2) == 0
	s.setMark(elsewhere)
	if rnd.IntN(4) == 0 {
		s.c.Sync = ledger.SyncEvery(1 << 40)
	}
	return s, elsewhere
}

// powerCuts simulates cuts and returns the faults. A third of the cuts hits the
// start after another cut.
func powerCuts(t *testing.T, cuts int, lying bool) (faults []string) {
	t.Helper()
	for seed := uint64(0); cuts > 0; seed++ {
		rnd := rand.New(rand.NewPCG(seed, 20))
		s, elsewhere := newLife(t, rnd)
		rec := &recorder{Storage: ledger.OS, root: s.root, rand: rand.New(rand.NewPCG(seed, 21)), lying: lying, faulty: rnd.IntN(3) == 0}
		rec.add(op{do: "promise", keys: s.keys})
		s.work(t, rnd, rec)
		for range 25 {
			cuts--
			after := *s
			after.root, after.c.Previous = newRoot(t), nil
			after.setMark(elsewhere)
			at := 1 + rnd.IntN(len(rec.all()))
			ids, head, keys := rec.cut(at, rnd, after.root)
			after.keys = keys
			after.setKeys()
			if rnd.IntN(3) == 0 {
				again := &recorder{Storage: ledger.OS, root: after.root, lying: lying, start: after.files(t)}
				if err := after.survive(again, ids, head); err != nil {
					faults = append(faults, fmt.Sprintf("seed %d, cut at %d, recorded: %v", seed, at, err))
					continue
				}
				after.root = newRoot(t)
				after.setMark(elsewhere)
				_, _, _ = again.cut(rnd.IntN(len(again.all())+1), rnd, after.root)
			}
			if err := after.survive(&recorder{Storage: ledger.OS}, ids, head); err != nil {
				faults = append(faults, fmt.Sprintf("seed %d, cut at %d: %v", seed, at, err))
			}
			_ = os.RemoveAll(after.root)
		}
	}
	return faults
}

// After a power cut, the log opens, nothing that was acknowledged is missing,
// and Verify finds no tampering. Oracle: the acknowledged events and heads.
func TestPropertyPowerCut(t *testing.T) {
	cuts := 1000
	if *long {
		cuts = 10_000
	}
	faults := powerCuts(t, cuts, false)
	for _, f := range faults[:min(len(faults), 5)] {
		t.Error(f)
	}
	if len(faults) > 0 {
		t.Errorf("%d faults in %d cuts", len(faults), cuts)
	}
}

// The simulation finds a disk that ignores syncs.
func TestPowerCutBites(t *testing.T) {
	if faults := powerCuts(t, 200, true); len(faults) < 20 {
		t.Errorf("%d faults with a lying disk", len(faults))
	}
}
