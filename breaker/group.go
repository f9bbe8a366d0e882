package breaker

import (
	"context"
	"fmt"
	"hash/maphash"
	"iter"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redoubt-go/redoubt/internal/quote"
)

const (
	// maxSearch bounds the breakers that a search for room looks at.
	maxSearch = 32
	// searchPause is the time without a search after a search in vain.
	searchPause = time.Millisecond
)

// A GroupConfig configures a [Group]. Zero fields mean their defaults.
type GroupConfig[K comparable] struct {
	// Name is the name of the group in errors, events and statistics.
	Name string
	// Max is the largest number of breakers in the group. Zero means 2048.
	Max int
	// Config returns the configuration of a key. If its Name is empty, errors
	// and events name the group and the key, cut to 64 bytes. Config is called
	// outside locks and possibly concurrently, for a new breaker and for each
	// call that the sketch guards. If Validate refuses the configuration, For
	// panics. Nil means the zero Config.
	Config func(K) Config
}

// Validate reports the problem of c, or nil.
func (c GroupConfig[K]) Validate() error {
	if c.Max < 0 {
		return fmt.Errorf("breaker: Max is %d, want 1 or more", c.Max)
	}
	return nil
}

func (c GroupConfig[K]) withDefaults() GroupConfig[K] {
	orDefault(&c.Max, 2048)
	if c.Config == nil {
		c.Config = func(K) Config { return Config{} }
	}
	return c
}

// config returns the configuration of key.
func (c *GroupConfig[K]) config(key K) Config {
	cfg := c.Config(key)
	if cfg.Name == "" {
		cfg.Name = quote.Cut(fmt.Sprint(key))
		if c.Name != "" {
			cfg.Name = c.Name + ": " + cfg.Name
		}
	}
	return cfg
}

// A Group guards many dependencies, such as hosts, shards or tenants, each
// under its key. Its memory is bounded, even if attackers choose the keys;
// bound the length of keys yourself. Make a Group with [NewGroup]. It needs no
// Close.
//
// At most Max keys have a [Breaker] of their own. A full group makes room for a
// new key by forgetting a breaker. The breaker has no running call and nothing
// to remember: no failure, no slow call and no opening; or it has not been used
// for twice its MaxOpenFor. Breakers used recently are forgotten last.
//
// If there is no such breaker, a sketch guards the new key. It remembers up to
// 1310720 failing keys in 12 bytes each, and forgets keys used recently last.
// It opens a key by Consecutive, MinCalls and FailureRatio, and closes it after
// Probes successes, one probe at a time. It does not notice slow calls and
// calls that hang.
//
// In the sketch, two keys may share a state by chance. Then a key may be
// refused for failures of the other key, or closed by its successes. With a
// million keys in the sketch, this happens to a given key with a probability of
// 6 in 100 million. The hash has a random seed, so attackers cannot choose such
// keys.
//
// Keys that do not equal themselves, such as NaN, share a breaker.
type Group[K comparable] struct {
	cfg     atomic.Pointer[GroupConfig[K]]
	seed    maphash.Seed
	start   time.Time
	byKey   sync.Map // K to *Breaker
	sketch  sketch
	size    atomic.Int64 // len(members)
	vain    atomic.Int64 // when a search was in vain, since start
	setting sync.Mutex   // serializes Set
	mu      sync.Mutex   // guards the fields below
	members []member[K]
	hand    int // where the next search begins
	unequal member[K]
	lost    uint64
	past    sums // of forgotten breakers
}

type member[K comparable] struct {
	key  K
	b    *Breaker
	seen uint64        // calls at the previous search
	used time.Duration // when a search last saw other calls, since the start of the group
}

// NewGroup returns an empty group. It panics with the error of
// [GroupConfig.Validate] if that is not nil.
func NewGroup[K comparable](cfg GroupConfig[K]) *Group[K] {
	if err := cfg.Validate(); err != nil {
		panic(err)
	}
	cfg = cfg.withDefaults()
	g := &Group[K]{seed: maphash.MakeSeed(), start: time.Now()}
	g.cfg.Store(&cfg)
	g.vain.Store(-int64(searchPause))
	g.sketch.start = g.start
	return g
}

// Do calls fn guarded under key.
//
// Errors: as for the function [Do].
func (g *Group[K]) Do(ctx context.Context, key K, fn func(context.Context) error) error {
	_, err := Do(ctx, g.For(key), func(ctx context.Context) (struct{}, error) { return struct{}{}, fn(ctx) })
	return err
}

// WrapKey is [WrapArg] for a group: key returns the key of an argument.
func WrapKey[K comparable, A, T any](
	g *Group[K], key func(A) K, fn func(context.Context, A) (T, error),
) func(context.Context, A) (T, error) {
	return func(ctx context.Context, arg A) (T, error) {
		return Do(ctx, g.For(key(arg)), func(ctx context.Context) (T, error) { return fn(ctx, arg) })
	}
}

// For returns the guard of key: its breaker, a new breaker, or the sketch. Call
// it again for the next call, because the group may forget the breaker.
func (g *Group[K]) For(key K) Gate {
	if b, ok := g.Peek(key); ok {
		return b
	}
	return g.join(key)
}

