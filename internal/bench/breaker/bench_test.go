package breaker_test

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/cep21/circuit/v4"
	"github.com/cep21/circuit/v4/closers/hystrix"
	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/go-kratos/aegis/circuitbreaker/sre"
	mercari "github.com/mercari/go-circuitbreaker"
	"github.com/sony/gobreaker/v2"
	gozero "github.com/zeromicro/go-zero/core/breaker"

	"github.com/redoubt-go/redoubt/breaker"
)

var (
	errDown = errors.New("down")
	bg      = context.Background()
)

// work is the guarded call: it fails if fail is true, and costs next to
// nothing.
func work(fail bool) (int, error) {
	if fail {
		return 0, errDown
	}
	return 1, nil
}

// A peer is one implementation. Where it has the notions, it judges 10 s in ten
// buckets, opens at half of at least 20 calls, and stays open for an hour, so
// that an open one stays so for the whole benchmark.
type peer struct {
	name string
	make func() func(fail bool) (int, error) // makes a breaker and returns calls through it
	new  func()                              // only makes one
}

var peers = []peer{
	{"redoubt", redoubt, func() { breaker.New(breaker.Config{OpenFor: time.Hour}) }},
	{"gobreaker", gobreakers, func() { newGobreaker() }},
	{"cep21", cep21, func() { newCep21() }},
	{"failsafe", failsafes, func() { newFailsafe() }},
	{"mercari", mercaris, func() { newMercari() }},
	{"go-zero", gozeros, func() { gozero.NewBreaker() }},
	{"kratos", kratos, func() { sre.NewBreaker() }},
}

func redoubt() func(bool) (int, error) {
	b := breaker.New(breaker.Config{OpenFor: time.Hour})
	return func(fail bool) (int, error) {
		return breaker.Do(bg, b, func(context.Context) (int, error) { return work(fail) })
	}
}

func gobreakerSettings() gobreaker.Settings {
	return gobreaker.Settings{
		Interval: 10 * time.Second, BucketPeriod: time.Second, Timeout: time.Hour, MaxRequests: 2,
		ReadyToTrip: func(c gobreaker.Counts) bool { return c.Requests >= 20 && c.TotalFailures*2 >= c.Requests },
	}
}

func newGobreaker() *gobreaker.CircuitBreaker[int] {
	return gobreaker.NewCircuitBreaker[int](gobreakerSettings())
}

func gobreakers() func(bool) (int, error) {
	b := newGobreaker()
	return func(fail bool) (int, error) {
		return b.Execute(func() (int, error) { return work(fail) })
	}
}

func newCep21() *circuit.Circuit {
	return circuit.NewCircuitFromConfig("dep", circuit.Config{
		General: circuit.GeneralConfig{
			ClosedToOpenFactory: hystrix.OpenerFactory(hystrix.ConfigureOpener{ErrorThresholdPercentage: 50, RequestVolumeThreshold: 20, RollingDuration: 10 * time.Second, NumBuckets: 10}),
			OpenToClosedFactory: hystrix.CloserFactory(hystrix.ConfigureCloser{SleepWindow: time.Hour, HalfOpenAttempts: 1, RequiredConcurrentSuccessful: 2}),
		},
		Execution: circuit.ExecutionConfig{Timeout: -1, MaxConcurrentRequests: -1},
	})
}

func cep21() func(bool) (int, error) {
	b := newCep21()
	return func(fail bool) (v int, err error) {
		err = b.Execute(bg, func(context.Context) error { v, err = work(fail); return err }, nil)
		return v, err
	}
}

func newFailsafe() circuitbreaker.CircuitBreaker[int] {
	return circuitbreaker.NewBuilder[int]().WithFailureRateThreshold(0.5, 20, 10*time.Second).WithDelay(time.Hour).WithSuccessThreshold(2).Build()
}

func failsafes() func(bool) (int, error) {
	executor := failsafe.With(newFailsafe())
	return func(fail bool) (int, error) {
		return executor.Get(func() (int, error) { return work(fail) })
	}
}

