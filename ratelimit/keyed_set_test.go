package ratelimit_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/leanovate/gopter/gen"
	"github.com/leanovate/gopter/prop"
	"github.com/redoubt-go/redoubt/ratelimit"
)

// Set keeps the events that the keys used, up to the new burst, and the
// instants at which bans end, of keys within and beyond MaxKeys.
func TestKeyedSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := ratelimit.KeyedConfig{
			Limits: []ratelimit.Limit{ratelimit.PerMinute(10)}, Quotas: []ratelimit.Quota{{N: 100}}, MaxKeys: 8,
		}
		k := ratelimit.NewKeyed[int](c)
		const keys = 20 // 8 have slots, 12 are extras
		for key := range keys {
			k.AllowN(key, 4)
		}
		k.Penalize(-1, time.Hour)
		remaining := func(minute int64) {
			t.Helper()
			for key := range keys {
				if d := k.Peek(key); d.Remaining != minute || d.OK != (minute > 0) {
					t.Errorf("key %d: %d remaining, want %d", key, d.Remaining, minute)
				}
			}
		}
		remaining(6)
		for _, step := range []struct {
			limit     ratelimit.Limit
			quota     int64
			remaining int64
			retry     time.Duration
		}{
			{ratelimit.PerMinute(60), 100, 56, 0},
			{ratelimit.PerMinute(60), 30, 26, 0}, // the quota has the least left
			{ratelimit.PerHour(5), 100, 1, 0},
			{ratelimit.PerHour(2), 100, 0, 30 * time.Minute},
			{ratelimit.PerHour(1000), 100, 96, 0}, // 2 used after the smaller burst, and the quota
			{ratelimit.PerSecond(10).WithBurst(1), 100, 0, time.Second / 10},
			{ratelimit.PerSecond(3).WithBurst(7), 1 << 38, 6, 0},
		} {
			c.Limits, c.Quotas = []ratelimit.Limit{step.limit}, []ratelimit.Quota{{N: step.quota}}
			if err := k.Set(c); err != nil {
				t.Fatal(err)
			}
			remaining(step.remaining)
			if d := k.Peek(keys - 1); d.RetryAfter != step.retry {
				t.Errorf("%v: %+v, want a debt of a burst", step.limit, d)
			}
			if d := k.Peek(-1); d.OK {
				t.Errorf("%v: the ban has ended", step.limit)
			}
		}
		k.Credit(keys-1, 1)
		if d := k.Peek(keys - 1); d.Remaining != 7 {
			t.Errorf("after Credit of an extra: %+v", d)
		}
		time.Sleep(time.Hour - 1)
		if k.Allow(-1) {
			t.Error("the ban has ended early")
		}
		k.Reset(-1)
		if d := k.Peek(-1); !d.OK {
			t.Errorf("after Reset: %+v", d)
		}
		got := k.Config()
		if got.MaxKeys != 8 || len(got.Limits) != 1 || got.Quotas[0].Location != time.UTC {
			t.Errorf("Config = %+v", got)
		}
		got.Limits[0].N = 0 // a copy
		if k.Config().Limits[0].N != 3 {
			t.Error("Config shares memory")
		}
	})
}

func TestKeyedSetErrors(t *testing.T) {
	k := ratelimit.NewKeyed[int](ratelimit.KeyedConfig{Limit: ratelimit.PerHour(1), Quotas: []ratelimit.Quota{{N: 1}}, MaxKeys: 10})
	err := k.Set(ratelimit.KeyedConfig{Limits: []ratelimit.Limit{{N: -1, Per: 1}, ratelimit.Inf()}, MaxKeys: 9})
	for _, part := range []string{"N is -1", "MaxKeys is 9, want 10 as before", "2 limits, want 1 as before", "0 quotas, want 1 as before"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("Set = %v, want %q in it", err, part)
		}
	}
	if c := k.Config(); c.Limit != ratelimit.PerHour(1) {
		t.Errorf("Config = %+v after an error", c)
	}
	many := ratelimit.KeyedConfig{Limits: make([]ratelimit.Limit, 5)}
	for i := range many.Limits {
		many.Limits[i] = ratelimit.PerHour(1)
	}
	if err := many.Validate(); err == nil || err.Error() != "ratelimit: 5 limits and quotas, want at most 4" {
		t.Errorf("5 limits: %v", err)
	}
}

