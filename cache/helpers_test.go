package cache_test

import (
	"context"
	"errors"
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

	"github.com/redoubt-go/redoubt/cache"
)

type event = cache.Event[string, int]

// departed returns the event of a value that has left.
func departed(k string, v int, cause cache.Cause) event {
	return event{Cause: cause, Key: k, Value: v}
}

// log is a hook that records the departures.
type log struct {
	mu     sync.Mutex
	events []event
}

func (l *log) add(_ context.Context, e event) {
	if e.Kind != cache.KindLeft {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = append(l.events, e)
}

// check compares the events since the last call.
func (l *log) check(t *testing.T, want ...event) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	checkEqual(t, l.events, want)
	l.events = nil
}

// checkEqual reports the difference between got and want.
func checkEqual(t *testing.T, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("difference (-want +got):\n%s", diff)
	}
}

// checkIs checks that err matches all targets. A nil target is matched by nil.
func checkIs(t *testing.T, err error, targets ...error) {
	t.Helper()
	for _, target := range targets {
		if !errors.Is(err, target) {
			t.Errorf("error %v, want %v", err, target)
		}
	}
}

func newLRU(capacity int) *cache.Cache[string, int] {
	return cache.New(cache.Config[string, int]{Capacity: capacity, Eviction: cache.LRU})
}

// resize sets the Capacity of c.
func resize[K comparable, V any](c *cache.Cache[K, V], capacity int) {
	config := c.Config()
	config.Capacity = capacity
	if err := c.SetConfig(config); err != nil {
		panic(err)
	}
}

func keys[K comparable, V any](c *cache.Cache[K, V]) []K { return slices.Collect(c.Keys()) }

// checkKeys compares the keys of c, the least valued first.
func checkKeys[K comparable, V any](t *testing.T, c *cache.Cache[K, V], want ...K) {
	t.Helper()
	checkEqual(t, keys(c), want)
}

// checkGet checks the value of k. A want of 0 means that k is absent.
func checkGet[K comparable](t *testing.T, c *cache.Cache[K, int], k K, want int) {
	t.Helper()
	if v, ok := c.Get(k); v != want || ok != (want != 0) {
		t.Errorf("Get(%v) = %v, %v, want %v, %v", k, v, ok, want, want != 0)
	}
}

// awaitCleanups collects garbage until n cleanups have run.
func awaitCleanups(t *testing.T, what string, cleaned *atomic.Int64, n int64) {
	t.Helper()
	for range 100 {
		if cleaned.Load() == n {
			return
		}
		runtime.GC()
		time.Sleep(time.Millisecond)
	}
	t.Errorf("%s: %d values collected, want %d", what, cleaned.Load(), n)
}

type big struct{ _ [64]byte }

// A result is the result of GetOrLoad.
type result struct {
	v   int
	err error
}

// ask calls GetOrLoad in a goroutine, and returns when that goroutine waits or
// has ended.
func ask(ctx context.Context, c *cache.Cache[string, int], k string, load func(context.Context, string) (int, error)) <-chan result {
	got := make(chan result, 1)
	go func() {
		v, err := c.GetOrLoad(ctx, k, load)
		got <- result{v, err}
	}()
	synctest.Wait()
	return got
}

func (r result) check(t *testing.T, v int, err error) {
	t.Helper()
	checkEqual(t, r.v, v)
	checkIs(t, r.err, err)
}

// sleeper returns a loader that returns v after a second, unless its context
// ends first.
func sleeper(v int) func(context.Context, string) (int, error) {
	return func(ctx context.Context, _ string) (int, error) {
		select {
		case <-time.After(time.Second):
			return v, nil
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

func failing(err error) func(context.Context, string) (int, error) {
	return func(context.Context, string) (int, error) { return 0, err }
}

// caught calls f and returns the *PanicError that f panicked with.
func caught(t *testing.T, f func()) (p *cache.PanicError) {
	t.Helper()
	defer func() {
		t.Helper()
		var ok bool
		if p, ok = recover().(*cache.PanicError); !ok {
			t.Error("no panic with a *PanicError")
			p = new(cache.PanicError)
		}
	}()
	f()
	return nil
}

type loader = func(context.Context, string) (int, error)

// unwanted returns a loader that must not be called.
func unwanted(t *testing.T) loader {
	return func(context.Context, string) (int, error) {
		t.Helper()
		t.Error("the loader was called")
		return 0, nil
	}
}

// checkProperty tests prop with runs random inputs.
func checkProperty(t *testing.T, runs int, prop gopter.Prop) {
	t.Helper()
	p := gopter.DefaultTestParameters()
	p.MinSuccessfulTests, p.MaxSize = runs, 400
	properties := gopter.NewProperties(p)
	properties.Property(t.Name(), prop)
	properties.TestingRun(t)
}

// holds returns the result of a property whose problem is "" if it holds.
func holds(problem string) *gopter.PropResult {
	if problem == "" {
		return gopter.NewPropResult(true, "")
	}
	return gopter.NewPropResult(false, problem)
}

// right is the parameter of a correct oracle. With any other number the oracle
// makes a small mistake.
const right = 0

// Each oracle notices a mistake: a difference of one entry, an eighth of a
// second, a nanosecond, an event or a toss of a coin.
func TestOraclesBite(t *testing.T) {
	program := make([]byte, 3000)
	for name, replay := range map[string]func(wrong int) string{
		"LRU":  func(wrong int) string { return replayLRU(8, program, wrong) },
		"time": func(wrong int) string { return replayTimed(program, wrong) },
		"policy": func(wrong int) string {
			return replayPolicy(int(program[0])%cache.Rules, 50, 3000, uint64(program[0]), wrong)
		},
		"expiry": func(wrong int) string { return replayExpiry(program, wrong) },
		"books":  func(wrong int) string { return replayBooks(5, program, wrong) },
		"table":  func(wrong int) string { return replayTable(hashes["good"], program, wrong) },
	} {
		synctest.Test(t, func(t *testing.T) {
			random, noticed := rand.NewChaCha8([32]byte{1}), 0
			for range 10 {
				random.Read(program)
				checkEqual(t, replay(right), "")
				if replay(1) != "" {
					noticed++
				}
			}
			if noticed < 8 {
				t.Errorf("%s: %d of 10 mistakes noticed, want at least 8", name, noticed)
			}
		})
	}
}
