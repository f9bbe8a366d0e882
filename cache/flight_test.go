package cache_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"github.com/redoubt-go/redoubt/cache"
)

// A result is what a caller of GetOrLoad got.
type result struct {
	v   int
	err error
}

// ask calls GetOrLoad in a goroutine and returns when that waits (or has its result).
func ask(ctx context.Context, c *cache.Cache[string, int], k string, load func(context.Context, string) (int, error)) <-chan result {
	got := make(chan result, 1)
	go func() {
		v, err := c.GetOrLoad(ctx, k, load)
		got <- result{v, err}
	}()
	synctest.Wait()
	return got
}

func (r result) want(t *testing.T, v int, err error) {
	t.Helper()
	if r.v != v || !errors.Is(r.err, err) {
		t.Errorf("GetOrLoad = %v, %v, want %v, %v", r.v, r.err, v, err)
	}
}

// sleeper returns a loader that takes a second and returns v, unless its context ends first.
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

func TestTrap12_WritesWinOverLoads(t *testing.T) {
	for _, tt := range []struct {
		name  string
		write func(*cache.Cache[string, int])
		want  int // what is there afterwards
	}{
		{"Set", func(c *cache.Cache[string, int]) { c.Set("k", 2) }, 2},
		{"Swap", func(c *cache.Cache[string, int]) { c.Swap("k", 2) }, 2},
		{"GetOrSet", func(c *cache.Cache[string, int]) { c.GetOrSet("k", 2) }, 2},
		{"Delete", func(c *cache.Cache[string, int]) { c.Delete("k") }, 0},
		{"GetAndDelete", func(c *cache.Cache[string, int]) { c.GetAndDelete("k") }, 0},
		{"Set and Delete", func(c *cache.Cache[string, int]) { c.Set("k", 2); c.Delete("k") }, 0},
		{"Clear", func(c *cache.Cache[string, int]) { c.Clear() }, 0}, // trap 27
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newLRU(4)
				before := ask(t.Context(), c, "k", sleeper(1))
				tt.write(c)
				after := ask(t.Context(), c, "k", sleeper(3))
				(<-before).want(t, 1, nil)
				if want := tt.want; want != 0 {
					(<-after).want(t, want, nil)
					wantGet(t, c, "k", want)
				} else {
					(<-after).want(t, 3, nil) // a new load, which the old one has not disturbed
					wantGet(t, c, "k", 3)
				}
			})
		})
	}
}

func TestTrap13_OneLoadPerKey(t *testing.T) {
	const nkeys = 500
	c := cache.New(cache.Config[int, int]{Capacity: nkeys})
	var loads [nkeys]int // one load per key: no two writers
	var g errgroup.Group
	for range 8 {
		g.Go(func() error {
			for k := range nkeys {
				v, err := c.GetOrLoad(context.Background(), k, func(context.Context, int) (int, error) {
					loads[k]++
					runtime.Gosched()
					return loads[k], nil
				})
				if v != 1 || err != nil {
					return fmt.Errorf("GetOrLoad(%d) = %v, %v, want the first load", k, v, err)
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		t.Error(err)
	}
	if got := c.Stats(); got.Loads != nkeys || got.Hits+got.Misses != 8*nkeys {
		t.Errorf("Stats = %+v, want %d loads and %d lookups", got, nkeys, 8*nkeys)
	}
}

func TestTrap14_FirstCallerCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newLRU(4)
		reason := errors.New("went away")
		ctx, cancel := context.WithCancelCause(t.Context())
		first := ask(ctx, c, "k", sleeper(1))
		second := ask(t.Context(), c, "k", sleeper(2))
		cancel(reason)
		r := <-first
		r.want(t, 0, context.Canceled)
		r.want(t, 0, reason)
		if got, want := r.err.Error(), "cache: wait: context canceled: went away"; got != want {
			t.Errorf("error text %q, want %q", got, want)
		}
		(<-second).want(t, 1, nil)
		wantGet(t, c, "k", 1)
		if got := c.Stats().Loads; got != 1 {
			t.Errorf("%d loads, want 1", got)
		}
	})
}

func TestTrap14_AllWaitersGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cache.New(cache.Config[string, int]{Capacity: 4, ErrorTTL: func(error) time.Duration { return time.Hour }})
		reason := errors.New("went away")
		ctx, cancel := context.WithCancelCause(t.Context())
		var cause error
		dying := func(ctx context.Context, _ string) (int, error) {
			<-ctx.Done()
			cause = context.Cause(ctx)
			time.Sleep(time.Second) // it takes its time to die
			return 0, ctx.Err()
		}
		first, second := ask(ctx, c, "k", dying), ask(ctx, c, "k", dying)
		cancel(reason)
		(<-first).want(t, 0, context.Canceled)
		(<-second).want(t, 0, context.Canceled)
		synctest.Wait()
		if cause != reason {
			t.Errorf("the loader's context ended with %v, want %v", cause, reason)
		}
		third := ask(t.Context(), c, "k", sleeper(3)) // joins no dying load, and gets no error from it
		(<-third).want(t, 3, nil)
		time.Sleep(time.Minute)
		wantGet(t, c, "k", 3)
		if n := c.Loading() + c.Remembered(); n != 0 {
			t.Errorf("%d flights and errors left, want 0", n)
		}
	})
}

