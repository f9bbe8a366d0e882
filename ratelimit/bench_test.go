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

func BenchmarkReserveCancel(b *testing.B) {
	lim := ratelimit.New(plenty)
	benchmark(b, func() { lim.Reserve(1).Cancel() })
}

// BenchmarkReserveCancelMany makes 16,000 reservations and cancels them in
// order, in reverse, or at random. It reports the time of each.
func BenchmarkReserveCancelMany(b *testing.B) {
	const n = 16_000
	for name, order := range map[string]func(i int) int{
		"in order": func(i int) int { return i },
		"reverse":  func(i int) int { return n - 1 - i },
		"random":   func(i int) int { return i * 7919 % n },
	} {
		b.Run(name, func(b *testing.B) {
			var made, cancelled time.Duration
			for b.Loop() {
				lim := ratelimit.New(little)
				rs := make([]*ratelimit.Reservation, n)
				start := time.Now()
				for i := range rs {
					rs[i] = lim.Reserve(1)
				}
				half := time.Now()
				for i := range rs {
					rs[order(i)].Cancel()
				}
				made, cancelled = made+half.Sub(start), cancelled+time.Since(half)
			}
			b.ReportMetric(float64(made)/float64(b.N)/n, "ns/Reserve")
			b.ReportMetric(float64(cancelled)/float64(b.N)/n, "ns/Cancel")
		})
	}
}
