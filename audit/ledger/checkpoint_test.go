package ledger_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/redoubt-go/redoubt/audit"
	"github.com/redoubt-go/redoubt/audit/ledger"
)

const origin = "example.com/log"

// signer returns a key that depends only on n, so that failures can be
// repeated.
func signer(t testing.TB, name string, n byte) *ledger.Signer {
	t.Helper()
	s, err := ledger.NewSigner(name, ed25519.NewKeyFromSeed(bytes.Repeat([]byte{n}, 32)))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// sealing returns a configuration that seals only on request.
func sealing(s *ledger.Signer) ledger.Config {
	return ledger.Config{Sync: ledger.SyncNever, Signer: s, CheckpointEvery: -1, CheckpointDelay: -1}
}

func checkpoint(t testing.TB, l *ledger.Ledger) ledger.Checkpoint {
	t.Helper()
	cp, err := l.Checkpoint(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return cp
}

func verify(fsys fs.FS, c ledger.VerifyConfig) (*ledger.Report, error) {
	return ledger.Verify(context.Background(), fsys, c)
}

func findings(r *ledger.Report) (out []finding) {
	if r != nil {
		for _, p := range r.Problems {
			out = append(out, finding{p.Kind, p.From, p.To})
		}
	}
	return out
}

func wantFinding(t *testing.T, fsys fs.FS, c ledger.VerifyConfig, want ...finding) {
	t.Helper()
	r, _ := verify(fsys, c)
	checkEqual(t, findings(r), want)
}

// rechain makes the links consistent, as an attacker without the key can.
func rechain(lines [][]byte) [][]byte {
	for i := 1; i < len(lines); i++ {
		lines[i] = withPrev(lines[i], ledger.LeafHash(lines[i-1]))
	}
	return lines
}

func contents(t testing.TB, dir string) fstest.MapFS {
	t.Helper()
	out := fstest.MapFS{}
	names, err := filepath.Glob(filepath.Join(dir, "*.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		out[filepath.Base(name)] = &fstest.MapFile{Data: data}
	}
	return out
}

func TestCheckpointsSealTheLog(t *testing.T) {
	dir := t.TempDir()
	s := signer(t, origin, 1)
	l := open(t, dir, sealing(s))
	write(t, l, "a", "b")
	head := l.Head()
	cp := checkpoint(t, l)
	if again := checkpoint(t, l); again != cp || cp.Head != head || cp.Origin != origin {
		t.Errorf("checkpoints %v and %v, head %v", cp, again, head)
	}
	write(t, l, "c")
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	back, err := ledger.ParseCheckpoint(cp.Note, s.Verifier())
	if err != nil || back != cp {
		t.Errorf("parsed %v, %v, want %v", back, err, cp)
	}
	r, err := verify(os.DirFS(dir), ledger.VerifyConfig{Keys: []*ledger.Verifier{s.Verifier()}, MaxUnsealed: -1, Known: &cp.Head})
	if err != nil || r.Sealed != r.Records || r.Records != 7 || r.Origin != origin {
		t.Errorf("report %+v, %v", r, err)
	}
	checkEqual(t, ids(t, os.DirFS(dir)), []string{"a", "b", "c"})
	before := read(t, dir)
	_ = open(t, dir, sealing(s)).Close()
	if !bytes.Equal(read(t, dir), before) {
		t.Error("opening and closing a sealed log changed it")
	}
	_, err = open(t, t.TempDir(), never).Checkpoint(context.Background())
	checkIs(t, err, ledger.ErrFormat)
}

func TestConfigOfSealedLogs(t *testing.T) {
	s := signer(t, origin, 1)
	for name, c := range map[string]ledger.Config{
		"retain without signer":   {Retain: 1},
		"previous without signer": {Previous: s},
		"anchor without signer":   {Anchor: func(context.Context, ledger.Checkpoint) error { return nil }},
		"name of another log":     {Origin: "x", Signer: s},
		"previous of another log": {Signer: s, Previous: signer(t, "x", 2)},
		"sync in nanoseconds":     {Sync: 7},
		"negative sync":           {Sync: -2},
	} {
		t.Run(name, func(t *testing.T) { checkIs(t, c.Validate(), ledger.ErrFormat) })
	}
	dir := t.TempDir()
	_ = open(t, dir, ledger.Config{Origin: "other"}).Close()
	_, err := ledger.Open(context.Background(), dir, ledger.Config{Signer: s})
	checkIs(t, err, ledger.ErrFormat)
}

func TestSyncEverySyncsLater(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		l, err := ledger.Open(context.Background(), dir, ledger.Config{Sync: ledger.SyncEvery(time.Second)})
		if err != nil {
			t.Fatal(err)
		}
		ff := inject(l)
		write(t, l, "a", "b")
		if n := ff.synced(); n != 0 {
			t.Errorf("%d syncs at once, want 0", n)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if n := ff.synced(); n != 1 {
			t.Errorf("%d syncs after the interval, want 1", n)
		}
		time.Sleep(time.Hour)
		write(t, l, "c")
		_ = l.Close()
		if n := ff.synced(); n != 2 {
			t.Errorf("%d syncs after Close, want 2", n)
		}
	})
	verifyOK(t, dir)
}

func TestLateSyncErrorStops(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		l, err := ledger.Open(context.Background(), dir, ledger.Config{Sync: ledger.SyncEvery(time.Second)})
		if err != nil {
			t.Fatal(err)
		}
		ff := inject(l)
		ff.failSync = true
		write(t, l, "a")
		time.Sleep(2 * time.Second)
		synctest.Wait()
		checkIs(t, l.WriteEvents(context.Background(), []*audit.Event{event("b")}), ledger.ErrFailed)
		_ = l.Close()
	})
}

