package ratelimit

import (
	"context"
	"errors"
	"hash/maphash"
	"math/bits"
	"sync"
	"time"

	"github.com/redoubt-go/redoubt/internal/outbox"
	"github.com/redoubt-go/redoubt/internal/quote"
)

// OnFull selects the fate of a new key of a [Keyed] when all slots that the key
// could have belong to keys in debt: keys that have used events which have not
// come back yet.
type OnFull uint8

const (
	// InheritDebt gives the slot of the key with the smallest debt to the new
	// key, which starts with that debt. A key gains nothing when it loses its
	// slot, because it finds at least its debt when it comes back. During a
	// flood of keys that use their bursts, new keys and keys that lost their
	// slots find little or nothing of their bursts.
	InheritDebt OnFull = iota
	// RejectNew refuses the new key until a slot is free. Only Charge and
	// Penalize of a new key still take the slot of another key.
	RejectNew
	// ForgiveDebt gives the slot of the key with the smallest debt to the new
	// key, and forgets the debt. A flood of new keys can evade the limit.
	ForgiveDebt
)

// KeyedConfig configures a [Keyed].
type KeyedConfig struct {
	Name    string // names the Keyed in errors, events and Stats; may be empty
	Limit   Limit  // the limit of each key; required
	MaxKeys int    // keys remembered at once, rounded up to a multiple of 8, 21 bytes each; zero means 65536; at most 2^27
	OnFull  OnFull // the fate of new keys beyond MaxKeys; zero means InheritDebt

	// OnEvent is called with refusals and with keys that lose their slot.
	// OnEvent may be nil. It is called synchronously, outside locks, after the
	// change that the event reports, in the order of the changes. It may call
	// back into this package and must not block.
	OnEvent func(context.Context, Event)
}

const (
	defaultKeys = 1 << 16
	maxKeys     = 1 << 27
	ways        = 8 // slots of a set
)

// Validate returns an error that joins all problems of c.
func (c KeyedConfig) Validate() error {
	p := problems{prefix: "ratelimit: "}
	if c.Name != "" {
		p.prefix += quote.Name(c.Name) + ": "
	}
	if p.add(c.Limit == Limit{}, "Limit is missing"); p.errs == nil {
		p.errs = append(p.errs, c.Limit.validate(p.prefix+"Limit: "))
	}
	p.add(c.MaxKeys < 0 || c.MaxKeys > maxKeys, "MaxKeys is %d, want 0 to %d", c.MaxKeys, maxKeys)
	p.add(c.OnFull > ForgiveDebt, "OnFull is %d, want InheritDebt, RejectNew or ForgiveDebt", c.OnFull)
	return errors.Join(p.errs...)
}

// A Keyed limits each of many keys, such as users or addresses, in a fixed
// amount of memory. It stores a fingerprint of each key, never the key. A key
// whose burst is full again needs no memory. So MaxKeys bounds the number of
// keys in debt. From about half of MaxKeys on, some new keys find no free slot;
// see [OnFull].
//
// A key has the same fingerprint as a remembered key, and then shares its
// limit, with a probability of less than MaxKeys / 2^64. Fingerprints are
// seeded at random, so that clients cannot choose keys that collide. All
// methods may be called concurrently.
type Keyed[K comparable] struct {
	name     string
	epoch    time.Time
	bucket   bucket
	infinite bool
	onFull   OnFull
	seed     maphash.Seed
	sets     []set
	hook     func(context.Context, Event)
	events   outbox.Outbox[Event]
}

// A set contains the slots that a key can have. A slot whose tat has passed is
// free. The floor is the largest tat that ever lost its slot: the largest debt
// that an unknown key can have.
type set struct {
	mu    sync.Mutex
	floor int64
	figures
	prints [ways]uint64
	tats   [ways]int64
}

// NewKeyed returns a Keyed without keys. It panics with the error of
// [KeyedConfig.Validate], if any.
func NewKeyed[K comparable](c KeyedConfig) *Keyed[K] {
	if err := c.Validate(); err != nil {
		panic(err)
	}
	if c.MaxKeys == 0 {
		c.MaxKeys = defaultKeys
	}
	if c.Limit.Name == "" {
		c.Limit.Name = c.Name
	}
	k := &Keyed[K]{
		name: c.Name, epoch: time.Now(), bucket: newBucket(c.Limit), infinite: c.Limit.infinite(), onFull: c.OnFull,
		seed: maphash.MakeSeed(), sets: make([]set, (c.MaxKeys+ways-1)/ways), hook: c.OnEvent,
	}
	for i := range k.sets {
		k.sets[i].floor = full
		for j := range ways {
			k.sets[i].tats[j] = full
		}
	}
	return k
}

