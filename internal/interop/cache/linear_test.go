package cache_test

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/redoubt-go/redoubt/cache"
)

// An op is what was asked of one key, or with clear of all, and what came out.
// Values are never 0 and all differ; 0 says that there was none.
type op struct {
	kind  string
	key   int
	value int // written, or loaded by this caller's loader
	old   int // for compare-and-swap
	got   int
	own   bool // the value written or loaded is that of this operation
}

const (
	linearKeys    = 3
	linearClients = 5
)

// The model is a map, of which any entry may go at any time if evicts is true.
// Its state is the value of one key, 0 for none.
//
// A load takes effect at an instant at which its key has no value. It writes
// what it returns, or if a Set or a Delete cuts it off, nothing.
func model(evicts bool) porcupine.Model {
	m := porcupine.NondeterministicModel{
		Partition: partition,
		Init:      func() []any { return []any{0} },
		Step:      func(state, _, output any) []any { return step(state.(int), output.(op), evicts) },
	}
	return m.ToModel()
}

// step returns the states in which the key may be after the operation, none if
// it cannot have come out so.
func step(state int, out op, evicts bool) []any {
	absent := state == 0 || evicts
	saw := out.got == state || absent && out.got == 0
	next := func(ok bool, states ...any) []any {
		if !ok {
			return nil
		}
		return states
	}
	switch out.kind {
	case "get", "peek":
		return next(saw, out.got)
	case "swap", "update":
		return next(saw, out.value)
	case "take":
		return next(saw, 0)
	case "set":
		return next(true, out.value)
	case "clear", "deletekeys":
		return next(true, 0)
	case "deletefunc": // value is the lowest value that stays
		if state < out.value {
			return next(true, 0)
		}
		return next(true, state)
	case "getorset", "load", "many":
		switch {
		case !out.own:
			return next(out.got == state, state)
		case out.kind != "getorset":
			return next(absent, out.got, 0)
		}
		return next(absent, out.got)
	case "cas":
		switch {
		case out.own:
			return next(state == out.old, out.value)
		case state == out.old:
			return next(evicts, 0)
		}
		return next(true, state)
	}
	panic(out.kind)
}

// withoutJoins leaves out the loads that took the result of another that ran at
// the same time: it need not have been stored.
func withoutJoins(history []porcupine.Operation) []porcupine.Operation {
	owners := map[int]porcupine.Operation{}
	for _, o := range history {
		if out := o.Output.(op); isLoad(out) && out.own {
			owners[out.got] = o
		}
	}
	return slices.DeleteFunc(history, func(o porcupine.Operation) bool {
		out := o.Output.(op)
		owner, ok := owners[out.got]
		return isLoad(out) && !out.own && ok && o.Call < owner.Return && owner.Call < o.Return
	})
}

func isLoad(out op) bool { return out.kind == "load" || out.kind == "many" }

// partition gives each key its history; a clear belongs to all of them.
func partition(history []porcupine.Operation) [][]porcupine.Operation {
	byKey := make([][]porcupine.Operation, linearKeys)
	for _, o := range history {
		for k := range byKey {
			if out := o.Output.(op); out.kind == "clear" || out.kind == "deletefunc" || out.key == k {
				byKey[k] = append(byKey[k], o)
			}
		}
	}
	return byKey
}

