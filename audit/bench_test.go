package audit_test

import (
	"context"
	"log/slog"
	"testing"

	"github.com/redoubt-go/redoubt/audit"
)

// discard returns a sink that encodes events and drops them.
func discard() audit.Sink {
	buf := make([]byte, 0, 4096)
	return audit.SinkFunc(func(_ context.Context, events []*audit.Event) error {
		for _, e := range events {
			buf = e.AppendJSON(buf[:0])
		}
		return nil
	})
}

// An event with two attributes, through Record and the encoder, without a
// timer.
func BenchmarkEmitDiscard(b *testing.B) {
	log := audit.New(audit.Config{Sink: discard(), Timeout: -1})
	ctx := alice()
	e := audit.Event{
		Action: "deploy.delete", Outcome: audit.Success, Target: audit.Target{Type: "deploy", ID: "web"},
		Attrs: []slog.Attr{slog.Int("replicas", 3), slog.String("region", "eu-1")},
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := log.Record(ctx, e); err != nil {
			b.Fatal(err)
		}
	}
}

// A recorded read of a sensitive field.
func BenchmarkFieldGet(b *testing.B) {
	key := audit.Attribute[string]{Name: "key", Sensitive: true}
	f, _ := key.Load(audit.New(audit.Config{Sink: discard(), Timeout: -1}).Object("user", "u-1"), "hunter2")
	ctx := alice()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := f.Get(ctx); err != nil {
			b.Fatal(err)
		}
	}
}