func (k *Keyed[K]) elapsed() int64 { return int64(time.Since(k.epoch)) }

// Allow reports whether an event of key may happen now. If so, it takes the
// event.
func (k *Keyed[K]) Allow(key K) bool { return k.AllowN(key, 1) }

// AllowN reports whether n events of key may happen now. If so, it takes all of
// them, otherwise none.
func (k *Keyed[K]) AllowN(key K, n int64) bool {
	if k.infinite || k.hook != nil {
		return k.Take(key, n).OK
	}
	s, print := k.find(key)
	now := k.bucket.at(k.elapsed())
	s.mu.Lock()
	defer s.mu.Unlock()
	return k.spend(s, print, now, n).ok
}

// Take is [Keyed.AllowN] with the full [Decision].
func (k *Keyed[K]) Take(key K, n int64) Decision { return k.take(context.Background(), key, n) }

func (k *Keyed[K]) take(ctx context.Context, key K, n int64) Decision {
	if k.infinite {
		return unlimited(k.bucket.limit, n)
	}
	s, print := k.find(key)
	ns := k.elapsed()
	s.mu.Lock()
	v := k.spend(s, print, k.bucket.at(ns), n)
	d := k.decide(v, ns, n)
	report := k.hook != nil && (v.pushed || !v.ok)
	if report {
		k.post(ctx, key, d, v.pushed)
	}
	s.mu.Unlock()
	if report {
		k.deliver()
	}
	return d
}

// A verdict is the answer to a request of a key.
type verdict struct {
	ok     bool
	tat    int64 // the state that the answer is based on
	busy   int64 // if a new key is refused because there is no slot: the tat of the first slot to be free; otherwise full
	pushed bool  // another key has lost its slot
}

func (k *Keyed[K]) decide(v verdict, ns, n int64) Decision {
	b := &k.bucket
	d := b.decide(v.tat, ns, n, 0, v.ok)
	if v.busy != full {
		d.Remaining = 0
		if b.fits(n) {
			d.refuse(ns, max(ns+int64(d.RetryAfter), b.nanos(v.busy)))
		}
	}
	return d
}

// spend takes n events of the key with the fingerprint print from its set,
// which is locked, at the instant now in units.
func (k *Keyed[K]) spend(s *set, print uint64, now, n int64) verdict {
	b := &k.bucket
	i, known := s.slot(print)
	v := verdict{tat: s.tats[i], busy: full, ok: n == 0}
	pushes := false
	if !known {
		v.tat, pushes = k.newcomer(s, i, now)
	}
	if pushes && k.onFull == RejectNew && n > 0 {
		v.busy = s.tats[i]
	} else if n > 0 && b.fits(n) {
		var next int64
		if next, v.ok = b.take(v.tat, now, n); v.ok {
			s.store(i, print, next, pushes, k.onFull)
			v.tat, v.pushed = next, pushes
		}
	}
	if v.ok {
		s.allowed++
	} else {
		s.refused++
	}
	return v
}

// newcomer returns the tat of an unknown key, and reports whether the slot i
// that it would get belongs to a key in debt.
func (k *Keyed[K]) newcomer(s *set, i int, now int64) (tat int64, pushes bool) {
	tat, pushes = s.floor, s.tats[i] > now
	if pushes && k.onFull == InheritDebt {
		tat = max(tat, s.tats[i])
	}
	return tat, pushes
}

// find returns the set and the fingerprint of key.
func (k *Keyed[K]) find(key K) (*set, uint64) {
	h := maphash.Comparable(k.seed, key)
	i, _ := bits.Mul64(h, uint64(len(k.sets)))
	return &k.sets[i], h
}

// slot returns the slot of a fingerprint. If the fingerprint is unknown, it
// returns the slot with the smallest tat.
func (s *set) slot(print uint64) (least int, known bool) {
	for i := range ways {
		if s.prints[i] == print && s.tats[i] != full {
			return i, true
		}
		if s.tats[i] < s.tats[least] {
			least = i
		}
	}
	return least, false
}

