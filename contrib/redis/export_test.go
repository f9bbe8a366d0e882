package redoubtredis

import "context"

// KeyOf returns the name of a key on the server.
func (l *Limiter) KeyOf(key string) string { return l.key(key) }

// TakeAhead takes n events as a lease does, and returns a function that returns
// some of them.
func (l *Limiter) TakeAhead(ctx context.Context, key string, n int64) (ok bool, putBack func(n int64) error) {
	p := l.plan.Load()
	t, err := l.taken(p, l.node(key), run(ctx, l.link.client, p.quotas, p.take(l.node(key), l.key(key), n))[0])
	if err != nil || t.amount == 0 {
		return false, nil
	}
	t.events = n
	return true, func(n int64) error {
		return run(ctx, l.link.client, p.quotas, p.putBack(l.node(key), l.key(key), n, t))[0].Err
	}
}

// TakeRaw takes n events of a key by takeScript, or by takeOneScript, and
// returns the reply.
func (l *Limiter) TakeRaw(ctx context.Context, one bool, key string, n int64) Reply {
	p := *l.plan.Load()
	if p.takes = &takes; one {
		p.takes = &takesOne
	}
	p.single = nil
	return run(ctx, l.link.client, p.quotas, p.take(l.node(key), l.key(key), n))[0]
}
