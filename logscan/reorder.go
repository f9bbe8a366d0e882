package logscan

import (
	"iter"
	"time"
)

const defaultReorder = 10000

// Reorder sorts records that are slightly out of order by their times. It holds
// a record until it has seen a record that is later by more than slack, or
// until more than most records wait. If most <= 0, most is 10000. Records with
// equal times keep their order. A record without a time has the time of the
// record before it. The records are clones, which the loop may keep.
//
// Errors: errors are delivered at once.
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
