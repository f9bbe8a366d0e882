package cache_test

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/leanovate/gopter"
	"github.com/leanovate/gopter/gen"
	"github.com/leanovate/gopter/prop"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/singleflight"

	"github.com/redoubt-go/redoubt/cache"
)

// ---- the exact LRU order. Oracle: container/list and a map.

// A listLRU is the textbook LRU cache, the most recently used entry in front.
type listLRU struct {
	capacity int
	order    *list.List // of pair
	items    map[int]*list.Element
	events   []pairEvent
}

type (
	pair      struct{ k, v int }
	pairEvent = cache.Event[int, int]
)

func (m *listLRU) depart(e *list.Element, cause cache.Cause) {
	p := e.Value.(pair)
	m.events = append(m.events, pairEvent{Key: p.k, Value: p.v, Cause: cause})
}

func (m *listLRU) get(k int) (int, bool) {
	e := m.items[k]
	if e == nil {
		return 0, false
	}
	m.order.MoveToFront(e)
	return e.Value.(pair).v, true
}

func (m *listLRU) peek(k int) (int, bool) {
	if e := m.items[k]; e != nil {
		return e.Value.(pair).v, true
	}
	return 0, false
}

func (m *listLRU) set(k, v int) {
	if e := m.items[k]; e != nil {
		m.depart(e, cache.CauseReplaced)
		m.order.Remove(e)
	} else if len(m.items) == m.capacity {
		m.remove(m.order.Back(), cache.CauseEvicted)
	}
	m.items[k] = m.order.PushFront(pair{k, v})
}

func (m *listLRU) remove(e *list.Element, cause cache.Cause) {
	m.depart(e, cause)
	delete(m.items, m.order.Remove(e).(pair).k)
}

func (m *listLRU) take(k int) (int, bool) {
	v, ok := m.peek(k)
	if ok {
		m.remove(m.items[k], cache.CauseDeleted)
	}
	return v, ok
}

func (m *listLRU) keys() (keys []int) {
	for e := m.order.Back(); e != nil; e = e.Prev() {
		keys = append(keys, e.Value.(pair).k)
	}
	return keys
}

// replayLRU runs a program of two bytes per operation (operation, key) on a
// cache and on the model. It returns the first difference. The values count up,
// so that all values differ.
func replayLRU(capacity int, program []byte, wrong int) string {
	m := &listLRU{capacity: capacity + wrong, order: list.New(), items: map[int]*list.Element{}}
	var events []pairEvent
	c := cache.New(cache.Config[int, int]{
		Capacity: capacity, Eviction: cache.LRU,
		OnEvent: func(_ context.Context, e pairEvent) { events = append(events, e) },
	})
	step := func(what byte, k, v int) (got, want string) {
		say := func(v int, ok bool) string { return fmt.Sprint(v, ok) }
		switch what % 9 {
		case 0:
			return say(c.Get(k)), say(m.get(k))
		case 1:
			return say(c.Peek(k)), say(m.peek(k))
		case 2:
			return say(c.GetAndDelete(k)), say(m.take(k))
		case 3:
			old, had := m.peek(k)
			m.set(k, v)
			return say(c.Swap(k, v)), say(old, had)
		case 4:
			actual, loaded := m.get(k)
			if !loaded {
				m.set(k, v)
				actual = v
			}
			return say(c.GetOrSet(k, v)), say(actual, loaded)
		case 5:
			actual, loaded := m.get(k)
			if !loaded {
				m.set(k, v)
				actual = v
			}
			got, err := c.GetOrLoad(context.Background(), k, func(context.Context, int) (int, error) { return v, nil })
			return say(got, err == nil), say(actual, true)
		case 6:
			if k%8 == 0 { // rarely
				c.Clear()
				for e := m.order.Back(); e != nil; e = m.order.Back() {
					m.remove(e, cache.CauseDeleted)
				}
			}
		default:
			c.Set(k, v)
			m.set(k, v)
		}
		return "", ""
	}
	for i := 0; i+1 < len(program); i += 2 {
		what, k := program[i], int(program[i+1]%32)
		got, want := step(what, k, i+1)
		if got != want {
			return fmt.Sprintf("step %d, operation %d of key %d: got %s, want %s", i/2, what%9, k, got, want)
		}
		if diff := cmp.Diff(m.keys(), keys(c)); diff != "" {
			return fmt.Sprintf("step %d: keys (-want +got):\n%s", i/2, diff)
		}
	}
	if diff := cmp.Diff(m.events, events); diff != "" {
		return fmt.Sprintf("events (-want +got):\n%s", diff)
	}
	if n := c.Len(); n != len(m.items) {
		return fmt.Sprintf("Len() = %d, want %d", n, len(m.items))
	}
	return ""
}

