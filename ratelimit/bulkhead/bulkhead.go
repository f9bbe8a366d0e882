package bulkhead

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redoubt-go/redoubt/internal/outbox"
)

// A Bulkhead limits the number of callers that are inside at once. [New] makes
// a Bulkhead. It must not be copied. All methods may be called concurrently.
type Bulkhead struct {
	cfg      atomic.Pointer[Config]
	adaptive atomic.Pointer[adaptive] // nil for a fixed limit
	epoch    time.Time

	// word is twice the number of places in use, plus 1 while callers wait.
	// While it is odd, only holders of mu increase it.
	_     [64]byte
	word  atomic.Int64
	limit atomic.Int64
	_     [48]byte

	mu      sync.Mutex
	queue   queue
	figures Stats
	events  outbox.Outbox[Event]
}

// waiting is the flag in word.
const waiting = 1

// New returns an empty Bulkhead. It panics with the error of [Config.Validate],
// if any.
func New(c Config) *Bulkhead {
	b := &Bulkhead{epoch: time.Now()}
	if err := b.Set(c); err != nil {
		panic(err)
	}
	return b
}

// Set replaces the configuration of b.
//
//	kept:    callers inside, waiting callers and their order, counters
//	applied: Limit and MaxQueue immediately, without refusing a waiting caller
//	         except if it asks for more than Limit; MaxWait, Weight and
//	         priorities to the next caller; the others to the next decision
//	reset:   an adaptive limit and its measurements, if Adaptive or Limit
//	         changes; otherwise only MinLimit and MaxLimit are applied to it
//
// Errors: the error of [Config.Validate]; b is unchanged then.
func (b *Bulkhead) Set(c Config) error {
	if err := c.Validate(); err != nil {
		return err
	}
	c = c.withDefaults()
	b.mu.Lock()
	old, a := b.cfg.Swap(&c), b.adaptive.Load()
	limit := c.Limit
	switch {
	case !c.Adaptive:
		a = nil
	case old == nil || a == nil || old.Limit != c.Limit:
		a = newAdaptive(&c)
	default:
		limit = a.bound(c.MinLimit, c.MaxLimit)
	}
	b.adaptive.Store(a)
	b.change(context.Background(), limit)
	b.mu.Unlock()
	b.deliver()
	return nil
}

// Config returns the configuration of b, with the defaults in place of zeros.
// [Bulkhead.Limit] returns the limit in force.
func (b *Bulkhead) Config() Config { return *b.cfg.Load() }

// change sets the limit. The caller holds mu, and calls deliver after it.
func (b *Bulkhead) change(ctx context.Context, limit int) {
	old := int(b.limit.Swap(int64(limit)))
	b.word.Or(waiting) // new callers have to lock mu
	b.grant()
	if old != 0 && limit != old {
		b.post(ctx, Event{Kind: KindLimit, Limit: limit, Old: old})
	}
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
	if !ok {
		b.missed()
	}
	return &p, ok
}

func (b *Bulkhead) missed() {
	if a := b.adaptive.Load(); a != nil {
		a.missed()
	}
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
	p := Permit{b: b, n: int64(n), adaptive: b.adaptive.Load()}
	if p.adaptive != nil {
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
	b.missed()
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
	return b.queue.len
}

// Limit returns the current limit.
func (b *Bulkhead) Limit() int { return int(b.limit.Load()) }

// A Permit holds places of a [Bulkhead]. Its methods may be called
// concurrently, and only the first call has an effect. It must not be copied.
type Permit struct {
	b        *Bulkhead
	n        int64
	adaptive *adaptive
	start    time.Duration
	done     uint32
}

// Release returns the places. It is no measurement for an adaptive limit.
func (p *Permit) Release() {
	if p.end() {
		p.b.release(p.n)
	}
}

// Done returns the places. For an adaptive limit, it measures the time since
// the permit was acquired, and classifies the error of the work by
// Config.Classify. A nil error is an [OutcomeSuccess].
func (p *Permit) Done(err error) {
	if !p.end() {
		return
	}
	f := p.figure()
	p.b.release(p.n) // first: Classify may panic
	if p.adaptive == nil {
		return
	}
	outcome := OutcomeSuccess
	if err != nil {
		outcome = p.b.cfg.Load().Classify(err)
	}
	p.b.measure(p.adaptive, f, outcome)
}

// Report is [Permit.Done] with an outcome that the caller knows.
func (p *Permit) Report(o Outcome) {
	if p.end() {
		f := p.figure()
		p.b.release(p.n)
		p.b.measure(p.adaptive, f, o)
	}
}

// end reports whether this is the first call.
func (p *Permit) end() bool { return p.b != nil && atomic.SwapUint32(&p.done, 1) == 0 }

// figure measures the call, if the limit is adaptive.
func (p *Permit) figure() (f figure) {
	if p.adaptive != nil {
		now := time.Now()
		f = figure{start: p.start, now: now.Sub(p.b.epoch), n: int(p.n), inflight: p.b.Inflight()}
		f.wall = time.Duration(now.UnixNano())
	}
	return f
}

// measure gives f to a, and applies the limit of a if it is still in use.
func (b *Bulkhead) measure(a *adaptive, f figure, o Outcome) {
	if a == nil || o == OutcomeIgnored {
		return
	}
	f.dropped = o == OutcomeDropped
	limit := a.add(f)
	if int64(limit) == b.limit.Load() {
		return
	}
	b.mu.Lock()
	if b.adaptive.Load() == a {
		b.change(context.Background(), a.current())
	}
	b.mu.Unlock()
	b.deliver()
}

func (b *Bulkhead) release(n int64) {
	if b.word.Add(-2*n)&waiting == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.word.Or(waiting) // the last waiter may have left meanwhile
	b.grant()
}
