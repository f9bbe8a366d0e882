package cache

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/redoubt-go/redoubt/internal/quote"
)

// NoExpiry is the lifetime of an entry that never expires.
const NoExpiry = time.Duration(math.MaxInt64)

// UseTTL stands for the lifetime Config.TTL. It is no result of time.Until.
const UseTTL = time.Duration(math.MinInt64 + 1)

const defaultLoadTimeout = time.Minute

// A Config configures a [Cache]. Capacity, or MaxWeight and Weigh, are
// required.
type Config[K comparable, V any] struct {
	// Name identifies the cache in events, errors and statistics.
	Name string

	// Capacity is the maximum number of entries. The cache never contains more,
	// not even for a moment. Without MaxWeight, Capacity is required and at
	// least 1. With MaxWeight, zero means no limit on the number of entries.
	Capacity int

	// MaxWeight is the maximum sum of the weights of all entries. The cache
	// never exceeds it. It requires Weigh. Zero means that entries have no
	// weights.
	MaxWeight uint64

	// Weigh returns the weight of an entry, in a unit of your choice, for
	// example bytes. It requires MaxWeight. Nil means weight 1 for each entry.
	//
	// The cache calls Weigh once per write, before the write and outside locks
	// (but see [Cache.Update]). If Weigh panics, nothing is written.
	//
	// A value heavier than MaxWeight is not stored: it departs at once with
	// CauseEvicted, and the previous value of its key with CauseReplaced. The
	// same happens, with Adaptive, to a value that is much heavier than the
	// present entries and used less often than the entries that it would evict.
	// An entry of weight 0 never leaves to make room for weight.
	Weigh func(K, V) uint32

	// Eviction selects the entry that makes room for another: Adaptive or LRU.
	// The zero value is Adaptive.
	Eviction Eviction

	// TTL is the lifetime of an entry since its last write. Lookups do not
	// extend it. Zero means NoExpiry. A negative TTL is invalid.
	TTL time.Duration

	// IdleTTL ends the lifetime of an entry this long after the last write or
	// counted lookup, if TTL has not ended it before. Zero means no limit. A
	// negative IdleTTL is invalid.
	IdleTTL time.Duration

	// Expiry returns the lifetime of an entry, in place of TTL. If it returns
	// UseTTL, the lifetime is TTL. If it returns d <= 0, the value is not kept:
	// it departs at once with CauseExpired, and its key has no entry
	// afterwards. Nil means TTL for all entries.
	//
	// The cache calls Expiry in the same way as Weigh, except for entries
	// stored by SetTTL with a lifetime and by Restore.
	Expiry func(K, V) time.Duration

	// Jitter shortens each lifetime of TTL or Expiry by a random part of up to
	// this fraction. Entries stored together then do not expire together.
	// Jitter ranges from 0 to 0.5. It does not apply to a lifetime that is
	// passed to SetTTL.
	Jitter float64

	// Refresh is the age from which GetOrLoad returns the present value and
	// also loads a new value in the background. Concurrent callers share that
	// load. If it fails, the old value stays, and the next attempt follows
	// after another Refresh. Zero means no refresh. A negative Refresh is
	// invalid.
	Refresh time.Duration

	// StaleIfError is the time after the end of its lifetime in which a value
	// is stale. GetOrLoad returns a stale value if the load returns an error or
	// panics, if the context of the caller ends, and as StaleIfSlow says. So no
	// call of GetOrLoad fails for which a stale value is present. A stale value
	// keeps its place in the cache. All other methods treat it as absent. An
	// error that matches [ErrNotFound] is an answer of the origin, so GetOrLoad
	// returns it. Zero means no stale values. A negative StaleIfError is
	// invalid.
	StaleIfError time.Duration

	// StaleIfSlow is the time since the beginning of a load after which the
	// stale value answers the callers, while the load goes on. A nanosecond
	// means that no caller waits. In any case the stale value answers when half
	// of the time to the caller's deadline has passed. Zero means only that
	// rule. Negative means that callers wait until their contexts end.
	StaleIfSlow time.Duration

	// LoadTimeout limits the loads that no caller waits for: the loads of
	// Refresh, and the loads whose callers got a stale value. The context of
	// such a load is canceled this long after the load began. If the load has
	// not returned after twice LoadTimeout, GetOrLoad begins another load. Zero
	// means 1 minute. Negative means no limit.
	LoadTimeout time.Duration

	// ErrorTTL returns how long the error of a failed load answers for its key
	// without another load. [RetryAfter] is one such function. If it returns d
	// <= 0, the error is not remembered. Nil means that no error is remembered.
	// The cache calls ErrorTTL once per failed load, outside locks.
	//
	// At most Capacity errors are remembered, or 65536 if Capacity is 0. They
	// are stored apart from the entries; the least recently stored leaves
	// first. An error of a load that was canceled because all callers left is
	// not remembered.
	ErrorTTL func(error) time.Duration

	// Uncounted turns off Hits and Misses in Stats. Each lookup is then a few
	// nanoseconds faster.
	Uncounted bool

	// OnEvent is called once with each value that leaves the cache, and with
	// each load that fails.
	//
	// OnEvent may be nil. It is called synchronously, outside locks, after the
	// change that the event reports, in the order of the changes. It may call
	// back into this package and must not block.
	//
	// Events of one call arrive in order. Events of concurrent calls may arrive
	// in either order.
	//
	// If OnEvent panics, it is still called with the remaining events of the
	// same call, up to 64 panics. During a load, the panic reaches the waiting
	// callers as a [*PanicError]. During the removal of expired entries it ends
	// the program, because it happens in the goroutine of a timer.
	OnEvent func(context.Context, Event[K, V])
}