func TestLRUEqualsContainerList(t *testing.T) {
	// Oracle: container/list.
	checkProperty(t, 200, prop.ForAll(
		func(capacity int, program []byte) *gopter.PropResult {
			return holds(replayLRU(capacity, program, right))
		},
		gen.IntRange(1, 16), gen.SliceOf(gen.UInt8())))
}

// ---- expiry, stale values and remembered errors, in virtual time. Oracle: the
// rules, over a map of deadlines.

const (
	modelTTL   = 10 * time.Second
	modelGrace = 7 * time.Second
	modelKeep  = 5 * time.Second
)

// A timeModel is a cache that never evicts, with the end of each value and
// error.
type timeModel struct {
	now      time.Duration
	values   map[int]int
	deadline map[int]time.Duration
	failed   map[int]time.Duration // the end of a remembered error
	loads    uint64
}

func (m *timeModel) get(k int) (int, bool) {
	if v, ok := m.values[k]; ok && m.now < m.deadline[k] {
		return v, true
	}
	return 0, false
}

func (m *timeModel) set(k, v int, ttl time.Duration) {
	m.values[k], m.deadline[k] = v, m.now+ttl
	delete(m.failed, k)
}

func (m *timeModel) take(k int) (int, bool) {
	v, ok := m.get(k)
	delete(m.values, k)
	delete(m.failed, k)
	return v, ok
}

// load is GetOrLoad with a loader that returns v and err immediately.
func (m *timeModel) load(k, v int, err error) (int, error) {
	if v, ok := m.get(k); ok {
		return v, nil
	}
	if m.now >= m.failed[k] {
		if m.loads++; err == nil {
			m.set(k, v, modelTTL)
			return v, nil
		}
		m.failed[k] = m.now + modelKeep
		if err == cache.ErrNotFound {
			delete(m.values, k)
		}
	}
	if old, ok := m.values[k]; ok && m.now < m.deadline[k]+modelGrace {
		return old, nil
	}
	return 0, io.EOF // of whichever kind
}

// replayTimed runs a program of three bytes per operation (operation, key,
// number) in a synctest bubble.
func replayTimed(program []byte, wrong int) string {
	m := &timeModel{values: map[int]int{}, deadline: map[int]time.Duration{}, failed: map[int]time.Duration{}}
	var departed atomic.Int64
	written := 0
	c := cache.New(cache.Config[int, int]{
		Capacity: 16, TTL: modelTTL, StaleIfError: modelGrace,
		ErrorTTL: func(error) time.Duration { return modelKeep },
		OnEvent: func(_ context.Context, e pairEvent) {
			if e.Kind == cache.KindLeft {
				departed.Add(1)
			}
		},
	})
	step := func(what, k, n, v int) (got, want string) {
		say := func(v int, ok bool) string { return fmt.Sprint(v, ok) }
		switch what % 7 {
		case 0:
			time.Sleep(time.Duration(n) * time.Second / 8)
			m.now += time.Duration(n-wrong) * time.Second / 8
		case 1:
			return say(c.Get(k)), say(m.get(k))
		case 2:
			return say(c.GetAndDelete(k)), say(m.take(k))
		case 3:
			written++
			ttl := time.Duration(n+1) * time.Second
			c.SetTTL(k, v, ttl)
			m.set(k, v, ttl)
		case 4:
			written++
			c.Set(k, v)
			m.set(k, v, modelTTL)
		default:
			err := []error{nil, io.EOF, cache.ErrNotFound}[n%3]
			loads := m.loads
			wantV, wantErr := m.load(k, v, err)
			gotV, gotErr := c.GetOrLoad(context.Background(), k, func(context.Context, int) (int, error) { return v, err })
			if m.loads > loads && err == nil {
				written++
			}
			if gotErr != nil {
				gotV = 0
			}
			return say(gotV, gotErr == nil), say(wantV, wantErr == nil)
		}
		return "", ""
	}
	for i := 0; i+2 < len(program); i += 3 {
		what, k, n := int(program[i]), int(program[i+1]%8), int(program[i+2]%64)
		got, want := step(what, k, n, i+1)
		if got != want {
			return fmt.Sprintf("step %d at %v, operation %d of key %d (%d): got %s, want %s", i/3, m.now, what%7, k, n, got, want)
		}
		if got := c.Stats().Loads; got != m.loads {
			return fmt.Sprintf("step %d at %v: %d loads, want %d", i/3, m.now, got, m.loads)
		}
	}
	synctest.Wait() // for the events of what has just expired
	if got, want := int(departed.Load()), written-c.Len(); got != want {
		return fmt.Sprintf("%d events, want %d: %d writes - %d residents", got, want, written, c.Len())
	}
	return ""
}

