package bulkhead_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redoubt-go/redoubt/ratelimit/bulkhead"
)

// A server has workers and a queue, first come, first served.
type server struct {
	mu   sync.Mutex
	free []time.Time // when each worker is free
	work func() time.Duration
	done atomic.Int64
}

func newServer(workers int, work func() time.Duration) *server {
	return &server{free: make([]time.Time, workers), work: work}
}

// set changes the number of workers and their work.
func (s *server) set(workers int, work func() time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.work = work
	for len(s.free) < workers {
		s.free = append(s.free, time.Time{})
	}
	s.free = s.free[:workers]
}

func (s *server) call(context.Context) error {
	s.mu.Lock()
	now := time.Now()
	first := 0
	for i := range s.free {
		if s.free[i].Before(s.free[first]) {
			first = i
		}
	}
	end := now
	if s.free[first].After(now) {
		end = s.free[first]
	}
	end = end.Add(s.work())
	s.free[first] = end
	s.mu.Unlock()
	time.Sleep(end.Sub(now))
	s.done.Add(1)
	return nil
}

// exponential returns random times with that mean.
func exponential(seed uint64, mean time.Duration) func() time.Duration {
	r := rand.New(rand.NewPCG(seed, 0))
	return func() time.Duration { return time.Duration(r.ExpFloat64() * float64(mean)) }
}

// offer calls do at a rate, at random intervals, for the duration, and returns
// the number of calls and of refusals.
func offer(seed uint64, perSecond float64, d time.Duration, do func() error) (calls, refused int64) {
	r := rand.New(rand.NewPCG(seed, 1))
	var bad atomic.Int64
	for end := time.Now().Add(d); time.Now().Before(end); calls++ {
		time.Sleep(time.Duration(r.ExpFloat64() / perSecond * 1e9))
		go func() {
			if do() != nil {
				bad.Add(1)
			}
		}()
	}
	time.Sleep(time.Second)
	return calls, bad.Load()
}

// The comparison with other limits, in more scenarios, is
// internal/bench/ratelimit/sim.
func TestAdaptiveLimit(t *testing.T) {
	const workers, each = 20, 50 * time.Millisecond // at most 400 calls a second
	for _, tt := range []struct {
		name   string
		before func(*server) // the change before the measurement
		rate   float64
		d      time.Duration
		settle time.Duration

		shed     float64 // at most this share is refused
		goodput  float64 // at least so many calls a second are answered
		min, max int     // the limit in the end
	}{
		{"healthy", nil, 200, 30 * time.Second, 0, 0.001, 195, 20, 200},
		{"overload", nil, 800, 20 * time.Second, 5 * time.Second, 1, 0.96 * 400, 18, 40},
		{"overload of half of the workers", func(s *server) { s.set(10, exponential(7, each)) }, 800, 20 * time.Second, 5 * time.Second, 1, 0.96 * 200, 9, 25},
		{"ten times slower, no queue", func(s *server) { s.set(1000, exponential(7, 10*each)) }, 200, 30 * time.Second, 5 * time.Second, 0.001, 195, 100, 1000},
		{"three times slower, no queue", func(s *server) { s.set(1000, exponential(7, 3*each)) }, 200, 30 * time.Second, 5 * time.Second, 0.001, 195, 40, 1000},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newServer(workers, exponential(3, each))
				b := bulkhead.New(bulkhead.Config{Limit: 20, MaxQueue: -1, Adaptive: true})
				do := func() error { return b.Do(context.Background(), s.call) }
				offer(1, min(tt.rate, 300), 10*time.Second, do)
				if tt.before != nil {
					tt.before(s)
				}
				offer(2, tt.rate, tt.settle, do)
				start := s.done.Load()
				calls, refused := offer(4, tt.rate, tt.d, do)
				shed, goodput := float64(refused)/float64(calls), float64(s.done.Load()-start)/(tt.d+time.Second).Seconds()
				if tt.d += time.Second; shed > tt.shed || goodput < tt.goodput*20/21 || b.Limit() < tt.min || b.Limit() > tt.max {
					t.Errorf("shed %.4f, %.1f calls a second, limit %d; want at most %v, at least %v, %d to %d",
						shed, goodput, b.Limit(), tt.shed, tt.goodput, tt.min, tt.max)
				}
				time.Sleep(time.Hour) // all calls end
			})
		})
	}
}

