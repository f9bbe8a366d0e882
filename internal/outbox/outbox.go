// Package outbox delivers events to a hook: in order, one at a time, outside
// the locks of the object that has the events.
//
// A caller delivers the event that it caused. If another caller is delivering
// already, that caller delivers the event too. With a hook that is slower than
// the events, the queue would grow, and the delivering caller would never
// return. So both are bounded: a full queue drops and counts its oldest event,
// and a caller delivers at most Max events. The next call of Deliver delivers
// the events that remain.
package outbox

import (
	"context"
	"sync"
)

// Max bounds the queue, and the events that one call of Deliver delivers.
const Max = 64

// An Outbox is a queue of events. Its zero value is empty and ready for use.
type Outbox[E any] struct {
	mu    sync.Mutex
	queue []entry[E]
	busy  bool // a caller is delivering
}

type entry[E any] struct {
	ctx     context.Context // of the call that caused the event
	event   E
	dropped int // events dropped since the event before
}

// Post queues an event. An object calls it while it holds the lock that
// protects the change, so that the order of events is the order of changes.
func (o *Outbox[E]) Post(ctx context.Context, event E) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.queue = append(o.queue, entry[E]{ctx, event, 0})
	if len(o.queue) > Max {
		o.queue[1].dropped += o.queue[0].dropped + 1
		o.pop()
	}
}

// Deliver calls hook with the queued events, each with the context of its
// Post and the number of events that were dropped just before it. It must be
// called without any lock. If another call is delivering, or the hook itself
// calls Deliver, it returns immediately. If the hook panics or calls
// runtime.Goexit, Deliver delivers the other events first.
func (o *Outbox[E]) Deliver(hook func(ctx context.Context, event E, dropped int)) {
	o.mu.Lock()
	mine := !o.busy && len(o.queue) > 0
	o.busy = o.busy || mine
	o.mu.Unlock()
	if mine {
		o.deliver(hook, Max)
	}
}

func (o *Outbox[E]) deliver(hook func(context.Context, E, int), left int) {
	done := false
	defer func() {
		if !done {
			o.deliver(hook, left) // the hook did not return
		}
	}()
	for {
		next, ok := o.next(left)
		if !ok {
			done = true
			return
		}
		left--
		hook(next.ctx, next.event, next.dropped)
	}
}

// next takes the first event, or ends the delivery.
func (o *Outbox[E]) next(left int) (next entry[E], ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.queue) == 0 || left == 0 {
		o.busy = false
		return next, false
	}
	next = o.queue[0]
	o.pop()
	return next, true
}

func (o *Outbox[E]) pop() {
	o.queue[0] = entry[E]{} // holds no event alive
	if o.queue = o.queue[1:]; len(o.queue) == 0 {
		o.queue = nil
	}
}
