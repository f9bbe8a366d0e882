package breaker_test

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redoubt-go/redoubt/breaker"
)

func attempt(th *breaker.Throttle, err error) error {
	return th.Do(bg, func(context.Context) error { return err })
}

// An event loop makes calls through a gate at a rate, in virtual time, without
// a goroutine for each.
type eventLoop struct {
	flying flying
	now    time.Duration
}

// flying is a heap of calls by their ends.
type flying []flyingCall

type flyingCall struct {
	end  time.Duration
	call *breaker.Call
	o    breaker.Outcome
}

func (r flying) Len() int           { return len(r) }
func (r flying) Less(i, j int) bool { return r[i].end < r[j].end }
func (r flying) Swap(i, j int)      { r[i], r[j] = r[j], r[i] }
func (r *flying) Push(x any)        { *r = append(*r, x.(flyingCall)) }
func (r *flying) Pop() any {
	last := len(*r) - 1
	x := (*r)[last]
	*r = (*r)[:last]
	return x
}

// run makes rate calls a second for d. serve returns the outcome of a call that
// is sent and its duration. run returns the numbers of calls and of refusals.
func (l *eventLoop) run(g breaker.Gate, rate int, d time.Duration, serve func() (breaker.Outcome, time.Duration)) (calls, refused int) {
	pause := time.Second / time.Duration(rate)
	for end := l.now + d; l.now < end; l.now += pause {
		for len(l.flying) > 0 && l.flying[0].end <= l.now {
			c := heap.Pop(&l.flying).(flyingCall)
			c.call.Report(c.o)
		}
		calls++
		if c, err := g.Allow(bg); err != nil {
			refused++
		} else {
			o, took := serve()
			heap.Push(&l.flying, flyingCall{l.now + took, c, o})
		}
		time.Sleep(pause)
	}
	return calls, refused
}

// TestThrottleGrid makes calls at many rates and durations: through a healthy
// minute and an idle spell, an outage of a minute, and the time after it. The
// bounds of the outage are the calls that go-zero's adaptive breaker sends into
// the same outages, see internal/bench/breaker/sim.
func TestThrottleGrid(t *testing.T) {
	tests := []struct {
		rate       int
		took       time.Duration
		sent       int     // at most, in the outage
		lostWithin float64 // after it, in seconds of calls
	}{
		{10, time.Millisecond, 94, 3}, {10, 300 * time.Millisecond, 97, 3}, {10, 10 * time.Second, 168, 30},
		{20, 300 * time.Millisecond, 160, 3}, {50, 300 * time.Millisecond, 350, 3},
		{100, time.Millisecond, 650, 3}, {100, 300 * time.Millisecond, 680, 3}, {100, 10 * time.Second, 1377, 30},
		{1000, time.Millisecond, 6100, 3}, {1000, 300 * time.Millisecond, 6360, 3}, {1000, 10 * time.Second, 13370, 20},
		{10000, time.Millisecond, 60800, 3},
	}
	for _, tt := range tests {
		if raceEnabled && tt.rate > 1000 {
			continue
		}
		t.Run(fmt.Sprintf("%d a second of %v", tt.rate, tt.took), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				th := breaker.NewThrottle(breaker.ThrottleConfig{})
				well := func() (breaker.Outcome, time.Duration) { return breaker.OutcomeSuccess, tt.took }
				down := func() (breaker.Outcome, time.Duration) { return breaker.OutcomeFailure, min(tt.took, time.Second) }
				var l eventLoop
				_, refused := l.run(th, tt.rate, 20*time.Second, well)
				time.Sleep(time.Hour)
				l.now += time.Hour
				_, again := l.run(th, tt.rate, 20*time.Second, well)
				if refused+again > 0 {
					t.Errorf("%d and %d calls of a healthy dependency refused, want 0", refused, again)
				}
				calls, refused := l.run(th, tt.rate, time.Minute, down)
				if sent := calls - refused; sent > tt.sent {
					t.Errorf("%d calls sent into the outage, want at most %d", sent, tt.sent)
				}
				_, refused = l.run(th, tt.rate, time.Minute, well)
				if lost := float64(refused) / float64(tt.rate); lost > tt.lostWithin {
					t.Errorf("%.1f s of calls lost after the outage, want at most %v", lost, tt.lostWithin)
				}
				t.Logf("sent %d, lost %.1f s", calls-int(th.Stats().Rejected)+refused, float64(refused)/float64(tt.rate))
			})
		})
	}
}