// Checkpoints are written by number and by delay, and Anchor is called once
// with each.
func TestCheckpointsComeByThemselves(t *testing.T) {
	dir := t.TempDir()
	s := signer(t, origin, 1)
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var sizes []uint64
		l, err := ledger.Open(context.Background(), dir, ledger.Config{
			Sync: ledger.SyncNever, Signer: s, CheckpointEvery: 3, CheckpointDelay: time.Minute,
			Anchor: func(_ context.Context, cp ledger.Checkpoint) error {
				mu.Lock()
				defer mu.Unlock()
				sizes = append(sizes, cp.Size)
				return nil
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait() // the header
		write(t, l, "a", "b", "c")
		synctest.Wait() // by number: header, checkpoint, a, b, c
		write(t, l, "d")
		time.Sleep(59 * time.Second)
		synctest.Wait()
		mu.Lock()
		early := len(sizes)
		mu.Unlock()
		time.Sleep(time.Second)
		synctest.Wait() // by delay
		write(t, l, "e")
		_ = l.Close()
		if d := cmp.Diff([]uint64{1, 5, 7, 9}, sizes); d != "" || early != 2 {
			t.Errorf("%d early, anchored sizes (-want +got):\n%s", early, d)
		}
	})
}

func TestAnchorErrors(t *testing.T) {
	s := signer(t, origin, 1)
	down := errors.New("witness is down")
	c := sealing(s)
	c.Anchor = func(context.Context, ledger.Checkpoint) error { return down }
	dir := t.TempDir()
	l := open(t, dir, c)
	write(t, l, "a")
	cp, err := l.Checkpoint(context.Background())
	checkIs(t, err, down)
	if cp.Size != 3 {
		t.Errorf("checkpoint %v comes without the error's", cp)
	}
	write(t, l, "a")
	checkIs(t, l.Rotate(context.Background()), down)
	write(t, l, "b")
	checkIs(t, l.Close(), down)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err = l.Checkpoint(ctx)
	checkIs(t, err, context.Canceled)
	checkIs(t, l.Rotate(ctx), context.Canceled)
	_, err = l.Checkpoint(context.Background())
	checkIs(t, err, ledger.ErrClosed)
	checkIs(t, l.Rotate(context.Background()), ledger.ErrClosed)
	if _, err := verify(os.DirFS(dir), ledger.VerifyConfig{Keys: []*ledger.Verifier{s.Verifier()}}); err != nil {
		t.Error(err)
	}
}

func TestCheckpointIsSignedAfterTheSync(t *testing.T) {
	s := signer(t, origin, 1)
	c := sealing(s)
	c.Sync = ledger.SyncEvery(time.Hour)
	l := open(t, t.TempDir(), c)
	ff := inject(l)
	write(t, l, "a")
	_ = checkpoint(t, l)
	if ff.synced() != 1 {
		t.Errorf("%d syncs before the signature, want 1", ff.synced())
	}
	write(t, l, "b")
	ff.failSync = true
	_, err := l.Checkpoint(context.Background())
	checkIs(t, err, ledger.ErrFailed, syscall.EIO)
}

func TestRotationWritesHeaderFirst(t *testing.T) {
	dir := t.TempDir()
	c := never
	c.MaxSize = 1000
	l := open(t, dir, c)
	for i := range 20 {
		write(t, l, fmt.Sprintf("event %d", i))
	}
	head := l.Head()
	_ = l.Close()
	files := contents(t, dir)
	if len(files) < 3 {
		t.Fatalf("%d segments of 1000 bytes", len(files))
	}
	for name, f := range files {
		if !bytes.Contains(split(f.Data)[0], []byte(`"type":"ledger"`)) || len(f.Data) > 1600 {
			t.Errorf("%s: %d bytes, begins %s", name, len(f.Data), split(f.Data)[0])
		}
	}
	if r := verifyOK(t, dir); r.Root != head.Root || r.Records != head.Size {
		t.Errorf("report %+v, head %+v", r, head)
	}
	l = open(t, dir, c)
	if l.Head() != head {
		t.Errorf("head %v after reopening, want %v", l.Head(), head)
	}
	for range 2 {
		if err := l.Rotate(context.Background()); err != nil {
			t.Error(err)
		}
	}
	if n := len(contents(t, dir)); n != len(files)+1 {
		t.Errorf("%d segments, want one more than %d: the second Rotate had nothing to do", n, len(files))
	}
	if n := len(ids(t, os.DirFS(dir))); n != 20 {
		t.Errorf("%d events, want 20", n)
	}
}

func TestRotationByAge(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		l, err := ledger.Open(context.Background(), dir, ledger.Config{Sync: ledger.SyncNever, MaxAge: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		write(t, l, "a")
		time.Sleep(time.Hour)
		write(t, l, "b", "c")
		_ = l.Close()
	})
	if n := len(contents(t, dir)); n != 2 {
		t.Errorf("%d segments, want 2", n)
	}
	verifyOK(t, dir)
}

// A rotation that cannot be done leaves the log where it was.
func TestRotationFails(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, never)
	write(t, l, "a")
	limit, current := 10, true
	ledger.WrapFile(l, func(f ledger.File) ledger.File {
		if current {
			current = false
			return f
		}
		return &faulty{File: f, writeLimit: limit}
	})
	err := l.Rotate(context.Background())
	checkIs(t, err, errFull)
	if errors.Is(err, ledger.ErrFailed) || len(contents(t, dir)) != 1 {
		t.Errorf("%v, %d segments, want a passing fault and 1", err, len(contents(t, dir)))
	}
	write(t, l, "b")
	limit = -1
	if err := l.Rotate(context.Background()); err != nil {
		t.Error(err)
	}
	write(t, l, "c")
	verifyOK(t, dir)
}

