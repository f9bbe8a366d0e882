package ledger_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"runtime"
	"strings"
	"testing"
	"testing/fstest"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"github.com/leanovate/gopter/gen"
	"github.com/leanovate/gopter/prop"

	"github.com/redoubt-go/redoubt/audit"
	"github.com/redoubt-go/redoubt/audit/ledger"
)

// Reading in chunks finds the same lines at the same places as cutting the
// whole file at its line ends. Oracle: bytes.Cut. The lengths are around the
// sizes of chunks and lines.
func TestPropertyChunks(t *testing.T) {
	lengths := []int{0, 1, 63, 300, ledger.ChunkSize - 1, ledger.ChunkSize, ledger.ChunkSize + 1, ledger.MaxLine, ledger.MaxLine + 1, ledger.MaxLine + 2, ledger.MaxLine + 3*ledger.ChunkSize}
	checkProperty(t, 10, prop.ForAll(func(seed uint64) string {
		r := rand.New(rand.NewPCG(seed, 1))
		fsys := fstest.MapFS{}
		segs := []uint64{0, 7}
		for _, seg := range segs {
			var data []byte
			for range r.IntN(9) {
				n := lengths[r.IntN(len(lengths))]
				data = append(data, bytes.Repeat([]byte{byte('a' + r.IntN(26))}, n)...)
				data = append(data, '\n')
			}
			if r.IntN(2) == 0 {
				data = append(data, bytes.Repeat([]byte("x"), lengths[r.IntN(len(lengths))])...)
			}
			fsys[fmt.Sprintf("%020d.jsonl", seg)] = &fstest.MapFile{Data: data}
		}
		got, torn, err := ledger.Places(fsys, segs...)
		want, wantTorn := cutPlaces(fsys, segs)
		for i := range min(len(got), len(want)) {
			if want[i].Leaf == (ledger.Hash{}) {
				got[i].Leaf = ledger.Hash{}
			}
		}
		if err != nil || torn != wantTorn {
			return fmt.Sprintf("%d bytes torn, want %d, error %v", torn, wantTorn, err)
		}
		return cmp.Diff(want, got)
	}, gen.UInt64()))
}

// cutPlaces is the simple reader. It has no hash for lines that are too long.
func cutPlaces(fsys fstest.MapFS, segs []uint64) (places []ledger.Place, torn int64) {
	for i, seg := range segs {
		rest := fsys[fmt.Sprintf("%020d.jsonl", seg)].Data
		for n, off := 1, int64(0); len(rest) > 0; n++ {
			line, after, whole := bytes.Cut(rest, []byte("\n"))
			if !whole && i == len(segs)-1 {
				return places, int64(len(line))
			}
			p := ledger.Place{Segment: seg, Line: n, Offset: off}
			if len(line) <= ledger.MaxLine {
				p.Leaf = ledger.LeafHash(line)
			}
			if !whole && len(line) <= ledger.MaxLine {
				p.Leaf = ledger.LeafHash(append(bytes.Clone(line), '\n'))
			}
			places = append(places, p)
			off += int64(len(line)) + 1
			rest = after
		}
	}
	return places, 0
}

// A read error in the middle of the log is not a verdict.
func TestVerifyReadError(t *testing.T) {
	fsys := failing{fsOf(join(sample(t, 20)))}
	r, err := ledger.Verify(context.Background(), fsys, ledger.VerifyConfig{})
	if checkIs(t, err, iotest.ErrTimeout); r != nil || errors.Is(err, ledger.ErrTampered) {
		t.Errorf("report %+v, error %v", r, err)
	}
}

type failing struct{ fs.FS }

func (f failing) Open(name string) (fs.File, error) {
	file, err := f.FS.Open(name)
	if err != nil || !strings.HasSuffix(name, ".jsonl") {
		return file, err
	}
	return &failingFile{File: file}, nil
}

type failingFile struct {
	fs.File
	read int
}

func (f *failingFile) Read(p []byte) (int, error) {
	if f.read > 0 {
		return 0, iotest.ErrTimeout
	}
	n, err := f.File.Read(p[:min(len(p), 1000)])
	f.read += n
	return n, err
}

// The memory does not grow with the log: for twelve times the size it grows by
// less than the size.
func TestMemoryDoesNotGrow(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, ledger.Config{Sync: ledger.SyncNever, MaxSize: -1})
	grow := func(batches int) (size int64) {
		events := make([]*audit.Event, 4000)
		for i := range events {
			events[i] = event(strings.Repeat("x", 150))
		}
		for range batches {
			if err := l.WriteEvents(context.Background(), events); err != nil {
				t.Fatal(err)
			}
		}
		return int64(l.Stats().Bytes)
	}
	allocated := func(f func() error) int64 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if err := f(); err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		return int64(after.TotalAlloc - before.TotalAlloc)
	}
	verifyAll := func() error { _, err := verify(os.DirFS(dir), ledger.VerifyConfig{}); return err }
	reopen := func() (err error) {
		_ = l.Close()
		l, err = ledger.Open(context.Background(), dir, ledger.Config{Sync: ledger.SyncNever, MaxSize: -1})
		return err
	}
	unit := grow(1)
	small, smallOpen := allocated(verifyAll), allocated(reopen)
	grow(11)
	if large := allocated(verifyAll); large-small > 3*unit {
		t.Errorf("Verify of %d bytes allocates %d, of %d bytes %d", unit, small, 12*unit, large)
	}
	if large := allocated(reopen); large-smallOpen > unit {
		t.Errorf("Open of %d bytes allocates %d, of %d bytes %d", unit, smallOpen, 12*unit, large)
	}
	_ = l.Close()
}
