package ratelimit

import (
	"context"
	"slices"
	"time"
)

// A Store limits each of many keys, in this process or elsewhere, such as in a
// database that several processes share. The package ratelimittest tests an
// implementation.
type Store interface {
	// TakeKey takes n events of key if all of them may happen now, otherwise
	// none, and returns the decision. Each key has its own limit. If n == 0,
	// the decision is always OK; if n < 0, never.
	//
	// Errors: an error means that the store could not decide. The events may
	// have been taken, and the caller should not try again. If ctx is already
	// done, nothing is taken, and the error matches ctx.Err.
	TakeKey(ctx context.Context, key string, n int64) (Decision, error)
}

// An Adjuster is a [Store] that can also change the used events of a key. The
// errors of its methods are like the errors of TakeKey.
type Adjuster interface {
	Store
	// ReserveKey is TakeKey for work whose number of events is known only
	// afterwards. settle replaces n by the actual number: it charges additional
	// events, and returns unused events as far as the limits are certain to
	// hold. Only its first call has an effect, and none if d is a refusal.
	ReserveKey(ctx context.Context, key string, n int64) (d Decision, settle func(ctx context.Context, actual int64) error, err error)
	// ChargeKey takes n events of key, allowed or not, and returns the decision
	// on an event that it does not take. If n <= 0, it takes nothing.
	ChargeKey(ctx context.Context, key string, n int64) (Decision, error)
	// CreditKey returns n events to key. The key never has more than its burst.
	// If n <= 0, CreditKey returns nothing.
	CreditKey(ctx context.Context, key string, n int64) error
	// PenalizeKey takes all events of key and keeps it empty for d. It does not
	// shorten a longer debt. If d < 0, it changes nothing.
	PenalizeKey(ctx context.Context, key string, d time.Duration) error
	// ResetKey makes the whole burst of key available again.
	ResetKey(ctx context.Context, key string) error
}

// Local returns k, a *[Keyed] or *[Tiers] of strings, as a Store. The only
// error of its methods, if ctx is done, matches ctx.Err and [context.Cause].
//
// The Store also has a method LimitsOf(key string) []Limit, which returns all
// limits and quotas of a key, for [ratelimithttp.Middleware].
//
// [ratelimithttp.Middleware]: https://pkg.go.dev/github.com/redoubt-go/redoubt/ratelimit/ratelimithttp#Middleware
func Local(k interface{ For(key string) Key[string] }) Adjuster { return local{k} }

type local struct {
	keys interface{ For(key string) Key[string] }
}

// LimitsOf returns the limits of a key. The caller must not change them.
func (l local) LimitsOf(key string) []Limit {
	k := l.keys.For(key).keyed
	rs := k.current.Load()
	limits := *rs.limits.Load()
	if !k.wall {
		return limits
	}
	t := k.elapsed()
	for i := range limits {
		if l := rs.rules[i].present(rs.rules[i].ns(t)); l != limits[i] { // another period
			next := slices.Clone(limits)
			next[i], limits = l, next
			rs.limits.Store(&next)
		}
	}
	return limits
}

func (l local) TakeKey(ctx context.Context, key string, n int64) (Decision, error) {
	if ctx.Err() != nil {
		return Decision{N: n}, cancelled(ctx)
	}
	k := l.keys.For(key)
	return k.keyed.take(ctx, key, n, 0), nil
}

func (l local) ReserveKey(ctx context.Context, key string, n int64) (Decision, func(context.Context, int64) error, error) {
	if ctx.Err() != nil {
		return Decision{N: n}, nil, cancelled(ctx)
	}
	k := l.keys.For(key)
	r := k.keyed.reserve(ctx, key, n)
	return r.decision, func(_ context.Context, actual int64) error {
		r.Settle(actual)
		return nil
	}, nil
}

func (l local) ChargeKey(ctx context.Context, key string, n int64) (Decision, error) {
	if ctx.Err() != nil {
		return Decision{N: n}, cancelled(ctx)
	}
	return l.keys.For(key).Charge(n), nil
}

func (l local) CreditKey(ctx context.Context, key string, n int64) error {
	return l.change(ctx, key, func(k Key[string]) { k.Credit(n) })
}

func (l local) PenalizeKey(ctx context.Context, key string, d time.Duration) error {
	return l.change(ctx, key, func(k Key[string]) { k.Penalize(d) })
}

func (l local) ResetKey(ctx context.Context, key string) error {
	return l.change(ctx, key, Key[string].Reset)
}

func (l local) change(ctx context.Context, key string, change func(Key[string])) error {
	if ctx.Err() != nil {
		return cancelled(ctx)
	}
	change(l.keys.For(key))
	return nil
}
