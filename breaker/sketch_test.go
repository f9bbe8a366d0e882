package breaker_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redoubt-go/redoubt/breaker"
)

// counting is a configuration without chance that judges runs only, like the
// sketch. All times are whole ticks of the sketch.
func counting() breaker.Config {
	return breaker.Config{FailureRatio: -1, Consecutive: 3, OpenFor: time.Second, MaxOpenFor: -1, Jitter: -1, Probes: 2, SlowCall: -1}
}

// TestSketchGuardsAMillionKeys is the attack on a full group: a million keys
// fail. Each victim that fails five times meanwhile is refused, and no healthy
// key is.
func TestSketchGuardsAMillionKeys(t *testing.T) {
	// In a bubble the clock stands still: a slow machine closes no open period.
	synctest.Test(t, guardAMillionKeys)
}

func guardAMillionKeys(t *testing.T) {
	n := 1000000
	if raceEnabled || testing.Short() {
		n = 20000
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	g := breaker.NewGroup(breaker.GroupConfig[int]{})
	for key := range 2048 {
		end(g.For(-key-1), errDown)
	}
	const victims = 100
	innocent := 0
	for key := range n {
		end(g.For(key), errDown)
		if key%(n/5) == n/10 {
			for v := range victims {
				if err := end(g.For(n+v), errDown); err != errDown {
					t.Fatalf("victim %d refused after %d failures: %v", v, 5*key/n, err)
				}
				if end(g.For(2*n+v), nil) != nil {
					innocent++
				}
			}
		}
	}
	for v := range victims {
		if err := end(g.For(n+v), errDown); !errors.Is(err, breaker.ErrOpen) {
			t.Fatalf("victim %d: error %v after five failures, want a refusal", v, err)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	bytes := int64(after.HeapAlloc - before.HeapAlloc)
	s := g.Stats()
	t.Logf("%d keys in %.1f MB: %+v", s.Len+s.Sketched, float64(bytes)/1e6, s)
	if bytes > 16e6 && !raceEnabled {
		t.Errorf("%d bytes, want at most 16 MB", bytes)
	}
	if innocent > 0 || s.SketchOpenings > victims {
		t.Errorf("%d healthy keys refused and %d openings, want 0 and %d", innocent, s.SketchOpenings, victims)
	}
	if s.Len != 2048 || s.Sketched < n+victims-10 || s.SketchLost > 10 {
		t.Errorf("stats %+v, want all keys remembered", s)
	}
	runtime.KeepAlive(g)
}

// TestSketchDoesAsABreaker makes the same calls through the sketch and through
// a Breaker, which is the oracle, one at a time.
func TestSketchDoesAsABreaker(t *testing.T) {
	differ := 0
	for seed := range uint64(300) {
		cfg := counting()
		other := cfg
		if seed >= 200 { // shows that the comparison bites
			other.Consecutive++
		}
		synctest.Test(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 1))
			gate, _ := breaker.SketchGates()
			b, k := breaker.New(cfg), gate(1, other)
			for step := range 300 {
				err := [...]error{nil, errDown, errDown, breaker.Mark(errDown, breaker.OutcomeIgnored)}[rng.IntN(4)]
				want, got := end(b, err), end(k, err)
				if errors.Is(want, breaker.ErrOpen) != errors.Is(got, breaker.ErrOpen) {
					if differ++; seed < 200 {
						t.Fatalf("seed %d, step %d: error %v, want %v as of the breaker", seed, step, got, want)
					}
					return
				}
				time.Sleep([...]time.Duration{0, 0, 0, 250 * time.Millisecond, time.Second}[rng.IntN(5)])
			}
		})
	}
	if differ < 90 {
		t.Errorf("only %d of 100 runs with another Consecutive differ", differ)
	}
}