// Inf as a limit of a Keyed admits everything, and can become a limit.
func TestKeyedSetInf(t *testing.T) {
	c := ratelimit.KeyedConfig{Limit: ratelimit.Inf()}
	k := ratelimit.NewKeyed[int](c)
	if !k.AllowN(1, 1<<40) || k.Stats().Len != 0 {
		t.Error("Inf has counted an event")
	}
	for _, limit := range []ratelimit.Limit{ratelimit.PerHour(2), ratelimit.Inf(), ratelimit.PerHour(3)} {
		c.Limit = limit
		if err := k.Set(c); err != nil {
			t.Fatal(err)
		}
		if n := min(limit.N, 100); !k.AllowN(1, n) || k.Allow(1) != (limit == ratelimit.Inf()) {
			t.Errorf("%v: want %d events", limit, n)
		}
	}
}

// A race of Set with all methods neither loses nor invents events.
func TestKeyedSetRace(t *testing.T) {
	c := ratelimit.KeyedConfig{Limit: ratelimit.PerHour(100), MaxKeys: 64}
	k := ratelimit.NewKeyed[int](c)
	var wg sync.WaitGroup
	var mu sync.Mutex
	admitted := make(map[int]int)
	for range 4 {
		wg.Go(func() {
			for i := range 2000 {
				if key := i % 40; k.Allow(key) {
					mu.Lock()
					admitted[key]++
					mu.Unlock()
				}
				k.Peek(i)
				k.Reserve(i%40, 1).Cancel()
				runtime.Gosched()
			}
		})
	}
	for i := range 50 {
		c.Limit = ratelimit.PerHour(100).WithName(fmt.Sprint(i))
		if err := k.Set(c); err != nil {
			t.Error(err)
		}
		k.Stats()
	}
	wg.Wait()
	for key, n := range admitted {
		if n > 101 { // an event may have come back
			t.Errorf("key %d: %d events of 100", key, n)
		}
	}
}

func TestKeyedStartEmpty(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := ratelimit.KeyedConfig{
			Limit: ratelimit.PerMinute(60), StartEmpty: true, Quotas: []ratelimit.Quota{{N: 40, Unit: ratelimit.Hour}},
		}
		k := ratelimit.NewKeyed[int](c)
		if k.Allow(1) {
			t.Error("an event at the start")
		}
		if d := k.Peek(1); d.RetryAfter != time.Hour { // the bubble starts at midnight
			t.Errorf("%+v, want the next hour", d)
		}
		time.Sleep(30 * time.Second)
		c.Limit, c.StartEmpty = ratelimit.PerMinute(30), false
		if err := k.Set(c); err != nil {
			t.Error(err)
		}
		k.Reset(2)
		if d := k.Peek(2); d.Remaining != 30 {
			t.Errorf("after Reset: %+v", d)
		}
		time.Sleep(59*time.Minute + 30*time.Second)
		if d := k.Peek(1); d.Remaining != 30 {
			t.Errorf("an hour later: %+v", d)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		k := ratelimit.NewKeyed[int](ratelimit.KeyedConfig{Limit: ratelimit.PerMinute(60), StartEmpty: true})
		time.Sleep(20 * time.Second)
		if d := k.Peek(1); d.Remaining != 20 {
			t.Errorf("after 20s: %+v", d)
		}
		if err := k.Set(ratelimit.KeyedConfig{Limit: ratelimit.PerMinute(120)}); err != nil || k.Peek(1).Remaining != 80 {
			t.Errorf("after Set: %v, %+v", err, k.Peek(1))
		}
	})
}

