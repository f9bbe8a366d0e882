package ratelimit

import (
	"cmp"
	"context"
	"errors"
	"hash/maphash"
	"math/bits"
	"slices"
	"sync/atomic"
	"time"

	"github.com/redoubt-go/redoubt/internal/outbox"
	"github.com/redoubt-go/redoubt/internal/quote"
)

// OnFull selects the behavior of a [Keyed] when more keys are in debt than it
// can tell apart. A key is in debt while it has used events that have not come
// back yet.
type OnFull uint8

const (
	// InheritDebt lets keys share their debts. No key ever gains, but a new key
	// may be refused for the events of other keys. Keys that are known are not
	// affected.
	InheritDebt OnFull = iota
	// ForgiveDebt forgets the smallest debt. Fewer than 0.1 % of the new keys
	// are refused for the events of other keys, but a client with very many
	// keys can evade the limit.
	ForgiveDebt
)

// KeyedConfig configures a [Keyed]. At least one limit or quota is required,
// and at most 4 are allowed. They hold together: a refused event is taken from
// none.
type KeyedConfig struct {
	Name    string  // names the Keyed in errors, events and Stats; may be empty
	Limit   Limit   // the limit of each key; may be missing if there are others
	Limits  []Limit // more limits of each key
	Quotas  []Quota // calendar quotas of each key
	MaxKeys int     // keys remembered exactly, rounded up to a multiple of 8; each limit takes 25 bytes a key; zero means 65536; at most 2^27
	OnFull  OnFull  // the behavior beyond MaxKeys; zero means InheritDebt

	// StartEmpty means that no key has a burst at first, so that frequent
	// restarts gain nothing. A quota is empty until the next period.
	StartEmpty bool

	// OnEvent is called with refusals and with keys whose debts are forgotten.
	// OnEvent may be nil. It is called synchronously, outside locks, after the
	// change that the event reports, in the order of the changes. It may call
	// back into this package and must not block.
	OnEvent func(context.Context, Event)
}

const (
	defaultKeys = 1 << 16
	maxKeys     = 1 << 27
	maxRules    = 4
)

// Validate returns an error that joins all problems of c.
func (c KeyedConfig) Validate() error {
	p := problems{prefix: "ratelimit: "}
	if c.Name != "" {
		p.prefix += quote.Name(c.Name) + ": "
	}
	for _, l := range c.limits() {
		p.errs = append(p.errs, l.validate(p.prefix+"Limit: "))
	}
	for _, q := range c.Quotas {
		p.errs = append(p.errs, q.validate(p.prefix+"Quota: "))
	}
	p.add(len(p.errs) == 0, "Limit is missing")
	p.add(len(p.errs) > maxRules, "%d limits and quotas, want at most %d", len(p.errs), maxRules)
	p.add(c.MaxKeys < 0 || c.MaxKeys > maxKeys, "MaxKeys is %d, want 0 to %d", c.MaxKeys, maxKeys)
	p.add(c.OnFull > ForgiveDebt, "OnFull is %d, want InheritDebt or ForgiveDebt", c.OnFull)
	return errors.Join(p.errs...)
}

// limits returns Limit, if any, and Limits.
func (c *KeyedConfig) limits() []Limit {
	if c.Limit == (Limit{}) {
		return c.Limits
	}
	return append([]Limit{c.Limit}, c.Limits...)
}

// normal returns c with defaults filled in, and shares no memory with c.
func (c KeyedConfig) normal() KeyedConfig {
	if c.MaxKeys == 0 {
		c.MaxKeys = defaultKeys
	}
	if c.Limit != (Limit{}) {
		c.Limit = c.Limit.normal()
	}
	c.Limits = slices.Clone(c.Limits)
	for i, l := range c.Limits {
		c.Limits[i] = l.normal()
	}
	c.Quotas = slices.Clone(c.Quotas)
	for i, q := range c.Quotas {
		c.Quotas[i] = q.normal()
	}
	return c
}

