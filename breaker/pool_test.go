package breaker_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redoubt-go/redoubt/breaker"
)

// A fleet is the endpoints of a pool, and which of them are down.
type fleet struct {
	mu    sync.Mutex
	down  map[string]bool
	calls []string
}

func newFleet(down ...string) *fleet {
	f := &fleet{down: map[string]bool{}}
	for _, k := range down {
		f.down[k] = true
	}
	return f
}

func (f *fleet) call(_ context.Context, k string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, k)
	if f.down[k] {
		return errDown
	}
	return nil
}

// take returns the calls since the last take.
func (f *fleet) take() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := strings.Join(f.calls, " ")
	f.calls = nil
	return s
}

func (f *fleet) set(k string, down bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.down[k] = down
}

func pool(change func(*breaker.PoolConfig[string]), endpoints ...string) *breaker.Pool[string] {
	cfg := breaker.PoolConfig[string]{Name: "pool", Endpoints: endpoints, Group: newGroup(0)}
	if change != nil {
		change(&cfg)
	}
	return breaker.NewPool(cfg)
}

func ordered(cfg *breaker.PoolConfig[string]) { cfg.Ordered = true }

// attempts calls p up to n times until a call succeeds, as a retry does.
func attempts(p *breaker.Pool[string], n int, f *fleet) (err error) {
	for range n {
		if err = p.Do(bg, f.call); err == nil {
			break
		}
	}
	return err
}

// TestRetryGoesElsewhere shows that the attempts of a call go to different
// endpoints, though no breaker is open yet.
func TestRetryGoesElsewhere(t *testing.T) {
	f := newFleet("a", "b")
	p := pool(ordered, "a", "b", "c")
	for range 2 { // and again in the next call
		if err := attempts(p, 3, f); err != nil {
			t.Errorf("%v, want c to answer", err)
		}
		if got := f.take(); got != "a b c" {
			t.Errorf("called %q, want each once", got)
		}
	}
	f.set("a", false)
	attempts(p, 3, f)
	if got := f.take(); got != "a" {
		t.Errorf("called %q, want the first endpoint", got)
	}
	if s := p.Stats(); s.Diverted != 4 || s.Running != 0 || s.Ejected != 0 {
		t.Errorf("stats %+v, want 4 diverted", s)
	}
}

// TestAllFailedLast shows that endpoints that all have failed are used.
func TestAllFailedLast(t *testing.T) {
	f := newFleet("a", "b")
	p := pool(ordered, "a", "b")
	attempts(p, 2, f)
	f.set("a", false)
	attempts(p, 1, f)
	attempts(p, 1, f)
	if got := f.take(); got != "a b a a" {
		t.Errorf("called %q", got)
	}
}

// TestFailuresDivertAsManyCalls shows that an endpoint that fails now and then
// keeps the other calls.
func TestFailuresDivertAsManyCalls(t *testing.T) {
	p := pool(ordered, "a", "b")
	n := map[string]int{}
	for i := range 1000 {
		p.Do(bg, func(_ context.Context, k string) error {
			if n[k]++; i%50 == 0 {
				return errDown
			}
			return nil
		})
	}
	if n["b"] != 20 {
		t.Errorf("%v, want 20 calls of b for 20 failures", n)
	}
}

// TestDebtIsBounded shows that many failures at once divert few calls.
func TestDebtIsBounded(t *testing.T) {
	p := pool(func(cfg *breaker.PoolConfig[string]) {
		cfg.Ordered = true
		cfg.Group = breaker.NewGroup(breaker.GroupConfig[string]{Config: func(string) breaker.Config {
			return breaker.Config{Consecutive: -1, FailureRatio: -1} // never opens
		}})
	}, "a", "b")
	var calls []*breaker.Call
	for range 1000 {
		_, c, _ := p.Allow(bg)
		calls = append(calls, c)
	}
	for _, c := range calls {
		c.Done(errDown)
	}
	f := newFleet()
	for range 100 {
		p.Do(bg, f.call)
	}
	if n := strings.Count(f.take(), "b"); n != 16 {
		t.Errorf("%d calls diverted, want 16", n)
	}
}