// join is For for a key without a breaker.
func (g *Group[K]) join(key K) Gate {
	c := g.cfg.Load()
	cfg := c.config(key)
	if differ(key, key) {
		return g.odd(key, cfg)
	}
	if err := cfg.Validate(); err != nil {
		panic(err)
	}
	sketched := &brief{&g.sketch, maphash.Comparable(g.seed, key), cfg.withDefaults()}
	full := int(g.size.Load()) >= c.Max
	sinceVain := time.Since(g.start) - time.Duration(g.vain.Load())
	if full && uint64(sinceVain) < uint64(searchPause) || sketched.remembers() {
		return sketched
	}
	if !full {
		g.mu.Lock()
	} else if !g.mu.TryLock() {
		return sketched
	}
	defer g.mu.Unlock()
	if g.cfg.Load() != c {
		return sketched // Set does not see a breaker that comes now
	}
	if b := g.insert(key, cfg, c.Max); b != nil {
		return b
	}
	return sketched
}

// differ reports whether two keys differ. NaN differs from itself.
func differ[K comparable](a, b K) bool { return a != b }

// odd returns the breaker of all keys that do not equal themselves, which no
// map can find.
func (g *Group[K]) odd(key K, cfg Config) *Breaker {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.unequal.b == nil {
		g.unequal = member[K]{key: key, b: New(cfg)}
	}
	return g.unequal.b
}

// insert returns the breaker of key, or nil if there is no room. It needs the
// lock.
func (g *Group[K]) insert(key K, cfg Config, limit int) *Breaker {
	if b, ok := g.Peek(key); ok {
		return b
	}
	i := len(g.members)
	if i >= limit {
		var ok bool
		if i, ok = g.search(); !ok {
			g.vain.Store(int64(time.Since(g.start)))
			return nil
		}
	}
	b := New(cfg)
	if i < len(g.members) {
		g.forget(i)
	} else {
		g.members = append(g.members, member[K]{})
		g.size.Store(int64(len(g.members)))
	}
	g.members[i] = member[K]{key: key, b: b}
	g.byKey.Store(key, b)
	return b
}

// search returns a member that can be forgotten: among the members that it
// looks at, the least used since the previous search.
func (g *Group[K]) search() (found int, ok bool) {
	now, least := time.Since(g.start), uint64(0)
	for range min(maxSearch, len(g.members)) {
		i := g.hand
		g.hand = (g.hand + 1) % len(g.members)
		calls, expendable := g.members[i].look(now)
		if expendable && (!ok || calls < least) {
			found, ok, least = i, true, calls
		}
		if ok && least == 0 {
			break
		}
	}
	return found, ok
}

// Peek returns the breaker of key and true, or nil and false if key has no
// breaker of its own.
func (g *Group[K]) Peek(key K) (*Breaker, bool) {
	if b, ok := g.byKey.Load(key); ok {
		return b.(*Breaker), true
	}
	return nil, false
}

// State returns the state of key. It is StateClosed for an unknown key.
func (g *Group[K]) State(key K) State {
	if b, ok := g.Peek(key); ok {
		return b.State()
	}
	if differ(key, key) {
		g.mu.Lock()
		defer g.mu.Unlock()
		return g.unequal.b.State()
	}
	return g.sketch.state(maphash.Comparable(g.seed, key))
}

// All iterates over the keys and breakers, in no order. It may omit a key that
// is added or forgotten during the iteration.
func (g *Group[K]) All() iter.Seq2[K, *Breaker] {
	return func(yield func(K, *Breaker) bool) {
		g.byKey.Range(func(k, b any) bool { return yield(k.(K), b.(*Breaker)) })
	}
}

// Config returns the configuration of g, with the defaults in place of zeros.
func (g *Group[K]) Config() GroupConfig[K] { return *g.cfg.Load() }

// Set replaces the configuration of g, and changes the breakers to the
// configurations of their keys as [Breaker.Set] does. Every state is kept. If
// there are more than Max breakers, Set forgets breakers as a full group does.
// The others stay, and the group does not grow.
//
// Errors: the error of [GroupConfig.Validate] or, of the first key for which it
// is invalid, of [Config.Validate]; g is unchanged then.
func (g *Group[K]) Set(cfg GroupConfig[K]) error {
	if err := cfg.Validate(); err != nil {
		return err
	}
	cfg = cfg.withDefaults()
	g.setting.Lock()
	defer g.setting.Unlock()
	for key := range g.All() {
		if err := cfg.config(key).Validate(); err != nil {
			return err
		}
	}
	g.mu.Lock()
	g.cfg.Store(&cfg)
	odd := g.unequal
	g.mu.Unlock()
	for key, b := range g.All() {
		b.Set(cfg.config(key)) // also if the key joined meanwhile
	}
	if odd.b != nil {
		odd.b.Set(cfg.config(odd.key))
	}
	g.shrink(cfg.Max)
	return nil
}