// Oracle: a Limiter with the same limits for each key.
func TestPropertySeveralLimitsOfAKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		checkProperty(t, 100, prop.ForAll(func(seed int64) string {
			random := rand.New(rand.NewPCG(uint64(seed), 9))
			var limits []ratelimit.Limit
			for range 1 + random.IntN(4) {
				limits = append(limits, ratelimit.Per(1+random.Int64N(9), time.Duration(1+random.Int64N(5))*time.Second).WithBurst(1+random.Int64N(12)))
			}
			k := ratelimit.NewKeyed[int](ratelimit.KeyedConfig{Limits: limits})
			oracle := []*ratelimit.Limiter{ratelimit.New(limits...), ratelimit.New(limits...), ratelimit.New(limits...)}
			for i := range 200 {
				time.Sleep(time.Duration(random.Int64N(int64(time.Second))))
				key, n := random.IntN(3), random.Int64N(8)
				var got, want ratelimit.Decision
				switch random.IntN(8) {
				case 0:
					got, want = k.Charge(key, n), oracle[key].Charge(n)
				case 1:
					k.Credit(key, n)
					oracle[key].Credit(n)
				case 2:
					k.Penalize(key, time.Duration(n)*time.Second/4)
					oracle[key].Penalize(time.Duration(n) * time.Second / 4)
				case 3:
					got, want = k.Peek(key), oracle[key].Peek()
				default:
					got, want = k.Take(key, n), oracle[key].Take(n)
				}
				near := func(a, b time.Duration) bool { return a-b <= 2 && b-a <= 2 }
				if got.OK != want.OK || got.Remaining != want.Remaining || !near(got.RetryAfter, want.RetryAfter) {
					return fmt.Sprintf("step %d, %v: got %+v, want %+v", i, limits, got, want)
				}
			}
			return ""
		}, gen.Int64()))
	})
}

// A key has the methods of the Keyed, and a tier those of its Keyed.
func TestTiers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		free := ratelimit.NewKeyed[int](ratelimit.KeyedConfig{Name: "free", Limit: ratelimit.PerMinute(6)})
		paid := ratelimit.NewKeyed[int](ratelimit.KeyedConfig{Name: "paid", Limit: ratelimit.PerMinute(600)})
		tiers := ratelimit.NewTiers(func(key int) int { return key / 100 }, free, paid)
		for key, want := range map[int]string{1: "free", 101: "paid", 999: "free", -999: "free"} {
			if got := tiers.For(key).Peek().Limit.Name; got != want {
				t.Errorf("key %d is %s, want %s", key, got, want)
			}
		}
		k := tiers.For(1)
		start := time.Now()
		if !k.Allow() || !k.AllowN(4) || k.Wait(t.Context()) != nil || k.WaitN(t.Context(), 2) != nil || time.Since(start) != 20*time.Second {
			t.Errorf("after %v: want 20s", time.Since(start))
		}
		k.Charge(2)
		k.Credit(1)
		if d := free.Peek(1); d.RetryAfter != 20*time.Second {
			t.Errorf("a debt of an event: %+v", d)
		}
		k.Penalize(time.Minute)
		k.Reset()
		k.Reserve(4).Settle(1)
		if d := k.Peek(); d.Remaining != 5 {
			t.Errorf("settled 1: %+v", d)
		}
	})
	for _, broken := range []func(){
		func() { ratelimit.NewTiers(func(string) int { return 0 }) },
		func() {
			ratelimit.NewTiers(nil, ratelimit.NewKeyed[int](ratelimit.KeyedConfig{Limit: ratelimit.Inf()}))
		},
	} {
		func() {
			defer func() {
				if got := recover(); got != "ratelimit: no tier, want a function and at least 1 Keyed" {
					t.Errorf("panics with %v", got)
				}
			}()
			broken()
		}()
	}
}

