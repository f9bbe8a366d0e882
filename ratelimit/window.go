package ratelimit

import (
	"sort"
	"time"
)

// A Window admits at most N events in any period of length Per: an exact
// sliding window log. It stores 16 bytes for each instant of events, at most N
// times. If N is large and an estimate suffices, use a [Counter], or a
// [Limiter]. An event that is exactly one period old no longer counts. All
// methods may be called concurrently. The zero Window admits nothing.
type Window struct {
	meter

	log    []entry // a ring in the order of the instants
	head   int     // the oldest
	length int
	gone   int64 // the sum before the oldest
	sum    int64 // the sum of the newest
}

// An entry contains the events of an instant: sum is the number of all events
// up to it. Sums may overflow, but their differences do not.
type entry struct{ ns, sum int64 }

// maxWindow bounds the memory of a Window, to 2 GiB.
const maxWindow = 1 << 27

// NewWindow returns a Window of limit.N events in any period of limit.Per, from
// 1 to 2^27 events. A window has no burst apart from N. NewWindow panics if the
// limit is invalid or has another Burst. [Window.Set] adds a name and a hook.
func NewWindow(limit Limit) *Window {
	w := new(Window)
	w.start(WindowConfig{Limit: limit}, "window", maxWindow, w.decideLocked)
	return w
}

// Set replaces the configuration. The log keeps its newest events, at most
// limit.N of them. If limit.Per grows, events that were older than the former
// period do not count again.
//
// Errors: see [NewWindow]; the configuration does not change. The zero Window
// cannot be changed.
func (w *Window) Set(c WindowConfig) error {
	return w.set(c, "window", maxWindow, func(ns int64) {
		w.expire(ns)
		if c.Limit.N < w.config.Limit.N { // release memory
			w.gone = max(w.gone-w.sum, -c.Limit.N) + w.sum
			w.drop(w.after(func(e entry) bool { return e.sum-w.gone > 0 }))
			w.grow(w.length)
		}
	})
}

func (w *Window) decideLocked(ns, n int64) Decision {
	limit := w.config.Limit
	ns, per := w.expire(ns)
	d := Decision{N: n, Limit: limit, AtOnce: true}
	room := limit.N - (w.sum - w.gone)
	switch {
	case n < 0 || n > limit.N: // never
	case n > room:
		i := w.after(func(e entry) bool { return e.sum-w.gone >= n-room })
		d.refuse(ns, w.at(i).ns+per)
	default:
		d.OK = true
		w.add(ns, n)
		room -= n
	}
	d.Remaining = room
	if w.length > 0 {
		d.ResetAfter = time.Duration(w.at(w.length-1).ns + per - ns)
	}
	return d
}

// expire removes the events that have left the window at ns. It returns ns, or
// the instant of the newest event if that is later, and the period.
func (w *Window) expire(ns int64) (now, per int64) {
	if w.length > 0 {
		ns = max(ns, w.at(w.length-1).ns)
	}
	per = min(int64(w.config.Limit.Per), maxUnits)
	if past := w.after(func(e entry) bool { return e.ns > ns-per }); past > 0 {
		w.gone = w.at(past - 1).sum
		w.drop(past)
	}
	return ns, per
}

// at returns the i-th oldest entry.
func (w *Window) at(i int) *entry { return &w.log[(w.head+i)%len(w.log)] }

// after returns the index of the oldest entry for which later is true.
func (w *Window) after(later func(entry) bool) int {
	return sort.Search(w.length, func(i int) bool { return later(*w.at(i)) })
}

// drop removes the n oldest entries.
func (w *Window) drop(n int) { w.head, w.length = (w.head+n)%max(len(w.log), 1), w.length-n }

// add logs n events at ns, which is not before the newest entry.
func (w *Window) add(ns, n int64) {
	w.sum += n
	switch {
	case n == 0:
		return
	case w.length > 0 && w.at(w.length-1).ns == ns:
		w.at(w.length - 1).sum = w.sum
		return
	case w.length == len(w.log):
		w.grow(min(2*w.length+8, int(w.config.Limit.N)))
	}
	w.length++
	*w.at(w.length - 1) = entry{ns, w.sum}
}

// grow makes room for n entries.
func (w *Window) grow(n int) {
	log := make([]entry, n)
	for i := range w.length {
		log[i] = *w.at(i)
	}
	w.log, w.head = log, 0
}
