package tiles_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/redoubt-go/redoubt/audit"
	"github.com/redoubt-go/redoubt/audit/ledger"
	"github.com/redoubt-go/redoubt/audit/ledger/tiles"
)

const origin = "example.com/billing"

func checkEqual(t *testing.T, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func checkIs(t *testing.T, err error, target error) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Errorf("error %v, want %v", err, target)
	}
}

// memory is a Store and a file system in memory.
type memory struct{ fstest.MapFS }

func (m memory) WriteFile(name string, data []byte) error {
	m.MapFS[name] = &fstest.MapFile{Data: bytes.Clone(data)}
	return nil
}

func (m memory) RemoveAll(name string) error {
	maps.DeleteFunc(m.MapFS, func(k string, _ *fstest.MapFile) bool { return k == name || strings.HasPrefix(k, name+"/") })
	return nil
}

func newMemory() memory { return memory{fstest.MapFS{}} }

// files returns the names of the files.
func (m memory) files() []string { return slices.Sorted(maps.Keys(m.MapFS)) }

// A testLog is a signed log.
type testLog struct {
	*ledger.Ledger
	t   testing.TB
	dir string
	key *ledger.Verifier
}

// newLog returns a log with segments of maxSize bytes, or of the default size.
func newLog(t testing.TB, maxSize int64) *testLog {
	t.Helper()
	skey, vkey, err := ledger.GenerateKey(origin)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ledger.ParseSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ledger.ParseVerifier(vkey)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	l, err := ledger.Open(context.Background(), dir, ledger.Config{
		Signer: signer, Sync: ledger.SyncNever, CheckpointDelay: -1, CheckpointEvery: -1, MaxSize: maxSize,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return &testLog{l, t, dir, key}
}

func (l *testLog) fsys() fs.FS { return os.DirFS(l.dir) }

// grow appends events up to size records, and returns a checkpoint of them.
func (l *testLog) grow(size uint64) ledger.Checkpoint {
	l.t.Helper()
	var events []*audit.Event
	for n := l.Head().Size; n < size; n++ {
		events = append(events, &audit.Event{ID: fmt.Sprint(n), Action: "test", Outcome: audit.Success})
	}
	for part := range slices.Chunk(events, 50) {
		if err := l.WriteEvents(context.Background(), part); err != nil {
			l.t.Fatal(err)
		}
	}
	cp, err := l.Checkpoint(context.Background())
	if err != nil {
		l.t.Fatal(err)
	}
	return cp
}

func export(t *testing.T, l *testLog, cp ledger.Checkpoint, to tiles.Store) {
	t.Helper()
	if err := tiles.Export(context.Background(), l.fsys(), cp, to); err != nil {
		t.Fatal(err)
	}
}

// checkProofs proves some records of an export.
func checkProofs(t *testing.T, fsys fs.FS, key *ledger.Verifier, size uint64) {
	t.Helper()
	for seq := uint64(0); seq < size; seq += max(1, size/97) {
		p, err := tiles.Prove(fsys, seq)
		if err != nil {
			t.Fatal(err)
		}
		cp, err := p.Verify(key)
		if err != nil || cp.Size != size || !bytes.HasPrefix(p.Line, fmt.Appendf(nil, `{"seq":%d,`, seq)) {
			t.Fatalf("record %d: %v, checkpoint of %d, line %.30s", seq, err, cp.Size, p.Line)
		}
	}
}

func TestTilePaths(t *testing.T) {
	for _, row := range []struct {
		level string
		n     uint64
		width int
		want  string
	}{
		{"0", 0, 256, "tile/0/000"},
		{"0", 273, 112, "tile/0/273.p/112"},
		{"1", 1234067, 256, "tile/1/x001/x234/067"},
		{"entries", 1000, 1, "tile/entries/x001/000.p/1"},
		{"entries", 999999, 256, "tile/entries/x999/999"},
	} {
		checkEqual(t, tiles.TilePath(row.level, row.n, row.width), row.want)
	}
}

func TestExportHasTheFilesOfTheSpecification(t *testing.T) {
	l := newLog(t, 0)
	cp := l.grow(70_000)
	m := newMemory()
	export(t, l, cp, m)
	var want []string
	for n := range uint64(273) {
		want = append(want, tiles.TilePath("0", n, 256), tiles.TilePath("entries", n, 256))
	}
	want = append(want, "checkpoint", "tile/0/273.p/112", "tile/entries/273.p/112",
		"tile/1/000", "tile/1/001.p/17", "tile/2/000.p/1")
	slices.Sort(want)
	checkEqual(t, m.files(), want)
	checkEqual(t, string(m.MapFS["checkpoint"].Data), cp.Note)
	checkProofs(t, m, l.key, cp.Size)
}

// TestExportContinues compares exports in steps with exports from nothing.
func TestExportContinues(t *testing.T) {
	l := newLog(t, 20_000)
	steps := newMemory()
	for _, size := range []uint64{3, 4, 200, 255, 256, 257, 300, 511, 512, 1030, 1031} {
		cp := l.grow(max(size, l.Head().Size))
		export(t, l, cp, steps)
		export(t, l, cp, steps) // once more changes nothing
		whole := newMemory()
		export(t, l, cp, whole)
		for name, f := range whole.MapFS {
			if got := steps.MapFS[name]; got == nil || !bytes.Equal(got.Data, f.Data) {
				t.Errorf("size %d: %s differs", cp.Size, name)
			}
		}
		checkProofs(t, steps, l.key, cp.Size)
	}
	for _, name := range steps.files() {
		if strings.Contains(name, "000.p/") && !strings.HasPrefix(name, "tile/1/") && !strings.HasPrefix(name, "tile/2/") {
			t.Errorf("%s was not removed", name)
		}
	}
}

func TestExportReadsOnlyNewSegments(t *testing.T) {
	l := newLog(t, 20_000)
	m := newMemory()
	export(t, l, l.grow(1000), m)
	segs, err := filepath.Glob(filepath.Join(l.dir, "*.jsonl"))
	if err != nil || len(segs) < 4 {
		t.Fatal(segs, err)
	}
	for _, seg := range segs[:len(segs)-3] { // as if they were pruned
		if err := os.Remove(seg); err != nil {
			t.Fatal(err)
		}
	}
	cp := l.grow(1200)
	export(t, l, cp, m)
	checkProofs(t, m, l.key, cp.Size)
	checkIs(t, tiles.Export(context.Background(), l.fsys(), cp, newMemory()), fs.ErrNotExist)
}

func TestExportOfAnOlderCheckpointChangesNothing(t *testing.T) {
	l := newLog(t, 0)
	older := l.grow(10)
	m := newMemory()
	export(t, l, l.grow(20), m)
	before := maps.Clone(m.MapFS)
	export(t, l, older, m)
	checkEqual(t, len(m.MapFS), len(before))
	checkEqual(t, m.MapFS["checkpoint"], before["checkpoint"])
}

// TestReadersOfAnOldCheckpoint proves with a checkpoint whose partial tiles
// were replaced by full tiles.
func TestReadersOfAnOldCheckpoint(t *testing.T) {
	l := newLog(t, 0)
	m := newMemory()
	older := l.grow(300)
	export(t, l, older, m)
	export(t, l, l.grow(600), m)
	m.MapFS["checkpoint"] = &fstest.MapFile{Data: []byte(older.Note)}
	checkProofs(t, m, l.key, older.Size)
}

func TestLongLinesAreTextFiles(t *testing.T) {
	l := newLog(t, 0)
	long := strings.Repeat("x", 1000)
	changes := make([]audit.Change, 0, 80)
	for i := range 80 {
		changes = append(changes, audit.Change{Field: fmt.Sprint("f", i), Old: long, New: long})
	}
	l.grow(300)
	if err := l.WriteEvents(context.Background(), []*audit.Event{{Action: "test", Outcome: audit.Success, Changes: changes}}); err != nil {
		t.Fatal(err)
	}
	m := newMemory()
	cp := l.grow(310)
	export(t, l, cp, m)
	checkProofs(t, m, l.key, cp.Size)
	name := fmt.Sprintf("tile/lines/001.p/%d", cp.Size-256)
	if m.MapFS[name] == nil || m.MapFS[strings.Replace(name, "lines", "entries", 1)] != nil {
		t.Errorf("files %v, want %s", m.files(), name)
	}
	longest := 0
	for line := range bytes.Lines(m.MapFS[name].Data) {
		longest = max(longest, len(line))
	}
	if longest <= 1<<16 {
		t.Fatalf("the longest line has %d bytes", longest)
	}
	cp = l.grow(600)
	export(t, l, cp, m)
	checkProofs(t, m, l.key, cp.Size)
	if m.MapFS["tile/lines/001"] == nil || m.MapFS[name] != nil || m.MapFS["tile/entries/002.p/"+fmt.Sprint(cp.Size-512)] == nil {
		t.Errorf("files %v", m.files())
	}
}

// TestEntriesHashToTheTile reads a bundle as a client does.
func TestEntriesHashToTheTile(t *testing.T) {
	l := newLog(t, 0)
	m := newMemory()
	export(t, l, l.grow(256), m)
	data := m.MapFS["tile/entries/000"].Data
	n := 0
	for ; len(data) > 0; n++ {
		size := int(binary.BigEndian.Uint16(data))
		if !bytes.HasPrefix(data[2:], fmt.Appendf(nil, `{"seq":%d,`, n)) {
			t.Fatalf("entry %d is %.20s", n, data[2:])
		}
		data = data[2+size:]
	}
	checkEqual(t, n, 256)
}

func TestExportRefusesOtherLogs(t *testing.T) {
	a, b := newLog(t, 0), newLog(t, 0)
	cpA, cpB := a.grow(300), b.grow(400)
	m := newMemory()
	checkIs(t, tiles.Export(context.Background(), b.fsys(), cpA, m), ledger.ErrTampered)
	export(t, a, cpA, m)
	checkIs(t, tiles.Export(context.Background(), b.fsys(), cpB, m), ledger.ErrTampered)
	checkProofs(t, m, a.key, cpA.Size) // the failures did no harm
	c, small := newLog(t, 0), newMemory()
	export(t, c, c.grow(9), small)
	checkIs(t, tiles.Export(context.Background(), b.fsys(), cpB, small), ledger.ErrTampered)
	cp := a.grow(700)
	export(t, a, cp, m)
	checkProofs(t, m, a.key, cp.Size)

	other := cp
	other.Origin = "example.com/other"
	checkIs(t, tiles.Export(context.Background(), a.fsys(), other, newMemory()), ledger.ErrFormat)
	other.Note = strings.Replace(cp.Note, origin, other.Origin, 1)
	checkIs(t, tiles.Export(context.Background(), a.fsys(), other, m), ledger.ErrFormat)

	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	checkIs(t, tiles.Export(ctx, a.fsys(), cp, newMemory()), context.Canceled)
}

// TestDamagedStore flips a byte in each file of an export: no proof of a wrong
// record, and no export that continues from wrong tiles.
func TestDamagedStore(t *testing.T) {
	l := newLog(t, 0)
	m := newMemory()
	export(t, l, l.grow(70_000), m)
	next := l.grow(70_010)
	for _, name := range []string{"checkpoint", "tile/0/273.p/112", "tile/entries/273.p/112", "tile/1/000", "tile/1/001.p/17", "tile/2/000.p/1"} {
		bad := memory{maps.Clone(m.MapFS)}
		data := bytes.Clone(m.MapFS[name].Data)
		data[len(data)/3] ^= 1
		bad.MapFS[name] = &fstest.MapFile{Data: data}
		if p, err := tiles.Prove(bad, 69_900); err == nil {
			if _, err = p.Verify(l.key); err == nil {
				line, _ := tiles.Prove(m, 69_900)
				checkEqual(t, string(p.Line), string(line.Line))
			}
		}
		err := tiles.Export(context.Background(), l.fsys(), next, bad)
		used := strings.HasPrefix(name, "tile/1/001") || strings.HasPrefix(name, "tile/2")
		if used && !errors.Is(err, ledger.ErrTampered) {
			t.Errorf("%s: %v, want ErrTampered", name, err)
		}
		delete(bad.MapFS, name)
		if used && tiles.Export(context.Background(), l.fsys(), next, bad) == nil {
			t.Errorf("%s is missing, but the export continues", name)
		}
	}
}

func TestProveErrors(t *testing.T) {
	l := newLog(t, 0)
	m := newMemory()
	_, err := tiles.Prove(m, 0)
	checkIs(t, err, fs.ErrNotExist)
	cp := l.grow(300)
	export(t, l, cp, m)
	_, err = tiles.Prove(m, cp.Size)
	checkIs(t, err, fs.ErrNotExist)
	for _, data := range [][]byte{nil, {0}, {0, 9, 1}, bytes.Repeat([]byte{0}, 600)} {
		m.MapFS["tile/entries/000"] = &fstest.MapFile{Data: data}
		_, err = tiles.Prove(m, 5)
		checkIs(t, err, ledger.ErrTampered)
	}
	m.MapFS[tiles.TilePath("0", 1, int(cp.Size-256))] = &fstest.MapFile{Data: make([]byte, 33)}
	_, err = tiles.Prove(m, 280)
	checkIs(t, err, ledger.ErrTampered)
	m.MapFS["checkpoint"] = &fstest.MapFile{Data: []byte("x\n1\n")}
	_, err = tiles.Prove(m, 5)
	checkIs(t, err, ledger.ErrFormat)
}

func TestDir(t *testing.T) {
	l := newLog(t, 0)
	dir := filepath.Join(t.TempDir(), "a", "b")
	export(t, l, l.grow(300), tiles.Dir(dir))
	cp := l.grow(600)
	export(t, l, cp, tiles.Dir(dir))
	checkProofs(t, os.DirFS(dir), l.key, cp.Size)
	m := newMemory()
	export(t, l, cp, m)
	var names []string
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			names = append(names, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	names = slices.DeleteFunc(names, func(n string) bool { return m.MapFS[n] == nil && strings.HasPrefix(n, "tile/1/000.p/") })
	checkEqual(t, names, m.files())
}

func TestDirFollowsNoLinkOutside(t *testing.T) {
	outside, dir := t.TempDir(), t.TempDir()
	if err := os.Symlink(outside, filepath.Join(dir, "tile")); err != nil {
		t.Skip(err)
	}
	if err := tiles.Dir(dir).WriteFile("tile/0/000", nil); err == nil {
		t.Error("a file was written outside of the directory")
	}
}

// TestFailedWriteKeepsTheExport stops an export at each of its writes. The old
// checkpoint stays provable, and the next export repairs the rest.
func TestFailedWriteKeepsTheExport(t *testing.T) {
	l := newLog(t, 0)
	first := l.grow(300)
	second := l.grow(900)
	for fail := range 12 {
		m := newMemory()
		export(t, l, first, m)
		err := tiles.Export(context.Background(), l.fsys(), second, &failing{m, fail})
		size := first.Size
		if err == nil {
			size = second.Size
		}
		checkProofs(t, m, l.key, size)
		export(t, l, second, m)
		checkProofs(t, m, l.key, second.Size)
	}
}

// failing refuses to write after some files.
type failing struct {
	memory
	left int
}

func (f *failing) WriteFile(name string, data []byte) error {
	if f.left--; f.left < 0 {
		return errors.New("disk full")
	}
	return f.memory.WriteFile(name, data)
}

func FuzzProve(f *testing.F) {
	f.Add([]byte("x\n1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n— x AAAA\n"), []byte{0, 1, 'x'}, make([]byte, 32), uint64(0))
	f.Add([]byte("x\n18446744073709551615\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n"), []byte{}, []byte{}, uint64(1)<<63)
	f.Fuzz(func(t *testing.T, note, entries, tile []byte, seq uint64) {
		p, err := tiles.Prove(hostile{note, entries, tile}, seq)
		if (p == nil) == (err == nil) {
			t.Fatal(p, err)
		}
	})
}

// hostile answers each name with the same content.
type hostile struct{ note, entries, tile []byte }

func (h hostile) Open(name string) (fs.File, error) {
	data := h.tile
	switch {
	case name == "checkpoint":
		data = h.note
	case strings.HasPrefix(name, "tile/entries/"), strings.HasPrefix(name, "tile/lines/"):
		data = h.entries
	}
	return fstest.MapFS{"f": {Data: data}}.Open("f")
}
