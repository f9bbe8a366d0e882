package cache

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/redoubt-go/redoubt/internal/quote"
)

// NoExpiry is the lifetime of an entry that never expires.
const NoExpiry = time.Duration(math.MaxInt64)

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
	// 0, the lifetime is TTL. If it returns a negative duration, the value has
	// expired already: it departs at once with CauseExpired, and its key has no
	// entry afterwards. Nil means TTL for all entries.
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

	// StaleIfError is the time after the end of its lifetime in which GetOrLoad
	// still returns a value if the load returns an error. Such a value keeps
	// its place in the cache. All other methods treat it as absent. An error
	// that matches [ErrNotFound] is an answer of the origin, so GetOrLoad
	// returns it. Zero means that stale values are not served. A negative
	// StaleIfError is invalid.
	StaleIfError time.Duration

	// ErrorTTL returns how long the error of a failed load answers for its key
	// without another load. [RetryAfter] is one such function. If it returns d
	// <= 0, the error is not remembered. Nil means that no error is remembered.
	// The cache calls ErrorTTL once per failed load, outside locks.
	//
	// At most Capacity errors are remembered, or 65536 if Capacity is 0. They
	// are stored apart from the entries; the least recently stored leaves
	// first. [Cache.Resize] does not change their number.
	ErrorTTL func(error) time.Duration

	// Uncounted turns off Hits and Misses in Stats. Each lookup is then a few
	// nanoseconds faster.
	Uncounted bool

	// OnEvent is called once with each value that leaves the cache.
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
	return errors.Join(errs...)
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
