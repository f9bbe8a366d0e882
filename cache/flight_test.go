package cache_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/redoubt-go/redoubt/cache"
)

func TestWritesWinOverLoads(t *testing.T) {
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
		{"Clear", func(c *cache.Cache[string, int]) { c.Clear() }, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newLRU(4)
				before := ask(t.Context(), c, "k", sleeper(1))
				tt.write(c)
				after := ask(t.Context(), c, "k", sleeper(3))
				(<-before).check(t, 1, nil)
				if want := tt.want; want != 0 {
					(<-after).check(t, want, nil)
					checkGet(t, c, "k", want)
				} else {
					(<-after).check(t, 3, nil) // a new load, which the old one has not disturbed
					checkGet(t, c, "k", 3)
				}
			})
		})
	}
}

func TestOneLoadPerKey(t *testing.T) {
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

func TestFirstCallerCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newLRU(4)
		reason := errors.New("went away")
		ctx, cancel := context.WithCancelCause(t.Context())
		first := ask(ctx, c, "k", sleeper(1))
		second := ask(t.Context(), c, "k", sleeper(2))
		cancel(reason)
		r := <-first
		r.check(t, 0, context.Canceled)
		r.check(t, 0, reason)
		if got, want := r.err.Error(), "cache: wait: context canceled: went away"; got != want {
			t.Errorf("error text %q, want %q", got, want)
		}
		(<-second).check(t, 1, nil)
		checkGet(t, c, "k", 1)
		if got := c.Stats().Loads; got != 1 {
			t.Errorf("%d loads, want 1", got)
		}
	})
}

func TestAllWaitersGone(t *testing.T) {
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
		(<-first).check(t, 0, context.Canceled)
		(<-second).check(t, 0, context.Canceled)
		synctest.Wait()
		if cause != reason {
			t.Errorf("the loader's context ended with %v, want %v", cause, reason)
		}
		third := ask(t.Context(), c, "k", sleeper(3)) // joins no dying load, and gets no error from it
		(<-third).check(t, 3, nil)
		time.Sleep(time.Minute)
		checkGet(t, c, "k", 3)
		if n := c.Loading() + c.Remembered(); n != 0 {
			t.Errorf("%d flights and errors left, want 0", n)
		}
	})
}

// A write detaches a load. Its waiters can still cancel it.
func TestAllWaitersOfADetachedLoadGone(t *testing.T) {
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
		(<-old).check(t, 0, context.DeadlineExceeded)
		(<-young).check(t, 2, nil)
		if !ended {
			t.Error("the detached load still runs")
		}
	})
}

func TestCallerIsDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newLRU(4)
		c.Set("a", 1)
		load := func(context.Context, string) (int, error) {
			t.Error("the loader was called")
			return 2, nil
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(io.EOF)
		(<-ask(ctx, c, "a", load)).check(t, 1, nil)
		r := <-ask(ctx, c, "b", load)
		r.check(t, 0, context.Canceled)
		r.check(t, 0, io.EOF)
		synctest.Wait()
		if got := c.Stats().Loads; got != 0 {
			t.Errorf("%d loads, want 0", got)
		}
	})
}

// A remembered error is an answer: it wins over a context that ends at the same
// instant.
func TestContextEndsAtTheAnswer(t *testing.T) {
	c := cache.New(cache.Config[string, int]{Capacity: 4, ErrorTTL: func(error) time.Duration { return time.Hour }})
	c.GetOrLoad(t.Context(), "k", failing(io.EOF))
	for range 100 { // select chooses at random
		v, err := c.GetOrLoad(&lateContext{Context: t.Context()}, "k", nil)
		result{v, err}.check(t, 0, io.EOF)
	}
}

// A lateContext is done, except at the first call of Err.
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

