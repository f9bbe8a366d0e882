package bulkhead

import (
	"context"
	"errors"
	"math"
	"sync"
	"time"
)

// A Sample is the measurement of a window of calls. Ignored calls are left out.
type Sample struct {
	RTT      time.Duration // the mean time of a call, more than 0
	Inflight int           // the largest number of places in use when a call ended
	Dropped  bool          // the outcome of a call was [OutcomeDropped]
	Count    int           // the number of calls
}

// An Algorithm finds a limit. After each window, a bulkhead calls Update with
// the current limit, outside locks and never concurrently. The result, within
// MinLimit and MaxLimit, becomes the limit. An Algorithm with state serves a
// single bulkhead.
type Algorithm interface {
	Update(limit int, s Sample) int
}

// minSamples is the smallest number of calls in a window.
const minSamples = 10

// A meter collects the sample of a window.
type meter struct {
	mu     sync.Mutex
	begin  time.Duration
	total  time.Duration
	sample Sample
	busy   bool // the algorithm runs; calls measured meanwhile belong to the next window
}

func (b *Bulkhead) measure(now, rtt time.Duration, inflight int, o Outcome) {
	m := &b.meter
	m.mu.Lock()
	m.total += max(rtt, 1)
	m.sample.Count++
	m.sample.Inflight = max(m.sample.Inflight, inflight)
	m.sample.Dropped = m.sample.Dropped || o == OutcomeDropped
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

// lower returns the limit after a drop: 10 % less, by at least 1, and not below
// 1.
func lower(limit int) int { return max(1, min(limit-1, limit-(limit+9)/10)) }

// busy reports whether at least half of the limit was in use. A limit that is
// used less need not grow.
func (s Sample) busy(limit int) bool { return s.Inflight >= limit-s.Inflight }

// AIMD is additive increase, multiplicative decrease. After a window with a
// drop it lowers the limit by 10 %. After a window without drops in which at
// least half of the limit was in use, it adds 1. The zero AIMD is ready to use.
type AIMD struct {
	MaxRTT time.Duration // a longer mean time counts as a drop; zero means no bound
}

// Validate returns an error that joins all problems of a.
func (a AIMD) Validate() error {
	p := problems{prefix: "bulkhead: AIMD: "}
	p.add(a.MaxRTT < 0, "MaxRTT is %v, want at least 0", a.MaxRTT)
	return errors.Join(p.errs...)
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

// probeEvery is the number of windows between two probes of the baseline.
const probeEvery = 50

// A baseline is the time of calls without a queue: the smallest mean time seen.
// It must be able to grow, but not because of a queue. So a probe sometimes
// halves the limit for two windows, and the second window sets the baseline. If
// the algorithm itself has reduced the limit to a quarter, the current window
// sets the baseline, as after a probe. A window with drops has no influence.
type baseline struct {
	rtt     time.Duration
	windows int // since the last probe
	restore int // the limit before the current probe; 0 without a probe
	top     int // the largest limit since the baseline was measured
}

// update adds a sample. While a probe is in progress, it returns
// the limit of the probe.
func (b *baseline) update(limit int, s Sample) (probe int, probing bool) {
	b.windows++
	b.top = max(b.top, limit)
	s.RTT = max(s.RTT, 1)
	switch {
	case b.rtt == 0:
		b.rtt = s.RTT
	case b.restore > 0 && b.windows == 1: // the queue empties in this window
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

// abort ends a probe, if any, and returns the limit before it.
func (b *baseline) abort(limit int) int {
	if b.restore > 0 {
		limit, b.restore, b.windows = b.restore, 0, 0
	}
	return limit
}

// Vegas estimates the number of calls that queue in the service, from their
// mean times, and keeps it between Alpha and Beta. It suits calls that all take
// about the same time; if times vary, it can reduce the limit of a healthy
// service. The zero Vegas is ready to use; use a pointer.
type Vegas struct {
	Alpha  int           // the limit grows below it; zero means 3
	Beta   int           // the limit shrinks above it; zero means 6
	MaxRTT time.Duration // a longer mean time counts as a drop; zero means no bound

	base baseline
}

// Validate returns an error that joins all problems of v.
func (v *Vegas) Validate() error {
	alpha, beta := orDefault(v.Alpha, 3), orDefault(v.Beta, 6)
	p := problems{prefix: "bulkhead: Vegas: "}
	p.add(v.Alpha < 0, "Alpha is %d, want at least 0", v.Alpha)
	p.add(v.Beta < 0, "Beta is %d, want at least 0", v.Beta)
	p.add(alpha > beta, "Alpha is %d, want at most Beta, %d", alpha, beta)
	p.add(v.MaxRTT < 0, "MaxRTT is %v, want at least 0", v.MaxRTT)
	return errors.Join(p.errs...)
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

// Gradient multiplies the limit by Tolerance times the ratio of the baseline to
// the current mean time, at most 1. If that is 1, it adds the square root of
// the limit, to try a larger limit. If the times of calls vary by more than the
// tolerance, it reduces the limit of a healthy service far below the best
// value. The zero Gradient is ready to use; use a pointer.
type Gradient struct {
	Tolerance float64       // acceptable ratio of the mean time to the baseline, at least 1; zero means 1.2
	Smoothing float64       // share of the way to the new limit that each window moves, at most 1; zero means 0.5
	MaxRTT    time.Duration // a longer mean time counts as a drop; zero means no bound

	base baseline
}

// Validate returns an error that joins all problems of g.
func (g *Gradient) Validate() error {
	p := problems{prefix: "bulkhead: Gradient: "}
	p.add(g.Tolerance != 0 && !(g.Tolerance >= 1), "Tolerance is %v, want 0, or at least 1", g.Tolerance)
	p.add(!(g.Smoothing >= 0 && g.Smoothing <= 1), "Smoothing is %v, want 0 to 1", g.Smoothing)
	p.add(g.MaxRTT < 0, "MaxRTT is %v, want at least 0", g.MaxRTT)
	return errors.Join(p.errs...)
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
	if gradient == 1 { // below 1, the addition would make the limit grow with the queue
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
