package cache

import (
	"context"
	"math"
	"math/bits"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// A Cache is a bounded map of keys to values that evicts the entries it
// expects to need least. [New] makes a Cache. It is safe for concurrent use,
// must not be copied, and need not be closed.
type Cache[K comparable, V any] struct {
	config  atomic.Pointer[Config[K, V]]
	hasher  hasher[K]
	lru     bool           // config.Eviction is LRU
	epoch   time.Time      // the origin of all instants
	random  func() float64 // in [0, 1), for Jitter
	word    word           // whether values can be overwritten in place
	shards  []shard[K, V]  // their number is a power of two
	shift   int            // the logarithm of that number
	lookups counters
	errs    atomic.Pointer[Cache[K, error]] // the remembered errors, or nil; see shard.detach
	setting sync.Mutex                      // held by SetConfig
	duel    *duel                           // selects the rule of Adaptive; nil in a cache with a fixed rule
	fixed   rule                            // that rule
	shadow  bool                            // of a duel

	_      [64]byte // the fields above are only read
	budget budget
	alarm  alarm // removes expired entries
}

// A shard with this many entries evicts nearly the same entries as an
// undivided cache would.
const shardEntries = 256

// maxErrors bounds the remembered errors of a cache without Capacity.
const maxErrors = 1 << 16

// New returns an empty cache. It panics with the error of [Config.Validate]
// if config is invalid.
func New[K comparable, V any](config Config[K, V]) *Cache[K, V] {
	if err := config.Validate(); err != nil {
		panic(err)
	}
	shards := 1
	for config.Eviction != LRU && config.Weigh == nil && shards < 4*runtime.GOMAXPROCS(0) && config.Capacity >= 2*shards*shardEntries {
		shards *= 2
	}
	c := newCache(config, shards, frequent)
	if config.Eviction == Adaptive {
		c.duel = new(duel)
		c.duel.reset()
	}
	return c
}

// newCache returns a cache with this number of shards, a power of two, and this
// rule.
func newCache[K comparable, V any](config Config[K, V], shards int, fixed rule) *Cache[K, V] {
	config = config.withDefaults()
	c := &Cache[K, V]{
		hasher:  newHasher[K](),
		epoch:   time.Now(),
		random:  rand.Float64,
		word:    wordOf[V](),
		lookups: newCounters(),
		shards:  make([]shard[K, V], shards),
		shift:   bits.Len(uint(shards)) - 1,
		fixed:   fixed,
	}
	c.lru = config.Eviction == LRU
	c.config.Store(&config)
	for i := range c.shards {
		c.shards[i].cache = c
		c.shards[i].reset()
	}
	c.adopt(&config)
	return c
}

// locate returns the shard of k and the part of its hash that the shard uses.
// It panics if k cannot be hashed. Operations on k under a lock then cannot
// panic.
func (c *Cache[K, V]) locate(k K) (*shard[K, V], uint32) {
	hash := c.hasher.hash(k)
	return &c.shards[hash>>(64-c.shift)], uint32(hash)
}

// Get returns the value of k and reports whether k has a value. Get marks the
// entry as used, so that it is less likely to be evicted. With LRU it becomes
// the most recently used entry.
func (c *Cache[K, V]) Get(k K) (V, bool) {
	if n := c.get(k); n != nil {
		return n.load(c.word), true
	}
	var none V
	return none, false
}

// get returns the fresh entry of k, or nil.
func (c *Cache[K, V]) get(k K) *node[K, V] {
	s, hash := c.locate(k)
	if c.lru {
		return s.getLRU(hash, k)
	}
	n := s.find(hash, k)
	if n == nil || !c.use(n) {
		c.count(false)
		return nil
	}
	c.count(true)
	first := n.warm()
	if d := c.duel; d != nil && d.sampled(hash) {
		d.hit(hash, n.weight())
	}
	if first && c.rule() != frequent {
		s.touch(n)
	}
	return n
}

// rule returns the rule of evictions in force.
func (c *Cache[K, V]) rule() rule {
	if c.duel == nil {
		return c.fixed
	}
	return rule(c.duel.rule.Load())
}

// getLRU is get for a cache whose order changes with each lookup.
func (s *shard[K, V]) getLRU(hash uint32, k K) *node[K, V] {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.find(hash, k)
	if n == nil || !s.cache.use(n) {
		s.cache.count(false)
		return nil
	}
	s.cache.count(true)
	s.queues.used(n)
	return n
}

// Peek returns the value of k. Unlike Get, Peek does not mark the entry as
// used and does not count as a lookup.
func (c *Cache[K, V]) Peek(k K) (V, bool) {
	s, hash := c.locate(k)
	return c.valueOf(s.find(hash, k))
}

// valueOf returns the value of n and reports whether n is a fresh entry. N may
// be nil.
func (c *Cache[K, V]) valueOf(n *node[K, V]) (v V, ok bool) {
	if n == nil || c.age(n) != fresh {
		return v, false
	}
	return n.load(c.word), true
}

// Set stores v under k with the lifetime of the Config, and marks the entry as
// used. A load of k in progress does not overwrite v.
func (c *Cache[K, V]) Set(k K, v V) {
	c.write(k, v, c.lifetime(k, v))
}

// SetTTL is like Set, with the lifetime ttl. [NoExpiry] means that the entry
// never expires. If ttl <= 0, v has expired already: v departs at once with
// CauseExpired, and k has no entry afterwards. [UseTTL] means the lifetime of
// the Config.
func (c *Cache[K, V]) SetTTL(k K, v V, ttl time.Duration) {
	if ttl == UseTTL {
		ttl = c.lifetime(k, v)
	}
	c.write(k, v, ttl)
}

// Swap is like Set, and returns the replaced value. It reports whether there
// was a value to replace.
func (c *Cache[K, V]) Swap(k K, v V) (old V, had bool) {
	return c.write(k, v, c.lifetime(k, v))
}

func (c *Cache[K, V]) write(k K, v V, ttl time.Duration) (old V, had bool) {
	s, hash := c.locate(k)
	var n *node[K, V] // nil if v may overwrite a value in place
	if c.word == notWord || !c.plain(ttl) || c.config.Load().OnEvent != nil {
		n = c.newNode(k, v, hash, ttl)
	}
	return c.store(s, k, v, hash, n, always)
}

// A mode says when store stores a value.
type mode uint8

const (
	always    mode = iota
	ifAbsent       // the present value, if any, is used
	restoring      // if absent, without marking the entry as used
)

// store stores v under k, as the node n if that is not nil. It returns the
// value that k had before.
func (c *Cache[K, V]) store(s *shard[K, V], k K, v V, hash uint32, n *node[K, V], m mode) (old V, had bool) {
	var gone departed[K, V]
	old, had, done := s.store(k, v, hash, n, m, &gone)
	for !done {
		c.evictElsewhere(s, &gone)
		old, had, done = s.store(k, v, hash, n, m, &gone)
	}
	c.emit(context.Background(), &gone)
	return old, had
}

// store also reports whether it was done: if not, another shard must make room
// first.
func (s *shard[K, V]) store(k K, v V, hash uint32, n *node[K, V], m mode, gone *departed[K, V]) (old V, had, done bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	present := s.find(hash, k)
	old, had = s.cache.valueOf(present)
	if had && m != always {
		if m == ifAbsent {
			s.cache.use(present)
		}
		return old, true, true
	}
	s.detach(k)
	if n == nil {
		if present != nil && present.attrs == nil {
			present.overwrite(s.cache.word, v)
			s.queues.used(present)
			return old, had, true
		}
		n = s.cache.newNode(k, v, hash, NoExpiry)
	}
	return old, had, s.put(present, n, m != restoring, gone)
}

// lifetime returns the lifetime of an entry by the rules of the Config.
func (c *Cache[K, V]) lifetime(k K, v V) time.Duration {
	config := c.config.Load()
	ttl := UseTTL
	if config.Expiry != nil {
		ttl = config.Expiry(k, v)
	}
	if ttl == UseTTL {
		ttl = config.TTL
	}
	if config.Jitter == 0 || ttl == NoExpiry || ttl <= 0 {
		return ttl
	}
	return ttl - time.Duration(float64(ttl)*config.Jitter*c.random())
}

// GetOrSet returns the value of k, as Get does. If k has no value, GetOrSet
// stores v, as Set does, and returns v. Loaded reports whether k had a value.
func (c *Cache[K, V]) GetOrSet(k K, v V) (actual V, loaded bool) {
	if n := c.get(k); n != nil {
		return n.load(c.word), true
	}
	s, hash := c.locate(k)
	n := c.newNode(k, v, hash, c.lifetime(k, v))
	if old, had := c.store(s, k, v, hash, n, ifAbsent); had { // since the lookup
		return old, true
	}
	return v, false
}

// Delete deletes k and reports whether it had a value. A load of k in progress
// does not store its result, and a later GetOrLoad does not join that load.
func (c *Cache[K, V]) Delete(k K) bool {
	_, had := c.GetAndDelete(k)
	return had
}

// GetAndDelete is like Delete, and returns the deleted value. It does not
// count as a lookup.
func (c *Cache[K, V]) GetAndDelete(k K) (v V, had bool) {
	s, hash := c.locate(k)
	var gone departed[K, V]
	v, had = s.delete(k, hash, &gone)
	c.emit(context.Background(), &gone)
	return v, had
}

func (s *shard[K, V]) delete(k K, hash uint32, gone *departed[K, V]) (v V, had bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.detach(k)
	n := s.find(hash, k)
	if v, had = s.cache.valueOf(n); n != nil {
		s.remove(n, CauseDeleted, gone)
	}
	return v, had
}

// Clear deletes all entries and remembered errors. Loads in progress complete
// but do not store their results. Clear may also delete entries that are
// stored while it runs.
func (c *Cache[K, V]) Clear() {
	var gone departed[K, V]
	for i := range c.shards {
		c.shards[i].clear(&gone)
	}
	if errs := c.errs.Load(); errs != nil { // after the loads that could add to them
		errs.Clear()
	}
	c.emit(context.Background(), &gone)
}

func (s *shard[K, V]) clear(gone *departed[K, V]) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range s.queues.all() {
		s.remove(n, CauseDeleted, gone)
	}
	for _, f := range s.flights {
		f.old = nil
	}
	s.version++
	s.reset()
}

