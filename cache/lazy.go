package cache

import "context"

// A Lazy is a value that is made at its first use. Unlike sync.OnceValues it
// tries again after an error or a panic, and each caller waits only as long as
// its own context allows. [NewLazy] makes a Lazy. It is safe for concurrent
// use.
type Lazy[T any] struct {
	memo *Memo[struct{}, T]
}

// NewLazy returns a Lazy whose value is made by fn.
func NewLazy[T any](fn func(context.Context) (T, error)) *Lazy[T] {
	load := func(ctx context.Context, _ struct{}) (T, error) { return fn(ctx) }
	return &Lazy[T]{Memoize(Config[struct{}, T]{Capacity: 1}, load)}
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