func TestLoaderContext(t *testing.T) {
	type id struct{}
	ctx, cancel := context.WithTimeout(context.WithValue(t.Context(), id{}, 7), time.Hour)
	defer cancel()
	var inner context.Context
	var done <-chan struct{}
	newLRU(4).GetOrLoad(ctx, "k", func(ctx context.Context, k string) (int, error) {
		inner = ctx
		done = ctx.Done()
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
	select {
	case <-done:
	default:
		t.Error("what waits for the end of the loader's context waits for ever")
	}
	if inner.Err() == nil {
		t.Error("the loader's context lives on, want it cancelled: what hangs on it would leak")
	}
}

func TestPanicReachesEveryWaiter(t *testing.T) {
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
			if !strings.Contains(string(p.Stack), "TestPanicReachesEveryWaiter") {
				t.Errorf("the stack is not the loader's:\n%s", p.Stack)
			}
			if want := "cache: load panicked: \"unexpected EOF\"\n\ngoroutine "; !strings.HasPrefix(p.Error(), want) {
				t.Errorf("text %q, want it to begin with %q", p.Error(), want)
			}
		}
		(<-ask(t.Context(), c, "k", sleeper(1))).check(t, 1, nil) // the next call works
		if got := c.Stats(); got.Loads != 2 || got.LoadErrors != 1 {
			t.Errorf("Stats = %+v, want 2 loads, 1 of them failed", got)
		}
	})
}

func TestOtherPanics(t *testing.T) {
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
		result{v, err}.check(t, 1, nil)
	})
	t.Run("OnEvent", func(t *testing.T) {
		c := cache.New(cache.Config[string, int]{Capacity: 1, OnEvent: func(context.Context, event) { panic("hook") }})
		c.Set("a", 1)
		if p := caught(t, func() { c.GetOrLoad(t.Context(), "k", ok) }); p.Value != "hook" {
			t.Errorf("panic value %v, want hook", p.Value)
		}
		checkGet(t, c, "k", 1)
	})
	t.Run("nobody waits", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := newLRU(1)
			ctx, cancel := context.WithCancel(t.Context())
			got := ask(ctx, c, "k", func(ctx context.Context, _ string) (int, error) { <-ctx.Done(); panic("unheard") })
			cancel()
			(<-got).check(t, 0, context.Canceled)
			synctest.Wait()
			if got := c.Stats().LoadErrors; got != 1 {
				t.Errorf("LoadErrors = %d, want 1", got)
			}
		})
	})
}

func TestGoexit(t *testing.T) {
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
		(<-ask(t.Context(), c, "k", sleeper(1))).check(t, 1, nil)
	})
}

func TestValueWithErrorIsNotStored(t *testing.T) {
	c := newLRU(4)
	v, err := c.GetOrLoad(t.Context(), "k", func(context.Context, string) (int, error) { return 1, io.EOF })
	result{v, err}.check(t, 1, io.EOF) // handed on as it is
	checkGet(t, c, "k", 0)
}

func TestRecursionIsDetected(t *testing.T) {
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
			result{v, err}.check(t, 0, cache.ErrRecursive)
		})
	}
}

// After a load has ended, goroutines that still use its context may load the
// key again.
func TestNoRecursionAfterTheLoad(t *testing.T) {
	c := newLRU(4)
	var kept context.Context
	c.GetOrLoad(t.Context(), "k", func(ctx context.Context, _ string) (int, error) {
		kept = context.WithoutCancel(ctx)
		return 1, nil
	})
	c.Delete("k")
	v, err := c.GetOrLoad(kept, "k", func(context.Context, string) (int, error) { return 2, nil })
	result{v, err}.check(t, 2, nil)
}

// Two loads in two goroutines that wait for each other are not detected. A
// deadline ends them.
func TestCrossedLoadsEndWithADeadline(t *testing.T) {
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
		(<-a).check(t, 0, context.DeadlineExceeded)
		(<-b).check(t, 0, context.DeadlineExceeded)
	})
}

