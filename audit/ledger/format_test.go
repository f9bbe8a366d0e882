package ledger_test

import (
	"bytes"
	"context"
	"flag"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/redoubt-go/redoubt/audit"
	"github.com/redoubt-go/redoubt/audit/ledger"
)

// The directory testdata/v2 contains a log in version 2 of the format, its mark
// and a proof. It has two segments; an older segment was removed. The key
// changed in the first of them. Never create it again: a test that fails shows
// that older logs cannot be read any more.
const (
	v2       = "testdata/v2"
	v2Origin = "example.com/format"
	v2Root   = "C8sb/L2hJ2yu6gTo1uPDhPn+AmlwcQV0CknikiuYQqo="
)

var createV2 = flag.Bool("create-v2", false, "create "+v2+" if it does not exist")

func v2Keys(t *testing.T) (older, newer *ledger.Signer) {
	t.Helper()
	return signer(t, v2Origin, 1), signer(t, v2Origin, 2)
}

// The log that is written today has the lines of the log of version 2, key by
// key. -create-v2 writes it in the place of a missing log of version 2.
func TestFormatV2IsWritten(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "v2")
	if *createV2 {
		dir = v2
	}
	writeV2(t, dir)
	names, err := filepath.Glob(filepath.Join(v2, "*.jsonl"))
	must(t, err)
	if len(names) == 0 {
		t.Fatalf("no segment in %s", v2)
	}
	for _, name := range names {
		checkEqual(t, shapes(t, filepath.Join(dir, filepath.Base(name))), shapes(t, name))
	}
	if cmp.Equal(shapes(t, names[0]), shapes(t, names[1])) {
		t.Error("the comparison sees no difference between two segments")
	}
}

// shapes returns the keys of each line of a segment, in their order.
func shapes(t *testing.T, name string) (lines [][]string) {
	t.Helper()
	text, err := os.ReadFile(name)
	must(t, err)
	for line := range bytes.Lines(text) {
		var keys []string
		for _, m := range regexp.MustCompile(`"([a-z_]+)":`).FindAllSubmatch(line, -1) {
			keys = append(keys, string(m[1]))
		}
		lines = append(lines, keys)
	}
	return lines
}

// writeV2 writes a log with a pruned segment, a change of keys, a recovered
// line and a proof into dir, which must not exist.
func writeV2(t *testing.T, dir string) {
	t.Helper()
	if _, err := os.Stat(dir); err == nil {
		t.Fatal(dir + " exists")
	}
	older, newer := v2Keys(t)
	c := ledger.Config{Signer: older, Retain: 2, CheckpointEvery: -1, CheckpointDelay: -1}
	l := open(t, dir, c)
	v2Write(t, l, "e-1", "e-2")
	must(t, l.Rotate(context.Background()))
	v2Write(t, l, "e-3", "e-4")
	must(t, l.Close())
	f, err := os.OpenFile(filepath.Join(dir, "00000000000000000005.jsonl"), os.O_WRONLY|os.O_APPEND, 0)
	must(t, err)
	_, err = f.WriteString(`{"seq":8,"pr`) // a crash
	must(t, err)
	must(t, f.Close())
	c.Signer, c.Previous = newer, older
	l = open(t, dir, c)
	recovered := l
	v2Write(t, l, "e-5")
	must(t, l.Rotate(context.Background()))
	v2Write(t, l, "e-6", "e-7")
	must(t, l.Close())
	p, err := ledger.Prove(os.DirFS(dir), 11)
	if err != nil {
		t.Fatal(err)
	}
	text, _ := p.MarshalText()
	must(t, os.WriteFile(filepath.Join(dir, "proof.txt"), text, 0o600))
	torn, _ := recovered.Recovered()
	must(t, os.Remove(filepath.Join(dir, torn.Saved)))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func v2Write(t *testing.T, l *ledger.Ledger, ids ...string) {
	t.Helper()
	for _, id := range ids {
		err := l.WriteEvents(context.Background(), []*audit.Event{{
			Time: time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC), ID: id, Action: "invoice.pay", Outcome: audit.Success, Actor: audit.Actor{ID: "alice", Type: "user"},
			Target: audit.Target{Type: "invoice", ID: "i-" + id}, Reason: "due\n\u202e", RequestID: "r-1",
			Changes: []audit.Change{{Field: "card", New: "***", Sensitive: true}},
			Attrs:   []slog.Attr{slog.Int("cents", 1250), slog.Group("net", "port", 443, "tls", true), slog.Float64("rate", 0.5)},
		}})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestFormatV2IsReadable(t *testing.T) {
	older, newer := v2Keys(t)
	keys := []*ledger.Verifier{older.Verifier(), newer.Verifier()}
	fsys := os.DirFS(v2)
	r, err := ledger.Verify(context.Background(), fsys, ledger.VerifyConfig{Keys: keys, MaxUnsealed: -1, Pruned: true})
	if err != nil {
		t.Fatal(err)
	}
	var root ledger.Hash
	must(t, root.UnmarshalText([]byte(v2Root)))
	want := &ledger.Report{Origin: v2Origin, First: 5, Records: 12, Root: root, Sealed: 17}
	r.Backward, r.BackwardAt = 0, 0 // the clock of the writer
	checkEqual(t, r, want)
	checkEqual(t, ids(t, fsys), []string{"e-3", "e-4", "e-5", "e-6", "e-7"})
	// Oracle of this test: without the new key, or with the old key alone, the
	// log is not accepted.
	_, err = ledger.Verify(context.Background(), fsys, ledger.VerifyConfig{Keys: keys[:1], MaxUnsealed: -1, Pruned: true})
	checkIs(t, err, ledger.ErrTampered)
	_, err = ledger.Verify(context.Background(), fsys, ledger.VerifyConfig{})
	checkIs(t, err, ledger.ErrTampered)
}

func TestFormatV2Proof(t *testing.T) {
	_, newer := v2Keys(t)
	text, err := os.ReadFile(filepath.Join(v2, "proof.txt"))
	if err != nil {
		t.Fatal(err)
	}
	var p ledger.Proof
	if err := p.UnmarshalText(text); err != nil {
		t.Fatal(err)
	}
	cp, err := p.Verify(newer.Verifier())
	if err != nil || cp.Size != 16 || p.Index != 11 || !strings.Contains(string(p.Line), `"id":"e-5"`) {
		t.Errorf("proof of record %d, %s, in %d records: %v", p.Index, p.Line, cp.Size, err)
	}
	if again, err := p.MarshalText(); err != nil || !bytes.Equal(again, text) {
		t.Errorf("the proof is written as %s, %v, want %s", again, err, text)
	}
	fresh, err := ledger.Prove(os.DirFS(v2), p.Index)
	if err != nil {
		t.Fatal(err)
	}
	checkEqual(t, fresh, &p)
}

// A log of version 2 can be opened and continued.
func TestFormatV2IsContinued(t *testing.T) {
	older, newer := v2Keys(t)
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(v2)); err != nil {
		t.Fatal(err)
	}
	l := open(t, dir, ledger.Config{Signer: newer})
	write(t, l, "e-8")
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	keys := []*ledger.Verifier{older.Verifier(), newer.Verifier()}
	r, err := ledger.Verify(context.Background(), os.DirFS(dir), ledger.VerifyConfig{Keys: keys, MaxUnsealed: -1, Pruned: true})
	if err != nil || r.First+r.Records != 19 {
		t.Errorf("%v, report %+v", err, r)
	}
}
