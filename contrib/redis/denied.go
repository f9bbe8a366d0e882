package redis

import (
	"sync/atomic"

	"github.com/redoubt-go/redoubt/ratelimit"
)

// denials remember what keys owed when they were refused. Until enough of that has come back they are refused here.
// The table has a fixed size and one place for a key: a key that has it taken from it costs a round trip again, which is
// no loss of strictness. Of a key it has a hash with a seed of this process, so nobody can choose keys that collide;
// two keys have the same with a probability of 2^-64, which errs to the strict side.
type denials struct{ slots []atomic.Pointer[denial] }

type denial struct {
	hash  uint64
	at    int64 // when the refusal came; the server looked a little earlier, so waits are never too short
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

// find refuses n events of a key, if they do not fit with what it still owes at least.
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
