package logscan

import (
	"iter"
	"time"
)

// Merge merges sequences that are each in the order of cmp into one that is; of
// equal elements, those of the earlier sequence come first. Errors come when they are
// met. It holds one element of each sequence, and goes on when every sequence has told
// its next: MergeLive is for those that may be silent. A record is valid until the
// next iteration. An element costs two switches of coroutines (iter.Pull) and the
// logarithm of the number of sequences in comparisons.
func Merge[T any](cmp func(a, b T) int, seqs ...iter.Seq2[T, error]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var h []queued[T]
		less := func(a, b *queued[T]) bool {
			c := cmp(a.v, b.v)
			return c < 0 || c == 0 && a.seq < b.seq
		}
		for i, seq := range seqs {
			next, stop := iter.Pull2(seq)
			defer stop()
			q := queued[T]{seq: i, next: next}
			more, ok := q.pull(yield)
			if !ok {
				return
			}
			if more {
				h = push(h, q, less)
			}
		}
		for len(h) > 0 {
			if !yield(h[0].v, nil) {
				return
			}
			more, ok := h[0].pull(yield)
			switch {
			case !ok:
				return
			case more:
				down(h, less)
			default:
				h = pop(h, less)
			}
		}
	}
}

// queued is an element that waits for its turn.
type queued[T any] struct {
	v    T
	at   time.Time // of Reorder
	seq  int       // which sequence it is of, or how many came before it
	next func() (T, error, bool)
}

// pull gets the next element. more reports whether there is one, ok whether
// yield, which gets the errors, wants more.
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

// push, pop and down keep h a heap (Williams 1964): the least is h[0].
func push[T any](h []queued[T], q queued[T], less func(a, b *queued[T]) bool) []queued[T] {
	h = append(h, q)
	for i := len(h) - 1; i > 0 && less(&h[i], &h[(i-1)/2]); i = (i - 1) / 2 {
		h[i], h[(i-1)/2] = h[(i-1)/2], h[i]
	}
	return h
}

// pop takes away h[0].
func pop[T any](h []queued[T], less func(a, b *queued[T]) bool) []queued[T] {
	last := len(h) - 1
	h[0], h[last] = h[last], queued[T]{} // which keeps nothing alive
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

const defaultReorder = 10000

// Reorder puts records that come slightly out of order into the order of their
// times: a record waits until one that is later by more than slack has come, or
// more than most records wait (0 or less: 10000). Equal times keep their order, and
// a record without a time goes with the one before it. The records are clones,
// which the loop may keep. Errors are not held back.
func Reorder(seq iter.Seq2[*Record, error], slack time.Duration, most int) iter.Seq2[*Record, error] {
	if most <= 0 {
		most = defaultReorder
	}
	return func(yield func(*Record, error) bool) {
		var h []queued[*Record]
		var last, newest time.Time
		n := 0
		less := func(a, b *queued[*Record]) bool { return a.at.Before(b.at) || a.at.Equal(b.at) && a.seq < b.seq }
		deliver := func() bool {
			rec := h[0].v
			h = pop(h, less)
			return yield(rec, nil)
		}
		for rec, err := range seq {
			if err != nil {
				if !yield(nil, err) {
					return
				}
				continue
			}
			if !rec.Time().IsZero() {
				last = rec.Time()
			}
			if last.After(newest) {
				newest = last
			}
			h = push(h, queued[*Record]{v: rec.Clone(), at: last, seq: n}, less)
			n++
			for len(h) > most || len(h) > 0 && newest.Sub(h[0].at) > slack {
				if !deliver() {
					return
				}
			}
		}
		for len(h) > 0 {
			if !deliver() {
				return
			}
		}
	}
}
