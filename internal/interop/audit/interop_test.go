package audit_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"testing"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/redoubt-go/redoubt/audit"
	"github.com/redoubt-go/redoubt/audit/ledger"
)

const origin = "example.com/bench"

// log writes n events in three segments and returns their lines, the header's
// and the checkpoints' included.
func log(t testing.TB, n int) (fsys fs.FS, lines [][]byte, skey, vkey string) {
	t.Helper()
	ctx := context.Background()
	skey, vkey, err := ledger.GenerateKey(origin)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ledger.ParseSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	l, err := ledger.Open(ctx, dir, ledger.Config{Signer: signer, Sync: ledger.SyncNever, CheckpointDelay: -1})
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		if i == n/3 || i == 2*n/3 {
			if err := l.Rotate(ctx); err != nil {
				t.Fatal(err)
			}
		}
		if err := l.WriteEvents(ctx, []*audit.Event{{ID: fmt.Sprint(i), Action: "a", Outcome: audit.Success}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	fsys = os.DirFS(dir)
	names, err := fs.Glob(fsys, "*.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		data, err := fs.ReadFile(fsys, name)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, bytes.Split(bytes.TrimSuffix(data, []byte("\n")), []byte("\n"))...)
	}
	return fsys, lines, skey, vkey
}

// stored is x/mod's tree over lines.
func stored(t testing.TB, lines [][]byte) tlog.HashReader {
	t.Helper()
	var hashes []tlog.Hash
	read := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(indexes))
		for i, x := range indexes {
			out[i] = hashes[x]
		}
		return out, nil
	})
	for i, line := range lines {
		hs, err := tlog.StoredHashes(int64(i), line, read)
		if err != nil {
			t.Fatal(err)
		}
		hashes = append(hashes, hs...)
	}
	return read
}

// Every checkpoint in the file is opened by x/mod/sumdb/note and holds the root
// that sumdb/tlog and transparency-dev/merkle compute from the lines before it.
func TestOurCheckpointsAreReadByOthers(t *testing.T) {
	_, lines, _, vkey := log(t, 40)
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		t.Fatal(err)
	}
	read := stored(t, lines)
	factory := compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}
	r := factory.NewEmptyRange(0)
	seen := 0
	for i, line := range lines {
		var own struct{ Type, Note string }
		if err := json.Unmarshal(line, &own); err != nil {
			t.Fatal(err)
		}
		if own.Type == "checkpoint" {
			seen++
			n, err := note.Open([]byte(own.Note), note.VerifierList(verifier))
			if err != nil {
				t.Fatal(err)
			}
			size, root := cutCheckpoint(t, n.Text)
			want, err := tlog.TreeHash(int64(i), read)
			if err != nil || size != int64(i) || root != want {
				t.Errorf("checkpoint of %d records with root %v, tlog has %d and %v (%v)", size, root, i, want, err)
			}
			if other, err := r.GetRootHash(nil); err != nil || !bytes.Equal(other, root[:]) {
				t.Errorf("checkpoint of %d records with root %v, merkle has %x (%v)", size, root, other, err)
			}
		}
		if err := r.Append(rfc6962.DefaultHasher.HashLeaf(line), nil); err != nil {
			t.Fatal(err)
		}
	}
	if seen != 4 {
		t.Errorf("%d checkpoints, want 4", seen)
	}
}

// cutCheckpoint takes size and root out of the text of a checkpoint.
func cutCheckpoint(t *testing.T, text string) (size int64, root tlog.Hash) {
	t.Helper()
	var name, hash string
	if _, err := fmt.Sscanf(text, "%s\n%d\n%s\n", &name, &size, &hash); err != nil || name != origin {
		t.Fatalf("checkpoint %q: %v", text, err)
	}
	root, err := tlog.ParseHash(hash)
	if err != nil {
		t.Fatal(err)
	}
	return size, root
}

