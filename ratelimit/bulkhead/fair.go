package bulkhead

import "container/list"

const (
	maxTenants = 256     // of a priority with a queue of their own
	maxWeight  = 1 << 20 // so that products do not overflow
)

// A level contains the waiting callers of a priority. The tenants take turns
// by deficit round robin (Shreedhar and Varghese, 1995). Each turn gives a
// tenant as many places as its weight. It keeps the rest of a turn while its
// callers wait.
type level struct {
	turns list.List // of *flow, the tenant whose turn it is first
	flows map[string]*flow
}

// A flow contains the waiting callers of a tenant. It exists only while there
// are any.
type flow struct {
	tenant  string
	weight  int64
	deficit int64 // places
	turn    bool  // the deficit contains the weight of this turn
	waiters list.List
	elem    *list.Element // in turns
}

func (f *flow) first() *waiter { return f.waiters.Front().Value.(*waiter) }

// flow returns the queue that a caller of the tenant joins. It is not in turns
// if it is empty.
func (l *level) flow(tenant string, weight int64) *flow {
	f := l.flows[tenant]
	if f == nil && len(l.flows) >= maxTenants {
		tenant, weight = "", 1 // the other tenants share a queue
		f = l.flows[tenant]
	}
	if f == nil {
		f = &flow{tenant: tenant}
	}
	f.weight = min(max(weight, 1), maxWeight)
	return f
}

// push adds w to f.
func (l *level) push(w *waiter, f *flow) {
	if f.elem == nil {
		if l.flows == nil {
			l.flows = make(map[string]*flow)
		}
		f.elem = l.turns.PushBack(f)
		l.flows[f.tenant] = f
	}
	w.flow = f
	w.elem = f.waiters.PushBack(w)
}

// remove removes w.
func (l *level) remove(w *waiter) {
	f := w.flow
	f.waiters.Remove(w.elem)
	w.elem = nil
	if f.waiters.Len() == 0 {
		l.turns.Remove(f.elem)
		delete(l.flows, f.tenant)
	}
}

// next returns the waiter whose turn it is, or nil.
func (l *level) next() *waiter {
	for passed := 0; l.turns.Len() > 0; passed++ {
		f := l.turns.Front().Value.(*flow)
		if !f.turn {
			f.turn = true
			f.deficit += f.weight
		}
		if w := f.first(); w.n <= f.deficit {
			return w
		}
		f.turn = false
		l.turns.MoveToBack(f.elem)
		if passed == l.turns.Len() {
			l.skip()
		}
	}
	return nil
}

// skip does the rounds in which no tenant has enough for its first caller, all
// at once.
func (l *level) skip() {
	rounds := int64(maxCount)
	for e := l.turns.Front(); e != nil; e = e.Next() {
		f := e.Value.(*flow)
		rounds = min(rounds, (f.first().n-f.deficit-1)/f.weight)
	}
	for e := l.turns.Front(); e != nil && rounds > 0; e = e.Next() {
		f := e.Value.(*flow)
		f.deficit += rounds * f.weight
	}
}

// last returns the waiter that leaves first if a caller must: the last of the
// tenant with the most waiters for its weight. If own is not nil, that tenant
// must have more than own with another caller.
func (l *level) last(own *flow) *waiter {
	var most *flow
	for e := l.turns.Front(); e != nil; e = e.Next() {
		if f := e.Value.(*flow); most == nil || f.load(0)*most.weight > most.load(0)*f.weight {
			most = f
		}
	}
	if most == nil || own != nil && most.load(0)*own.weight <= own.load(1)*most.weight {
		return nil
	}
	return most.waiters.Back().Value.(*waiter)
}

// load returns the number of waiters, with more.
func (f *flow) load(more int) int64 { return int64(f.waiters.Len() + more) }
