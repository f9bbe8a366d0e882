package breaker_test

import (
	"context"
	"fmt"
	"math"
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
	return breaker.NewGroup(breaker.GroupConfig[string]{Max: limit, Config: func(string) breaker.Config { return steady() }})
}

// own returns the breaker of key, which must have one.
func own[K comparable](t *testing.T, g *breaker.Group[K], key K) *breaker.Breaker {
	t.Helper()
	b, ok := g.For(key).(*breaker.Breaker)
	if !ok {
		t.Fatalf("%v is guarded by the sketch, want a breaker", key)
	}
	return b
}

func end(g breaker.Gate, err error) error {
	_, got := breaker.Do(bg, g, func(context.Context) (int, error) { return 0, err })
	return got
}

// flood makes a successful call with each of n keys never used before.
func flood(g *breaker.Group[string], n int) {
	for range n {
		end(g.For(strconv.FormatUint(rand.Uint64(), 36)), nil)
	}
}

func TestOneBreakerPerKey(t *testing.T) {
	g := breaker.NewGroup(breaker.GroupConfig[string]{Name: "hosts"})
	got := make([]breaker.Gate, 64)
	var wg sync.WaitGroup
	for i := range got {
		wg.Go(func() { got[i] = g.For("key") })
	}
	wg.Wait()
	if len(slices.Compact(got)) != 1 || g.Stats().Len != 1 {
		t.Errorf("concurrent calls of For made %d breakers", len(slices.Compact(got)))
	}
	if got := own(t, g, "key").Name(); got != "hosts: key" {
		t.Errorf("name %q, want that of the group and the key", got)
	}
}

// TestFloodForgetsNoHistory floods a group while some breakers have something
// to remember. Everything here was used just now.
func TestFloodForgetsNoHistory(t *testing.T) {
	slow := steady()
	slow.SlowCall = time.Second
	last := steady()
	last.WindowCalls, last.MinCalls = 100, 100
	eager := steady()
	eager.MaxOpenFor = -1
	synctest.Test(t, func(t *testing.T) {
		g := breaker.NewGroup(breaker.GroupConfig[string]{Max: 1000, Config: func(key string) breaker.Config {
			switch key {
			case "slow calls":
				return slow
			case "last calls":
				return last
			case "half-open for long":
				return eager
			}
			return steady()
		}})
		ignored := func(b *breaker.Breaker) { end(b, breaker.Mark(errDown, breaker.OutcomeIgnored)) }
		keep := map[string]func(b *breaker.Breaker){
			"in flight":   func(b *breaker.Breaker) { mustAllow(t, b) },
			"failures":    func(b *breaker.Breaker) { fail(b); fail(b) },
			"open":        func(b *breaker.Breaker) { b.Trip(time.Hour, nil) },
			"half-open":   func(b *breaker.Breaker) { b.Trip(1, nil); time.Sleep(time.Nanosecond) },
			"forced open": func(b *breaker.Breaker) { b.ForceOpen() },
			"dry run":     func(b *breaker.Breaker) { b.ForceClosed() },
			"slow calls": func(b *breaker.Breaker) {
				b.Do(bg, func(context.Context) error { time.Sleep(slow.SlowCall); return nil })
			},
			"last calls": func(b *breaker.Breaker) { repeat(49, fail, b); time.Sleep(3 * time.Minute); succeed(b) },
			"half-open for long": func(b *breaker.Breaker) {
				b.Trip(1, nil)
				time.Sleep(time.Hour)
				ignored(b)
			},
			"backoff": func(b *breaker.Breaker) {
				b.Trip(8*time.Second, nil)
				time.Sleep(8 * time.Second)
				repeat(2, succeed, b)
			},
		}
		want := map[string]*breaker.Breaker{}
		for _, key := range []string{ // those that sleep come first
			"half-open for long", "last calls", "backoff", "slow calls", "in flight", "failures", "open", "half-open", "forced open", "dry run",
		} {
			want[key] = own(t, g, key)
			keep[key](want[key])
		}
		ignored(want["half-open for long"])
		succeed(want["last calls"])
		n := 1000000
		if raceEnabled || testing.Short() {
			n = 50000
		}
		flood(g, n)
		for key, b := range want {
			if got, _ := g.Peek(key); got != b {
				t.Errorf("the breaker with %q was forgotten", key)
			}
		}
		s := g.Stats()
		if s.Len != 1000 || s.Sketched != 0 || s.Forgotten < uint64(n)*9/10 {
			t.Errorf("stats %+v, want 1000 breakers and nearly all of the flood with one of its own", s)
		}
	})
}

