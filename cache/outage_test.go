package cache_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/redoubt-go/redoubt/cache"
)

// staleCache returns a cache whose keys k and other have the stale values 1 and
// 9, and the events of the cache.
func staleCache(config cache.Config[string, int]) (*cache.Cache[string, int], *[]event) {
	events := new([]event)
	var mu sync.Mutex
	config.Capacity, config.TTL, config.StaleIfError = 10, time.Minute, time.Hour
	config.OnEvent = func(_ context.Context, e event) {
		mu.Lock()
		defer mu.Unlock()
		*events = append(*events, e)
	}
	c := cache.New(config)
	c.Set("k", 1)
	c.Set("other", 9)
	time.Sleep(time.Minute)
	return c, events
}

// hanging returns when its context ends, deaf after an hour.
func hanging(ctx context.Context, _ string) (int, error) { <-ctx.Done(); return 0, ctx.Err() }
func deaf(context.Context, string) (int, error)          { time.Sleep(time.Hour); return 7, nil }

// in calls GetOrLoad with a deadline and returns the result and its time.
func in(deadline time.Duration, c *cache.Cache[string, int], k string, load loader) (result, time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	start := time.Now()
	v, err := c.GetOrLoad(ctx, k, load)
	return result{v, err}, time.Since(start)
}

func TestStaleValueAnswersBeforeTheDeadline(t *testing.T) {
	for _, tt := range []struct {
		name        string
		slow        time.Duration
		want, again time.Duration // of the first caller, and of a second after it
	}{
		{"half of the time", 0, 50 * time.Millisecond, 50 * time.Millisecond},
		{"StaleIfSlow", 20 * time.Millisecond, 20 * time.Millisecond, 0},
		{"at once", 1, 1, 0},
		{"StaleIfSlow beyond the deadline", time.Second, 50 * time.Millisecond, 50 * time.Millisecond},
		{"at the deadline", -1, 100 * time.Millisecond, 100 * time.Millisecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, _ := staleCache(cache.Config[string, int]{StaleIfSlow: tt.slow})
				for _, want := range []time.Duration{tt.want, tt.again} {
					r, took := in(100*time.Millisecond, c, "k", hanging)
					r.check(t, 1, nil)
					checkEqual(t, took, want)
				}
				if got := c.Stats(); got.StaleHits != 2 || got.Loads != 0 {
					t.Errorf("Stats = %+v, want 2 stale hits and the first load under way", got)
				}
				time.Sleep(time.Hour)
			})
		})
	}
}

// A context that has ended already gets the stale value, without a load.
func TestStaleValueForAnEndedContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := staleCache(cache.Config[string, int]{})
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		v, err := c.GetOrLoad(ctx, "k", unwanted(t))
		result{v, err}.check(t, 1, nil)
		_, err = c.GetOrLoad(ctx, "absent", unwanted(t))
		checkIs(t, err, context.Canceled)
		_, err = c.Reload(ctx, "k", unwanted(t))
		checkIs(t, err, context.Canceled)
		many, err := c.GetOrLoadMany(ctx, []string{"k", "other"}, nil)
		checkEqual(t, many, map[string]int{"k": 1, "other": 9})
		checkIs(t, err, nil)
	})
}

// The load goes on when its callers have got the stale value, and its result is
// stored.
func TestSlowLoadGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := staleCache(cache.Config[string, int]{})
		r, _ := in(100*time.Millisecond, c, "k", sleeper(2))
		r.check(t, 1, nil)
		time.Sleep(time.Second)
		checkGet(t, c, "k", 2)
	})
}

// LoadTimeout ends a load that no caller waits for. That is a failure of the
// origin, so it is remembered.
func TestLoadTimeout(t *testing.T) {
	for _, tt := range []struct {
		timeout, want time.Duration
	}{{0, time.Minute}, {time.Second, time.Second}, {-1, 0}} {
		synctest.Test(t, func(t *testing.T) {
			c, events := staleCache(cache.Config[string, int]{
				LoadTimeout: tt.timeout, ErrorTTL: func(error) time.Duration { return time.Hour },
			})
			start := time.Now()
			var ended time.Duration
			var cause error
			r, _ := in(100*time.Millisecond, c, "k", func(ctx context.Context, k string) (int, error) {
				select {
				case <-ctx.Done():
					ended, cause = time.Since(start), context.Cause(ctx)
				case <-time.After(30 * time.Minute):
				}
				return 0, io.EOF
			})
			r.check(t, 1, nil)
			time.Sleep(40 * time.Minute)
			synctest.Wait()
			if checkEqual(t, ended, tt.want); tt.want == 0 {
				return
			}
			checkIs(t, cause, context.DeadlineExceeded)
			checkEqual(t, len(*events), 1)
			checkEqual(t, c.Remembered(), 1)
		})
	}
}

