package retry

import (
	"math"
	"sync/atomic"
	"time"
)

// What the zero fields of a Quantile mean.
const (
	defaultP    = 0.95
	defaultWarm = 20
)

// A Quantile estimates a quantile of latencies, as they are now, in constant
// memory. It is for Hedge.Quantile: with P = 0.95 the slowest twentieth of the
// calls is hedged.
//
// Only attempts that succeeded without being cut short count. Those cut short
// are the slow ones, so the estimate is that of the healthy attempts, and hedging
// goes on where more than 1-P of the attempts are slow: bound it by a Budget.
//
// The estimate moves by a constant factor per latency: up by P, down by 1-P
// parts of a step, so that it rests where a part P is below it (stochastic
// approximation, Robbins and Monro, 1951). The zero value is ready to use. It
// must not be copied after its first use.
type Quantile struct {
	_ [0]func() // not comparable

	// P is the part of the latencies below the estimate, between 0 and 1.
	// 0 and values outside mean 0.95.
	P float64
	// Warm is the number of latencies to see before the estimate is used.
	// 0 means 20; negative means the first one.
	Warm int

	seen atomic.Int64
	bits atomic.Uint64 // of the estimate, a float64 of nanoseconds
}

// Observe tells q of one latency. Those below a microsecond count as that.
func (q *Quantile) Observe(d time.Duration) {
	x := float64(max(d, time.Microsecond))
	n := q.seen.Add(1)
	p := q.p()
	// Large steps find the range at first, small ones keep it.
	step := max(0.1, 1/math.Sqrt(float64(n)))
	for {
		old := q.bits.Load()
		est := math.Float64frombits(old)
		switch {
		case old == 0:
			est = x
		case x > est:
			est *= math.Exp(step * p)
		default:
			est *= math.Exp(-step * (1 - p))
		}
		est = min(max(est, float64(time.Microsecond)), 1<<62)
		if q.bits.CompareAndSwap(old, math.Float64bits(est)) {
			return
		}
	}
}

// Value returns the estimate, and whether enough latencies were seen.
func (q *Quantile) Value() (time.Duration, bool) {
	warm := int64(max(q.Warm, 1))
	if q.Warm == 0 {
		warm = defaultWarm
	}
	d := time.Duration(math.Float64frombits(q.bits.Load()))
	return d, d > 0 && q.seen.Load() >= warm
}

func (q *Quantile) p() float64 {
	if q.P > 0 && q.P < 1 {
		return q.P
	}
	return defaultP
}
