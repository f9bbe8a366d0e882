package logscan

import (
	"iter"
)

// Merge merges sequences into one sequence in the order of cmp, in which each
// of them must be. If elements are equal, the elements of the earlier sequence
// come first. Errors are delivered as they come. A record is valid until the
// next iteration.
//
// Merge holds one element of each sequence and continues when every sequence
// has yielded its next element. For sequences that may be silent, use
// [MergeLive]. An element costs two switches of coroutines ([iter.Pull]) and,
// for n sequences, about log n comparisons.
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
