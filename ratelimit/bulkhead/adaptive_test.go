package bulkhead_test

import (
	"context"
	"errors"
	"math"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redoubt-go/redoubt/ratelimit/bulkhead"
)

// algorithms are fresh ones of each kind.
func algorithms() map[string]bulkhead.Algorithm {
	return map[string]bulkhead.Algorithm{"AIMD": bulkhead.AIMD{}, "Vegas": new(bulkhead.Vegas), "Gradient": new(bulkhead.Gradient)}
}

func TestNothingBreaksAnAlgorithm(t *testing.T) {
	for name, a := range algorithms() {
		for _, rtt := range []time.Duration{0, 1, 0, math.MaxInt64, 1, time.Second, -5} {
			for _, limit := range []int{1, 2, 1000, 1 << 30} {
				for _, s := range []bulkhead.Sample{{RTT: rtt}, {RTT: rtt, Dropped: true}, {RTT: rtt, Inflight: limit, Count: 10}} {
					got := a.Update(limit, s)
					if got < 1 || got-limit > limit+10 || s.Dropped && limit > 1 && got >= limit {
						t.Errorf("%s: %d becomes %d by %+v", name, limit, got, s)
					}
					if s.Inflight == 0 && got > limit && limit > 2 {
						t.Errorf("%s: %d grows to %d though nobody uses it", name, limit, got)
					}
				}
			}
		}
	}
	if got := (bulkhead.AIMD{MaxRTT: time.Second}).Update(50, bulkhead.Sample{RTT: time.Minute, Inflight: 50}); got >= 50 {
		t.Errorf("beyond MaxRTT: %d, want less than 50", got)
	}
}

func TestSlowerCallsNeverGrowIt(t *testing.T) {
	for name, a := range map[string]bulkhead.Algorithm{"Vegas": new(bulkhead.Vegas), "Gradient": new(bulkhead.Gradient)} {
		limit := 100
		a.Update(limit, bulkhead.Sample{RTT: 80 * time.Millisecond, Inflight: 100, Count: 10})
		for range 20 { // a quarter longer than the baseline, for 20 windows
			next := a.Update(limit, bulkhead.Sample{RTT: 106 * time.Millisecond, Inflight: limit, Count: 10})
			if next > limit {
				t.Fatalf("%s: %d grows to %d", name, limit, next)
			}
			limit = next
		}
	}
}

// recorder is an Algorithm that keeps its samples.
type recorder struct{ samples []bulkhead.Sample }

func (r *recorder) Update(limit int, s bulkhead.Sample) int {
	r.samples = append(r.samples, s)
	return limit
}

func TestWhatMakesASample(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := new(recorder)
		b := bulkhead.New(bulkhead.Config{Limit: 50, Algorithm: r})
		call := func(err error) {
			_ = b.Do(t.Context(), func(context.Context) error { time.Sleep(20 * time.Millisecond); return err })
		}
		for range 30 { // none of these counts
			call(context.Canceled)
			call(errors.New("invalid"))
			call(&bulkhead.FullError{})
			p, _ := b.TryAcquire()
			p.Release()
		}
		if len(r.samples) != 0 {
			t.Fatalf("samples of ignored calls: %+v", r.samples)
		}
		for range 9 {
			call(nil)
		}
		call(context.DeadlineExceeded)
		want := bulkhead.Sample{RTT: 20 * time.Millisecond, Inflight: 1, Dropped: true, Count: 10}
		if len(r.samples) != 1 || r.samples[0] != want {
			t.Errorf("got %+v, want %+v", r.samples, want)
		}
	})
}

// fragile is an Algorithm that panics once, and looks at the bulkhead, which
// must not be locked then.
type fragile struct {
	b     *bulkhead.Bulkhead
	calls int
}

func (f *fragile) Update(limit int, _ bulkhead.Sample) int {
	if f.calls++; f.calls == 1 {
		panic("boom")
	}
	return f.b.Stats().Limit + 1
}

