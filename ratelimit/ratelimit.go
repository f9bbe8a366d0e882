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
	epoch time.Time // instants are kept as nanoseconds since
	rules atomic.Pointer[rules]

	mu      sync.Mutex
	tats    []int64   // one for each bucket
	waiters list.List // of *waiter; only the one at the front may take events
	ahead   int64     // the sum of the events the waiters want

	promises []int64 // the instants of reservations that were not due when last looked at
	held     []hold  // what cancelled reservations may still give back
	shifts   []shift // what they have given back
	dropped  int     // the shifts that do not matter any more
}

// rules are the limits of a Limiter until they are replaced, with the state of a sole one.
type rules struct {
	buckets []bucket // one for each finite limit
	open    bool     // there are limits, and none is finite

	// The tat of a sole bucket stands in word, alone on its cache line, and moves by compare-and-swap. Whoever holds
	// mu seals it and finds the tat in tats; it stays there while callers wait. Several buckets have theirs there
	// always. The word of rules that were replaced stays sealed, so that nobody goes by them any more.
	_    [64]byte
	word atomic.Int64
	_    [56]byte
}

// sealed in word says that the state is behind mu. No tat reaches it.
const sealed = math.MaxInt64

// nothing are the rules of the zero Limiter.
var nothing rules

// New returns a Limiter that admits what every one of limits admits, with all bursts available. Without limits it
// admits nothing. New never fails: of limits read from outside, [ParseLimit] reports what is wrong.
func New(limits ...Limit) *Limiter {
	l := &Limiter{epoch: time.Now()}
	r := newRules(limits)
	for range r.buckets {
		l.tats = append(l.tats, full)
	}
	r.word.Store(full)
	l.rules.Store(r)
	return l
}

func newRules(limits []Limit) *rules {
	r := &rules{open: len(limits) > 0}
	for _, limit := range limits {
		if limit.infinite() {
			continue
		}
		r.open = false
		r.buckets = append(r.buckets, newBucket(limit))
	}
	return r
}

// current returns the rules in force.
func (l *Limiter) current() *rules {
	if r := l.rules.Load(); r != nil {
		return r
	}
	return &nothing
}

// Allow reports whether an event may happen now, and takes it if so.
func (l *Limiter) Allow() bool { return l.allow(l.elapsed(), 1, 0) }

// AllowN reports whether n events may happen now, and takes all of them if so, none otherwise. No events are always
// allowed, a negative number never.
func (l *Limiter) AllowN(n int64) bool { return l.allow(l.elapsed(), n, 0) }

// AllowAt is [Limiter.AllowN] at the instant t, for replaying recorded events. A t before that of an event already
// admitted gains nothing: the state never moves back. The instants of one Limiter should either all have a monotonic
// clock reading, as those of [time.Now] do, or all have none. From 73 years before or after New on time stands still;
// at rates above one event per nanosecond earlier in proportion, at 16 per nanosecond from 2 years on.
func (l *Limiter) AllowAt(t time.Time, n int64) bool { return l.allow(since(l.epoch, t), n, 0) }

// Take is [Limiter.AllowN] with the full [Decision].
func (l *Limiter) Take(n int64) Decision { return l.takeAbove(n, 0) }

// Peek returns what Take(1) would, and takes nothing.
func (l *Limiter) Peek() Decision {
	l.lock()
	defer l.unlock()
	ns := l.elapsed()
	return l.decide(ns, 1, 0, l.fits(ns, 1, 0))
}

