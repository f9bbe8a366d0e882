package bulkhead

import (
	"math"
	"sync"
	"time"
)

// The constants of an adaptive limit.
const (
	minWindow  = 100 * time.Millisecond // the shortest window
	minSample  = 10                     // the fewest places in a window
	dipEvery   = 4 * time.Second        // the shortest time between two dips
	dipWindows = 20                     // a dip costs at most a window in so many
	holdMin    = 4                      // windows without growth after growth was useless
	holdMax    = 640
	allDropped = 0.9 // of the calls: the service hangs
)

// An adaptive finds a limit by measuring the queue in front of the service.
//
// A queue adds the same wait to all calls. It hardly shows in the mean time,
// which a few long calls dominate. It shows in a soft minimum of the times t,
// the time s with mean(exp(-t/s)) = 1/e. The rate of the calls times the growth
// of s above its value without a queue is the length of the queue (Little's
// law). The limit keeps that length near the square root of the limit, which is
// enough to keep all workers busy.
//
// Two rules protect a healthy service. The limit is lowered only if calls found
// no place or were dropped, and much of the limit is in use. And whether longer
// times are a queue, or drops an overload, is decided by trying: a lower limit
// shortens a queue, and nothing else.
type adaptive struct {
	mu       sync.Mutex
	min, max int
	limit    int

	// The window.
	changed time.Duration // when the limit changed; calls from before do not open a window
	settle  int           // places that must end first
	open    bool
	begin   time.Duration
	need    int
	places  int           // that ended, by calls of any weight
	drops   int           // of them
	longest time.Duration // of the drops, which all end at once after a timeout
	peak    int           // the most places in use at the end of a call
	total   float64       // seconds × places
	exp     float64       // the sum of exp(-t/scale)
	used    float64       // the sum of the places in use at the end of calls
	blocked int           // callers that found no place

	// The measurements.
	scale float64 // the soft minimum, smoothed; seconds
	base  float64 // the soft minimum without a queue
	mean  float64 // the soft minimum before a dip, averaged
	young bool    // the limit has just grown: long calls are missing from the window

	// The drops.
	share  float64 // of the calls that are dropped, smoothed
	lost   float64 // the share that a lower limit does not change
	most   float64 // the largest share since the limit was lowered for drops, or 0
	before int     // the limit at that time
	trial  int     // windows at that limit

	// The decisions.
	saturated int           // windows in a row
	step      int           // the latest growth
	seen      bool          // a queue was seen; until then the limit doubles
	dip       int           // the limit before the dip in progress, or 0
	slot      time.Duration // of the latest dip
	floor     int           // cuts stop here until they have been verified
	high      float64       // the largest soft minimum before the floor was reached
	cut       int           // the limit at that time
	stuck     int           // windows at the floor without an effect
	useful    int           // the limit whose throughput is useRate
	useRate   float64
	hold      int // windows without growth
	pause     int // the next hold
}

func newAdaptive(c *Config) *adaptive {
	return &adaptive{min: c.MinLimit, max: c.MaxLimit, limit: c.Limit, pause: holdMin}
}

// current returns the limit.
func (a *adaptive) current() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.limit
}

// bound changes the bounds, and returns the limit.
func (a *adaptive) bound(least, most int) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.min, a.max = least, most
	a.limit = min(max(a.limit, least), most)
	return a.limit
}

// A figure is the measurement of a call.
type figure struct {
	now, start time.Duration // since the epoch of the bulkhead
	wall       time.Duration // now, since 1970
	n          int           // places
	inflight   int           // places in use when it ended
	dropped    bool
}

// missed counts a caller that found no place.
func (a *adaptive) missed() {
	a.mu.Lock()
	a.blocked++
	a.mu.Unlock()
}

