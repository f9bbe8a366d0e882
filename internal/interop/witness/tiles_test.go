package witness_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"filippo.io/torchwood"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/tessera/api"
	"github.com/transparency-dev/tessera/client"
	"github.com/transparency-dev/tessera/fsck"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/redoubt-go/redoubt/audit/ledger"
	"github.com/redoubt-go/redoubt/audit/ledger/tiles"
)

var long = flag.Bool("long", false, "also export logs with more levels of tiles")

// sizes returns the sizes of logs: about tiles, levels and powers of two. A
// checkpoint is a record too, so the logs cannot be the same log.
func sizes() []uint64 {
	s := []uint64{3, 255, 256, 257, 511, 512, 1000}
	if *long {
		s = append(s, 65_535, 65_536, 65_537, 70_000)
	}
	return s
}

// exported returns a log of an exact size, which was exported twice.
func exported(t *testing.T, size uint64) (l *testLog, older ledger.Checkpoint) {
	t.Helper()
	l = newLog(t)
	older = l.grow(t, max(2, size/3))
	l.export(t, older)
	cp := l.grow(t, size)
	if cp.Size != size {
		t.Fatalf("checkpoint of %d records, want %d", cp.Size, size)
	}
	l.export(t, cp)
	return l, older
}

// TestTorchwoodReadsTiles reads every entry over HTTP, and verifies it in the
// tree, with golang.org/x/mod below.
func TestTorchwoodReadsTiles(t *testing.T) {
	for _, size := range sizes() {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			l, _ := exported(t, size)
			torchwoodReads(t, l, int64(size))
		})
	}
}

func torchwoodReads(t *testing.T, l *testLog, size int64) {
	ctx := context.Background()
	server := httptest.NewServer(http.FileServer(http.Dir(l.public)))
	defer server.Close()
	policy, err := torchwood.ParsePolicy([]byte("log " + l.vkey + "\nquorum none\n"))
	if err != nil {
		t.Fatal(err)
	}
	fetcher, err := torchwood.NewTileFetcher(server.URL, torchwood.WithConcurrencyLimit(8))
	if err != nil {
		t.Fatal(err)
	}
	signed, err := fetcher.ReadEndpoint(ctx, "checkpoint")
	if err != nil {
		t.Fatal(err)
	}
	cp, _, err := torchwood.VerifyCheckpoint(signed, policy)
	if err != nil || cp.N != size {
		t.Fatal(cp, err)
	}
	c, err := torchwood.NewClient(fetcher)
	if err != nil {
		t.Fatal(err)
	}
	lines := l.lines(t)
	n := int64(0)
	for i, entry := range c.AllEntries(ctx, cp.Tree, 0) {
		if i != n || !bytes.Equal(entry, lines[i]) {
			t.Fatalf("entry %d is %.40s", i, entry)
		}
		n++
	}
	if c.Err() != nil || n != cp.N {
		t.Fatalf("%d entries, %v", n, c.Err())
	}
	for seq := int64(0); seq < cp.N; seq += max(1, cp.N/23) {
		p, err := tiles.Prove(os.DirFS(l.public), uint64(seq))
		if err != nil {
			t.Fatal(err)
		}
		text, err := p.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		if err := torchwood.VerifyProof(policy, tlog.RecordHash(lines[seq]), text); err != nil {
			t.Errorf("record %d: %v", seq, err)
		}
		_, want, err := c.Entry(ctx, cp.Tree, seq)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.EqualFunc(p.Hashes, want, func(a ledger.Hash, b tlog.Hash) bool { return tlog.Hash(a) == b }) {
			t.Errorf("record %d: another proof than x/mod", seq)
		}
	}
}

// bundleHashes returns the leaf hashes of an entry bundle.
func bundleHashes(data []byte) (hashes [][]byte, err error) {
	var b api.EntryBundle
	if err := b.UnmarshalText(data); err != nil {
		return nil, err
	}
	for _, e := range b.Entries {
		hashes = append(hashes, rfc6962.DefaultHasher.HashLeaf(e))
	}
	return hashes, nil
}

// TestTesseraReadsTiles checks all files of exports with the checker of
// Tessera, and builds proofs with its client.
func TestTesseraReadsTiles(t *testing.T) {
	for _, size := range sizes() {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			l, older := exported(t, size)
			tesseraReads(t, l, older, size)
		})
	}
}

func tesseraReads(t *testing.T, l *testLog, older ledger.Checkpoint, size uint64) {
	ctx := context.Background()
	verifier, err := note.NewVerifier(l.vkey)
	if err != nil {
		t.Fatal(err)
	}
	files := client.FileFetcher{Root: l.public}
	if err := fsck.New(origin, verifier, files, bundleHashes, fsck.Opts{N: 2}).Check(ctx); err != nil {
		t.Fatal(err)
	}
	cp, _, _, err := client.FetchCheckpoint(ctx, files.ReadCheckpoint, verifier, origin)
	if err != nil || cp.Size != size {
		t.Fatal(cp, err)
	}
	builder, err := client.NewProofBuilder(ctx, cp.Size, files.ReadTile)
	if err != nil {
		t.Fatal(err)
	}
	lines := l.lines(t)
	for seq := uint64(0); seq < cp.Size; seq += max(1, cp.Size/23) {
		p, err := builder.InclusionProof(ctx, seq)
		if err != nil {
			t.Fatal(err)
		}
		leaf := rfc6962.DefaultHasher.HashLeaf(lines[seq])
		if err := proof.VerifyInclusion(rfc6962.DefaultHasher, seq, cp.Size, leaf, p, cp.Hash); err != nil {
			t.Errorf("record %d: %v", seq, err)
		}
	}
	p, err := builder.ConsistencyProof(ctx, older.Size, cp.Size)
	if err != nil {
		t.Fatal(err)
	}
	if err := proof.VerifyConsistency(rfc6962.DefaultHasher, older.Size, cp.Size, p, older.Root[:], cp.Hash); err != nil {
		t.Error(err)
	}
}

// TestTesseraFindsDamage shows that the check above bites.
func TestTesseraFindsDamage(t *testing.T) {
	l := newLog(t)
	l.export(t, l.grow(t, 300))
	verifier, err := note.NewVerifier(l.vkey)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"tile/0/000", "tile/entries/000"} {
		path := filepath.Join(l.public, name)
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		bad := bytes.Clone(data)
		bad[100] ^= 1
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := fsck.New(origin, verifier, client.FileFetcher{Root: l.public}, bundleHashes, fsck.Opts{N: 2}).Check(context.Background()); err == nil {
			t.Errorf("%s is damaged, and Tessera finds nothing", name)
		}
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
