package cache

import "context"

// An Op is the decision of the function passed to [Cache.Update].
type Op uint8

// The operations.
const (
	Keep   Op = iota // change nothing
	Write            // store the returned value
	Delete           // delete the entry
)

// Update changes the value of k atomically. It calls f with the value of k; ok
// reports whether k has a value. f returns a new value and an operation. Update
// returns the value of k after the operation and whether k has a value then.
// Update does not count as a lookup. Write marks the entry as used.
//
// f runs under a lock, and so do Config.Weigh and Config.Expiry for the value
// that f returns. These functions must be quick and must not call this cache:
// such a call can wait forever. If f, Weigh or Expiry panics, nothing changes.
//
// f is usually called once. If the cache is full and another part of it must
// make room first, Update calls f again, with the value of that time.
func (c *Cache[K, V]) Update(k K, f func(old V, ok bool) (V, Op)) (v V, ok bool) {
	s, hash := c.locate(k)
	var gone departed[K, V]
	defer c.emit(context.Background(), &gone)
	v, ok, done := s.update(k, hash, f, &gone)
	for !done {
		c.evictElsewhere(s, &gone)
		v, ok, done = s.update(k, hash, f, &gone)
	}
	return v, ok
}

// update is Update in the shard of k. For done see write.
func (s *shard[K, V]) update(k K, hash uint32, f func(V, bool) (V, Op), gone *departed[K, V]) (v V, ok, done bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.cache
	present := s.find(hash, k)
	old, ok := c.valueOf(present)
	v, op := f(old, ok)
	switch op {
	case Write:
		n := c.newNode(k, v, hash, c.lifetime(k, v))
		s.detach(k)
		if done = s.put(present, n, true, gone); !done || s.find(hash, k) != n {
			return *new(V), false, done
		}
		return v, true, true
	case Delete:
		s.detach(k)
		if present != nil {
			s.remove(present, CauseDeleted, gone)
		}
		return *new(V), false, true
	}
	return old, ok, true
}

// CompareAndSwap stores v for k if the value of k is old. It reports whether
// it did. It panics if V is an interface type and the two values cannot be
// compared.
func CompareAndSwap[K, V comparable](c *Cache[K, V], k K, old, v V) (swapped bool) {
	c.Update(k, func(now V, ok bool) (V, Op) {
		if swapped = ok && now == old; swapped {
			return v, Write
		}
		return now, Keep
	})
	return swapped
}

// CompareAndDelete deletes k if the value of k is old. It reports whether it
// did. It panics like CompareAndSwap.
func CompareAndDelete[K, V comparable](c *Cache[K, V], k K, old V) (deleted bool) {
	c.Update(k, func(now V, ok bool) (V, Op) {
		if deleted = ok && now == old; deleted {
			return now, Delete
		}
		return now, Keep
	})
	return deleted
}

// DeleteFunc deletes the entries for which del returns true, and returns the
// number of deleted values. It also calls del with stale values, and deletes
// them. Loads in progress do not store their results, whatever their keys:
// their values are not known yet. Remembered errors have no value and remain.
// After a change at the origin, no value that del matches can therefore come
// back. To select by tags, keep the tags in the values.
//
// DeleteFunc tests and deletes each entry atomically. The restrictions on the
// function passed to [Cache.Update] apply to del. Entries that are stored while
// DeleteFunc runs may remain.
func (c *Cache[K, V]) DeleteFunc(del func(K, V) bool) int {
	return c.deleteFunc(func(K) bool { return true }, false, func(n *node[K, V]) bool { return del(n.key, n.load(c.word)) })
}

// DeleteKeys deletes all keys for which del returns true, as [Cache.Delete]
// does: their values, stale values, remembered errors and loads in progress. It
// returns the number of deleted values. The rest is as in [Cache.DeleteFunc].
func (c *Cache[K, V]) DeleteKeys(del func(K) bool) int {
	return c.deleteFunc(del, true, func(n *node[K, V]) bool { return del(n.key) })
}

// deleteFunc deletes the entries for which del returns true, and unregisters
// the flights of the keys for which flies returns true. If errs is true, the
// remembered errors of these keys leave too.
func (c *Cache[K, V]) deleteFunc(flies func(K) bool, errs bool, del func(*node[K, V]) bool) (deleted int) {
	for i := range c.shards {
		s := &c.shards[i]
		for _, n := range s.ground(flies) {
			if c.deleteIf(s, n.key, n.hash, del) {
				deleted++
			}
		}
	}
	if known := c.errs.Load(); errs && known != nil {
		known.DeleteKeys(flies)
	}
	return deleted
}

// ground unregisters the flights of the keys for which flies returns true, and
// returns the entries.
func (s *shard[K, V]) ground(flies func(K) bool) []*node[K, V] {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.version++
	for k, f := range s.flights {
		if flies(k) {
			f.old = nil
			delete(s.flights, k)
		}
	}
	return s.queues.all()
}

// deleteIf deletes the entry of k if del returns true. It reports whether the
// entry had a value.
func (c *Cache[K, V]) deleteIf(s *shard[K, V], k K, hash uint32, del func(*node[K, V]) bool) (had bool) {
	var gone departed[K, V]
	defer c.emit(context.Background(), &gone)
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.find(hash, k)
	if n == nil || c.age(n) == dead || !del(n) {
		return false
	}
	_, had = c.valueOf(n)
	s.detach(k)
	s.remove(n, CauseDeleted, &gone)
	return had
}