// store puts a key into slot i. If another key loses the slot, the floor keeps
// its debt, unless policy forgives it.
func (s *set) store(i int, print uint64, tat int64, pushes bool, policy OnFull) {
	if pushes {
		s.evicted++
		if policy != ForgiveDebt {
			s.floor = max(s.floor, s.tats[i])
		}
	}
	s.prints[i], s.tats[i] = print, tat
}

// Wait waits until an event of key may happen, and takes it. Waiting callers
// have no order: each tries again when the first of them may go on.
//
// Errors: see [Limiter.Wait].
func (k *Keyed[K]) Wait(ctx context.Context, key K) error { return k.WaitN(ctx, key, 1) }

// WaitN is [Keyed.Wait] for n events, which are taken together.
func (k *Keyed[K]) WaitN(ctx context.Context, key K, n int64) error {
	return poll(ctx, n, func(n int64) Decision { return k.take(ctx, key, n) })
}

// A Key is one key of a [Keyed]. It is a [Waiter], so that [Do], [Wrap] and
// [WrapArg] can limit the work of a key, and [Reject] accepts it.
type Key[K comparable] struct {
	keyed *Keyed[K]
	key   K
}

// For returns key as a [Waiter].
func (k *Keyed[K]) For(key K) Key[K] { return Key[K]{k, key} }

// Take is [Keyed.Take] for the key.
func (k Key[K]) Take(n int64) Decision { return k.keyed.Take(k.key, n) }

// Wait is [Keyed.Wait] for the key.
func (k Key[K]) Wait(ctx context.Context) error { return k.keyed.Wait(ctx, k.key) }

// Do waits for the key and calls fn once.
//
// Errors: the error of [Keyed.Wait], without a call of fn, or the error of fn.
func (k Key[K]) Do(ctx context.Context, fn func(context.Context) error) error { return do(ctx, k, fn) }

// Charge takes n events of key, allowed or not, as [Limiter.Charge] does.
func (k *Keyed[K]) Charge(key K, n int64) Decision {
	return k.adjust(key, true, func(b *bucket, tat, ns int64) int64 { return b.charge(tat, b.at(ns), n) })
}

// Credit returns n events to key, as [Limiter.Credit] does.
func (k *Keyed[K]) Credit(key K, n int64) {
	k.adjust(key, false, func(b *bucket, tat, ns int64) int64 { return b.credit(tat, b.at(ns), n) })
}

// Penalize takes all events of key and keeps it empty for d, as
// [Limiter.Penalize] does. A new key always gets a slot, whatever OnFull is. If
// that slot belongs to a key in debt, other new keys of the set start with that
// debt.
func (k *Keyed[K]) Penalize(key K, d time.Duration) {
	if d >= 0 {
		k.adjust(key, true, func(b *bucket, tat, ns int64) int64 { return b.penalize(tat, ns+min(int64(d), maxUnits)) })
	}
}

// Reset makes the burst of key available again. If a key in debt lost its slot
// lately, key may still start with that debt.
func (k *Keyed[K]) Reset(key K) {
	k.adjust(key, false, func(*bucket, int64, int64) int64 { return full })
}

// adjust moves the tat of a key, or of an unknown key if add is true. An added
// key always gets a slot, because its debt must not be lost.
func (k *Keyed[K]) adjust(key K, add bool, move func(b *bucket, tat, ns int64) int64) Decision {
	if k.infinite {
		return unlimited(k.bucket.limit, 1)
	}
	s, print := k.find(key)
	b, ns := &k.bucket, k.elapsed()
	s.mu.Lock()
	defer s.mu.Unlock()
	now := b.at(ns)
	i, known := s.slot(print)
	tat, pushes := s.tats[i], false
	if !known {
		tat, pushes = k.newcomer(s, i, now)
	}
	if known || add {
		tat = move(b, tat, ns)
		s.store(i, print, tat, pushes, InheritDebt)
	}
	_, ok := b.take(tat, now, 1)
	return b.decide(tat, ns, 1, 0, ok && b.fits(1))
}

// Len returns the number of keys in debt. It reads every slot.
func (k *Keyed[K]) Len() int {
	now, n := k.bucket.at(k.elapsed()), 0
	for i := range k.sets {
		s := &k.sets[i]
		s.mu.Lock()
		for _, tat := range s.tats {
			if tat > now {
				n++
			}
		}
		s.mu.Unlock()
	}
	return n
}