// The waiters of a load that a write has cut off can still cancel it.
func TestTrap14_AllWaitersOfADetachedLoadGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newLRU(4)
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		ended := false
		old := ask(ctx, c, "k", func(ctx context.Context, _ string) (int, error) {
			<-ctx.Done()
			ended = true
			return 0, ctx.Err()
		})
		c.Delete("k")
		young := ask(t.Context(), c, "k", sleeper(2))
		(<-old).want(t, 0, context.DeadlineExceeded)
		(<-young).want(t, 2, nil)
		if !ended {
			t.Error("the detached load still runs")
		}
	})
}

func TestTrap14_CallerIsDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newLRU(4)
		c.Set("a", 1)
		load := func(context.Context, string) (int, error) {
			t.Error("the loader was called")
			return 2, nil
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(io.EOF)
		(<-ask(ctx, c, "a", load)).want(t, 1, nil)
		r := <-ask(ctx, c, "b", load)
		r.want(t, 0, context.Canceled)
		r.want(t, 0, io.EOF)
		synctest.Wait()
		if got := c.Stats().Loads; got != 0 {
			t.Errorf("%d loads, want 0", got)
		}
	})
}

// A remembered error is an answer at hand: a context that ends in the same instant does not get in its way.
func TestTrap14_ContextEndsAtTheAnswer(t *testing.T) {
	c := cache.New(cache.Config[string, int]{Capacity: 4, ErrorTTL: func(error) time.Duration { return time.Hour }})
	c.GetOrLoad(t.Context(), "k", failing(io.EOF))
	for range 100 { // select chooses at random
		v, err := c.GetOrLoad(&lateContext{Context: t.Context()}, "k", nil)
		result{v, err}.want(t, 0, io.EOF)
	}
}

// A lateContext is done, but for the first time it is asked.
type lateContext struct {
	context.Context
	asked bool
}

func (c *lateContext) Done() <-chan struct{} {
	done := make(chan struct{})
	close(done)
	return done
}

func (c *lateContext) Err() error {
	if !c.asked {
		c.asked = true
		return nil
	}
	return context.Canceled
}

func TestTrap14_LoaderContext(t *testing.T) {
	type id struct{}
	ctx, cancel := context.WithTimeout(context.WithValue(t.Context(), id{}, 7), time.Hour)
	defer cancel()
	var inner context.Context
	newLRU(4).GetOrLoad(ctx, "k", func(ctx context.Context, k string) (int, error) {
		inner = ctx
		if got := ctx.Value(id{}); got != 7 {
			t.Errorf("the loader sees the value %v, want 7", got)
		}
		if _, ok := ctx.Deadline(); ok {
			t.Error("the loader sees the deadline of one caller")
		}
		if err := ctx.Err(); err != nil || k != "k" {
			t.Errorf("the loader got %v, %q", err, k)
		}
		return 1, nil
	})
	if inner.Err() == nil {
		t.Error("the loader's context lives on, want it cancelled: what hangs on it would leak")
	}
}

// caught calls f and returns what it panicked with, as a *PanicError.
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

