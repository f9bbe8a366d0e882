package bulkhead

import (
	"container/list"
	"context"
	"math"
	"time"
)

// A waiter is a caller in the queue.
type waiter struct {
	n      int64
	level  int
	flow   *flow
	since  time.Duration
	answer chan error    // receives nil with the places, or a refusal
	elem   *list.Element // in flow; nil once the answer is sent; guarded by mu
}

// A queue contains the waiting callers, and measures how fast they enter. The
// mutex of the bulkhead guards it.
type queue struct {
	levels [priorities]level
	len    int
	places int64         // that the waiters ask for
	got    float64       // places that waiters got, the latest count most
	took   float64       // the nanoseconds in which they got them, likewise
	latest time.Duration // when a waiter last entered, or the first waiter came
	calm   time.Duration // when a caller last entered within Target, or the queue was empty
}

func (q *queue) push(w *waiter, f *flow) {
	if q.len == 0 {
		q.latest, q.calm = w.since, w.since
	}
	q.levels[w.level].push(w, f)
	q.len++
	q.places += w.n
}

func (q *queue) remove(w *waiter) {
	q.levels[w.level].remove(w)
	q.len--
	q.places -= w.n
}

// next returns the next waiter, or nil.
func (q *queue) next() *waiter {
	for i := range q.levels {
		if w := q.levels[i].next(); w != nil {
			return w
		}
	}
	return nil
}

// entered notes that w entered. Places may become free together, so the memory
// of the pace is several times the limit.
func (q *queue) entered(w *waiter, now time.Duration, limit int) {
	w.flow.deficit -= w.n
	n := float64(w.n)
	keep := math.Exp(-n / float64(max(8, 4*limit)))
	q.got, q.took = q.got*keep+n, q.took*keep+float64(now-q.latest)
	q.latest = now
}

// pace returns the nanoseconds for each place that waiters get, or 0.
func (q *queue) pace() float64 { return q.took / max(q.got, 1) }

// enqueue returns a waiter, or an error if the queue is full. It returns
// neither if places were free after all, and then has acquired them.
func (b *Bulkhead) enqueue(ctx context.Context, n int) (*waiter, error) {
	cfg := b.cfg.Load()
	level, tenant, weight := PriorityFrom(ctx).level(), TenantFrom(ctx), 1
	if cfg.Weight != nil {
		if weight = cfg.Weight(tenant); weight <= 0 {
			tenant, weight = "", 1
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.word.Or(waiting)
	defer b.grant() // clears the flag if no caller waits
	if n < 1 || int64(n) > b.largest() {
		return nil, b.full(ReasonTooLarge, 0)
	}
	if b.queue.len == 0 && b.fits(int64(n)) {
		b.word.Add(2 * int64(n))
		return nil, nil
	}
	f := b.queue.levels[level].flow(tenant, int64(weight))
	if b.queue.len >= cfg.MaxQueue && !b.displace(level, f) {
		return nil, b.full(ReasonQueue, n)
	}
	w := &waiter{n: int64(n), level: level, since: b.elapsed(), answer: make(chan error, 1)}
	b.queue.push(w, f)
	return w, nil
}

// displace refuses a waiter in favor of a caller of f: of a lower level, or of
// a tenant of the same level that has more waiters. It reports whether there
// was such a waiter.
func (b *Bulkhead) displace(level int, f *flow) bool {
	for i := priorities - 1; i >= level; i-- {
		own := f
		if i > level {
			own = nil
		}
		if w := b.queue.levels[i].last(own); w != nil {
			b.queue.remove(w)
			w.answer <- b.full(ReasonQueue, int(w.n))
			return true
		}
	}
	return false
}

// largest returns the most places that a caller may ask for.
func (b *Bulkhead) largest() int64 {
	if b.adaptive.Load() != nil {
		return int64(b.cfg.Load().MaxLimit)
	}
	return b.limit.Load()
}

// fits reports whether n places are free. A caller that asks for more than an
// adaptive limit enters alone.
func (b *Bulkhead) fits(n int64) bool {
	inside, limit := b.word.Load()>>1, b.limit.Load()
	return inside+n <= limit || inside == 0 && n <= b.largest()
}

// grant admits waiting callers while there is room. If none is left, it clears
// the flag, so that callers need no lock. The caller holds mu and has set the
// flag.
func (b *Bulkhead) grant() {
	for w := b.queue.next(); w != nil; w = b.queue.next() {
		var err error
		if w.n > b.largest() {
			err = b.full(ReasonTooLarge, 0)
		} else if !b.fits(w.n) {
			return
		} else if now := b.elapsed(); b.late(w, now) {
			err = b.full(ReasonShed, int(w.n))
		} else {
			b.queue.entered(w, now, b.Limit())
			b.word.Add(2 * w.n)
		}
		b.queue.remove(w)
		w.answer <- err
	}
	b.queue.calm = math.MinInt64
	b.word.And(^waiting)
}

// late reports whether w, the next waiter, is to be shed.
func (b *Bulkhead) late(w *waiter, now time.Duration) bool {
	cfg := b.cfg.Load()
	if cfg.Target <= 0 {
		return false
	}
	if now-w.since <= cfg.Target {
		b.queue.calm = now
		return false
	}
	return now-b.queue.calm > cfg.Interval && b.queue.len > 1
}

// wait waits for the answer to w. If w gives up first, wait removes it.
func (b *Bulkhead) wait(ctx context.Context, w *waiter) error {
	var late <-chan time.Time
	if wait := b.cfg.Load().MaxWait; wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		late = timer.C
	}
	select {
	case err := <-w.answer:
		return err
	case <-late:
		return b.leave(w, func() error { return b.full(ReasonWait, int(w.n)) })
	case <-ctx.Done():
		err := b.leave(w, func() error { return cancelled(ctx) })
		if err == nil { // admitted at the same moment: pass the places on
			b.release(w.n)
			err = cancelled(ctx)
		}
		return err
	}
}

// leave removes w and returns the result of err. If w already has an answer, it
// returns the answer.
func (b *Bulkhead) leave(w *waiter, err func() error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if w.elem == nil {
		return <-w.answer
	}
	b.queue.remove(w)
	b.grant() // the waiters behind w may need fewer places
	return err()
}