// TestSlowVictimOpens has a flood of healthy keys beside a key whose calls are
// all slow.
func TestSlowVictimOpens(t *testing.T) {
	cfg := steady()
	cfg.SlowCall, cfg.MinCalls, cfg.WindowCalls, cfg.MaxOpenFor = time.Second, 20, 50, -1
	synctest.Test(t, func(t *testing.T) {
		g := breaker.NewGroup(breaker.GroupConfig[string]{Max: 50, Config: func(string) breaker.Config { return cfg }})
		for range 20 {
			end(g.For("other"), nil)
			breaker.Do(bg, g.For("victim"), func(context.Context) (int, error) { time.Sleep(time.Second); return 0, nil })
			flood(g, 500)
		}
		if got := g.State("victim"); got != breaker.StateOpen {
			t.Errorf("state %v after 20 slow calls, want open", got)
		}
	})
}

// TestUnreportedCallsDoNotPin abandons calls on all keys.
func TestUnreportedCallsDoNotPin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(100)
		for i := range 100 {
			mustAllow(t, own(t, g, strconv.Itoa(i)))
		}
		time.Sleep(time.Second)
		for range 50 { // searches in vain
			g.For("new")
			time.Sleep(time.Millisecond)
		}
		if got := g.Stats().Forgotten; got != 0 {
			t.Fatalf("%d breakers forgotten after a second, want 0", got)
		}
		time.Sleep(time.Minute)
		for i := range 100 {
			own(t, g, "new "+strconv.Itoa(i))
		}
	})
}

// TestRunningCallKeeps has a call that begins after a long pause and reads no
// clock.
func TestRunningCallKeeps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(10)
		b := own(t, g, "key")
		repeat(5, succeed, b)
		time.Sleep(time.Hour)
		c := mustAllow(t, b)
		flood(g, 1000)
		time.Sleep(15 * time.Second)
		flood(g, 1000)
		if got, _ := g.Peek("key"); got != b {
			t.Error("a breaker with a running call was forgotten")
		}
		c.Done(nil)
	})
}

// TestSketchedKeyStays has a key with a run in the sketch when room for a
// breaker appears.
func TestSketchedKeyStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := breaker.Config{FailureRatio: -1, MaxOpenFor: -1, Jitter: -1}
		g := breaker.NewGroup(breaker.GroupConfig[string]{Max: 1, Config: func(string) breaker.Config { return cfg }})
		end(g.For("full"), errDown)
		for range 5 {
			end(g.For("key"), errDown)
			time.Sleep(4 * time.Second)
		}
		if got := g.State("key"); got != breaker.StateHalfOpen { // 4 s after it opened
			t.Errorf("state %v after five failures, want half-open", got)
		}
		own(t, g, "other")
	})
}

// TestRoomAfterAFlood shows that failing keys do not fill a group forever.
func TestRoomAfterAFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(100)
		for i := range 200 {
			for range 5 {
				end(g.For(strconv.Itoa(i)), errDown)
			}
		}
		checkEqual(t, g.Stats(), breaker.GroupStats{
			Len: 100, Open: 100, Failures: 400, Rejected: 100, Openings: 100,
			Sketched: 100, SketchOpenings: 100, SketchRejected: 100,
		})
		time.Sleep(16 * time.Second) // twice MaxOpenFor, but the open period comes first
		for range 10 {
			if _, ok := g.For("new").(*breaker.Breaker); ok {
				t.Fatal("made room among breakers that were used 16s ago")
			}
			time.Sleep(time.Millisecond)
		}
		time.Sleep(2 * time.Second)
		for i := range 100 {
			own(t, g, "new "+strconv.Itoa(i))
		}
		for i := 100; i < 200; i++ { // what the sketch knows has expired, too
			if end(g.For(strconv.Itoa(i)), nil) != nil {
				t.Fatalf("key %d is still refused", i)
			}
		}
	})
}

