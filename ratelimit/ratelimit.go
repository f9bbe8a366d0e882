package ratelimit

import (
	"container/list"
	"context"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redoubt-go/redoubt/internal/outbox"
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
	// The first cache line is read by all callers and seldom written. The
	// counters have cache lines without anything that all callers read.
	epoch time.Time // instants are nanoseconds since epoch
	rules atomic.Pointer[rules]
	tats  []int64 // of each bucket; like the following, guarded by mu
	ahead int64   // the sum of the events of the waiters

	allowed atomic.Uint64
	mu      sync.Mutex
	waiters list.List // of *waiter; only the first may take events
	history history   // the reservations
	events  outbox.Outbox[Event]
	_       [32]byte
	refused atomic.Uint64
}

// rules are a configuration of a Limiter until Set replaces it.
//
// The state of a single bucket lives in word, alone on its cache line, and
// changes by compare-and-swap. A caller that holds mu has sealed word, and
// the state lives in tats; while callers wait or reservations are open, it
// stays there. The state of several buckets always lives in tats. The word of
// replaced rules stays sealed, so that no caller uses it again.
type rules struct {
	config  Config   // with defaults filled in
	buckets []bucket // of the finite limits
	open    bool     // all limits are infinite

	_    [64]byte
	word atomic.Int64
	_    [56]byte
}

// sealed in word means that the state is in tats. No tat is that large.
const sealed = math.MaxInt64

// none are the rules of the zero Limiter.
var none rules

// New returns a Limiter with the given limits. It is [NewLimiter] for the
// common case.
func New(limits ...Limit) *Limiter { return NewLimiter(Config{Limits: limits}) }

// NewLimiter returns a Limiter that admits events that all limits of c admit.
// It panics with the error of [Config.Validate], if any.
//
// A Limiter that is made outside a testing/synctest bubble must not be used
// inside, where the time starts in the year 2000: it refuses events.
func NewLimiter(c Config) *Limiter {
	if err := c.Validate(); err != nil {
		panic(err)
	}
	l := &Limiter{epoch: time.Now()}
	r := newRules(c)
	for i := range r.buckets {
		tat := int64(full)
		if c.StartEmpty {
			tat = r.buckets[i].penalize(full, 0)
		}
		l.tats = append(l.tats, tat)
		r.word.Store(tat)
	}
	l.rules.Store(r)
	return l
}

func newRules(c Config) *rules {
	r := &rules{config: c.withDefaults(), open: true}
	for _, l := range r.config.Limits {
		if l.Name == "" {
			l.Name = c.Name
		}
		if !l.infinite() {
			r.buckets, r.open = append(r.buckets, newBucket(l)), false
		}
	}
	return r
}

// current returns the rules in force.
func (l *Limiter) current() *rules {
	if r := l.rules.Load(); r != nil {
		return r
	}
	return &none
}

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
func (l *Limiter) Take(n int64) Decision {
	d := l.take(l.elapsed(), n, 0)
	l.report(context.Background(), d)
	return d
}

// Peek returns the result of Take(1), and takes nothing.
func (l *Limiter) Peek() Decision {
	ns := l.begin()
	defer l.unseal()
	return l.peek(ns)
}

func (l *Limiter) peek(ns int64) Decision { return l.decide(ns, 1, 0, l.fits(ns, 1, 0)) }

