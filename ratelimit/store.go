package ratelimit

import (
	"context"
	"iter"
)

// A Store limits each of many keys, here or elsewhere: a database that several processes share. The kit storetest says
// whether an implementation keeps to the rules.
type Store interface {
	// TakeKey takes n events of key if they may all happen now, none otherwise, and says which. Each key has a limit
	// of its own. No events are always allowed, a negative number never. An error says that the store could not tell;
	// the events may then have been taken, and TakeKey should not be repeated. With a context that is done, nothing is
	// taken, and the error matches that of the context.
	TakeKey(ctx context.Context, key string, n int64) (Decision, error)
}

// Local returns the Store that is k, in this process. Its errors match ctx.Err and [context.Cause] of a context that is
// done, and there are no others.
func Local(k *Keyed[string]) Store { return local{k} }

type local struct{ keyed *Keyed[string] }

func (l local) TakeKey(ctx context.Context, key string, n int64) (Decision, error) {
	if ctx.Err() != nil {
		return Decision{N: n}, cancelled(ctx)
	}
	return l.keyed.Take(key, n), nil
}

// Pull returns the elements of seq at the pace of w: before each it waits for w. If the wait fails, the last pair has the
// error of w.Wait, such as those of [Limiter.Wait], and a zero value instead of the element.
func Pull[T any](ctx context.Context, w Waiter, seq iter.Seq[T]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for v := range seq {
			if err := w.Wait(ctx); err != nil {
				var zero T
				yield(zero, err)
				return
			}
			if !yield(v, nil) {
				return
			}
		}
	}
}