// TestSketchRules has a row for each rule, all at one time.
func TestSketchRules(t *testing.T) {
	tests := []struct {
		name   string
		cfg    breaker.Config
		calls  string // f, s and i
		opened bool
	}{
		{"four in a row", breaker.Config{}, "ffff", false},
		{"five in a row", breaker.Config{}, "fffff", true},
		{"a success between", breaker.Config{}, "ffffsf", false},
		{"ignored between", breaker.Config{}, "ffffif", true},
		{"no rule of runs", breaker.Config{Consecutive: -1}, "fffffffff", false},
		{"half of 20", breaker.Config{Consecutive: -1}, strings.Repeat("fs", 10), false}, // ends with 10 of 20, judged at failures
		{"more than half of 20", breaker.Config{Consecutive: -1}, strings.Repeat("fs", 10) + "f", true},
		{"less than half", breaker.Config{Consecutive: -1}, strings.Repeat("fss", 100), false},
		{"old calls of many", breaker.Config{Consecutive: -1}, strings.Repeat("fss", 85) + strings.Repeat("f", 40), false},
		{"a long run", breaker.Config{Consecutive: 1000, FailureRatio: -1}, strings.Repeat("f", 252), false},
		{"longest run", breaker.Config{Consecutive: 1000, FailureRatio: -1}, strings.Repeat("f", 253), true},
		{"many calls needed", breaker.Config{Consecutive: -1, MinCalls: 1000}, strings.Repeat("f", 126), false},
		{"most calls needed", breaker.Config{Consecutive: -1, MinCalls: 1000}, strings.Repeat("f", 127), true},
		{"never by a rule of its own", breaker.Config{Consecutive: -1, FailureRatio: -1, TripIf: func(breaker.Stats) bool { return true }}, "fff", false},
	}
	outcomes := map[rune]error{'f': errDown, 's': nil, 'i': breaker.Mark(errDown, breaker.OutcomeIgnored)}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				gate, stats := breaker.SketchGates()
				k := gate(1, tt.cfg)
				for i, c := range tt.calls {
					if err := end(k, outcomes[c]); errors.Is(err, breaker.ErrOpen) {
						t.Fatalf("call %d refused: %v", i+1, err)
					}
				}
				if got := stats().SketchOpenings == 1; got != tt.opened {
					t.Errorf("opened %v, want %v", got, tt.opened)
				}
			})
		})
	}
}

// TestSketchWindowMovesOn has failures that are too old for the ratio.
func TestSketchWindowMovesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate, stats := breaker.SketchGates()
		k := gate(1, breaker.Config{Consecutive: -1})
		for range 19 {
			end(k, errDown)
		}
		time.Sleep(20 * time.Second) // four halves: 19 becomes 1
		for range 18 {
			end(k, errDown)
		}
		if n := stats().SketchOpenings; n != 0 {
			t.Error("opened after 18 failures in the window")
		}
		end(k, errDown)
		if n := stats().SketchOpenings; n != 1 {
			t.Error("not opened after 20 failures in the window")
		}
	})
}

// TestSketchForgetsTheWell shows that keys cost memory only while they fail.
func TestSketchForgetsTheWell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate, stats := breaker.SketchGates()
		for tag := range uint32(10) {
			end(gate(tag, counting()), nil)
		}
		if got := stats().Sketched; got != 0 {
			t.Errorf("%d keys after successes, want 0", got)
		}
		for tag := range uint32(10) {
			end(gate(tag, counting()), errDown)
		}
		time.Sleep(5 * time.Second)
		for tag := range uint32(9) {
			end(gate(tag, counting()), nil)
		}
		if got := stats().Sketched; got != 1 {
			t.Errorf("%d keys after nine have recovered, want 1", got)
		}
	})
}

// TestSketchForgetsTheUnused has a run of failures with a long pause.
func TestSketchForgetsTheUnused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate, stats := breaker.SketchGates()
		cfg := counting()
		cfg.MaxOpenFor = 8 * time.Second
		k := gate(1, cfg)
		for _, tt := range []struct {
			pause time.Duration
			want  uint64 // openings
		}{{18 * time.Second, 0}, {15 * time.Second, 1}} {
			end(k, errDown)
			end(k, errDown)
			time.Sleep(tt.pause)
			end(k, errDown)
			if got := stats().SketchOpenings; got != tt.want {
				t.Errorf("%d openings by a run with a pause of %v, want %d", got, tt.pause, tt.want)
			}
			end(k, nil)
		}
	})
}