// TestThrottleOverload has a dependency that serves a part of the calls. The
// throttle sends it about K times as many, and it stays busy.
func TestThrottleOverload(t *testing.T) {
	for _, k := range []float64{1.5, 2, 4} {
		t.Run(fmt.Sprint("K ", k), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const rate, capacity = 1000, 100
				th := breaker.NewThrottle(breaker.ThrottleConfig{K: k})
				served, budget, last := 0, 1.0, time.Now()
				serve := func() (breaker.Outcome, time.Duration) {
					budget = min(capacity/10, budget+capacity*time.Since(last).Seconds())
					last = time.Now()
					if budget < 1 {
						return breaker.OutcomeFailure, 50 * time.Millisecond
					}
					budget--
					served++
					return breaker.OutcomeSuccess, 50 * time.Millisecond
				}
				var l eventLoop
				l.run(th, rate, 30*time.Second, serve)
				served = 0
				calls, refused := l.run(th, rate, time.Minute, serve)
				ratio := float64(calls-refused) / float64(served)
				t.Logf("served %d of %d, sent %.2f times as many", served, capacity*60, ratio)
				if served < capacity*60*95/100 || ratio < 0.8*k || ratio > 1.2*k {
					t.Errorf("served %d of %d and sent %.2f times as many, want all and %v", served, capacity*60, ratio, k)
				}
			})
		})
	}
}

// TestThrottleShareOfFailures has failures that do not depend on the calls.
func TestThrottleShareOfFailures(t *testing.T) {
	tests := []struct {
		share float64 // of successes
		least float64 // of calls admitted
		most  float64
	}{
		{1, 1, 1}, {0.9, 1, 1}, {0.7, 0.99, 1}, {0.3, 0, 0.2}, {0, 0, 0.1},
	}
	for _, tt := range tests {
		synctest.Test(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(1, 1))
			th := breaker.NewThrottle(breaker.ThrottleConfig{})
			var l eventLoop
			calls, refused := l.run(th, 100, 5*time.Minute, func() (breaker.Outcome, time.Duration) {
				if rng.Float64() < tt.share {
					return breaker.OutcomeSuccess, 20 * time.Millisecond
				}
				return breaker.OutcomeFailure, 20 * time.Millisecond
			})
			if got := 1 - float64(refused)/float64(calls); got < tt.least || got > tt.most {
				t.Errorf("%v of the calls succeed: admitted %.3f, want %v to %v", tt.share, got, tt.least, tt.most)
			}
		})
	}
}

// TestThrottleAverage compares the share with a formula, as long as each call
// ends before the next begins and all in one instant. The oracle counts by
// itself.
func TestThrottleAverage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(1, 2))
		th := breaker.NewThrottle(breaker.ThrottleConfig{K: 3, MinCalls: 40})
		level, n, pending := 3.0, 0.0, 0
		for range 500 {
			var err error
			if rng.IntN(3) == 0 {
				err = errDown
			}
			attempt(th, err)
			if n++; err == nil {
				pending++
				continue
			}
			over := max(n, 41)
			for ; pending > 0; pending-- {
				level += (3 - level) / over
			}
			level -= level / over
			if got := 1 - th.Stats().RefuseShare; math.Abs(got-min(1, level)) > 1e-9 {
				t.Fatalf("call %v: share %v, want %v", n, got, min(1, level))
			}
		}
		for range 41 * 2 { // from 3 to below 1, where calls are refused
			if level >= 1 {
				attempt(th, errDown)
				n++
				for ; pending > 0; pending-- {
					level += (3 - level) / n
				}
				level -= level / n
				if got := 1 - th.Stats().RefuseShare; math.Abs(got-min(1, level)) > 1e-9 {
					t.Fatalf("call %v: share %v, want %v", n, got, min(1, level))
				}
			}
		}
	})
}

