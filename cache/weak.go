package cache

import (
	"iter"
	"runtime"
	"sync"
	"weak"
)

// A Weak is a map whose values do not keep their targets alive. When the
// program no longer uses a value, the garbage collector frees it and its entry
// is removed. So all callers share one value per key, as long as any of them
// keeps it. The zero Weak is an empty map ready to use. It is safe for
// concurrent use and must not be copied.
//
// The size of T must not be 0. T should contain a pointer or be of 16 bytes or
// more: the runtime allocates several smaller values together and frees them
// together. A key must not refer to its value, which would then never be
// freed.
type Weak[K comparable, T any] struct {
	mu      sync.Mutex
	entries map[K]weakValue[T]
}

// A weakValue is a value and the cleanup that deletes its entry. An entry that
// is replaced or deleted stops its cleanup: a value that lives long would
// otherwise collect them.
type weakValue[T any] struct {
	target  weak.Pointer[T]
	cleanup runtime.Cleanup
}

// Get returns the value of k, or nil if k has none or its value has been
// collected.
func (w *Weak[K, T]) Get(k K) *T {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.entries[k].target.Value()
}

// Set makes v the value of k. If v is nil, Set deletes k. A key that is not
// equal to itself, such as a NaN, is not stored.
func (w *Weak[K, T]) Set(k K, v *T) {
	if v == nil {
		w.Delete(k)
		return
	}
	w.swap(k, func(*T) *T { return v })
}

// GetOrMake returns the value of k. If there is none, it calls f and stores the
// result unless it is nil. f runs without a lock. If several goroutines call
// GetOrMake for the same key at the same time, f may run several times, and all
// of them get the value that was stored first.
func (w *Weak[K, T]) GetOrMake(k K, f func() *T) *T {
	if v := w.Get(k); v != nil {
		return v
	}
	made := f()
	if made == nil {
		return nil
	}
	return w.swap(k, func(old *T) *T {
		if old != nil {
			return old
		}
		return made
	})
}

// swap makes choose(old) the value of k and returns it. The result of choose
// is not nil, and it is alive until swap returns.
func (w *Weak[K, T]) swap(k K, choose func(old *T) *T) *T {
	w.mu.Lock()
	defer w.mu.Unlock()
	old := w.entries[k]
	v := choose(old.target.Value())
	p := weak.Make(v)
	if p == old.target || !equal(k, k) {
		return v
	}
	if w.entries == nil {
		w.entries = make(map[K]weakValue[T])
	}
	old.cleanup.Stop()
	w.entries[k] = weakValue[T]{p, runtime.AddCleanup(v, w.forget, weakEntry[K, T]{k, p})}
	return v
}

type weakEntry[K comparable, T any] struct {
	key   K
	value weak.Pointer[T]
}

// forget deletes e, whose value has been collected, unless its key has another
// value now.
func (w *Weak[K, T]) forget(e weakEntry[K, T]) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.entries[e.key].target == e.value {
		delete(w.entries, e.key)
	}
}

// Delete deletes k and reports whether it had a value.
func (w *Weak[K, T]) Delete(k K) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	old := w.entries[k]
	old.cleanup.Stop()
	delete(w.entries, k)
	return old.target.Value() != nil
}

// Len returns the number of entries. It may include entries whose values have
// just been collected.
func (w *Weak[K, T]) Len() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.entries)
}

// All iterates, in no order, over the keys that have a value when it starts.
// The loop body may modify the map.
func (w *Weak[K, T]) All() iter.Seq2[K, *T] {
	return func(yield func(K, *T) bool) {
		for k, v := range w.snapshot() {
			if !yield(k, v) {
				return
			}
		}
	}
}

func (w *Weak[K, T]) snapshot() map[K]*T {
	w.mu.Lock()
	defer w.mu.Unlock()
	alive := make(map[K]*T, len(w.entries))
	for k, p := range w.entries {
		if v := p.target.Value(); v != nil {
			alive[k] = v
		}
	}
	return alive
}