// A caller who waits keeps a load alive beyond LoadTimeout, and its context
// ends with the caller.
func TestLoadTimeoutWithACaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := staleCache(cache.Config[string, int]{LoadTimeout: time.Second, StaleIfSlow: -1})
		start := time.Now()
		var ended time.Duration
		load := func(ctx context.Context, _ string) (int, error) {
			<-ctx.Done()
			ended = time.Since(start)
			return 0, ctx.Err()
		}
		in(100*time.Millisecond, c, "k", load) // leaves, which arms the limit
		r, took := in(3*time.Second, c, "k", unwanted(t))
		r.check(t, 1, nil)
		synctest.Wait()
		checkEqual(t, took, 3*time.Second)
		checkEqual(t, ended, 3100*time.Millisecond)
	})
}

// Loads that ignore their contexts do not pile up.
func TestOneLoadThatIgnoresItsContext(t *testing.T) {
	for _, config := range []cache.Config[string, int]{{}, {StaleIfError: time.Hour, TTL: time.Minute}} {
		synctest.Test(t, func(t *testing.T) {
			config.Capacity, config.LoadTimeout = 10, -1
			c := cache.New(config)
			c.Set("k", 1)
			if config.TTL == 0 {
				c.Delete("k")
			}
			time.Sleep(time.Minute)
			var running, most atomic.Int64
			load := func(ctx context.Context, k string) (int, error) {
				most.Store(max(most.Load(), running.Add(1)))
				defer running.Add(-1)
				return deaf(ctx, k)
			}
			for range 500 {
				go in(time.Second, c, "k", load)
				time.Sleep(10 * time.Millisecond)
			}
			checkEqual(t, most.Load(), int64(1))
			time.Sleep(time.Hour)
		})
	}
}

// A load that ignores its cancellation is given up after twice LoadTimeout.
func TestDeafLoadIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cache.New(cache.Config[string, int]{Capacity: 10, LoadTimeout: time.Second})
		r, _ := in(10*time.Millisecond, c, "k", deaf)
		r.check(t, 0, context.DeadlineExceeded)
		r, took := in(time.Second, c, "k", unwanted(t))
		r.check(t, 0, context.DeadlineExceeded)
		checkEqual(t, took, time.Second)
		time.Sleep(time.Second)
		r, _ = in(2*time.Second, c, "k", sleeper(2))
		r.check(t, 2, nil)
		time.Sleep(time.Hour)
		checkGet(t, c, "k", 2) // not the result of the first load
	})
}

// The result of a load whose callers have all left answers the callers that
// came after them. Its error does not: they load again.
func TestCanceledLoadDoesNotFailOthers(t *testing.T) {
	for name, value := range map[string]int{"error": 0, "value": 5} {
		synctest.Test(t, func(t *testing.T) {
			c := cache.New(cache.Config[string, int]{Capacity: 4, ErrorTTL: func(error) time.Duration { return time.Hour }})
			ctx, cancel := context.WithCancel(t.Context())
			first := ask(ctx, c, "k", func(ctx context.Context, _ string) (int, error) {
				<-ctx.Done()
				time.Sleep(time.Second)
				if value > 0 {
					return value, nil
				}
				return 0, ctx.Err()
			})
			cancel()
			(<-first).check(t, 0, context.Canceled)
			many := make(chan error, 1)
			go func() {
				_, err := c.GetOrLoadMany(t.Context(), []string{"k"}, func(context.Context, []string) (map[string]int, error) {
					return map[string]int{"k": 2}, nil
				})
				many <- err
			}()
			(<-ask(t.Context(), c, "k", sleeper(2))).check(t, max(value, 2), nil)
			if err := <-many; err != nil || c.Remembered() != 0 {
				t.Errorf("%s: GetOrLoadMany: %v, %d errors remembered", name, err, c.Remembered())
			}
		})
	}
}