func newMercari() *mercari.CircuitBreaker {
	return mercari.New(mercari.WithTripFunc(mercari.NewTripFuncFailureRate(20, 0.5)), mercari.WithCounterResetInterval(10*time.Second),
		mercari.WithOpenTimeout(time.Hour), mercari.WithHalfOpenMaxSuccesses(2))
}

func mercaris() func(bool) (int, error) {
	b := newMercari()
	return func(fail bool) (int, error) {
		v, err := b.Do(bg, func() (any, error) { return work(fail) })
		n, _ := v.(int)
		return n, err
	}
}

func gozeros() func(bool) (int, error) {
	b := gozero.NewBreaker()
	return func(fail bool) (v int, err error) {
		err = b.Do(func() error { v, err = work(fail); return err })
		return v, err
	}
}

func kratos() func(bool) (int, error) {
	b := sre.NewBreaker()
	return func(fail bool) (int, error) {
		if err := b.Allow(); err != nil {
			return 0, err
		}
		v, err := work(fail)
		if err != nil {
			b.MarkFailed()
		} else {
			b.MarkSuccess()
		}
		return v, err
	}
}

// BenchmarkClosed is one successful call. Held fixed: the work, which adds 1 to
// a sum that is checked.
func BenchmarkClosed(b *testing.B) {
	for _, p := range peers {
		b.Run("impl="+p.name, func(b *testing.B) {
			call := p.make()
			sum, n := 0, 0
			b.ReportAllocs()
			for b.Loop() {
				v, _ := call(false)
				sum += v
				n++
			}
			if sum != n {
				b.Fatalf("%d of %d calls went through", sum, n)
			}
		})
	}
}

// BenchmarkClosedParallel is BenchmarkClosed on all processors at once.
func BenchmarkClosedParallel(b *testing.B) { parallel(b, 0) }

// BenchmarkMixedParallel has one failure in 64 calls. The SRE throttles admit
// all of them too.
func BenchmarkMixedParallel(b *testing.B) { parallel(b, 64) }

func parallel(b *testing.B, failEvery int) {
	for _, p := range peers {
		b.Run("impl="+p.name, func(b *testing.B) {
			call := p.make()
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				sum, want := 0, 0
				for i := 1; pb.Next(); i++ {
					fail := failEvery > 0 && i%failEvery == 0
					if !fail {
						want++
					}
					v, _ := call(fail)
					sum += v
				}
				if sum != want {
					b.Errorf("%d of %d calls went through", sum, want)
				}
			})
		})
	}
}

// opened returns the calls of a breaker that is open. The SRE throttles never
// are.
func opened(b *testing.B, p peer) func(bool) (int, error) {
	if p.name == "go-zero" || p.name == "kratos" {
		b.Skip("has no open state")
	}
	call := p.make()
	for range 100 {
		call(true)
	}
	return call
}

// BenchmarkOpen is one refusal. Held fixed: no call goes through.
func BenchmarkOpen(b *testing.B) {
	for _, p := range peers {
		b.Run("impl="+p.name, func(b *testing.B) {
			call := opened(b, p)
			sum := 0
			b.ReportAllocs()
			for b.Loop() {
				v, _ := call(false)
				sum += v
			}
			if sum != 0 {
				b.Fatalf("%d calls went through", sum)
			}
		})
	}
}

// BenchmarkOpenParallel is BenchmarkOpen on all processors at once.
func BenchmarkOpenParallel(b *testing.B) {
	for _, p := range peers {
		b.Run("impl="+p.name, func(b *testing.B) {
			call := opened(b, p)
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if v, _ := call(false); v != 0 {
						b.Error("a call went through")
					}
				}
			})
		})
	}
}