// TestSketchKeepsTheKeysInUse fills a shard beyond its bound.
func TestSketchKeepsTheKeysInUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate, stats := breaker.SketchGates()
		cfg := breaker.Config{Consecutive: -1, FailureRatio: -1}
		used := gate(0, cfg)
		for tag := range uint32(3 * breaker.MaxTraces) {
			end(used, errDown)
			end(gate(tag+1, cfg), errDown)
			if tag%100 == 0 {
				time.Sleep(5 * time.Second) // less than the time after which all is forgotten
			}
		}
		s := stats()
		if s.Sketched != breaker.MaxTraces || s.SketchLost != 2*breaker.MaxTraces+1 {
			t.Errorf("stats %+v, want the most keys that fit and the others lost", s)
		}
		time.Sleep(10 * time.Minute)
		end(gate(99999, cfg), errDown)
		if got := stats().SketchLost; got != s.SketchLost {
			t.Error("a trace that has expired counts as lost")
		}
	})
}

// TestSketchProbes has concurrent probes, and probes that are never reported.
func TestSketchProbes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate, _ := breaker.SketchGates()
		cfg := counting()
		cfg.ProbeTimeout = 3 * time.Second
		k := gate(1, cfg)
		late, err := k.Allow(bg)
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			end(k, errDown)
		}
		var refusal *breaker.OpenError
		if err = end(k, nil); !errors.As(err, &refusal) || refusal.State != breaker.StateOpen || refusal.RetryAfter() != time.Second {
			t.Fatalf("error %v, want a refusal for 1s", err)
		}
		late.Done(nil) // changes nothing
		time.Sleep(time.Second)
		lost, err := k.Allow(bg)
		if err != nil {
			t.Fatalf("probe: %v", err)
		}
		for range 3 {
			if err = end(k, nil); !errors.As(err, &refusal) || refusal.State != breaker.StateHalfOpen || refusal.RetryAfter() != 0 {
				t.Fatalf("error %v beside a probe, want a refusal", err)
			}
			time.Sleep(time.Second)
		}
		if err := end(k, nil); err != nil {
			t.Fatalf("error %v after ProbeTimeout, want another probe", err)
		}
		lost.Done(errDown) // late, and another has succeeded
		if err := end(k, nil); err != nil {
			t.Fatalf("error %v, want the second probe", err)
		}
		for range 10 {
			if err := end(k, nil); err != nil {
				t.Fatalf("error %v after two probes that succeeded", err)
			}
		}
	})
}

// TestSketchLateResults has a call that ends after its key has opened and
// closed again.
func TestSketchLateResults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate, stats := breaker.SketchGates()
		k := gate(1, counting())
		end(k, errDown)
		late, err := k.Allow(bg)
		if err != nil {
			t.Fatal(err)
		}
		end(k, errDown)
		end(k, errDown)
		time.Sleep(time.Second)
		end(k, nil)
		end(k, nil)
		end(k, errDown)
		end(k, errDown)
		late.Done(errDown)
		if got := stats().SketchOpenings; got != 1 {
			t.Errorf("%d openings, want 1: the late failure counts for nothing", got)
		}
		end(k, errDown)
		if got := stats().SketchOpenings; got != 2 {
			t.Errorf("%d openings, want 2", got)
		}
	})
}

// TestSketchLateSuccessCloses has a dependency slower than ProbeTimeout.
func TestSketchLateSuccessCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate, _ := breaker.SketchGates()
		cfg := counting()
		cfg.ProbeTimeout = time.Second
		k := gate(1, cfg)
		for range 3 {
			end(k, errDown)
		}
		time.Sleep(time.Second)
		var probes []*breaker.Call
		for range 5 {
			c, err := k.Allow(bg)
			if err != nil {
				t.Fatal(err)
			}
			probes = append(probes, c)
			time.Sleep(time.Second)
		}
		probes[0].Done(nil)
		probes[1].Done(nil)
		for range 5 {
			if _, err := k.Allow(bg); err != nil {
				t.Fatalf("error %v after two probes that succeeded late", err)
			}
		}
	})
}

