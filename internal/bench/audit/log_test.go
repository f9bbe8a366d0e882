package audit_test

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"testing"

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
