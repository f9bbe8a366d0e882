package ratelimit

import "context"

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

// Local returns k as a Store. Its only error, if ctx is done,
// matches ctx.Err and [context.Cause].
func Local(k *Keyed[string]) Store { return local{k} }

type local struct{ keyed *Keyed[string] }

func (l local) TakeKey(ctx context.Context, key string, n int64) (Decision, error) {
	if ctx.Err() != nil {
		return Decision{N: n}, cancelled(ctx)
	}
	return l.keyed.take(ctx, key, n), nil
}
