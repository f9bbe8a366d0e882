package sim

import (
	"context"
	"flag"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/benbjohnson/clock"
	"github.com/cep21/circuit/v4"
	"github.com/cep21/circuit/v4/closers/hystrix"
	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/adaptivethrottler"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/go-kratos/aegis/circuitbreaker/sre"
	mercari "github.com/mercari/go-circuitbreaker"
	"github.com/sony/gobreaker/v2"
	gozero "github.com/zeromicro/go-zero/core/breaker"
	"github.com/zeromicro/go-zero/core/logx"

	"github.com/redoubt-go/redoubt/breaker"
)

// A kind makes the guard of one client. Where a peer has these settings, it
// judges 10 s, opens for 5 s at half of at least 20 calls, and closes after two
// successes.
type kind struct {
	name string
	make func(w *world) guard
}

var kinds = []kind{
	{"none", func(*world) guard { return func(fn func() error) error { return fn() } }},
	{"redoubt", redoubt},
	{"redoubt throttle", func(*world) guard {
		return guardOf(breaker.NewThrottle(breaker.ThrottleConfig{}))
	}},
	{"gobreaker", gobreakers},
	{"failsafe", failsafes},
	{"failsafe throttle", failsafeThrottle},
	{"cep21", cep21},
	{"mercari", nil}, // see fleet
	{"go-zero", func(*world) guard {
		b := gozero.NewBreaker()
		return func(fn func() error) error { return b.Do(fn) }
	}},
	{"kratos", kratos},
}

// redoubt is the zero Config, except that the jitter is drawn from the seed.
func redoubt(w *world) guard {
	openFor := 4 * time.Second
	openFor += time.Duration(w.rng.Float64() * 0.2 * float64(openFor))
	return guardOf(breaker.New(breaker.Config{OpenFor: openFor, Jitter: -1}))
}

func guardOf(g breaker.Gate) guard {
	return func(fn func() error) error {
		_, err := breaker.Do(context.Background(), g, func(context.Context) (struct{}, error) { return struct{}{}, fn() })
		return err
	}
}

func gobreakers(*world) guard {
	b := gobreaker.NewCircuitBreaker[int](gobreaker.Settings{
		Interval: 10 * time.Second, BucketPeriod: time.Second, Timeout: 5 * time.Second, MaxRequests: 2,
		ReadyToTrip: func(c gobreaker.Counts) bool { return c.Requests >= 20 && c.TotalFailures*2 >= c.Requests },
	})
	return func(fn func() error) error {
		_, err := b.Execute(func() (int, error) { return 0, fn() })
		return err
	}
}

func failsafes(*world) guard {
	executor := failsafe.With(circuitbreaker.NewBuilder[int]().WithFailureRateThreshold(0.5, 20, 10*time.Second).
		WithDelay(5 * time.Second).WithSuccessThreshold(2).Build())
	return func(fn func() error) error { return executor.Run(fn) }
}

func failsafeThrottle(*world) guard {
	executor := failsafe.With(adaptivethrottler.NewBuilder[int]().WithFailureRateThreshold(0.1, 20, 30*time.Second).Build())
	return func(fn func() error) error { return executor.Run(fn) }
}

func cep21(*world) guard {
	b := circuit.NewCircuitFromConfig("dep", circuit.Config{
		General: circuit.GeneralConfig{
			ClosedToOpenFactory: hystrix.OpenerFactory(hystrix.ConfigureOpener{ErrorThresholdPercentage: 50, RequestVolumeThreshold: 20, RollingDuration: 10 * time.Second, NumBuckets: 10}),
			OpenToClosedFactory: hystrix.CloserFactory(hystrix.ConfigureCloser{SleepWindow: 5 * time.Second, HalfOpenAttempts: 1, RequiredConcurrentSuccessful: 2}),
		},
		Execution: circuit.ExecutionConfig{Timeout: -1, MaxConcurrentRequests: -1},
	})
	return func(fn func() error) error {
		return b.Execute(context.Background(), func(context.Context) error { return fn() }, nil)
	}
}

// mercaris needs the clock, because it leaves a goroutine behind, which no
// bubble tolerates.
func mercaris(c clock.Clock) guard {
	b := mercari.New(mercari.WithClock(c), mercari.WithTripFunc(mercari.NewTripFuncFailureRate(20, 0.5)), mercari.WithCounterResetInterval(10*time.Second),
		mercari.WithOpenTimeout(5*time.Second), mercari.WithHalfOpenMaxSuccesses(2))
	return func(fn func() error) error {
		_, err := b.Do(context.Background(), func() (any, error) { return nil, fn() })
		return err
	}
}

func kratos(*world) guard {
	b := sre.NewBreaker(sre.WithWindow(10*time.Second), sre.WithRequest(20))
	return func(fn func() error) error {
		if err := b.Allow(); err != nil {
			return err
		}
		err := fn()
		if err != nil {
			b.MarkFailed()
		} else {
			b.MarkSuccess()
		}
		return err
	}
}

// fleet runs one world whose clients all have guards of one kind.
func fleet(t *testing.T, k kind, s setup, st story, seed uint64) (f figures) {
	w := newWorld(s, st, seed)
	if k.name == "mercari" {
		c, due := clock.NewMock(), time.Duration(0)
		w.sleep = func(d time.Duration) {
			if due += d; due >= 10*tick { // each Add takes a millisecond of real time
				c.Add(due)
				due = 0
			}
		}
		for range w.clients {
			w.guards = append(w.guards, mercaris(c))
		}
		return w.run()
	}
	synctest.Test(t, func(*testing.T) {
		for range w.clients {
			w.guards = append(w.guards, k.make(w))
		}
		f = w.run()
	})
	return f
}