// A Keyed limits each of many keys, such as users or addresses, in a fixed
// amount of memory. It stores a fingerprint of each key, never the key. A key
// that owes nothing needs no memory. All methods may be called concurrently.
//
// MaxKeys keys are remembered exactly, and more keys with small errors to the
// strict side. Beyond about 1.5 times MaxKeys keys in debt, [OnFull] decides.
// So a flood of keys that use up their limits has these effects:
//
//   - A known key is not affected, whatever the flood. A key is known if it
//     used an event at most four times as long ago as a burst takes to come
//     back, and found one of the MaxKeys places.
//   - While at most 1.5 times MaxKeys keys are in debt, fewer than 0.1 % of the
//     new keys are refused.
//   - With [InheritDebt], no key gains, whatever the flood.
//   - With [ForgiveDebt], fewer than 0.1 % of the new keys are refused,
//     whatever the flood.
//
// A ban is a debt of more than a burst, by [Keyed.Penalize] or [Keyed.Charge].
// A ban never affects another key. Bans have at most 3/4 of the places. If
// there are more, the shortest is cut to a debt of a burst.
//
// A key shares the fingerprint of a remembered key, and then its limit, with a
// probability of less than 2^-44 if MaxKeys is at most 2^19, and otherwise of
// less than 2^-36. Fingerprints are seeded at random, so that clients cannot
// choose keys that collide.
type Keyed[K comparable] struct {
	epoch   time.Time
	seed    maphash.Seed
	wall    bool                    // there are quotas
	tables  [][]set                 // for each rule; the locks of the first table protect all tables
	current atomic.Pointer[ruleset] // written with the locks of all sets

	returned [maxRules][stripes]atomic.Int64 // units that keys got back
	pushed   atomic.Uint64                   // debts that were forgotten
	spilled  [2]atomic.Uint64                // multiples of 2^32 of the counters of the sets
	events   outbox.Outbox[Event]
}

// A ruleset is a configuration of a [Keyed].
type ruleset struct {
	config KeyedConfig // with defaults filled in
	rules  []rule
	limits atomic.Pointer[[]Limit] // of the rules, with the lengths of the present periods
}

// An instant is read from both clocks, in nanoseconds since an epoch. Limits
// follow the monotonic clock, and quotas follow the wall clock.
type instant struct{ mono, wall int64 }

// A spot is the place of a key in a table.
type spot struct {
	slot     int
	tat, now int64
}

// NewKeyed returns a Keyed without keys. It panics with the error of
// [KeyedConfig.Validate], if any.
func NewKeyed[K comparable](c KeyedConfig) *Keyed[K] {
	if err := c.Validate(); err != nil {
		panic(err)
	}
	c = c.normal()
	k := &Keyed[K]{epoch: time.Now(), seed: maphash.MakeSeed(), wall: len(c.Quotas) > 0}
	rs := newRuleset(c, k.epoch)
	k.current.Store(rs)
	for j := range rs.rules {
		if r := &rs.rules[j]; c.StartEmpty && !r.infinite {
			r.floor = r.at(0) + r.burst
		}
	}
	for range rs.rules {
		k.tables = append(k.tables, make([]set, (c.MaxKeys+ways-1)/ways))
	}
	for _, sets := range k.tables {
		for i := range sets {
			for j := range ways {
				sets[i].tats[j] = full
			}
		}
	}
	return k
}

func newRuleset(c KeyedConfig, epoch time.Time) *ruleset {
	rs := &ruleset{config: c}
	for _, l := range c.limits() {
		l.Name = cmp.Or(l.Name, c.Name)
		b := bucket{limit: l}
		if !l.infinite() {
			b = newBucket(l)
		}
		rs.rules = append(rs.rules, newRule(b, l.infinite(), c.OnFull == ForgiveDebt))
	}
	for _, q := range c.Quotas {
		q.Name = cmp.Or(q.Name, c.Name)
		rs.rules = append(rs.rules, newRule(q.bucket(epoch), false, c.OnFull == ForgiveDebt))
	}
	limits := make([]Limit, len(rs.rules))
	for i := range rs.rules {
		limits[i] = rs.rules[i].limit
	}
	rs.limits.Store(&limits)
	return rs
}

