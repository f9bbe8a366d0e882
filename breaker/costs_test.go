package breaker_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"github.com/redoubt-go/redoubt/breaker"
)

// TestManyGoroutines does everything at once; the oracles are invariants: never
// more probes than allowed at a time, and every admitted call counted exactly
// once.
func TestManyGoroutines(t *testing.T) {
	const probes = 3
	cfg := steady()
	cfg.Window, cfg.OpenFor, cfg.MaxOpenFor, cfg.Probes = time.Millisecond, 20*time.Microsecond, 40*time.Microsecond, probes
	cfg.SlowCall = 100 * time.Microsecond
	cfg.ProbeTimeout = time.Hour
	b := breaker.New(cfg)
	var admitted, refused atomic.Uint64
	var wg sync.WaitGroup
	each := 2000
	if raceEnabled {
		each = 500
	}
	for range 64 {
		wg.Go(func() {
			for range each {
				err := b.Do(bg, func(context.Context) error {
					admitted.Add(1)
					if p := b.Stats().Probes; p > probes {
						t.Errorf("%d probes running, want at most %d", p, probes)
					}
					if rand.IntN(3) == 0 {
						return errDown
					}
					return nil
				})
				if errors.Is(err, breaker.ErrOpen) {
					refused.Add(1)
				}
			}
		})
	}
	wg.Wait()
	s := b.Stats()
	if ended := s.Successes + s.Failures + s.Late; ended != admitted.Load() || s.Rejected != refused.Load() {
		t.Errorf("totals %+v, want %d ended and %d refused", s, admitted.Load(), refused.Load())
	}
}

func TestNoGoroutines(t *testing.T) {
	before := runtime.NumGoroutine()
	for range 10000 {
		b := breaker.New(breaker.Config{})
		b.Trip(1, nil)
		succeed(b)
	}
	after := runtime.NumGoroutine()
	for end := time.Now().Add(time.Second); after > before && time.Now().Before(end); after = runtime.NumGoroutine() {
		time.Sleep(time.Millisecond) // a goroutine of an earlier test may be ending
	}
	if after > before {
		t.Errorf("%d goroutines, %d before", after, before)
	}
}

func TestCosts(t *testing.T) {
	closed, open := breaker.New(breaker.Config{}), breaker.New(breaker.Config{SlowCall: time.Hour})
	open.ForceOpen()
	throttle := breaker.NewThrottle(breaker.ThrottleConfig{})
	group := breaker.NewGroup(breaker.GroupConfig[string]{})
	ctx, cancel := context.WithCancel(bg)
	defer cancel()
	tests := []struct {
		name string
		want float64
		f    func()
	}{
		{"Do closed", 0, func() { breaker.Do(ctx, closed, work) }},
		{"Do open", 0, func() { breaker.Do(ctx, open, work) }},
		{"Do failing", 0, func() { fail(closed) }},
		{"Do throttled", 0, func() { breaker.Do(ctx, throttle, work) }},
		{"Do in a group", 0, func() { breaker.Do(ctx, group.For("key"), work) }},
		{"Allow", 1, func() { c, _ := closed.Allow(ctx); c.Done(nil) }},
		{"New", 1, func() { breaker.New(breaker.Config{}) }},
	}
	for _, tt := range tests {
		if tt.name == "Do failing" {
			closed.ForceClosed()
		}
		if got := testing.AllocsPerRun(1000, tt.f); got != tt.want {
			t.Errorf("%s: %v allocations, want %v", tt.name, got, tt.want)
		}
	}
	if size := unsafe.Sizeof(breaker.Call{}); size > 64 {
		t.Errorf("a Call has %d bytes, want at most 64", size)
	}
	if size := breaker.Sizes(); size > 576 {
		t.Errorf("a new breaker has %d bytes, want at most 576", size)
	}
}
