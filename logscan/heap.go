package logscan

import (
	"time"
)

// queued is an element that waits for its turn.
type queued[T any] struct {
	v    T
	at   time.Time // time of the element in Reorder
	seq  int       // number of its sequence or, in Reorder, of the element
	next func() (T, error, bool)
}

// pull gets the next element and passes errors to yield. more reports whether
// there is an element, ok whether yield wants more.
func (q *queued[T]) pull(yield func(T, error) bool) (more, ok bool) {
	for {
		v, err, more := q.next()
		if err == nil || !more {
			q.v = v
			return more, true
		}
		if !yield(v, err) {
			return false, false
		}
	}
}

// push, pop and down keep h a heap (Williams 1964): the least element is h[0].
func push[T any](h []queued[T], q queued[T], less func(a, b *queued[T]) bool) []queued[T] {
	h = append(h, q)
	for i := len(h) - 1; i > 0 && less(&h[i], &h[(i-1)/2]); i = (i - 1) / 2 {
		h[i], h[(i-1)/2] = h[(i-1)/2], h[i]
	}
	return h
}

// pop removes h[0].
func pop[T any](h []queued[T], less func(a, b *queued[T]) bool) []queued[T] {
	last := len(h) - 1
	h[0], h[last] = h[last], queued[T]{} // the slot keeps nothing alive
	h = h[:last]
	down(h, less)
	return h
}

// down moves h[0] to its place.
func down[T any](h []queued[T], less func(a, b *queued[T]) bool) {
	for i := 0; ; {
		least := i
		for _, kid := range [2]int{2*i + 1, 2*i + 2} {
			if kid < len(h) && less(&h[kid], &h[least]) {
				least = kid
			}
		}
		if least == i {
			return
		}
		h[i], h[least] = h[least], h[i]
		i = least
	}
}
