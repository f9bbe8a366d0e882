package ratelimit_test

import (
	"context"
	"testing"
	"time"

	"github.com/redoubt-go/redoubt/ratelimit"
)

// plenty is a limit that these benchmarks do not reach. The first event uses up
// little.
var (
	plenty = ratelimit.PerSecond(1e9).WithBurst(1e15)
	little = ratelimit.Per(1, 100*time.Hour)
)

// benchmark times one call of f on one goroutine.
func benchmark(b *testing.B, f func()) {
	b.ReportAllocs()
	for b.Loop() {
		f()
	}
}

// parallel times calls of f on all processors.
func parallel(b *testing.B, f func()) {
	b.ReportAllocs()
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			f()
		}
	})
}

func BenchmarkAllowHit(b *testing.B) {
	lim := ratelimit.New(plenty)
	benchmark(b, func() { lim.Allow() })
}

func BenchmarkAllowHitParallel(b *testing.B) {
	lim := ratelimit.New(plenty)
	parallel(b, func() { lim.Allow() })
}

func BenchmarkAllowHitTwoLimits(b *testing.B) {
	lim := ratelimit.New(plenty, plenty)
	benchmark(b, func() { lim.Allow() })
}

func BenchmarkAllowDeny(b *testing.B) {
	lim := ratelimit.New(little)
	benchmark(b, func() { lim.Allow() })
}

func BenchmarkAllowDenyParallel(b *testing.B) {
	lim := ratelimit.New(little)
	parallel(b, func() { lim.Allow() })
}

func BenchmarkTake(b *testing.B) {
	lim := ratelimit.New(plenty)
	benchmark(b, func() { lim.Take(1) })
}

func BenchmarkWaitReady(b *testing.B) {
	lim, ctx := ratelimit.New(plenty), context.Background()
	benchmark(b, func() { _ = lim.Wait(ctx) })
}

// BenchmarkWaitQueued times a turn in a queue whose turns come faster than they
// can be taken: the hand-over itself.
func BenchmarkWaitQueued(b *testing.B) {
	lim, ctx := ratelimit.New(ratelimit.PerSecond(2e6).WithBurst(1)), context.Background()
	b.SetParallelism(8)
	parallel(b, func() { _ = lim.Wait(ctx) })
}
