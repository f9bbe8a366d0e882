package cache_test

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/leanovate/gopter"
	"github.com/leanovate/gopter/gen"
	"github.com/leanovate/gopter/prop"

	"github.com/redoubt-go/redoubt/cache"
)

func TestTrap10_TimelyExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l log
		c := cache.New(cache.Config[string, int]{Capacity: 8, TTL: time.Minute, OnEvent: l.add})
		c.Set("a", 1)
		c.SetTTL("b", 2, time.Second) // earlier than what the timer waits for
		c.SetTTL("c", 3, cache.NoExpiry)
		time.Sleep(time.Second - 1)
		synctest.Wait()
		l.want(t)
		time.Sleep(time.Millisecond)
		synctest.Wait()
		l.want(t, departed("b", 2, cache.CauseExpired))
		time.Sleep(time.Hour)
		synctest.Wait()
		l.want(t, departed("a", 1, cache.CauseExpired))
		wantKeys(t, c, "c")
		c.Set("d", 4) // it wakes up again after all had gone
		time.Sleep(time.Hour)
		synctest.Wait()
		l.want(t, departed("d", 4, cache.CauseExpired))
		if problem := c.Check(); problem != "" {
			t.Error(problem)
		}
	})
}

func TestTrap10_ManyExpireTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cache.NewSharded(cache.Config[int, int]{Capacity: 10_000, TTL: time.Second}, 4)
		for k := range 5000 {
			c.Set(k, k)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if n := c.Len(); n != 0 || c.Stats().Expirations != 5000 {
			t.Errorf("Len() = %d, %d expirations, want 0 and 5000", n, c.Stats().Expirations)
		}
	})
}

func TestExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cache.New(cache.Config[int, int]{Capacity: 1000, TTL: time.Microsecond}) // the timer has a millisecond
		for k := range 300 {
			c.Set(k, k)
		}
		time.Sleep(time.Microsecond)
		if n := c.Expire(); n != 300 || c.Len() != 0 {
			t.Errorf("Expire() = %d, Len() = %d, want 300 and 0", n, c.Len())
		}
	})
}

func TestTrap10_EntryExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cache.New(cache.Config[string, int]{Capacity: 8, TTL: time.Minute, Expiry: func(_ string, v int) time.Duration {
			return time.Duration(v) * time.Second
		}})
		c.Set("default", 0)
		c.Set("short", 1)
		c.Set("long", 120)
		c.Set("past", -1)
		c.SetTTL("own", 2, 90*time.Second)
		var got []string
		for range 5 {
			got = append(got, fmt.Sprint(slices.Sorted(c.Keys())))
			time.Sleep(30 * time.Second)
			synctest.Wait()
		}
		want := "[[default long own short] [default long own] [long own] [long] []]"
		if fmt.Sprint(got) != want {
			t.Errorf("every 30 s there are %v, want %v", got, want)
		}
	})
}

func TestTrap11_Idle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l log
		c := cache.New(cache.Config[string, int]{Capacity: 8, TTL: time.Minute, IdleTTL: 10 * time.Second, OnEvent: l.add})
		c.Set("used", 1)
		c.Set("peeked", 2)
		for range 5 {
			time.Sleep(10*time.Second - 1)
			wantGet(t, c, "used", 1)
			c.Peek("peeked")
			c.Entry("peeked")
		}
		l.want(t, departed("peeked", 2, cache.CauseExpired))
		wantGet(t, c, "used", 1)
		time.Sleep(10*time.Second + 5) // a minute after the write, though it was not idle
		wantGet(t, c, "used", 0)
		synctest.Wait()
		l.want(t, departed("used", 1, cache.CauseExpired))
	})
}

// Readers extend the idleness of an entry up to the instant of its end: once one of them has found it absent nobody finds it
// again, and a value written after that has a lifetime of its own.
func TestTrap11_NoRevival(t *testing.T) {
	c := cache.New(cache.Config[int, int]{Capacity: 4, IdleTTL: 20 * time.Microsecond})
	for round := range 200 {
		c.Set(0, round)
		var absent atomic.Bool
		done := make(chan string, 4)
		for range cap(done) {
			go func() {
				for range 2000 {
					known := absent.Load()
					_, ok := c.Get(0)
					if ok && known {
						done <- "an entry was found after it had been found absent"
						return
					}
					if !ok {
						absent.Store(true)
						break
					}
				}
				done <- ""
			}()
		}
		for range cap(done) {
			if problem := <-done; problem != "" {
				t.Fatalf("round %d: %s", round, problem)
			}
		}
	}
}

func TestTrap31_TimerDoesNotKeepTheCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var cleaned atomic.Int64
		func() {
			c := cache.New(cache.Config[int, *big]{Capacity: 2, TTL: time.Hour})
			v := new(big)
			runtime.AddCleanup(v, func(int) { cleaned.Add(1) }, 0)
			c.Set(1, v)
		}()
		for range 1000 { // no time passes in the bubble
			if runtime.GC(); cleaned.Load() == 1 {
				break
			}
		}
		if cleaned.Load() != 1 {
			t.Error("the cache has not been collected while its timer runs")
		}
		time.Sleep(2 * time.Hour) // the timer fires, and finds nothing
	})
}

// ---- P6: the expiry queue. Oracle: a sorted slice of deadlines.

// An agenda says which key is to depart when. Events come from the goroutine of a timer.
type agenda struct {
	mu      sync.Mutex
	start   time.Time
	open    []deadline
	problem string
}

type deadline struct {
	k  int
	at time.Duration
}

// event checks that a key departs at its deadline or a little later, and none before another that is due earlier.
func (a *agenda) event(_ context.Context, e pairEvent) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if e.Cause != cache.CauseExpired || a.problem != "" {
		return
	}
	now := time.Since(a.start)
	slices.SortStableFunc(a.open, func(a, b deadline) int { return cmp.Compare(a.at, b.at) })
	i := slices.IndexFunc(a.open, func(d deadline) bool { return d.k == e.Key })
	switch {
	case i < 0 || now < a.open[i].at || now > a.open[i].at+a.open[i].at/7+2*time.Millisecond:
		a.problem = fmt.Sprintf("key %d departs at %v, of %v", e.Key, now, a.open)
	case a.open[0].at < a.open[i].at:
		a.problem = fmt.Sprintf("key %d departs before key %d", e.Key, a.open[0].k)
	default:
		a.open = slices.Delete(a.open, i, i+1)
	}
}

func (a *agenda) forget(k int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.open = slices.DeleteFunc(a.open, func(d deadline) bool { return d.k == k })
}

func (a *agenda) add(k int, ttl time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.open = append(a.open, deadline{k, time.Since(a.start) + ttl})
}

// replayExpiry runs a program, two bytes an operation, and returns what went wrong.
func replayExpiry(program []byte) string {
	a := &agenda{start: time.Now()}
	c := cache.NewSharded(cache.Config[int, int]{Capacity: 1000, OnEvent: a.event}, 1)
	for i := 0; i+1 < len(program); i += 2 {
		k, n := int(program[i]%16), time.Duration(program[i+1])
		switch program[i] / 16 % 4 {
		case 0:
			time.Sleep(n * 10 * time.Millisecond)
			synctest.Wait()
		case 1:
			if c.Delete(k) {
				a.forget(k)
			}
		default:
			if !c.Delete(k) { // one that has expired departs now
				synctest.Wait()
			}
			a.forget(k)
			c.SetTTL(k, i, (n+1)*(n+1)*time.Millisecond)
			a.add(k, (n+1)*(n+1)*time.Millisecond)
		}
	}
	time.Sleep(time.Hour)
	synctest.Wait()
	runtime.KeepAlive(c) // a cache that nobody has any more removes nothing
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.problem == "" && len(a.open) > 0 {
		return fmt.Sprintf("%v have not departed", a.open)
	}
	return a.problem
}

func TestP6_ExpiryEqualsSortedSlice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		properties := gopter.NewProperties(parameters(200))
		properties.Property("oracle: a sorted slice", prop.ForAll(
			func(program []byte) *gopter.PropResult { return holds(replayExpiry(program)) },
			gen.SliceOf(gen.UInt8())))
		properties.TestingRun(t)
	})
}
