package breaker_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redoubt-go/redoubt/breaker"
)

func attempt(th *breaker.Throttle, err error) error {
	return th.Do(bg, func(context.Context) error { return err })
}

// TestThrottleFormula compares the refused share with the formula computed from
// counts kept here.
func TestThrottleFormula(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th := breaker.NewThrottle(breaker.ThrottleConfig{ProbeEvery: -1})
		requests, accepts, refused := 0.0, 0.0, 0
		for i := range 2000 {
			var err error
			if i > 100 && i%10 != 0 {
				err = errDown
			}
			got := attempt(th, err)
			requests++
			if got == nil {
				accepts++
			}
			if errors.Is(got, breaker.ErrOpen) {
				refused++
			}
			want := max(0, (requests-2*accepts)/(requests+1))
			if requests < 20 {
				want = 0
			}
			if s := th.Stats(); math.Abs(s.RefuseShare-want) > 1e-12 || s.RefuseShare >= 1 {
				t.Fatalf("after %v attempts and %v accepts: share %v, want %v", requests, accepts, s.RefuseShare, want)
			}
		}
		s := th.Stats()
		if s.Rejected != uint64(refused) || s.Attempts != 2000 || s.Accepts != uint64(accepts) {
			t.Errorf("stats %+v, want %d refused of 2000 and %v accepted", s, refused, accepts)
		}
		// Twice as many calls as are accepted go through, at first on the
		// credit of the hundred successes.
		if refused < 900 || refused > 1500 {
			t.Errorf("%d of 2000 refused, want about 1200", refused)
		}
		time.Sleep(30 * time.Second)
		if s := th.Stats(); s.WindowAttempts != 0 || s.RefuseShare != 0 {
			t.Errorf("%d attempts in the window after its end, want 0", s.WindowAttempts)
		}
	})
}

// In a total outage one call per ProbeEvery still goes through, so that
// recovery is noticed at once.
func TestThrottleProbes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th := breaker.NewThrottle(breaker.ThrottleConfig{})
		admitted := make([]int, 600)
		for second := range admitted {
			for range 100 {
				if err := attempt(th, errDown); err == errDown {
					admitted[second]++
				}
				time.Sleep(10 * time.Millisecond)
			}
		}
		for second, n := range admitted[60:] {
			if n < 1 || n > 5 {
				t.Fatalf("%d calls admitted in second %d, want about 1", n, second+60)
			}
		}
	})
}

func TestOneProbeOfMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th := breaker.NewThrottle(breaker.ThrottleConfig{Window: time.Hour, ProbeEvery: time.Minute})
		for range 100000 {
			attempt(th, errDown)
		}
		time.Sleep(time.Minute)
		var mu sync.Mutex
		admitted := 0
		var wg sync.WaitGroup
		for range 1000 {
			wg.Go(func() {
				if attempt(th, errDown) == errDown {
					mu.Lock()
					admitted++
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		if admitted < 1 || admitted > 4 { // chance admits 1 in 100000
			t.Errorf("%d calls went through, want 1", admitted)
		}
	})
}

func TestThrottleOutcomes(t *testing.T) {
	cancelled, cancel := context.WithCancel(bg)
	tests := []struct {
		name string
		err  error
		want int // accepts
	}{
		{"success", nil, 1},
		{"failure", errDown, 0},
		{"ignored", breaker.Mark(errDown, breaker.OutcomeIgnored), 1},
		{"alive but failing", breaker.Mark(errDown, breaker.OutcomeSuccess), 1},
		{"refused inside", &breaker.OpenError{}, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			th := breaker.NewThrottle(breaker.ThrottleConfig{})
			attempt(th, tt.err)
			if got := th.Stats().WindowAccepts; got != tt.want {
				t.Errorf("%d accepts, want %d", got, tt.want)
			}
		})
	}
	th := breaker.NewThrottle(breaker.ThrottleConfig{Name: "dep"})
	th.Do(cancelled, func(context.Context) error { cancel(); return context.Canceled })
	if got := th.Stats().WindowAccepts; got != 1 {
		t.Errorf("%d accepts after a call its caller gave up, want 1", got)
	}
	if err := th.Do(cancelled, func(context.Context) error { t.Error("fn was called"); return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want context.Canceled", err)
	}
	if got := th.Stats().WindowAttempts; got != 1 {
		t.Errorf("%d attempts, want the one whose context was alive", got)
	}
	func() {
		defer func() { recover() }()
		th.Do(bg, func(context.Context) error { panic("boom") })
	}()
	if s := th.Stats(); s.WindowAttempts != 2 || s.WindowAccepts != 1 {
		t.Errorf("%d attempts and %d accepts after a panic, want 2 and 1", s.WindowAttempts, s.WindowAccepts)
	}
}

func TestThrottleTwoStep(t *testing.T) {
	th := breaker.NewThrottle(breaker.ThrottleConfig{Name: "dep", MinCalls: -1, Window: time.Hour, ProbeEvery: -1})
	var refusal *breaker.ThrottleError
	for range 1000 {
		c, err := th.Allow(bg)
		if errors.As(err, &refusal) {
			break
		}
		c.Report(breaker.OutcomeFailure)
		c.Done(nil)
	}
	if refusal == nil || refusal.Error() != "breaker: dep: throttled" || !refusal.Rejected() {
		t.Errorf("refusal %v, want one by a throttle", refusal)
	}
}

func TestThrottleClockJumps(t *testing.T) {
	th := breaker.NewThrottle(breaker.ThrottleConfig{})
	for range 3 {
		for range 100 {
			attempt(th, errDown)
		}
		bubble(t, func() {
			attempt(th, nil)
			if got := th.Stats().WindowAttempts; got > 1 {
				t.Errorf("%d attempts in the window after a jump, want a fresh one", got)
			}
			for range 100 {
				attempt(th, errDown)
			}
			if err := th.Stats(); err.RefuseShare == 0 {
				t.Error("nothing is refused after a jump")
			}
		})
		attempt(th, nil)
		if got := th.Stats().WindowAttempts; got > 1 {
			t.Errorf("%d attempts in the window after a jump, want a fresh one", got)
		}
	}
}

func TestThrottleConfig(t *testing.T) {
	tests := []struct {
		cfg  breaker.ThrottleConfig
		want string
	}{
		{breaker.ThrottleConfig{}, "<nil>"},
		{breaker.ThrottleConfig{K: 1, MinCalls: -1, ProbeEvery: -1}, "<nil>"},
		{breaker.ThrottleConfig{K: 0.5, Window: -1}, "breaker: K is 0.5, want a finite number of at least 1\nbreaker: Window is -1ns, want at least 10ns"},
		{breaker.ThrottleConfig{K: math.NaN()}, "breaker: K is NaN, want a finite number of at least 1"},
		{breaker.ThrottleConfig{K: math.Inf(1)}, "breaker: K is +Inf, want a finite number of at least 1"},
	}
	for _, tt := range tests {
		err := tt.cfg.Validate()
		checkEqual(t, fmt.Sprint(err), tt.want)
		func() {
			defer func() {
				if v := recover(); fmt.Sprint(v) != fmt.Sprint(err) {
					t.Errorf("NewThrottle panics with %v, want %v", v, err)
				}
			}()
			breaker.NewThrottle(tt.cfg)
		}()
	}
}

func TestThrottleManyGoroutines(t *testing.T) {
	th := breaker.NewThrottle(breaker.ThrottleConfig{Window: 100 * time.Microsecond, MinCalls: -1})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 5000 {
				var err error
				if i%3 != 0 {
					err = errDown
				}
				attempt(th, err)
			}
		})
	}
	wg.Wait()
	if s := th.Stats(); s.Attempts != 40000 || s.RefuseShare < 0 || s.RefuseShare >= 1 {
		t.Errorf("%d attempts, share %v; want 40000 and a share in [0, 1)", s.Attempts, s.RefuseShare)
	}
}