// Validate returns an error that describes every problem of c, or nil.
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
		check(c.Capacity >= 0, "Capacity", c.Capacity, "0 (no limit) or more")
		check(c.MaxWeight >= 1 && c.MaxWeight <= math.MaxInt64, "MaxWeight", c.MaxWeight, "1 to 1<<63-1 with Weigh")
	}
	check(c.Eviction <= LRU, "Eviction", c.Eviction, "Adaptive or LRU")
	check(c.TTL >= 0, "TTL", c.TTL, "0 (no expiry) or more")
	check(c.IdleTTL >= 0, "IdleTTL", c.IdleTTL, "0 (no limit) or more")
	check(c.Jitter >= 0 && c.Jitter <= 0.5, "Jitter", c.Jitter, "0 to 0.5")
	check(c.Refresh >= 0, "Refresh", c.Refresh, "0 (off) or more")
	check(c.StaleIfError >= 0, "StaleIfError", c.StaleIfError, "0 (off) or more")
	check(c.StaleIfSlow <= 0 || c.StaleIfError > 0, "StaleIfSlow", c.StaleIfSlow, "0 without StaleIfError")
	return errors.Join(errs...)
}

func (c Config[K, V]) withDefaults() Config[K, V] {
	c.TTL = cmp.Or(c.TTL, NoExpiry)
	c.LoadTimeout = cmp.Or(c.LoadTimeout, defaultLoadTimeout)
	return c
}

// Config returns the values in force, with defaults filled in.
func (c *Cache[K, V]) Config() Config[K, V] { return *c.config.Load() }

// SetConfig changes the Config of a cache in use. The name Set belongs to keys
// and values.
//
//	Capacity, MaxWeight             entries that exceed them are evicted
//	TTL, IdleTTL, Expiry, Jitter,   apply to later writes; entries keep
//	Refresh, Weigh                  their ends and weights
//	all others                      apply to all entries and later calls
//
// Statistics, remembered errors and loads in progress remain. The number of
// shards remains too, so create a cache that will grow large with a large
// Capacity.
//
// Errors: the error of [Config.Validate], or an error that Eviction differs, or
// that Weigh is nil and was not, or the reverse. Nothing changes then.
func (c *Cache[K, V]) SetConfig(config Config[K, V]) error {
	if err := config.Validate(); err != nil {
		return err
	}
	c.setting.Lock()
	defer c.setting.Unlock()
	old := c.config.Load()
	if config.Eviction != old.Eviction {
		return fmt.Errorf("cache: Eviction is %v, want %v: it cannot change", config.Eviction, old.Eviction)
	}
	if (config.Weigh == nil) != (old.Weigh == nil) {
		return errors.New("cache: Weigh cannot be added to a cache or removed from it")
	}
	config = config.withDefaults()
	c.config.Store(&config)
	c.adopt(&config)
	return nil
}

// adopt applies the limits of config.
func (c *Cache[K, V]) adopt(config *Config[K, V]) {
	errors := int64(cmp.Or(config.Capacity, maxErrors))
	switch errs := c.errs.Load(); {
	case errs != nil:
		errs.resize(errors, 0)
	case config.ErrorTTL != nil:
		c.errs.Store(newCache(Config[K, error]{Capacity: int(errors), Eviction: LRU}, 1, frequent))
	}
	c.resize(cmp.Or(int64(config.Capacity), math.MaxInt64), int64(config.MaxWeight))
}

// prefix begins the texts of errors of the cache of this name.
func prefix(name string) string {
	if name != "" {
		name = quote.Name(name) + ": "
	}
	return "cache: " + name
}

// An Eviction is a rule that selects the entry that makes room for another.
type Eviction uint8

const (
	// Adaptive keeps entries that are used often and entries that are used
	// again soon. It tries three rules on a sample of the keys, and follows the
	// rule that has the most hits at present. Lookups wait for no lock. Neither
	// a pass over many keys nor a few heavy values flush the cache.
	Adaptive Eviction = iota

	// LRU evicts the least recently used entry, among entries whose weight is
	// not 0. Use LRU only if you need this order: its hit ratio is lower than
	// the hit ratio of Adaptive, and all operations share one lock.
	LRU
)

// String returns "adaptive" or "lru".
func (e Eviction) String() string {
	switch e {
	case Adaptive:
		return "adaptive"
	case LRU:
		return "lru"
	}
	return fmt.Sprintf("Eviction(%d)", uint8(e))
}
