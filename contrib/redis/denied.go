package redis

import (
	"sync/atomic"

	"github.com/redoubt-go/redoubt/ratelimit"
)

// denials remembers the debts of keys when they were refused. The keys are
// refused here until their debts are small enough. The table has a fixed size,
// with one slot for a key. A key that loses its slot costs a round trip again,
// and nothing is admitted that the server would refuse. The table stores hashes
// of keys with a random seed, so that clients cannot choose keys that collide.
// Two keys have the same hash with a probability of 2^-64, and then share their
// refusals.
type denials struct{ slots []atomic.Pointer[denial] }

type denial struct {
	hash  uint64
	at    int64 // when the reply came; the server decided a little earlier, so waits are never too short
	debts []span
}

func newDenials(n int) denials {
	if n < 0 {
		return denials{}
	}
	return denials{slots: make([]atomic.Pointer[denial], n)}
}

func (d denials) slot(hash uint64) *atomic.Pointer[denial] {
	return &d.slots[hash%uint64(len(d.slots))]
}

func (d denials) add(hash uint64, now int64, debts []span) {
	if len(d.slots) > 0 {
		d.slot(hash).Store(&denial{hash: hash, at: now, debts: debts})
	}
}

// find refuses n events of a key if they do not fit on top of its remembered
// debts.
func (d denials) find(qs quotas, hash uint64, n, now int64) (ratelimit.Decision, bool) {
	if len(d.slots) == 0 {
		return ratelimit.Decision{}, false
	}
	found := d.slot(hash).Load()
	if found == nil || found.hash != hash {
		return ratelimit.Decision{}, false
	}
	us := (now - found.at) / 1000
	if qs.fit(n, found.debts, us) {
		return ratelimit.Decision{}, false
	}
	return qs.decide(n, found.debts, us, false), true
}
