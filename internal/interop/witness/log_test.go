package witness_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/redoubt-go/redoubt/audit"
	"github.com/redoubt-go/redoubt/audit/ledger"
	"github.com/redoubt-go/redoubt/audit/ledger/tiles"
)

const origin = "example.com/interop"

// A testLog is a signed log and its export.
type testLog struct {
	*ledger.Ledger
	dir, public string
	vkey        string
	signer      *ledger.Signer
}

func newLog(t *testing.T) *testLog {
	t.Helper()
	skey, vkey, err := ledger.GenerateKey(origin)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ledger.ParseSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	l := &testLog{dir: filepath.Join(root, "log"), public: filepath.Join(root, "public"), vkey: vkey, signer: signer}
	l.open(t)
	return l
}

// fork returns another log of the same key.
func (l *testLog) fork(t *testing.T) *testLog {
	t.Helper()
	other := &testLog{dir: t.TempDir(), vkey: l.vkey, signer: l.signer}
	other.open(t)
	return other
}

func (l *testLog) open(t *testing.T) {
	t.Helper()
	var err error
	l.Ledger, err = ledger.Open(context.Background(), l.dir, ledger.Config{
		Signer: l.signer, Sync: ledger.SyncNever, CheckpointDelay: -1, CheckpointEvery: -1, MaxSize: 1 << 20,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
}

// grow appends events up to size records, and returns a checkpoint of them.
func (l *testLog) grow(t *testing.T, size uint64) ledger.Checkpoint {
	t.Helper()
	for n := l.Head().Size; n < size; n = l.Head().Size { // new segments are records too
		events := make([]*audit.Event, min(500, (size-n+1)/2))
		for i := range events {
			events[i] = &audit.Event{ID: fmt.Sprint(n, i), Action: "test", Outcome: audit.Success}
		}
		if err := l.WriteEvents(context.Background(), events); err != nil {
			t.Fatal(err)
		}
	}
	cp, err := l.Checkpoint(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return cp
}

// export exports the log up to cp.
func (l *testLog) export(t *testing.T, cp ledger.Checkpoint) {
	t.Helper()
	if err := tiles.Export(context.Background(), os.DirFS(l.dir), cp, tiles.Dir(l.public)); err != nil {
		t.Fatal(err)
	}
}

// lines returns the lines of the log.
func (l *testLog) lines(t *testing.T) (lines [][]byte) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(l.dir, "*.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, bytes.Split(bytes.TrimSuffix(data, []byte("\n")), []byte("\n"))...)
	}
	return lines
}