func TestLifetimeShorterThanWakeup(t *testing.T) {
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

func TestEvictionCancelsNoLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l log
		c := cache.New(cache.Config[string, int]{Capacity: 1, TTL: time.Minute, StaleIfError: time.Minute, OnEvent: l.add})
		c.Set("k", 1)
		time.Sleep(time.Minute)
		got := ask(t.Context(), c, "k", sleeper(2))
		c.Set("other", 9) // evicts the stale value of k
		l.check(t, departed("k", 1, cache.CauseExpired))
		(<-got).check(t, 2, nil)
		checkKeys(t, c, "k")
		l.check(t, departed("other", 9, cache.CauseEvicted))
	})
}

func TestStaleIfError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l log
		c := cache.New(cache.Config[string, int]{Capacity: 2, TTL: time.Minute, StaleIfError: time.Hour, OnEvent: l.add})
		bad := failing(io.ErrUnexpectedEOF)
		c.Set("k", 1)
		time.Sleep(time.Minute)
		checkGet(t, c, "k", 0) // absent, and not removed
		checkKeys(t, c)
		(<-ask(t.Context(), c, "k", bad)).check(t, 1, nil)
		(<-ask(t.Context(), c, "none", bad)).check(t, 0, io.ErrUnexpectedEOF)

		slow := func(context.Context, string) (int, error) { time.Sleep(time.Second); return 0, io.ErrUnexpectedEOF }
		first, second := ask(t.Context(), c, "k", slow), ask(t.Context(), c, "k", slow)
		(<-first).check(t, 1, nil)
		(<-second).check(t, 1, nil)
		if got := c.Stats(); got.StaleHits != 3 || got.LoadErrors != 3 || got.Misses != 5 {
			t.Errorf("Stats = %+v, want 3 stale hits, 3 failed loads, 5 misses", got)
		}
		time.Sleep(time.Hour - time.Second - 1)
		(<-ask(t.Context(), c, "k", bad)).check(t, 1, nil)
		l.check(t)
		time.Sleep(time.Nanosecond)
		(<-ask(t.Context(), c, "k", bad)).check(t, 0, io.ErrUnexpectedEOF) // the grace is over
		l.check(t, departed("k", 1, cache.CauseExpired))
	})
}

// A stale value that is served is marked as used: an outage does not evict the
// values that it needs.
func TestStaleHitIsAUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cache.New(cache.Config[string, int]{Capacity: 2, Eviction: cache.LRU, TTL: time.Minute, StaleIfError: time.Hour})
		c.Set("k", 1)
		c.Set("cold", 2)
		time.Sleep(time.Minute)
		(<-ask(t.Context(), c, "k", failing(io.EOF))).check(t, 1, nil)
		c.Set("new", 3) // evicts cold
		(<-ask(t.Context(), c, "k", failing(io.EOF))).check(t, 1, nil)
	})
}

func TestNotFoundIsNoFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l log
		c := cache.New(cache.Config[string, int]{Capacity: 2, TTL: time.Minute, StaleIfError: time.Hour, OnEvent: l.add})
		c.Set("k", 1)
		time.Sleep(time.Minute)
		gone := fmt.Errorf("user 7: %w", cache.ErrNotFound)
		(<-ask(t.Context(), c, "k", failing(gone))).check(t, 0, cache.ErrNotFound)
		l.check(t, departed("k", 1, cache.CauseExpired))
		// The value does not come back when the origin fails afterwards.
		(<-ask(t.Context(), c, "k", failing(io.EOF))).check(t, 0, io.EOF)
	})
}

func TestDeletedIsNotServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cache.New(cache.Config[string, int]{Capacity: 2, TTL: time.Minute, StaleIfError: time.Hour})
		c.Set("k", 1)
		time.Sleep(time.Minute)
		got := ask(t.Context(), c, "k", func(context.Context, string) (int, error) { time.Sleep(time.Second); return 0, io.EOF })
		c.Delete("k")
		(<-got).check(t, 0, io.EOF)
	})
}

func (after) Error() string { return "busy" }
