package ratelimit

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"math/bits"
	"sync"
	"time"
)

// OnFull says what a [Keyed] does with a new key when there is no room for it: when all slots it could have belong to
// keys that have events to pay back.
type OnFull uint8

const (
	// InheritDebt pushes out the key that owes least and lets the new one begin with its debt. No key gains by being pushed
	// out, since it finds that debt, or more, when it comes again. Newcomers lose about an event each during a flood.
	InheritDebt OnFull = iota
	// RejectNew refuses the new key until a slot is free. The keys that are known keep exact account.
	RejectNew
	// ForgiveDebt pushes out the key that owes least, and forgets what it owes. A flood of new keys can so evade the limit.
	ForgiveDebt
)

// KeyedConfig configures a [Keyed].
type KeyedConfig struct {
	Limit   Limit  // the limit of each key; required: the zero Limit refuses everything
	MaxKeys int    // keys remembered at once, rounded up to a multiple of 8; default 65536, at most 2^27; 21 bytes each
	OnFull  OnFull // what happens to new keys beyond that; default InheritDebt

	// OnEvent is told of refusals and of keys pushed out.
	// It may be nil. It is called synchronously, outside locks, after the change it reports and in the order of the
	// changes; it may call back into this package and must not block.
	OnEvent func(context.Context, Event)
}

const (
	defaultKeys = 1 << 16
	maxKeys     = 1 << 27
	ways        = 8 // slots of a set
)

// Validate returns everything that is wrong with c, joined.
func (c KeyedConfig) Validate() error {
	var errs []error
	if err := c.Limit.check(); err != nil && c.Limit != (Limit{}) {
		errs = append(errs, fmt.Errorf("ratelimit: keyed: limit: %w", err))
	}
	if c.MaxKeys < 0 || c.MaxKeys > maxKeys {
		errs = append(errs, fmt.Errorf("ratelimit: keyed: MaxKeys is %d, want 0 to %d", c.MaxKeys, maxKeys))
	}
	if c.OnFull > ForgiveDebt {
		errs = append(errs, fmt.Errorf("ratelimit: keyed: OnFull is %d, want InheritDebt, RejectNew or ForgiveDebt", c.OnFull))
	}
	return errors.Join(errs...)
}

// A Keyed limits each of many keys, such as users or addresses, in memory that is fixed when it is made. Of a key it
// keeps a fingerprint, never the key. A key whose burst is full again needs no memory; so MaxKeys bounds the keys that
// have used some of it lately, and at about half of that new keys begin to be pushed out now and then.
//
// A key has the fingerprint of another that is remembered, and so shares its limit, with a probability of less than
// MaxKeys / 2^64; that errs to the strict side. Fingerprints cannot be foreseen, so nobody can choose keys that collide.
// All methods may be called at the same time.
type Keyed[K comparable] struct {
	epoch    time.Time
	bucket   bucket
	infinite bool
	onFull   OnFull
	seed     maphash.Seed
	sets     []set
	events   notifier
}

// A set holds the slots that a key can have. A slot whose tat has passed is free. The floor is the largest tat that was
// ever pushed out: what a key not found here may have had.
type set struct {
	mu    sync.Mutex
	floor int64
	figures
	prints [ways]uint64
	tats   [ways]int64
}

// NewKeyed returns a Keyed that no key has used. It panics with the error of [KeyedConfig.Validate] if there is one.
func NewKeyed[K comparable](c KeyedConfig) *Keyed[K] {
	if err := c.Validate(); err != nil {
		panic(err)
	}
	if c.MaxKeys == 0 {
		c.MaxKeys = defaultKeys
	}
	k := &Keyed[K]{
		epoch: time.Now(), bucket: newBucket(c.Limit), infinite: c.Limit.infinite(), onFull: c.OnFull,
		seed: maphash.MakeSeed(), sets: make([]set, (c.MaxKeys+ways-1)/ways),
	}
	k.events.hook = c.OnEvent
	for i := range k.sets {
		k.sets[i].floor = full
		for j := range ways {
			k.sets[i].tats[j] = full
		}
	}
	return k
}

// Allow reports whether an event of key may happen now, and takes it if so.
func (k *Keyed[K]) Allow(key K) bool { return k.AllowN(key, 1) }

// AllowN reports whether n events of key may happen now, and takes all of them if so, none otherwise.
func (k *Keyed[K]) AllowN(key K, n int64) bool {
	if k.infinite || k.events.hook != nil {
		return k.Take(key, n).OK
	}
	_, _, ok, _ := k.spend(key, k.bucket.at(int64(time.Since(k.epoch))), n)
	return ok
}

// Take is [Keyed.AllowN] with the full [Decision].
func (k *Keyed[K]) Take(key K, n int64) Decision {
	if k.infinite {
		d := Decision{OK: n >= 0, N: n, Limit: Inf, Remaining: Inf.Burst}
		if !d.OK {
			d.RetryAfter = Never
		}
		return d
	}
	d, pushed := k.take(key, n)
	if k.events.hook != nil && (pushed || !d.OK) {
		k.report(key, d, pushed)
	}
	return d
}

