package breaker_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/redoubt-go/redoubt/breaker"
)

func newGroup(limit int) *breaker.Group[string] {
	return breaker.NewGroup(breaker.GroupConfig[string]{Max: limit, Config: func(key string) breaker.Config {
		cfg := steady()
		cfg.Name = key
		return cfg
	}})
}

// flood asks for n keys never seen before and makes a successful call with
// each.
func flood(g *breaker.Group[string], n int) {
	for range n {
		g.For(strconv.FormatUint(rand.Uint64(), 36)).Do(bg, func(context.Context) error { return nil })
	}
}

func TestOneBreakerPerKey(t *testing.T) {
	g := newGroup(10)
	got := make([]*breaker.Breaker, 64)
	var wg sync.WaitGroup
	for i := range got {
		wg.Go(func() { got[i] = g.For("key") })
	}
	wg.Wait()
	if len(slices.Compact(got)) != 1 || got[0] == nil || g.Stats().Len != 1 {
		t.Errorf("concurrent calls of Get made %d breakers", len(slices.Compact(got)))
	}
	if s := got[0].Stats(); s.Name != "key" {
		t.Errorf("made for %q, want key", s.Name)
	}
}

// TestFloodForgetsNoHistory floods a group while some breakers have something
// to remember.
func TestFloodForgetsNoHistory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(1000)
		keep := map[string]func(b *breaker.Breaker){
			"in flight": func(b *breaker.Breaker) { mustAllow(t, b) },
			"failures":  func(b *breaker.Breaker) { fail(b) },
			"open":      func(b *breaker.Breaker) { b.Trip(time.Hour, nil) },
			"half-open": func(b *breaker.Breaker) { b.Trip(1, nil); time.Sleep(time.Nanosecond) },
			"backoff": func(b *breaker.Breaker) {
				b.Trip(8*time.Second, nil)
				time.Sleep(8 * time.Second)
				repeat(2, succeed, b)
			},
			"forced open":   func(b *breaker.Breaker) { b.ForceOpen() },
			"forced closed": func(b *breaker.Breaker) { b.ForceClosed() },
		}
		want := map[string]*breaker.Breaker{}
		for _, key := range slices.Sorted(maps.Keys(keep)) {
			want[key] = g.For(key)
			keep[key](want[key])
		}
		fail(want["failures"])
		n := 1000000
		if raceEnabled {
			n = 50000
		}
		flood(g, n)
		for key, b := range want {
			if got, _ := g.Peek(key); got != b {
				t.Errorf("the breaker with %q was forgotten", key)
			}
		}
		s := g.Stats()
		if s.Len != 1000 || s.Unguarded > uint64(n/100) || s.Forgotten < uint64(n)*9/10 {
			t.Errorf("stats %+v, want 1000 breakers and nearly all of the flood guarded", s)
		}
	})
}

// Keys that fail cannot fill a group for good either: their history expires.
func TestFloodOfFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(100)
		for i := range 200 {
			repeat(4, fail, g.For(strconv.Itoa(i)))
		}
		if s := g.Stats(); s.Len != 100 || s.Unguarded != 100 || s.Forgotten != 0 {
			t.Errorf("stats %+v, want 100 kept and 100 unguarded", s)
		}
		if b := g.For("new"); b != nil {
			t.Error("made room for a key among breakers that are open")
		}
		time.Sleep(time.Minute)
		for i := range 100 {
			if g.For("new "+strconv.Itoa(i)) == nil {
				t.Fatalf("no breaker for new key %d long after the flood", i)
			}
		}
	})
}

// Keys in use stay, though they have nothing but successes.
func TestKeysInUseStay(t *testing.T) {
	g := newGroup(200)
	first := g.For("busy")
	for range 5000 {
		succeed(g.For("busy"))
		flood(g, 1)
	}
	if got, _ := g.Peek("busy"); got != first {
		t.Error("a key in constant use was forgotten")
	}
}

// TestForgottenIsAsNew compares a group that forgets with one that does not:
// whatever happens to a key later is the same, because only breakers that are
// as good as new are forgotten. The oracle is the larger group.
func TestForgottenIsAsNew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		small, large := newGroup(100), newGroup(20000)
		for key := range 10000 {
			for _, g := range []*breaker.Group[string]{small, large} {
				repeat(key%3, succeed, g.For(strconv.Itoa(key)))
			}
			time.Sleep(200 * time.Millisecond)
		}
		time.Sleep(10 * time.Second)
		if got := small.Stats().Forgotten; got != 9900 {
			t.Fatalf("%d breakers forgotten, want 9900", got)
		}
		for key := range 10000 {
			a, b := small.For(strconv.Itoa(key)), large.For(strconv.Itoa(key))
			for i := range 6 {
				if i == key%5 {
					succeed(a)
					succeed(b)
				}
				fail(a)
				fail(b)
				sa, sb := a.Stats(), b.Stats()
				sa, sb = recent(sa), recent(sb)
				if d := cmp.Diff(sb, sa); d != "" {
					t.Fatalf("key %d, call %d: %s", key, i, d)
				}
			}
			a.Reset()
			time.Sleep(time.Millisecond)
		}
	})
}