// Config returns the configuration in force, with defaults filled in.
func (k *Keyed[K]) Config() KeyedConfig { return k.current.Load().config.normal() }

// Set replaces the configuration. MaxKeys and the numbers of limits and of
// quotas cannot change. MaxKeys may be 0.
//
//   - The keys keep the events that they used, up to the new bursts. The limits
//     correspond in their order.
//   - The bans keep the instants at which they end.
//   - Reservations stay valid, but Cancel and Settle return nothing for them.
//   - StartEmpty has no effect.
//
// All other calls wait while Set converts the keys, for about 100 nanoseconds a
// key.
//
// Errors: see [KeyedConfig.Validate]; the configuration does not change.
func (k *Keyed[K]) Set(c KeyedConfig) error {
	old := k.Config()
	c.MaxKeys = cmp.Or(c.MaxKeys, old.MaxKeys)
	p := problems{"ratelimit: ", []error{c.Validate()}}
	p.add(c.MaxKeys != old.MaxKeys, "MaxKeys is %d, want %d as before", c.MaxKeys, old.MaxKeys)
	p.add(len(c.limits()) != len(old.limits()), "%d limits, want %d as before", len(c.limits()), len(old.limits()))
	p.add(len(c.Quotas) != len(old.Quotas), "%d quotas, want %d as before", len(c.Quotas), len(old.Quotas))
	if err := errors.Join(p.errs...); err != nil {
		return err
	}
	next := newRuleset(c.normal(), k.epoch)
	for i := range k.tables[0] {
		k.tables[0][i].mu.Lock()
	}
	t, rs := k.elapsed(), k.current.Load()
	for j, sets := range k.tables {
		r, was := &next.rules[j], &rs.rules[j]
		r.floor = r.carry(was, was.floor, r.ns(t))
		for i := range sets {
			r.change(was, &sets[i], r.ns(t))
		}
	}
	k.current.Store(next)
	for i := range k.tables[0] {
		k.tables[0][i].mu.Unlock()
	}
	return nil
}

func (k *Keyed[K]) elapsed() instant {
	if !k.wall {
		return instant{mono: int64(time.Since(k.epoch))}
	}
	now := time.Now()
	return instant{int64(now.Sub(k.epoch)), now.UnixNano() - k.epoch.UnixNano()}
}

// ns returns the instant t on the clock of r.
func (r *rule) ns(t instant) int64 {
	if r.calendar != nil {
		return t.wall
	}
	return t.mono
}

// find returns the index of the set of key, and its hash.
func (k *Keyed[K]) find(key K) (i int, h uint64) {
	h = maphash.Comparable(k.seed, key)
	hi, _ := bits.Mul64(h, uint64(len(k.tables[0])))
	return int(hi), h
}

// Allow reports whether an event of key may happen now. If so, it takes the
// event.
func (k *Keyed[K]) Allow(key K) bool { return k.AllowN(key, 1) }

// AllowN reports whether n events of key may happen now. If so, it takes all of
// them, otherwise none.
func (k *Keyed[K]) AllowN(key K, n int64) bool {
	if k.current.Load().config.OnEvent != nil {
		return k.Take(key, n).OK
	}
	i, h := k.find(key)
	t, s := k.elapsed(), &k.tables[0][i]
	s.mu.Lock()
	ok, rs := false, k.current.Load()
	if r := &rs.rules[0]; len(rs.rules) == 1 && !r.infinite {
		ok = k.spendOne(r, s, h, r.at(r.ns(t)), n)
	} else {
		var spots [maxRules]spot
		ok, _ = k.spend(i, h, t, n, &spots)
	}
	k.count(s, ok)
	s.mu.Unlock()
	return ok
}