func TestTimeEqualsModel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// Oracle: a map of deadlines.
		checkProperty(t, 200, prop.ForAll(
			func(program []byte) *gopter.PropResult { return holds(replayTimed(program, right)) },
			gen.SliceOf(gen.UInt8())))
	})
}

// ---- concurrency. Oracles: for each key the last write of its only writer;
// for the events, conservation.

func TestOwnWritesAndConservation(t *testing.T) {
	for capacity := 1; capacity <= 16; capacity += 3 {
		const writers, rounds, nkeys = 8, 300, 4 // 32 keys
		var mu sync.Mutex
		departed := map[int]int{}
		c := cache.NewSharded(cache.Config[int, int]{Capacity: capacity, OnEvent: func(_ context.Context, e pairEvent) {
			mu.Lock()
			defer mu.Unlock()
			departed[e.Value]++
		}}, 1<<(capacity%3))
		var g errgroup.Group
		for w := range writers {
			g.Go(func() error { return ownWrites(c, w, rounds, nkeys) })
		}
		if err := g.Wait(); err != nil {
			t.Fatalf("capacity %d: %v", capacity, err)
		}
		for _, v := range c.All() {
			departed[v]++
		}
		if got, want := len(departed), writers*rounds; got != want {
			t.Errorf("capacity %d: %d values departed or stayed, want %d", capacity, got, want)
		}
		for v, n := range departed {
			if n != 1 {
				t.Errorf("capacity %d: value %d departed or stayed %d times, want once", capacity, v, n)
			}
		}
	}
}

// ownWrites writes and reads keys that no other goroutine writes. All written
// values differ.
func ownWrites(c *cache.Cache[int, int], writer, rounds, nkeys int) error {
	random := rand.New(rand.NewPCG(1, uint64(writer)))
	last := map[int]int{}
	for round := range rounds {
		k, v := writer*nkeys+random.IntN(nkeys), writer*rounds+round+1
		switch random.IntN(4) {
		case 0:
			c.Delete(k)
			delete(last, k)
			if actual, loaded := c.GetOrSet(k, v); loaded {
				return fmt.Errorf("GetOrSet(%d) = %d, true after a Delete", k, actual)
			}
		case 1:
			c.Delete(k)
			if got, err := c.GetOrLoad(context.Background(), k, func(context.Context, int) (int, error) { return v, nil }); got != v || err != nil {
				return fmt.Errorf("GetOrLoad(%d) = %d, %v, want %d", k, got, err, v)
			}
		default:
			if old, had := c.Swap(k, v); had && old != last[k] {
				return fmt.Errorf("Swap(%d) = %d, want %d", k, old, last[k])
			}
		}
		last[k] = v
		for k, want := range last {
			if got, ok := c.Get(k); ok && got != want {
				return fmt.Errorf("Get(%d) = %d, want %d or nothing", k, got, want)
			}
		}
		if n := c.Len(); n > c.Capacity() {
			return fmt.Errorf("Len() = %d, want at most %d", n, c.Capacity())
		}
	}
	return nil
}