// Len returns the number of entries, including expired entries that have not
// been removed yet. It never exceeds Capacity, except while SetConfig reduces
// the capacity.
func (c *Cache[K, V]) Len() int { return int(c.budget.entries.Load()) }

// Weight returns the sum of the weights of all entries. It never exceeds
// MaxWeight. Without Weigh it is Len.
func (c *Cache[K, V]) Weight() uint64 {
	if c.config.Load().Weigh == nil {
		return uint64(c.Len())
	}
	return uint64(c.budget.weight.Load())
}

// Capacity returns the maximum number of entries: Config.Capacity, or
// [math.MaxInt] if that is 0.
func (c *Cache[K, V]) Capacity() int { return int(min(c.budget.capacity.Load(), math.MaxInt)) }

// resize sets the limits and evicts the entries that exceed them.
func (c *Cache[K, V]) resize(capacity, maxWeight int64) {
	b := &c.budget
	if c.duel != nil && (b.capacity.Load() != capacity || b.maxWeight.Load() != maxWeight) {
		c.duel.reset()
	}
	b.capacity.Store(capacity)
	b.maxWeight.Store(maxWeight)
	var gone departed[K, V]
	for b.entries.Load() > b.capacity.Load() || b.weight.Load() > b.maxWeight.Load() {
		c.evictElsewhere(nil, &gone)
	}
	c.emit(context.Background(), &gone)
}
