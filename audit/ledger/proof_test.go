package ledger_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/redoubt-go/redoubt/audit"
	"github.com/redoubt-go/redoubt/audit/ledger"
)

// big returns a sealed log in several segments, and its lines.
func big(t testing.TB, s *ledger.Signer, records int) (fstest.MapFS, [][]byte) {
	t.Helper()
	dir := t.TempDir()
	l := open(t, dir, sealing(s))
	for i := range records {
		write(t, l, fmt.Sprintf("e%d", i))
		if i%13 == 12 {
			if err := l.Rotate(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = l.Close()
	fsys := contents(t, dir)
	var lines [][]byte
	names, _ := fs.Glob(fsys, "*.jsonl")
	for _, name := range names {
		lines = append(lines, split(fsys[name].Data)...)
	}
	return fsys, lines
}

func TestProveEveryRecord(t *testing.T) {
	s := signer(t, origin, 1)
	fsys, lines := big(t, s, 40)
	size := uint64(len(lines) - 1) // the last line is the checkpoint
	for seq := range size {
		p, err := ledger.Prove(fsys, seq)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := p.MarshalText()
		var back ledger.Proof
		if err := back.UnmarshalText(text); err != nil || cmp.Diff(*p, back) != "" {
			t.Fatalf("record %d: %v\n%s", seq, err, cmp.Diff(*p, back))
		}
		cp, err := back.Verify(s.Verifier())
		if err != nil || cp.Size != size || !bytes.Equal(back.Line, lines[seq]) {
			t.Fatalf("record %d: %v, line %s", seq, err, back.Line)
		}
		checkEqual(t, p.Hashes, naivePath(seq, lines[:size]))
	}
	_, err := ledger.Prove(fsys, size)
	checkIs(t, err, fs.ErrNotExist)
}

// naivePath is PATH(m, D[n]) of RFC 6962, section 2.1.1.
func naivePath(m uint64, d [][]byte) []ledger.Hash {
	if len(d) == 1 {
		return nil
	}
	k := uint64(1)
	for k*2 < uint64(len(d)) {
		k *= 2
	}
	if m < k {
		return append(naivePath(m, d[:k]), mth(d[k:]))
	}
	return append(naivePath(m-k, d[k:]), mth(d[:k]))
}

func TestProveAfterPruning(t *testing.T) {
	s := signer(t, origin, 1)
	fsys, lines := big(t, s, 60)
	size := uint64(len(lines) - 1)
	names, _ := fs.Glob(fsys, "*.jsonl")
	for _, name := range names[:len(names)-1] {
		delete(fsys, name)
		var first uint64
		_, _ = fmt.Sscanf(names[slices.Index(names, name)+1], "%d", &first)
		for seq := range size {
			p, err := ledger.Prove(fsys, seq)
			if seq < first {
				checkIs(t, err, fs.ErrNotExist)
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			if _, err := p.Verify(s.Verifier()); err != nil {
				t.Fatalf("record %d of a log from %d on: %v", seq, first, err)
			}
		}
		for from := max(first, 1); from <= size; from++ {
			proof, err := ledger.ProveConsistency(fsys, from, size)
			if err != nil {
				t.Fatal(err)
			}
			older, newer := headOf(lines[:from]), headOf(lines[:size])
			if err := ledger.CheckConsistency(older, newer, proof); err != nil {
				t.Fatalf("%d of a log from %d on: %v", from, first, err)
			}
		}
	}
	_, err := ledger.ProveConsistency(fsys, 1, size)
	checkIs(t, err, fs.ErrNotExist)
}

func headOf(lines [][]byte) ledger.Head {
	return ledger.Head{Size: uint64(len(lines)), Root: mth(lines)}
}

func TestProofsThatMustNotHold(t *testing.T) {
	s := signer(t, origin, 1)
	fsys, _ := big(t, s, 20)
	good, err := ledger.Prove(fsys, 7)
	if err != nil {
		t.Fatal(err)
	}
	empty := sha256.Sum256(nil)
	for name, change := range map[string]func(p *ledger.Proof){
		"index":       func(p *ledger.Proof) { p.Index++ },
		"index = n":   func(p *ledger.Proof) { p.Index = 24 },
		"huge index":  func(p *ledger.Proof) { p.Index = 1<<64 - 1 },
		"line":        func(p *ledger.Proof) { p.Line = forge(p.Line) },
		"no hashes":   func(p *ledger.Proof) { p.Hashes = nil },
		"missing":     func(p *ledger.Proof) { p.Hashes = p.Hashes[1:] },
		"cut":         func(p *ledger.Proof) { p.Hashes = p.Hashes[:len(p.Hashes)-1] },
		"extra":       func(p *ledger.Proof) { p.Hashes = append(p.Hashes, ledger.Hash{}) },
		"extra first": func(p *ledger.Proof) { p.Hashes = slices.Insert(p.Hashes, 0, empty) },
		"swapped":     func(p *ledger.Proof) { p.Hashes[0], p.Hashes[1] = p.Hashes[1], p.Hashes[0] },
		"very many":   func(p *ledger.Proof) { p.Hashes = make([]ledger.Hash, 1000) },
		"other root":  func(p *ledger.Proof) { p.Note = sizeZero(t, s) },
	} {
		p := *good
		p.Hashes = slices.Clone(good.Hashes)
		if change(&p); name == "other root" {
			p.Index = 0
		}
		if _, err := p.Verify(s.Verifier()); !errors.Is(err, ledger.ErrTampered) {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err = good.Verify(signer(t, origin, 2).Verifier())
	checkIs(t, err, ledger.ErrTampered)
	_, err = good.Verify(signer(t, "example.com/other", 1).Verifier())
	checkIs(t, err, ledger.ErrTampered)
	text, _ := good.MarshalText()
	for name, bad := range map[string][]byte{
		"empty":         nil,
		"magic":         bytes.Replace(text, []byte("@v1"), []byte("@v2"), 1),
		"no extra":      bytes.Replace(text, []byte("extra "), []byte("extro "), 1),
		"bad extra":     bytes.Replace(text, []byte("extra "), []byte("extra !"), 1),
		"zero in front": bytes.Replace(text, []byte("index 7"), []byte("index 07"), 1),
		"negative":      bytes.Replace(text, []byte("index 7"), []byte("index -7"), 1),
		"bad hash":      bytes.Replace(text, []byte("index 7\n"), []byte("index 7\nxx\n"), 1),
		"no note":       text[:bytes.Index(text, []byte("\n\n"))],
		"too long":      append(bytes.Clone(text), make([]byte, 3<<20)...),
	} {
		var p ledger.Proof
		if err := p.UnmarshalText(bad); !errors.Is(err, ledger.ErrFormat) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// sizeZero is a signed checkpoint over one record, the header of another log.
func sizeZero(t *testing.T, s *ledger.Signer) string {
	t.Helper()
	return checkpoint(t, open(t, t.TempDir(), sealing(s))).Note
}

func TestProveRefuses(t *testing.T) {
	s := signer(t, origin, 1)
	_, err := ledger.Prove(fstest.MapFS{}, 0)
	checkIs(t, err, fs.ErrNotExist)
	_, err = ledger.Prove(fsOf(join(sample(t, 2))), 0)
	checkIs(t, err, fs.ErrNotExist)
	_, err = ledger.Prove(fsOf([]byte("x\n")), 0)
	checkIs(t, err, ledger.ErrFormat)
	lines := sealed(t, s)
	lines[3] = forge(lines[3])
	_, err = ledger.Prove(fsOf(join(lines)), 1)
	checkIs(t, err, ledger.ErrTampered)
	_, err = ledger.Prove(fsOf(join(lines[1:])), 1)
	checkIs(t, err, ledger.ErrFormat)
	for _, sizes := range [][2]uint64{{0, 1}, {2, 1}} {
		_, err = ledger.ProveConsistency(fsOf(join(lines)), sizes[0], sizes[1])
		checkIs(t, err, ledger.ErrFormat)
	}
	_, err = ledger.ProveConsistency(fsOf(join(lines)), 1, 99)
	checkIs(t, err, fs.ErrNotExist)
	_, err = ledger.ProveConsistency(fsOf(nil), 1, 1)
	checkIs(t, err, fs.ErrNotExist)
}

// Every pair of sizes up to 40 has a proof, and no proof is valid for another
// pair or after a change. Oracle: the tree hash of RFC 6962.
func TestPropertyConsistency(t *testing.T) {
	fsys, lines := big(t, signer(t, origin, 1), 35)
	heads := make([]ledger.Head, len(lines)+1)
	for i := range heads {
		heads[i] = headOf(lines[:i])
	}
	for to := 1; to <= min(40, len(lines)); to++ {
		for from := 1; from <= to; from++ {
			proof, err := ledger.ProveConsistency(fsys, uint64(from), uint64(to))
			if err != nil {
				t.Fatal(err)
			}
			if err := ledger.CheckConsistency(heads[from], heads[to], proof); err != nil {
				t.Fatalf("%d in %d: %v", from, to, err)
			}
			bad := []error{
				ledger.CheckConsistency(heads[from-1], heads[to], append(slices.Clone(proof), ledger.Hash{})),
				ledger.CheckConsistency(heads[from], heads[to], append(slices.Clone(proof), ledger.Hash{})),
				ledger.CheckConsistency(ledger.Head{Size: uint64(from)}, heads[to], proof),
				ledger.CheckConsistency(heads[from], ledger.Head{Size: uint64(to)}, proof),
			}
			if len(proof) > 0 {
				bad = append(bad, ledger.CheckConsistency(heads[from], heads[to], proof[1:]))
			}
			if from < to {
				bad = append(bad, ledger.CheckConsistency(heads[to], heads[from], proof))
			}
			for i, err := range bad {
				if !errors.Is(err, ledger.ErrTampered) {
					t.Fatalf("%d in %d: false proof %d holds", from, to, i)
				}
			}
		}
	}
	if err := ledger.CheckConsistency(heads[0], heads[9], nil); err != nil {
		t.Errorf("nothing comes before everything: %v", err)
	}
	checkIs(t, ledger.CheckConsistency(ledger.Head{}, heads[9], nil), ledger.ErrTampered)
}

// A live log is verified while it is written and rotated.
func TestVerifyWhileWriting(t *testing.T) {
	dir := t.TempDir()
	c := never
	c.MaxSize = 2000
	l := open(t, dir, c)
	done := make(chan error, 1)
	go func() {
		var err error
		for i := 0; i < 2000 && err == nil; i++ {
			err = l.WriteEvents(context.Background(), []*audit.Event{event("x"), event("y")})
		}
		done <- err
	}()
	for writing := true; writing; {
		select {
		case err := <-done:
			if writing = false; err != nil {
				t.Fatal(err)
			}
		default:
		}
		verifyOK(t, dir)
		for _, err := range ledger.Events(os.DirFS(dir), 0) {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
}
