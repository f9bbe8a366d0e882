package cache

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"sync/atomic"
	"time"
)

// NoExpiry is the lifetime of an entry that never expires.
const NoExpiry = time.Duration(math.MaxInt64)

// A Config says how much a [Cache] holds, for how long, and what it does when loading fails.
type Config[K comparable, V any] struct {
	// Capacity is the largest number of entries, never exceeded, not even for a moment. It is required, at least 1,
	// unless there is a MaxWeight, beside which 0 means that the number is not limited.
	Capacity int

	// MaxWeight is the largest sum of the weights of all entries, never exceeded either. 0, the default, means that weights
	// are not limited. It needs Weigh.
	MaxWeight uint64

	// Weigh returns the weight of an entry, in a unit of your choice, say bytes. It is called once for each write, before
	// it and outside locks (but see Update); if it panics, nothing is written. A value heavier than MaxWeight is not
	// stored: it departs at once as Evicted, and so does what its key had before, as Replaced. One of weight 0 does
	// not leave to make room for weight. Nil, the default, gives each entry the weight 1. It needs MaxWeight.
	Weigh func(K, V) uint32

	// Eviction says which entry makes room for another: Adaptive, the default, or LRU.
	Eviction Eviction

	// TTL is the lifetime of an entry from its last write; reads do not extend it. 0, the default, means [NoExpiry];
	// a negative TTL is invalid.
	TTL time.Duration

	// IdleTTL ends the lifetime of an entry, if it has not ended by then, this long after the last write or counted
	// lookup. 0, the default, means never; a negative value is invalid.
	IdleTTL time.Duration

	// Expiry returns the lifetime of an entry in place of TTL: 0 means the TTL, negative that it has expired already. It is
	// called like Weigh, but not for what SetTTL and Restore store. Nil, the default, means the TTL for all.
	Expiry func(K, V) time.Duration

	// Jitter shortens the TTL of each entry, or what Expiry returns, by a random part of up to this fraction, so that
	// entries stored together do not expire together. From 0, the default and none, to 0.5. A lifetime given to SetTTL is
	// kept as it is.
	Jitter float64

	// Refresh is the age from which on a value that GetOrLoad returns is also loaded anew, in the background and once
	// for all who ask. The new value replaces the old one, which lives on if the load fails; the next attempt is
	// made not before Refresh has passed again. 0, the default, means not to; a negative value is invalid.
	Refresh time.Duration

	// StaleIfError is how long past the end of its lifetime a value still answers GetOrLoad when its load returns an
	// error. Until then it keeps its place in the cache; everything but GetOrLoad takes it for absent. An [ErrNotFound]
	// is an answer, no failure. 0, the default, means not at all; a negative value is invalid.
	StaleIfError time.Duration

	// ErrorTTL returns how long the error of a failed load answers for its key without another load; [RetryAfter] is
	// one such function. It is called outside locks, once per failed load; 0 or less means not at all. Nil, the
	// default, remembers no error. At most Capacity errors are remembered, or 65536 if that is not given, beside the
	// entries, least recently stored ones leaving first.
	ErrorTTL func(error) time.Duration

	// Uncounted leaves the Hits and Misses of Stats at 0, which makes each lookup a few nanoseconds faster. By default
	// they are counted.
	Uncounted bool

	// OnEvent is told of each value that leaves the cache, once, with the cause. It may be nil. It is called
	// synchronously, outside locks, after the change it reports and in the order of the changes; it may call back into
	// this package and must not block.
	OnEvent func(context.Context, Event[K, V])
}