// add adds a call, and returns the limit.
func (a *adaptive) add(f figure) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.open {
		if a.settle -= f.n; f.start >= a.changed && a.settle <= 0 {
			a.openWindow(f)
		}
		return a.limit
	}
	n := float64(f.n)
	a.places += f.n
	a.used += float64(f.inflight) * n
	a.peak = max(a.peak, f.inflight)
	if f.dropped {
		a.drops += f.n
		a.longest = max(a.longest, f.now-f.start)
	} else {
		t := max((f.now - f.start).Seconds(), 1e-9)
		a.total += t * n
		if a.scale > 0 {
			a.exp += math.Exp(-t/a.scale) * n
		}
	}
	if a.places < a.need || f.now-a.begin < max(minWindow, a.longest) {
		return a.limit
	}
	old, dipped := a.limit, a.dip > 0
	a.limit = min(max(a.update(f), a.min), a.max)
	a.young = a.limit > old+old/10 && !dipped
	a.settle = 0
	if a.limit < old || dipped {
		a.settle = f.inflight // the calls of the old limit leave first
	}
	a.changed = f.now
	if a.open = a.limit == old; a.open {
		a.openWindow(f)
	}
	return a.limit
}

func (a *adaptive) openWindow(f figure) {
	a.open, a.begin, a.need = true, f.now, max(minSample, f.inflight)
	a.places, a.drops, a.blocked, a.peak = 0, 0, 0, 0
	a.longest -= a.longest / 8
	a.total, a.exp, a.used = 0, 0, 0
}

// update evaluates a window and returns the next limit.
func (a *adaptive) update(f figure) int {
	n, span := float64(a.places-a.drops), f.now-a.begin
	busy := a.peak >= a.limit-a.peak
	if a.overloaded(1 - n/float64(a.places)) {
		if !busy {
			return a.limit
		}
		a.step, a.saturated = 0, 0
		return a.relieve(a.endDip(), n == 0)
	}
	if a.share < 0.1 {
		a.most = 0
	}
	mean := a.total / n
	if a.scale == 0 {
		a.scale = 0.6 * mean // of times without variance it is all, of exponential times 0.58
		return a.limit
	}
	s := min(mean, -a.scale*math.Log(max(a.exp/n, 1e-300)))
	a.scale += (s - a.scale) / 16
	full := a.blocked*32 > a.places+a.blocked && a.used/float64(a.places) >= 0.75*float64(a.limit)
	a.learn(s, full || busy)
	if a.dip > 0 {
		limit := a.endDip()
		a.floor, a.high, a.cut = (limit+1)/2, 0, 0
		return limit
	}
	rate := n / span.Seconds()
	queue, target := rate*(s-a.base), math.Sqrt(float64(a.limit))
	if !full {
		return a.unsaturated(busy, queue < target)
	}
	if a.saturated++; a.saturated == 1 {
		a.mean, a.floor, a.high, a.cut = s, (a.limit+1)/2, 0, 0
	}
	a.mean += (s - a.mean) / 4
	a.seen = a.seen || queue >= target
	a.hold--
	if a.limit <= a.useful {
		a.useRate += (rate - a.useRate) / 4
	}
	switch {
	case a.dips(f.wall, span):
		a.dip = a.limit
		return max(1, a.limit*7/10)
	case queue > 1.25*target && a.saturated >= 2:
		return a.shrink(s, int(queue-target))
	case queue < target && a.hold <= 0:
		return a.grow(rate, queue < target/2)
	}
	a.step = 0
	return a.limit
}

// overloaded reports whether more calls were dropped than are dropped at any
// limit.
func (a *adaptive) overloaded(share float64) bool {
	a.share += (share - a.share) / 3
	if a.share < a.lost {
		a.lost += (a.share - a.lost) / 16
	}
	return share >= allDropped || share >= 0.1 && a.share >= 0.1+1.5*a.lost
}

// relieve returns the limit after a window in which calls were dropped. It is
// lowered for a trial of some windows. If that has no effect on the share of
// the dropped calls, the limit is not their cause, and the cut is undone.
func (a *adaptive) relieve(limit int, all bool) int {
	switch {
	case a.share >= allDropped:
		a.most = 0
		return limit - max(1, limit/5)
	case a.most == 0:
	case a.trial < 3:
		a.trial++
		a.most = max(a.most, a.share)
		return limit
	case a.share > a.most*2/3 && !all:
		a.lost, a.most = a.share, 0
		return a.before
	}
	a.most, a.before, a.trial = a.share, limit, 0
	return limit - max(1, limit*3/10)
}