// BenchmarkTwoStep is one successful call whose outcome is reported apart. Held
// fixed: admission and report.
func BenchmarkTwoStep(b *testing.B) {
	b.Run("impl=redoubt", func(b *testing.B) {
		br := breaker.New(breaker.Config{})
		b.ReportAllocs()
		for b.Loop() {
			if c, err := br.Allow(bg); err == nil {
				c.Done(nil)
			}
		}
	})
	b.Run("impl=gobreaker", func(b *testing.B) {
		br := gobreaker.NewTwoStepCircuitBreaker[int](gobreakerSettings())
		b.ReportAllocs()
		for b.Loop() {
			if done, err := br.Allow(); err == nil {
				done(nil)
			}
		}
	})
	b.Run("impl=failsafe", func(b *testing.B) {
		br := newFailsafe()
		b.ReportAllocs()
		for b.Loop() {
			if br.TryAcquirePermit() {
				br.RecordSuccess()
			}
		}
	})
	b.Run("impl=go-zero", func(b *testing.B) {
		br := gozero.NewBreaker()
		b.ReportAllocs()
		for b.Loop() {
			if promise, err := br.Allow(); err == nil {
				promise.Accept()
			}
		}
	})
}

// BenchmarkNew makes one breaker.
func BenchmarkNew(b *testing.B) {
	for _, p := range peers {
		b.Run("impl="+p.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				p.new()
			}
		})
	}
}

// BenchmarkGroup is the breaker of one of 10000 keys and a successful call
// through it. Held fixed: the keys and their order. The comparison is a
// sync.Map without a bound.
func BenchmarkGroup(b *testing.B) {
	keys := make([]string, 10000)
	for i := range keys {
		keys[i] = "host-" + strconv.Itoa(i) + ".example.com"
	}
	ok := func(context.Context) (int, error) { return 1, nil }
	b.Run("impl=redoubt", func(b *testing.B) {
		g := breaker.NewGroup(breaker.GroupConfig[string]{Max: len(keys)})
		for _, k := range keys {
			breaker.Do(bg, g.For(k), ok)
		}
		i := 0
		b.ReportAllocs()
		for b.Loop() {
			i = (i + 7919) % len(keys)
			breaker.Do(bg, g.For(keys[i]), ok)
		}
	})
	b.Run("impl=syncmap", func(b *testing.B) {
		var m sync.Map
		for _, k := range keys {
			m.Store(k, breaker.New(breaker.Config{}))
		}
		i := 0
		b.ReportAllocs()
		for b.Loop() {
			i = (i + 7919) % len(keys)
			v, _ := m.Load(keys[i])
			breaker.Do(bg, v.(*breaker.Breaker), ok)
		}
	})
}

// BenchmarkThrottle is one successful call through a client-side throttle that
// admits everything.
func BenchmarkThrottle(b *testing.B) {
	b.Run("impl=redoubt", func(b *testing.B) {
		t := breaker.NewThrottle(breaker.ThrottleConfig{})
		b.ReportAllocs()
		for b.Loop() {
			breaker.Do(bg, t, func(context.Context) (int, error) { return work(false) })
		}
	})
	for _, p := range peers {
		if p.name != "go-zero" && p.name != "kratos" {
			continue
		}
		b.Run("impl="+p.name, func(b *testing.B) {
			call := p.make()
			b.ReportAllocs()
			for b.Loop() {
				call(false)
			}
		})
	}
}

// BenchmarkGroupFlood is a failing call of one of a million keys, of which a
// group of 4096 breakers has a breaker for few. Held fixed: the keys and their
// order, and that every call is admitted. The comparison is a sync.Map without
// a bound.
func BenchmarkGroupFlood(b *testing.B) {
	const keys = 1000000
	down := func(context.Context) (int, error) { return 0, errDown }
	cfg := breaker.Config{Consecutive: -1, FailureRatio: -1}
	b.Run("impl=redoubt", func(b *testing.B) {
		g := breaker.NewGroup(breaker.GroupConfig[int]{Config: func(int) breaker.Config { return cfg }})
		for key := range keys {
			breaker.Do(bg, g.For(key), down)
		}
		i := 0
		b.ReportAllocs()
		for b.Loop() {
			i = (i + 7919) % keys
			breaker.Do(bg, g.For(i), down)
		}
	})
	b.Run("impl=syncmap", func(b *testing.B) {
		var m sync.Map
		for key := range keys {
			m.Store(key, breaker.New(cfg))
		}
		i := 0
		b.ReportAllocs()
		for b.Loop() {
			i = (i + 7919) % keys
			v, _ := m.Load(i)
			breaker.Do(bg, v.(*breaker.Breaker), down)
		}
	})
}
