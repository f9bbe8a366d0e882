package sim

import (
	"math"
	"time"

	"github.com/failsafe-go/failsafe-go/adaptivelimiter"

	"github.com/redoubt-go/redoubt/ratelimit/bulkhead"
)

// Redoubt is an adaptive [bulkhead.Bulkhead] with its defaults and without a
// queue. It reads the clock, so it runs in a bubble.
func Redoubt() Limit {
	return redoubt{bulkhead.New(bulkhead.Config{Adaptive: true, MaxQueue: -1})}
}

type redoubt struct{ b *bulkhead.Bulkhead }

type redoubtTicket struct{ p *bulkhead.Permit }

func (l redoubt) Try(time.Duration) (Ticket, bool) {
	p, ok := l.b.TryAcquire()
	return redoubtTicket{p}, ok
}

func (l redoubt) Limit() int { return l.b.Limit() }

func (t redoubtTicket) Done(_ time.Duration, dropped bool) {
	if dropped {
		t.p.Report(bulkhead.OutcomeDropped)
	} else {
		t.p.Done(nil)
	}
}

// Failsafe is the adaptive limiter of failsafe-go with its defaults, except
// that its largest limit is 1000. It reads the clock, so it runs in a bubble.
func Failsafe() Limit {
	return failsafe{adaptivelimiter.NewBuilder[any]().WithLimits(1, 1000, 20).Build()}
}

type failsafe struct {
	l adaptivelimiter.AdaptiveLimiter[any]
}

type failsafeTicket struct{ p adaptivelimiter.Permit }

func (f failsafe) Try(time.Duration) (Ticket, bool) {
	p, ok := f.l.TryAcquirePermit()
	return failsafeTicket{p}, ok
}

func (f failsafe) Limit() int { return f.l.Limit() }

func (t failsafeTicket) Done(_ time.Duration, dropped bool) {
	if dropped {
		t.p.Drop()
	} else {
		t.p.Record()
	}
}

// A gauge counts the calls in progress, and admits calls below a limit.
type gauge struct {
	inflight int
	limit    func() float64
	sample   func(now, rtt time.Duration, inflight int)
	drop     func()
}

type gaugeTicket struct {
	g        *gauge
	start    time.Duration
	inflight int
}

func (g *gauge) Try(now time.Duration) (Ticket, bool) {
	if g.inflight >= int(g.limit()) {
		return nil, false
	}
	g.inflight++
	return &gaugeTicket{g, now, g.inflight}, true
}

func (g *gauge) Limit() int { return int(g.limit()) }

func (t *gaugeTicket) Done(now time.Duration, dropped bool) {
	t.g.inflight--
	if dropped && t.g.drop != nil {
		t.g.drop()
		return
	}
	if t.g.sample != nil {
		t.g.sample(now, now-t.start, t.inflight)
	}
}

// Fixed is a limit that never changes.
func Fixed(n int) Limit { return &gauge{limit: func() float64 { return float64(n) }} }

// Gradient2 is the limit of that name of Netflix concurrency-limits, written
// anew from its description and its defaults (windows of at least a second and
// 10 samples, long average of 600 windows, tolerance 1.5, smoothing 0.2, queue
// 4), except that its smallest limit is 1, not 20.
func Gradient2() Limit {
	limit, long, windows := 20.0, 0.0, 0
	g := &gauge{limit: func() float64 { return limit }}
	var w window
	g.sample = func(now, rtt time.Duration, inflight int) {
		short, peak, ok := w.add(now, rtt, inflight)
		if !ok {
			return
		}
		switch windows++; {
		case windows <= 10: // warm up by a plain average
			long += (short - long) / float64(windows)
		default:
			long += (short - long) * 2 / 601
		}
		if long/short > 2 {
			long *= 0.95
		}
		if float64(peak) < limit/2 {
			return
		}
		gradient := max(0.5, min(1, 1.5*long/short))
		limit = min(200, max(1, limit*0.8+0.2*(limit*gradient+4)))
	}
	return g
}

// A window is the sampling window of Netflix concurrency-limits.
type window struct {
	next  time.Duration
	total float64
	least time.Duration
	count int
	peak  int
}

func (w *window) add(now, rtt time.Duration, inflight int) (mean float64, peak int, ok bool) {
	if w.count == 0 || rtt < w.least {
		w.least = rtt
	}
	w.total += float64(rtt)
	w.count++
	w.peak = max(w.peak, inflight)
	if now < w.next || w.count < 10 {
		return 0, 0, false
	}
	mean, peak = w.total/float64(w.count), w.peak
	*w = window{next: now + time.Second}
	return mean, peak, true
}

// Vegas is the limit of that name of Netflix concurrency-limits, written anew
// from its description and its defaults: a sample is a single call, alpha,
// beta, step and threshold grow with the logarithm of the limit, and the
// baseline is measured again after about 30 calls per place.
func Vegas() Limit {
	limit, base, count := 20.0, 0.0, 0
	g := &gauge{limit: func() float64 { return limit }}
	g.drop = func() { limit = max(1, limit-max(1, math.Floor(math.Log10(limit)))) }
	g.sample = func(_, rtt time.Duration, inflight int) {
		r := max(float64(rtt), 1)
		if count++; float64(count) >= 30*limit*0.75 {
			base, count = r, 0
			return
		}
		if base == 0 || r < base {
			base = r
			return
		}
		if float64(inflight)*2 < limit {
			return
		}
		log := max(1, math.Floor(math.Log10(limit)))
		switch queue := math.Ceil(limit * (1 - base/r)); {
		case queue <= log:
			limit += 6 * log
		case queue < 3*log:
			limit += log
		case queue > 6*log:
			limit -= log
		}
		limit = min(1000, max(1, limit))
	}
	return g
}