// Validate reports everything that is wrong with c, joined, or nil.
func (c Config[K, V]) Validate() error {
	var errs []error
	check := func(ok bool, field string, value any, want string) {
		if !ok {
			errs = append(errs, fmt.Errorf("cache: %s is %v, want %s", field, value, want))
		}
	}
	if c.Weigh == nil {
		check(c.Capacity >= 1, "Capacity", c.Capacity, "at least 1")
		check(c.MaxWeight == 0, "MaxWeight", c.MaxWeight, "0 without Weigh")
	} else {
		check(c.Capacity >= 0, "Capacity", c.Capacity, "0 (not limited) or more")
		check(c.MaxWeight >= 1 && c.MaxWeight <= math.MaxInt64, "MaxWeight", c.MaxWeight, "1 to 1<<63-1 with Weigh")
	}
	check(c.Eviction <= LRU, "Eviction", c.Eviction, "Adaptive or LRU")
	check(c.TTL >= 0, "TTL", c.TTL, "0 (no expiry) or more")
	check(c.IdleTTL >= 0, "IdleTTL", c.IdleTTL, "0 (never) or more")
	check(c.Jitter >= 0 && c.Jitter <= 0.5, "Jitter", c.Jitter, "0 to 0.5")
	check(c.Refresh >= 0, "Refresh", c.Refresh, "0 (off) or more")
	check(c.StaleIfError >= 0, "StaleIfError", c.StaleIfError, "0 (off) or more")
	return errors.Join(errs...)
}

// A Cache is a bounded map of keys to values that decides which entries are worth keeping. [New] makes one. It is safe for
// use by many goroutines, must not be copied, and needs no closing: it owns no goroutine.
type Cache[K comparable, V any] struct {
	config  Config[K, V]
	hasher  hasher[K]
	epoch   time.Time      // instants count from here
	random  func() float64 // in [0, 1), for Jitter
	word    word           // whether values can be overwritten in place
	shards  []shard[K, V]  // a power of two of them
	shift   int            // the logarithm of that
	lookups counters
	errs    *Cache[K, error] // the remembered errors, or nil. Those of a key change under the lock of its shard

	_      [64]byte // what is above is only read
	budget budget
	armed  atomic.Int64 // the instant of the timer that is to remove what has expired, or 0
}

// A shard is worth its fixed costs, and evicts nearly what the whole cache would, from this many entries on.
const shardEntries = 256

const maxErrors = 1 << 16 // that are remembered, if there is no Capacity

// New returns an empty cache. It panics with the error of [Config.Validate] if there is one.
func New[K comparable, V any](config Config[K, V]) *Cache[K, V] {
	if err := config.Validate(); err != nil {
		panic(err)
	}
	shards := 1
	for config.Eviction != LRU && shards < 4*runtime.GOMAXPROCS(0) && (config.Capacity == 0 || config.Capacity >= 2*shards*shardEntries) {
		shards *= 2
	}
	return newCache(config, shards)
}

// newCache returns a cache with this number of shards, a power of two.
func newCache[K comparable, V any](config Config[K, V], shards int) *Cache[K, V] {
	if config.TTL == 0 {
		config.TTL = NoExpiry
	}
	c := &Cache[K, V]{
		config:  config,
		hasher:  newHasher[K](),
		epoch:   time.Now(),
		random:  rand.Float64,
		word:    wordOf[V](),
		lookups: newCounters(),
		shards:  make([]shard[K, V], shards),
	}
	for n := shards; n > 1; n /= 2 {
		c.shift++
	}
	for i := range c.shards {
		c.shards[i].reset(config.Eviction)
	}
	c.budget.capacity.Store(int64(config.Capacity))
	c.budget.maxWeight.Store(int64(config.MaxWeight))
	if config.Capacity == 0 {
		c.budget.capacity.Store(math.MaxInt64)
	}
	if config.ErrorTTL != nil {
		n := config.Capacity
		if n == 0 {
			n = maxErrors
		}
		c.errs = newCache(Config[K, error]{Capacity: n, Eviction: LRU}, 1)
	}
	return c
}

// locate returns the shard of k, and its hash. It panics if k cannot be hashed; what is done under a lock does not.
func (c *Cache[K, V]) locate(k K) (*shard[K, V], uint32) {
	hash := c.hasher.hash(k)
	return &c.shards[hash>>(64-c.shift)], uint32(hash)
}

