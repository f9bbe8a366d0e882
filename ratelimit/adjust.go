package ratelimit

import "time"

// Charge takes n events whether they are allowed or not, for what is known only afterwards: bytes sent, tokens of a
// language model. The limits go into debt if need be, and refuse until it is paid off. A debt is cut where paying it
// takes decades. Callers that wait go on waiting longer. Nothing is taken for an n that is not positive. The result is
// what [Limiter.Peek] returns afterwards.
func (l *Limiter) Charge(n int64) Decision {
	l.lock()
	defer l.unlock()
	ns := l.elapsed()
	l.charge(ns, n)
	return l.decide(ns, 1, 0, l.fits(ns, 1, 0))
}

func (l *Limiter) charge(ns, n int64) {
	l.commit(ns, n)
	l.promote(ns)
}

// Credit gives n events back, for what was taken and not used. There is never more than the burst. Nothing is given
// back for an n that is not positive.
func (l *Limiter) Credit(n int64) {
	l.adjust(func(b *bucket, tat, ns int64) int64 { return b.credit(tat, b.at(ns), n) })
}

// Penalize takes all events there are, and keeps the limits empty for d: the first event is back one interval of the
// rate after that. A limit without rate stays empty. A debt that lasts longer is not shortened, and a negative d
// changes nothing.
func (l *Limiter) Penalize(d time.Duration) {
	if d < 0 {
		return
	}
	l.adjust(func(b *bucket, tat, ns int64) int64 { return b.penalize(tat, ns+min(int64(d), maxUnits)) })
}

// adjust moves every tat, and tells the waiter at the front.
func (l *Limiter) adjust(move func(b *bucket, tat, ns int64) int64) {
	l.lock()
	defer l.unlock()
	ns := l.elapsed()
	buckets := l.current().buckets
	for i := range buckets {
		l.tats[i] = move(&buckets[i], l.tats[i], ns)
	}
	l.promote(ns)
}

// Set replaces the limits in one step. The first finite limit goes on with the tokens, or the debt, of the first finite
// one before, the second with those of the second, as far as the new bursts reach; a limit that has no predecessor
// begins full. No event is lost or admitted twice meanwhile. Callers that wait keep their places; those whose turn can
// never come now fail when they are next. Reservations made before have nothing to give back. The zero Limiter stays as
// it is.
func (l *Limiter) Set(limits ...Limit) {
	if l.epoch.IsZero() {
		return
	}
	r := newRules(limits)
	r.word.Store(sealed)
	l.lock()
	defer l.unlock()
	ns, old := l.elapsed(), l.current()
	tats := make([]int64, len(r.buckets))
	for i := range tats {
		tats[i] = full
		if i < len(old.buckets) {
			tats[i] = r.buckets[i].inherit(&old.buckets[i], l.tats[i], ns)
		}
	}
	l.tats, l.promises, l.held = tats, nil, nil
	l.rules.Store(r)
	l.promote(ns)
}

// A View of a Limiter leaves part of its bursts to others, and so gives way to them: see [Limiter.Above].
type View struct {
	limiter *Limiter
	part    float64
}

// Above returns a View that may take only the events above part of each burst, from 0 for all to 1 for none. Callers
// of low priority that use it are refused first, while the rest remains for those who use l. The rate is shared.
func (l *Limiter) Above(part float64) *View {
	if !(part >= 0) { // a NaN too
		part = 0
	}
	return &View{l, min(part, 1)}
}

// Allow is [Limiter.Allow] within the view.
func (v *View) Allow() bool { return v.AllowN(1) }

// AllowN is [Limiter.AllowN] within the view.
func (v *View) AllowN(n int64) bool { return v.limiter.allow(v.limiter.elapsed(), n, v.part) }

// Take is [Limiter.Take] within the view: Remaining and RetryAfter say what the view may take, and when.
func (v *View) Take(n int64) Decision { return v.limiter.takeAbove(n, v.part) }