// A stale value answers a panic and runtime.Goexit. The event has the panic.
func TestStaleValueAnswersAPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, events := staleCache(cache.Config[string, int]{Name: "rates"})
		(<-ask(t.Context(), c, "k", func(context.Context, string) (int, error) { panic("bug") })).check(t, 1, nil)
		(<-ask(t.Context(), c, "other", func(context.Context, string) (int, error) { runtime.Goexit(); return 0, nil })).check(t, 9, nil)
		if p := caught(t, func() { c.GetOrLoad(t.Context(), "new", func(context.Context, string) (int, error) { panic("new") }) }); p.Value != "new" {
			t.Errorf("panic value %v, want new", p.Value)
		}
		if len(*events) != 3 || (*events)[0].Kind != cache.KindLoadFailed || (*events)[0].Key != "k" || (*events)[0].Name != "rates" {
			t.Fatalf("events %v, want three failed loads", *events)
		}
		var p *cache.PanicError
		if !errors.As((*events)[0].Err, &p) || p.Value != "bug" {
			t.Errorf("error %v, want the panic", (*events)[0].Err)
		}
		if got := c.Stats(); got.StaleHits != 2 || got.LoadErrors != 3 {
			t.Errorf("Stats = %+v, want 2 stale hits, 3 failed loads", got)
		}
	})
}

// A value that is evicted during its load still answers if the load fails.
func TestEvictedValueAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cache.New(cache.Config[string, int]{Capacity: 1, TTL: time.Minute, StaleIfError: time.Hour})
		c.Set("k", 1)
		time.Sleep(time.Minute)
		load := func(context.Context, string) (int, error) { time.Sleep(time.Second); return 0, io.EOF }
		got := ask(t.Context(), c, "k", load)
		c.Set("x", 2)
		c.Set("y", 3)
		(<-got).check(t, 1, nil)
	})
}

// A value that is written during a load that fails answers its callers.
func TestWriteDuringAFailingLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newLRU(4)
		got := ask(t.Context(), c, "k", func(context.Context, string) (int, error) { time.Sleep(time.Second); return 0, io.EOF })
		c.Set("k", 3)
		(<-got).check(t, 3, nil)
	})
}

// GetOrLoad that joins a Reload keeps its claim to the stale value.
func TestStaleValueDuringReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := staleCache(cache.Config[string, int]{})
		reload := make(chan error, 1)
		go func() {
			_, err := c.Reload(t.Context(), "k", func(context.Context, string) (int, error) { time.Sleep(time.Second); return 0, io.EOF })
			reload <- err
		}()
		synctest.Wait()
		(<-ask(t.Context(), c, "k", unwanted(t))).check(t, 1, nil)
		checkIs(t, <-reload, io.EOF)
	})
}

func TestFailedRefreshIsVisible(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var events []event
		c := refreshing(cache.Config[string, int]{OnEvent: func(_ context.Context, e event) { events = append(events, e) }})
		c.Set("k", 1)
		time.Sleep(time.Minute)
		(<-ask(t.Context(), c, "k", failing(io.EOF))).check(t, 1, nil)
		checkEqual(t, len(events), 1)
		checkEqual(t, events[0].Kind, cache.KindLoadFailed)
		checkIs(t, events[0].Err, io.EOF)
		if got := c.Stats(); got.RefreshErrors != 1 || got.LoadErrors != 1 || got.NotFound != 0 {
			t.Errorf("Stats = %+v, want 1 failed refresh", got)
		}
		c.GetOrLoad(t.Context(), "none", failing(cache.ErrNotFound)) // is no failure
		checkEqual(t, len(events), 1)
		checkEqual(t, c.Stats().NotFound, uint64(1))
	})
}

// A refresh is no part of the load that happens to start it.
func TestNoRecursionThroughARefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cache.New(cache.Config[string, int]{Capacity: 4, Refresh: time.Minute})
		c.Set("j", 1)
		time.Sleep(time.Minute)
		var inner error
		v, err := c.GetOrLoad(t.Context(), "k", func(ctx context.Context, _ string) (int, error) {
			v, err := c.GetOrLoad(ctx, "j", func(ctx context.Context, _ string) (int, error) {
				v, err := c.GetOrLoad(ctx, "k", unwanted(t))
				inner = err
				return v, err
			})
			time.Sleep(time.Second)
			return v + 1, err
		})
		result{v, err}.check(t, 2, nil)
		synctest.Wait()
		checkIs(t, inner, nil)
		checkGet(t, c, "j", 2)
	})
}

func TestOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cache.New(cache.Config[string, int]{Capacity: 4, TTL: time.Minute, StaleIfError: time.Hour, Refresh: 30 * time.Second})
		// conditional returns the old value plus 1.
		conditional := func(ctx context.Context, _ string) (int, error) {
			old, ok := cache.Old[int](ctx)
			if ok != (old != 0) {
				t.Errorf("Old = %v, %v", old, ok)
			}
			if _, ok := cache.Old[string](ctx); ok {
				t.Error("an old value of another type")
			}
			return old + 1, nil
		}
		get := func(want int) {
			t.Helper()
			(<-ask(t.Context(), c, "k", conditional)).check(t, want, nil)
		}
		get(1) // none
		time.Sleep(30 * time.Second)
		get(1) // and a refresh
		get(2)
		time.Sleep(time.Minute)
		get(3) // stale
		v, err := c.Reload(t.Context(), "k", conditional)
		result{v, err}.check(t, 4, nil)
		c.Delete("k")
		get(1)
		time.Sleep(2 * time.Hour) // dead
		get(1)
		// A load within the load has an old value of its own.
		c.Reload(t.Context(), "k", func(ctx context.Context, k string) (int, error) { return c.GetOrLoad(ctx, "new", conditional) })
		checkGet(t, c, "new", 1)

		time.Sleep(time.Minute)
		many, err := c.GetOrLoadMany(t.Context(), []string{"k", "new", "none"}, func(ctx context.Context, _ []string) (map[string]int, error) {
			old, _ := cache.Old[map[string]int](ctx)
			return old, nil
		})
		checkIs(t, err, nil)
		checkEqual(t, many, map[string]int{"k": 1, "new": 1})
		if _, ok := cache.Old[int](t.Context()); ok {
			t.Error("Old outside a load")
		}
	})
}

func TestLimitTTL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cache.New(cache.Config[string, int]{Capacity: 4, TTL: time.Minute})
		c.Set("kept", 1)
		for ttl, want := range map[time.Duration]time.Duration{
			-1: 0, 0: 0, time.Second: time.Second, time.Hour: time.Minute, cache.NoExpiry: time.Minute,
		} {
			v, err := c.GetOrLoad(t.Context(), "k", func(ctx context.Context, _ string) (int, error) {
				cache.LimitTTL(ctx, cache.NoExpiry)
				cache.LimitTTL(ctx, ttl)
				cache.LimitTTL(ctx, 2*time.Hour)
				return 2, nil
			})
			result{v, err}.check(t, 2, nil)
			var left time.Duration
			if e, ok := c.Entry("k"); ok {
				left = time.Until(e.Expires)
			}
			checkEqual(t, left, want)
			c.Delete("k")
		}
		cache.LimitTTL(t.Context(), 0) // does nothing
		checkGet(t, c, "kept", 1)
	})
}

// With a context that cannot end, the loader runs in the goroutine of the
// caller. Other callers share its result, and leave it when their contexts end.
func TestLoaderInTheCallersGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cache.New(cache.Config[string, int]{Capacity: 4})
		type caller struct{}
		before := runtime.NumGoroutine()
		v, err := c.GetOrLoad(context.WithValue(context.Background(), caller{}, 3), "a", func(ctx context.Context, _ string) (int, error) {
			if n := runtime.NumGoroutine(); n > before {
				t.Errorf("%d goroutines, want %d", n, before)
			}
			child, cancel := context.WithTimeout(ctx, time.Second)
			defer cancel()
			<-child.Done()
			return ctx.Value(caller{}).(int), ctx.Err()
		})
		result{v, err}.check(t, 3, nil)

		first := make(chan result, 1)
		var inner context.Context
		go func() {
			v, err := c.GetOrLoad(context.Background(), "k", func(ctx context.Context, _ string) (int, error) {
				inner = ctx
				time.Sleep(time.Minute)
				return 1, ctx.Err()
			})
			first <- result{v, err}
		}()
		synctest.Wait()
		r, took := in(time.Second, c, "k", unwanted(t))
		r.check(t, 0, context.DeadlineExceeded)
		checkEqual(t, took, time.Second)
		second := ask(t.Context(), c, "k", unwanted(t))
		(<-first).check(t, 1, nil)
		(<-second).check(t, 1, nil)
		checkIs(t, inner.Err(), context.Canceled)
		select {
		case <-inner.Done():
		default:
			t.Error("the context of the loader lives on")
		}

		if p := caught(t, func() {
			c.GetOrLoad(context.Background(), "p", func(context.Context, string) (int, error) { panic("x") })
		}); p.Value != "x" {
			t.Errorf("panic value %v, want x", p.Value)
		}
		_, err = c.GetOrLoad(context.Background(), "r", func(ctx context.Context, k string) (int, error) { return c.GetOrLoad(ctx, k, nil) })
		checkIs(t, err, cache.ErrRecursive)
		go c.GetOrLoad(context.Background(), "exit", func(context.Context, string) (int, error) {
			time.Sleep(time.Second)
			runtime.Goexit()
			return 0, nil
		})
		synctest.Wait()
		got := <-ask(t.Context(), c, "exit", unwanted(t))
		checkEqual(t, fmt.Sprint(got.err), "cache: loader called runtime.Goexit")
		checkEqual(t, c.Loading(), 0)
	})
}