// A reader that starts after Delete has returned finds a value that was written
// before Delete. Oracle: the version numbers of the origin.
func TestLoadsAreLinearizable(t *testing.T) {
	const nkeys, rounds = 4, 1000
	for _, capacity := range []int{1, 3, 16} {
		c := cache.NewSharded(cache.Config[int, int64]{Capacity: capacity}, 1<<(capacity%3))
		var origin, announced [nkeys]atomic.Int64 // the version at the origin; the newest whose Delete has returned
		load := func(_ context.Context, k int) (int64, error) { return origin[k].Load(), nil }
		g, ctx := errgroup.WithContext(t.Context())
		for k := range nkeys {
			g.Go(func() error { // the only writer of k
				for range rounds {
					v := origin[k].Add(1)
					if v%2 == 0 {
						c.Delete(k)
					} else {
						c.Set(k, v)
					}
					announced[k].Store(v)
				}
				return nil
			})
			g.Go(func() error {
				for range rounds {
					least := announced[k].Load()
					if v, err := c.GetOrLoad(ctx, k, load); v < least || err != nil {
						return fmt.Errorf("GetOrLoad(%d) = %d, %v, want version %d or newer", k, v, err, least)
					}
				}
				return nil
			})
		}
		if err := g.Wait(); err != nil {
			t.Errorf("capacity %d: %v", capacity, err)
		}
		for k, v := range c.All() {
			if got, want := v, origin[k].Load(); got != want {
				t.Errorf("capacity %d: key %d is left with version %d, want %d", capacity, k, got, want)
			}
		}
	}
}

// Callers come and go at random, on few keys with a short lifetime, with
// failures and panics. Nothing hangs, no flight remains, and the statistics add
// up, for any number of processors. Oracle: conservation.
func TestStress_Loads(t *testing.T) {
	for _, procs := range []int{1, 2, 8} {
		for _, capacity := range []int{1, 2, 16} {
			t.Run(fmt.Sprintf("procs=%d,capacity=%d", procs, capacity), func(t *testing.T) {
				defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
				stressLoads(t, capacity)
			})
		}
	}
}

func stressLoads(t *testing.T, capacity int) {
	var departed, stored atomic.Int64
	c := cache.NewSharded(cache.Config[int, int]{
		Capacity: capacity, TTL: 50 * time.Microsecond, Jitter: 0.5, StaleIfError: 50 * time.Microsecond,
		Refresh:  10 * time.Microsecond,
		ErrorTTL: func(error) time.Duration { return 20 * time.Microsecond },
		OnEvent: func(_ context.Context, e pairEvent) {
			if e.Kind == cache.KindLeft {
				departed.Add(1)
			}
		},
	}, 2)
	var g errgroup.Group
	for w := range 8 {
		g.Go(func() error { return comeAndGo(c, uint64(w), &stored) })
	}
	if err := g.Wait(); err != nil {
		t.Error(err)
	}
	for c.Loading() > 0 {
		time.Sleep(time.Millisecond)
	}
	stats := c.Stats()
	if got, want := stats.Hits+stats.Misses, uint64(8*200); got != want {
		t.Errorf("%d hits and misses, want %d", got, want)
	}
	if got := int64(c.Len()) + departed.Load(); got > stored.Load() {
		t.Errorf("%d values departed or stayed, of %d loaded", got, stored.Load())
	}
}

// All operations at once, on tiny caches of all kinds. Oracles: the bound, and
// the consistency of the cache at the end.
func TestStress_Operations(t *testing.T) {
	kinds := map[string]cache.Config[int, int]{
		"plain":  {},
		"lru":    {Eviction: cache.LRU},
		"timed":  {TTL: 100 * time.Microsecond, IdleTTL: 30 * time.Microsecond},
		"weighs": {MaxWeight: 30, Weigh: func(_, v int) uint32 { return uint32(v % 20) }},
		"hooked": {OnEvent: func(context.Context, pairEvent) {}},
	}
	for name, config := range kinds {
		for _, procs := range []int{1, 2, 8} {
			for _, capacity := range []int{1, 3, 16} {
				t.Run(fmt.Sprintf("%s,procs=%d,capacity=%d", name, procs, capacity), func(t *testing.T) {
					defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
					config.Capacity = capacity
					shards := 4
					if config.Eviction == cache.LRU {
						shards = 1
					}
					c := cache.NewSharded(config, shards)
					var g errgroup.Group
					for w := range 8 {
						g.Go(func() error { return doAnything(c, uint64(w), capacity) })
					}
					if err := g.Wait(); err != nil {
						t.Error(err)
					}
					if problem := c.Check(); problem != "" && config.TTL == 0 {
						t.Error(problem)
					}
				})
			}
		}
	}
}

