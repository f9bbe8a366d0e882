package ratelimit

import (
	"container/list"
	"context"
	"errors"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// A Limiter admits events within its limits, all or nothing: an event that a
// limit refuses is not taken from the others. [New] makes a Limiter; the zero
// Limiter admits nothing. A Limiter must not be copied. All methods may be
// called concurrently.
//
// Allow and Wait are for one event, AllowN and WaitN for n. Take, Reserve,
// Charge and Credit always have a number. If n == 0, the events are always
// allowed, and nothing is taken; if n < 0, they never are.
type Limiter struct {
	epoch time.Time // instants are nanoseconds since epoch
	rules atomic.Pointer[rules]

	mu      sync.Mutex
	tats    []int64   // of each bucket
	waiters list.List // of *waiter; only the first may take events
	ahead   int64     // the sum of the events of the waiters

	promises []int64 // the instants of reservations that were not due when last checked
	held     []hold  // units that cancelled reservations may still return
	shifts   []shift // units that cancelled reservations have returned
	dropped  int     // shifts that were removed from the front of shifts
}

// rules are the limits of a Limiter until SetLimits replaces them.
//
// The state of a single bucket lives in word, alone on its cache line, and
// changes by compare-and-swap. A caller that holds mu has sealed word, and
// the state lives in tats; while callers wait, it stays there. The state of
// several buckets always lives in tats. The word of replaced rules stays
// sealed, so that no caller uses it again.
type rules struct {
	limits  []Limit  // all, with defaults filled in
	buckets []bucket // of the finite limits
	open    bool     // all limits are infinite

	_    [64]byte
	word atomic.Int64
	_    [56]byte
}

// sealed in word means that the state is in tats. No tat is that large.
const sealed = math.MaxInt64

// nothing are the rules of the zero Limiter.
var nothing rules

// New returns a Limiter that admits events that all limits admit. All bursts
// are available. New panics if there is no limit, or if [Limit.Validate]
// returns an error for a limit: the panic value joins these errors.
func New(limits ...Limit) *Limiter {
	if err := validate(limits); err != nil {
		panic(err)
	}
	l := &Limiter{epoch: time.Now()}
	r := newRules(limits)
	for range r.buckets {
		l.tats = append(l.tats, full)
	}
	r.word.Store(full)
	l.rules.Store(r)
	return l
}

func validate(limits []Limit) error {
	if len(limits) == 0 {
		return errors.New("ratelimit: no limit, want at least 1")
	}
	var errs []error
	for _, l := range limits {
		errs = append(errs, l.Validate())
	}
	return errors.Join(errs...)
}

func newRules(limits []Limit) *rules {
	r := new(rules)
	for _, l := range limits {
		l = l.normal()
		r.limits = append(r.limits, l)
		if !l.infinite() {
			r.buckets = append(r.buckets, newBucket(l))
		}
	}
	r.open = len(r.buckets) == 0
	return r
}

// current returns the rules in force.
func (l *Limiter) current() *rules {
	if r := l.rules.Load(); r != nil {
		return r
	}
	return &nothing
}

// Limits returns the limits in force, with defaults filled in.
func (l *Limiter) Limits() []Limit { return slices.Clone(l.current().limits) }

// Allow reports whether an event may happen now. If so, it takes the event.
func (l *Limiter) Allow() bool { return l.allow(l.elapsed(), 1, 0) }

// AllowN reports whether n events may happen now. If so, it takes all of them,
// otherwise none.
func (l *Limiter) AllowN(n int64) bool { return l.allow(l.elapsed(), n, 0) }

// AllowAt is [Limiter.AllowN] at the instant t, to replay recorded events. If t
// is earlier than an admitted event, nothing is gained: the state never moves
// back. The instants should either all have a monotonic clock reading, as
// [time.Now] returns, or all have none. Time stops 73 years before and after
// New. At rates above one event per nanosecond it stops earlier in proportion,
// at 16 events per nanosecond after 2 years.
func (l *Limiter) AllowAt(t time.Time, n int64) bool { return l.allow(since(l.epoch, t), n, 0) }

// Take is [Limiter.AllowN] with the full [Decision].
func (l *Limiter) Take(n int64) Decision { return l.takeAbove(n, 0) }

// Peek returns the result of Take(1), and takes nothing.
func (l *Limiter) Peek() Decision {
	l.seal()
	defer l.unseal()
	ns := l.elapsed()
	return l.decide(ns, 1, 0, l.fits(ns, 1, 0))
}

// Tokens returns the number of events that are available now, including a
// fraction. It is the least of all limits, and [math.Inf](1) if all limits are
// infinite. Events of callers that wait are not subtracted.
func (l *Limiter) Tokens() float64 {
	l.seal()
	defer l.unseal()
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

// Do waits for l and calls fn once.
//
// Errors: the error of [Limiter.Wait], without a call of fn, or the error of
// fn.
func (l *Limiter) Do(ctx context.Context, fn func(context.Context) error) error {
	return do(ctx, l, fn)
}

// Charge takes n events, allowed or not, for amounts that are known only
// afterwards: bytes sent, or tokens of a language model. The limits may go
// into debt, and refuse events until it is paid. A debt that would take decades
// to pay is cut. Waiting callers wait longer. If n <= 0, Charge takes nothing.
// It returns the result of [Limiter.Peek] afterwards.
func (l *Limiter) Charge(n int64) Decision {
	l.seal()
	defer l.unseal()
	ns := l.elapsed()
	l.charge(ns, n)
	return l.decide(ns, 1, 0, l.fits(ns, 1, 0))
}

func (l *Limiter) charge(ns, n int64) {
	l.commit(ns, n)
	l.promote(ns)
}

// Credit returns n events that were taken but not used. The limits never hold
// more than their bursts. If n <= 0, Credit returns nothing.
func (l *Limiter) Credit(n int64) {
	l.adjust(func(b *bucket, tat, ns int64) int64 { return b.credit(tat, b.at(ns), n) })
}

// Penalize takes all available events and keeps the limits empty for d. The
// first event comes back an interval of the rate later. A limit without a rate
// stays empty. Penalize does not shorten a debt that lasts longer. If d < 0, it
// changes nothing.
func (l *Limiter) Penalize(d time.Duration) {
	if d < 0 {
		return
	}
	l.adjust(func(b *bucket, tat, ns int64) int64 { return b.penalize(tat, ns+min(int64(d), maxUnits)) })
}

// adjust moves every tat, and computes the turn of the first waiter again.
func (l *Limiter) adjust(move func(b *bucket, tat, ns int64) int64) {
	l.seal()
	defer l.unseal()
	ns := l.elapsed()
	buckets := l.current().buckets
	for i := range buckets {
		l.tats[i] = move(&buckets[i], l.tats[i], ns)
	}
	l.promote(ns)
}

// Reset makes all bursts available again. Waiting callers go on in their order
// as far as the bursts reach.
func (l *Limiter) Reset() {
	l.seal()
	defer l.unseal()
	for i := range l.tats {
		l.tats[i] = full
	}
	l.promises, l.held = nil, nil
	l.promote(l.elapsed())
}

// SetLimits replaces the limits in one step; no event is lost or admitted twice
// meanwhile.
//
//   - The first finite limit continues with the tokens or the debt of the first
//     finite limit before, and so on, up to the new bursts. A finite limit
//     without a predecessor starts full.
//   - Waiting callers keep their places. A waiting caller whose turn can never
//     come now gets an error when it is the first.
//   - Reservations stay valid, but Cancel and Settle return nothing for them.
//
// Errors: see [New]; the limits do not change. The zero Limiter cannot be
// changed.
func (l *Limiter) SetLimits(limits ...Limit) error {
	if err := validate(limits); err != nil {
		return err
	}
	if l.epoch.IsZero() {
		return errors.New("ratelimit: the zero Limiter cannot be changed, want a Limiter made by New")
	}
	r := newRules(limits)
	r.word.Store(sealed)
	l.seal()
	defer l.unseal()
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
	return nil
}

// elapsed returns the present instant.
func (l *Limiter) elapsed() int64 { return int64(time.Since(l.epoch)) }

func (l *Limiter) allow(ns, n int64, above float64) bool {
	if _, ok, done := l.current().spend(ns, n, above); done {
		return ok
	}
	l.seal()
	defer l.unseal()
	return l.take(ns, n, above).OK
}

func (l *Limiter) takeAbove(n int64, above float64) Decision {
	ns, r := l.elapsed(), l.current()
	if tat, ok, done := r.spend(ns, n, above); done {
		b := &r.buckets[0]
		if above > 0 {
			part := b.above(above)
			b = &part
		}
		return b.decide(tat, ns, n, 0, ok)
	}
	l.seal()
	defer l.unseal()
	return l.take(ns, n, above)
}

// spend takes n events at ns from a single bucket without a lock, and returns
// the tat that its answer is based on. It is not done if the state is in tats.
// Another caller may have moved the state to a later instant meanwhile. Then
// spend is stricter: it continues from the later instant.
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

// seal locks mu and moves the state of a single bucket to tats.
func (l *Limiter) seal() {
	l.mu.Lock()
	r := l.current()
	if len(r.buckets) != 1 {
		return
	}
	if tat := r.word.Swap(sealed); tat != sealed {
		l.tats[0] = tat
	}
}

// unseal moves the state back to word, unless callers wait, and unlocks mu.
func (l *Limiter) unseal() {
	if r := l.current(); len(r.buckets) == 1 && l.waiters.Len() == 0 {
		r.word.Store(l.tats[0])
	}
	l.mu.Unlock()
}

// take is Take of a sealed Limiter. As in spend, an instant older than the
// state makes it stricter.
func (l *Limiter) take(ns, n int64, above float64) Decision {
	ok := n == 0 || l.fits(ns, n, above)
	if ok && n > 0 {
		l.commit(ns, n)
	}
	return l.decide(ns, n, above, ok)
}

// fits reports whether a caller that does not wait can take n events at ns from
// every bucket.
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

// commit takes n events at ns from every bucket, allowed or not.
func (l *Limiter) commit(ns, n int64) {
	buckets := l.current().buckets
	for i := range buckets {
		l.tats[i] = buckets[i].charge(l.tats[i], buckets[i].at(ns), n)
	}
}

// decide returns the decision of the strictest limit after the verdict ok.
func (l *Limiter) decide(ns, n int64, above float64, ok bool) Decision {
	r := l.current()
	if r.open {
		d := unlimited(r.limits[0], n)
		d.OK = ok
		return d
	}
	strictest := Decision{OK: ok, N: n}
	for i := range r.buckets {
		b := r.buckets[i].above(above)
		d := b.decide(l.tats[i], ns, n, l.ahead, ok)
		if i == 0 || d.stricter(&strictest) {
			strictest = d
		}
	}
	return strictest
}