func TestTrap15_PanicReachesEveryWaiter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newLRU(4)
		load := func(context.Context, string) (int, error) {
			time.Sleep(time.Second)
			panic(io.ErrUnexpectedEOF)
		}
		panics := make(chan *cache.PanicError, 3)
		for range cap(panics) {
			go func() { panics <- caught(t, func() { c.GetOrLoad(t.Context(), "k", load) }) }()
		}
		for range cap(panics) {
			p := <-panics
			if p.Value != io.ErrUnexpectedEOF || !errors.Is(p, io.ErrUnexpectedEOF) {
				t.Errorf("panic value %v, want %v", p.Value, io.ErrUnexpectedEOF)
			}
			if !strings.Contains(string(p.Stack), "TestTrap15") {
				t.Errorf("the stack is not the loader's:\n%s", p.Stack)
			}
			if want := "cache: load panicked: \"unexpected EOF\"\n\ngoroutine "; !strings.HasPrefix(p.Error(), want) {
				t.Errorf("text %q, want it to begin with %q", p.Error(), want)
			}
		}
		(<-ask(t.Context(), c, "k", sleeper(1))).want(t, 1, nil) // the next call works
		if got := c.Stats(); got.Loads != 2 || got.LoadErrors != 1 {
			t.Errorf("Stats = %+v, want 2 loads, 1 of them failed", got)
		}
	})
}

func TestTrap15_OtherPanics(t *testing.T) {
	ok := func(context.Context, string) (int, error) { return 1, nil }
	t.Run("nil", func(t *testing.T) {
		p := caught(t, func() {
			newLRU(1).GetOrLoad(t.Context(), "k", func(context.Context, string) (int, error) { panic(nil) })
		})
		if _, ok := p.Value.(*runtime.PanicNilError); !ok {
			t.Errorf("panic value %v, want a PanicNilError", p.Value)
		}
	})
	t.Run("nested", func(t *testing.T) {
		c := newLRU(1)
		p := caught(t, func() {
			c.GetOrLoad(t.Context(), "k", func(ctx context.Context, _ string) (int, error) {
				return c.GetOrLoad(ctx, "inner", func(context.Context, string) (int, error) { panic("deep") })
			})
		})
		if p.Value != "deep" || p.Unwrap() != nil {
			t.Errorf("panic value %v, unwrapped %v, want deep, nil", p.Value, p.Unwrap())
		}
	})
	t.Run("ErrorTTL", func(t *testing.T) {
		c := cache.New(cache.Config[string, int]{Capacity: 1, ErrorTTL: func(error) time.Duration { panic("ttl") }})
		if p := caught(t, func() { c.GetOrLoad(t.Context(), "k", failing(io.EOF)) }); p.Value != "ttl" {
			t.Errorf("panic value %v, want ttl", p.Value)
		}
		v, err := c.GetOrLoad(t.Context(), "k", ok)
		result{v, err}.want(t, 1, nil)
	})
	t.Run("OnEvent", func(t *testing.T) {
		c := cache.New(cache.Config[string, int]{Capacity: 1, OnEvent: func(context.Context, event) { panic("hook") }})
		c.Set("a", 1)
		if p := caught(t, func() { c.GetOrLoad(t.Context(), "k", ok) }); p.Value != "hook" {
			t.Errorf("panic value %v, want hook", p.Value)
		}
		wantGet(t, c, "k", 1)
	})
	t.Run("nobody waits", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := newLRU(1)
			ctx, cancel := context.WithCancel(t.Context())
			got := ask(ctx, c, "k", func(ctx context.Context, _ string) (int, error) { <-ctx.Done(); panic("unheard") })
			cancel()
			(<-got).want(t, 0, context.Canceled)
			synctest.Wait()
			if got := c.Stats().LoadErrors; got != 1 {
				t.Errorf("LoadErrors = %d, want 1", got)
			}
		})
	})
}

func TestTrap15_Goexit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newLRU(4)
		load := func(context.Context, string) (int, error) {
			time.Sleep(time.Second)
			runtime.Goexit()
			return 1, nil
		}
		first, second := ask(t.Context(), c, "k", load), ask(t.Context(), c, "k", load)
		for _, got := range []<-chan result{first, second} {
			if r := <-got; fmt.Sprint(r.err) != "cache: loader called runtime.Goexit" {
				t.Errorf("error %v, want one that names Goexit", r.err)
			}
		}
		(<-ask(t.Context(), c, "k", sleeper(1))).want(t, 1, nil)
	})
}

func TestTrap15_ValueWithErrorIsNotStored(t *testing.T) {
	c := newLRU(4)
	v, err := c.GetOrLoad(t.Context(), "k", func(context.Context, string) (int, error) { return 1, io.EOF })
	result{v, err}.want(t, 1, io.EOF) // handed on as it is
	wantGet(t, c, "k", 0)
}