// TestThrottleProbes shows that a total outage still receives a few calls, so
// that its end is noticed: one call per 1.5 s, or a small share of the calls.
func TestThrottleProbes(t *testing.T) {
	for _, tt := range []struct {
		rate        int
		after       time.Duration
		least, most int // calls in ten seconds
	}{
		{10, time.Minute, 6, 7},
		{1000, 10 * time.Second, 220, 260},
		{1000, time.Minute, 130, 150},
		{1000, 10 * time.Minute, 20, 30},
	} {
		synctest.Test(t, func(t *testing.T) {
			th := breaker.NewThrottle(breaker.ThrottleConfig{})
			var l eventLoop
			down := func() (breaker.Outcome, time.Duration) { return breaker.OutcomeFailure, time.Millisecond }
			l.run(th, tt.rate, tt.after, down)
			calls, refused := l.run(th, tt.rate, 10*time.Second, down)
			if sent := calls - refused; sent < tt.least || sent > tt.most {
				t.Errorf("%d calls a second: %d admitted in 10 s after %v, want %d to %d", tt.rate, sent, tt.after, tt.least, tt.most)
			}
		})
	}
}

// TestThrottleForgets shows that old failures refuse nothing, whether calls
// were refused then or not yet.
func TestThrottleForgets(t *testing.T) {
	for _, failures := range []int{6, 1000} {
		synctest.Test(t, func(t *testing.T) {
			th := breaker.NewThrottle(breaker.ThrottleConfig{ProbeEvery: -1})
			for range failures {
				attempt(th, errDown)
				time.Sleep(10 * time.Millisecond)
			}
			if s := th.Stats(); failures > 6 && (s.RefuseShare < 0.97 || s.RefuseShare > 0.98) {
				t.Errorf("share %v refused in an outage, want 0.97 to 0.98", s.RefuseShare)
			}
			time.Sleep(11 * time.Second)
			for i := range 6 {
				if err := attempt(th, errDown); err != errDown {
					t.Fatalf("call %d long after %d failures: error %v", i+1, failures, err)
				}
			}
		})
	}
}

func TestOneProbeOfMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th := breaker.NewThrottle(breaker.ThrottleConfig{Window: 10 * time.Second, ProbeEvery: time.Minute})
		for range 1000 {
			attempt(th, errDown)
			time.Sleep(100 * time.Millisecond)
		}
		time.Sleep(time.Minute)
		var admitted atomic.Int64
		var wg sync.WaitGroup
		for range 1000 {
			wg.Go(func() {
				th.Do(bg, func(context.Context) error { admitted.Add(1); time.Sleep(time.Second); return nil })
			})
		}
		wg.Wait()
		if n := admitted.Load(); n < 12 || n > 18 { // 1.5 % and the probe
			t.Errorf("%d of 1000 calls admitted, want about 15", n)
		}
	})
}

func TestThrottleOutcomes(t *testing.T) {
	cancelled, cancel := context.WithCancel(bg)
	defer cancel()
	expired, stop := context.WithTimeout(bg, 0)
	defer stop()
	tests := []struct {
		name string
		ctx  context.Context
		err  error
		want breaker.ThrottleStats
	}{
		{"success", bg, nil, breaker.ThrottleStats{Successes: 1, WindowCalls: 1}},
		{"failure", bg, errDown, breaker.ThrottleStats{Failures: 1, WindowCalls: 1, WindowFailures: 1}},
		{"ignored", bg, breaker.Mark(errDown, breaker.OutcomeIgnored), breaker.ThrottleStats{Ignored: 1}},
		{"alive but failing", bg, breaker.Mark(errDown, breaker.OutcomeSuccess), breaker.ThrottleStats{Successes: 1, WindowCalls: 1}},
		{"refused inside", bg, &breaker.OpenError{}, breaker.ThrottleStats{Ignored: 1}},
		{"canceled", cancelled, context.Canceled, breaker.ThrottleStats{Ignored: 1}},
		{"canceled but marked", cancelled, breaker.Mark(errDown, breaker.OutcomeFailure), breaker.ThrottleStats{Failures: 1, WindowCalls: 1, WindowFailures: 1}},
		{"deadline", expired, context.DeadlineExceeded, breaker.ThrottleStats{Failures: 1, WindowCalls: 1, WindowFailures: 1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			th := breaker.NewThrottle(breaker.ThrottleConfig{})
			ctx := switched{bg, new(bool), tt.ctx}
			th.Do(ctx, func(context.Context) error { *ctx.on = true; cancel(); return tt.err })
			checkEqual(t, th.Stats(), tt.want)
		})
	}
	th := breaker.NewThrottle(breaker.ThrottleConfig{Name: "dep", Classify: func(error) breaker.Outcome { panic("boom") }})
	err := th.Do(cancelled, func(context.Context) error { t.Error("fn was called"); return nil })
	if !errors.Is(err, context.Canceled) || err.Error() != "breaker: dep: context canceled" {
		t.Errorf("error %v, want context.Canceled", err)
	}
	for _, f := range []func(){func() { panic("boom") }, func() {}} {
		func() {
			defer func() { recover() }()
			th.Do(bg, func(context.Context) error { f(); return errDown })
		}()
	}
	// A panic of the call and a panic of Classify are failures.
	checkEqual(t, th.Stats(), breaker.ThrottleStats{Name: "dep", Failures: 2, WindowCalls: 2, WindowFailures: 2})
}