// recordHistory lets clients work on c, each for rounds operations at random.
func recordHistory(c *cache.Cache[int, int], seed uint64, rounds int) []porcupine.Operation {
	var mu sync.Mutex
	var history []porcupine.Operation
	var values atomic.Int64
	var wg sync.WaitGroup
	start := time.Now()
	for client := range linearClients {
		random := rand.New(rand.NewPCG(seed, uint64(client)))
		wg.Go(func() {
			for range rounds {
				o := op{key: random.IntN(linearKeys), value: int(values.Add(1))}
				call := time.Since(start).Nanoseconds()
				run(c, random, &o)
				end := time.Since(start).Nanoseconds()
				mu.Lock()
				history = append(history, porcupine.Operation{ClientId: client, Input: o, Call: call, Output: o, Return: end})
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return history
}

// run chooses an operation, does it and notes what came out.
func run(c *cache.Cache[int, int], random *rand.Rand, o *op) {
	kinds := []string{"get", "get", "peek", "set", "swap", "getorset", "take", "update", "cas", "load", "load", "many", "clear", "deletekeys", "deletefunc"}
	switch o.kind = kinds[random.IntN(len(kinds))]; o.kind {
	case "get":
		o.got, _ = c.Get(o.key)
	case "peek":
		o.got, _ = c.Peek(o.key)
	case "set":
		c.Set(o.key, o.value)
	case "swap":
		o.got, _ = c.Swap(o.key, o.value)
	case "getorset":
		var loaded bool
		o.got, loaded = c.GetOrSet(o.key, o.value)
		o.own = !loaded
	case "take":
		o.got, _ = c.GetAndDelete(o.key)
	case "update":
		c.Update(o.key, func(old int, _ bool) (int, cache.Op) {
			o.got = old
			return o.value, cache.Write
		})
	case "cas":
		if o.old, _ = c.Peek(o.key); o.old == 0 {
			o.old = -1
		}
		o.own = cache.CompareAndSwap(c, o.key, o.old, o.value)
	case "load":
		loadOwn(c, random, o)
	case "many":
		loadMany(c, random, o)
	case "clear":
		c.Clear()
	case "deletekeys":
		c.DeleteKeys(func(k int) bool { return k == o.key })
	case "deletefunc":
		c.DeleteFunc(func(_, v int) bool { return v < o.value })
	}
}

// loadMany is loadOwn for a bulk load, which brings values of the other keys
// too.
func loadMany(c *cache.Cache[int, int], random *rand.Rand, o *op) {
	pause := time.Duration(random.IntN(20)) * time.Microsecond
	got, _ := c.GetOrLoadMany(context.Background(), []int{o.key}, func(context.Context, []int) (map[int]int, error) {
		time.Sleep(pause)
		return map[int]int{o.key: o.value}, nil
	})
	o.got = got[o.key]
	o.own = o.got == o.value
}

// loadOwn loads a value that only this caller can have made. Where it gets
// another one it has joined another's load, or found the value.
func loadOwn(c *cache.Cache[int, int], random *rand.Rand, o *op) {
	pause := time.Duration(random.IntN(20)) * time.Microsecond
	o.got, _ = c.GetOrLoad(context.Background(), o.key, func(context.Context, int) (int, error) {
		time.Sleep(pause)
		return o.value, nil
	})
	o.own = o.got == o.value
}

var histories = []struct {
	name   string
	config cache.Config[int, int]
	evicts bool
}{
	{"roomy", cache.Config[int, int]{Capacity: 2000}, false},
	{"roomy, events", cache.Config[int, int]{Capacity: 2000, OnEvent: func(context.Context, cache.Event[int, int]) {}}, false},
	{"lru", cache.Config[int, int]{Capacity: 100, Eviction: cache.LRU}, false},
	{"long life", cache.Config[int, int]{Capacity: 2000, TTL: time.Hour, IdleTTL: time.Hour}, false},
	{"capacity 1", cache.Config[int, int]{Capacity: 1}, true},
	{"capacity 2", cache.Config[int, int]{Capacity: 2, Eviction: cache.LRU}, true},
	{"heavy", cache.Config[int, int]{MaxWeight: 20, Weigh: func(_, v int) uint32 { return uint32(v % 11) }}, true},
}

// Histories of everything that Set, Delete, Update and loads do to each other,
// recorded while it happens, are such as operations one after the other could
// have had.
func TestLinearizable(t *testing.T) {
	for _, tt := range histories {
		t.Run(tt.name, func(t *testing.T) {
			for seed := range uint64(40) {
				history := recordHistory(cache.New(tt.config), seed, 40)
				result := porcupine.CheckOperationsTimeout(model(tt.evicts), withoutJoins(history), 10*time.Second)
				if result != porcupine.Ok {
					t.Fatalf("seed %d: the history is not linearizable: %v", seed, result)
				}
			}
		})
	}
}