// TestSketchOpenPeriods follows the lengths of open periods in a long outage
// and after it.
func TestSketchOpenPeriods(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate, _ := breaker.SketchGates()
		var openings []time.Duration
		cfg := breaker.Config{Jitter: -1, Probes: 1, OnEvent: func(_ context.Context, e breaker.Event) {
			if e.To == breaker.StateOpen {
				openings = append(openings, e.OpenFor)
			}
		}}
		k := gate(1, cfg)
		for range 200 * 60 {
			end(k, errDown)
			time.Sleep(time.Second)
		}
		for i, d := range openings {
			switch {
			case i < 40 && d != 4*time.Second, i > 0 && d < openings[i-1], d > time.Minute:
				t.Fatalf("opening %d lasts %v after %v", i, d, openings[max(0, i-1)])
			}
		}
		if last := openings[len(openings)-1]; last != time.Minute {
			t.Errorf("the last opening lasts %v, want 1m", last)
		}
		for range 200 {
			end(k, nil)
			time.Sleep(time.Second)
		}
		openings = nil
		for range 5 {
			end(k, errDown)
		}
		checkEqual(t, openings, []time.Duration{4 * time.Second}) // after two healthy minutes
	})
}

type slowDown struct{ error }

func (slowDown) RetryAfter() time.Duration { return 30 * time.Second }

func TestSketchTakesRetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate, _ := breaker.SketchGates()
		k := gate(1, counting())
		cfg := counting()
		cfg.MaxOpenFor = 20 * time.Second
		j := gate(2, cfg)
		for range 3 {
			end(k, slowDown{errDown})
			end(j, slowDown{errDown})
		}
		for _, tt := range []struct {
			gate breaker.Gate
			want time.Duration
		}{{k, time.Second}, {j, 20 * time.Second}} {
			var refusal *breaker.OpenError
			if err := end(tt.gate, nil); !errors.As(err, &refusal) || refusal.RetryAfter() != tt.want {
				t.Errorf("error %v, want to wait for %v", err, tt.want)
			}
		}
	})
}

// TestSketchOutcomes shows which ends of a call are failures.
func TestSketchOutcomes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate, stats := breaker.SketchGates()
		cancelled, cancel := context.WithCancel(bg)
		expired, stop := context.WithTimeout(bg, time.Second)
		defer stop()
		tests := []struct {
			name   string
			want   int // keys in the sketch
			ctx    context.Context
			end    func()
			result error
		}{
			{"canceled by the caller", 0, cancelled, cancel, context.Canceled},
			{"deadline", 1, expired, func() { time.Sleep(time.Second) }, context.DeadlineExceeded},
			{"panic", 1, bg, func() { panic("boom") }, nil},
			{"Goexit", 1, bg, runtime.Goexit, nil},
			{"refused inside", 0, bg, func() {}, &breaker.OpenError{}},
		}
		before := 0
		for i, tt := range tests {
			done := make(chan bool)
			go func() {
				defer close(done)
				defer func() { recover() }()
				breaker.Do(tt.ctx, gate(uint32(i), breaker.Config{}), func(context.Context) (int, error) { tt.end(); return 0, tt.result })
			}()
			<-done
			if got := stats().Sketched - before; got != tt.want {
				t.Errorf("%s: %d failures, want %d", tt.name, got, tt.want)
			}
			before = stats().Sketched
		}
		if err := end2(cancelled, gate(9, breaker.Config{Name: "dep"})); !errors.Is(err, context.Canceled) || err.Error() != "breaker: dep: context canceled" {
			t.Errorf("error %v of a context that is done", err)
		}
	})
}

func end2(ctx context.Context, g breaker.Gate) error {
	_, err := breaker.Do(ctx, g, func(context.Context) (int, error) { panic("called") })
	return err
}