// TestKeysInUseStay has keys with nothing but successes.
func TestKeysInUseStay(t *testing.T) {
	g := newGroup(200)
	first := own(t, g, "busy")
	for range 5000 {
		succeed(own(t, g, "busy"))
		flood(g, 1)
	}
	if got, _ := g.Peek("busy"); got != first {
		t.Error("a key in constant use was forgotten")
	}
}

// TestConfigMayUseTheGroup would deadlock if Config were called under the lock.
func TestConfigMayUseTheGroup(t *testing.T) {
	var g *breaker.Group[string]
	g = breaker.NewGroup(breaker.GroupConfig[string]{Config: func(key string) breaker.Config {
		if key == "child" {
			return breaker.Config{Name: "parent is " + g.State("parent").String() + fmt.Sprint(g.For("parent") != nil, g.Stats().Len)}
		}
		return breaker.Config{}
	}})
	if got := own(t, g, "child").Name(); got != "parent is closedtrue 1" {
		t.Errorf("name %q", got)
	}
}

// TestUnequalKeys uses keys that no map can find.
func TestUnequalKeys(t *testing.T) {
	type key struct {
		host  string
		score float64
	}
	g := breaker.NewGroup(breaker.GroupConfig[key]{Max: 100})
	for range 1000 {
		end(g.For(key{"a", math.NaN()}), errDown)
	}
	n := 0
	for range g.All() {
		n++
	}
	if s := g.Stats(); s.Len != 0 || s.Sketched != 0 || n != 0 {
		t.Errorf("stats %+v and %d keys, want none", s, n)
	}
	if got := g.State(key{"a", math.NaN()}); got != breaker.StateOpen {
		t.Errorf("state %v, want open", got)
	}
}

// TestRoomAtOnce needs room in the instant in which a group is made, and after
// the clock has gone back.
func TestRoomAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(1)
		succeed(own(t, g, "a"))
		own(t, g, "b")
	})
	g := newGroup(1)
	a := own(t, g, "a")
	fail(a)
	time.Sleep(time.Millisecond)
	if _, ok := g.For("b").(*breaker.Breaker); ok { // a search in vain
		t.Error("a was forgotten")
	}
	a.Reset()
	bubble(t, func() { own(t, g, "b") })
}

func TestGroupSet(t *testing.T) {
	cfg := breaker.Config{Consecutive: 2}
	g := breaker.NewGroup(breaker.GroupConfig[int]{Max: 10, Config: func(int) breaker.Config { return cfg }})
	for key := range 10 {
		succeed(own(t, g, key))
	}
	fail(own(t, g, 7))
	if err := g.Set(breaker.GroupConfig[int]{Max: -1}); err == nil || g.Config().Max != 10 {
		t.Errorf("Set of a bad Max: error %v, and Max is %d", err, g.Config().Max)
	}
	bad := func(key int) breaker.Config { return breaker.Config{Consecutive: 3, Window: -time.Duration(key / 7)} }
	if got := fmt.Sprint(g.Set(breaker.GroupConfig[int]{Name: "shards", Config: bad})); got != "breaker: Window is -1ns, want at least 10ns" {
		t.Errorf("Set: error %q, want the one of key 7", got)
	}
	for key, b := range g.All() {
		if got := b.Config().Consecutive; got != 2 {
			t.Errorf("key %d: Consecutive is %d after an error, want 2", key, got)
		}
	}
	cfg.Consecutive = 3
	if err := g.Set(breaker.GroupConfig[int]{Name: "shards", Max: 3, Config: func(int) breaker.Config { return cfg }}); err != nil {
		t.Fatal(err)
	}
	n := 0
	for range g.All() {
		n++
	}
	if got := g.Stats(); got.Len != 3 || n != 3 || got.Name != "shards" {
		t.Errorf("stats %+v and %d keys after Set, want 3", got, n)
	}
	seven, ok := g.Peek(7)
	if !ok {
		t.Fatal("Set forgot a breaker with a failure")
	}
	fail(seven)
	checkState(t, seven, breaker.StateClosed)
	fail(seven)
	checkState(t, seven, breaker.StateOpen)
	g.Set(breaker.GroupConfig[int]{Max: 4})
	own(t, g, 100)
	if got := g.Stats(); got.Len != 4 || got.Forgotten != 7 {
		t.Errorf("stats %+v, want 4 breakers, and 7 forgotten", got)
	}
}

