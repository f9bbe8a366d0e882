package bulkhead

import (
	"container/list"
	"context"
	"time"
)

// A Priority decides who waits in front of whom. It has five levels; values beyond count as the nearest.
type Priority int8

const (
	// Background is for work that nobody waits for.
	Background Priority = iota - 2
	// Low is for work that can be repeated later.
	Low
	// Normal is the priority of a context without one.
	Normal
	// High is for work that somebody waits for.
	High
	// Critical is for work without which nothing else goes on.
	Critical
)

const priorities = int(Critical-Background) + 1

// level returns 0 for Critical up to 4 for Background.
func (p Priority) level() int { return int(Critical - min(max(p, Background), Critical)) }

type priorityKey struct{}

// WithPriority returns a context with the priority p.
func WithPriority(ctx context.Context, p Priority) context.Context {
	return context.WithValue(ctx, priorityKey{}, p)
}

// PriorityFrom returns the priority of ctx, Normal if it has none.
func PriorityFrom(ctx context.Context) Priority {
	p, _ := ctx.Value(priorityKey{}).(Priority)
	return p
}

// A waiter is a caller in the queue.
type waiter struct {
	n      int64
	level  int
	since  time.Duration
	answer chan error    // nil for a place
	elem   *list.Element // nil when the answer is there; guarded by mu
}

// enqueue returns nothing if there is room after all, an error if there is none even to wait, and otherwise a waiter.
func (b *Bulkhead) enqueue(ctx context.Context, n int) (*waiter, error) {
	level := PriorityFrom(ctx).level()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.word.Or(waiting)
	defer b.grant() // finds out whether anybody waits
	inflight, limit := b.word.Load()>>1, b.limit.Load()
	switch {
	case int64(n) > limit || n < 1:
		return nil, b.full(ReasonTooLarge)
	case b.queued == 0 && inflight+int64(n) <= limit:
		b.word.Add(2 * int64(n))
		return nil, nil
	case b.queued >= b.cfg.MaxQueue && !b.displace(level):
		return nil, b.full(ReasonQueue)
	}
	now := b.elapsed()
	if b.queued == 0 {
		b.calm = now
	}
	w := &waiter{n: int64(n), level: level, since: now, answer: make(chan error, 1)}
	w.elem = b.queues[level].PushBack(w)
	b.queued++
	return w, nil
}

// displace makes the last of the lowest priority below level give up its place in the queue, if there is one.
func (b *Bulkhead) displace(level int) bool {
	for i := priorities - 1; i > level; i-- {
		if e := b.queues[i].Back(); e != nil {
			b.remove(&b.queues[i], e)
			e.Value.(*waiter).answer <- b.full(ReasonQueue)
			return true
		}
	}
	return false
}

// front returns the waiter whose turn is next, and its queue.
func (b *Bulkhead) front() (*list.Element, *list.List) {
	for i := range b.queues {
		if e := b.queues[i].Front(); e != nil {
			return e, &b.queues[i]
		}
	}
	return nil, nil
}

func (b *Bulkhead) remove(q *list.List, e *list.Element) {
	q.Remove(e)
	e.Value.(*waiter).elem = nil
	b.queued--
}

// verdict returns why w, at the front, is to be refused, or nil.
func (b *Bulkhead) verdict(w *waiter) error {
	if w.n > b.limit.Load() {
		return b.full(ReasonTooLarge)
	}
	if b.cfg.Target <= 0 || b.word.Load()>>1+w.n > b.limit.Load() {
		return nil
	}
	now := b.elapsed()
	if now-w.since <= b.cfg.Target {
		b.calm = now
	} else if now-b.calm > b.cfg.Interval && b.queued > 1 {
		return b.full(ReasonShed)
	}
	return nil
}

// wait waits for the answer to w, or takes w out of the queue.
func (b *Bulkhead) wait(ctx context.Context, w *waiter) error {
	var late <-chan time.Time
	if b.cfg.MaxWait > 0 {
		timer := time.NewTimer(b.cfg.MaxWait)
		defer timer.Stop()
		late = timer.C
	}
	select {
	case err := <-w.answer:
		return err
	case <-late:
		return b.leave(w, func() error { return b.full(ReasonWait) })
	case <-ctx.Done():
		err := b.leave(w, func() error { return cancelled(ctx) })
		if err == nil { // let in at the same moment: hand the place on
			b.release(w.n)
			err = cancelled(ctx)
		}
		return err
	}
}

// leave takes w out of the queue and returns its error, or else the answer that it has got already.
func (b *Bulkhead) leave(w *waiter, err func() error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if w.elem == nil {
		return <-w.answer
	}
	b.remove(&b.queues[w.level], w.elem)
	b.grant() // those behind may need less
	return err()
}
