package logscan

import (
	"context"
	"iter"
	"slices"
	"time"

	"github.com/redoubt-go/redoubt/internal/ctxerr"
)

// MergeLive is [Merge] for sequences that may be silent for a while, such as
// the Records of several Followers of package follow. Zero for wait means 1
// second. Negative means no wait.
//
// An element is delivered when no other sequence can have an earlier element:
// each has yielded its next element, or has been silent for wait. At the latest
// it is delivered wait after it came, with any number of sequences. Elements
// that come later than that may be out of order.
//
// Each sequence runs in a goroutine of its own and pauses while the loop has
// its element. When the loop ends, the context of the sequences is canceled,
// and MergeLive waits until they have ended. A sequence must therefore obey its
// context. A panic in a sequence is passed to the loop.
//
// Errors: the error of ctx, which matches both ctx.Err() and
// context.Cause(ctx), is the last. Errors of a sequence are delivered as they
// come.
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
			m.feeds = append(m.feeds, feed{next: next})
			m.ask(i)
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

// live is the state of a loop over MergeLive.
type live[T any] struct {
	wait    time.Duration
	cmp     func(a, b T) int
	told    chan telling[T] // from all sequences
	feeds   []feed
	running int         // sequences that have not ended and have no element in heap
	heap    []queued[T] // the waiting elements, at most one of each sequence

	// The sequences in the order of the time, with entries that are out of
	// date.
	arrivals []moment // of elements
	asks     []moment // for elements
}

// A moment is a sequence at a time.
type moment struct {
	seq int
	at  time.Time
}

// A feed is a sequence from the side of the loop.
type feed struct {
	next  chan<- struct{} // lets the sequence continue
	since time.Time       // when its element came, or was asked for
	held  bool            // it has an element in the heap
	ended bool
}

// A telling is a message of a sequence: an element, an error, or its end.
type telling[T any] struct {
	seq   int
	v     T
	err   error
	ended bool
}

// listen sends the elements of seq to the loop. It returns when the loop has
// ended.
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
		select { // v is valid until seq continues
		case <-next:
		case <-ctx.Done():
			return
		}
	}
	tell(telling[T]{seq: i, ended: true})
}

// step delivers the least element if all sequences have been waited for.
// Otherwise it waits for a message, for the end of the patience, or for ctx.
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
		if ctx.Err() == nil { // otherwise it is the error of ctx in other words
			return m.hear(t, yield)
		}
	case <-ctx.Done():
	}
	if stopped(ctx) {
		yield(none, ctxerr.New(ctx, "logscan"))
	}
	return false
}

// patience returns the time until the least element must be delivered, if any.
func (m *live[T]) patience() time.Duration {
	if m.running == 0 || len(m.heap) == 0 {
		return 0
	}
	for !m.current(m.arrivals[0], true) {
		m.arrivals = m.arrivals[1:]
	}
	for !m.current(m.asks[len(m.asks)-1], false) {
		m.asks = m.asks[:len(m.asks)-1]
	}
	since := m.arrivals[0].at // an element waits no longer
	if asked := m.asks[len(m.asks)-1].at; asked.Before(since) {
		since = asked // every sequence has been silent for longer
	}
	return m.wait - time.Since(since)
}

// current reports whether t is still the latest moment of its sequence, as an
// arrival or as an ask.
func (m *live[T]) current(t moment, arrival bool) bool {
	f := &m.feeds[t.seq]
	return f.held == arrival && !f.ended && f.since.Equal(t.at)
}

// ask notes that a sequence is asked for an element.
func (m *live[T]) ask(seq int) {
	f := &m.feeds[seq]
	f.held, f.since = false, time.Now()
	m.asks = append(m.asks, moment{seq, f.since})
	if len(m.asks) > 4*len(m.feeds) {
		m.asks = slices.DeleteFunc(m.asks, func(t moment) bool { return !m.current(t, false) })
	}
}

// hear handles a message of a sequence.
func (m *live[T]) hear(t telling[T], yield func(T, error) bool) bool {
	f := &m.feeds[t.seq]
	switch {
	case t.ended:
		f.ended = true
		m.running--
	case t.err != nil:
		m.ask(t.seq)
		return yield(t.v, t.err)
	default:
		f.held, f.since = true, time.Now()
		m.arrivals = append(m.arrivals, moment{t.seq, f.since})
		m.running--
		m.heap = push(m.heap, queued[T]{v: t.v, seq: t.seq}, m.less)
	}
	return true
}

func (m *live[T]) less(a, b *queued[T]) bool {
	c := m.cmp(a.v, b.v)
	return c < 0 || c == 0 && a.seq < b.seq
}

// deliver delivers the least element and lets its sequence continue.
func (m *live[T]) deliver(yield func(T, error) bool) bool {
	q := m.heap[0]
	if !yield(q.v, nil) {
		return false
	}
	m.heap = pop(m.heap, m.less)
	m.ask(q.seq)
	m.running++
	m.feeds[q.seq].next <- struct{}{}
	return true
}