// A limit that is hardly used is not lowered, whatever the times are.
func TestAdaptiveLimitOfOneCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(1, 2))
		b := bulkhead.New(bulkhead.Config{Limit: 20, MaxQueue: -1, Adaptive: true})
		for i := range 6000 {
			d := 5*time.Millisecond + time.Duration(r.IntN(10_000_000))
			if i > 3000 {
				d *= 10
			}
			_ = b.Do(t.Context(), func(context.Context) error { time.Sleep(d); return nil })
		}
		if b.Limit() != 20 {
			t.Errorf("limit %d, want 20", b.Limit())
		}
		for range 15 {
			if _, ok := b.TryAcquire(); !ok {
				t.Error("a caller of 15 is refused")
			}
		}
	})
}

// A server that hangs: all calls end at the same time, by their deadlines.
func TestDropsLowerTheAdaptiveLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bulkhead.New(bulkhead.Config{Limit: 50, MaxQueue: 1000, Adaptive: true})
		ctx, cancel := context.WithCancel(t.Context())
		for range 100 {
			go func() {
				for ctx.Err() == nil {
					_ = b.Do(ctx, func(ctx context.Context) error {
						ctx, cancel := context.WithTimeout(ctx, time.Second)
						defer cancel()
						<-ctx.Done()
						return ctx.Err()
					})
				}
			}()
		}
		time.Sleep(10 * time.Minute)
		if got := b.Limit(); got > 5 {
			t.Errorf("limit %d, want at most 5", got)
		}
		cancel()
		time.Sleep(time.Minute)
	})
}

// Calls that get no answer at any limit, such as the calls for a part of the
// data whose server is down, do not lower the limit for the others.
func TestDropsThatNoLimitPrevents(t *testing.T) {
	for _, tt := range []struct {
		name    string
		lost    float64
		timeout time.Duration
	}{
		{"an eighth", 0.125, time.Second},
		{"a third", 0.33, 300 * time.Millisecond},
		{"half", 0.5, 500 * time.Millisecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newServer(20, exponential(3, 50*time.Millisecond))
				b := bulkhead.New(bulkhead.Config{MaxQueue: -1, Adaptive: true})
				var mu sync.Mutex
				random := rand.New(rand.NewPCG(5, 5))
				do := func() error {
					return b.Do(context.Background(), func(ctx context.Context) error {
						mu.Lock()
						lost := random.Float64() < tt.lost
						mu.Unlock()
						if !lost {
							return s.call(ctx)
						}
						time.Sleep(tt.timeout)
						return context.DeadlineExceeded
					})
				}
				offer(1, 150, 20*time.Second, func() error { _ = do(); return nil })
				calls, refused := offer(2, 150, 60*time.Second, func() error {
					if err := do(); errors.Is(err, bulkhead.ErrFull) {
						return err
					}
					return nil
				})
				if shed := float64(refused) / float64(calls); shed > 0.01 {
					t.Errorf("shed %.4f, limit %d; want at most 0.01", shed, b.Limit())
				}
				time.Sleep(time.Hour)
			})
		})
	}
}

// Drops that a lower limit prevents lower it: the server works on calls whose
// callers have given up.
func TestDropsThatALowerLimitPrevents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const workers, timeout = 12, 200 * time.Millisecond // at most 300 calls a second
		s := newServer(workers, exponential(3, 40*time.Millisecond))
		b := bulkhead.New(bulkhead.Config{Limit: 150, MaxQueue: -1, Adaptive: true})
		var done atomic.Int64
		do := func() error {
			return b.Do(context.Background(), func(ctx context.Context) error {
				ctx, cancel := context.WithTimeout(ctx, timeout)
				defer cancel()
				answer := make(chan error, 1)
				go func() { answer <- s.call(ctx) }()
				select {
				case err := <-answer:
					done.Add(1)
					return err
				case <-ctx.Done():
					return ctx.Err()
				}
			})
		}
		offer(1, 900, 20*time.Second, do) // a backlog of abandoned calls is worked off
		start := done.Load()
		offer(2, 900, 20*time.Second, do)
		if rate := float64(done.Load()-start) / 21; rate < 0.85*300 {
			t.Errorf("%.1f calls a second, limit %d; want at least 255", rate, b.Limit())
		}
		time.Sleep(time.Hour)
	})
}

