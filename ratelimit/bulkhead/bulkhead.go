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
	h, err := b.acquire(ctx, 1)
	return &Permit{held: h}, err // inlined, so that it need not be allocated
}

// AcquireN is [Bulkhead.Acquire] for n places, which are acquired together.
//
// Errors: see [Bulkhead.Acquire]. If n < 1 or n exceeds the limit, AcquireN
// immediately returns a *[FullError] that is not Retryable.
func (b *Bulkhead) AcquireN(ctx context.Context, n int) (*Permit, error) {
	h, err := b.acquire(ctx, n)
	return &Permit{held: h}, err
}

// TryAcquire acquires a place without waiting, and reports whether it could.
func (b *Bulkhead) TryAcquire() (*Permit, bool) {
	h, ok := b.tryAcquire()
	return &Permit{held: h}, ok
}

func (b *Bulkhead) tryAcquire() (held, bool) {
	if b.try(1) {
		return b.hold(1), true
	}
	b.missed()
	return held{}, false
}

func (b *Bulkhead) missed() {
	if a := b.adaptive.Load(); a != nil {
		a.missed()
	}
}

func (b *Bulkhead) try(n int) bool {
	for {
		w := b.word.Load()
		if w&waiting != 0 || n < 1 || int64(n) > b.limit.Load()-w>>1 {
			return false
		}
		if b.word.CompareAndSwap(w, w+2*int64(n)) {
			return true
		}
	}
}

// A held is the content of a permit. It has four words, so that it is returned
// in registers.
type held struct {
	b        *Bulkhead // nil if it holds nothing
	n        int64     // places
	adaptive *adaptive // the limit that measures the call, if any
	start    time.Duration
}

func (b *Bulkhead) hold(n int) held {
	if a := b.adaptive.Load(); a != nil {
		return held{b, int64(n), a, b.elapsed()}
	}
	return held{b, int64(n), nil, 0}
}

func (b *Bulkhead) elapsed() time.Duration { return time.Since(b.epoch) }

func (b *Bulkhead) acquire(ctx context.Context, n int) (held, error) {
	if ctx.Err() != nil {
		return held{}, cancelled(ctx)
	}
	if b.try(n) {
		return b.hold(n), nil
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
		return held{}, err
	}
	return b.hold(n), nil
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
	held
	done atomic.Uint32 // go vet reports copies
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
	if p.end() {
		p.finish(func() Outcome {
			if err == nil {
				return OutcomeSuccess
			}
			return p.b.cfg.Load().Classify(err)
		})
	}
}

// Report is [Permit.Done] with an outcome that the caller knows.
func (p *Permit) Report(o Outcome) {
	if p.end() {
		p.finish(func() Outcome { return o })
	}
}

// finish returns the places before it calls outcome, which may panic.
func (p *Permit) finish(outcome func() Outcome) {
	if p.adaptive == nil {
		p.b.release(p.n)
		return
	}
	f := p.figure()
	p.b.release(p.n)
	p.b.measure(p.adaptive, f, outcome())
}

// end reports whether this is the first call.
func (p *Permit) end() bool { return p.b != nil && p.done.Swap(1) == 0 }

// figure measures the call.
func (p *Permit) figure() figure {
	now := time.Now()
	return figure{
		start: p.start, now: now.Sub(p.b.epoch), wall: time.Duration(now.UnixNano()),
		n: int(p.n), inflight: p.b.Inflight(),
	}
}

// measure gives f to a, and applies the limit of a if it is still in use.
func (b *Bulkhead) measure(a *adaptive, f figure, o Outcome) {
	if o == OutcomeIgnored {
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
