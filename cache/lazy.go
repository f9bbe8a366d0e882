package cache

import (
	"context"
	"time"
)

// A Lazy is a value that is made at its first use. Unlike sync.OnceValues it
// tries again after an error or a panic, each caller waits only as long as its
// own context allows, and the value can have a lifetime. [NewLazy] makes a
// Lazy. It is safe for concurrent use.
type Lazy[T any] struct {
	memo *Memo[struct{}, T]
}

// A LazyConfig configures a [Lazy]. Its fields are the fields of [Config] of
// the same name. The zero value keeps the value until Reset.
type LazyConfig struct {
	Name         string                    // Config.Name
	TTL          time.Duration             // Config.TTL
	Refresh      time.Duration             // Config.Refresh
	StaleIfError time.Duration             // Config.StaleIfError
	StaleIfSlow  time.Duration             // Config.StaleIfSlow
	LoadTimeout  time.Duration             // Config.LoadTimeout
	ErrorTTL     func(error) time.Duration // Config.ErrorTTL
}

// Validate returns an error that describes every problem of c, or nil.
func (c LazyConfig) Validate() error { return lazyConfig[int](c).Validate() }

func lazyConfig[T any](c LazyConfig) Config[struct{}, T] {
	return Config[struct{}, T]{
		Name: c.Name, Capacity: 1, TTL: c.TTL, Refresh: c.Refresh, StaleIfError: c.StaleIfError,
		StaleIfSlow: c.StaleIfSlow, LoadTimeout: c.LoadTimeout, ErrorTTL: c.ErrorTTL,
	}
}

// NewLazy returns a Lazy whose value is made by fn, which may call [LimitTTL].
// It panics with the error of [LazyConfig.Validate] if config is invalid.
func NewLazy[T any](config LazyConfig, fn func(context.Context) (T, error)) *Lazy[T] {
	load := func(ctx context.Context, _ struct{}) (T, error) { return fn(ctx) }
	return &Lazy[T]{Memoize(lazyConfig[T](config), load)}
}

// Get returns the value, and calls fn if there is none. Concurrent callers
// share one call of fn, by the rules of [Cache.GetOrLoad].
//
// Errors: the same as of [Cache.GetOrLoad].
func (l *Lazy[T]) Get(ctx context.Context) (T, error) { return l.memo.Get(ctx, struct{}{}) }

// Peek returns the value and reports whether it has been made.
func (l *Lazy[T]) Peek() (T, bool) { return l.memo.Cache().Peek(struct{}{}) }

// Reset drops the value. A call of fn in progress completes, but its result is
// not kept. The next Get calls fn again.
func (l *Lazy[T]) Reset() { l.memo.Clear() }
