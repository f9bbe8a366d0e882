package ledger

import "time"

// A chore is work that the ledger does later, in another goroutine. Its fields
// are guarded by Ledger.mu.
type chore struct {
	due   time.Time // when it runs; zero if it was not requested
	busy  bool      // it is running
	again bool      // it was requested while it was running
}

// remind requests the chores that the last commit made necessary. The caller
// holds l.mu.
func (l *Ledger) remind() {
	if l.fail != nil || l.closing {
		return
	}
	if l.unsynced {
		l.request(&l.syncer, time.Duration(l.config.Sync), l.syncLater)
	}
	switch {
	case l.config.Signer == nil || l.unsealed == 0:
	case l.config.CheckpointEvery > 0 && l.unsealed >= l.config.CheckpointEvery:
		l.request(&l.sealer, 0, l.sealLater)
	case l.config.CheckpointDelay >= 0:
		l.request(&l.sealer, l.config.CheckpointDelay, l.sealLater)
	}
}

// request runs do after the delay, unless c is due earlier. The caller holds
// l.mu.
func (l *Ledger) request(c *chore, delay time.Duration, do func()) {
	at := time.Now().Add(delay)
	if c.busy {
		c.again = true
		return
	}
	if !c.due.IsZero() && !at.Before(c.due) {
		return
	}
	c.due = at
	time.AfterFunc(delay, func() {
		if l.begun(c, at) {
			defer l.ended(c)
			do()
		}
	})
}

// begun reports whether the chore that is due at the given time may run: the
// ledger is open, and no earlier request has replaced it.
func (l *Ledger) begun(c *chore, at time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closing || c.busy || !c.due.Equal(at) {
		return false
	}
	c.busy = true
	l.chores.Add(1)
	return true
}

// ended requests a chore again only if a commit asked for it. A chore that
// failed is not repeated by itself.
func (l *Ledger) ended(c *chore) {
	l.mu.Lock()
	defer l.mu.Unlock()
	again := c.again
	*c = chore{}
	l.chores.Done()
	if again {
		l.remind()
	}
}

// syncLater syncs for SyncEvery. An error stops the ledger, and the next event
// reports it.
func (l *Ledger) syncLater() {
	l.mu.Lock()
	defer l.mu.Unlock()
	_ = l.settle()
}
