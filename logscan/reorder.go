package logscan

import (
	"iter"
	"time"
)

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
