package redoubtnats_test

import (
	"context"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/redoubt-go/redoubt/audit"
	"github.com/redoubt-go/redoubt/audit/ledger"
	redoubtnats "github.com/redoubt-go/redoubt/contrib/nats"
	"github.com/redoubt-go/redoubt/contrib/nats/natstest"
)

// BenchmarkPublishers measures 64 publishers, each with an event at a time. In
// the rows with fsync, each event is on disk when the call returns.
func BenchmarkPublishers(b *testing.B) {
	write := func(b *testing.B, sink audit.Sink) {
		b.ReportAllocs()
		var next atomic.Int64
		var all sync.WaitGroup
		b.ResetTimer()
		for range 64 {
			all.Go(func() {
				for {
					n := next.Add(1)
					if n > int64(b.N) {
						return
					}
					if err := sink.WriteEvents(context.Background(), events(strconv.FormatInt(n, 36))); err != nil {
						b.Error(err)
						return
					}
				}
			})
		}
		all.Wait()
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
	}
	b.Run("impl=ledger-fsync", func(b *testing.B) {
		led, err := ledger.Open(b.Context(), b.TempDir(), ledger.Config{})
		must(b, err)
		defer led.Close()
		write(b, led)
	})
	for name, tt := range map[string]struct {
		replicas  int
		jetStream string
	}{
		"impl=sink-1":       {1, ""},
		"impl=sink-1-fsync": {1, "sync_interval: always"},
		"impl=sink-3":       {3, ""},
		"impl=sink-3-fsync": {3, "sync_interval: always"},
	} {
		b.Run(name, func(b *testing.B) {
			c := natstest.StartCluster(b, tt.replicas, natstest.Config{JetStream: tt.jetStream})
			js := natstest.JetStream(b, natstest.Connect(b, c.URLs()))
			config := redoubtnats.AuditStream("AUDIT", "audit.>")
			config.Replicas = tt.replicas
			_, err := js.CreateStream(patient(b), config)
			must(b, err)
			s := sinkConfig(js)
			s.Replicas = tt.replicas
			write(b, openSink(b, s))
		})
	}
}
