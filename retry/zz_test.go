package retry_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/redoubt-go/redoubt/retry"
)

var sink time.Duration

func BenchmarkZZ(b *testing.B) {
	var x retry.Backoff = retry.Exponential{Base: 500 * time.Millisecond, Max: time.Hour, Factor: 1.5, Jitter: retry.Spread(.5)}
	var y retry.Backoff = retry.Exponential{Base: 500 * time.Millisecond, Max: time.Hour}
	d := retry.Exponential{Base: 500 * time.Millisecond, Max: time.Hour}
	b.Run("rand", func(b *testing.B) {
		f := 0.
		for b.Loop() {
			f += rand.Float64()
		}
	})
	b.Run("1.5", func(b *testing.B) {
		for b.Loop() {
			sink = x.Delay(retry.Step{Retry: 10, Rand: .3})
		}
	})
	b.Run("2", func(b *testing.B) {
		for b.Loop() {
			sink = y.Delay(retry.Step{Retry: 10, Rand: .3})
		}
	})
	b.Run("2direct", func(b *testing.B) {
		for b.Loop() {
			sink = d.Delay(retry.Step{Retry: 10, Rand: .3})
		}
	})
	b.Run("const", func(b *testing.B) {
		var c retry.Backoff = retry.Constant(5)
		for b.Loop() {
			sink = c.Delay(retry.Step{Retry: 10, Rand: .3})
		}
	})
}
