package ratelimit

import (
	"container/list"
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// A Limiter admits events within one or more limits, all or nothing: an event that one limit refuses costs nothing in
// the others. The zero Limiter admits nothing; [New] makes one that does. A Limiter must not be copied.
type Limiter struct {
	epoch   time.Time // instants are kept as nanoseconds since
	buckets []bucket  // one for each finite limit
	open    bool      // there are limits, and none is finite

	// The tat of a sole bucket stands in word, alone on its cache line, and moves by compare-and-swap. Whoever holds
	// mu seals it and finds the tat in tats; it stays there while callers wait. Several buckets have theirs there always.
	_    [64]byte
	word atomic.Int64
	_    [56]byte

	mu      sync.Mutex
	tats    []int64   // one for each bucket
	waiters list.List // of *waiter; only the one at the front may take events
	ahead   int64     // the sum of the events the waiters want
}

// sealed in word says that the state is behind mu. No tat reaches it.
const sealed = math.MaxInt64

// New returns a Limiter that admits what every one of limits admits, with all bursts available. Without limits it
// admits nothing. New never fails: of limits read from outside, [ParseLimit] reports what is wrong.
func New(limits ...Limit) *Limiter {
	l := &Limiter{epoch: time.Now(), open: len(limits) > 0}
	for _, limit := range limits {
		if limit.infinite() {
			continue
		}
		l.open = false
		l.buckets = append(l.buckets, newBucket(limit))
		l.tats = append(l.tats, full)
	}
	l.word.Store(full)
	return l
}

// Allow reports whether an event may happen now, and takes it if so.
func (l *Limiter) Allow() bool { return l.allow(l.elapsed(), 1) }

// AllowN reports whether n events may happen now, and takes all of them if so, none otherwise. No events are always
// allowed, a negative number never.
func (l *Limiter) AllowN(n int64) bool { return l.allow(l.elapsed(), n) }

// AllowAt is [Limiter.AllowN] at the instant t, for replaying recorded events. A t before that of an event already
// admitted gains nothing: the state never moves back. The instants of one Limiter should either all have a monotonic
// clock reading, as those of [time.Now] do, or all have none. From 73 years before or after New on time stands still;
// at rates above one event per nanosecond earlier in proportion, at 16 per nanosecond from 2 years on.
func (l *Limiter) AllowAt(t time.Time, n int64) bool { return l.allow(l.since(t), n) }

// Take is [Limiter.AllowN] with the full [Decision].
func (l *Limiter) Take(n int64) Decision {
	ns := l.elapsed()
	if tat, ok, done := l.spend(ns, n); done {
		return l.buckets[0].decide(tat, ns, n, 0, ok)
	}
	l.lock()
	defer l.unlock()
	return l.take(ns, n)
}

// Peek returns what Take(1) would, and takes nothing.
func (l *Limiter) Peek() Decision {
	l.lock()
	defer l.unlock()
	ns := l.elapsed()
	return l.decide(ns, 1, l.fits(ns, 1))
}

// Tokens returns how many events are available now, with the fraction that has come back since the last whole one:
// the least of all limits, [math.Inf](1) if all are infinite. Callers that wait have not taken theirs yet.
func (l *Limiter) Tokens() float64 {
	l.lock()
	defer l.unlock()
	tokens := 0.0
	if l.open {
		tokens = math.Inf(1)
	}
	ns := l.elapsed()
	for i := range l.buckets {
		if n := l.buckets[i].tokens(l.tats[i], ns); i == 0 || n < tokens {
			tokens = n
		}
	}
	return tokens
}

// Reset makes all bursts available again. Callers that wait go on at once as far as these reach, in their order.
func (l *Limiter) Reset() {
	l.lock()
	defer l.unlock()
	for i := range l.tats {
		l.tats[i] = full
	}
	l.promote(l.elapsed())
}

// elapsed returns the present instant.
func (l *Limiter) elapsed() int64 { return int64(time.Since(l.epoch)) }

// since returns t as an instant, within the bounds that leave room for sums.
func (l *Limiter) since(t time.Time) int64 {
	return min(max(int64(t.Sub(l.epoch)), -maxUnits), maxUnits)
}

func (l *Limiter) allow(ns, n int64) bool {
	if _, ok, done := l.spend(ns, n); done {
		return ok
	}
	l.lock()
	defer l.unlock()
	return l.take(ns, n).OK
}

// spend takes n events at ns from a sole bucket without a lock, and returns the tat on which its answer rests. It is
// not done when the state is behind mu. The instant may be older than the state by the time the two meet; that errs to
// the strict side, since the state moves on from the later of the two.
func (l *Limiter) spend(ns, n int64) (tat int64, ok, done bool) {
	if len(l.buckets) != 1 {
		return 0, false, false
	}
	b := &l.buckets[0]
	now := b.at(ns)
	for {
		tat = l.word.Load()
		if tat == sealed {
			return 0, false, false
		}
		if n == 0 || !b.fits(n) {
			return tat, n == 0, true
		}
		next, ok := b.take(tat, now, n)
		if !ok {
			return tat, false, true
		}
		if l.word.CompareAndSwap(tat, next) {
			return next, true, true
		}
	}
}

// lock brings the state behind mu.
func (l *Limiter) lock() {
	l.mu.Lock()
	if len(l.buckets) != 1 {
		return
	}
	if tat := l.word.Swap(sealed); tat != sealed {
		l.tats[0] = tat
	}
}

// unlock hands the state back to spend where that can deal with it.
func (l *Limiter) unlock() {
	if len(l.buckets) == 1 && l.waiters.Len() == 0 {
		l.word.Store(l.tats[0])
	}
	l.mu.Unlock()
}

// take is Take under the lock. As in spend, an instant older than the state errs to the strict side.
func (l *Limiter) take(ns, n int64) Decision {
	ok := n == 0 || l.fits(ns, n)
	if ok && n > 0 {
		l.commit(ns, n)
	}
	return l.decide(ns, n, ok)
}

// fits reports whether n events can be taken at ns from every bucket by one who does not wait.
func (l *Limiter) fits(ns, n int64) bool {
	if l.waiters.Len() > 0 {
		return false
	}
	for i := range l.buckets {
		b := &l.buckets[i]
		if !b.fits(n) {
			return false
		}
		if _, ok := b.take(l.tats[i], b.at(ns), n); !ok {
			return false
		}
	}
	return len(l.buckets) > 0 || l.open && n > 0
}

// commit takes n events that fit at ns from every bucket. Nothing can have changed since they were found to fit: the
// caller has held the lock all the time, or is at the front of the queue.
func (l *Limiter) commit(ns, n int64) {
	for i := range l.buckets {
		b := &l.buckets[i]
		next, _ := b.take(l.tats[i], b.at(ns), n)
		l.tats[i] = next
	}
}

// decide describes the limit that allows least: the one that is longest in the way or else has least left.
func (l *Limiter) decide(ns, n int64, ok bool) Decision {
	if len(l.buckets) == 0 {
		return l.constant(n, ok)
	}
	var least Decision
	for i := range l.buckets {
		d := l.buckets[i].decide(l.tats[i], ns, n, l.ahead, ok)
		if i == 0 || d.RetryAfter > least.RetryAfter ||
			d.RetryAfter == least.RetryAfter && d.Remaining < least.Remaining {
			least = d
		}
	}
	return least
}

// constant describes the limiters that have no bucket.
func (l *Limiter) constant(n int64, ok bool) Decision {
	d := Decision{OK: ok, N: n}
	if l.open {
		d.Limit, d.Remaining = Inf, Inf.Burst
	}
	if !ok {
		d.RetryAfter = Never
	}
	return d
}
