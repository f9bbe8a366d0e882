package redoubtredis

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redoubt-go/redoubt/internal/outbox"
)

const (
	evidence  = 3                      // the calls without an answer that start an outage
	minPause  = 100 * time.Millisecond // between the start of an outage and the first try
	maxPause  = 2 * time.Second        // between tries; each pause is twice the previous pause
	lostTry   = 10 * time.Second       // after which a try that has not reported counts as lost
	unmet     = 10 * time.Second       // after which the outage of a server without its key is over
	maxShards = 1 << 10                // nodes with a state of their own; further nodes share a state
)

// A Sharded is a [Client] of several servers. An outage of a server then
// concerns only its keys.
type Sharded interface {
	Client
	// Shard returns a name of the server that has the key, as far as the client
	// knows it without asking. The empty name is a server too.
	Shard(key string) string
}

// outages tracks the outages of the servers of a client.
type outages struct {
	name   string
	client Client
	single node     // of a client that is not Sharded
	nodes  sync.Map // of a Sharded client: the *node of each name
	size   atomic.Int64
	count  atomic.Uint64
	down   atomic.Int64
	check  atomic.Int64 // the instant of the next check for outages that no call meets

	hook   func(context.Context, Event)
	events outbox.Outbox[Event]
}

// of returns the state of the server of a key.
func (o *outages) of(key string) *node {
	sharded, ok := o.client.(Sharded)
	if !ok {
		return &o.single
	}
	name := sharded.Shard(key)
	if n, ok := o.nodes.Load(name); ok {
		return n.(*node)
	}
	if o.size.Load() >= maxShards {
		return &o.single
	}
	n, loaded := o.nodes.LoadOrStore(name, &node{shard: name, key: key})
	if !loaded {
		o.size.Add(1)
	}
	return n.(*node)
}

// A node is the state of a server. An outage starts after several calls without
// an answer, and ends with an answer. In an outage, single calls are admitted
// as tries.
//
// A call without an answer counts only if the server has answered no other call
// since that call began. So a burst of calls that wait for connections, and a
// lost connection, are no outage. Each of the calls must have begun after the
// call before had failed. So a pause of this process, in which all its calls
// fail at once, is no outage.
type node struct {
	shard    string
	key      string       // the first key of the server
	next     atomic.Int64 // the instant of the next try in nanoseconds; 0 while the server is up
	busy     atomic.Bool  // a try is in progress
	answered atomic.Int64 // the instant of the last answer
	met      atomic.Int64 // the instant of the last call in an outage
	skew     atomic.Int64 // the clock of the server minus the clock here, in microseconds

	mu     sync.Mutex
	failed int   // calls in a row without an answer
	last   int64 // when the last of them failed
	since  int64 // when the outage began
	pause  time.Duration
}

// admits reports whether a call may go to the server. An admitted call must
// report its end to unused or report.
func (n *node) admits(now int64) bool {
	next := n.next.Load()
	if next == 0 {
		return true
	}
	n.met.Store(now)
	if now < next || !n.next.CompareAndSwap(next, now+int64(lostTry)) {
		return false
	}
	n.busy.Store(true)
	return true
}

// clock returns the estimated instant of the clock of the server, in
// microseconds since 1970.
func (n *node) clock() int64 { return max(0, time.Now().UnixMicro()+n.skew.Load()) }

// unused reports that an admitted call has no result.
func (n *node) unused(now int64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.busy.CompareAndSwap(true, false) && n.next.Load() != 0 {
		n.next.Store(max(1, now))
	}
}

// left returns the time until the next try, 0 if it is due or in progress.
func (n *node) left(now int64) time.Duration {
	if n.busy.Load() {
		return 0
	}
	return max(0, time.Duration(n.next.Load()-now))
}

// report reports the end of an admitted call that began at start.
func (o *outages) report(ctx context.Context, n *node, start, now int64, err error) {
	if isAnswer(err) {
		n.answered.Store(max(1, now))
		if n.next.Load() != 0 {
			o.ended(ctx, n, now)
		}
		if next := o.check.Load(); now >= next && o.down.Load() > 0 && o.check.CompareAndSwap(next, now+int64(time.Second)) {
			o.forget(ctx, now)
		}
		return
	}
	n.mu.Lock()
	if n.next.Load() != 0 {
		if n.busy.CompareAndSwap(true, false) { // only tries make the pause longer
			n.pause = min(2*n.pause, maxPause)
			n.wait(now)
		}
		n.mu.Unlock()
		return
	}
	answered := n.answered.Load()
	if answered > start {
		n.mu.Unlock()
		return
	}
	if answered > n.last {
		n.failed = 0
	}
	if n.failed == 0 || start >= n.last {
		n.failed, n.last = n.failed+1, now
	}
	if n.failed < evidence {
		n.mu.Unlock()
		return
	}
	n.failed, n.since, n.pause = 0, now, minPause
	n.busy.Store(false)
	n.met.Store(now)
	o.count.Add(1)
	o.down.Add(1)
	n.wait(now)
	o.post(ctx, n, Event{Kind: KindOutage, Err: err})
	n.mu.Unlock()
	o.deliver()
}

// wait sets the instant of the next try. A random half prevents that all
// processes try at the same time.
func (n *node) wait(now int64) {
	n.next.Store(max(1, now+int64(n.pause/2+rand.N(n.pause/2))))
}

func (o *outages) ended(ctx context.Context, n *node, now int64) {
	n.mu.Lock()
	if n.next.Swap(0) != 0 {
		n.busy.Store(false)
		o.down.Add(-1)
		o.post(ctx, n, Event{Kind: KindRecovery, For: time.Duration(now - n.since)})
	}
	n.mu.Unlock()
	o.deliver()
}

// forget ends the outages that no call has met lately, if the key of the server
// has moved. Then the server has left the cluster, or the client has another
// name for it. A server that has its key and is rarely called stays down.
func (o *outages) forget(ctx context.Context, now int64) {
	o.nodes.Range(func(_, v any) bool {
		if n := v.(*node); n.next.Load() != 0 && now-n.met.Load() > int64(unmet) && o.client.(Sharded).Shard(n.key) != n.shard {
			o.ended(ctx, n, now)
		}
		return true
	})
}

// isAnswer reports whether err is nil or the reply of a server that is up. A
// reply such as WRONGTYPE, OOM or READONLY concerns only a key or a command.
func isAnswer(err error) bool {
	if err == nil {
		return true
	}
	var reply interface{ RedisError() }
	if !errors.As(err, &reply) {
		return false
	}
	code, _, _ := strings.Cut(err.Error(), " ")
	switch code {
	case "LOADING", "CLUSTERDOWN", "MASTERDOWN", "BUSY":
		return false
	}
	return true
}

// post queues an event. The caller holds n.mu, and calls deliver after it.
func (o *outages) post(ctx context.Context, n *node, e Event) {
	if o.hook != nil {
		e.Name, e.Shard = o.name, n.shard
		o.events.Post(ctx, e)
	}
}

func (o *outages) deliver() {
	o.events.Deliver(func(ctx context.Context, e Event, dropped int) {
		e.Dropped = dropped
		o.hook(ctx, e)
	})
}
