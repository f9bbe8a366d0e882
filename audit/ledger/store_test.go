package ledger_test

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"testing/fstest"

	"github.com/redoubt-go/redoubt/audit"
	"github.com/redoubt-go/redoubt/audit/ledger"
)

const hashes = "hashes"

// grown returns a sealed log of several segments and blocks.
func grown(t *testing.T, s *ledger.Signer, records int) string {
	t.Helper()
	dir := t.TempDir()
	c := sealing(s)
	c.Sync = ledger.SyncNever
	c.MaxSize = 30_000
	l := open(t, dir, c)
	for i := range records {
		write(t, l, fmt.Sprintf("e%d", i))
		if i%90 == 0 {
			checkpoint(t, l)
		}
	}
	must(t, l.Close())
	return dir
}

// withHashes returns the segments and the stored hashes of a log.
func withHashes(t *testing.T, dir string) fstest.MapFS {
	t.Helper()
	fsys := contents(t, dir)
	data, err := os.ReadFile(filepath.Join(dir, hashes))
	must(t, err)
	fsys[hashes] = &fstest.MapFile{Data: data}
	return fsys
}

// The writer stores the hashes of all blocks. Oracle: a pass over the log.
func TestHashesAreStored(t *testing.T) {
	dir := grown(t, signer(t, origin, 1), 600)
	fsys := withHashes(t, dir)
	if got := fsys[hashes].Data; len(got) < 8*72 || !bytes.Equal(got, ledger.HashesOf(fsys)) {
		t.Errorf("%d bytes, want %d", len(got), len(ledger.HashesOf(fsys)))
	}
}

// Proofs, events and cursors are the same with right, missing and wrong stored
// hashes. Oracle: the log without the file.
func TestPropertyWrongHashesAreNeverUsed(t *testing.T) {
	s := signer(t, origin, 1)
	fsys := withHashes(t, grown(t, s, 600))
	segs, _ := fs.Glob(fsys, "*.jsonl")
	right := fsys[hashes].Data
	for _, pruned := range []int{0, 2} {
		for range pruned {
			delete(fsys, segs[0])
			segs = segs[1:]
		}
		var first uint64
		_, _ = fmt.Sscanf(segs[0], "%d", &first)
		answers := func() (all []string) {
			for _, seq := range []uint64{first, first + 20, (first + 600) / 2, 511, 575, 576, 600} {
				p, err := ledger.Prove(fsys, seq)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := p.Verify(s.Verifier()); err != nil {
					t.Fatal(err)
				}
				text, _ := p.MarshalText()
				c, err := ledger.ProveConsistency(fsys, seq+1, 605)
				n := 0
				for r, err := range ledger.Events(fsys, seq) {
					if n++; err != nil || r.Seq < seq {
						t.Fatalf("%d from %d: %v", r.Seq, seq, err)
					}
				}
				all = append(all, string(text), fmt.Sprint(c, err, n))
			}
			return all
		}
		delete(fsys, hashes)
		want := answers()
		rnd := rand.New(rand.NewPCG(1, 1))
		for i := range 100 {
			data := bytes.Clone(right)
			switch i % 4 {
			case 1:
				data[rnd.IntN(len(data))] ^= 1 << rnd.IntN(8)
			case 2:
				data = append(data[:rnd.IntN(len(data))], make([]byte, rnd.IntN(2000))...)
			case 3:
				for j := 0; j+8 < len(data); j += 1 + rnd.IntN(80) {
					data[j] = byte(rnd.Uint32())
				}
			}
			fsys[hashes] = &fstest.MapFile{Data: data}
			if got := answers(); !slices.Equal(got, want) {
				t.Fatalf("from %d, change %d: other answers", first, i)
			}
		}
	}
}

// Without a checkpoint or after it, no stored hash is confirmed, and none is
// used.
func TestHashesAfterTheLastCheckpoint(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, never)
	must(t, l.WriteEvents(context.Background(), slices.Repeat([]*audit.Event{event("a")}, 400)))
	must(t, l.Close())
	fsys := withHashes(t, dir)
	want, err := ledger.ProveConsistency(fsys, 100, 400)
	must(t, err)
	for i := range fsys[hashes].Data {
		fsys[hashes].Data[i] ^= 1
	}
	got, err := ledger.ProveConsistency(fsys, 100, 400)
	must(t, err)
	checkEqual(t, got, want)
}

// A counter counts the bytes that are read from segments.
type counter struct {
	fs.FS
	n *atomic.Int64
}

type countedFile struct {
	*os.File
	n *atomic.Int64
}

func (c counter) Open(name string) (fs.File, error) {
	f, err := c.FS.Open(name)
	if of, ok := f.(*os.File); ok && err == nil && filepath.Ext(name) == ".jsonl" {
		return countedFile{of, c.n}, nil
	}
	return f, err
}

func (f countedFile) Read(p []byte) (int, error) {
	n, err := f.File.Read(p)
	f.n.Add(int64(n))
	return n, err
}

func (f countedFile) ReadAt(p []byte, off int64) (int, error) {
	n, err := f.File.ReadAt(p, off)
	f.n.Add(int64(n))
	return n, err
}

