package bulkhead

import (
	"container/list"
	"context"
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// A Bulkhead limits how many callers are inside at once. Make one with [New]; it must not be copied.
type Bulkhead struct {
	cfg   Config
	epoch time.Time

	// word is twice the number inside, plus 1 while callers wait. While it is even it moves by compare-and-swap, and
	// only under mu otherwise.
	_     [64]byte
	word  atomic.Int64
	limit atomic.Int64
	_     [48]byte

	mu      sync.Mutex
	queues  [priorities]list.List // of *waiter, by level
	queued  int
	calm    time.Duration // when somebody last got in within Target, or the queue was empty
	figures Stats
	meter   meter
	events  notifier
}

// waiting is the flag in word.
const waiting = 1

// New returns a Bulkhead that nobody is inside of. It panics with the error of [Config.Validate] if there is one.
func New(c Config) *Bulkhead {
	if err := c.Validate(); err != nil {
		panic(err)
	}
	b := &Bulkhead{cfg: c.withDefaults(), epoch: time.Now()}
	if b.cfg.Algorithm != nil {
		b.cfg.Limit = min(max(b.cfg.Limit, b.cfg.MinLimit), b.cfg.MaxLimit)
	}
	b.limit.Store(int64(b.cfg.Limit))
	b.events.hook = c.OnEvent
	return b
}

// Acquire waits until there is room, and returns a permit that must be released. The priority of ctx decides who comes
// first. When ctx is done, nothing is acquired, and the error matches both ctx.Err and [context.Cause]. Otherwise it is
// a *[FullError]: the queue is full, or the wait took too long. A permit that comes with an error may be released too.
func (b *Bulkhead) Acquire(ctx context.Context) (*Permit, error) {
	p, err := b.acquire(ctx, 1)
	return &p, err // inlined, so that it need not be allocated
}

// AcquireN is [Bulkhead.Acquire] for a caller that counts as n, at least 1. For more than the limit the error, at once,
// is a *[FullError] that no waiting can help.
func (b *Bulkhead) AcquireN(ctx context.Context, n int) (*Permit, error) {
	p, err := b.acquire(ctx, n)
	return &p, err
}

// TryAcquire is [Bulkhead.Acquire] without waiting: it reports whether there was room.
func (b *Bulkhead) TryAcquire() (*Permit, bool) {
	p, ok := b.try(1)
	return &p, ok
}

func (b *Bulkhead) try(n int) (Permit, bool) {
	for {
		w := b.word.Load()
		if w&waiting != 0 || n < 1 || int64(n) > b.limit.Load()-w>>1 {
			return Permit{}, false
		}
		if b.word.CompareAndSwap(w, w+2*int64(n)) {
			return b.permit(n), true
		}
	}
}

func (b *Bulkhead) permit(n int) Permit {
	p := Permit{b: b, n: int64(n)}
	if b.cfg.Algorithm != nil {
		p.start = b.elapsed()
	}
	return p
}

func (b *Bulkhead) elapsed() time.Duration { return time.Since(b.epoch) }

func (b *Bulkhead) acquire(ctx context.Context, n int) (Permit, error) {
	if ctx.Err() != nil {
		return Permit{}, cancelled(ctx)
	}
	if p, ok := b.try(n); ok {
		return p, nil
	}
	w, err := b.enqueue(ctx, n)
	if err == nil && w != nil {
		err = b.wait(ctx, w)
	}
	if err != nil {
		if full, ok := err.(*FullError); ok {
			b.refused(ctx, full)
		}
		return Permit{}, err
	}
	return b.permit(n), nil
}

// Inflight returns the sum of what callers inside count.
func (b *Bulkhead) Inflight() int { return int(b.word.Load() >> 1) }

// Queued returns the number of callers that wait.
func (b *Bulkhead) Queued() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.queued
}

// Limit returns the present limit.
func (b *Bulkhead) Limit() int { return int(b.limit.Load()) }

// SetLimit changes the limit, to at least 1. Nobody inside is disturbed: below a limit that shrinks, the next get in
// when enough have left. If it grows, as many get in as there is new room for. An algorithm goes on from there.
func (b *Bulkhead) SetLimit(n int) { b.setLimit(context.Background(), n) }

func (b *Bulkhead) setLimit(ctx context.Context, n int) {
	n = min(max(n, 1), maxCount)
	b.mu.Lock()
	old := b.Limit()
	b.limit.Store(int64(n))
	b.word.Or(waiting) // whoever comes now finds the lock
	b.grant()
	if n != old {
		b.events.post(ctx, Event{Kind: KindLimit, Name: b.cfg.Name, Limit: n, Old: old})
	}
	b.mu.Unlock()
	b.events.deliver()
}

// A Permit is a place inside. Its methods may be called at the same time; all but the first call do nothing. It must
// not be copied.
type Permit struct {
	b     *Bulkhead
	n     int64
	start time.Duration
	done  uint32
}

// Release gives the place back. An algorithm learns nothing from it.
func (p *Permit) Release() {
	if p.end() {
		p.b.release(p.n)
	}
}

// Done gives the place back, and tells the algorithm how long it was taken and, through Config.Classify, what the error
// of the work means. A nil error is a success.
func (p *Permit) Done(err error) {
	if p.end() {
		p.b.finish(p, err)
	}
}

// end reports whether this is the first call.
func (p *Permit) end() bool { return p.b != nil && atomic.SwapUint32(&p.done, 1) == 0 }

func (b *Bulkhead) finish(p *Permit, err error) {
	if b.cfg.Algorithm == nil {
		b.release(p.n)
		return
	}
	now, inflight := b.elapsed(), b.Inflight()
	b.release(p.n) // first: Classify may panic
	outcome := Success
	if err != nil {
		outcome = b.cfg.Classify(err)
	}
	if outcome != Ignored {
		b.measure(now, now-p.start, inflight, outcome)
	}
}

func (b *Bulkhead) release(n int64) {
	for {
		w := b.word.Load()
		if w&waiting != 0 {
			break
		}
		if b.word.CompareAndSwap(w, w-2*n) {
			return
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.word.Add(-2 * n)
	b.word.Or(waiting) // the last waiter may have left in the meantime
	b.grant()
}

// grant lets in those at the front as far as there is room, and opens the way without lock if nobody waits. The caller
// holds mu and has set the flag.
func (b *Bulkhead) grant() {
	for e, q := b.front(); e != nil; e, q = b.front() {
		w := e.Value.(*waiter)
		err := b.verdict(w)
		if err == nil && b.word.Load()>>1+w.n > b.limit.Load() {
			break
		}
		b.remove(q, e)
		if err == nil {
			b.word.Add(2 * w.n)
			w.answer <- nil
		} else {
			w.answer <- err
		}
	}
	if b.queued == 0 {
		b.calm = math.MinInt64
		b.word.And(^waiting)
	}
}