func TestGroupAll(t *testing.T) {
	g := newGroup(0)
	for i := range 10 {
		g.For(strconv.Itoa(i))
	}
	got := map[string]bool{}
	for key, b := range g.All() {
		got[key] = b == g.For(key)
	}
	if len(got) != 10 || got["7"] != true {
		t.Errorf("got %v, want ten keys with their breakers", got)
	}
	for range g.All() {
		break
	}
	if b, ok := g.Peek("none"); b != nil || ok {
		t.Error("Peek made up a breaker")
	}
}

func TestGroupConfig(t *testing.T) {
	cfg := breaker.GroupConfig[int]{Max: -1}
	err := cfg.Validate()
	if got := fmt.Sprint(err); got != "breaker: Max is -1, want 1 or more" {
		t.Errorf("Validate: got %q", got)
	}
	for _, f := range []func(){
		func() { breaker.NewGroup(cfg) },
		func() {
			breaker.NewGroup(breaker.GroupConfig[int]{Config: func(int) breaker.Config { return breaker.Config{Window: -1} }}).For(1)
		},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Error("no panic for an invalid description")
				}
			}()
			f()
		}()
	}
	if b := breaker.NewGroup(breaker.GroupConfig[int]{}).For(1); b == nil {
		t.Error("the zero GroupConfig makes no breaker")
	}
}

func TestGroupMemory(t *testing.T) {
	const keys = 10000
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	g := breaker.NewGroup(breaker.GroupConfig[int]{Max: keys})
	for i := range keys {
		succeed(g.For(i))
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	perKey := int64(after.HeapAlloc-before.HeapAlloc) / keys
	t.Logf("%d bytes per key", perKey)
	if perKey > 900 && !raceEnabled {
		t.Errorf("%d bytes per key, want at most 900", perKey)
	}
	runtime.KeepAlive(g)
}

func TestGroupManyGoroutines(t *testing.T) {
	g := newGroup(50)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 2000 {
				b := g.For(strconv.Itoa(rand.IntN(200)))
				b.Do(bg, func(context.Context) error { return nil })
				if g.Stats().Len > 50 {
					t.Error("more breakers than Max")
				}
			}
		})
	}
	wg.Wait()
	n := 0
	for range g.All() {
		n++
	}
	if n != g.Stats().Len {
		t.Errorf("%d keys in the map and %d in the list", n, g.Stats().Len)
	}
}

// recent returns s without the counters and times that outlive a key.
func recent(s breaker.Stats) breaker.Stats {
	s.Successes, s.Failures, s.Ignored, s.Slow, s.Late, s.Rejected, s.Openings, s.StateFor, s.Usual = 0, 0, 0, 0, 0, 0, 0, 0, 0
	return s
}

func TestGroupSet(t *testing.T) {
	g := newGroup(3)
	for _, key := range []string{"a", "b"} {
		repeat(2, fail, g.For(key))
	}
	bad := breaker.GroupConfig[string]{Config: func(key string) breaker.Config {
		if key == "b" {
			return breaker.Config{Probes: -1}
		}
		return breaker.Config{}
	}}
	if err := g.Set(bad); err == nil || g.For("a").Config().MinCalls != 4 {
		t.Errorf("error %v, MinCalls %d; want an error and no change", err, g.For("a").Config().MinCalls)
	}
	if err := g.Set(breaker.GroupConfig[string]{Max: -1}); err == nil {
		t.Error("no error for a negative Max")
	}
	if err := g.Set(breaker.GroupConfig[string]{Max: 2, Config: func(string) breaker.Config { return breaker.Config{Consecutive: 3} }}); err != nil {
		t.Fatal(err)
	}
	if s := g.For("a").Stats(); s.WindowFailures != 2 {
		t.Errorf("%d failures in the window, want 2", s.WindowFailures)
	}
	fail(g.For("a"))
	checkState(t, g.For("a"), breaker.StateOpen)
	if c := g.Config(); c.Max != 2 {
		t.Errorf("Max %d, want 2", c.Max)
	}
}

// A breaker that was used a moment ago has a history, also of calls that are
// ignored, slow or successful: no flood of keys erases it.
func TestFloodForgetsNothingInUse(t *testing.T) {
	slow := steady()
	slow.SlowCall, slow.MaxOpenFor = time.Second, -1
	histories := map[string]struct {
		cfg breaker.Config
		act func(b *breaker.Breaker)
	}{
		"slow calls": {slow, func(b *breaker.Breaker) {
			b.Do(bg, func(context.Context) error { time.Sleep(2 * time.Second); return nil })
		}},
		"half-open for long": {steady(), func(b *breaker.Breaker) {
			if b.State() == breaker.StateClosed {
				b.Trip(1, nil)
			}
			time.Sleep(time.Second)
			b.Do(bg, func(context.Context) error { return breaker.Mark(errDown, breaker.OutcomeIgnored) })
		}},
		"failures long ago": {breaker.Config{WindowCalls: 100}, func(b *breaker.Breaker) {
			if b.Stats().Failures < 40 {
				fail(b)
				succeed(b)
			}
			time.Sleep(5 * time.Second)
			succeed(b)
		}},
	}
	for name, h := range histories {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := breaker.NewGroup(breaker.GroupConfig[string]{Max: 50, Config: func(key string) breaker.Config {
					if key == "victim" {
						return h.cfg
					}
					return breaker.Config{}
				}})
				victim := g.For("victim")
				for range 100 {
					h.act(g.For("victim"))
					flood(g, 100)
					if got, _ := g.Peek("victim"); got != victim && victim.State() != breaker.StateOpen {
						t.Fatal("forgotten")
					}
				}
			})
		})
	}
}
