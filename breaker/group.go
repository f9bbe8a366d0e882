package breaker

import (
	"fmt"
	"iter"
	"sync"
	"sync/atomic"
	"time"
)

// maxSearch bounds the entries looked at in order to make room for one.
const maxSearch = 32

// A GroupConfig describes a group. The zero value is valid; a zero field means its default.
type GroupConfig[K comparable] struct {
	// Max is the number of breakers kept at most. Default 10000; it cannot be off.
	Max int
	// Config returns the description of the breaker for a key. It is called with the group locked and must not
	// use the group; a description that Validate refuses makes Get panic. Default: the zero Config.
	Config func(K) Config
}

// Validate reports what NewGroup would refuse, or nil.
func (c GroupConfig[K]) Validate() error {
	if c.Max < 0 {
		return fmt.Errorf("breaker: Max %d: cannot be off", c.Max)
	}
	return nil
}

// A Group is a set of breakers, one per key, made on demand: per host, shard or tenant. The number of keys is bounded
// also if others choose them; bound their length yourself. Make one with [NewGroup]; it needs no Close.
//
// A full group makes room for a new key by forgetting another that it can do without: one with no calls in flight
// and either no failure, slow call or opening to remember, or no sign of life for twice its MaxOpenFor. Keys used
// recently go last. If it finds none it lets the new key do without a breaker rather than forget what it knows: so
// nobody can erase a breaker's history by flooding the group with keys.
type Group[K comparable] struct {
	cfg       GroupConfig[K]
	byKey     sync.Map // K to *Breaker
	mu        sync.Mutex
	members   []member[K]
	hand      int // where the search for room goes on
	forgotten uint64
	unguarded atomic.Uint64
}

type member[K comparable] struct {
	key  K
	b    *Breaker
	seen uint64 // calls ended when the search last came by
}

// NewGroup returns an empty group. It panics with the error of GroupConfig.Validate if that is not nil.
func NewGroup[K comparable](cfg GroupConfig[K]) *Group[K] {
	if err := cfg.Validate(); err != nil {
		panic(err)
	}
	orDefault(&cfg.Max, 10000)
	if cfg.Config == nil {
		cfg.Config = func(K) Config { return Config{} }
	}
	return &Group[K]{cfg: cfg}
}

// Get returns the breaker of key, a new one if there is none. It returns nil, which admits everything, if the group
// is full of breakers that must not be forgotten. Use the breaker for one call and ask again for the next: a kept
// one may be forgotten meanwhile.
func (g *Group[K]) Get(key K) *Breaker {
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
	if err := cfg.Validate(); err != nil {
		panic(err)
	}
	b := newBreaker(cfg, true)
	g.byKey.Store(key, b)
	return b
}

// search returns a member that can be forgotten: of those it looks at, the one least used since it last came by.
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

// Peek returns the breaker of key if there is one.
func (g *Group[K]) Peek(key K) (*Breaker, bool) {
	if b, ok := g.byKey.Load(key); ok {
		return b.(*Breaker), true
	}
	return nil, false
}

// All iterates over the keys and breakers, in no order; a key that comes or goes meanwhile may be left out.
func (g *Group[K]) All() iter.Seq2[K, *Breaker] {
	return func(yield func(K, *Breaker) bool) {
		g.byKey.Range(func(k, b any) bool { return yield(k.(K), b.(*Breaker)) })
	}
}

// GroupStats is a snapshot of a group.
type GroupStats struct {
	Len       int    `json:"len"`       // breakers kept
	Forgotten uint64 `json:"forgotten"` // breakers that made room for others
	Unguarded uint64 `json:"unguarded"` // calls of Get that returned nil
}

// Stats returns a snapshot.
func (g *Group[K]) Stats() GroupStats {
	g.mu.Lock()
	defer g.mu.Unlock()
	return GroupStats{Len: len(g.members), Forgotten: g.forgotten, Unguarded: g.unguarded.Load()}
}

// expendable reports whether a tracked breaker may be forgotten, and how many of its calls have ended.
func (b *Breaker) expendable() (ended uint64, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Since(b.start)
	s := b.stats(now)
	t := s.Total
	ended = t.Successes + t.Failures + t.Ignored + t.Late + t.Rejected
	p := b.cur.Load()
	if b.meter.total(started) != ended || s.State == ForcedOpen || s.State == ForcedClosed {
		return ended, false
	}
	if s.State == Closed && s.Failures+s.Slow+s.Consecutive+s.Openings == 0 {
		return ended, true
	}
	idle := now - max(p.since, p.until, b.lastFailure)
	return ended, idle > 2*b.cfg.MaxOpenFor && idle > b.cfg.Window && idle >= b.lastOpen
}