func TestCrashDuringRotation(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, never)
	write(t, l, "a")
	if err := l.Rotate(context.Background()); err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	second := filepath.Join(dir, "00000000000000000002.jsonl")
	header, err := os.ReadFile(second)
	if err != nil {
		t.Fatal(err)
	}
	for cut := range len(header) {
		if err := os.WriteFile(second, header[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		l := open(t, dir, never)
		if _, ok := l.Recovered(); ok != (cut > 0) {
			t.Fatalf("cut at %d: recovered %v", cut, ok)
		}
		_ = l.Close()
		if files := contents(t, dir); len(files) != 1 {
			t.Fatalf("cut at %d: %d segments, want 1", cut, len(files))
		}
		verifyOK(t, dir)
		_ = os.Truncate(filepath.Join(dir, segment), int64(len(join(split(read(t, dir))[:2]))))
	}
}

func TestPruneKeepsTheLogVerifiable(t *testing.T) {
	dir := t.TempDir()
	s := signer(t, origin, 1)
	c := sealing(s)
	c.Retain = 2
	l := open(t, dir, c)
	heads := []ledger.Head{}
	for i := range 5 {
		write(t, l, fmt.Sprintf("a%d", i), fmt.Sprintf("b%d", i))
		heads = append(heads, l.Head())
		if err := l.Rotate(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	_ = l.Close()
	fsys := contents(t, dir)
	if len(fsys) != 2 {
		t.Fatalf("%d segments, want 2", len(fsys))
	}
	keys := []*ledger.Verifier{s.Verifier()}
	r, err := verify(fsys, ledger.VerifyConfig{Keys: keys, Pruned: true, MaxUnsealed: -1, Known: &heads[4]})
	if err != nil || r.First == 0 || r.First+r.Records != r.Sealed {
		t.Errorf("report %+v, %v", r, err)
	}
	wantFinding(t, fsys, ledger.VerifyConfig{Keys: keys}, finding{ledger.KindRemoved, 0, r.First - 1})
	_, err = verify(fsys, ledger.VerifyConfig{Pruned: true, Known: &heads[0]})
	checkIs(t, err, fs.ErrNotExist)

	// The root of the log depends on the range in the header.
	oldest := fmt.Sprintf("%020d.jsonl", r.First)
	lines := split(fsys[oldest].Data)
	at := bytes.Index(lines[0], []byte(`"range":["`)) + len(`"range":["`)
	lines[0][at] ^= 1
	fsys[oldest] = &fstest.MapFile{Data: join(rechain(lines))}
	if _, err := verify(fsys, ledger.VerifyConfig{Pruned: true}); !errors.Is(err, ledger.ErrTampered) {
		t.Errorf("a forged range passes: %v", err)
	}
	l = open(t, dir, c)
	write(t, l, "more")
	_ = l.Close()
	if _, err := verify(os.DirFS(dir), ledger.VerifyConfig{Keys: keys, Pruned: true}); err != nil {
		t.Error(err)
	}
}

func TestRetainOneWaitsForTheSeal(t *testing.T) {
	dir := t.TempDir()
	c := sealing(signer(t, origin, 1))
	c.Retain = 1
	l := open(t, dir, c)
	write(t, l, "a")
	if err := l.Rotate(context.Background()); err != nil {
		t.Fatal(err)
	}
	if n := len(contents(t, dir)); n != 2 {
		t.Errorf("%d segments before the new header is sealed, want 2", n)
	}
	_ = checkpoint(t, l)
	if n := len(contents(t, dir)); n != 1 {
		t.Errorf("%d segments after that, want 1", n)
	}
}

// sealed is the lines of a log with checkpoints at the records 4 and 9.
func sealed(t testing.TB, s *ledger.Signer) [][]byte {
	t.Helper()
	dir := t.TempDir()
	l := open(t, dir, ledger.Config{Origin: origin, Sync: ledger.SyncNever})
	write(t, l, "1", "2", "3")
	head := l.Head()
	_ = l.Close()
	c := sealing(s)
	c.Known = &head
	l = open(t, dir, c)
	write(t, l, "5", "6", "7", "8")
	_ = l.Close()
	return split(read(t, dir))
}

func forge(line []byte) []byte {
	return bytes.Replace(line, []byte("success"), []byte("failure"), 1)
}

func TestRewrittenBetweenCheckpoints(t *testing.T) {
	s := signer(t, origin, 1)
	keys := ledger.VerifyConfig{Keys: []*ledger.Verifier{s.Verifier()}}
	for name, c := range map[string]struct {
		change int
		want   finding
	}{
		"before the first":   {2, finding{ledger.KindRewritten, 0, 3}},
		"between":            {6, finding{ledger.KindRewritten, 5, 8}},
		"right after a seal": {5, finding{ledger.KindRewritten, 5, 8}},
	} {
		t.Run(name, func(t *testing.T) {
			lines := sealed(t, s)
			lines[c.change] = forge(lines[c.change])
			wantFinding(t, fsOf(join(rechain(lines))), keys, c.want)
			wantFinding(t, fsOf(join(lines)), ledger.VerifyConfig{}, c.want) // without keys the root still differs
		})
	}
	lines := sealed(t, s)
	lines[2] = forge(lines[2])
	wantFinding(t, fsOf(join(lines)), keys, finding{ledger.KindAltered, 2, 2}) // naive: one problem, no cascade
	lines = sealed(t, s)
	lines[9] = bytes.Replace(lines[9], []byte(`"note":"e`), []byte(`"note":"f`), 1)
	wantFinding(t, fsOf(join(lines)), keys, finding{ledger.KindBadSeal, 9, 9})
}

func TestUnsealedTail(t *testing.T) {
	s := signer(t, origin, 1)
	keys := []*ledger.Verifier{s.Verifier()}
	lines := sealed(t, s)
	strict := ledger.VerifyConfig{Keys: keys, MaxUnsealed: -1}
	wantFinding(t, fsOf(join(lines)), strict)
	wantFinding(t, fsOf(join(lines[:5])), strict) // cut at a checkpoint: only Known reveals it
	wantFinding(t, fsOf(join(lines[:8])), strict, finding{ledger.KindUnsealed, 5, 7})
	wantFinding(t, fsOf(join(lines[:8])), ledger.VerifyConfig{Keys: keys, MaxUnsealed: 3})
	wantFinding(t, fsOf(join(lines[:8])), ledger.VerifyConfig{Keys: keys, MaxUnsealed: 2}, finding{ledger.KindUnsealed, 5, 7})
	wantFinding(t, fsOf(join(lines[:3])), ledger.VerifyConfig{Keys: keys}, finding{ledger.KindUnsealed, 0, 2})
	wantFinding(t, fsOf(nil), ledger.VerifyConfig{Keys: keys}, finding{ledger.KindUnsealed, 0, 0})
}

func TestWrongKeyNeverPasses(t *testing.T) {
	s, other := signer(t, origin, 1), signer(t, origin, 2)
	lines := sealed(t, s)
	wantFinding(t, fsOf(join(lines)), ledger.VerifyConfig{Keys: []*ledger.Verifier{other.Verifier()}}, finding{ledger.KindUnsealed, 0, 9})
	// A signature that claims to be by the known key and is not.
	_, err := verify(fsOf(join(rechain(append(lines[:9:9], resign(t, lines[9]))))), ledger.VerifyConfig{Keys: []*ledger.Verifier{s.Verifier()}})
	var te *ledger.TamperError
	if !errors.As(err, &te) || te.Problems[0].Kind != ledger.KindBadSeal {
		t.Errorf("error %v, want a bad seal", err)
	}
}

// resign changes a bit of the signature in a checkpoint line.
func resign(t *testing.T, line []byte) []byte {
	t.Helper()
	at := bytes.LastIndex(line, []byte(`\n`)) - 20
	line = bytes.Clone(line)
	if line[at] == 'A' {
		line[at] = 'B'
	} else {
		line[at] = 'A'
	}
	return line
}

// A log whose key changed from first to second.
func handover(t *testing.T, first, second *ledger.Signer) fstest.MapFS {
	t.Helper()
	dir := t.TempDir()
	l := open(t, dir, sealing(first))
	write(t, l, "old")
	_ = l.Close()
	c := sealing(second)
	c.Previous = first
	l = open(t, dir, c)
	write(t, l, "new")
	_ = l.Close()
	before := contents(t, dir)[segment].Data
	_ = open(t, dir, c).Close() // Previous has nothing more to do
	if after := contents(t, dir)[segment].Data; !bytes.Equal(before, after) {
		t.Error("the second Open handed over again")
	}
	return contents(t, dir)
}

func TestKeyRotation(t *testing.T) {
	first, second := signer(t, origin, 1), signer(t, origin, 2)
	fsys := handover(t, first, second)
	k1, k2 := first.Verifier(), second.Verifier()
	both := ledger.VerifyConfig{Keys: []*ledger.Verifier{k1, k2}, MaxUnsealed: -1}
	wantFinding(t, fsys, both)
	// The new key alone says nothing about the old records, nor the old about
	// the new.
	if _, err := verify(fsys, ledger.VerifyConfig{Keys: []*ledger.Verifier{k2, k1}, MaxUnsealed: -1}); !errors.Is(err, ledger.ErrTampered) {
		t.Errorf("keys in the wrong order pass: %v", err)
	}
	if _, err := verify(fsys, ledger.VerifyConfig{Keys: []*ledger.Verifier{k1}, MaxUnsealed: -1}); !errors.Is(err, ledger.ErrTampered) {
		t.Errorf("new records pass with the old key: %v", err)
	}
	// A log that only the new key ever sealed is not the old one.
	dir := t.TempDir()
	l := open(t, dir, sealing(second))
	write(t, l, "forged")
	_ = l.Close()
	if _, err := verify(os.DirFS(dir), both); !errors.Is(err, ledger.ErrTampered) {
		t.Errorf("old records sealed by the new key pass: %v", err)
	}
	// Without the hand-over, the new key cannot continue the log.
	dir = t.TempDir()
	_ = open(t, dir, sealing(first)).Close()
	before := read(t, dir)
	_, err := ledger.Open(context.Background(), dir, sealing(second))
	checkIs(t, err, ledger.ErrTampered)
	if !bytes.Equal(read(t, dir), before) {
		t.Error("the log was changed")
	}
}

func TestSplicedAndForked(t *testing.T) {
	s := signer(t, origin, 1)
	keys := []*ledger.Verifier{s.Verifier()}
	log := func(text string) (fstest.MapFS, ledger.Head) {
		dir := t.TempDir()
		l := open(t, dir, sealing(s))
		write(t, l, text)
		if err := l.Rotate(context.Background()); err != nil {
			t.Fatal(err)
		}
		head := l.Head()
		write(t, l, text)
		_ = l.Close()
		return contents(t, dir), head
	}
	a, head := log("aa")
	b, _ := log("bb")
	wantFinding(t, a, ledger.VerifyConfig{Keys: keys, Known: &head})
	wantFinding(t, b, ledger.VerifyConfig{Keys: keys, Known: &head}, finding{ledger.KindForked, 0, head.Size - 1})
	wantFinding(t, b, ledger.VerifyConfig{Known: &head}, finding{ledger.KindRewritten, 0, head.Size - 1})
	for name, f := range b {
		if name != segment {
			a[name] = f
		}
	}
	if _, err := verify(a, ledger.VerifyConfig{Keys: keys}); !errors.Is(err, ledger.ErrTampered) {
		t.Errorf("segments of two logs pass as one: %v", err)
	}
}

func TestMissingAndMisnamedSegments(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, never)
	for range 3 {
		write(t, l, "x", "y")
		if err := l.Rotate(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	_ = l.Close()
	fsys := contents(t, dir)
	second, third := "00000000000000000003.jsonl", "00000000000000000006.jsonl"
	fsys["notes.txt"] = &fstest.MapFile{Data: []byte("not a segment")}
	wantFinding(t, fsys, ledger.VerifyConfig{})
	f := fsys[second]
	delete(fsys, second)
	wantFinding(t, fsys, ledger.VerifyConfig{}, finding{ledger.KindRemoved, 3, 5})
	fsys["00000000000000000004.jsonl"] = f
	wantFinding(t, fsys, ledger.VerifyConfig{}, finding{ledger.KindAltered, 3, 3})
	delete(fsys, "00000000000000000004.jsonl")
	fsys[second] = &fstest.MapFile{Data: f.Data[:len(f.Data)-20]} // a torn line where another segment follows
	wantFinding(t, fsys, ledger.VerifyConfig{}, finding{ledger.KindAltered, 5, 5})
	fsys[second] = f
	fsys[third] = &fstest.MapFile{Data: fsys[third].Data[:40]}
	if _, err := verify(fsys, ledger.VerifyConfig{}); !errors.Is(err, ledger.ErrTampered) {
		t.Errorf("a torn header in the middle passes: %v", err)
	}
}

func TestRefusesHoleBeforeSeal(t *testing.T) {
	s := signer(t, origin, 1)
	lines := sealed(t, s)
	lines[7] = bytes.Repeat([]byte{0}, len(lines[7]))
	dir := t.TempDir()
	_ = os.WriteFile(filepath.Join(dir, segment), join(lines), 0o600)
	_, err := ledger.Open(context.Background(), dir, sealing(s))
	checkIs(t, err, ledger.ErrTampered)
	if !bytes.Equal(read(t, dir), join(lines)) {
		t.Error("the evidence was touched")
	}
	// A crash leaves the same hole without a seal behind it.
	_ = os.WriteFile(filepath.Join(dir, segment), join(lines[:9]), 0o600)
	note, _ := ledger.SignHead(origin, headOf(lines[:4]), s)
	_ = os.WriteFile(filepath.Join(dir, "mark"), []byte(note), 0o600)
	l := open(t, dir, sealing(s))
	r, ok := l.Recovered()
	if !ok || r.Bytes != int64(len(join(lines[7:9]))) || len(r.SHA256) != 64 || !strings.HasPrefix(r.Saved, "torn-0-") {
		t.Errorf("recovered %+v, %v", r, ok)
	}
	_ = l.Close()
	if _, err := verify(os.DirFS(dir), ledger.VerifyConfig{Keys: []*ledger.Verifier{s.Verifier()}, MaxUnsealed: -1}); err != nil {
		t.Error(err)
	}
}

func TestOpenWithKnown(t *testing.T) {
	s := signer(t, origin, 1)
	dir := t.TempDir()
	l := open(t, dir, sealing(s))
	write(t, l, "a")
	early := l.Head()
	write(t, l, "b")
	late := l.Head()
	_ = l.Close()
	for _, known := range []ledger.Head{early, late} {
		c := sealing(s)
		c.Known = &known
		_ = open(t, dir, c).Close()
	}
	refused := func(dir string, known ledger.Head) {
		t.Helper()
		c := sealing(s)
		c.Known = &known
		_, err := ledger.Open(context.Background(), dir, c)
		checkIs(t, err, ledger.ErrTampered)
	}
	refused(dir, ledger.Head{Size: late.Size + 5})
	refused(dir, ledger.Head{Size: 1})
	refused(t.TempDir(), early)
	if entries, _ := os.ReadDir(dir); len(entries) != 2 {
		t.Errorf("%d files, want the segment and the lock", len(entries))
	}
}

func TestNotesThatAreRefused(t *testing.T) {
	s := signer(t, origin, 1)
	l := open(t, t.TempDir(), sealing(s))
	note := checkpoint(t, l).Note
	text, sig, _ := strings.Cut(note, "\n\n")
	for name, bad := range map[string]string{
		"empty":             "",
		"no signature":      text + "\n",
		"no end":            strings.TrimSuffix(note, "\n"),
		"no blank line":     text + "\n" + sig,
		"hyphen":            strings.Replace(note, "—", "-", 1),
		"control character": strings.Replace(note, "\n", "\r\n", 1),
		"invalid UTF-8":     "\xff" + note,
		"short signature":   text + "\n\n— " + origin + " AAAA\n",
		"many signatures":   text + "\n\n" + strings.Repeat(sig, 101),
		"too long":          strings.Repeat("x", 1<<20) + note,
	} {
		if _, err := ledger.ParseCheckpoint(bad, s.Verifier()); !errors.Is(err, ledger.ErrFormat) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, bad := range map[string]string{
		"leading zero": strings.Replace(note, "\n1\n", "\n01\n", 1),
		"bad root":     strings.Replace(note, "=\n\n", "\n\n", 1),
		"other size":   strings.Replace(note, "\n1\n", "\n2\n", 1),
		"other origin": strings.Replace(note, origin, "example.com/lug", 1),
	} {
		if _, err := ledger.ParseCheckpoint(bad, s.Verifier()); !errors.Is(err, ledger.ErrTampered) {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := ledger.ParseCheckpoint(note)
	checkIs(t, err, ledger.ErrTampered)
	witnessed := note + strings.Replace(sig, origin, "witness.example", 1)
	if _, err := ledger.ParseCheckpoint(witnessed, s.Verifier()); err != nil {
		t.Errorf("an unknown signature more: %v", err)
	}
	// The key of another log does not speak for this one, even if it signs its
	// text.
	x := signer(t, "example.com/x", 3)
	forged := open(t, t.TempDir(), sealing(x))
	n := strings.Replace(checkpoint(t, forged).Note, "example.com/x\n1", origin+"\n1", 1)
	if _, err := ledger.ParseCheckpoint(n, x.Verifier()); err == nil {
		t.Error("a checkpoint of another origin passes")
	}
}

func TestKeys(t *testing.T) {
	skey, vkey, err := ledger.GenerateKey(origin)
	if err != nil {
		t.Fatal(err)
	}
	s, err1 := ledger.ParseSigner(skey)
	v, err2 := ledger.ParseVerifier(vkey)
	if err1 != nil || err2 != nil || s.Verifier().String() != vkey || v.String() != vkey || v.Name() != origin {
		t.Errorf("%v, %v, %v, %v", err1, err2, s, v)
	}
	if text := fmt.Sprintf("%v %+v", s, s); strings.Contains(text, skey[len(skey)-20:]) {
		t.Errorf("the key shows in %s", text)
	}
	for _, bad := range []string{"", "x", vkey[1:], vkey[:len(vkey)-4], strings.Replace(vkey, "+", "-", 1), "a b" + vkey, strings.Replace(vkey, "+A", "+B", 1)} {
		if _, err := ledger.ParseVerifier(bad); !errors.Is(err, ledger.ErrFormat) {
			t.Errorf("ParseVerifier(%q): %v", bad, err)
		}
	}
	for _, bad := range []string{"", vkey, skey[1:], skey[:len(skey)-4], strings.Replace(skey, origin, "x", 1)} {
		_, err := ledger.ParseSigner(bad)
		checkIs(t, err, ledger.ErrFormat)
		if len(bad) > 40 && strings.Contains(err.Error(), bad[30:40]) {
			t.Errorf("the error shows the key: %v", err)
		}
	}
	_, _, err = ledger.GenerateKey("two words")
	checkIs(t, err, ledger.ErrFormat)
	_, err = ledger.NewSigner(origin, nil)
	checkIs(t, err, ledger.ErrFormat)
}

func TestTreeAppendAllocatesNothing(t *testing.T) {
	var tr ledger.Tree
	line := make([]byte, 330)
	if n := testing.AllocsPerRun(100, func() { tr.Push(line) }); n != 0 {
		t.Errorf("a leaf allocates %v times", n)
	}
}
