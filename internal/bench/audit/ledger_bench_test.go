package audit_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/redoubt-go/redoubt/audit"
	"github.com/redoubt-go/redoubt/audit/ledger"
)

// The proof that a record of 2,000 is in the log. Redoubt reads the files,
// checks the form of every line and hashes it. Xmod-tlog hashes lines in
// memory. Xmod-tlog-stored has the hashes in memory before the measurement, as
// a server with a tile store has.
func BenchmarkProve(b *testing.B) {
	fsys, leaves, _, _ := log(b, 2000)
	size := int64(len(leaves))
	run(b, "redoubt", func() { must(ledger.Prove(fsys, 1000)) })
	run(b, "xmod-tlog", func() { must(tlog.ProveRecord(size, 1000, stored(b, leaves))) })
	read := stored(b, leaves)
	run(b, "xmod-tlog-stored", func() { must(tlog.ProveRecord(size, 1000, read)) })
}

// A checkpoint. Redoubt also appends an event and the checkpoint to the file,
// without a sync. Xmod-note only signs the text.
func BenchmarkCheckpoint(b *testing.B) {
	skey, _, err := ledger.GenerateKey("example.com/log")
	if err != nil {
		b.Fatal(err)
	}
	s := must(ledger.ParseSigner(skey))
	l := openLedger(b, ledger.Config{Sync: ledger.SyncNever, Signer: s, MaxSize: -1, CheckpointEvery: -1, CheckpointDelay: -1})
	run(b, "redoubt", func() {
		e := event()
		if err := l.WriteEvents(context.Background(), []*audit.Event{&e}); err != nil {
			b.Fatal(err)
		}
		must(l.Checkpoint(context.Background()))
	})
	theirs := must(note.NewSigner(skey))
	n := 0
	run(b, "xmod-note", func() {
		n++
		must(note.Sign(&note.Note{Text: "example.com/log\n" + strconv.Itoa(n) + "\n" + ledger.Hash{}.String() + "\n"}, theirs))
	})
}

// Open of a log of 20,000 records in a segment, which is checked line by line,
// and Verify of the same log. The bytes are the bytes of the log.
func BenchmarkOpen(b *testing.B) {
	dir := b.TempDir()
	c := ledger.Config{Sync: ledger.SyncNever, MaxSize: -1}
	l := must(ledger.Open(context.Background(), dir, c))
	recorder := audit.New(audit.Config{Sink: l})
	for range 20_000 {
		_ = recorder.Record(ctx, event())
	}
	_ = l.Close()
	size := int64(len(must(fs.ReadFile(os.DirFS(dir), "00000000000000000000.jsonl"))))
	for impl, f := range map[string]func() error{
		"redoubt": func() error { return must(ledger.Open(context.Background(), dir, c)).Close() },
		"redoubt-verify": func() error {
			_, err := ledger.Verify(context.Background(), os.DirFS(dir), ledger.VerifyConfig{})
			return err
		},
	} {
		b.Run("impl="+impl, func(b *testing.B) {
			b.SetBytes(size)
			b.ReportAllocs()
			for b.Loop() {
				if err := f(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// A synced event from a single goroutine, beside a plain write and fsync of the
// same number of bytes. They alternate, because the speed of a disk varies from
// second to second. The metric x-floor is the median of a ledger divided by the
// median of the floor.
func BenchmarkDurableTurns(b *testing.B) {
	l := openLedger(b, ledger.Config{MaxSize: -1})
	f := createFile(b)
	e := event()
	line := append((&e).AppendJSON(nil), '\n')
	var ours, floor []time.Duration
	timed := func(to *[]time.Duration, f func() error) {
		start := time.Now()
		if err := f(); err != nil {
			b.Fatal(err)
		}
		*to = append(*to, time.Since(start))
	}
	for b.Loop() {
		timed(&ours, func() error { e := event(); return l.WriteEvents(ctx, []*audit.Event{&e}) })
		timed(&floor, func() error { _, err := f.Write(line); return errors.Join(err, f.Sync()) })
	}
	slices.Sort(ours)
	slices.Sort(floor)
	b.ReportMetric(float64(ours[len(ours)/2])/float64(floor[len(floor)/2]), "x-floor")
}