// TestFailOpenBesideProbes shows that an endpoint whose probes run is ejected.
func TestFailOpenBesideProbes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := pool(nil, "a", "b")
		for _, k := range []string{"a", "b"} {
			own(t, p.Config().Group, k).Trip(time.Second, nil)
		}
		time.Sleep(time.Second)
		for range 4 {
			if _, _, err := p.Allow(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if _, _, err := p.Allow(t.Context()); err != nil {
			t.Errorf("%v, want the pool to fail open", err)
		}
	})
}

// TestFailover shows a pool with a reserve through an outage of its first
// endpoint.
func TestFailover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet("a")
		p := pool(ordered, "a", "b")
		lost := 0
		for range 600 {
			if attempts(p, 2, f) != nil {
				lost++
			}
			time.Sleep(100 * time.Millisecond)
		}
		if n := strings.Count(f.take(), "a"); n > 70 || lost > 0 {
			t.Errorf("%d calls into the outage, %d lost; want few and none", n, lost)
		}
		if s := p.Stats(); s.Ejected != 1 || s.FailedOpen != 0 {
			t.Errorf("stats %+v, want a ejected", s)
		}
		f.set("a", false)
		time.Sleep(10 * time.Second)
		for range 100 {
			attempts(p, 2, f)
			time.Sleep(100 * time.Millisecond)
		}
		f.take()
		attempts(p, 2, f)
		if got := f.take(); got != "a" {
			t.Errorf("called %q after the outage, want a", got)
		}
	})
}

func TestBalance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet("d")
		p := pool(nil, "a", "b", "c", "d")
		for range 3000 {
			attempts(p, 2, f)
			time.Sleep(10 * time.Millisecond)
		}
		n := map[string]int{}
		for k := range strings.FieldsSeq(f.take()) {
			n[k]++
		}
		for _, k := range []string{"a", "b", "c"} {
			if n[k] < 800 || n[k] > 1200 {
				t.Errorf("%v, want a third each for a, b and c", n)
				break
			}
		}
		if n["d"] > 40 {
			t.Errorf("%v, want few calls of d", n)
		}
	})
}

// TestSlowEndpointGetsLess shows that running calls balance.
func TestSlowEndpointGetsLess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := breaker.NewPool(breaker.PoolConfig[string]{Endpoints: []string{"slow", "fast"}})
		n := map[string]int{}
		var wg sync.WaitGroup
		for range 2000 {
			wg.Go(func() {
				p.Do(t.Context(), func(_ context.Context, k string) error {
					if k == "slow" {
						time.Sleep(900 * time.Millisecond)
					}
					time.Sleep(100 * time.Millisecond)
					return nil
				})
			})
			if s := p.Stats(); s.Running > 0 && s.Running%10 == 0 {
				n["running"] = int(s.Running)
			}
			time.Sleep(10 * time.Millisecond)
		}
		wg.Wait()
		if n["running"] > 40 {
			t.Errorf("up to %d calls ran, want the fast endpoint to take most of them", n["running"])
		}
	})
}

