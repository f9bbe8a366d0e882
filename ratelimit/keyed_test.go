package ratelimit_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redoubt-go/redoubt/ratelimit"
)

// A flood of new keys, ten times as many as there are slots, does not end the
// debt of a known key.
func TestFloodForgivesNoKnownKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, policy := range []ratelimit.OnFull{ratelimit.InheritDebt, ratelimit.ForgiveDebt} {
			k := ratelimit.NewKeyed[int](ratelimit.KeyedConfig{Limit: ratelimit.PerHour(2), MaxKeys: 64, OnFull: policy})
			k.AllowN(-1, 2)
			for i := range 640 {
				k.AllowN(i, 1+int64(i%2))
			}
			if k.Allow(-1) {
				t.Errorf("policy %d: the known key is admitted", policy)
			}
			s := k.Stats()
			if s.Len > 3*64 || s.MaxKeys != 64 || s.Allowed+s.Refused != 642 || (s.PushedOut > 0) != (policy == ratelimit.ForgiveDebt) {
				t.Errorf("policy %d: stats %+v", policy, s)
			}
			time.Sleep(time.Hour) // all bursts are back
			if !k.AllowN(-1, 2) || k.Stats().Len != 1 {
				t.Errorf("policy %d: refused later, or %d keys", policy, k.Stats().Len)
			}
		}
	})
}

func TestFullBucketsAreFree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := ratelimit.NewKeyed[int](ratelimit.KeyedConfig{Limit: ratelimit.PerSecond(2), MaxKeys: 8})
		for i := range 1000 {
			if !k.AllowN(i, 2) || k.Allow(i) {
				t.Fatalf("key %d: want two events", i)
			}
			time.Sleep(time.Second)
		}
		if s := k.Stats(); s.PushedOut != 0 {
			t.Errorf("%d keys pushed out, want none: each had its burst back", s.PushedOut)
		}
	})
}

func TestOneBucketPerKey(t *testing.T) {
	for range 50 {
		k := ratelimit.NewKeyed[string](ratelimit.KeyedConfig{Limit: ratelimit.PerHour(10)})
		var n atomic.Int64
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 5 {
					if k.Allow("new") {
						n.Add(1)
					}
				}
			})
		}
		if wg.Wait(); n.Load() != 10 {
			t.Fatalf("admitted %d of a new key, want 10", n.Load())
		}
	}
}

func TestAbsentKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := ratelimit.NewKeyed[string](ratelimit.KeyedConfig{Limit: ratelimit.PerSecond(2)})
		k.Reset("a")
		k.Credit("a", 5)
		if k.Stats().Len != 0 || k.AllowN("a", 3) || !k.AllowN("a", 2) {
			t.Error("Reset or Credit of an absent key has changed something")
		}
		if d := k.Charge("b", 4); d.OK || d.RetryAfter != 1500*time.Millisecond {
			t.Errorf("Charge of an absent key: %+v, want a retry after 1.5s", d)
		}
		k.Penalize("c", -1)
		k.Penalize("c", time.Minute)
		if d := k.Take("c", 1); d.RetryAfter != time.Minute+time.Second/2 {
			t.Errorf("Penalize of an absent key: %+v, want a retry after 1m0.5s", d)
		}
		k.Reset("c")
		k.Credit("b", 3)
		if !k.AllowN("c", 2) || !k.Allow("b") || k.Allow("b") {
			t.Error("Reset or Credit of a known key")
		}
	})
}

func TestKeyedConfig(t *testing.T) {
	bad := ratelimit.KeyedConfig{Name: "users", Limit: ratelimit.Limit{N: -1}, MaxKeys: -1, OnFull: 7}
	err := bad.Validate()
	for _, part := range []string{"ratelimit: users: Limit: N is -1", "MaxKeys is -1", "OnFull is 7"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("Validate = %v, want %q in it", err, part)
		}
	}
	checkPanics(t, err.Error(), func() { ratelimit.NewKeyed[int](bad) })
	checkPanics(t, "ratelimit: Limit is missing", func() { ratelimit.NewKeyed[int](ratelimit.KeyedConfig{}) })
}

