package redoubtredis

import (
	"context"
	"errors"
	"time"
)

// A link sends commands to the servers of a client, and tracks their outages.
type link struct {
	client  Client
	epoch   time.Time
	outages outages
}

// open prepares a link for use.
func (k *link) open(client Client, name string, hook func(context.Context, Event)) {
	k.client, k.epoch = client, time.Now()
	k.outages.client, k.outages.name, k.outages.hook = client, name, hook
}

// now is the time since open, in nanoseconds.
func (k *link) now() int64 { return int64(time.Since(k.epoch)) }

// limit returns ctx with the timeout. It reports whether the deadline of ctx is
// earlier. An answer that is missing then says nothing about the server. The
// instants decide that, because a client can fail just before ctx is done.
func limit(ctx context.Context, timeout time.Duration) (timely context.Context, cancel context.CancelFunc, hasty bool) {
	end, ok := ctx.Deadline()
	if timeout < 0 {
		return ctx, func() {}, ok
	}
	hasty = ok && time.Until(end) < timeout
	timely, cancel = context.WithTimeout(ctx, timeout)
	return timely, cancel, hasty
}

// gone reports whether err is due to the end of ctx, and then waits for it.
func gone(ctx context.Context, hasty bool, err error) bool {
	var late interface{ Timeout() bool }
	if hasty && (errors.Is(err, context.DeadlineExceeded) || errors.As(err, &late) && late.Timeout()) {
		<-ctx.Done()
	}
	return ctx.Err() != nil
}

// one sends commands of the quotas qs, if any, for keys of n, which has
// admitted them, and reports the last reply. If ctx ended before that reply
// came, ok is false.
func (k *link) one(ctx context.Context, timeout time.Duration, qs quotas, n *node, cmds ...[]string) (replies []Reply, ok bool) {
	start := k.now()
	timely, cancel, hasty := limit(ctx, timeout)
	defer cancel()

	replies = run(timely, k.client, qs, cmds...)
	err := replies[len(replies)-1].Err
	if err != nil && !isAnswer(err) && gone(ctx, hasty, err) {
		n.unused(k.now())
		return replies, false
	}
	k.outages.report(ctx, n, start, k.now(), err)
	return replies, true
}

// many sends a command of the quotas qs, if any, for a key of each of nodes,
// which have admitted them. If ctx ended before all replies came, ok is false.
func (k *link) many(ctx context.Context, timeout time.Duration, qs quotas, nodes []*node, cmds [][]string) (replies []Reply, ok bool) {
	start := k.now()
	timely, cancel, hasty := limit(ctx, timeout)
	defer cancel()
	replies = run(timely, k.client, qs, cmds...)
	results := map[*node]error{} // of each node, its best
	ok = true
	for i, n := range nodes {
		err := replies[i].Err
		if isAnswer(err) {
			err = nil
		} else if ok {
			ok = !gone(ctx, hasty, err)
		}
		if before, seen := results[n]; !seen || before != nil {
			results[n] = err
		}
	}
	for n, err := range results {
		if err != nil && !ok {
			n.unused(k.now())
			continue
		}
		k.outages.report(ctx, n, start, k.now(), err)
	}
	return replies, ok
}
