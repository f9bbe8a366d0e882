package ratelimit

import "context"

// A KeyReservation contains events of a key that were taken for work whose
// number of events is known only afterwards, such as the tokens of a language
// model. [Keyed.Reserve] makes it. All methods may be called concurrently.
type KeyReservation[K comparable] struct {
	keyed    *Keyed[K]
	key      K
	decision Decision
	rules    *ruleset        // in force when it was made
	ends     [maxRules]int64 // the tats just after it
	returned [maxRules]int64 // the units that had been returned before it
	done     bool            // cancelled or settled; guarded by the lock of the set
}

// stripes is the number of counters of returned units. Sets share them.
const stripes = 64

// Reserve takes n events of key, if they may happen now, for a later call of
// Settle or Cancel. Unlike [Limiter.Reserve], it promises no later instant. If
// the events may not happen now, OK is false, and Err returns the refusal.
func (k *Keyed[K]) Reserve(key K, n int64) *KeyReservation[K] {
	return k.reserve(context.Background(), key, n)
}

func (k *Keyed[K]) reserve(ctx context.Context, key K, n int64) *KeyReservation[K] {
	i, h := k.find(key)
	t, s := k.elapsed(), &k.tables[0][i]
	s.mu.Lock()
	var spots [maxRules]spot
	ok, forgot := k.spend(i, h, t, n, &spots)
	k.count(s, ok)
	r := &KeyReservation[K]{keyed: k, key: key, rules: k.current.Load(), done: !ok}
	for j := range r.ends {
		r.ends[j], r.returned[j] = spots[j].tat, k.returned[j][i%stripes].Load()
	}
	r.decision = k.decide(t, n, ok, &spots)
	k.unlock(ctx, s, key, r.decision, forgot)
	return r
}

// OK reports whether the events are reserved.
func (r *KeyReservation[K]) OK() bool { return r.decision.OK }

// Decision returns the answer to the call of Reserve.
func (r *KeyReservation[K]) Decision() Decision { return r.decision }

// Err returns nil if the events are reserved, and a *[LimitedError] otherwise.
func (r *KeyReservation[K]) Err() error { return r.decision.Err() }

// Cancel is Settle(0).
func (r *KeyReservation[K]) Cancel() { r.Settle(0) }

// Settle replaces the reserved number of events by the actual number. It
// charges additional events, as [Keyed.Charge] does. It returns unused events
// as far as the limits are certain to hold. If no other events of the key were
// taken or returned since the call of Reserve, the key is as if it had taken
// the actual number then. Only the first call of Cancel or Settle has an
// effect. If actual < 0, it counts as 0.
func (r *KeyReservation[K]) Settle(actual int64) {
	k := r.keyed
	i, h := k.find(r.key)
	t, s := k.elapsed(), &k.tables[0][i]
	s.mu.Lock()
	done, unused := r.done, r.decision.N-max(actual, 0)
	r.done = true
	for j := range r.rules.rules {
		if rule := &r.rules.rules[j]; !done && unused > 0 && r.rules == k.current.Load() && !rule.infinite {
			p := spot{now: rule.at(rule.ns(t))}
			p.slot, p.tat = rule.find(&k.tables[j][i], h)
			k.move(i, j, h, &p, r.restored(rule, j, &p, k.returned[j][i%stripes].Load(), unused))
		}
	}
	s.mu.Unlock()
	if !done && unused < 0 {
		k.Charge(r.key, -unused)
	}
}

// restored returns the tat of rule j after unused events are returned. It is as
// if they had never been taken, and as if the later events were taken now. The
// units that were returned meanwhile, maybe to this key, have moved the tat
// back: so the end of the reservation is earlier by them.
func (r *KeyReservation[K]) restored(rule *rule, j int, p *spot, returned, unused int64) int64 {
	if p.tat <= p.now {
		return p.tat
	}
	end := r.ends[j] - (returned - r.returned[j])
	later := max(p.tat-end, 0)
	return min(p.tat, max(end-rule.units(unused), p.now)+later)
}
