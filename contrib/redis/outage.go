package redis

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

const (
	minPause = 100 * time.Millisecond // between the beginning of an outage and the first try
	maxPause = 2 * time.Second        // between tries, each pause being twice the one before
	lostTry  = 10 * time.Second       // after which a try that has not reported is taken for lost
)

// An outage is whether the server is down: from the first call that fails, by error or by timeout, to the first that
// succeeds. In between, calls are let through one by one, to try.
type outage struct {
	name string
	next atomic.Int64 // 0 while the server is up; otherwise when to try, in nanoseconds
	busy atomic.Bool  // a try is under way

	mu    sync.Mutex
	since int64
	pause time.Duration
	count uint64

	notifier
}

// admits reports whether a call may go to the server. It must then report how it went.
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

// unused takes back an admission that has shown nothing.
func (o *outage) unused(now int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.busy.CompareAndSwap(true, false) && o.next.Load() != 0 {
		o.next.Store(max(1, now))
	}
}

// left returns the time until the next try, 0 if it is due or under way.
func (o *outage) left(now int64) time.Duration {
	if o.busy.Load() {
		return 0
	}
	return max(0, time.Duration(o.next.Load()-now))
}

// failed says that a call got no answer in time. Of many that fail at once, only the first begins the outage; in it, only
// the tries make the pause longer.
func (o *outage) failed(ctx context.Context, now int64, err error) {
	o.mu.Lock()
	begins := o.next.Load() == 0
	switch {
	case begins:
		o.since, o.pause = now, minPause
		o.busy.Store(false)
		o.count++
		o.queue(ctx, Event{Kind: KindOutage, Name: o.name, Err: err})
	case o.busy.CompareAndSwap(true, false):
		o.pause = min(2*o.pause, maxPause)
	default:
		o.mu.Unlock()
		return
	}
	// A random half keeps a fleet from trying in step.
	wait := o.pause/2 + rand.N(o.pause/2)
	o.next.Store(max(1, now+int64(wait)))
	o.mu.Unlock()
	o.deliver()
}

// answered says that a call got its answer.
func (o *outage) answered(ctx context.Context, now int64) {
	if o.next.Load() == 0 {
		return
	}
	o.mu.Lock()
	if o.next.Swap(0) != 0 {
		o.busy.Store(false)
		o.queue(ctx, Event{Kind: KindRecovery, Name: o.name, For: time.Duration(now - o.since)})
	}
	o.mu.Unlock()
	o.deliver()
}

// outages returns the number of outages so far, and whether there is one.
func (o *outage) outages() (n uint64, down bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.count, o.next.Load() != 0
}
