package cache

import (
	"context"
	"errors"

	"github.com/redoubt-go/redoubt/internal/errtree"
)

// GetOrLoadMany returns the values of keys. For keys without a value it joins
// the loads in progress, and calls load once with all other missing keys. Keys
// that Config.Refresh is due for are loaded in the background, by another call.
//
// load returns a map of values. A requested key that is not in the map does
// not exist: the result of GetOrLoadMany does not contain it, and other
// callers that wait for it get [ErrNotFound]. If load also returns an error,
// the missing keys have that error instead. Values of keys that were not
// requested are kept if their keys have no value, and if no key of the same
// shard was written or deleted during the load. A key that is not equal to
// itself, such as a NaN, is never in a map, so GetOrLoadMany does not find it.
//
// Each key follows the rules of [Cache.GetOrLoad]. An error of some keys does
// not remove the values of other keys from the result.
//
// Errors: the errors of all keys joined, each a [*KeysError], without errors
// that match [ErrNotFound]. The keys of one load share its error.
func (c *Cache[K, V]) GetOrLoadMany(ctx context.Context, keys []K, load func(context.Context, []K) (map[K]V, error)) (map[K]V, error) {
	return c.loadMany(ctx, keys, nil, load)
}

// loadMany is GetOrLoadMany with one of two loaders.
func (c *Cache[K, V]) loadMany(ctx context.Context, keys []K, load loadFunc[K, V], many manyFunc[K, V]) (map[K]V, error) {
	p := party[K, V]{cache: c, load: load, many: many, values: make(map[K]V, len(keys)), failures: make(map[any]*KeysError[K])}
	for keys = p.lookup(ctx, keys); len(keys) > 0; {
		keys = p.wait(ctx, p.arrive(ctx, keys))
	}
	return p.values, errors.Join(p.errs...)
}

// A party is a call of GetOrLoadMany.
type party[K comparable, V any] struct {
	cache    *Cache[K, V]
	load     loadFunc[K, V] // for one key, if many is nil
	many     manyFunc[K, V]
	values   map[K]V
	failures map[any]*KeysError[K] // by call, or by error
	errs     []error               // the failures in order
}

// lookup adds the present values to p, starts their refreshes and returns the
// other keys.
func (p *party[K, V]) lookup(ctx context.Context, keys []K) (missing []K) {
	c := p.cache
	var due []*node[K, V]
	seen := make(map[K]bool, len(keys))
	for _, k := range keys {
		if seen[k] {
			continue
		}
		seen[k] = true
		n := c.get(k)
		if n == nil {
			missing = append(missing, k)
			continue
		}
		if p.values[k] = n.load(c.word); c.refreshDue(n) {
			due = append(due, n)
		}
	}
	p.refresh(ctx, due)
	return missing
}

func (p *party[K, V]) refresh(ctx context.Context, due []*node[K, V]) {
	if p.many == nil {
		for _, n := range due {
			p.cache.refresh(ctx, n, p.load)
		}
		return
	}
	if len(due) == 0 {
		return
	}
	l := p.cache.newManyCall()
	l.background = true
	for _, n := range due {
		s, _ := p.cache.locate(n.key)
		s.renew(n, l)
	}
	p.launch(ctx, l)
}

// newManyCall returns a call for several keys, without any.
func (c *Cache[K, V]) newManyCall() *call[K, V] {
	l := &call[K, V]{byKey: make(map[K]*flight[K, V]), versions: make(map[*shard[K, V]]uint64, len(c.shards))}
	l.init(c)
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		l.versions[s] = s.version
		s.mu.Unlock()
	}
	return l
}

func (p *party[K, V]) launch(ctx context.Context, l *call[K, V]) {
	if len(l.flights) > 0 {
		l.launch(ctx, nil, p.many, false)
	}
}

// arrive joins the flights of keys, and launches the flights that are new.
func (p *party[K, V]) arrive(ctx context.Context, keys []K) []seat[K, V] {
	c := p.cache
	var l *call[K, V]
	if p.many != nil {
		l = c.newManyCall()
	}
	seats := make([]seat[K, V], 0, len(keys))
	for _, k := range keys {
		at := c.arrive(ctx, k, request[K, V]{apart: true, call: l})
		switch {
		case at.flight != nil:
			if at.first && l == nil {
				at.flight.call.launch(ctx, p.load, nil, false)
			}
			seats = append(seats, at)
		case at.err == nil:
			p.values[k] = at.value
		default:
			p.fail(k, nil, at.err)
		}
	}
	if l != nil {
		p.launch(ctx, l)
	}
	return seats
}

// wait adds the results of the flights to p. It returns the keys to try again.
func (p *party[K, V]) wait(ctx context.Context, seats []seat[K, V]) (retry []K) {
	defer func() { // seats is empty unless a load has panicked
		for _, at := range seats {
			if !at.flight.landed.Load() {
				at.flight.leave(ctx, true, false)
			}
		}
	}()
	for len(seats) > 0 {
		at := seats[0]
		seats = seats[1:]
		v, err, end := p.cache.wait(ctx, at, false)
		switch k := at.flight.key; {
		case end == again:
			retry = append(retry, k)
		case err == nil:
			p.values[k] = v
		case end == gone:
			p.fail(k, nil, err)
		default:
			p.fail(k, at.flight.call, err)
		}
	}
	return retry
}

// fail adds the error of k. The keys of a call share their error, and so do
// the keys whose wait has ended.
func (p *party[K, V]) fail(k K, of *call[K, V], err error) {
	if errtree.Is(err, ErrNotFound) {
		return
	}
	var group any = of
	if of == nil {
		group = waitEnded
		if err == ErrRecursive {
			group = ErrRecursive
		}
		if _, ok := err.(*CachedError); ok {
			group = err
		}
	}
	e := p.failures[group]
	if e == nil {
		e = &KeysError[K]{Name: p.cache.config.Load().Name, Err: err}
		p.failures[group] = e
		p.errs = append(p.errs, e)
	}
	e.Keys = append(e.Keys, k)
}

// waitEnded is the group of the keys whose wait has ended.
const waitEnded = "wait"

// runMany calls a loader of several keys and distributes its result.
func (l *call[K, V]) runMany(load manyFunc[K, V]) {
	keys := make([]K, len(l.flights))
	for i, f := range l.flights {
		keys[i] = f.key
	}
	values, err := load(l, keys)
	if err == nil {
		err = ErrNotFound
	}
	found := 0
	for _, f := range l.flights {
		v, ok := values[f.key]
		if f.value, f.err = v, nil; !ok {
			f.err = err
			continue
		}
		found++
	}
	if found == len(values) {
		return
	}
	for k, v := range values {
		if l.byKey[k] == nil {
			_, hash := l.cache.locate(k)
			l.extra = append(l.extra, l.newNode(k, v, hash))
		}
	}
}

// keepExtra stores the entry of a key that was not requested, if the key has
// none, and if no write or invalidation of its shard may be newer.
func (l *call[K, V]) keepExtra(n *node[K, V], gone *departed[K, V]) {
	s, _ := l.cache.locate(n.key)
	for !s.fill(n, l.versions[s], gone) {
		l.cache.evictElsewhere(s, gone)
	}
}

// fill reports whether it was done: if not, another shard must make room first.
func (s *shard[K, V]) fill(n *node[K, V], version uint64, gone *departed[K, V]) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	present := s.find(n.hash, n.key)
	if s.version != version || s.flights[n.key] != nil || present != nil && s.cache.age(present) == fresh {
		return true
	}
	return s.put(present, n, false, gone)
}