// Get returns the value of k. That is a use of the entry, which makes it less likely to be evicted; with the policy LRU, it
// becomes the most recently used one.
func (c *Cache[K, V]) Get(k K) (V, bool) {
	if n := c.get(k); n != nil {
		return n.load(c.word), true
	}
	var none V
	return none, false
}

func (c *Cache[K, V]) get(k K) *node[K, V] {
	s, hash := c.locate(k)
	if c.config.Eviction == LRU {
		return c.getLRU(s, hash, k)
	}
	n := s.find(hash, k)
	if n == nil || !c.use(n) {
		c.count(false)
		return nil
	}
	c.count(true)
	n.warm()
	return n
}

// getLRU is get for a cache whose order each lookup changes.
func (c *Cache[K, V]) getLRU(s *shard[K, V], hash uint32, k K) *node[K, V] {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.find(hash, k)
	if n == nil || !c.use(n) {
		c.count(false)
		return nil
	}
	c.count(true)
	s.queues.used(n)
	return n
}

// Peek returns the value of k. Unlike Get it is no use of the entry and is not counted.
func (c *Cache[K, V]) Peek(k K) (V, bool) {
	s, hash := c.locate(k)
	return c.valueOf(s.find(hash, k))
}

// valueOf returns the value of n, if there is an n and it has not expired.
func (c *Cache[K, V]) valueOf(n *node[K, V]) (v V, ok bool) {
	if n == nil || c.age(n) != fresh {
		return v, false
	}
	return n.load(c.word), true
}

// Set stores v under k for the lifetime that the Config says. That is a use of the entry. A load of k under way will not
// overwrite it.
func (c *Cache[K, V]) Set(k K, v V) {
	c.write(k, v, c.lifetime(k, v))
}

// SetTTL is Set with a lifetime of its own: 0 means that of the Config, [NoExpiry] never. It panics if ttl is negative,
// which a lifetime computed as a difference can be; such a value has expired, so do not store it.
func (c *Cache[K, V]) SetTTL(k K, v V, ttl time.Duration) {
	if ttl < 0 {
		panic("cache: SetTTL: negative lifetime")
	}
	if ttl == 0 {
		ttl = c.lifetime(k, v)
	}
	c.write(k, v, ttl)
}

// Swap is Set that returns the value it replaced, if there was one.
func (c *Cache[K, V]) Swap(k K, v V) (old V, had bool) {
	return c.write(k, v, c.lifetime(k, v))
}

func (c *Cache[K, V]) write(k K, v V, ttl time.Duration) (old V, had bool) {
	s, hash := c.locate(k)
	inPlace := c.word != notWord && c.plain(ttl) && c.config.OnEvent == nil
	var n *node[K, V]
	if !inPlace {
		n = c.newNode(k, v, hash, ttl)
	}
	var gone departed[K, V]
	c.attempt(s, &gone, func() bool {
		c.detach(s, k)
		present := s.find(hash, k)
		old, had = c.valueOf(present)
		if inPlace {
			if present != nil && present.attrs == nil {
				present.overwrite(c.word, v)
				s.queues.used(present)
				return true
			}
			n = c.newNode(k, v, hash, ttl)
		}
		return c.put(s, present, n, true, &gone)
	})
	c.emit(context.Background(), &gone)
	return old, had
}

// lifetime returns that of an entry about to be stored, as the Config says.
func (c *Cache[K, V]) lifetime(k K, v V) time.Duration {
	ttl := c.config.TTL
	if c.config.Expiry != nil {
		if own := c.config.Expiry(k, v); own != 0 {
			ttl = max(own, 0)
		}
	}
	if c.config.Jitter == 0 || ttl == NoExpiry {
		return ttl
	}
	return ttl - time.Duration(float64(ttl)*c.config.Jitter*c.random())
}

// attempt runs f under the lock of s until it reports that it had the room it needs. In between, another shard makes room.
func (c *Cache[K, V]) attempt(s *shard[K, V], gone *departed[K, V], f func() bool) {
	for !s.locked(f) {
		c.evictElsewhere(s, gone)
	}
}

