package cache

import "context"

// A Lazy is a value made at its first use. Unlike sync.OnceValues it tries again after an error or a panic, and each
// caller waits for its own context only. [NewLazy] makes one; it is safe for use by many goroutines.
type Lazy[T any] struct {
	memo *Memo[struct{}, T]
}

// NewLazy returns a Lazy whose value fn makes.
func NewLazy[T any](fn func(context.Context) (T, error)) *Lazy[T] {
	load := func(ctx context.Context, _ struct{}) (T, error) { return fn(ctx) }
	return &Lazy[T]{Memoize(Config[struct{}, T]{Capacity: 1}, load)}
}

// Get returns the value, making it if there is none. Goroutines that ask at the same time share one call of fn,
// under the rules of [Cache.GetOrLoad], which names the errors too.
func (l *Lazy[T]) Get(ctx context.Context) (T, error) { return l.memo.Get(ctx, struct{}{}) }

// Peek returns the value if it has been made.
func (l *Lazy[T]) Peek() (T, bool) { return l.memo.Cache().Peek(struct{}{}) }

// Reset drops the value, and also that of a call under way: the next Get makes a new one.
func (l *Lazy[T]) Reset() { l.memo.Clear() }