// TestFailOpen ejects more endpoints than may be.
func TestFailOpen(t *testing.T) {
	trip := func(p *breaker.Pool[string], keys ...string) {
		for _, k := range keys {
			b := own(t, p.Config().Group, k)
			b.Trip(time.Hour, errDown)
		}
	}
	force := func(p *breaker.Pool[string], keys ...string) {
		for _, k := range keys {
			b := own(t, p.Config().Group, k)
			b.ForceOpen()
		}
	}
	share := func(f float64) func(*breaker.PoolConfig[string]) {
		return func(cfg *breaker.PoolConfig[string]) { cfg.MaxEjected = f }
	}
	tests := map[string]struct {
		cfg  func(*breaker.PoolConfig[string])
		act  func(p *breaker.Pool[string])
		want string // the endpoints that are called
	}{
		"half of them":             {nil, func(p *breaker.Pool[string]) { trip(p, "a", "b") }, "c d"},
		"more than half":           {nil, func(p *breaker.Pool[string]) { trip(p, "a", "b", "c") }, "a b c d"},
		"all":                      {nil, func(p *breaker.Pool[string]) { trip(p, "a", "b", "c", "d") }, "a b c d"},
		"all may be":               {share(1), func(p *breaker.Pool[string]) { trip(p, "a", "b", "c") }, "d"},
		"all of all":               {share(1), func(p *breaker.Pool[string]) { trip(p, "a", "b", "c", "d") }, ""},
		"none may be":              {share(-1), func(p *breaker.Pool[string]) { trip(p, "a") }, "a b c d"},
		"rounded up":               {share(0.1), func(p *breaker.Pool[string]) { trip(p, "a") }, "b c d"},
		"forced open":              {share(-1), func(p *breaker.Pool[string]) { force(p, "a"); trip(p, "b") }, "b c d"},
		"all forced open":          {nil, func(p *breaker.Pool[string]) { force(p, "a", "b", "c", "d") }, ""},
		"ordered":                  {ordered, func(p *breaker.Pool[string]) { trip(p, "a", "b", "c") }, "d"},
		"ordered, all":             {ordered, func(p *breaker.Pool[string]) { trip(p, "a", "b", "c", "d") }, "a"},
		"ordered, first is forced": {ordered, func(p *breaker.Pool[string]) { force(p, "a"); trip(p, "b", "c", "d") }, "b"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFleet()
				p := pool(tt.cfg, "a", "b", "c", "d")
				tt.act(p)
				var err error
				for range 400 {
					if err = p.Do(bg, f.call); err != nil {
						break
					}
				}
				got := strings.Fields(f.take())
				slices.Sort(got)
				if got := strings.Join(slices.Compact(got), " "); got != tt.want {
					t.Errorf("called %q, want %q", got, tt.want)
				}
				if (tt.want == "") != errors.Is(err, breaker.ErrOpen) {
					t.Errorf("error %v", err)
				}
			})
		})
	}
}

// TestSoonestRefusal shows that a pool that refuses reports when to try again.
func TestSoonestRefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := pool(func(cfg *breaker.PoolConfig[string]) { cfg.MaxEjected = 1 }, "a", "b", "c", "d")
		for i, d := range []time.Duration{0, time.Hour, time.Minute, 2 * time.Hour} {
			b := own(t, p.Config().Group, string(rune('a'+i)))
			if b.Trip(d, errDown); d == 0 {
				b.ForceOpen()
			}
		}
		for range 20 {
			err := p.Do(bg, newFleet().call)
			var e *breaker.OpenError
			if !errors.As(err, &e) || e.RetryAfter() != time.Minute {
				t.Fatalf("error %v, want the refusal of c", err)
			}
		}
	})
}

func TestPoolRepairsItself(t *testing.T) {
	p := pool(nil, "a", "b")
	for _, fn := range []func(context.Context, string) error{
		func(context.Context, string) error { panic("boom") },
		func(context.Context, string) error { runtime.Goexit(); return nil },
	} {
		done := make(chan struct{})
		go func() {
			defer close(done)
			defer func() { recover() }()
			p.Do(bg, fn)
		}()
		<-done
	}
	if s := p.Stats(); s.Running != 0 {
		t.Errorf("stats %+v, want no running call", s)
	}
	ctx, cancel := context.WithCancelCause(bg)
	cancel(errDown)
	err := p.Do(ctx, func(context.Context, string) error { t.Error("called"); return nil })
	if !errors.Is(err, context.Canceled) || !errors.Is(err, errDown) {
		t.Errorf("error %v, want that of the context", err)
	}
}

// TestCallerIsNoFailure shows that the errors of callers divert no calls.
func TestCallerIsNoFailure(t *testing.T) {
	ctx, cancel := context.WithCancel(bg)
	p := pool(ordered, "a", "b")
	p.Do(ctx, func(context.Context, string) error { cancel(); return ctx.Err() })
	p.Do(bg, func(context.Context, string) error { return breaker.Mark(errDown, breaker.OutcomeIgnored) })
	_, c, _ := p.Allow(bg)
	c.Report(breaker.OutcomeIgnored)
	if k, c, err := p.Allow(bg); k != "a" || err != nil {
		t.Errorf("Allow returns %q, %v; want a", k, err)
	} else {
		c.Answered()
		c.Report(breaker.OutcomeFailure)
	}
	if k, c, err := p.Allow(bg); k != "b" || err != nil {
		t.Errorf("Allow after a failure returns %q, %v; want b", k, err)
	} else {
		c.Done(nil)
	}
}

