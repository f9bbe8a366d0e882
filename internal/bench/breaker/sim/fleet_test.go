package sim

import (
	"context"
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

// A kind makes the guard of one client. Where it has the notions, it judges 10 s, opens for 5 s at half of at least 20
// calls, and closes after two successes.
type kind struct {
	name string
	make func(w *world) guard
}

var kinds = []kind{
	{"none", func(*world) guard { return func(fn func() error) error { return fn() } }},
	{"redoubt", func(w *world) guard { return redoubt(w, 15*time.Second) }},
	{"redoubt, no ramp", func(w *world) guard { return redoubt(w, 0) }},
	{"redoubt throttle", func(*world) guard {
		return guardOf(breaker.NewThrottle(breaker.ThrottleConfig{Window: 10 * time.Second}))
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

// redoubt has the jitter of its open periods drawn from the seed, once for each client, in place of its own.
func redoubt(w *world, rampUp time.Duration) guard {
	openFor := 5 * time.Second
	openFor += time.Duration(w.rng.Float64() * 0.2 * float64(openFor))
	return guardOf(breaker.New(breaker.Config{OpenFor: openFor, MaxOpenFor: 2 * openFor, Jitter: -1, RampUp: rampUp}))
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

// mercaris needs the clock, for it leaves a goroutine behind that no bubble would tolerate.
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
func fleet(t *testing.T, k kind, seed uint64, flapping bool) (f figures) {
	w := newWorld(seed, flapping)
	if k.name == "mercari" {
		c, due := clock.NewMock(), time.Duration(0)
		w.sleep = func(d time.Duration) {
			if due += d; due >= 10*tick { // each Add takes a millisecond of real time
				c.Add(due)
				due = 0
			}
		}
		for range clients {
			w.guards = append(w.guards, mercaris(c))
		}
		return w.run()
	}
	synctest.Test(t, func(*testing.T) {
		for range clients {
			w.guards = append(w.guards, k.make(w))
		}
		f = w.run()
	})
	return f
}

const seeds = 5

// TestFleet prints the medians over the seeds. Of the recommended breaker, which draws no lots inside, it demands that
// a fleet with it wastes a quarter of what one without any does, and overloads the restarted service a tenth as much.
func TestFleet(t *testing.T) {
	if testing.Short() {
		t.Skip("simulates 110 outages")
	}
	logx.Disable() // go-zero's own
	for _, flapping := range []bool{false, true} {
		story := "outage of 60 s, cold restart over 30 s"
		if flapping {
			story = "the same, and up for 3 s in every 10 s"
		}
		t.Logf("%s\n%-18s %8s %9s %6s %10s", story, "", "wasted", "overload", "lost", "recovered")
		var bare figures
		for _, k := range kinds {
			var runs []figures
			for seed := range uint64(seeds) {
				runs = append(runs, fleet(t, k, seed, flapping))
			}
			f := medians(runs)
			t.Logf("%-18s %8d %9d %6d %8d s", k.name, f.wasted, f.overload, f.lost, f.recovered)
			switch {
			case k.name == "none":
				bare = f
			case k.name == "redoubt" && (4*f.wasted > bare.wasted || 10*f.overload > bare.overload):
				t.Errorf("redoubt wasted %d and overloaded by %d, without a breaker it was %d and %d", f.wasted, f.overload, bare.wasted, bare.overload)
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
	for _, flapping := range []bool{false, true} {
		a, b := fleet(t, kinds[1], 7, flapping), fleet(t, kinds[1], 7, flapping)
		if a != b {
			t.Errorf("got %v and %v from one seed", fmt.Sprint(a), fmt.Sprint(b))
		}
	}
}