// switched is a context that is done from some time on.
type switched struct {
	context.Context
	on   *bool
	then context.Context
}

func (s switched) Err() error {
	if *s.on {
		return s.then.Err()
	}
	return nil
}

// TestThrottleIgnored has a dead dependency, and callers who give up half of
// the calls: they are no successes.
func TestThrottleIgnored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th := breaker.NewThrottle(breaker.ThrottleConfig{})
		sent := 0
		for i := range 2000 {
			err := errDown
			if i%2 == 0 {
				err = breaker.Mark(errDown, breaker.OutcomeIgnored)
			}
			if got := attempt(th, err); !errors.Is(got, breaker.ErrOpen) {
				sent++
			}
			time.Sleep(10 * time.Millisecond)
		}
		if sent > 250 {
			t.Errorf("%d of 2000 calls sent to a dead dependency, want at most 250", sent)
		}
	})
}

func TestThrottleTwoStep(t *testing.T) {
	th := breaker.NewThrottle(breaker.ThrottleConfig{Name: "dep", ProbeEvery: -1})
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
	down := func() {
		for range 100 {
			attempt(th, errDown)
		}
		if s := th.Stats(); s.RefuseShare == 0 {
			t.Error("nothing is refused in an outage")
		}
	}
	fresh := func() {
		time.Sleep(time.Millisecond)
		attempt(th, nil)
		if s := th.Stats(); s.WindowCalls > 1 || s.RefuseShare > 0 {
			t.Errorf("stats %+v after a jump, want a fresh throttle", s)
		}
	}
	for range 3 {
		down()
		bubble(t, func() {
			fresh()
			down()
		})
		fresh()
	}
}

func TestThrottleSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th := breaker.NewThrottle(breaker.ThrottleConfig{Name: "a"})
		for range 100 {
			attempt(th, errDown)
		}
		if err := th.Set(breaker.ThrottleConfig{K: -1}); err == nil || th.Config().K != 2 {
			t.Errorf("error %v and K %v after a bad configuration", err, th.Config().K)
		}
		if th.Stats().RefuseShare == 0 {
			t.Error("a bad configuration changes the state")
		}
		if err := th.Set(breaker.ThrottleConfig{Name: "b", K: 1, Window: time.Minute}); err != nil {
			t.Fatal(err)
		}
		s := th.Stats()
		if s.Name != "b" || s.RefuseShare != 0 || s.WindowCalls != 0 || s.Failures == 0 {
			t.Errorf("stats %+v, want a fresh window and the old counters", s)
		}
		attempt(th, nil)
		attempt(th, errDown)
		if s := th.Stats(); s.RefuseShare == 0 {
			t.Error("K 1 does not apply")
		}
		var refusal *breaker.ThrottleError
		for range 100 {
			errors.As(attempt(th, errDown), &refusal)
		}
		if refusal == nil || refusal.Name != "b" {
			t.Errorf("refusal %v, want the new name", refusal)
		}
	})
}

func TestNilThrottle(t *testing.T) {
	var off *breaker.Throttle
	for range 100 {
		if err := off.Do(bg, func(context.Context) error { return errDown }); err != errDown {
			t.Fatalf("error %v", err)
		}
	}
	c, err := off.Allow(bg)
	if err != nil {
		t.Fatal(err)
	}
	c.Report(breaker.OutcomeFailure)
	if s, c := off.Stats(), off.Config(); s != (breaker.ThrottleStats{}) || c.K != 0 {
		t.Errorf("stats %+v, configuration %+v", s, c)
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
	if s := th.Stats(); s.Successes+s.Failures+s.Rejected != 40000 || s.RefuseShare < 0 || s.RefuseShare >= 1 {
		t.Errorf("stats %+v, want 40000 calls", s)
	}
}