// Proofs read a small part of the log, and Verify from a known head only the
// last segments. Without the file they read everything: the count bites.
func TestReadsInProportion(t *testing.T) {
	s := signer(t, origin, 1)
	dir := grown(t, s, 4000)
	fsys := counter{os.DirFS(dir), new(atomic.Int64)}
	read := func(f func() error) int64 {
		t.Helper()
		fsys.n.Store(0)
		must(t, f())
		return fsys.n.Load()
	}
	verifyFrom := func(known *ledger.Head) func() error {
		return func() error {
			_, err := verify(fsys, ledger.VerifyConfig{Known: known, Incremental: known != nil, Keys: []*ledger.Verifier{s.Verifier()}})
			return err
		}
	}
	prove := func() error { _, err := ledger.Prove(fsys, 70); return err }
	consistency := func() error { _, err := ledger.ProveConsistency(fsys, 70, 3000); return err }
	r, err := verify(fsys, ledger.VerifyConfig{})
	must(t, err)
	head := r.Head()
	whole := read(verifyFrom(nil))
	for name, got := range map[string]int64{
		"Prove": read(prove), "ProveConsistency": read(consistency), "Verify": read(verifyFrom(&head)),
	} {
		if got > whole/3 {
			t.Errorf("%s reads %d of %d bytes", name, got, whole)
		}
	}
	must(t, os.Remove(filepath.Join(dir, hashes)))
	if got := read(prove); got < whole {
		t.Errorf("Prove without hashes reads %d of %d bytes", got, whole)
	}
}

// Open finds wrong and missing hashes, reports them and computes them again.
func TestHashesAreRebuilt(t *testing.T) {
	s := signer(t, origin, 1)
	dir := grown(t, s, 600)
	l := open(t, dir, sealing(s))
	for range 3 { // complete blocks in the last segment
		must(t, l.WriteEvents(context.Background(), slices.Repeat([]*audit.Event{event("z")}, 50)))
	}
	must(t, l.Close())
	path := filepath.Join(dir, hashes)
	right, err := os.ReadFile(path)
	must(t, err)
	for name, data := range map[string][]byte{
		"a bit at the front": flipped(right, 9), "the last segment": flipped(right, len(right)-2), "a parent": flipped(right, 90),
		"missing": {}, "cut": right[:200], "zeros": make([]byte, len(right)),
	} {
		must(t, os.WriteFile(path, data, 0o600))
		c := sealing(s)
		var told []error
		c.OnEvent = func(_ context.Context, e ledger.Event) {
			if e.Kind == ledger.EventKindRehash {
				told = append(told, e.Err)
			}
		}
		l := open(t, dir, c)
		ledger.KeepHashes(l)
		if got, _ := os.ReadFile(path); !bytes.Equal(got, right) {
			t.Errorf("%s: not rebuilt: %d of %d bytes", name, len(got), len(right))
		}
		if got := l.Stats().Rehashes; got != 1 || len(told) != 1 {
			t.Errorf("%s: counted %d, told %v", name, got, told)
		}
		must(t, l.Close())
	}
	// Nothing is wrong now. A record after the last block needs no repair.
	l = open(t, dir, sealing(s))
	if got := l.Stats().Rehashes; got != 0 {
		t.Errorf("right hashes counted as wrong: %d", got)
	}
	_ = l.Close()
	// The log of the hashes was changed: they are not computed from it.
	name := filepath.Join(dir, segment)
	data, err := os.ReadFile(name)
	must(t, err)
	must(t, os.WriteFile(name, bytes.Replace(data, []byte("e5"), []byte("e6"), 1), 0o600))
	must(t, os.Remove(path))
	l = open(t, dir, sealing(s))
	ledger.KeepHashes(l)
	if got := l.Stats().Rehashes; got != 2 {
		t.Errorf("changed log: counted %d", got)
	}
	_ = l.Close()
}

func flipped(b []byte, i int) []byte {
	b = bytes.Clone(b)
	b[i] ^= 4
	return b
}

// A file that cannot be written is reported, does not stop the log, and is
// completed later. A link is replaced, not followed.
func TestHashesOnABrokenDisk(t *testing.T) {
	dir := t.TempDir()
	target := filepath.Join(t.TempDir(), "target")
	must(t, os.WriteFile(target, []byte("x"), 0o600))
	must(t, os.Symlink(target, filepath.Join(dir, hashes)))
	broken := &brokenHashes{Storage: ledger.OS}
	l, err := ledger.OpenOn(context.Background(), broken, dir, never)
	must(t, err)
	broken.down.Store(true)
	many := slices.Repeat([]*audit.Event{event("a")}, 200)
	must(t, l.WriteEvents(context.Background(), many))
	ledger.KeepHashes(l)
	if got := l.Stats(); got.Rehashes == 0 || got.Stopped {
		t.Errorf("%+v", got)
	}
	broken.down.Store(false)
	must(t, l.WriteEvents(context.Background(), many))
	ledger.KeepHashes(l)
	must(t, l.Close())
	fsys := withHashes(t, dir)
	if !bytes.Equal(fsys[hashes].Data, ledger.HashesOf(fsys)) {
		t.Error("not completed")
	}
	if data, _ := os.ReadFile(target); string(data) != "x" {
		t.Error("the link was followed")
	}
}

type brokenHashes struct {
	ledger.Storage
	down atomic.Bool
}

type brokenFile struct {
	ledger.File
	s *brokenHashes
}

func (b *brokenHashes) Create(path string) (ledger.File, error) {
	f, err := b.Storage.Create(path)
	if filepath.Base(path) != hashes || err != nil {
		return f, err
	}
	return brokenFile{f, b}, nil
}

func (f brokenFile) Write(p []byte) (int, error) {
	if !f.s.down.Load() {
		return f.File.Write(p)
	}
	n, _ := f.File.Write(p[:len(p)/2])
	return n, fs.ErrInvalid
}
