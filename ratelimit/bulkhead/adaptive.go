package bulkhead

import (
	"context"
	"math"
	"sync"
	"time"
)

// A Sample is what was measured in a window.
type Sample struct {
	RTT      time.Duration // how long a call took on average, more than 0
	Inflight int           // the most that was inside when a call ended
	Dropped  bool          // some call was [Dropped]
	Count    int           // the calls measured, ignored ones not among them
}

// An Algorithm finds a limit. A bulkhead calls Update with the present limit after every window, one call after the
// other, and outside locks; what it returns becomes the limit, within the bounds of the Config. It may keep state, and
// then serves one bulkhead only.
type Algorithm interface {
	Update(limit int, s Sample) int
}

// minSamples is the least number of calls that makes a window.
const minSamples = 10

// A meter gathers a sample.
type meter struct {
	mu     sync.Mutex
	begin  time.Duration
	total  time.Duration
	sample Sample
	busy   bool // the algorithm runs; what is measured meanwhile goes into the next window
}

func (b *Bulkhead) measure(now, rtt time.Duration, inflight int, o Outcome) {
	m := &b.meter
	m.mu.Lock()
	m.total += max(rtt, 1)
	m.sample.Count++
	m.sample.Inflight = max(m.sample.Inflight, inflight)
	m.sample.Dropped = m.sample.Dropped || o == Dropped
	if m.busy || m.sample.Count < minSamples || now-m.begin < b.cfg.Window {
		m.mu.Unlock()
		return
	}
	s := m.sample
	s.RTT = max(m.total/time.Duration(s.Count), 1)
	m.busy, m.begin, m.total, m.sample = true, now, 0, Sample{}
	m.mu.Unlock()
	defer func() { // also when the algorithm panics
		m.mu.Lock()
		m.busy = false
		m.mu.Unlock()
	}()
	limit := b.cfg.Algorithm.Update(b.Limit(), s)
	b.setLimit(context.Background(), min(max(limit, b.cfg.MinLimit), b.cfg.MaxLimit))
}

// lower returns limit after a drop: a tenth less, at least one less.
func lower(limit int) int { return max(1, min(limit-1, limit*9/10)) }

// busy reports whether the limit is used enough to tell whether a larger one would do good.
func (s Sample) busy(limit int) bool { return s.Inflight*2 >= limit }

// AIMD adds one to the limit after a window without drops in which at least half of it was used, and takes off a tenth
// after one with a drop. The zero AIMD is ready.
type AIMD struct {
	MaxRTT time.Duration // a longer time counts as a drop; default no bound
}

// Update implements [Algorithm].
func (a AIMD) Update(limit int, s Sample) int {
	switch {
	case s.Dropped, a.MaxRTT > 0 && s.RTT > a.MaxRTT:
		return lower(limit)
	case s.busy(limit):
		return limit + 1
	}
	return limit
}

// probeEvery is the number of windows after which the baseline is measured again.
const probeEvery = 50

// A baseline is the time that calls take when there is no queue: the least that was seen. It must also be able to grow,
// but not because of the queue itself; so now and then the limit is halved for two windows, and the baseline is
// what the second shows. A limit that has come down to a quarter by itself, and calls take long still, shows the same. A
// window with drops says nothing about it.
type baseline struct {
	rtt     time.Duration
	windows int // since the last probe
	restore int // the limit before a probe; 0 if there is none
	top     int // the largest limit since the baseline was measured
}

// update takes in a sample. While a probe is under way it returns the limit for that.
func (b *baseline) update(limit int, s Sample) (probe int, probing bool) {
	b.windows++
	b.top = max(b.top, limit)
	s.RTT = max(s.RTT, 1)
	switch {
	case b.rtt == 0:
		b.rtt = s.RTT
	case b.restore > 0 && b.windows == 1: // the window in which the queue runs dry
		return limit, true
	case b.restore > 0:
		b.rtt, probe = s.RTT, b.restore
		b.restore, b.windows, b.top = 0, 0, probe
		return probe, true
	case limit*4 <= b.top:
		b.rtt, b.windows, b.top = s.RTT, 0, limit
	case b.windows >= probeEvery && s.busy(limit):
		b.restore, b.windows = limit, 0
		return max(1, limit/2), true
	}
	b.rtt = min(b.rtt, s.RTT)
	return 0, false
}

// abort ends a probe, and returns the limit that was before it.
func (b *baseline) abort(limit int) int {
	if b.restore > 0 {
		limit, b.restore, b.windows = b.restore, 0, 0
	}
	return limit
}

// Vegas estimates from the times how many of those inside only wait, and keeps that between Alpha and Beta. It suits
// calls that take about the same time. The zero Vegas is ready; use a pointer.
type Vegas struct {
	Alpha  int           // below it the limit grows; default 3
	Beta   int           // above it the limit shrinks; default 6
	MaxRTT time.Duration // a longer time counts as a drop; default no bound

	base baseline
}

// Update implements [Algorithm].
func (v *Vegas) Update(limit int, s Sample) int {
	if s.Dropped || v.MaxRTT > 0 && s.RTT > v.MaxRTT {
		return lower(v.base.abort(limit))
	}
	if probe, ok := v.base.update(limit, s); ok {
		return probe
	}
	alpha, beta := orDefault(v.Alpha, 3), orDefault(v.Beta, 6)
	waiting := int(float64(limit) * (1 - ratio(v.base.rtt, s.RTT))) // at most limit
	switch {
	case waiting > beta:
		return max(1, limit-max(1, (waiting-beta)/2))
	case waiting < alpha && s.busy(limit):
		return limit + max(1, int(math.Log2(float64(limit))))
	}
	return limit
}

// Gradient multiplies the limit by the ratio of the baseline, with a tolerance, to the present time, and adds a little
// to see whether more is possible. It suits calls whose times vary. The zero Gradient is ready; use a pointer.
type Gradient struct {
	Tolerance float64       // how much longer than the baseline a call may take; default 1.2, at least 1
	Smoothing float64       // how far the limit moves towards the new one, above 0 up to 1; default 0.5
	MaxRTT    time.Duration // a longer time counts as a drop; default no bound

	base baseline
}

// Update implements [Algorithm].
func (g *Gradient) Update(limit int, s Sample) int {
	if s.Dropped || g.MaxRTT > 0 && s.RTT > g.MaxRTT {
		return lower(g.base.abort(limit))
	}
	if probe, ok := g.base.update(limit, s); ok {
		return probe
	}
	tolerance, smoothing := g.Tolerance, g.Smoothing
	if !(tolerance >= 1) {
		tolerance = 1.2
	}
	if !(smoothing > 0 && smoothing <= 1) {
		smoothing = 0.5
	}
	gradient := min(1, max(0.5, tolerance*ratio(g.base.rtt, s.RTT)))
	next := float64(limit) * gradient
	if gradient == 1 { // only then: with less, room for a queue would keep it growing
		if !s.busy(limit) {
			return limit
		}
		next += math.Sqrt(float64(limit))
	}
	return max(1, int(math.Round(float64(limit)+smoothing*(next-float64(limit)))))
}

// ratio returns a / b, at most 1.
func ratio(a, b time.Duration) float64 { return min(1, float64(a)/float64(max(b, 1))) }

func orDefault(n, def int) int {
	if n <= 0 {
		return def
	}
	return n
}