func doAnything(c *cache.Cache[int, int], seed uint64, capacity int) error {
	random := rand.New(rand.NewPCG(4, seed))
	for v := range 300 {
		k := random.IntN(24)
		switch random.IntN(14) {
		case 0:
			c.Delete(k)
		case 1:
			c.GetOrSet(k, v)
		case 2:
			c.Update(k, func(old int, _ bool) (int, cache.Op) { return old + 1, cache.Op(v % 3) })
		case 3:
			c.GetOrLoad(context.Background(), k, func(context.Context, int) (int, error) { return v, nil })
		case 4:
			if v%10 == 0 {
				c.Clear()
			}
		case 5:
			resize(c, 1+v%capacity)
		case 6:
			for k := range c.All() {
				c.Entry(k)
				break
			}
		case 7:
			c.Expire()
		case 8, 9, 10:
			c.Get(k)
		default:
			c.Set(k, v)
		}
		if n := c.Len(); n > capacity {
			return fmt.Errorf("Len() = %d, want at most %d", n, capacity)
		}
	}
	return nil
}

func comeAndGo(c *cache.Cache[int, int], seed uint64, stored *atomic.Int64) (err error) {
	random := rand.New(rand.NewPCG(2, seed))
	for range 200 {
		k, fate, patience := random.IntN(6), random.IntN(8), time.Duration(random.IntN(100))*time.Microsecond
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		func() {
			defer cancel()
			defer func() {
				if r := recover(); r != nil {
					if p, ok := r.(*cache.PanicError); !ok || p.Value != "fate" {
						err = fmt.Errorf("panic %v", r)
					}
				}
			}()
			v, loadErr := c.GetOrLoad(ctx, k, func(ctx context.Context, k int) (int, error) {
				time.Sleep(10 * time.Microsecond)
				switch fate {
				case 0:
					return 0, io.EOF
				case 1:
					panic("fate")
				case 2:
					return 0, cache.ErrNotFound
				}
				stored.Add(1)
				return k + 1, ctx.Err()
			})
			known := errors.Is(loadErr, io.EOF) || errors.Is(loadErr, cache.ErrNotFound) || errors.Is(loadErr, context.DeadlineExceeded)
			if loadErr == nil && v != k+1 || loadErr != nil && !known {
				err = fmt.Errorf("GetOrLoad(%d) = %d, %v", k, v, loadErr)
			}
		}()
		if random.IntN(10) == 0 {
			c.Delete(k)
		}
	}
	return err
}

// ---- Loads without a lifetime are a singleflight. Oracle:
// golang.org/x/sync/singleflight, with the same arrivals.

func TestFlightsEqualSingleflight(t *testing.T) {
	// arrive starts a caller of do at each time, in units of 10 ms, and returns
	// their results. A load takes half a unit more than a whole number of
	// units, so that no load ends at the instant of an arrival.
	arrive := func(at []int, do func(load func() int) int) []int {
		got, loads := make([]int, len(at)), 0
		var g errgroup.Group
		for i, at := range at {
			g.Go(func() error {
				time.Sleep(time.Duration(at) * 10 * time.Millisecond)
				got[i] = do(func() int {
					loads++
					n := loads
					time.Sleep(35 * time.Millisecond)
					return n
				})
				return nil
			})
		}
		g.Wait()
		return got
	}
	property := func(at []int) *gopter.PropResult {
		var peer singleflight.Group
		want := arrive(at, func(load func() int) int {
			v, _, _ := peer.Do("k", func() (any, error) { return load(), nil })
			return v.(int)
		})
		c := cache.New(cache.Config[string, int]{Capacity: 1, TTL: 1})
		got := arrive(at, func(load func() int) int {
			v, _ := c.GetOrLoad(context.Background(), "k", func(context.Context, string) (int, error) { return load(), nil })
			return v
		})
		return holds(cmp.Diff(want, got))
	}
	synctest.Test(t, func(t *testing.T) {
		// Oracle: singleflight.
		checkProperty(t, 50, prop.ForAll(func(at []int) *gopter.PropResult {
			slices.Sort(at)
			return property(at)
		}, gen.SliceOf(gen.IntRange(0, 100))))
	})
}