// Tokens returns how many events are available now, with the fraction that has come back since the last whole one:
// the least of all limits, [math.Inf](1) if all are infinite. Callers that wait have not taken theirs yet.
func (l *Limiter) Tokens() float64 {
	l.lock()
	defer l.unlock()
	tokens := 0.0
	if l.current().open {
		tokens = math.Inf(1)
	}
	ns := l.elapsed()
	buckets := l.current().buckets
	for i := range buckets {
		if n := buckets[i].tokens(l.tats[i], ns); i == 0 || n < tokens {
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
	l.promises, l.held = nil, nil
	l.promote(l.elapsed())
}

// elapsed returns the present instant.
func (l *Limiter) elapsed() int64 { return int64(time.Since(l.epoch)) }

func (l *Limiter) allow(ns, n int64, above float64) bool {
	if _, ok, done := l.spend(ns, n, above); done {
		return ok
	}
	l.lock()
	defer l.unlock()
	return l.take(ns, n, above).OK
}

func (l *Limiter) takeAbove(n int64, above float64) Decision {
	ns, r := l.elapsed(), l.current()
	if tat, ok, done := r.spend(ns, n, above); done {
		b := r.buckets[0].above(above)
		return b.decide(tat, ns, n, 0, ok)
	}
	l.lock()
	defer l.unlock()
	return l.take(ns, n, above)
}

func (l *Limiter) spend(ns, n int64, above float64) (tat int64, ok, done bool) {
	return l.current().spend(ns, n, above)
}

// spend takes n events at ns from a sole bucket without a lock, and returns the tat on which its answer rests. It is
// not done when the state is behind mu. The instant may be older than the state by the time the two meet; that errs to
// the strict side, since the state moves on from the later of the two.
func (r *rules) spend(ns, n int64, above float64) (tat int64, ok, done bool) {
	if len(r.buckets) != 1 {
		return 0, false, false
	}
	b := &r.buckets[0]
	if above > 0 {
		part := b.above(above)
		b = &part
	}
	now := b.at(ns)
	for {
		tat = r.word.Load()
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
		if r.word.CompareAndSwap(tat, next) {
			return next, true, true
		}
	}
}

// lock brings the state behind mu.
func (l *Limiter) lock() {
	l.mu.Lock()
	r := l.current()
	if len(r.buckets) != 1 {
		return
	}
	if tat := r.word.Swap(sealed); tat != sealed {
		l.tats[0] = tat
	}
}

// unlock hands the state back to spend where that can deal with it.
func (l *Limiter) unlock() {
	if r := l.current(); len(r.buckets) == 1 && l.waiters.Len() == 0 {
		r.word.Store(l.tats[0])
	}
	l.mu.Unlock()
}

// take is Take under the lock. As in spend, an instant older than the state errs to the strict side.
func (l *Limiter) take(ns, n int64, above float64) Decision {
	ok := n == 0 || l.fits(ns, n, above)
	if ok && n > 0 {
		l.commit(ns, n)
	}
	return l.decide(ns, n, above, ok)
}

// fits reports whether n events can be taken at ns from every bucket by one who does not wait.
func (l *Limiter) fits(ns, n int64, above float64) bool {
	if l.waiters.Len() > 0 {
		return false
	}
	r := l.current()
	for i := range r.buckets {
		b := r.buckets[i].above(above)
		if !b.fits(n) {
			return false
		}
		if _, ok := b.take(l.tats[i], b.at(ns), n); !ok {
			return false
		}
	}
	return len(r.buckets) > 0 || r.open && n > 0
}

// commit takes n events that fit at ns from every bucket. Nothing can have changed since they were found to fit: the
// caller has held the lock all the time, or is at the front of the queue.
func (l *Limiter) commit(ns, n int64) {
	buckets := l.current().buckets
	for i := range buckets {
		l.tats[i] = buckets[i].charge(l.tats[i], buckets[i].at(ns), n)
	}
}

// decide describes the limit that allows least: the one that is longest in the way or else has least left.
func (l *Limiter) decide(ns, n int64, above float64, ok bool) Decision {
	r := l.current()
	if len(r.buckets) == 0 {
		return r.constant(n, ok)
	}
	var least Decision
	for i := range r.buckets {
		b := r.buckets[i].above(above)
		d := b.decide(l.tats[i], ns, n, l.ahead, ok)
		if i == 0 || d.RetryAfter > least.RetryAfter ||
			d.RetryAfter == least.RetryAfter && d.Remaining < least.Remaining {
			least = d
		}
	}
	return least
}

// constant describes the limiters that have no bucket.
func (r *rules) constant(n int64, ok bool) Decision {
	d := Decision{OK: ok, N: n}
	if r.open {
		d.Limit, d.Remaining = Inf, Inf.Burst
	}
	if !ok {
		d.RetryAfter = Never
	}
	return d
}
