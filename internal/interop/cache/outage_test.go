package cache_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redoubt-go/redoubt/breaker"
	"github.com/redoubt-go/redoubt/cache"
	"github.com/redoubt-go/redoubt/ratelimit"
	"github.com/redoubt-go/redoubt/retry"
)

var long = flag.Bool("long", false, "run the fault matrix with every deadline and a thousand calls in each cell")

type loader = func(context.Context, int) (int, error)

var errDown = errors.New("connection refused")

// The faults of the origin. Some obey the context of the load, some do not.
var faults = []struct {
	name string
	load loader
}{
	{"error", func(context.Context, int) (int, error) { return 0, errDown }},
	{"slow error", func(ctx context.Context, _ int) (int, error) { return 0, rest(ctx, 700*time.Millisecond, errDown) }},
	{"hang", func(ctx context.Context, _ int) (int, error) { <-ctx.Done(); return 0, ctx.Err() }},
	{"deaf hang", func(context.Context, int) (int, error) { time.Sleep(5 * time.Minute); return 0, errDown }},
	{"slow", func(_ context.Context, k int) (int, error) { time.Sleep(3 * time.Second); return 2, nil }},
	{"panic", func(context.Context, int) (int, error) { panic("bug") }},
	{"exit", func(context.Context, int) (int, error) { runtime.Goexit(); return 0, nil }},
	{"flapping", func(ctx context.Context, k int) (int, error) {
		if rand.N(2) == 0 {
			return 0, errDown
		}
		<-ctx.Done()
		return 0, ctx.Err()
	}},
}