// A checkpoint signed by x/mod/sumdb/note with our key is opened by us.
func TestTheirNotesAreReadByUs(t *testing.T) {
	_, lines, skey, vkey := log(t, 10)
	signer, err := note.NewSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	root, err := tlog.TreeHash(int64(len(lines)), stored(t, lines))
	if err != nil {
		t.Fatal(err)
	}
	signed, err := note.Sign(&note.Note{Text: fmt.Sprintf("%s\n%d\n%s\n", origin, len(lines), root)}, signer)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ledger.ParseVerifier(vkey)
	if err != nil {
		t.Fatal(err)
	}
	cp, err := ledger.ParseCheckpoint(string(signed), key)
	if err != nil || cp.Size != uint64(len(lines)) || tlog.Hash(cp.Root) != root {
		t.Errorf("parsed %+v, %v", cp, err)
	}
	theirs, vkey2, err := note.GenerateKey(nil, origin)
	if err != nil {
		t.Fatal(err)
	}
	s, err := ledger.ParseSigner(theirs)
	if err != nil || s.Verifier().String() != vkey2 {
		t.Errorf("key of x/mod: %v, %v", s, err)
	}
}

// Proofs go both ways: ours pass the checks of tlog and merkle, theirs pass
// ours.
func TestProofsBothWays(t *testing.T) {
	fsys, lines, _, vkey := log(t, 25)
	key, err := ledger.ParseVerifier(vkey)
	if err != nil {
		t.Fatal(err)
	}
	read := stored(t, lines)
	size := int64(len(lines) - 1) // the last checkpoint covers all lines before its own
	root, err := tlog.TreeHash(size, read)
	if err != nil {
		t.Fatal(err)
	}
	for i := range size {
		p, err := ledger.Prove(fsys, uint64(i))
		if err != nil {
			t.Fatal(err)
		}
		ours, raw := make(tlog.RecordProof, len(p.Hashes)), make([][]byte, len(p.Hashes))
		for j, h := range p.Hashes {
			ours[j], raw[j] = tlog.Hash(h), h[:]
		}
		if err := tlog.CheckRecord(ours, size, root, i, tlog.RecordHash(p.Line)); err != nil {
			t.Errorf("tlog on our proof of %d: %v", i, err)
		}
		leaf := rfc6962.DefaultHasher.HashLeaf(p.Line)
		if err := proof.VerifyInclusion(rfc6962.DefaultHasher, uint64(i), uint64(size), leaf, raw, root[:]); err != nil {
			t.Errorf("merkle on our proof of %d: %v", i, err)
		}
		theirs, err := tlog.ProveRecord(size, i, read)
		if err != nil {
			t.Fatal(err)
		}
		p.Hashes = p.Hashes[:0]
		for _, h := range theirs {
			p.Hashes = append(p.Hashes, ledger.Hash(h))
		}
		if _, err := p.Verify(key); err != nil {
			t.Errorf("our check on tlog's proof of %d: %v", i, err)
		}
	}
	for from := int64(1); from <= size; from++ {
		consistency(t, fsys, read, from, size, root)
	}
}

func consistency(t *testing.T, fsys fs.FS, read tlog.HashReader, from, size int64, root tlog.Hash) {
	t.Helper()
	older, err := tlog.TreeHash(from, read)
	if err != nil {
		t.Fatal(err)
	}
	ours, err := ledger.ProveConsistency(fsys, uint64(from), uint64(size))
	if err != nil {
		t.Fatal(err)
	}
	raw := make([][]byte, len(ours))
	for i, h := range ours {
		raw[i] = h[:]
	}
	if err := proof.VerifyConsistency(rfc6962.DefaultHasher, uint64(from), uint64(size), raw, older[:], root[:]); err != nil {
		t.Errorf("merkle on our proof from %d: %v", from, err)
	}
	p, err := tlog.ProveTree(size, from, read)
	if err != nil {
		t.Fatal(err)
	}
	theirs := make([]ledger.Hash, len(p))
	for i, h := range p {
		theirs[i] = ledger.Hash(h)
	}
	a, b := ledger.Head{Size: uint64(from), Root: ledger.Hash(older)}, ledger.Head{Size: uint64(size), Root: ledger.Hash(root)}
	if err := ledger.CheckConsistency(a, b, theirs); err != nil {
		t.Errorf("our check on tlog's proof from %d: %v", from, err)
	}
}
