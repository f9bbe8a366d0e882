package bulkhead

import (
	"container/list"
	"context"
	"time"
)

// A Priority orders waiting callers. Values below Background count as
// Background, and values above Critical as Critical.
type Priority int8

const (
	// Background is for work without a waiting user.
	Background Priority = iota - 2
	// Low is for work that can be repeated later.
	Low
	// Normal is the default.
	Normal
	// High is for work that a user waits for.
	High
	// Critical is for work that all other work depends on.
	Critical
)

const priorities = int(Critical-Background) + 1

// level returns 0 for Critical up to 4 for Background.
func (p Priority) level() int { return int(Critical - min(max(p, Background), Critical)) }

type priorityKey struct{}

// WithPriority returns a copy of ctx with the priority p.
func WithPriority(ctx context.Context, p Priority) context.Context {
	return context.WithValue(ctx, priorityKey{}, p)
}

// PriorityFrom returns the priority of ctx, by default Normal.
func PriorityFrom(ctx context.Context) Priority {
	p, _ := ctx.Value(priorityKey{}).(Priority)
	return p
}

// A waiter is a caller in the queue.
type waiter struct {
	n      int64
	level  int
	since  time.Duration
	answer chan error    // receives nil with the places, or a refusal
	elem   *list.Element // nil once the answer is sent; guarded by mu
}

// enqueue returns a waiter, or an error if the queue is full. It returns
// neither if places were free after all, and then has acquired them.
func (b *Bulkhead) enqueue(ctx context.Context, n int) (*waiter, error) {
	level := PriorityFrom(ctx).level()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.word.Or(waiting)
	defer b.grant() // clears the flag if no caller waits
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

// displace refuses the last waiter of the lowest priority below level, and
// reports whether there was such a waiter.
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

// front returns the next waiter and its queue.
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

// verdict returns the refusal of w, the next waiter, or nil.
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

// wait waits for the answer to w. If w gives up first, wait removes it.
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
		if err == nil { // admitted at the same moment: pass the places on
			b.release(w.n)
			err = cancelled(ctx)
		}
		return err
	}
}

// leave removes w and returns the result of err. If w already has an answer, it
// returns the answer.
func (b *Bulkhead) leave(w *waiter, err func() error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if w.elem == nil {
		return <-w.answer
	}
	b.remove(&b.queues[w.level], w.elem)
	b.grant() // the waiters behind w may need fewer places
	return err()
}