// A few drops are no overload, and ignored calls are no measurement.
func TestFewDropsDoNotLowerTheAdaptiveLimit(t *testing.T) {
	for name, end := range map[string]func(*bulkhead.Permit, int){
		"drops": func(p *bulkhead.Permit, i int) {
			if i%15 == 0 {
				p.Done(context.DeadlineExceeded)
			} else {
				p.Done(nil)
			}
		},
		"errors":   func(p *bulkhead.Permit, _ int) { p.Done(errors.New("invalid")) },
		"refusals": func(p *bulkhead.Permit, _ int) { p.Done(&bulkhead.FullError{}) },
		"released": func(p *bulkhead.Permit, _ int) { p.Release() },
		"reported": func(p *bulkhead.Permit, _ int) { p.Report(bulkhead.OutcomeIgnored) },
	} {
		synctest.Test(t, func(t *testing.T) {
			b := bulkhead.New(bulkhead.Config{Limit: 10, MaxLimit: 10, Adaptive: true})
			for i := range 3000 {
				go func() {
					p, err := b.Acquire(context.Background())
					if err == nil {
						time.Sleep(20 * time.Millisecond)
						end(p, i)
					}
				}()
				time.Sleep(3 * time.Millisecond)
			}
			time.Sleep(time.Second)
			if b.Limit() != 10 {
				t.Errorf("%s: limit %d, want 10", name, b.Limit())
			}
		})
	}
}

func TestReportedDropsLowerTheAdaptiveLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bulkhead.New(bulkhead.Config{Limit: 10, Adaptive: true})
		for range 50 {
			ps := hold(t, b, b.Limit())
			time.Sleep(100 * time.Millisecond)
			for _, p := range ps {
				p.Report(bulkhead.OutcomeDropped)
			}
		}
		limit := b.Limit()
		if limit > 8 {
			t.Errorf("limit %d, want at most 8", limit)
		}

		// Set keeps the limit unless it changes Config.Limit.
		c := b.Config()
		c.Name = "api"
		if err := b.Set(c); err != nil || b.Limit() != limit {
			t.Errorf("Set = %v, limit %d, want %d", err, b.Limit(), limit)
		}
		setLimit(t, b, 30)
		checkEqual(t, b.Limit(), 30)

		// A limit that is fixed again is not adapted by calls from before.
		ps := hold(t, b, 30)
		c.Adaptive, c.Limit = false, 30
		for _, p := range ps[:1] {
			p.Report(bulkhead.OutcomeDropped) // opens a window
		}
		time.Sleep(time.Second)
		if err := b.Set(c); err != nil {
			t.Error(err)
		}
		for _, p := range ps {
			p.Report(bulkhead.OutcomeDropped)
		}
		checkEqual(t, b.Limit(), 30)
	})
}

// Drops that the limit cannot prevent do not lower it.
func TestDropsOfAHardlyUsedLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bulkhead.New(bulkhead.Config{Limit: 20, Adaptive: true})
		for range 200 {
			ps := hold(t, b, 3)
			time.Sleep(100 * time.Millisecond)
			for _, p := range ps {
				p.Report(bulkhead.OutcomeDropped)
			}
		}
		checkEqual(t, b.Limit(), 20)
	})
}

// A caller that asks for more than an adaptive limit enters alone, and is not
// refused for a limit that may grow again.
func TestMoreThanTheAdaptiveLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bulkhead.New(bulkhead.Config{Limit: 4, MaxLimit: 10, Adaptive: true})
		small := hold(t, b, 1)[0]
		var got atomic.Pointer[bulkhead.Permit]
		go func() {
			if p, err := b.AcquireN(context.Background(), 6); err == nil {
				got.Store(p)
			}
		}()
		synctest.Wait()
		if got.Load() != nil || b.Queued() != 1 {
			t.Fatalf("%d inside, %d wait; want the large caller to wait", b.Inflight(), b.Queued())
		}
		small.Release()
		synctest.Wait()
		if got.Load() == nil || b.Inflight() != 6 {
			t.Fatalf("%d inside, want 6", b.Inflight())
		}
		_, err := b.AcquireN(context.Background(), 11)
		if reason(err) != "beyond the limit" {
			t.Errorf("more than MaxLimit: %v", err)
		}
		got.Load().Release()
	})
}

func TestClassifyThatPanicsLosesNoPlace(t *testing.T) {
	b := bulkhead.New(bulkhead.Config{Limit: 1, Adaptive: true, Classify: func(error) bulkhead.Outcome { panic("boom") }})
	func() {
		defer func() {
			if got := recover(); got != "boom" {
				t.Errorf("recovered %v, want boom", got)
			}
		}()
		_ = b.Do(t.Context(), func(context.Context) error { return errors.New("x") })
	}()
	if b.Inflight() != 0 {
		t.Errorf("%d inside, want 0", b.Inflight())
	}
}