// spendOne is spend for a Keyed with a single rule, without a Decision.
func (k *Keyed[K]) spendOne(r *rule, s *set, h uint64, now, n int64) bool {
	slot, tat := r.find(s, h)
	next, ok := r.take(tat, now, n)
	if ok = n == 0 || ok && r.fits(n); ok && n > 0 && r.put(s, slot, h, next, now, false) {
		k.pushed.Add(1)
	}
	return ok
}

// count counts a request in the set s, and carries to spilled.
func (k *Keyed[K]) count(s *set, ok bool) {
	counter, spilled := &s.refused, &k.spilled[1]
	if ok {
		counter, spilled = &s.allowed, &k.spilled[0]
	}
	if *counter++; *counter == 0 {
		spilled.Add(1 << 32)
	}
}

// Take is [Keyed.AllowN] with the full [Decision].
func (k *Keyed[K]) Take(key K, n int64) Decision { return k.take(context.Background(), key, n, 0) }

// take is Take for a caller that waits for at most patience. A refusal that is
// not final is neither counted nor reported.
func (k *Keyed[K]) take(ctx context.Context, key K, n int64, patience time.Duration) Decision {
	i, h := k.find(key)
	t, s := k.elapsed(), &k.tables[0][i]
	s.mu.Lock()
	var spots [maxRules]spot
	ok, forgot := k.spend(i, h, t, n, &spots)
	d := k.decide(t, n, ok, &spots)
	if d.final(patience) {
		k.count(s, ok)
		return k.unlock(ctx, s, key, d, forgot)
	}
	s.mu.Unlock()
	return d
}

// unlock ends a call with the decision d: it unlocks the set s, and reports a
// refusal or a debt that was forgotten.
func (k *Keyed[K]) unlock(ctx context.Context, s *set, key K, d Decision, forgot bool) Decision {
	rs := k.current.Load()
	name, hook := rs.config.Name, rs.config.OnEvent
	if hook == nil || d.OK && !forgot {
		s.mu.Unlock()
		return d
	}
	e := Event{Kind: KindRefused, Name: name, Key: key, Decision: d}
	if forgot {
		e.Kind = KindPushedOut
	}
	k.events.Post(ctx, e)
	s.mu.Unlock()
	deliver(&k.events, hook)
	return d
}

// spend takes n events of the key with the hash h from all tables, or from
// none. The set i is locked.
func (k *Keyed[K]) spend(i int, h uint64, t instant, n int64, spots *[maxRules]spot) (ok, forgot bool) {
	rules := k.current.Load().rules
	ok = n >= 0
	for j := range rules {
		r, p := &rules[j], &spots[j]
		if r.infinite {
			continue
		}
		p.now = r.at(r.ns(t))
		p.slot, p.tat = r.find(&k.tables[j][i], h)
		if n > 0 && ok {
			if ok = r.fits(n); ok {
				_, ok = r.take(p.tat, p.now, n)
			}
		}
	}
	for j := range rules {
		if r, p := &rules[j], &spots[j]; ok && n > 0 && !r.infinite {
			p.tat, _ = r.take(p.tat, p.now, n)
			if r.put(&k.tables[j][i], p.slot, h, p.tat, p.now, false) {
				forgot = true
				k.pushed.Add(1)
			}
		}
	}
	return ok, forgot
}

// decide returns the decision of the strictest rule after the verdict ok.
func (k *Keyed[K]) decide(t instant, n int64, ok bool, spots *[maxRules]spot) Decision {
	rules := k.current.Load().rules
	strictest, first := unlimited(rules[0].limit, n), true
	for j := range rules {
		r := &rules[j]
		if r.infinite {
			continue
		}
		d := r.decide(spots[j].tat, r.ns(t), n, 0, ok)
		if first || d.stricter(&strictest) {
			strictest, first = d, false
		}
	}
	return strictest
}