// TestSketchEvents requires that the events of a key form a path, and that a
// hostile key is quoted and cut.
func TestSketchEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		g := breaker.NewGroup(breaker.GroupConfig[string]{Name: "hosts", Max: 1, Config: func(string) breaker.Config {
			c := counting()
			c.OnEvent = func(_ context.Context, e breaker.Event) {
				fmt.Fprintln(&log, e.From, e.To, e.Reason, e.Stats.Consecutive)
			}
			return c
		}})
		end(g.For("full"), errDown)
		hostile := "evil\n" + strings.Repeat("x", 1000)
		for range 3 {
			end(g.For(hostile), errDown)
		}
		err := end(g.For(hostile), nil)
		if got := err.Error(); strings.Contains(got, "\n") || len(got) > 150 || !strings.HasPrefix(got, `breaker: "hosts: evil\nxxx`) {
			t.Errorf("error %q", got)
		}
		if got := g.State(hostile); got != breaker.StateOpen {
			t.Errorf("state %v, want open", got)
		}
		time.Sleep(time.Second)
		if got := g.State(hostile); got != breaker.StateHalfOpen {
			t.Errorf("state %v, want half-open", got)
		}
		for _, err := range []error{errDown, nil, nil} {
			end(g.For(hostile), err)
			if err != nil {
				time.Sleep(time.Second)
			}
		}
		want := "closed open consecutive failures 3\nopen half-open open period over 0\nhalf-open open probe failed 0\n" +
			"open half-open open period over 0\nhalf-open closed probes succeeded 0\n"
		checkEqual(t, log.String(), want)
	})
}

// TestSketchHookPanics requires that a hook that panics does not take the place
// of the probe with it.
func TestSketchHookPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate, _ := breaker.SketchGates()
		cfg := counting()
		cfg.OnEvent = func(_ context.Context, e breaker.Event) {
			if e.To == breaker.StateHalfOpen {
				panic("hook")
			}
		}
		k := gate(1, cfg)
		for range 3 {
			end(k, errDown)
		}
		time.Sleep(time.Second)
		func() {
			defer func() { recover() }()
			end(k, nil)
		}()
		if err := end(k, nil); err != nil {
			t.Errorf("error %v after a hook that panicked, want the next probe", err)
		}
	})
}

// TestSketchSharing shows what two keys of one tag do to each other, as the
// documentation of Group says.
func TestSketchSharing(t *testing.T) {
	gate, _ := breaker.SketchGates()
	a, b := gate(7, counting()), gate(7, counting())
	for range 3 {
		end(a, errDown)
	}
	if err := end(b, nil); !errors.Is(err, breaker.ErrOpen) {
		t.Errorf("error %v, want a refusal for the failures of the other key", err)
	}
}

// TestSketchClockJumps leaves and enters synctest bubbles.
func TestSketchClockJumps(t *testing.T) {
	gate, _ := breaker.SketchGates()
	cfg := counting()
	cfg.OpenFor = 20 * time.Millisecond
	k := gate(1, cfg)
	heals := func() {
		admitted := 0 // in a row
		for range 200 {
			if admitted++; end(k, nil) != nil {
				admitted = 0
				time.Sleep(time.Millisecond)
			}
			if admitted == 3 {
				return
			}
		}
		t.Error("does not close after a jump of the clock")
	}
	for range 3 {
		for range 3 {
			end(k, errDown)
		}
		bubble(t, func() {
			heals()
			for range 3 {
				end(k, errDown)
			}
		})
		heals()
	}
}

func TestSketchManyGoroutines(t *testing.T) {
	cfg := counting()
	cfg.OpenFor, cfg.OnEvent = time.Millisecond, func(context.Context, breaker.Event) {}
	g := breaker.NewGroup(breaker.GroupConfig[string]{Max: 1, Config: func(string) breaker.Config { return cfg }})
	end(g.For("full"), errDown)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 5000 {
				key := strconv.Itoa(rand.IntN(100))
				end(g.For(key), [...]error{nil, errDown}[rand.IntN(2)])
				g.State(key)
			}
		})
	}
	wg.Wait()
	if s := g.Stats(); s.Sketched > 100 || s.SketchOpenings == 0 {
		t.Errorf("stats %+v, want openings, and a key at most once in the sketch", s)
	}
}
