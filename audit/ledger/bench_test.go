package ledger_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"os"
	"sync"
	"testing"

	"github.com/redoubt-go/redoubt/audit"
	"github.com/redoubt-go/redoubt/audit/ledger"
)

// An event per commit without syncs: encoding, chain, tree, two stats and a
// write.
func BenchmarkEmitFile(b *testing.B) {
	l := open(b, b.TempDir(), never)
	b.ReportAllocs()
	for b.Loop() {
		write(b, l, "id")
	}
}

// Synced events from a single goroutine, and from 64 goroutines that share
// commits.
func BenchmarkDurable(b *testing.B) {
	for name, workers := range map[string]int{"g=1": 1, "g=64": 64} {
		b.Run(name, func(b *testing.B) {
			l := open(b, b.TempDir(), ledger.Config{})
			var wg sync.WaitGroup
			for w := range workers {
				wg.Go(func() {
					for range (b.N + w) / workers {
						if err := l.WriteEvents(context.Background(), []*audit.Event{event("id")}); err != nil {
							b.Error(err)
						}
					}
				})
			}
			wg.Wait()
		})
	}
}

// Verify of 10,000 records in cached files.
func BenchmarkVerify(b *testing.B) {
	dir := b.TempDir()
	l := open(b, dir, never)
	events := make([]*audit.Event, 10_000)
	for i := range events {
		events[i] = event("a typical identifier of an event")
	}
	if err := l.WriteEvents(context.Background(), events); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(read(b, dir))))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ledger.Verify(context.Background(), os.DirFS(dir), ledger.VerifyConfig{}); err != nil {
			b.Fatal(err)
		}
	}
}

// A leaf of 330 bytes in a growing tree, and the hash of the leaf alone. Rows
// for other libraries are in internal/bench/audit.
func BenchmarkTreeAppend(b *testing.B) {
	line := bytes.Repeat([]byte("x"), 330)
	b.Run("impl=redoubt", func(b *testing.B) {
		var t ledger.Tree
		b.ReportAllocs()
		for b.Loop() {
			t.Push(line)
		}
	})
	b.Run("impl=sha256-only", func(b *testing.B) {
		for b.Loop() {
			sha256.Sum256(line)
		}
	})
}
