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
		l.mu.Lock()
		if l.closing || !c.due.Equal(at) { // an earlier request has replaced this request
			l.mu.Unlock()
			return
		}
		c.busy = true
		l.chores.Add(1)
		l.mu.Unlock()
		do()
		l.mu.Lock()
		defer l.mu.Unlock()
		again := c.again
		*c = chore{}
		l.chores.Done()
		if again { // otherwise a chore that fails is not repeated
			l.remind()
		}
	})
}

// syncLater syncs for SyncEvery. An error stops the ledger, and the next event
// reports it.
func (l *Ledger) syncLater() {
	l.mu.Lock()
	defer l.mu.Unlock()
	_ = l.settle()
}