// The context of a loader that nobody has derived a context from keeps the
// cause of its end.
func TestCauseOfTheLoadersContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newLRU(4)
		why := errors.New("why")
		ctx, cancel := context.WithCancelCause(t.Context())
		var causes []error
		got := ask(ctx, c, "k", func(ctx context.Context, _ string) (int, error) {
			causes = append(causes, context.Cause(ctx), ctx.Err())
			time.Sleep(time.Second)
			causes = append(causes, context.Cause(ctx), ctx.Err())
			child, stop := context.WithCancel(ctx)
			defer stop()
			causes = append(causes, context.Cause(child))
			return 0, nil
		})
		cancel(why)
		<-got
		time.Sleep(time.Minute)
		synctest.Wait()
		checkEqual(t, fmt.Sprint(causes), fmt.Sprint([]error{nil, nil, why, context.Canceled, why}))
	})
}

// Loads, deadlines, deletions and outages at the same time.
func TestStress_Outage(t *testing.T) {
	c := cache.New(cache.Config[int, int]{
		Capacity: 50, TTL: time.Microsecond, StaleIfError: time.Hour, Refresh: time.Microsecond, LoadTimeout: time.Millisecond,
		ErrorTTL: func(error) time.Duration { return 10 * time.Microsecond },
		OnEvent:  func(context.Context, pairEvent) {},
	})
	var running [60]atomic.Int64
	var g errgroup.Group
	for w := range 8 {
		g.Go(func() error {
			for i := range 1500 {
				k := (i*7 + w) % len(running)
				ctx, cancel := context.WithTimeout(context.Background(), time.Duration(i%5)*20*time.Microsecond)
				if i%4 == 0 {
					ctx = context.Background()
				}
				func() {
					defer func() { _ = recover() }()
					load := func(ctx context.Context, k int) (int, error) {
						running[k].Add(1)
						defer running[k].Add(-1)
						switch i % 6 {
						case 0:
							return 0, io.EOF
						case 1:
							panic("x")
						case 2:
							select {
							case <-ctx.Done():
							case <-time.After(5 * time.Millisecond):
							}
						case 3:
							time.Sleep(50 * time.Microsecond)
						}
						return k, ctx.Err()
					}
					if i%9 == 0 {
						c.GetOrLoadMany(ctx, []int{k, (k + 1) % 60, (k + 2) % 60}, func(ctx context.Context, keys []int) (map[int]int, error) {
							v, err := load(ctx, keys[0])
							return map[int]int{keys[0]: v, 59: 1}, err
						})
						return
					}
					c.GetOrLoad(ctx, k, load)
				}()
				cancel()
				switch i % 50 {
				case 0:
					c.Delete(k)
				case 1:
					c.DeleteFunc(func(k, _ int) bool { return k%2 == 0 })
				case 2:
					c.DeleteKeys(func(k int) bool { return k%3 == 0 })
				}
			}
			return nil
		})
	}
	g.Wait()
	time.Sleep(20 * time.Millisecond)
	if n := c.Loading(); n != 0 {
		t.Errorf("%d loads under way at the end", n)
	}
	for k := range running {
		if n := running[k].Load(); n != 0 {
			t.Errorf("%d loads of %d run", n, k)
		}
	}
	if problem := c.Check(); problem != "" {
		t.Error(problem)
	}
}