func TestTrap16_LoadWithinALoad(t *testing.T) {
	var fib *cache.Memo[int, int64]
	fib = cache.Memoize(cache.Config[int, int64]{Capacity: 100}, func(ctx context.Context, n int) (int64, error) {
		if n < 2 {
			return int64(n), nil
		}
		a, errA := fib.Get(ctx, n-1)
		b, errB := fib.Get(ctx, n-2)
		return a + b, errors.Join(errA, errB)
	})
	if v, err := fib.Get(t.Context(), 80); v != 23416728348467685 || err != nil {
		t.Errorf("fib(80) = %v, %v", v, err)
	}
	if got := fib.Stats().Loads; got != 81 {
		t.Errorf("%d loads, want 81", got)
	}
}

func TestTrap16_RecursionIsDetected(t *testing.T) {
	other := cache.New(cache.Config[string, int]{Capacity: 4})
	for _, tt := range []struct {
		name string
		via  func(ctx context.Context, c *cache.Cache[string, int], again func(context.Context, string) (int, error)) (int, error)
	}{
		{"directly", func(ctx context.Context, c *cache.Cache[string, int], again func(context.Context, string) (int, error)) (int, error) {
			return c.GetOrLoad(ctx, "k", again)
		}},
		{"via another key", func(ctx context.Context, c *cache.Cache[string, int], again func(context.Context, string) (int, error)) (int, error) {
			return c.GetOrLoad(ctx, "other", func(ctx context.Context, _ string) (int, error) { return c.GetOrLoad(ctx, "k", again) })
		}},
		{"via another cache", func(ctx context.Context, c *cache.Cache[string, int], again func(context.Context, string) (int, error)) (int, error) {
			return other.GetOrLoad(ctx, "k", func(ctx context.Context, _ string) (int, error) { return c.GetOrLoad(ctx, "k", again) })
		}},
		{"after a Delete", func(ctx context.Context, c *cache.Cache[string, int], again func(context.Context, string) (int, error)) (int, error) {
			c.Delete("k")
			return c.GetOrLoad(ctx, "k", again)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newLRU(4)
			var load func(context.Context, string) (int, error)
			load = func(ctx context.Context, _ string) (int, error) { return tt.via(ctx, c, load) }
			v, err := c.GetOrLoad(t.Context(), "k", load)
			result{v, err}.want(t, 0, cache.ErrRecursive)
		})
	}
}

// What a load leaves running with its context's values may ask for the key again once the load has ended.
func TestTrap16_NoRecursionAfterTheLoad(t *testing.T) {
	c := newLRU(4)
	var kept context.Context
	c.GetOrLoad(t.Context(), "k", func(ctx context.Context, _ string) (int, error) {
		kept = context.WithoutCancel(ctx)
		return 1, nil
	})
	c.Delete("k")
	v, err := c.GetOrLoad(kept, "k", func(context.Context, string) (int, error) { return 2, nil })
	result{v, err}.want(t, 2, nil)
}

// Two loads that wait for each other in two goroutines are not detected: a deadline of theirs ends it.
func TestTrap16_CrossedLoadsEndWithADeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newLRU(4)
		waitFor := func(k string) func(context.Context, string) (int, error) {
			return func(ctx context.Context, _ string) (int, error) {
				time.Sleep(time.Second) // until both are on their way
				ctx, cancel := context.WithTimeout(ctx, time.Minute)
				defer cancel()
				return c.GetOrLoad(ctx, k, nil)
			}
		}
		a, b := ask(t.Context(), c, "a", waitFor("b")), ask(t.Context(), c, "b", waitFor("a"))
		(<-a).want(t, 0, context.DeadlineExceeded)
		(<-b).want(t, 0, context.DeadlineExceeded)
	})
}

