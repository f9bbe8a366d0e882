package breaker

import (
	"sync/atomic"
	"time"
)

// maxPace bounds the durations that a pace learns.
const maxPace = time.Hour

// A pace is the time that successes take. It learns from the calls whose start
// is known. Its methods need no lock; if calls collide, a sample may be lost.
type pace struct {
	usual   atomic.Int64 // about the median; 0 if unknown
	longest atomic.Int64 // the longest, which decays; 0 if unknown
	samples atomic.Int64 // samples of usual, up to warmUp
}

// warmUp is the number of successes that all count as samples of the median,
// with larger steps. After them, a 16th of the successes do.
const warmUp = 32

// learn takes a success that ran for so long. While the breaker recovers,
// successes may take long because the dependency is busy. Then busy is true,
// and the median changes slowly even during the warm-up.
func (p *pace) learn(ran, now time.Duration, busy bool) {
	d := int64(min(ran, maxPace))
	if d < -1 {
		return // the clock went back
	}
	d = max(d, 1)
	if d > p.longest.Load() {
		p.longest.Store(d)
	}
	u, step := p.usual.Load(), int64(4)
	if p.samples.Load() < warmUp && (u == 0 || !busy) {
		p.samples.Add(1)
	} else if uint64(now)*0x9e3779b97f4a7c15>>60 != 0 {
		return // a hash of the time chooses the samples
	} else {
		step = 16
	}
	switch {
	case u == 0:
		u = d
	case d > u:
		u = min(d, u+u/step+1)
	default:
		u = max(d, u-u/step)
	}
	p.usual.Store(u)
}

// decay is called once in each tenth of the window with calls. It halves the
// longest in about 90 of them.
func (p *pace) decay() {
	l := p.longest.Load()
	p.longest.CompareAndSwap(l, l-l/128)
}
