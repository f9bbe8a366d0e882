package audit

import (
	"context"
	"sync"
)

// A gate is a read-write lock that is fair, and whose wait ends with a context.
type gate struct {
	mu      sync.Mutex
	holders int     // readers; -1 means a writer
	last    *waiter // the first waiter is its next: a ring
}

// A waiter is a caller that waits for a gate.
type waiter struct {
	ready chan struct{} // closed when the waiter holds the gate
	write bool
	next  *waiter
}

// admit takes the gate if it is free for the waiter. The caller holds mu.
func (g *gate) admit(write bool) bool {
	switch {
	case write && g.holders == 0:
		g.holders = -1
	case !write && g.holders >= 0:
		g.holders++
	default:
		return false
	}
	return true
}

// lock takes the gate, together with other readers unless write is set.
//
// Errors: ctx.Err() and context.Cause(ctx) if ctx ends first.
func (g *gate) lock(ctx context.Context, write bool) error {
	g.mu.Lock()
	if g.last == nil && g.admit(write) { // otherwise readers could keep a writer out forever
		g.mu.Unlock()
		return nil
	}
	w := &waiter{ready: make(chan struct{}), write: write}
	if w.next = w; g.last != nil {
		w.next, g.last.next = g.last.next, w
	}
	g.last = w
	g.mu.Unlock()
	select {
	case <-w.ready:
		return nil
	case <-ctx.Done():
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-w.ready: // admitted at the same time
		return nil
	default:
	}
	before := g.last
	for before.next != w {
		before = before.next
	}
	g.remove(before)
	g.wake() // readers behind a writer that gave up
	return done(ctx)
}

// unlock returns the gate.
func (g *gate) unlock() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.holders = max(g.holders-1, 0)
	g.wake()
}

// wake admits the first waiters. The caller holds mu.
func (g *gate) wake() {
	for g.last != nil && g.admit(g.last.next.write) {
		close(g.last.next.ready)
		g.remove(g.last)
	}
}

// remove takes the waiter behind before out of the ring. The caller holds mu.
func (g *gate) remove(before *waiter) {
	w := before.next
	before.next = w.next
	switch w {
	case before:
		g.last = nil
	case g.last:
		g.last = before
	}
}
