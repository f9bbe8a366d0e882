package cache

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"sync"
	"time"
)

// NoExpiry is the lifetime of an entry that never expires.
const NoExpiry = time.Duration(math.MaxInt64)

// A Config says how much a [Cache] holds, for how long, and what it does when loading fails.
type Config[K comparable, V any] struct {
	// Capacity is the largest number of entries, never exceeded, not even for a moment. Required, at least 1.
	Capacity int

	// TTL is the lifetime of an entry from its last write; reads do not extend it. 0, the default, means [NoExpiry];
	// a negative TTL is invalid.
	TTL time.Duration

	// Jitter shortens the TTL of each entry by a random part of up to this fraction, so that entries stored together
	// do not expire together. From 0, the default and none, to 0.5. A lifetime given to SetTTL is kept as it is.
	Jitter float64

	// StaleIfError is how long past the end of its lifetime a value still answers GetOrLoad when its load returns an
	// error. Until then it keeps its place in the cache; everything but GetOrLoad takes it for absent. An [ErrNotFound]
	// is an answer, no failure. 0, the default, means not at all; a negative value is invalid.
	StaleIfError time.Duration

	// ErrorTTL returns how long the error of a failed load answers for its key without another load; [RetryAfter] is
	// one such function. It is called outside locks, once per failed load; 0 or less means not at all. Nil, the
	// default, remembers no error. At most Capacity errors are remembered, beside the entries, least recently stored
	// ones leaving first.
	ErrorTTL func(error) time.Duration

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
	check(c.Capacity >= 1, "Capacity", c.Capacity, "at least 1")
	check(c.TTL >= 0, "TTL", c.TTL, "0 (no expiry) or more")
	check(c.Jitter >= 0 && c.Jitter <= 0.5, "Jitter", c.Jitter, "0 to 0.5")
	check(c.StaleIfError >= 0, "StaleIfError", c.StaleIfError, "0 (off) or more")
	return errors.Join(errs...)
}

// A Cache is a bounded map of keys to values that drops the least recently used entry to make room. [New] makes one. It is
// safe for use by many goroutines, must not be copied, and needs no closing: it owns no goroutine and no timer.
type Cache[K comparable, V any] struct {
	config Config[K, V]
	random func() float64 // in [0, 1), for Jitter

	mu      sync.Mutex // guards what follows; no function of the user's runs under it
	entries *store[K, V]
	errs    *store[K, error] // the remembered errors
	flights map[K]*flight[V] // the loads whose result will be stored; see flight.go
	stats   Stats
}

// New returns an empty cache. It panics with the error of [Config.Validate] if there is one.
func New[K comparable, V any](config Config[K, V]) *Cache[K, V] {
	if err := config.Validate(); err != nil {
		panic(err)
	}
	if config.TTL == 0 {
		config.TTL = NoExpiry
	}
	return &Cache[K, V]{
		config:  config,
		random:  rand.Float64,
		entries: newStore[K, V](config.Capacity, config.StaleIfError),
		errs:    newStore[K, error](config.Capacity, 0),
		flights: make(map[K]*flight[V]),
	}
}

// Get returns the value of k and makes it the most recently used.
func (c *Cache[K, V]) Get(k K) (V, bool) {
	return c.get(context.Background(), k)
}

func (c *Cache[K, V]) get(ctx context.Context, k K) (V, bool) {
	v, ok, gone := c.lookup(k)
	c.emit(ctx, gone)
	return v, ok
}

func (c *Cache[K, V]) lookup(k K) (v V, ok bool, gone Event[K, V]) {
	c.mu.Lock()
	defer c.mu.Unlock() // deferred everywhere: a key that cannot be hashed panics in the map
	e, gone := c.peek(k)
	if e == nil {
		c.stats.Misses++
		return v, false, gone
	}
	c.stats.Hits++
	c.entries.touch(e)
	return e.value, true, gone
}

// peek returns the fresh entry of k, or nil, and removes a dead one. c.mu is held.
func (c *Cache[K, V]) peek(k K) (e *entry[K, V], gone Event[K, V]) {
	e, age := c.entries.find(k)
	switch {
	case e == nil || age == fresh:
		return e, gone
	case age == dead:
		gone = c.entries.remove(e, age, Expired)
	}
	return nil, gone
}

// Peek returns the value of k. Unlike Get it is no use of the entry and is not counted.
func (c *Cache[K, V]) Peek(k K) (v V, ok bool) {
	v, ok, gone := c.glance(k)
	c.emit(context.Background(), gone)
	return v, ok
}

func (c *Cache[K, V]) glance(k K) (v V, ok bool, gone Event[K, V]) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, gone := c.peek(k)
	if e == nil {
		return v, false, gone
	}
	return e.value, true, gone
}