func rest(ctx context.Context, d time.Duration, err error) error {
	select {
	case <-time.After(d):
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// The guards in the loader.
var guards = []struct {
	name string
	wrap func(loader) loader
}{
	{"none", func(load loader) loader { return load }},
	{"retry", func(load loader) loader { return retry.WrapArg(retry.Policy{}, load) }},
	{"retry with a timeout", func(load loader) loader {
		return retry.WrapArg(retry.Policy{AttemptTimeout: 200 * time.Millisecond}, load)
	}},
	{"retry without a budget", func(load loader) loader {
		return retry.WrapArg(retry.Policy{Budget: &retry.TokenBudget{Burst: -1}}, load)
	}},
	{"breaker", func(load loader) loader { return breaker.WrapArg(breaker.New(breaker.Config{}), load) }},
	{"limit", func(load loader) loader { return ratelimit.WrapArg(ratelimit.New(ratelimit.PerSecond(1)), load) }},
	{"all", func(load loader) loader {
		l := ratelimit.WrapArg(ratelimit.New(ratelimit.PerSecond(10)), load)
		return retry.WrapArg(retry.Policy{}, breaker.WrapArg(breaker.New(breaker.Config{}), l))
	}},
	{"lost second level", func(load loader) loader {
		return cache.Tier[int, int]{Store: lost{}, TTL: time.Hour}.Through(load)
	}},
}

// lost is a second level that hangs or fails.
type lost struct{}

func (lost) Get(ctx context.Context, k int) (cache.Record[int], error) {
	if k%2 == 0 {
		return cache.Record[int]{}, rest(ctx, time.Second, errDown)
	}
	return cache.Record[int]{}, errDown
}
func (lost) Set(context.Context, int, cache.Record[int]) error { return errDown }
func (lost) Delete(context.Context, ...int) error              { return errDown }

// An outage is a cell of the matrix: keys with stale values, and an origin with
// a fault.
type outage struct {
	config   cache.Config[int, int]
	deadline time.Duration // of each caller; 0 is a caller who cancels after a second
	calls    int
	keys     int

	answeredLate, failed, twice atomic.Int64
	problem                     atomic.Pointer[string]
	mu                          sync.Mutex
	running                     map[int]int // loads of each key
}

// counted counts the loads that run at the same time.
func (o *outage) counted(load loader) loader {
	return func(ctx context.Context, k int) (int, error) {
		o.count(k, 1)
		defer o.count(k, -1)
		return load(ctx, k)
	}
}

func (o *outage) count(k, n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.running[k] += n; o.running[k] > 1 {
		o.twice.Add(1)
	}
}

func (o *outage) errorf(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	o.problem.CompareAndSwap(nil, &text)
}

// call is one caller.
func (o *outage) call(c *cache.Cache[int, int], k int, load loader) {
	ctx, cancel := context.WithCancel(context.Background())
	if o.deadline > 0 {
		ctx, cancel = context.WithTimeout(ctx, o.deadline)
	} else {
		time.AfterFunc(time.Second, cancel)
	}
	defer cancel()
	defer func() {
		if r := recover(); r != nil {
			o.failed.Add(1)
			o.errorf("panic %v", r)
		}
	}()
	start := time.Now()
	v, err := c.GetOrLoad(ctx, k, load)
	if took := time.Since(start); o.deadline > 0 && o.config.StaleIfSlow >= 0 && took >= o.deadline {
		o.answeredLate.Add(1)
		o.errorf("answer after %v, at the deadline", took)
	}
	if v == 0 || err != nil {
		o.failed.Add(1)
		o.errorf("%d, %v", v, err)
	}
}

// run plays the outage and the time after it.
func (o *outage) run(fault loader, wrap func(loader) loader) {
	o.running = map[int]int{}
	c := cache.New(o.config)
	for k := range o.keys {
		c.Set(k, 1)
	}
	time.Sleep(o.config.TTL)
	var healthy atomic.Bool
	load := o.counted(wrap(func(ctx context.Context, k int) (int, error) {
		if healthy.Load() {
			return 3, nil
		}
		return fault(ctx, k)
	}))
	var wg sync.WaitGroup
	for range o.calls {
		time.Sleep(rand.N(40 * time.Millisecond))
		wg.Go(func() { o.call(c, rand.N(o.keys), load) })
	}
	wg.Wait()
	healthy.Store(true)
	time.Sleep(6 * time.Minute) // every hanging load has ended
	for k := range o.keys {
		o.call(c, k, load) // begins a load where none answered
	}
	time.Sleep(2 * time.Second)
	for k := range o.keys {
		if v, err := c.GetOrLoad(context.Background(), k, load); v < 2 || err != nil {
			o.failed.Add(1)
			o.errorf("after the outage: %d, %v", v, err)
		}
	}
}

// However the origin fails, and whatever guards are in the loader, no caller
// that has a stale value at hand fails or waits until its deadline, at most one
// load of a key runs at any time, and the cache finds its way back.
func TestOutageContract(t *testing.T) {
	deadlines := []time.Duration{0, 50 * time.Millisecond, time.Second}
	slows := []time.Duration{-1, 0, 20 * time.Millisecond}
	calls := 60
	if *long {
		deadlines = append(deadlines, time.Millisecond, 10*time.Millisecond, 300*time.Millisecond, 5*time.Second, time.Minute)
		slows = append(slows, 1, time.Second)
		calls = 1000
	}
	for _, fault := range faults {
		for _, guard := range guards {
			t.Run(fault.name+"/"+guard.name, func(t *testing.T) {
				for _, deadline := range deadlines {
					for _, slow := range slows {
						synctest.Test(t, func(t *testing.T) {
							o := outage{
								config: cache.Config[int, int]{
									Capacity: 10, TTL: 10 * time.Minute, StaleIfError: 24 * time.Hour, StaleIfSlow: slow,
									LoadTimeout: 3 * time.Minute,
								},
								deadline: deadline, calls: calls, keys: 3,
							}
							o.run(fault.load, guard.wrap)
							if n := o.failed.Load() + o.answeredLate.Load() + o.twice.Load(); n > 0 {
								t.Errorf("deadline %v, StaleIfSlow %v: %d failed, %d answered late, %d loads at once; first: %s",
									deadline, slow, o.failed.Load(), o.answeredLate.Load(), o.twice.Load(), deref(o.problem.Load()))
							}
						})
					}
				}
			})
		}
	}
}

func deref(s *string) string {
	if s == nil {
		return "none"
	}
	return *s
}

// Without stale values the same callers fail: the matrix is a test.
func TestOutageMatrixBites(t *testing.T) {
	for _, fault := range faults {
		if fault.name == "slow" {
			continue
		}
		synctest.Test(t, func(t *testing.T) {
			o := outage{config: cache.Config[int, int]{Capacity: 10, TTL: 10 * time.Minute}, deadline: 50 * time.Millisecond, calls: 60, keys: 3}
			o.run(fault.load, guards[0].wrap)
			if o.failed.Load() == 0 {
				t.Errorf("%s: no caller failed", fault.name)
			}
		})
	}
}

// A key that does not exist is no failure: a flood of such keys opens no
// breaker and is not retried.
func TestNotFoundIsNoFailureForGuards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		b := breaker.New(breaker.Config{})
		load := retry.WrapArg(retry.Policy{}, breaker.WrapArg(b, func(context.Context, int) (int, error) {
			asked++
			return 0, fmt.Errorf("users: %w", cache.ErrNotFound)
		}))
		users := cache.Memoize(cache.Config[int, int]{Capacity: 10}, load)
		for k := range 100 {
			if _, err := users.Get(t.Context(), k); !errors.Is(err, cache.ErrNotFound) {
				t.Fatalf("%d: %v, want ErrNotFound", k, err)
			}
		}
		if s := b.Stats(); asked != 100 || s.Failures != 0 || s.Successes != 100 {
			t.Errorf("%d requests, breaker %+v, want 100 and no failure", asked, s)
		}
		if retry.Retryable(cache.ErrNotFound) {
			t.Error("ErrNotFound is retryable")
		}
	})
}