func TestKeyedExtremes(t *testing.T) {
	infinite := ratelimit.NewKeyed[int](ratelimit.KeyedConfig{Limit: ratelimit.Inf()})
	if !infinite.AllowN(1, math.MaxInt64) || infinite.AllowN(1, -1) || !infinite.Charge(1, 5).OK {
		t.Error("Inf has refused, or admitted a negative number")
	}
	none := ratelimit.NewKeyed[int](ratelimit.KeyedConfig{Limit: ratelimit.PerHour(1).WithBurst(ratelimit.NoBurst)})
	if none.Allow(1) || !none.AllowN(1, 0) {
		t.Error("a limit without a burst has admitted an event")
	}
	k := ratelimit.NewKeyed[int](ratelimit.KeyedConfig{Limit: ratelimit.PerHour(5), MaxKeys: 8})
	for _, n := range []int64{6, math.MaxInt64, -1, math.MinInt64} {
		if d := k.Take(1, n); !refusedForever(d) || k.Stats().Len != 0 {
			t.Errorf("Take(%d) of 5: %+v", n, d)
		}
	}
}

func TestKeyedWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, start := ratelimit.NewKeyed[string](ratelimit.KeyedConfig{Limit: ratelimit.PerSecond(2)}), time.Now()
		for range 5 {
			if err := k.Wait(t.Context(), "a"); err != nil {
				t.Fatal(err)
			}
		}
		if got := time.Since(start); got != 1500*time.Millisecond {
			t.Errorf("5 events after %v, want 1.5s", got)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if err := k.Wait(ctx, "a"); !errors.Is(err, ratelimit.ErrLimited) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("with a near deadline: %v", err)
		}
		ctx, cancel = context.WithCancel(t.Context())
		time.AfterFunc(time.Millisecond, cancel)
		for range 2 {
			if err := k.Wait(ctx, "a"); !errors.Is(err, context.Canceled) {
				t.Errorf("cancelled: %v", err)
			}
		}
	})
}

func TestKeyedEvents(t *testing.T) {
	var got []string
	var k *ratelimit.Keyed[int]
	k = ratelimit.NewKeyed[int](ratelimit.KeyedConfig{
		Name: "users", Limit: ratelimit.PerHour(1), MaxKeys: 8,
		OnEvent: func(_ context.Context, e ratelimit.Event) {
			got = append(got, fmt.Sprint(e.Kind, " ", e.Key, " ", e.LogValue()))
			if len(got) == 1 {
				k.Allow(0) // refused as well, and reported next
				got = append(got, "first done")
			}
		},
	})
	for range 2 {
		k.Allow(0)
	}
	refused := "refused 0 [kind=refused name=users limit=1/h n=1 ok=false]"
	checkEqual(t, got, []string{refused, "first done", refused})
	var _ slog.LogValuer = ratelimit.Event{}
	if got := fmt.Sprint(ratelimit.KindPushedOut, ratelimit.Kind(9)); got != "pushed out Kind(9)" {
		t.Errorf("kinds %q", got)
	}
}

// A hook that is slower than the events neither fills the memory nor holds a
// caller: events are dropped and counted.
func TestKeyedSlowHookIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var seen, dropped int
		k := ratelimit.NewKeyed[int](ratelimit.KeyedConfig{
			Limit: ratelimit.PerHour(1).WithBurst(ratelimit.NoBurst),
			OnEvent: func(_ context.Context, e ratelimit.Event) {
				time.Sleep(time.Millisecond)
				seen, dropped = seen+1, dropped+e.Dropped
				if e.Dropped > 0 && !strings.Contains(fmt.Sprint(e.LogValue()), fmt.Sprint("dropped=", e.Dropped)) {
					t.Errorf("%v does not contain the dropped events", e.LogValue())
				}
			},
		})
		const callers, calls = 4, 1000
		var longest atomic.Int64
		for g := range callers {
			go func() {
				for range calls {
					start := time.Now()
					k.Allow(g)
					longest.Store(max(longest.Load(), int64(time.Since(start))))
					time.Sleep(time.Microsecond)
				}
			}()
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := seen + dropped; got < callers*calls-64 || dropped == 0 {
			t.Errorf("%d events and %d dropped, want %d in all and some dropped", seen, dropped, callers*calls)
		}
		if got := time.Duration(longest.Load()); got > 100*time.Millisecond {
			t.Errorf("a caller delivered events for %v, want at most 64 of 1ms", got)
		}
	})
}

