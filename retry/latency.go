package retry

import (
	"fmt"
	"math"
	"sync/atomic"
	"time"
)

// Defaults of a Latency.
const (
	defaultP    = 0.95
	defaultWarm = 20
)

// A Latency estimates a quantile of the latencies of calls, as they are now, in
// constant memory. As Hedge.Latency it sets the delay of a hedge. The zero
// value is ready for use. It must not be copied after its first use.
//
// The first attempt of each call counts. If the attempt was cut short, or if it
// failed, its latency is unknown, but longer than the measured time: it counts
// if that time is above the estimate. So the share of the calls that a Hedge
// hedges is 1-P, as long as the latencies do not change. If more than 1-P of
// the calls become slow, the estimate becomes slow as well: set Hedge.Delay to
// the longest useful delay, and a Budget.
//
// The estimate moves by a constant factor per latency: up by P, down by 1-P
// parts of a step, so that it rests where the part P of the latencies is lower
// (stochastic approximation, Robbins and Monro, 1951).
type Latency struct {
	_ [0]func() // not comparable

	// P is the part of the latencies below the estimate, between 0 and 1.
	// Zero, and every value out of range, means 0.95.
	P float64

	// Warm is the number of latencies that the estimate needs before it is
	// used. Zero means 20. Negative means 1.
	Warm int

	seen atomic.Int64
	bits atomic.Uint64 // of the estimate, a float64 of nanoseconds
}

// Validate reports every field whose value is out of range.
func (l *Latency) Validate() error {
	if l != nil && l.P != 0 && !(l.P > 0 && l.P < 1) {
		return fmt.Errorf("retry: Latency.P is %v, want more than 0 and less than 1", l.P)
	}
	return nil
}

// Observe adds a latency. A latency below a microsecond counts as one
// microsecond.
func (l *Latency) Observe(d time.Duration) { l.observe(d, true) }

// observe adds a latency of d, or of more than d if it is not exact.
func (l *Latency) observe(d time.Duration, exact bool) {
	x := float64(max(d, time.Microsecond))
	if est := math.Float64frombits(l.bits.Load()); !exact && (est == 0 || x <= est) {
		return
	}
	n := l.seen.Add(1)
	p := l.p()
	// Large steps find the range at first, small steps keep it.
	step := max(0.1, 1/math.Sqrt(float64(n)))
	for {
		old := l.bits.Load()
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
		if l.bits.CompareAndSwap(old, math.Float64bits(est)) {
			return
		}
	}
}

// Value returns the estimate, and reports whether it has seen enough
// latencies.
func (l *Latency) Value() (time.Duration, bool) {
	warm := int64(max(l.Warm, 1))
	if l.Warm == 0 {
		warm = defaultWarm
	}
	d := time.Duration(math.Float64frombits(l.bits.Load()))
	return d, d > 0 && l.seen.Load() >= warm
}

func (l *Latency) p() float64 {
	if l.P > 0 && l.P < 1 {
		return l.P
	}
	return defaultP
}