// shrink forgets breakers that may be forgotten while there are more than
// limit.
func (g *Group[K]) shrink(limit int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Since(g.start)
	for i := 0; i < len(g.members) && len(g.members) > limit; {
		m := g.members[i]
		if _, ok := m.look(now); !ok {
			i++
			continue
		}
		g.forget(i)
		last := len(g.members) - 1
		g.members[i] = g.members[last]
		g.members[last] = member[K]{}
		g.members = g.members[:last]
	}
	g.hand = 0
	g.size.Store(int64(len(g.members)))
}

// forget removes member i from the index. Its place is free then. It needs the
// lock.
func (g *Group[K]) forget(i int) {
	m := &g.members[i]
	g.byKey.Delete(m.key)
	g.past.add(&m.b.meter)
	g.lost++
}

// GroupStats is a snapshot of a group. Successes to Openings are sums over its
// breakers, including forgotten breakers, and only grow. Calls that the sketch
// guards are not among them.
type GroupStats struct {
	Name      string `json:"name"`      // GroupConfig.Name
	Len       int    `json:"len"`       // breakers in the group
	Forgotten uint64 `json:"forgotten"` // breakers forgotten in order to make room

	Closed       int `json:"closed"`        // breakers in StateClosed
	HalfOpen     int `json:"half_open"`     // breakers in StateHalfOpen
	Recovering   int `json:"recovering"`    // breakers in StateRecovering
	Open         int `json:"open"`          // breakers in StateOpen
	ForcedOpen   int `json:"forced_open"`   // breakers in StateForcedOpen
	ForcedClosed int `json:"forced_closed"` // breakers in StateForcedClosed

	Successes uint64 `json:"successes"` // calls that succeeded
	Failures  uint64 `json:"failures"`  // calls that failed
	Ignored   uint64 `json:"ignored"`   // calls that are no evidence
	Slow      uint64 `json:"slow"`      // successes and failures that took SlowCall or longer
	Late      uint64 `json:"late"`      // calls that ended in another state than they began in
	Rejected  uint64 `json:"rejected"`  // refused calls
	Openings  uint64 `json:"openings"`  // transitions to StateOpen

	Sketched       int    `json:"sketched"`        // keys in the sketch
	SketchOpenings uint64 `json:"sketch_openings"` // openings of keys in the sketch
	SketchRejected uint64 `json:"sketch_rejected"` // calls that the sketch refused
	SketchLost     uint64 `json:"sketch_lost"`     // failing keys that the sketch forgot in order to make room
}

// Stats returns a snapshot. It reads all breakers.
func (g *Group[K]) Stats() GroupStats {
	s := GroupStats{Name: g.cfg.Load().Name}
	g.sketch.stats(&s)
	g.mu.Lock()
	defer g.mu.Unlock()
	s.Len, s.Forgotten = len(g.members), g.lost
	all := g.past
	for i := range g.members {
		s.count(g.members[i].b, &all)
	}
	if g.unequal.b != nil {
		s.count(g.unequal.b, &all)
	}
	s.Successes, s.Failures, s.Ignored, s.Slow = all[success], all[failure], all[ignored], all[slow]
	s.Late, s.Rejected, s.Openings = all[late], all[rejected], all[opened]
	return s
}

// sums are values of all counters, indexed by counter.
type sums [counters]uint64

func (s *sums) add(m *meter) {
	for k := range s {
		s[k] += m.total(counter(k))
	}
}

// count adds b to the breakers of its state and its calls to all.
func (s *GroupStats) count(b *Breaker, all *sums) {
	all.add(&b.meter)
	switch b.State() {
	case StateClosed:
		s.Closed++
	case StateHalfOpen:
		s.HalfOpen++
	case StateRecovering:
		s.Recovering++
	case StateOpen:
		s.Open++
	case StateForcedOpen:
		s.ForcedOpen++
	case StateForcedClosed:
		s.ForcedClosed++
	}
}

// look returns the number of calls since the previous search, and reports
// whether the breaker may be forgotten.
func (m *member[K]) look(now time.Duration) (calls uint64, expendable bool) {
	total := m.b.meter.total(started) + m.b.meter.total(rejected)
	if calls = total - m.seen; calls > 0 {
		m.seen, m.used = total, now
	}
	return calls, m.b.expendable(now - m.used)
}

// expendable reports whether a breaker may be forgotten, if no call began for
// unused. The window turns when a call ends or, if not closed, is admitted or
// refused. So its current tenth is the time of the last use, except by a call
// that has not ended.
func (b *Breaker) expendable(unused time.Duration) (ok bool) {
	b.read(func(p *period, now time.Duration) {
		f, s, c := b.figures(p, now), p.view(now), b.cfg.Load()
		idle := now - max(time.Duration(b.meter.from.Load()), p.end())
		running := b.meter.running() > 0
		if running {
			idle = min(idle, unused)
		}
		switch {
		case s == StateForcedOpen || s == StateForcedClosed:
		case s == StateClosed && !running && f.failures+f.slow+f.run == 0 && !b.remembers(p, now):
			ok = true
		default:
			ok = idle/2 > c.MaxOpenFor && idle > max(c.Window, b.lastOpen)
		}
	})
	return ok
}