func TestUpdateRunsOutsideLocks(t *testing.T) {
	f := new(fragile)
	f.b = bulkhead.New(bulkhead.Config{Limit: 5, Algorithm: f, Window: 1})
	for i := range 20 {
		func() {
			defer func() {
				if got := recover(); (got != nil) != (i == 9) {
					t.Errorf("call %d: recovered %v", i, got)
				}
			}()
			_ = f.b.Do(t.Context(), func(context.Context) error { time.Sleep(time.Nanosecond); return nil })
		}()
	}
	if f.b.Limit() != 6 || f.b.Inflight() != 0 {
		t.Errorf("limit %d, %d inside, want 6 and 0", f.b.Limit(), f.b.Inflight())
	}
}

// A server works on so many requests at a time; the others wait in it, and are
// not refused.
type server struct {
	mu     sync.Mutex
	lanes  []time.Time // when each is free
	each   time.Duration
	served int
	times  []time.Duration
}

// call takes the lane that is free first.
func (s *server) call(context.Context) error {
	s.mu.Lock()
	now := time.Now()
	lane := 0
	for i := range s.lanes {
		if s.lanes[i].Before(s.lanes[lane]) {
			lane = i
		}
	}
	start := now
	if s.lanes[lane].After(now) {
		start = s.lanes[lane]
	}
	end := start.Add(s.each)
	s.lanes[lane] = end
	s.mu.Unlock()
	time.Sleep(end.Sub(now))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.served++
	s.times = append(s.times, end.Sub(now))
	return nil
}

func TestSimulation(t *testing.T) {
	// Oracle: Little's law. With c lanes the best limit is c, and serves c /
	// each.
	const each, lanes = 20 * time.Millisecond, 40
	for name, a := range map[string]bulkhead.Algorithm{"Vegas": new(bulkhead.Vegas), "Gradient": new(bulkhead.Gradient)} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &server{lanes: make([]time.Time, lanes), each: each}
				b := bulkhead.New(bulkhead.Config{Limit: 5, MaxQueue: 1000, Algorithm: a})
				ctx, cancel := context.WithCancel(t.Context())
				for range 150 { // always more than there is room for
					go func() {
						for ctx.Err() == nil {
							_ = b.Do(ctx, s.call)
						}
					}()
				}
				step := func(what string, optimum int, each time.Duration) {
					time.Sleep(60 * 100 * time.Millisecond) // 60 windows to get there
					s.mu.Lock()
					s.served, s.times = 0, nil
					s.mu.Unlock()
					var limits []int
					for range 100 {
						time.Sleep(100 * time.Millisecond)
						limits = append(limits, b.Limit())
					}
					s.mu.Lock()
					defer s.mu.Unlock()
					slices.Sort(limits)
					slices.Sort(s.times)
					median, p99 := limits[50], s.times[len(s.times)*99/100]
					share := float64(s.served) / (10 * float64(optimum) / each.Seconds())
					t.Logf("%s: limit %d of %d, throughput %.2f, p99 %v", what, median, optimum, share, p99)
					if ratio := float64(median) / float64(optimum); ratio < 0.8 || ratio > 1.5 || share < 0.9 || p99 > 2*each {
						t.Errorf("%s: limit %d of %d, throughput %.2f, p99 %v", what, median, optimum, share, p99)
					}
				}
				step("start", lanes, each)
				s.mu.Lock()
				s.lanes = s.lanes[:lanes/2]
				s.mu.Unlock()
				step("half of the lanes", lanes/2, each)
				s.mu.Lock()
				s.lanes = make([]time.Time, lanes)
				s.mu.Unlock()
				step("all lanes again", lanes, each)
				s.mu.Lock()
				s.each = 2 * each
				s.mu.Unlock()
				step("all calls take longer", lanes, 2*each)
				cancel()
				time.Sleep(time.Minute)
			})
		})
	}
}

func TestSimulationOfAStableTimeout(t *testing.T) {
	// A server that hangs: every call ends at the same time, by its deadline.
	// The limit must not open.
	for name, a := range algorithms() {
		synctest.Test(t, func(t *testing.T) {
			b := bulkhead.New(bulkhead.Config{Limit: 50, MaxQueue: 1000, Algorithm: a})
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
				t.Errorf("%s: limit %d, want at most 5", name, got)
			}
			cancel()
			time.Sleep(time.Minute)
		})
	}
}
