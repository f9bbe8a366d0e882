package logscan

import (
	"iter"
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