// TestMarkedFailureOfCanceledCall shows that a mark decides for the pool as it
// does for the breaker.
func TestMarkedFailureOfCanceledCall(t *testing.T) {
	ctx, cancel := context.WithCancel(bg)
	p := pool(ordered, "a", "b")
	p.Do(ctx, func(context.Context, string) error { cancel(); return breaker.Mark(errDown, breaker.OutcomeFailure) })
	if k, _, err := p.Allow(bg); k != "b" || err != nil {
		t.Errorf("Allow after a failure returns %q, %v; want b", k, err)
	}
}

// TestSketchJudgesForThePool shows that the Classify of an endpoint decides
// even if a sketch guards the endpoint.
func TestSketchJudgesForThePool(t *testing.T) {
	g := breaker.NewGroup(breaker.GroupConfig[string]{Max: 1, Config: func(string) breaker.Config {
		return breaker.Config{Classify: func(error) breaker.Outcome { return breaker.OutcomeIgnored }}
	}})
	g.For("x").(*breaker.Breaker).ForceOpen() // is never forgotten
	p := breaker.NewPool(breaker.PoolConfig[string]{Endpoints: []string{"a", "b"}, Group: g, Ordered: true})
	p.Do(bg, func(context.Context, string) error { return errDown })
	if k, _, err := p.Allow(bg); k != "a" || err != nil {
		t.Errorf("Allow returns %q, %v; want a", k, err)
	}
}

// TestOnlyEndpointIsNotAvoided shows that a call to an endpoint that has failed
// last, without another, is not counted as diverted.
func TestOnlyEndpointIsNotAvoided(t *testing.T) {
	p := pool(nil, "a")
	p.Do(bg, func(context.Context, string) error { return errDown })
	p.Do(bg, func(context.Context, string) error { return nil })
	if s := p.Stats(); s.Diverted != 0 {
		t.Errorf("%d calls diverted, want 0", s.Diverted)
	}
}

// TestLongBodyOfPoolDoesNotHang shows that the breaker of an endpoint learns
// that a call of the pool has an answer.
func TestLongBodyOfPoolDoesNotHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := pool(nil, "a")
		for range 100 {
			p.Do(t.Context(), func(context.Context, string) error { time.Sleep(100 * time.Millisecond); return nil })
		}
		for range 600 {
			_, c, err := p.Allow(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			c.Answered()
			defer c.Done(nil)
			time.Sleep(100 * time.Millisecond)
		}
	})
}

func TestPoolConfig(t *testing.T) {
	err := breaker.PoolConfig[string]{MaxEjected: 2}.Validate()
	if got, want := fmt.Sprint(err), "breaker: Endpoints is empty, want at least one\nbreaker: MaxEjected is 2, want a share in (0, 1], or a negative number"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	err = breaker.PoolConfig[string]{Endpoints: []string{"a", "a"}}.Validate()
	if got, want := fmt.Sprint(err), "breaker: Endpoints contains a twice, want different keys"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	err = breaker.PoolConfig[float64]{Endpoints: []float64{1, math.NaN()}}.Validate()
	if got, want := fmt.Sprint(err), "breaker: Endpoints contains NaN, want keys that equal themselves"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	func() {
		defer func() {
			if e, ok := recover().(error); !ok || !strings.Contains(e.Error(), "empty") {
				t.Errorf("NewPool panics with %v", e)
			}
		}()
		breaker.NewPool(breaker.PoolConfig[int]{})
	}()
}

func TestPoolSet(t *testing.T) {
	f := newFleet("a")
	p := pool(ordered, "a", "b")
	attempts(p, 1, f)
	cfg := p.Config()
	if cfg.MaxEjected != 0.5 || cfg.Group == nil {
		t.Errorf("Config returns %+v, want the defaults", cfg)
	}
	group := cfg.Group
	cfg.Endpoints[0] = "x" // a copy
	if err := p.Set(breaker.PoolConfig[string]{Ordered: true, Endpoints: []string{"a", "c"}}); err != nil {
		t.Fatal(err)
	}
	if p.Config().Group != group {
		t.Error("Set replaces the group, though it is nil")
	}
	attempts(p, 1, f)
	if got := f.take(); got != "a c" {
		t.Errorf("called %q, want c because a has failed", got)
	}
	if err := p.Set(breaker.PoolConfig[string]{}); err == nil {
		t.Error("Set accepts a configuration without endpoints")
	}
}

