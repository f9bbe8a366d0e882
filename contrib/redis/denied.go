package redoubtredis

import (
	"sync/atomic"
	"time"

	"github.com/redoubt-go/redoubt/ratelimit"
)

// denials remembers the debts of keys when they were refused. The keys are
// refused here until their debts are small enough. The table has a fixed size,
// with one slot for a key. A key that loses its slot costs a round trip again,
// and nothing is admitted that the server would refuse. The table stores hashes
// of keys with a random seed, so that clients cannot choose keys that collide.
// Two keys have the same hash with a probability of 2^-64, and then share their
// refusals.
//
// Another process can return events to a key, and an operator can delete it. So
// a refusal is remembered for a few seconds. With leases, processes return
// events all the time.
type denials struct {
	slots  []atomic.Pointer[denial]
	maxAge int64 // in nanoseconds
}

const maxDeniedAge = 5 * time.Second

type denial struct {
	hash  uint64
	at    int64 // when the reply came; the server decided a little earlier, so waits are never too short
	now   int64 // when the server decided, by its clock
	debts []span
}

func newDenials(cfg Config) denials {
	if cfg.Denied < 0 {
		return denials{}
	}
	d := denials{slots: make([]atomic.Pointer[denial], cfg.Denied), maxAge: int64(maxDeniedAge)}
	if cfg.Lease > 1 {
		d.maxAge = min(d.maxAge, int64(cfg.LeaseFor))
	}
	return d
}

func (d denials) slot(hash uint64) *atomic.Pointer[denial] {
	return &d.slots[hash%uint64(len(d.slots))]
}

func (d denials) add(hash uint64, now int64, t taking) {
	if len(d.slots) > 0 {
		d.slot(hash).Store(&denial{hash: hash, at: now, now: t.now, debts: t.debts})
	}
}

// forget forgets the refusal of a key.
func (d denials) forget(hash uint64) {
	if len(d.slots) > 0 {
		d.slot(hash).Store(nil)
	}
}

// find refuses n events of a key if they do not fit on top of its remembered
// debts.
func (d denials) find(qs quotas, hash uint64, n, now int64) (ratelimit.Decision, bool) {
	if len(d.slots) == 0 {
		return ratelimit.Decision{}, false
	}
	found := d.slot(hash).Load()
	if found == nil || found.hash != hash || now-found.at > d.maxAge {
		return ratelimit.Decision{}, false
	}
	us := (now - found.at) / 1000
	if qs.fit(n, found.debts, found.now, us) {
		return ratelimit.Decision{}, false
	}
	return qs.decide(n, found.debts, found.now, us, false), true
}