var (
	seeds   = flag.Int("seeds", 5, "runs of which the medians are printed")
	outages = flag.Bool("outages", false, "also simulate outages of other lengths and shapes")
)

// The stories of the first table, and of the others with -outages.
func stories() []story {
	all := []story{
		{name: "outage of 1m0s, cold restart", length: time.Minute, cold: true},
		{name: "flapping for 1m0s, cold restart", length: time.Minute, cold: true, flapping: true},
	}
	if !*outages {
		return all
	}
	for _, d := range []time.Duration{20 * time.Second, time.Minute, 3 * time.Minute, 10 * time.Minute} {
		all = append(all,
			story{name: fmt.Sprintf("outage of %v, cold restart", d), length: d, cold: true},
			story{name: fmt.Sprintf("outage of %v", d), length: d},
			story{name: fmt.Sprintf("flapping for %v", d), length: d, flapping: true},
			story{name: fmt.Sprintf("brownout of %v, 40 %% of the capacity left", d), length: d, left: 0.4},
		)
	}
	return slices.CompactFunc(all, func(a, b story) bool { return a == b })
}

// TestFleet prints the medians over the seeds. It requires that a fleet with
// redoubt's zero Config wastes a fifth of the calls of a fleet without
// breakers, overloads the service a tenth as much, and loses fewer calls, if
// the service restarts cold.
func TestFleet(t *testing.T) {
	if testing.Short() {
		t.Skip("simulates 110 outages")
	}
	logx.Disable() // go-zero's own
	for _, st := range stories() {
		t.Logf("%s\n%-18s %8s %9s %6s %10s", st.name, "", "wasted", "overload", "lost", "recovered")
		var bare figures
		for _, k := range kinds {
			var runs []figures
			for seed := range uint64(*seeds) {
				runs = append(runs, fleet(t, k, standard, st, seed))
			}
			f := medians(runs)
			t.Logf("%-18s %8d %9d %6d %8d s", k.name, f.wasted, f.overload, f.lost, f.recovered)
			switch {
			case k.name == "none":
				bare = f
			case k.name == "redoubt" && st.cold && (5*f.wasted > bare.wasted || 10*f.overload > bare.overload || f.lost > bare.lost):
				t.Errorf("redoubt wasted %d, overloaded by %d and lost %d; without a breaker it was %d, %d and %d",
					f.wasted, f.overload, f.lost, bare.wasted, bare.overload, bare.lost)
			}
		}
	}
}

func medians(runs []figures) figures {
	return figures{
		wasted:    median(runs, func(f figures) int { return f.wasted }),
		overload:  median(runs, func(f figures) int { return f.overload }),
		lost:      median(runs, func(f figures) int { return f.lost }),
		recovered: median(runs, func(f figures) int { return f.recovered }),
	}
}

func median(runs []figures, of func(figures) int) int {
	var v []int
	for _, r := range runs {
		v = append(v, of(r))
	}
	slices.Sort(v)
	return v[len(v)/2]
}

// TestDeterministic runs one world twice.
func TestDeterministic(t *testing.T) {
	for _, st := range stories() {
		a, b := fleet(t, kinds[1], standard, st, 7), fleet(t, kinds[1], standard, st, 7)
		if a, b := fmt.Sprint(a), fmt.Sprint(b); a != b {
			t.Errorf("two runs from one seed differ:\n%s\n%s", a, b)
		}
	}
}

// TestOtherFleets runs fleets and services with other constants, one seed each.
// It requires that redoubt wastes and overloads less than a quarter of no
// breaker, and loses at most an eighth more: without a collapse of the service,
// no breaker loses the least that the capacity allows.
func TestOtherFleets(t *testing.T) {
	if testing.Short() {
		t.Skip("simulates many outages")
	}
	for name, change := range map[string]func(*setup){
		"random arrivals":  func(s *setup) { s.random = true },
		"few fast clients": func(s *setup) { s.clients, s.interval = 4, 10*time.Millisecond },
		"one client":       func(s *setup) { s.clients, s.interval = 1, 10*time.Millisecond; s.capacity, s.cold = 130, 20 },
		"slow clients":     func(s *setup) { s.clients, s.interval = 200, 500*time.Millisecond },
		"instant":          func(s *setup) { s.instant = true },
		"patient":          func(s *setup) { s.patience = 5 * time.Second },
		"impatient":        func(s *setup) { s.patience = 300 * time.Millisecond },
		"short queue":      func(s *setup) { s.queue = 40 },
		"long queue":       func(s *setup) { s.queue = 4000 },
		"very cold":        func(s *setup) { s.cold, s.warming = 20, time.Minute },
		"barely enough":    func(s *setup) { s.capacity = 420 },
	} {
		for _, st := range stories()[:2] {
			t.Run(name+", "+st.name, func(t *testing.T) {
				s := standard
				change(&s)
				var all []figures
				for _, i := range []int{0, 1} { // none, redoubt
					var runs []figures
					for seed := range uint64(3) {
						runs = append(runs, fleet(t, kinds[i], s, st, seed))
					}
					all = append(all, medians(runs))
				}
				bare, f := all[0], all[1]
				t.Logf("%-34s wasted %5d of %5d, overload %5d of %5d, lost %5d of %5d, recovered %2d s of %2d s",
					name, f.wasted, bare.wasted, f.overload, bare.overload, f.lost, bare.lost, f.recovered, bare.recovered)
				if 4*f.wasted > bare.wasted || 4*f.overload > bare.overload+400 || 8*f.lost > 9*bare.lost {
					t.Error("not better than no breaker")
				}
			})
		}
	}
}