func TestTrap17_LifetimeShorterThanWakeup(t *testing.T) {
	c := cache.New(cache.Config[int, int]{Capacity: 4, TTL: 1})
	var g errgroup.Group
	for i := range 200 {
		g.Go(func() error {
			v, err := c.GetOrLoad(t.Context(), i%2, func(context.Context, int) (int, error) { runtime.Gosched(); return 1, nil })
			if v != 1 || err != nil {
				return fmt.Errorf("GetOrLoad = %v, %v, want 1", v, err)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		t.Error(err)
	}
}

func TestTrap19_EvictionCancelsNoLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l log
		c := cache.New(cache.Config[string, int]{Capacity: 1, TTL: time.Minute, StaleIfError: time.Minute, OnEvent: l.add})
		c.Set("k", 1)
		time.Sleep(time.Minute)
		got := ask(t.Context(), c, "k", sleeper(2))
		c.Set("other", 9) // evicts the stale value of k
		l.want(t, departed("k", 1, cache.CauseExpired))
		(<-got).want(t, 2, nil)
		wantKeys(t, c, "k")
		l.want(t, departed("other", 9, cache.CauseEvicted))
	})
}

func TestTrap21_StaleIfError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l log
		c := cache.New(cache.Config[string, int]{Capacity: 2, TTL: time.Minute, StaleIfError: time.Hour, OnEvent: l.add})
		bad := failing(io.ErrUnexpectedEOF)
		c.Set("k", 1)
		time.Sleep(time.Minute)
		wantGet(t, c, "k", 0) // absent, and not removed
		wantKeys(t, c)
		(<-ask(t.Context(), c, "k", bad)).want(t, 1, nil)
		(<-ask(t.Context(), c, "none", bad)).want(t, 0, io.ErrUnexpectedEOF)

		slow := func(context.Context, string) (int, error) { time.Sleep(time.Second); return 0, io.ErrUnexpectedEOF }
		first, second := ask(t.Context(), c, "k", slow), ask(t.Context(), c, "k", slow)
		(<-first).want(t, 1, nil)
		(<-second).want(t, 1, nil)
		if got := c.Stats(); got.StaleHits != 3 || got.LoadErrors != 3 || got.Misses != 5 {
			t.Errorf("Stats = %+v, want 3 stale hits, 3 failed loads, 5 misses", got)
		}
		time.Sleep(time.Hour - time.Second - 1)
		(<-ask(t.Context(), c, "k", bad)).want(t, 1, nil)
		l.want(t)
		time.Sleep(time.Nanosecond)
		(<-ask(t.Context(), c, "k", bad)).want(t, 0, io.ErrUnexpectedEOF) // the grace is over
		l.want(t, departed("k", 1, cache.CauseExpired))
	})
}

// A panic is no error that a stale value could hide.
func TestTrap21_PanicIsNotHidden(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cache.New(cache.Config[string, int]{Capacity: 2, TTL: time.Minute, StaleIfError: time.Hour})
		c.Set("k", 1)
		time.Sleep(time.Minute)
		p := caught(t, func() { c.GetOrLoad(t.Context(), "k", func(context.Context, string) (int, error) { panic("bug") }) })
		if got := c.Stats(); p.Value != "bug" || got.StaleHits != 0 {
			t.Errorf("panic value %v, %d stale hits, want bug, 0", p.Value, got.StaleHits)
		}
	})
}

// Serving a stale value is a use of it: an outage does not evict what it needs.
func TestTrap21_StaleHitIsAUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cache.New(cache.Config[string, int]{Capacity: 2, Eviction: cache.LRU, TTL: time.Minute, StaleIfError: time.Hour})
		c.Set("k", 1)
		c.Set("cold", 2)
		time.Sleep(time.Minute)
		(<-ask(t.Context(), c, "k", failing(io.EOF))).want(t, 1, nil)
		c.Set("new", 3) // evicts cold
		(<-ask(t.Context(), c, "k", failing(io.EOF))).want(t, 1, nil)
	})
}

func TestTrap21_NotFoundIsNoFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l log
		c := cache.New(cache.Config[string, int]{Capacity: 2, TTL: time.Minute, StaleIfError: time.Hour, OnEvent: l.add})
		c.Set("k", 1)
		time.Sleep(time.Minute)
		gone := fmt.Errorf("user 7: %w", cache.ErrNotFound)
		(<-ask(t.Context(), c, "k", failing(gone))).want(t, 0, cache.ErrNotFound)
		l.want(t, departed("k", 1, cache.CauseExpired))
		// The value does not come back when the origin fails afterwards.
		(<-ask(t.Context(), c, "k", failing(io.EOF))).want(t, 0, io.EOF)
	})
}

func TestTrap21_DeletedIsNotServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cache.New(cache.Config[string, int]{Capacity: 2, TTL: time.Minute, StaleIfError: time.Hour})
		c.Set("k", 1)
		time.Sleep(time.Minute)
		got := ask(t.Context(), c, "k", func(context.Context, string) (int, error) { time.Sleep(time.Second); return 0, io.EOF })
		c.Delete("k")
		(<-got).want(t, 0, io.EOF)
	})
}

