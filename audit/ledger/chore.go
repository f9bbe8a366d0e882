package ledger

import (
	"context"
	"time"
)

// A chore is work that the ledger does later, in another goroutine. Its fields
// are guarded by Ledger.mu.
type chore struct {
	due  time.Time // when it runs; zero if it was not requested
	busy bool      // it is running
	do   func()
}

// newChores returns the chores of l, whose calls end with ctx.
func (l *Ledger) newChores(ctx context.Context) {
	call := func(do func(context.Context)) func() {
		return func() {
			ctx, cancel := context.WithTimeout(ctx, callTimeout)
			defer cancel()
			do(ctx)
			l.deliver()
		}
	}
	// An error of these chores is counted and reported to OnEvent. An error of
	// settle stops the ledger, and the next event returns it.
	l.sealer.do = call(func(ctx context.Context) { _, _, _ = l.seal(ctx) })
	l.anchorer.do = call(func(ctx context.Context) { _ = l.anchor(ctx, true) })
	l.syncer.do = func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		_ = l.settle()
	}
}

// remind requests the chores that the last change made necessary. The caller
// holds l.mu.
func (l *Ledger) remind() {
	if l.fail != nil || l.closing {
		return
	}
	if l.unsynced {
		l.request(&l.syncer, time.Duration(l.config.Sync))
	}
	wait := time.Until(l.retryAt)
	switch {
	case l.config.Signer == nil || l.unsealed == 0:
	case l.config.CheckpointEvery > 0 && l.unsealed >= l.config.CheckpointEvery:
		l.request(&l.sealer, max(wait, 0))
	case l.config.CheckpointDelay >= 0:
		l.request(&l.sealer, max(wait, l.config.CheckpointDelay))
	}
	if l.pending.Note != "" && l.config.Anchor != nil {
		l.request(&l.anchorer, 0)
	}
}

// request runs c after the delay, unless c is running or due earlier. The
// caller holds l.mu.
func (l *Ledger) request(c *chore, delay time.Duration) {
	at := time.Now().Add(delay)
	if c.busy || !c.due.IsZero() && !at.Before(c.due) {
		return
	}
	c.due = at
	time.AfterFunc(delay, func() {
		l.mu.Lock()
		if l.closing || c.busy || !c.due.Equal(at) { // an earlier request has replaced this request
			l.mu.Unlock()
			return
		}
		c.busy = true
		l.chores.Add(1)
		l.mu.Unlock()
		defer l.chores.Done()
		c.do()
		l.mu.Lock()
		defer l.mu.Unlock()
		c.busy, c.due = false, time.Time{}
		l.remind()
	})
}
