package logscan

import (
	"context"
	"iter"
	"time"

	"github.com/redoubt-go/redoubt/internal/ctxerr"
)

// MergeLive is Merge for sequences that may have nothing to tell for a while, such
// as the Records of a follow.Follower. It waits for none of them longer than wait
// (0: a second; negative: not at all): one that has been silent for as long does not
// hold up the others until it tells something again, which may then be out of order.
//
// Each sequence runs in a goroutine of its own, and stands still while the loop has
// its element. When the loop ends their context does, and the loop is left when they
// have ended: a sequence must heed its context. An error of ctx, which matches
// both ctx.Err() and context.Cause(ctx), is the last; other errors come when they
// are met. A panic in a sequence is passed on to the loop.
func MergeLive[T any](ctx context.Context, wait time.Duration, cmp func(a, b T) int, seqs ...func(context.Context) iter.Seq2[T, error]) iter.Seq2[T, error] {
	if wait == 0 {
		wait = time.Second
	}
	return func(yield func(T, error) bool) {
		ctx, cancel := context.WithCancelCause(ctx)
		var crew crew
		defer crew.wait()
		defer cancel(errStopped)
		m := live[T]{wait: wait, cmp: cmp, told: make(chan telling[T])}
		for i, seq := range seqs {
			next := make(chan struct{}, 1)
			m.feeds = append(m.feeds, feed{next: next, asked: time.Now()})
			crew.start(cancel, func() { m.listen(ctx, i, seq(ctx), next) })
		}
		m.running = len(seqs)
		for m.running > 0 || len(m.heap) > 0 {
			if !m.step(ctx, yield) {
				return
			}
		}
	}
}

// live is the state of one loop over MergeLive.
type live[T any] struct {
	wait    time.Duration
	cmp     func(a, b T) int
	told    chan telling[T] // by all sequences
	feeds   []feed
	running int         // sequences that have not ended and have nothing in heap
	heap    []queued[T] // what waits for its turn, one of each sequence
}

// A feed is one sequence, as the loop sees it.
type feed struct {
	next  chan<- struct{} // lets the sequence go on
	asked time.Time       // when it was last let go on
	held  bool            // it has an element in the heap
	ended bool
}

// A telling is what a sequence says: an element, an error, or that it has ended.
type telling[T any] struct {
	seq   int
	v     T
	err   error
	ended bool
}

// listen tells the loop what seq yields. It returns when the loop has ended.
func (m *live[T]) listen(ctx context.Context, i int, seq iter.Seq2[T, error], next <-chan struct{}) {
	tell := func(t telling[T]) bool {
		select {
		case m.told <- t:
			return true
		case <-ctx.Done():
			return false
		}
	}
	for v, err := range seq {
		if !tell(telling[T]{seq: i, v: v, err: err}) {
			return
		}
		if err != nil {
			continue
		}
		select { // v is valid until seq goes on
		case <-next:
		case <-ctx.Done():
			return
		}
	}
	tell(telling[T]{seq: i, ended: true})
}

// step delivers the least element when no sequence need be waited for, or hears
// what comes first: a telling, the end of the patience, or that of ctx.
func (m *live[T]) step(ctx context.Context, yield func(T, error) bool) bool {
	patience := m.patience()
	if len(m.heap) > 0 && patience <= 0 {
		return m.deliver(yield)
	}
	var late <-chan time.Time // never, with nothing to deliver
	if len(m.heap) > 0 {
		timer := time.NewTimer(patience)
		defer timer.Stop()
		late = timer.C
	}
	var none T
	select {
	case <-late:
		return true
	case t := <-m.told:
		if ctx.Err() == nil { // else it is the error of ctx in other words
			return m.hear(t, yield)
		}
	case <-ctx.Done():
	}
	if stopped(ctx) {
		yield(none, ctxerr.New(ctx, "logscan"))
	}
	return false
}

// patience returns how long the slowest sequence may still be waited for.
func (m *live[T]) patience() time.Duration {
	var longest time.Duration
	if m.running == 0 {
		return 0
	}
	for _, f := range m.feeds {
		if !f.held && !f.ended {
			longest = max(longest, m.wait-time.Since(f.asked))
		}
	}
	return longest
}

// hear takes in what a sequence has told.
func (m *live[T]) hear(t telling[T], yield func(T, error) bool) bool {
	f := &m.feeds[t.seq]
	switch {
	case t.ended:
		f.ended = true
		m.running--
	case t.err != nil:
		f.asked = time.Now()
		return yield(t.v, t.err)
	default:
		f.held = true
		m.running--
		m.heap = push(m.heap, queued[T]{v: t.v, seq: t.seq}, m.less)
	}
	return true
}

func (m *live[T]) less(a, b *queued[T]) bool {
	c := m.cmp(a.v, b.v)
	return c < 0 || c == 0 && a.seq < b.seq
}

// deliver delivers the least element and lets its sequence go on.
func (m *live[T]) deliver(yield func(T, error) bool) bool {
	q := m.heap[0]
	if !yield(q.v, nil) {
		return false
	}
	m.heap = pop(m.heap, m.less)
	f := &m.feeds[q.seq]
	f.held, f.asked = false, time.Now()
	m.running++
	f.next <- struct{}{}
	return true
}
