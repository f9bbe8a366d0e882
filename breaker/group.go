package breaker

import (
	"context"
	"fmt"
	"iter"
	"sync"
	"sync/atomic"
	"time"
)

// maxSearch bounds the members that a search for room looks at.
const maxSearch = 32

// A GroupConfig configures a [Group]. Zero fields mean their defaults.
type GroupConfig[K comparable] struct {
	// Name is the name of the group in statistics.
	Name string
	// Max is the largest number of breakers in the group. Zero means 10000.
	Max int
	// Config returns the configuration of the breaker of a key. It is called
	// while the group is locked and must not use the group. If Validate
	// refuses the configuration, For panics. Nil means the zero Config.
	Config func(K) Config
}

// Validate reports the problem of c, or nil.
func (c GroupConfig[K]) Validate() error {
	if c.Max < 0 {
		return fmt.Errorf("breaker: Max is %d, want 1 or more", c.Max)
	}
	return nil
}

// A Group is a set of breakers, one per key, such as a host, a shard or a
// tenant. The group makes them on demand. Its number of keys is bounded, even
// if clients choose the keys; bound the length of keys yourself. Make a Group
// with [NewGroup]. It needs no Close.
//
// A full group makes room for a new key by forgetting a breaker. The breaker
// has no running call and nothing to remember: no failure, no slow call and no
// opening; or it has not been used for twice its MaxOpenFor. Breakers used
// recently are forgotten last. If there is no such breaker, the new key gets
// none.
type Group[K comparable] struct {
	cfg       GroupConfig[K]
	byKey     sync.Map // K to *Breaker
	mu        sync.Mutex
	members   []member[K]
	hand      int // where the next search begins
	forgotten uint64
	unguarded atomic.Uint64
}

type member[K comparable] struct {
	key  K
	b    *Breaker
	seen uint64 // ended calls at the previous search
}

// NewGroup returns an empty group. It panics with the error of
// [GroupConfig.Validate] if that is not nil.
func NewGroup[K comparable](cfg GroupConfig[K]) *Group[K] {
	if err := cfg.Validate(); err != nil {
		panic(err)
	}
	return &Group[K]{cfg: cfg.withDefaults()}
}

func (c GroupConfig[K]) withDefaults() GroupConfig[K] {
	orDefault(&c.Max, 10000)
	if c.Config == nil {
		c.Config = func(K) Config { return Config{} }
	}
	return c
}

// Set replaces the configuration of g, and changes its breakers to the
// configurations of their keys as [Breaker.Set] does. If there are more than
// Max breakers, the group keeps their number but does not grow.
//
// Errors: the error of [GroupConfig.Validate] or, of the first key for which it
// is invalid, of [Config.Validate]; nothing is changed then.
func (g *Group[K]) Set(cfg GroupConfig[K]) error {
	if err := cfg.Validate(); err != nil {
		return err
	}
	cfg = cfg.withDefaults()
	g.mu.Lock()
	defer g.mu.Unlock()
	all := make([]Config, len(g.members))
	for i, m := range g.members {
		all[i] = cfg.Config(m.key)
		if err := all[i].Validate(); err != nil {
			return err
		}
	}
	g.cfg = cfg
	for i, m := range g.members {
		m.b.Set(all[i])
	}
	return nil
}

// Config returns the configuration of g, with the defaults in place of zeros.
func (g *Group[K]) Config() GroupConfig[K] {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.cfg
}

// Do calls fn guarded by the breaker of key.
//
// Errors: as for the function [Do].
func (g *Group[K]) Do(ctx context.Context, key K, fn func(context.Context) error) error {
	return g.For(key).Do(ctx, fn)
}

// For returns the breaker of key, a new breaker if there is none. It returns
// nil, which admits everything, if the group is full and can forget no
// breaker. Call For again for the next call: the group may have forgotten the
// breaker.
func (g *Group[K]) For(key K) *Breaker {
	if b, ok := g.Peek(key); ok {
		return b
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if b, ok := g.Peek(key); ok {
		return b
	}
	if len(g.members) < g.cfg.Max {
		b := g.create(key)
		g.members = append(g.members, member[K]{key: key, b: b})
		return b
	}
	i, ok := g.search()
	if !ok {
		g.unguarded.Add(1)
		return nil
	}
	b := g.create(key)
	g.byKey.Delete(g.members[i].key)
	g.members[i] = member[K]{key: key, b: b}
	g.forgotten++
	return b
}

func (g *Group[K]) create(key K) *Breaker {
	cfg := g.cfg.Config(key)
	b := New(cfg)
	g.byKey.Store(key, b)
	return b
}

// search returns a member that can be forgotten: among the members that it
// looks at, the least used since the previous search.
func (g *Group[K]) search() (found int, ok bool) {
	var least uint64
	for range min(maxSearch, len(g.members)) {
		i := g.hand
		g.hand = (g.hand + 1) % len(g.members)
		m := &g.members[i]
		ended, expendable := m.b.expendable()
		used := ended - m.seen
		m.seen = ended
		if expendable && (!ok || used < least) {
			found, ok, least = i, true, used
		}
		if ok && least == 0 {
			break
		}
	}
	return found, ok
}

// Peek returns the breaker of key and true, or nil and false.
func (g *Group[K]) Peek(key K) (*Breaker, bool) {
	if b, ok := g.byKey.Load(key); ok {
		return b.(*Breaker), true
	}
	return nil, false
}

// All iterates over the keys and breakers, in no order. It may omit a key that
// is added or forgotten during the iteration.
func (g *Group[K]) All() iter.Seq2[K, *Breaker] {
	return func(yield func(K, *Breaker) bool) {
		g.byKey.Range(func(k, b any) bool { return yield(k.(K), b.(*Breaker)) })
	}
}

// GroupStats is a snapshot of a group.
type GroupStats struct {
	Name      string `json:"name"`      // GroupConfig.Name
	Len       int    `json:"len"`       // breakers in the group
	Forgotten uint64 `json:"forgotten"` // breakers forgotten in order to make room
	Unguarded uint64 `json:"unguarded"` // calls of For that returned nil
}

// Stats returns a snapshot.
func (g *Group[K]) Stats() GroupStats {
	g.mu.Lock()
	defer g.mu.Unlock()
	return GroupStats{Name: g.cfg.Name, Len: len(g.members), Forgotten: g.forgotten, Unguarded: g.unguarded.Load()}
}

// expendable reports whether a breaker may be forgotten, and how many of its
// calls have ended.
func (b *Breaker) expendable() (ended uint64, ok bool) {
	b.read(func(p *period, now time.Duration) {
		ended = b.meter.ended() + b.meter.total(late) + b.meter.total(rejected)
		f, s := b.figures(p, now), p.view(now)
		switch {
		case b.meter.running() != 0 || s == StateForcedOpen || s == StateForcedClosed:
		case s == StateClosed && f.failures+f.slow+f.run == 0 && !b.remembers(p, now):
			ok = true
		default:
			idle, c := now-max(time.Duration(b.meter.from.Load()), p.end()), b.cfg.Load()
			ok = idle/2 > c.MaxOpenFor && idle > max(c.Window, b.lastOpen)
		}
	})
	return ended, ok
}