// Tokens returns the number of events that are available now, including a
// fraction. It is the least of all limits, and [math.Inf](1) if all limits are
// infinite. Events of callers that wait are not subtracted.
func (l *Limiter) Tokens() float64 {
	ns := l.begin()
	defer l.unseal()
	tokens := 0.0
	if l.current().open {
		tokens = math.Inf(1)
	}
	buckets := l.current().buckets
	for i := range buckets {
		b := &buckets[i]
		if n := math.Ldexp(float64(l.left(i, b, ns)), -int(b.frac)); i == 0 || n < tokens {
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
// to pay is cut. Waiting callers wait longer, and reservations keep their
// instants. If n <= 0, Charge takes nothing.
// It returns the result of [Limiter.Peek] afterwards.
func (l *Limiter) Charge(n int64) Decision {
	ns := l.begin()
	defer l.unseal()
	l.commit(ns, n)
	l.promote(ns)
	return l.peek(ns)
}

// Credit returns n events that were taken but not used. The limits never hold
// more than their bursts. If n <= 0, Credit returns nothing.
func (l *Limiter) Credit(n int64) {
	ns := l.begin()
	defer l.unseal()
	l.change(func(b *bucket) stretch { return b.returned(b.at(ns), n) })
	l.promote(ns)
}

// Penalize takes all available events and keeps the limits empty for d. The
// first event comes back an interval of the rate later. A limit without a rate
// stays empty. Penalize does not shorten a debt that lasts longer. If d < 0, it
// changes nothing. Reservations keep their instants.
func (l *Limiter) Penalize(d time.Duration) {
	if d < 0 {
		return
	}
	ns := l.begin()
	defer l.unseal()
	l.change(func(b *bucket) stretch { return b.emptied(b.at(ns + min(int64(d), maxUnits))) })
	l.promote(ns)
}

// Reset makes all bursts available again. Waiting callers go on in their order
// as far as the bursts reach. Reservations that are not yet due keep their
// instants, and the bursts leave room for them.
func (l *Limiter) Reset() {
	ns := l.begin()
	defer l.unseal()
	l.history.forget()
	for i := range l.tats {
		l.tats[i] = full
	}
	l.promote(ns)
}

// elapsed returns the present instant.
func (l *Limiter) elapsed() int64 { return int64(time.Since(l.epoch)) }

func (l *Limiter) allow(ns, n int64, above float64) bool {
	r := l.current()
	if _, ok, done := r.spend(ns, n, above); done && (ok || r.config.OnEvent == nil) {
		l.count(ok)
		return ok
	}
	d := l.take(ns, n, above)
	l.report(context.Background(), d)
	return d.OK
}

// take takes n events at ns if they fit.
func (l *Limiter) take(ns, n int64, above float64) Decision {
	r := l.current()
	if tat, ok, done := r.spend(ns, n, above); done {
		b := r.buckets[0].above(above)
		return b.decide(tat, ns, n, 0, ok)
	}
	l.seal()
	defer l.unseal()
	l.advance(ns)
	return l.takeSealed(ns, n, above)
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

// unseal moves the state back to word, unless callers wait or reservations are
// open, and unlocks mu.
func (l *Limiter) unseal() {
	if r := l.current(); len(r.buckets) == 1 && l.waiters.Len() == 0 && !l.history.open() {
		r.word.Store(l.tats[0])
	}
	l.mu.Unlock()
}

// begin seals l and returns the present instant. After [Limiter.AllowAt] for a
// later instant, the history can be ahead of it.
func (l *Limiter) begin() int64 {
	l.seal()
	ns := l.elapsed()
	l.advance(ns)
	return ns
}

// advance makes the reservations up to ns past.
func (l *Limiter) advance(ns int64) {
	if l.history.open() {
		l.history.advance(l.tats, l.current().buckets, ns)
	} else {
		l.history.now = ns
	}
}

// change applies a stretch to every bucket.
func (l *Limiter) change(effect func(b *bucket) stretch) {
	buckets := l.current().buckets
	for i := range buckets {
		l.history.change(l.tats, i, effect(&buckets[i]))
	}
}

// commit takes n events at ns from every bucket, allowed or not.
func (l *Limiter) commit(ns, n int64) {
	buckets := l.current().buckets
	for i := range buckets {
		l.history.change(l.tats, i, buckets[i].taken(buckets[i].at(ns), n))
	}
}

// takeSealed is take of a sealed Limiter. As in spend, an instant older than
// the state makes it stricter.
func (l *Limiter) takeSealed(ns, n int64, above float64) Decision {
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
		if !b.fits(n) || b.units(n) > l.left(i, &b, ns) {
			return false
		}
	}
	return len(r.buckets) > 0 || r.open && n > 0
}

// left returns the units that b, bucket i, allows at ns.
func (l *Limiter) left(i int, b *bucket, ns int64) int64 {
	now := b.at(ns)
	return max(0, min(now+b.burst, l.history.next.all(i).room)-max(l.tats[i], now))
}

// earliest returns the earliest instant, not before ns, at which n events fit
// between the reservations, math.MaxInt64 if there is none. After maxHoles
// attempts it returns an instant after all reservations.
func (l *Limiter) earliest(ns, n int64, above float64) int64 {
	r, h := l.current(), &l.history
	buckets := r.buckets
	if len(buckets) == 0 && (n < 0 || !r.open) {
		return math.MaxInt64
	}
	for try := 0; ; try++ {
		due, later := split(h.next, ns, math.MaxUint64)
		then := ns
		for i := range buckets {
			b := buckets[i].above(above)
			tat := due.all(i).after(l.tats[i])
			if x := later.breach(i, max(tat, b.at(ns))+b.units(n)); x != nil {
				then = max(then, x.due)
			}
			then = max(then, b.ready(tat, ns, n, 0))
		}
		if try == maxHoles && later != nil {
			then = max(then, later.final().due)
		}
		h.next = merge(due, later)
		if then == ns || then == math.MaxInt64 {
			return then
		}
		ns = then
	}
}

// decide returns the decision of the strictest limit after the verdict ok.
func (l *Limiter) decide(ns, n int64, above float64, ok bool) Decision {
	r := l.current()
	if r.open {
		d := unlimited(r.config.Limits[0], n)
		d.OK = ok
		return d
	}
	strictest := Decision{OK: ok, N: n}
	for i := range r.buckets {
		b := r.buckets[i].above(above)
		d := b.decide(l.tats[i], ns, n, l.ahead, ok)
		if next := l.history.next; next != nil {
			d.Remaining = min(d.Remaining, l.left(i, &b, ns)>>b.frac)
			d.ResetAfter = b.resetAfter(next.all(i).after(l.tats[i]), ns)
		}
		if i == 0 || d.stricter(&strictest) {
			strictest = d
		}
	}
	if d := &strictest; !ok && d.Retryable && l.history.next != nil {
		d.refuse(ns, max(ns+int64(d.RetryAfter), l.earliest(ns, n, above)))
	}
	return strictest
}

// count counts a request, and report also calls the hook if it was refused.
func (l *Limiter) count(ok bool) {
	if ok {
		l.allowed.Add(1)
	} else {
		l.refused.Add(1)
	}
}

func (l *Limiter) report(ctx context.Context, d Decision) {
	l.count(d.OK)
	c := &l.current().config
	if d.OK || c.OnEvent == nil {
		return
	}
	l.events.Post(ctx, Event{Kind: KindRefused, Name: c.Name, Decision: d})
	deliver(&l.events, c.OnEvent)
}
