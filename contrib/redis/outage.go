package redis

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redoubt-go/redoubt/internal/outbox"
)

const (
	minPause = 100 * time.Millisecond // between the start of an outage and the first try
	maxPause = 2 * time.Second        // between tries; each pause is twice the previous pause
	lostTry  = 10 * time.Second       // after which a try that has not reported counts as lost
)

// An outage tracks whether the server is down: from the first call that fails,
// by an error or the timeout, to the first that succeeds. In an outage, single
// calls are admitted as tries.
type outage struct {
	name string
	next atomic.Int64 // the instant of the next try in nanoseconds; 0 while the server is up
	busy atomic.Bool  // a try is in progress

	mu    sync.Mutex
	since int64
	pause time.Duration
	count uint64

	hook   func(context.Context, Event)
	events outbox.Outbox[Event]
}

// admits reports whether a call may go to the server. An admitted call must
// report its end to unused, failed or answered.
func (o *outage) admits(now int64) bool {
	next := o.next.Load()
	if next == 0 {
		return true
	}
	if now < next || !o.next.CompareAndSwap(next, now+int64(lostTry)) {
		return false
	}
	o.busy.Store(true)
	return true
}

// unused reports that an admitted call has no result.
func (o *outage) unused(now int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.busy.CompareAndSwap(true, false) && o.next.Load() != 0 {
		o.next.Store(max(1, now))
	}
}

// left returns the time until the next try, 0 if it is due or in progress.
func (o *outage) left(now int64) time.Duration {
	if o.busy.Load() {
		return 0
	}
	return max(0, time.Duration(o.next.Load()-now))
}

// failed reports that an admitted call had no answer in time. If many calls
// fail at once, the first starts the outage. In an outage, only tries make the
// pause longer.
func (o *outage) failed(ctx context.Context, now int64, err error) {
	o.mu.Lock()
	begins := o.next.Load() == 0
	switch {
	case begins:
		o.since, o.pause = now, minPause
		o.busy.Store(false)
		o.count++
		o.post(ctx, Event{Kind: KindOutage, Err: err})
	case o.busy.CompareAndSwap(true, false):
		o.pause = min(2*o.pause, maxPause)
	default:
		o.mu.Unlock()
		return
	}
	// A random half prevents that all processes try at the same time.
	wait := o.pause/2 + rand.N(o.pause/2)
	o.next.Store(max(1, now+int64(wait)))
	o.mu.Unlock()
	o.deliver()
}

// answered reports that an admitted call had an answer.
func (o *outage) answered(ctx context.Context, now int64) {
	if o.next.Load() == 0 {
		return
	}
	o.mu.Lock()
	if o.next.Swap(0) != 0 {
		o.busy.Store(false)
		o.post(ctx, Event{Kind: KindRecovery, For: time.Duration(now - o.since)})
	}
	o.mu.Unlock()
	o.deliver()
}

// outages returns the number of outages so far, and reports whether an outage
// is in progress.
func (o *outage) outages() (n uint64, down bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.count, o.next.Load() != 0
}
