package bulkhead

import (
	"container/list"
	"context"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redoubt-go/redoubt/internal/outbox"
)

// A Bulkhead limits the number of callers that are inside at once. [New] makes
// a Bulkhead. It must not be copied. All methods may be called concurrently.
type Bulkhead struct {
	cfg   Config
	epoch time.Time

	// word is twice the number of places in use, plus 1 while callers wait.
	// While it is even, it changes by compare-and-swap. While it is odd, it
	// changes only under mu.
	_     [64]byte
	word  atomic.Int64
	limit atomic.Int64
	_     [48]byte

	mu      sync.Mutex
	queues  [priorities]list.List // of *waiter, by level
	queued  int
	calm    time.Duration // when a caller last entered within Target, or the queue was empty
	figures Stats
	meter   meter
	events  outbox.Outbox[Event]
}

// waiting is the flag in word.
const waiting = 1

// New returns an empty Bulkhead. It panics with the error of [Config.Validate],
// if any.
func New(c Config) *Bulkhead {
	if err := c.Validate(); err != nil {
		panic(err)
	}
	b := &Bulkhead{cfg: c.withDefaults(), epoch: time.Now()}
	if b.cfg.Algorithm != nil {
		b.cfg.Limit = min(max(b.cfg.Limit, b.cfg.MinLimit), b.cfg.MaxLimit)
	}
	b.limit.Store(int64(b.cfg.Limit))
	return b
}

// Acquire waits for a place, and returns a permit that must be released. The
// priority of ctx decides the order. If Acquire returns an error, the permit
// holds no place, and releasing it has no effect.
//
// Errors: if ctx is done first, the error matches ctx.Err and [context.Cause].
// If the bulkhead refuses the caller, it is a *[FullError].
func (b *Bulkhead) Acquire(ctx context.Context) (*Permit, error) {
	p, err := b.acquire(ctx, 1)
	return &p, err // inlined, so that it need not be allocated
}

// AcquireN is [Bulkhead.Acquire] for n places, which are acquired together.
//
// Errors: see [Bulkhead.Acquire]. If n < 1 or n exceeds the limit, AcquireN
// immediately returns a *[FullError] that is not Retryable.
func (b *Bulkhead) AcquireN(ctx context.Context, n int) (*Permit, error) {
	p, err := b.acquire(ctx, n)
	return &p, err
}

// TryAcquire acquires a place without waiting, and reports whether it could.
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

// Inflight returns the number of places in use.
func (b *Bulkhead) Inflight() int { return int(b.word.Load() >> 1) }

// Queued returns the number of waiting callers.
func (b *Bulkhead) Queued() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.queued
}

// Limit returns the current limit.
func (b *Bulkhead) Limit() int { return int(b.limit.Load()) }

// SetLimit changes the limit, to at least 1 and at most 2^30. Callers inside
// are not affected. If the limit shrinks, waiting callers enter only when
// enough others have left; if it grows, they enter immediately. An Algorithm
// continues from the new limit.
func (b *Bulkhead) SetLimit(n int) { b.setLimit(context.Background(), n) }

func (b *Bulkhead) setLimit(ctx context.Context, n int) {
	n = min(max(n, 1), maxCount)
	b.mu.Lock()
	old := b.Limit()
	b.limit.Store(int64(n))
	b.word.Or(waiting) // new callers have to lock mu
	b.grant()
	if n != old {
		b.post(ctx, Event{Kind: KindLimit, Limit: n, Old: old})
	}
	b.mu.Unlock()
	b.deliver()
}

// A Permit holds places of a [Bulkhead]. Its methods may be called
// concurrently, and only the first call has an effect. It must not be copied.
type Permit struct {
	b     *Bulkhead
	n     int64
	start time.Duration
	done  uint32
}

// Release returns the places. It is no measurement for an Algorithm.
func (p *Permit) Release() {
	if p.end() {
		p.b.release(p.n)
	}
}

// Done returns the places. For an Algorithm, it measures the time since the
// permit was acquired, and classifies the error of the work by Config.Classify.
// A nil error is an [OutcomeSuccess].
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
	outcome := OutcomeSuccess
	if err != nil {
		outcome = b.cfg.Classify(err)
	}
	if outcome != OutcomeIgnored {
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
	b.word.Or(waiting) // the last waiter may have left meanwhile
	b.grant()
}

// grant admits waiting callers while there is room. If none is left, it clears
// the flag, so that callers need no lock. The caller holds mu and has set the
// flag.
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