// Refusals of a Window and of a Counter are counted and reported, with the
// context of the caller.
func TestWindowEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type key struct{}
		var got []string
		c := ratelimit.WindowConfig{
			Name: "w", Limit: ratelimit.PerMinute(2),
			OnEvent: func(ctx context.Context, e ratelimit.Event) {
				got = append(got, fmt.Sprint(e.Kind, " ", e.Name, " ", e.Key, " ", e.Decision.N, " ", ctx.Value(key{})))
			},
		}
		for _, w := range []interface {
			ratelimit.Waiter
			Set(ratelimit.WindowConfig) error
			Config() ratelimit.WindowConfig
			Stats() ratelimit.Stats
			Take(int64) ratelimit.Decision
		}{ratelimit.NewWindow(ratelimit.PerHour(1)), ratelimit.NewCounter(ratelimit.PerHour(1))} {
			got = nil
			if err := w.Set(c); err != nil || w.Config().Name != "w" || w.Config().Limit.Burst != 2 {
				t.Errorf("Set = %v, Config = %+v", err, w.Config())
			}
			w.Take(2)
			d := w.Take(2)
			checkEqual(t, strings.HasPrefix(fmt.Sprint(d.Err()), "ratelimit: w: limited to 2/m, retry after "), true)
			ctx, cancel := context.WithTimeout(context.WithValue(t.Context(), key{}, "trace"), time.Second)
			defer cancel()
			checkIs(t, w.Wait(ctx), context.DeadlineExceeded)
			if err := w.Wait(t.Context()); err != nil {
				t.Error(err)
			}
			checkEqual(t, got, []string{"refused w <nil> 2 <nil>", "refused w <nil> 1 trace"})
			if s := w.Stats(); s.Name != "w" || s.Allowed != 2 || s.Refused != 2 {
				t.Errorf("Stats = %+v", s)
			}
			bad := ratelimit.WindowConfig{Limit: ratelimit.PerMinute(0).WithBurst(-1)}
			if err := w.Set(bad); err == nil || w.Config().Limit.N != 2 {
				t.Errorf("Set(%+v) = %v", bad, err)
			}
		}
		if err := new(ratelimit.Window).Set(c); err == nil {
			t.Error("the zero Window has changed")
		}
		if err := new(ratelimit.Counter).Set(c); err == nil {
			t.Error("the zero Counter has changed")
		}
		if err := (ratelimit.WindowConfig{Name: "w", Limit: ratelimit.PerHour(5).WithBurst(6)}).Validate(); err == nil || err.Error() != "ratelimit: w: Burst is 6, want 0 or N" {
			t.Errorf("Validate = %v", err)
		}
	})
}

// Set of a Window keeps the newest events, Set of a Counter the estimate.
func TestWindowSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := ratelimit.NewWindow(ratelimit.PerMinute(10))
		for range 10 {
			w.Allow()
			time.Sleep(time.Second)
		}
		set := func(limit ratelimit.Limit) {
			t.Helper()
			if err := w.Set(ratelimit.WindowConfig{Limit: limit}); err != nil {
				t.Error(err)
			}
		}
		set(ratelimit.PerMinute(3))
		if d := w.Take(1); d.OK || d.RetryAfter != 57*time.Second {
			t.Errorf("10 logged, limit 3: %+v, want the third newest to leave after 57s", d)
		}
		set(ratelimit.PerMinute(5))
		if !w.AllowN(2) || w.Allow() {
			t.Error("3 kept, limit 5: want 2 events")
		}
		set(ratelimit.Per(5, 2*time.Minute))
		time.Sleep(time.Minute)
		if w.Allow() {
			t.Error("the longer period has forgotten an event")
		}
		time.Sleep(time.Hour)
		set(ratelimit.Per(5, 3*time.Hour))
		if !w.AllowN(5) {
			t.Error("an event that had left the window counts again")
		}
		c := ratelimit.NewCounter(ratelimit.PerMinute(100))
		c.AllowN(60)
		time.Sleep(90 * time.Second) // 30 of them count
		for _, step := range []struct {
			limit ratelimit.Limit
			left  int64
		}{{ratelimit.PerMinute(50), 20}, {ratelimit.PerHour(50), 20}, {ratelimit.PerSecond(20), 0}} {
			if err := c.Set(ratelimit.WindowConfig{Limit: step.limit}); err != nil {
				t.Error(err)
			}
			if d := c.Take(0); d.Remaining != step.left {
				t.Errorf("%v: %d remaining, want %d", step.limit, d.Remaining, step.left)
			}
		}
		time.Sleep(3 * time.Second)
		if !c.AllowN(20) {
			t.Error("the events of the estimate are still there")
		}
	})
}