// Set stores v under k for the TTL of the Config, as the most recently used entry. A load of k under way will not
// overwrite it.
func (c *Cache[K, V]) Set(k K, v V) {
	c.SetTTL(k, v, 0)
}

// SetTTL is Set with a lifetime of its own: 0 means the TTL of the Config, [NoExpiry] never. It panics if ttl is negative,
// which a lifetime computed as a difference can be; such a value has expired, so do not store it.
func (c *Cache[K, V]) SetTTL(k K, v V, ttl time.Duration) {
	if ttl < 0 {
		panic("cache: SetTTL: negative lifetime")
	}
	c.emit(context.Background(), c.write(k, v, ttl))
}

// Swap is Set that returns the value it replaced, if there was one.
func (c *Cache[K, V]) Swap(k K, v V) (old V, had bool) {
	gone := c.write(k, v, 0)
	c.emit(context.Background(), gone)
	if gone.Cause != Replaced {
		return old, false
	}
	return gone.Value, true
}

func (c *Cache[K, V]) write(k K, v V, ttl time.Duration) Event[K, V] {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.put(k, v, ttl)
}

// put stores v under k, over whatever is being loaded or remembered for k. c.mu is held.
func (c *Cache[K, V]) put(k K, v V, ttl time.Duration) Event[K, V] {
	c.detach(k)
	if ttl == 0 {
		ttl = c.ttl()
	}
	return c.entries.put(k, v, ttl)
}

// ttl returns the lifetime of an entry about to be stored.
func (c *Cache[K, V]) ttl() time.Duration {
	ttl := c.config.TTL
	if c.config.Jitter == 0 || ttl == NoExpiry {
		return ttl
	}
	return ttl - time.Duration(float64(ttl)*c.config.Jitter*c.random())
}

// detach forgets what is loaded or remembered for k: a load under way still answers those who wait for it, and nobody
// else. c.mu is held.
func (c *Cache[K, V]) detach(k K) {
	delete(c.flights, k)
	if e, age := c.errs.find(k); e != nil {
		c.errs.remove(e, age, Deleted)
	}
}

// GetOrSet returns the value of k if there is one, as Get does, and otherwise stores v and returns it. Loaded says which.
func (c *Cache[K, V]) GetOrSet(k K, v V) (actual V, loaded bool) {
	actual, loaded, gone := c.lookupOrPut(k, v)
	c.emit(context.Background(), gone)
	return actual, loaded
}

func (c *Cache[K, V]) lookupOrPut(k K, v V) (actual V, loaded bool, gone Event[K, V]) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, age := c.entries.find(k); e != nil && age == fresh {
		c.stats.Hits++
		c.entries.touch(e)
		return e.value, true, gone
	}
	c.stats.Misses++
	return v, false, c.put(k, v, 0)
}

// Delete removes k and reports whether it had a value. A load of k under way will not bring it back, and a later GetOrLoad
// does not join that load.
func (c *Cache[K, V]) Delete(k K) bool {
	_, had := c.Take(k)
	return had
}

// Take is Delete that returns the value it removed. Neither is counted as a lookup.
func (c *Cache[K, V]) Take(k K) (v V, had bool) {
	gone := c.erase(k)
	c.emit(context.Background(), gone)
	if gone.Cause != Deleted {
		return v, false
	}
	return gone.Value, true
}

func (c *Cache[K, V]) erase(k K) (gone Event[K, V]) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.detach(k)
	if e, age := c.entries.find(k); e != nil {
		gone = c.entries.remove(e, age, Deleted)
	}
	return gone
}

// Clear removes everything: entries, remembered errors, and the right of loads under way to store their results.
func (c *Cache[K, V]) Clear() {
	for _, gone := range c.drain() {
		c.emit(context.Background(), gone)
	}
}

func (c *Cache[K, V]) drain() []Event[K, V] {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.flights)
	c.errs.reset()
	return c.entries.drain()
}

// Len returns the number of entries, those included that have expired and have not yet been removed. It is never more than
// Capacity.
func (c *Cache[K, V]) Len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.entries.items)
}

// Capacity returns the largest number of entries.
func (c *Cache[K, V]) Capacity() int { return c.config.Capacity }

// All iterates over the entries, the least recently used first. It visits the keys present when it starts, each at most
// once and with its value at that moment, or not at all if it has gone by then. It is no use of the entries, and the loop
// may change the cache. It copies the keys first: O(Len) memory.
func (c *Cache[K, V]) All() iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		for _, k := range c.snapshot() {
			if v, ok := c.Peek(k); ok && !yield(k, v) {
				return
			}
		}
	}
}

// Keys is All without the values.
func (c *Cache[K, V]) Keys() iter.Seq[K] {
	return func(yield func(K) bool) {
		for k := range c.All() {
			if !yield(k) {
				return
			}
		}
	}
}

func (c *Cache[K, V]) snapshot() []K {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.entries.keys()
}