// TestForgottenIsAsNew compares a group that forgets with a larger group that
// does not. Whatever happens to a key later is the same in both, because only
// breakers that are as good as new are forgotten.
func TestForgottenIsAsNew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		small, large := newGroup(100), newGroup(20000)
		for key := range 10000 {
			for _, g := range []*breaker.Group[string]{small, large} {
				repeat(key%3, succeed, own(t, g, strconv.Itoa(key)))
			}
			time.Sleep(200 * time.Millisecond)
		}
		time.Sleep(10 * time.Second)
		if got := small.Stats().Forgotten; got != 9900 {
			t.Fatalf("%d breakers forgotten, want 9900", got)
		}
		for key := range 10000 {
			a, b := own(t, small, strconv.Itoa(key)), own(t, large, strconv.Itoa(key))
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
		end(g.For(i), nil)
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
				end(g.For(strconv.Itoa(rand.IntN(200))), nil)
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

// A key that joins while Set runs has the new configuration too.
func TestGroupSetWhileKeysJoin(t *testing.T) {
	g := breaker.NewGroup(breaker.GroupConfig[int]{})
	g.For(1)
	if err := g.Set(breaker.GroupConfig[int]{Config: func(k int) breaker.Config {
		if k == 1 {
			g.For(2)
		}
		return breaker.Config{Probes: 7}
	}}); err != nil {
		t.Fatal(err)
	}
	for k, b := range g.All() {
		if got := b.Config().Probes; got != 7 {
			t.Errorf("key %d: %d probes, want 7", k, got)
		}
	}
}

// A key whose old configuration was read before Set gets no breaker from it.
func TestGroupSetWhileAKeyJoins(t *testing.T) {
	var g *breaker.Group[int]
	g = breaker.NewGroup(breaker.GroupConfig[int]{Config: func(int) breaker.Config {
		g.Set(breaker.GroupConfig[int]{Config: func(int) breaker.Config { return breaker.Config{Probes: 7} }})
		return breaker.Config{}
	}})
	g.For(1)
	if got := g.For(1).(*breaker.Breaker).Config().Probes; got != 7 {
		t.Errorf("%d probes, want 7", got)
	}
}

// Set changes the breaker of the keys that do not equal themselves.
func TestGroupSetOfUnequalKeys(t *testing.T) {
	g := breaker.NewGroup(breaker.GroupConfig[float64]{})
	b := g.For(math.NaN()).(*breaker.Breaker)
	g.Set(breaker.GroupConfig[float64]{Config: func(float64) breaker.Config { return breaker.Config{Probes: 7} }})
	if got := b.Config().Probes; got != 7 {
		t.Errorf("%d probes, want 7", got)
	}
}

// TestGroupSumsNeverFall shows that the sums of a group count its forgotten
// breakers, and the breakers of each state.
func TestGroupSumsNeverFall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := breaker.NewGroup(breaker.GroupConfig[int]{Max: 4, Name: "g"})
		for key := range 4 {
			end(g.For(key), nil)
		}
		own(t, g, 9) // which forgets another
		s := g.Stats()
		checkEqual(t, s, breaker.GroupStats{Name: "g", Len: 4, Closed: 4, Forgotten: 1, Successes: 4})
		if err := g.Set(breaker.GroupConfig[int]{Max: 1}); err != nil {
			t.Fatal(err)
		}
		if s := g.Stats(); s.Len >= 4 || s.Successes != 4 || s.Closed != s.Len {
			t.Errorf("after Set: %+v", s)
		}
		b := own(t, g, 9)
		b.ForceOpen()
		end(g.For(9), nil)
		if s := g.Stats(); s.ForcedOpen != 1 || s.Rejected != 1 {
			t.Errorf("a breaker that was forced open: %+v", s)
		}
		b.ForceClosed()
		if s := g.Stats(); s.ForcedClosed != 1 || s.ForcedOpen != 0 {
			t.Errorf("a breaker that was forced closed: %+v", s)
		}
	})
}