func TestTrap22_RememberedErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cache.New(cache.Config[string, int]{Capacity: 4, ErrorTTL: func(err error) time.Duration {
			if errors.Is(err, cache.ErrNotFound) {
				return time.Minute
			}
			return 0
		}})
		(<-ask(t.Context(), c, "k", failing(io.EOF))).want(t, 0, io.EOF) // not remembered
		(<-ask(t.Context(), c, "k", failing(cache.ErrNotFound))).want(t, 0, cache.ErrNotFound)
		time.Sleep(time.Minute - 1500*time.Microsecond)
		r := <-ask(t.Context(), c, "k", nil) // nil would crash if called
		r.want(t, 0, cache.ErrNotFound)
		var remembered *cache.CachedError
		if !errors.As(r.err, &remembered) || !remembered.Rejected() || remembered.RetryAfter() != 1500*time.Microsecond {
			t.Errorf("error %#v, want a CachedError with 1.5ms left", r.err)
		}
		if got, want := r.err.Error(), `cache: remembered error, retry after 2ms: "cache: not found"`; got != want {
			t.Errorf("text %q, want %q", got, want)
		}
		wantGet(t, c, "k", 0)
		wantKeys(t, c)
		if n := c.Len(); n != 0 {
			t.Errorf("Len() = %d, want 0", n)
		}
		if c.Delete("k") { // it had no value, and the error is gone all the same
			t.Error("Delete = true, want false")
		}
		(<-ask(t.Context(), c, "k", sleeper(1))).want(t, 1, nil)
		if got := c.Stats(); got.ErrorHits != 1 || got.Loads != 3 {
			t.Errorf("Stats = %+v, want 1 error hit and 3 loads", got)
		}
	})
}

func TestTrap22_WhatEndsARememberedError(t *testing.T) {
	for name, end := range map[string]func(*cache.Cache[string, int]){
		"Set":    func(c *cache.Cache[string, int]) { c.Set("k", 1); c.Delete("k") },
		"Delete": func(c *cache.Cache[string, int]) { c.Delete("k") },
		"Clear":  func(c *cache.Cache[string, int]) { c.Clear() },
		"time":   func(*cache.Cache[string, int]) { time.Sleep(time.Hour) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := cache.New(cache.Config[string, int]{Capacity: 4, ErrorTTL: func(error) time.Duration { return time.Hour }})
				(<-ask(t.Context(), c, "k", failing(io.EOF))).want(t, 0, io.EOF)
				end(c)
				(<-ask(t.Context(), c, "k", sleeper(2))).want(t, 2, nil)
				if n := c.Remembered(); n != 0 {
					t.Errorf("%d errors kept, want 0", n)
				}
			})
		})
	}
}

func TestTrap22_RememberedErrorsAreBounded(t *testing.T) {
	c := cache.New(cache.Config[string, int]{Capacity: 4, ErrorTTL: func(error) time.Duration { return cache.NoExpiry }})
	c.Set("a", 1)
	for i := range 100 {
		c.GetOrLoad(t.Context(), fmt.Sprint("absent", i), failing(cache.ErrNotFound))
	}
	if n := c.Remembered(); n != 4 {
		t.Errorf("%d errors kept, want 4", n)
	}
	wantKeys(t, c, "a") // none of which flushed a value
	_, err := c.GetOrLoad(t.Context(), "absent99", nil)
	if got, want := err.(*cache.CachedError).Left, cache.NoExpiry; got != want {
		t.Errorf("Left = %v, want NoExpiry", got)
	}
	_ = err.Error() // the rounding must not overflow
}

// While an error is remembered, the stale value answers without a load.
func TestTrap22_StaleValueBeforeRememberedError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cache.New(cache.Config[string, int]{
			Capacity: 4, TTL: time.Minute, StaleIfError: time.Hour,
			ErrorTTL: func(error) time.Duration { return time.Minute },
		})
		c.Set("k", 1)
		time.Sleep(time.Minute)
		(<-ask(t.Context(), c, "k", failing(io.EOF))).want(t, 1, nil)
		(<-ask(t.Context(), c, "k", nil)).want(t, 1, nil)
		if got := c.Stats(); got.Loads != 1 || got.StaleHits != 2 || got.ErrorHits != 0 {
			t.Errorf("Stats = %+v, want 1 load, 2 stale hits", got)
		}
	})
}