func (k *Keyed[K]) take(key K, n int64) (d Decision, pushed bool) {
	b, ns := &k.bucket, int64(time.Since(k.epoch))
	tat, busy, ok, pushed := k.spend(key, b.at(ns), n)
	d = b.decide(tat, ns, n, 0, ok)
	if busy != full {
		d.Remaining = 0
		if b.fits(n) {
			d.RetryAfter = max(d.RetryAfter, until(ns, b.nanos(busy)))
		}
	}
	return d, pushed
}

// spend takes n events of key at the instant now, in units, and returns the tat on which its answer rests, and whether
// another key was pushed out. If a new key is refused for want of a slot, busy is the tat of the first to be free.
func (k *Keyed[K]) spend(key K, now, n int64) (tat, busy int64, ok, pushed bool) {
	s, print := k.find(key)
	b := &k.bucket
	s.mu.Lock()
	defer s.mu.Unlock()
	i, known := s.slot(print)
	tat, busy, ok = s.tats[i], full, n == 0
	if !known {
		tat, pushed = k.newcomer(s, i, now)
	}
	if pushed && k.onFull == RejectNew && n > 0 {
		busy = s.tats[i]
	} else if n > 0 && b.fits(n) {
		var next int64
		if next, ok = b.take(tat, now, n); ok {
			s.store(i, print, next, pushed, k.onFull)
			tat = next
		}
	}
	if ok {
		s.allowed++
	} else {
		s.refused++
	}
	return tat, busy, ok, pushed && ok && n > 0
}

// newcomer returns the tat of a key that is not known, and whether the slot i that it would have is taken.
func (k *Keyed[K]) newcomer(s *set, i int, now int64) (tat int64, pushed bool) {
	tat, pushed = s.floor, s.tats[i] > now
	if pushed && k.onFull == InheritDebt {
		tat = max(tat, s.tats[i])
	}
	return tat, pushed
}

// find returns the set and the fingerprint of key.
func (k *Keyed[K]) find(key K) (*set, uint64) {
	h := maphash.Comparable(k.seed, key)
	i, _ := bits.Mul64(h, uint64(len(k.sets)))
	return &k.sets[i], h
}

// slot returns the slot of a fingerprint or, if it is not known, the one with the smallest tat.
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

// store puts a key into slot i. If it pushes another out, the floor keeps what that one owes, or did not forgive.
func (s *set) store(i int, print uint64, tat int64, pushed bool, policy OnFull) {
	if pushed {
		s.evicted++
		if policy != ForgiveDebt {
			s.floor = max(s.floor, s.tats[i])
		}
	}
	s.prints[i], s.tats[i] = print, tat
}

// Wait waits until an event of key may happen, and takes it. Callers that wait are not in line: each tries again when
// the first of them may go on. The errors are those of [Limiter.Wait].
func (k *Keyed[K]) Wait(ctx context.Context, key K) error {
	return poll(ctx, func(n int64) Decision { return k.Take(key, n) })
}

// Charge takes n events of key whether they are allowed or not, like [Limiter.Charge].
func (k *Keyed[K]) Charge(key K, n int64) Decision {
	return k.adjust(key, true, func(b *bucket, tat, ns int64) int64 { return b.charge(tat, b.at(ns), n) })
}

// Credit gives n events back to key, like [Limiter.Credit].
func (k *Keyed[K]) Credit(key K, n int64) {
	k.adjust(key, false, func(b *bucket, tat, ns int64) int64 { return b.credit(tat, b.at(ns), n) })
}

// Penalize takes all events of key and keeps it empty for d, like [Limiter.Penalize].
func (k *Keyed[K]) Penalize(key K, d time.Duration) {
	if d >= 0 {
		k.adjust(key, true, func(b *bucket, tat, ns int64) int64 { return b.penalize(tat, ns+min(int64(d), maxUnits)) })
	}
}

// Reset forgets key. If a key was pushed out by InheritDebt lately, it may still begin with the debt of that.
func (k *Keyed[K]) Reset(key K) {
	k.adjust(key, false, func(*bucket, int64, int64) int64 { return full })
}

// adjust moves the tat of a key; of one that is not known only where add says so. There is always a slot for that: it
// is a debt that must not get lost.
func (k *Keyed[K]) adjust(key K, add bool, move func(b *bucket, tat, ns int64) int64) Decision {
	if k.infinite {
		return Decision{OK: true, N: 1, Limit: Inf, Remaining: Inf.Burst}
	}
	s, print := k.find(key)
	b, ns := &k.bucket, int64(time.Since(k.epoch))
	s.mu.Lock()
	defer s.mu.Unlock()
	now := b.at(ns)
	i, known := s.slot(print)
	tat, pushed := s.tats[i], false
	if !known {
		tat, pushed = k.newcomer(s, i, now)
	}
	if known || add {
		tat = move(b, tat, ns)
		s.store(i, print, tat, pushed, InheritDebt)
	}
	_, ok := b.take(tat, now, 1)
	return b.decide(tat, ns, 1, 0, ok && b.fits(1))
}

// Len returns the number of keys that have events to pay back. It looks at every slot.
func (k *Keyed[K]) Len() int {
	now, n := k.bucket.at(int64(time.Since(k.epoch))), 0
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