// Peek returns the result of Take(key, 1), and takes nothing.
func (k *Keyed[K]) Peek(key K) Decision {
	return k.adjust(key, func(_ *rule, tat, _ int64) int64 { return tat })
}

// Wait waits until an event of key may happen, and takes it. Waiting callers
// have no order: each tries again when the first of them may go on. Set, Credit
// and Reset do not wake them earlier.
//
// Errors: see [Limiter.Wait].
func (k *Keyed[K]) Wait(ctx context.Context, key K) error { return k.WaitN(ctx, key, 1) }

// WaitN is [Keyed.Wait] for n events, which are taken together.
func (k *Keyed[K]) WaitN(ctx context.Context, key K, n int64) error {
	return poll(ctx, func(patience time.Duration) Decision { return k.take(ctx, key, n, patience) })
}

// Charge takes n events of key, allowed or not, as [Limiter.Charge] does. A
// debt of more than a burst is a ban: see [Keyed].
func (k *Keyed[K]) Charge(key K, n int64) Decision {
	return k.adjust(key, func(r *rule, tat, ns int64) int64 { return r.charge(tat, r.at(ns), n) })
}

// Credit returns n events to key, as [Limiter.Credit] does.
func (k *Keyed[K]) Credit(key K, n int64) {
	k.adjust(key, func(r *rule, tat, ns int64) int64 { return r.credit(tat, r.at(ns), n) })
}

// Penalize takes all events of key and keeps it empty for d, as
// [Limiter.Penalize] does. A quota stays empty until the end of the period in
// which d ends.
func (k *Keyed[K]) Penalize(key K, d time.Duration) {
	if d >= 0 {
		k.adjust(key, func(r *rule, tat, ns int64) int64 { return r.penalize(tat, ns+min(int64(d), maxUnits)) })
	}
}

// Reset makes the bursts of key available again, and ends a ban of key.
func (k *Keyed[K]) Reset(key K) {
	k.adjust(key, func(r *rule, _, ns int64) int64 { return r.at(ns) })
}

// adjust moves the tats of a key and returns the result of Peek afterwards.
func (k *Keyed[K]) adjust(key K, move func(r *rule, tat, ns int64) int64) Decision {
	i, h := k.find(key)
	t, s := k.elapsed(), &k.tables[0][i]
	s.mu.Lock()
	var spots [maxRules]spot
	ok, forgot := true, false
	rules := k.current.Load().rules
	for j := range rules {
		r, p := &rules[j], &spots[j]
		if r.infinite {
			continue
		}
		p.now = r.at(r.ns(t))
		p.slot, p.tat = r.find(&k.tables[j][i], h)
		if k.move(i, j, h, p, move(r, p.tat, r.ns(t))) {
			forgot = true
		}
		_, fits := r.take(p.tat, p.now, 1)
		ok = ok && fits && r.fits(1)
	}
	d := k.decide(t, 1, ok, &spots)
	if !forgot {
		s.mu.Unlock() // a look is not a refusal
		return d
	}
	return k.unlock(context.Background(), s, key, d, true)
}

// move sets the tat of a key in table j to next, if that changes its debt. It
// reports whether a debt was forgotten.
func (k *Keyed[K]) move(i, j int, h uint64, p *spot, next int64) (forgot bool) {
	r, s := &k.current.Load().rules[j], &k.tables[j][i]
	next = max(next, p.now)
	switch {
	case next > max(p.tat, p.now):
		forgot = r.put(s, p.slot, h, next, p.now, false)
	case next < p.tat:
		forgot = r.put(s, p.slot, h, next, p.now, true)
		k.returned[j][i%stripes].Add(p.tat - next)
	default:
		return false
	}
	if p.tat = next; forgot {
		k.pushed.Add(1)
	}
	return forgot
}