type after time.Duration

func (after) Error() string               { return "busy" }
func (a after) RetryAfter() time.Duration { return time.Duration(a) }

func TestRetryAfter(t *testing.T) {
	for _, tt := range []struct {
		name string
		err  error
		want time.Duration
	}{
		{"nil", nil, 0},
		{"none", io.EOF, 0},
		{"itself", after(time.Second), time.Second},
		{"wrapped", fmt.Errorf("x: %w", after(time.Second)), time.Second},
		{"joined, first wins", errors.Join(io.EOF, fmt.Errorf("x: %w", after(2)), after(1)), 2},
		{"outer wins", &cache.CachedError{Err: after(1), Left: 2}, 2},
		{"negative", after(-1), 0},
		{"bounded", after(1000 * time.Hour), time.Hour},
		{"wrapped nothing", errors.Join(fmt.Errorf("%w", errors.New("x"))), 0},
	} {
		if got := cache.RetryAfter(tt.err); got != tt.want {
			t.Errorf("%s: RetryAfter = %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestTrap30_Lazy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int64
		lazy := cache.NewLazy(func(context.Context) (int, error) {
			time.Sleep(time.Second)
			n := int(calls.Add(1))
			switch n {
			case 1:
				return 0, io.EOF
			case 2:
				panic("two")
			}
			return n, nil
		})
		get := func() (int, error) { return lazy.Get(t.Context()) }

		if _, err := get(); err != io.EOF { // an error is not kept
			t.Errorf("first Get: %v, want EOF", err)
		}
		if p := caught(t, func() { get() }); p.Value != "two" { // nor a panic
			t.Errorf("second Get panicked with %v, want two", p.Value)
		}
		if v, ok := lazy.Peek(); ok {
			t.Errorf("Peek = %v, true before there is a value", v)
		}
		var g errgroup.Group
		for range 10 {
			g.Go(func() error {
				if v, err := get(); v != 3 || err != nil {
					return fmt.Errorf("Get = %v, %v, want 3", v, err)
				}
				return nil
			})
		}
		if err := g.Wait(); err != nil {
			t.Error(err)
		}
		if v, ok := lazy.Peek(); v != 3 || !ok {
			t.Errorf("Peek = %v, %v, want 3, true", v, ok)
		}
		lazy.Reset()
		go get() // call 4, under way at the Reset
		time.Sleep(time.Millisecond)
		lazy.Reset()
		if v, err := get(); v != 5 || err != nil {
			t.Errorf("Get after Reset = %v, %v, want 5: the result of call 4 is dropped", v, err)
		}
		if v, _ := lazy.Peek(); v != 5 {
			t.Errorf("Peek = %v, want 5", v)
		}
	})
}

func TestMemo(t *testing.T) {
	calls := 0
	m := cache.Memoize(cache.Config[string, string]{Capacity: 2}, func(_ context.Context, k string) (string, error) {
		calls++
		return strings.ToUpper(k), nil
	})
	var get func(context.Context, string) (string, error) = m.Get
	for range 2 {
		if v, err := get(t.Context(), "a"); v != "A" || err != nil {
			t.Errorf("Get = %v, %v, want A", v, err)
		}
	}
	if !m.Forget("a") || m.Forget("a") {
		t.Error("Forget twice, want true and then false")
	}
	get(t.Context(), "a")
	m.Clear()
	if n := m.Cache().Len(); n != 0 {
		t.Errorf("Len() = %d after Clear, want 0", n)
	}
	get(t.Context(), "a")
	if calls != 3 || m.Stats().Loads != 3 {
		t.Errorf("%d calls, %+v, want 3", calls, m.Stats())
	}
}

func TestLogValues(t *testing.T) {
	p := &cache.PanicError{Value: "x", Stack: []byte("main.go:1")}
	if diff := cmp.Diff("[msg=cache: load panicked: \"x\" stack=main.go:1]", p.LogValue().String()); diff != "" {
		t.Error(diff)
	}
	e := &cache.CachedError{Err: io.EOF, Left: time.Second}
	if diff := cmp.Diff("[msg=cache: remembered error, retry after 1s: \"EOF\" retry_after=1s]", e.LogValue().String()); diff != "" {
		t.Error(diff)
	}
}