// detach forgets what is loaded or remembered for k: a load under way still answers those who wait for it, and nobody
// else. s.mu is held.
func (c *Cache[K, V]) detach(s *shard[K, V], k K) {
	if len(s.flights) > 0 {
		delete(s.flights, k)
	}
	if c.errs != nil && c.errs.Len() > 0 {
		c.errs.Delete(k)
	}
}

// GetOrSet returns the value of k if there is one, as Get does, and otherwise stores v and returns it. Loaded says which.
func (c *Cache[K, V]) GetOrSet(k K, v V) (actual V, loaded bool) {
	if n := c.get(k); n != nil {
		return n.load(c.word), true
	}
	s, hash := c.locate(k)
	n := c.newNode(k, v, hash, c.lifetime(k, v))
	var gone departed[K, V]
	c.attempt(s, &gone, func() bool {
		present := s.find(hash, k)
		if loaded = present != nil && c.use(present); loaded { // since the lookup
			actual = present.load(c.word)
			return true
		}
		c.detach(s, k)
		actual = v
		return c.put(s, present, n, true, &gone)
	})
	c.emit(context.Background(), &gone)
	return actual, loaded
}

// Delete removes k and reports whether it had a value. A load of k under way will not bring it back, and a later GetOrLoad
// does not join that load.
func (c *Cache[K, V]) Delete(k K) bool {
	_, had := c.GetAndDelete(k)
	return had
}

// GetAndDelete is Delete that returns the value it removed. Neither is counted as a lookup.
func (c *Cache[K, V]) GetAndDelete(k K) (v V, had bool) {
	s, hash := c.locate(k)
	var gone departed[K, V]
	s.locked(func() bool {
		c.detach(s, k)
		n := s.find(hash, k)
		if v, had = c.valueOf(n); n != nil {
			c.remove(s, n, CauseDeleted, &gone)
		}
		return true
	})
	c.emit(context.Background(), &gone)
	return v, had
}

// Clear removes everything that is there when it begins: entries, remembered errors, and the right of loads under way to
// store their results. What is stored meanwhile may go too.
func (c *Cache[K, V]) Clear() {
	var gone departed[K, V]
	for i := range c.shards {
		s := &c.shards[i]
		s.locked(func() bool {
			for _, n := range s.queues.all() {
				c.remove(s, n, CauseDeleted, &gone)
			}
			s.reset(c.config.Eviction)
			return true
		})
	}
	if c.errs != nil { // after the loads that could add to them
		c.errs.Clear()
	}
	c.emit(context.Background(), &gone)
}

// Len returns the number of entries, those included that have expired and have not yet been removed. It is never more than
// Capacity.
func (c *Cache[K, V]) Len() int { return int(c.budget.entries.Load()) }

// Weight returns the sum of the weights of all entries: without Weigh, their number. It is never more than MaxWeight.
func (c *Cache[K, V]) Weight() uint64 {
	if c.config.Weigh == nil {
		return uint64(c.Len())
	}
	return uint64(c.budget.weight.Load())
}

// Capacity returns the largest number of entries: the Config's, or that of the last Resize. Without either it is
// [math.MaxInt].
func (c *Cache[K, V]) Capacity() int { return int(min(c.budget.capacity.Load(), math.MaxInt)) }

// Resize changes the Capacity, and evicts what is then too much. It panics if capacity is less than 1. How the work is
// shared out among processors remains as the Config's Capacity has it: a cache that is to become large should begin large.
func (c *Cache[K, V]) Resize(capacity int) {
	if capacity < 1 {
		panic("cache: Resize: capacity less than 1")
	}
	c.budget.capacity.Store(int64(capacity))
	var gone departed[K, V]
	for c.budget.entries.Load() > c.budget.capacity.Load() {
		c.evictElsewhere(nil, &gone)
	}
	c.emit(context.Background(), &gone)
}
