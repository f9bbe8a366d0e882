package breaker_test

import (
	"context"
	"testing"

	"github.com/redoubt-go/redoubt/breaker"
)

func work(context.Context) (int, error) { return 1, nil }

// BenchmarkClosed is one successful call through a closed breaker.
func BenchmarkClosed(b *testing.B) {
	br := breaker.New(breaker.Config{})
	ctx := context.Background()
	b.ReportAllocs()
	for b.Loop() {
		breaker.Do(ctx, br, work)
	}
}

// BenchmarkClosedSlowCall is the same with running calls tracked.
func BenchmarkClosedSlowCall(b *testing.B) {
	br := breaker.New(breaker.Config{SlowCall: 1e9})
	ctx := context.Background()
	b.ReportAllocs()
	for b.Loop() {
		breaker.Do(ctx, br, work)
	}
}

// BenchmarkClosedParallel is BenchmarkClosed on all processors at once.
func BenchmarkClosedParallel(b *testing.B) {
	br := breaker.New(breaker.Config{})
	ctx := context.Background()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			breaker.Do(ctx, br, work)
		}
	})
}

// BenchmarkMixedParallel has one failure in 64 calls.
func BenchmarkMixedParallel(b *testing.B) {
	br := breaker.New(breaker.Config{})
	ctx := context.Background()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			breaker.Do(ctx, br, func(context.Context) (int, error) {
				if i%64 == 0 {
					return 0, errDown
				}
				return 1, nil
			})
		}
	})
}

// BenchmarkOpen is one refusal.
func BenchmarkOpen(b *testing.B) {
	br := breaker.New(breaker.Config{})
	br.Trip(1e15, nil)
	ctx := context.Background()
	b.ReportAllocs()
	for b.Loop() {
		breaker.Do(ctx, br, work)
	}
}

// BenchmarkTwoStep is one successful call by Allow and Done.
func BenchmarkTwoStep(b *testing.B) {
	br := breaker.New(breaker.Config{})
	ctx := context.Background()
	b.ReportAllocs()
	for b.Loop() {
		c, _ := br.Allow(ctx)
		c.Done(nil)
	}
}

// BenchmarkNew is the construction of a breaker.
func BenchmarkNew(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		breaker.New(breaker.Config{})
	}
}
