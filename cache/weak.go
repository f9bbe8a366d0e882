package cache

import (
	"iter"
	"runtime"
	"sync"
	"weak"
)

// A Weak is a map whose values do not keep what they point to alive: when nobody else uses a value any more it is
// collected, and its entry goes. So all who ask for a key share one value, for as long as anybody has it. The zero value is
// an empty map ready to use; it is safe for use by many goroutines and must not be copied.
//
// T must not be of size zero, and had better be of 16 bytes or more or have a pointer in it: the runtime allocates smaller
// values several at a time, and collects them together.
type Weak[K comparable, T any] struct {
	mu      sync.Mutex
	entries map[K]weak.Pointer[T]
}

// Get returns the value of k, or nil if it has none or that has been collected.
func (w *Weak[K, T]) Get(k K) *T {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.entries[k].Value()
}

// Set makes v the value of k; nil deletes k. A key that is not equal to itself, such as a NaN, is not stored.
func (w *Weak[K, T]) Set(k K, v *T) {
	if v == nil {
		w.Delete(k)
		return
	}
	w.swap(k, func(*T) *T { return v })
}

// GetOrMake returns the value of k. If there is none it calls f, and stores what f returns unless that is nil. F runs under
// no lock. Of several goroutines that do this at the same time all get the value that was stored first.
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

// swap makes choose(old) the value of k and returns it. It is not nil, and alive until swap returns.
func (w *Weak[K, T]) swap(k K, choose func(old *T) *T) *T {
	w.mu.Lock()
	defer w.mu.Unlock()
	old := w.entries[k]
	v := choose(old.Value())
	p := weak.Make(v)
	if p == old || !equal(k, k) {
		return v
	}
	if w.entries == nil {
		w.entries = make(map[K]weak.Pointer[T])
	}
	w.entries[k] = p
	runtime.AddCleanup(v, w.forget, weakEntry[K, T]{k, p})
	return v
}

type weakEntry[K comparable, T any] struct {
	key   K
	value weak.Pointer[T]
}

// forget deletes e after its value has been collected, unless its key has another one by then.
func (w *Weak[K, T]) forget(e weakEntry[K, T]) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.entries[e.key] == e.value {
		delete(w.entries, e.key)
	}
}

// Delete removes k and reports whether it had a value.
func (w *Weak[K, T]) Delete(k K) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	had := w.entries[k].Value() != nil
	delete(w.entries, k)
	return had
}

// Len returns the number of entries, those included whose values have just been collected.
func (w *Weak[K, T]) Len() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.entries)
}

// All iterates, in no order, over the keys that have a value when it starts. The loop may change the map.
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
		if v := p.Value(); v != nil {
			alive[k] = v
		}
	}
	return alive
}