// TestPoolOfMany shows that a pool of more endpoints than a visit remembers
// works, and one of a single endpoint is as its breaker.
func TestPoolOfMany(t *testing.T) {
	for _, n := range []int{1, 2, 100} {
		synctest.Test(t, func(t *testing.T) {
			var all []string
			for i := range n {
				all = append(all, fmt.Sprint("e", i))
			}
			f := newFleet(all...)
			p := pool(func(cfg *breaker.PoolConfig[string]) { cfg.MaxEjected = 1 }, all...)
			refused := 0
			for range 100 * n {
				if errors.Is(p.Do(bg, f.call), breaker.ErrOpen) {
					refused++
				}
			}
			if sent := 100*n - refused; sent != 4*n {
				t.Errorf("%d endpoints: %d calls sent, want 4 each", n, sent)
			}
		})
	}
}

// TestPoolManyGoroutines checks that each call is counted once.
func TestPoolManyGoroutines(t *testing.T) {
	f := newFleet("b")
	p := pool(nil, "a", "b", "c")
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 500 {
				if (i+j)%3 == 0 {
					k, c, err := p.Allow(bg)
					if err == nil {
						c.Done(f.call(bg, k))
					}
					continue
				}
				p.Do(bg, f.call)
				if j == 250 {
					p.Set(p.Config())
				}
			}
		})
	}
	wg.Wait()
	var ended, failedOpen uint64
	for _, b := range p.Config().Group.All() {
		s := b.Stats()
		ended += s.Successes + s.Failures + s.Ignored + s.Late
	}
	s := p.Stats()
	failedOpen = s.FailedOpen
	if n := uint64(len(f.calls)); ended+failedOpen != n || s.Running != 0 {
		t.Errorf("%d calls, %d counted, stats %+v", n, ended, s)
	}
}

func TestPoolCosts(t *testing.T) {
	p := breaker.NewPool(breaker.PoolConfig[string]{Endpoints: []string{"a", "b", "c"}})
	if got := testing.AllocsPerRun(1000, func() {
		breaker.Over(bg, p, func(context.Context, string) (int, error) { return 1, nil })
	}); got != 0 {
		t.Errorf("%v allocations, want 0", got)
	}
}

// TestPoolInAnOutage sends 100 calls a second, with up to two attempts each, to
// three endpoints of which some are down for a minute. It compares pools with a
// random choice. docs/breaker.md contains the figures, which -v prints.
func TestPoolInAnOutage(t *testing.T) {
	for down := 1; down <= 3; down++ {
		lost, sent := map[string]int64{}, map[string]int64{}
		for _, mode := range []string{"random", "balanced", "ordered"} {
			synctest.Test(t, func(t *testing.T) {
				p := breaker.NewPool(breaker.PoolConfig[int]{Endpoints: []int{0, 1, 2}, Ordered: mode == "ordered"})
				var failed, wasted atomic.Int64
				start := time.Now()
				call := func(_ context.Context, k int) error {
					time.Sleep(50 * time.Millisecond)
					if d := time.Since(start); k < down && d >= 10*time.Second && d < 70*time.Second {
						wasted.Add(1)
						return errDown
					}
					return nil
				}
				attempt := func() error { return p.Do(bg, call) }
				if mode == "random" {
					attempt = func() error { return call(bg, rand.IntN(3)) }
				}
				var wg sync.WaitGroup
				for range 9000 {
					wg.Go(func() {
						err := attempt()
						if err != nil {
							err = attempt()
						}
						if err != nil {
							failed.Add(1)
						}
					})
					time.Sleep(10 * time.Millisecond)
				}
				wg.Wait()
				lost[mode], sent[mode] = failed.Load(), wasted.Load()
				t.Logf("%d down, %s: %d calls sent into the outage, %d lost", down, mode, sent[mode], lost[mode])
			})
		}
		for _, mode := range []string{"balanced", "ordered"} {
			limit := lost["random"] / 50
			if down == 3 {
				limit = lost["random"] + 50 // the pool fails open
			}
			if lost[mode] > limit || down < 3 && sent[mode] > 200 {
				t.Errorf("%d down, %s: %d sent into the outage, %d lost; without a pool %d and %d", down, mode, sent[mode], lost[mode], sent["random"], lost["random"])
			}
		}
	}
}