// learn moves the base towards s. used reports whether the service had much to
// do.
func (a *adaptive) learn(s float64, used bool) {
	gain := 0.0
	switch {
	case a.base == 0:
		gain = 1
	case !a.seen && a.young && s > a.base:
		gain = 0.25 // the first windows contain few calls
	case a.young:
	case a.dip > 0 && s >= a.base:
		// If the lower limit has not shortened the times, they are no queue.
		effect := (1 - s/a.mean) / (1 - float64(a.limit)/float64(a.dip))
		gain = 0.5 * min(1, max(0, 2-2*effect))
	case a.dip > 0:
		gain = 0.5
	case s < a.base:
		gain = 0.25
	case !used:
		gain = 1. / 16
	}
	a.base += (s - a.base) * gain
}

// endDip ends a dip, if any, and returns the limit without it.
func (a *adaptive) endDip() int {
	limit := max(a.limit, a.dip)
	a.dip = 0
	return limit
}

// unsaturated returns the limit after a window in which the limit refused
// nothing, or only peaks. It never lowers the limit.
func (a *adaptive) unsaturated(busy, calm bool) int {
	a.saturated, a.step = 0, 0
	if !busy {
		a.useful = 0
	}
	switch {
	case a.blocked > 0:
		return a.limit + max(1, a.limit/4)
	case busy && calm:
		return a.limit + max(1, a.limit/8)
	}
	return a.limit
}

// dips reports whether it is time for a dip: a lower limit for a window, which
// shows the times without a queue. The clock of the wall decides when, so that
// several clients of a service empty its queue together.
func (a *adaptive) dips(wall, span time.Duration) bool {
	every := dipEvery
	for every < dipWindows*span {
		every *= 2
	}
	slot := wall / every
	if a.saturated < 3 || slot == a.slot || a.step > a.limit/8+1 {
		return false
	}
	a.slot = slot
	return wall-slot*every < every/8+2*span
}

// shrink lowers the limit by n, but not below the floor. If the times stay at
// the floor, they are no queue: they become the base, and the cuts are undone.
func (a *adaptive) shrink(s float64, n int) int {
	a.step = 0
	switch {
	case a.limit > a.floor:
		a.high, a.cut, a.stuck = max(a.high, s), max(a.cut, a.limit), 0
		return max(a.limit-n, a.floor)
	case s < a.base+0.75*(a.high-a.base):
		a.stuck = 0
		return a.limit
	}
	if a.stuck++; a.stuck < 2 {
		return a.limit
	}
	limit := max(a.cut, a.limit)
	a.base, a.high, a.cut, a.stuck = s, 0, 0, 0
	return limit
}

// grow raises the limit, by steps that double. Before the first queue, the
// limit itself doubles. When the limit has doubled, the throughput must have
// grown by a quarter; otherwise the growth is undone. So the limit is bounded
// even if the queue shows in no time.
func (a *adaptive) grow(rate float64, far bool) int {
	first := 1
	switch {
	case !a.seen:
		first = a.limit
	case far:
		first = max(1, a.limit/8)
	}
	a.step = min(max(first, a.step*2), a.limit)
	switch {
	case a.useful == 0 || a.limit <= a.useful:
		a.useful, a.useRate = a.limit, rate
	case a.limit < 2*a.useful:
	case rate < 1.25*a.useRate && a.young:
		return a.limit // judged by the next window
	case rate < 1.25*a.useRate:
		a.step, a.hold = 0, a.pause
		a.pause = min(2*a.pause, holdMax)
		return a.useful
	default:
		a.useful, a.useRate, a.pause = a.limit, rate, holdMin
	}
	return a.limit + a.step
}
