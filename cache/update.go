package cache

import "context"

// An Op is what [Cache.Update] is to do.
type Op uint8

// The three things a function given to Update can decide.
const (
	Keep   Op = iota // leave everything as it is
	Write            // store the value returned
	Delete           // delete the entry
)

// Update changes the value of k by a function of it, in one step: nobody else writes k in between. F gets the value, and
// whether there is one, and returns another with what to do. Update returns the value that k has afterwards, and whether it
// has one. It is not counted as a lookup; Write is a use of the entry.
//
// F runs under a lock, and so do Weigh and Expiry for what it returns: none of them may call this cache, which would wait for
// itself, and they should be quick. If one panics, nothing has changed. F is called once, but again, with the value of
// that time, in the rare case that the cache is full and a distant part of it has to make room first.
func (c *Cache[K, V]) Update(k K, f func(old V, ok bool) (V, Op)) (v V, ok bool) {
	s, hash := c.locate(k)
	var gone departed[K, V]
	defer func() { c.emit(context.Background(), &gone) }()
	c.attempt(s, &gone, func() bool {
		present := s.find(hash, k)
		var none, old V
		old, ok = c.valueOf(present)
		var op Op
		v, op = f(old, ok)
		switch op {
		case Write:
			n := c.newNode(k, v, hash, c.lifetime(k, v))
			c.detach(s, k)
			if !c.put(s, present, n, true, &gone) {
				return false
			}
			if ok = s.find(hash, k) == n; !ok { // too heavy, or a NaN
				v = none
			}
		case Delete:
			v, ok = none, false
			c.detach(s, k)
			if present != nil {
				c.remove(s, present, CauseDeleted, &gone)
			}
		default:
			v = old
		}
		return true
	})
	return v, ok
}

// CompareAndSwap stores v for k if its value is old, and reports whether it was. Two values of an interface type that
// cannot be compared make it panic.
func CompareAndSwap[K, V comparable](c *Cache[K, V], k K, old, v V) (swapped bool) {
	c.Update(k, func(now V, ok bool) (V, Op) {
		if swapped = ok && now == old; swapped {
			return v, Write
		}
		return now, Keep
	})
	return swapped
}

// CompareAndDelete deletes k if its value is old, and reports whether it was. Two values of an interface type that cannot
// be compared make it panic.
func CompareAndDelete[K, V comparable](c *Cache[K, V], k K, old V) (deleted bool) {
	c.Update(k, func(now V, ok bool) (V, Op) {
		if deleted = ok && now == old; deleted {
			return now, Delete
		}
		return now, Keep
	})
	return deleted
}

// DeleteFunc deletes the entries for which del returns true, and returns their number. Each is tested and deleted in one
// step, and what is said of the function given to [Cache.Update] holds for del. Entries that come meanwhile may
// be left out.
func (c *Cache[K, V]) DeleteFunc(del func(K, V) bool) int {
	deleted := 0
	for _, k := range c.snapshot() {
		c.Update(k, func(v V, ok bool) (V, Op) {
			if ok && del(k, v) {
				deleted++
				return v, Delete
			}
			return v, Keep
		})
	}
	return deleted
}