// A hook that panics passes its panic on, and the events go on, with the
// context of the call that caused them.
func TestKeyedPanickingHook(t *testing.T) {
	type key struct{}
	var values []any
	k := ratelimit.NewKeyed[string](ratelimit.KeyedConfig{
		Limit: ratelimit.PerHour(1).WithBurst(ratelimit.NoBurst),
		OnEvent: func(ctx context.Context, e ratelimit.Event) {
			if values = append(values, ctx.Value(key{})); len(values) == 1 {
				panic("hook")
			}
		},
	})
	func() {
		defer func() {
			if got := recover(); got != "hook" {
				t.Errorf("recovered %v, want the panic of the hook", got)
			}
		}()
		k.Allow("a")
	}()
	_ = k.Wait(context.WithValue(t.Context(), key{}, 2), "a")
	_, _ = ratelimit.Local(k).TakeKey(context.WithValue(t.Context(), key{}, 3), "a", 1)
	checkEqual(t, values, []any{nil, 2, 3})
}

// Work can be limited per key, waiting or refusing.
func TestKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := ratelimit.NewKeyed[string](ratelimit.KeyedConfig{Name: "users", Limit: ratelimit.PerSecond(1)})
		start, eve := time.Now(), k.For("eve")
		for range 3 {
			if err := eve.Do(t.Context(), func(context.Context) error { return nil }); err != nil {
				t.Error(err)
			}
		}
		if got := time.Since(start); got != 2*time.Second {
			t.Errorf("3 events after %v, want 2s", got)
		}
		err := ratelimit.Reject(eve).Wait(t.Context())
		checkIs(t, err, ratelimit.ErrLimited)
		checkEqual(t, fmt.Sprint(err), "ratelimit: users: limited to 1/s, retry after 1s")
		if d := k.For("bob").Take(1); !d.OK {
			t.Errorf("another key: %+v", d)
		}
		checkIs(t, k.WaitN(t.Context(), "eve", 2), ratelimit.ErrTooLarge)
	})
}

func TestKeyedCosts(t *testing.T) {
	if got := float64(ratelimit.SetSize) / 8; got > 25 {
		t.Errorf("%v bytes for each key, want at most 25", got)
	}
	if raceEnabled {
		t.Skip("maphash allocates under the race detector")
	}
	k, i := ratelimit.NewKeyed[string](ratelimit.KeyedConfig{Limit: ratelimit.PerHour(10)}), 0
	keys := []string{"a", "b", strings.Repeat("k", 1000)}
	if got := testing.AllocsPerRun(1000, func() { k.Allow(keys[i%3]); i++ }); got != 0 {
		t.Errorf("Allow: %v allocations, want 0", got)
	}
	spray := ratelimit.NewKeyed[int](ratelimit.KeyedConfig{Limit: ratelimit.PerHour(10), MaxKeys: 64})
	if got := testing.AllocsPerRun(1000, func() { spray.Allow(i); i++ }); got != 0 {
		t.Errorf("a flood of new keys: %v allocations, want 0", got)
	}
}

// The figures of a Keyed are flat JSON, with the name first.
func TestStatsJSON(t *testing.T) {
	text, err := json.Marshal(ratelimit.Stats{Name: "users", Allowed: 1, Refused: 2, PushedOut: 3, Len: 4, MaxKeys: 5})
	if err != nil {
		t.Error(err)
	}
	checkEqual(t, string(text), `{"name":"users","allowed":1,"refused":2,"pushed_out":3,"len":4,"max_keys":5}`)
}
