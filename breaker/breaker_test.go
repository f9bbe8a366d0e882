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
	"unsafe"

	"github.com/google/go-cmp/cmp"

	"github.com/redoubt-go/redoubt/breaker"
)

var (
	errDown = errors.New("down")
	bg      = context.Background()
)

// steady is a configuration without chance: four calls decide, and openings last exactly 1 s, 2 s, 4 s, 8 s.
func steady() breaker.Config {
	return breaker.Config{
		Name: "dep", Window: 10 * time.Second, MinCalls: 4, Consecutive: -1,
		OpenFor: time.Second, MaxOpenFor: 8 * time.Second, Jitter: -1, Probes: 2, ProbeTimeout: 3 * time.Second,
	}
}

func succeed(b *breaker.Breaker) error {
	return b.Do(bg, func(context.Context) error { return nil })
}

func fail(b *breaker.Breaker) error {
	return b.Do(bg, func(context.Context) error { return errDown })
}

func repeat(n int, f func(*breaker.Breaker) error, b *breaker.Breaker) {
	for range n {
		f(b)
	}
}

func checkState(t *testing.T, b *breaker.Breaker, want breaker.State) {
	t.Helper()
	if got := b.State(); got != want {
		t.Fatalf("state %v, want %v", got, want)
	}
}

func checkRefused(t *testing.T, b *breaker.Breaker) *breaker.OpenError {
	t.Helper()
	ran := false
	err := b.Do(bg, func(context.Context) error { ran = true; return nil })
	var refusal *breaker.OpenError
	if ran || !errors.As(err, &refusal) || !errors.Is(err, breaker.ErrOpen) || !refusal.Rejected() {
		t.Fatalf("ran %v, error %v; want a refusal", ran, err)
	}
	return refusal
}

// mustAllow is for calls whose end is not their beginning.
func mustAllow(t *testing.T, b *breaker.Breaker) *breaker.Call {
	t.Helper()
	c, err := b.Allow(bg)
	if err != nil {
		t.Fatalf("Allow: %v", err)
	}
	return c
}

// halfOpen returns a breaker that is open and whose next call is a probe.
func halfOpen(t *testing.T, cfg breaker.Config) *breaker.Breaker {
	t.Helper()
	b := breaker.New(cfg)
	b.Trip(time.Second, errDown)
	time.Sleep(time.Second)
	checkState(t, b, breaker.HalfOpen)
	return b
}

func TestTrap01_HangLongerThanWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := breaker.New(steady())
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				b.Do(bg, func(context.Context) error { time.Sleep(30 * time.Second); return errDown })
			})
		}
		wg.Wait()
		checkState(t, b, breaker.Open)
	})
}

func TestTrap02_GoexitInProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := halfOpen(t, steady())
		done := make(chan bool)
		go func() {
			defer close(done)
			b.Do(bg, func(context.Context) error { runtime.Goexit(); return nil })
		}()
		<-done
		checkState(t, b, breaker.Open)
		if s := b.Stats(); s.Probes != 0 || s.Total.Failures != 1 {
			t.Fatalf("stats %+v, want no probe running and one failure", s)
		}
		time.Sleep(24 * time.Hour)
		repeat(2, succeed, b)
		checkState(t, b, breaker.Closed)
	})
}

func TestTrap03_LostProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var reasons []string
		cfg := steady()
		cfg.OnEvent = func(_ context.Context, e breaker.Event) { reasons = append(reasons, e.Reason) }
		b := halfOpen(t, cfg)
		mustAllow(t, b)
		mustAllow(t, b) // neither is ever reported
		checkRefused(t, b)
		time.Sleep(3*time.Second - 1)
		checkRefused(t, b)
		time.Sleep(time.Nanosecond)
		if r := checkRefused(t, b); r.State != breaker.Open || r.RetryAfter() != 2*time.Second {
			t.Fatalf("refused by %v for %v, want open for 2s", r.State, r.RetryAfter())
		}
		time.Sleep(2 * time.Second)
		repeat(2, succeed, b)
		checkState(t, b, breaker.Closed)
		want := []string{"tripped", "open period over", "probe timeout", "open period over", "probes succeeded"}
		if d := cmp.Diff(want, reasons); d != "" {
			t.Fatal(d)
		}
	})
}

// A lost probe that nobody noticed at once opened the breaker when its time was up, not when it was noticed.
func TestTrap03_LostProbeNoticedLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := halfOpen(t, steady())
		c := mustAllow(t, b)
		time.Sleep(time.Minute)
		repeat(2, succeed, b)
		checkState(t, b, breaker.Closed)
		c.Done(errDown)
		if s := b.Stats(); s.Total.Late != 1 || s.Total.Openings != 2 {
			t.Fatalf("totals %+v, want 1 late and 2 openings", s.Total)
		}
	})
}

func TestTrap04_DoneTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := halfOpen(t, steady())
		c := mustAllow(t, b)
		c.Done(nil)
		c.Done(nil)
		c.Report(breaker.Failure)
		checkState(t, b, breaker.HalfOpen)
		succeed(b)
		checkState(t, b, breaker.Closed)
		if s := b.Stats(); s.Total.Successes != 2 || s.Total.Failures != 0 {
			t.Fatalf("totals %+v, want 2 successes", s.Total)
		}
	})
}

func TestTrap05_PanicIsFailureAndPassesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := halfOpen(t, steady())
		func() {
			defer func() {
				if v := recover(); v != "boom" {
					t.Errorf("recovered %v, want boom", v)
				}
			}()
			b.Do(bg, func(context.Context) error { panic("boom") })
		}()
		checkState(t, b, breaker.Open)
		if s := b.Stats(); s.Probes != 0 || s.Total.Failures != 1 {
			t.Fatalf("stats %+v, want no probe running and one failure", s)
		}
	})
}

func TestTrap05_PanicInClassify(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := steady()
		cfg.Classify = func(error) breaker.Outcome { panic("boom") }
		b := halfOpen(t, cfg)
		func() {
			defer func() { recover() }()
			fail(b)
		}()
		checkState(t, b, breaker.Open)
	})
}

func TestTrap06_LateResultsAreInert(t *testing.T) {
	outcomes := []breaker.Outcome{breaker.Success, breaker.Failure, breaker.Ignored}
	for _, o := range outcomes {
		t.Run(o.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := breaker.New(steady())
				var old []*breaker.Call
				for range 5 {
					old = append(old, mustAllow(t, b))
				}
				repeat(4, fail, b)
				checkState(t, b, breaker.Open)
				left := b.Stats().RetryAfter
				old[0].Report(o)
				if got := b.Stats().RetryAfter; got != left {
					t.Errorf("open for %v after a late result, want %v", got, left)
				}
				time.Sleep(left)
				p1, p2 := mustAllow(t, b), mustAllow(t, b)
				old[1].Report(o) // neither a permit given back nor a probe's outcome
				old[2].Report(o)
				checkState(t, b, breaker.HalfOpen)
				checkRefused(t, b)
				p1.Done(nil)
				p2.Done(nil)
				checkState(t, b, breaker.Closed)
				old[3].Report(o)
				old[4].Report(o)
				if s := b.Stats(); s.Calls != 0 || s.Total.Late != 5 {
					t.Errorf("%d calls in the window and %d late, want 0 and 5", s.Calls, s.Total.Late)
				}
			})
		})
	}
}

func TestTrap07_ExactlyProbesRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := steady()
		cfg.Probes = 3
		b := halfOpen(t, cfg)
		var ran atomic.Int64
		var wg sync.WaitGroup
		for range 1000 {
			wg.Go(func() {
				b.Do(bg, func(context.Context) error { ran.Add(1); time.Sleep(time.Second); return errDown })
			})
		}
		wg.Wait()
		if ran.Load() != 3 {
			t.Fatalf("%d probes ran, want 3", ran.Load())
		}
	})
}

func TestTrap08_IgnoredProbeGivesItsPlaceBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := halfOpen(t, steady())
		mustAllow(t, b).Done(nil)
		for range 10 {
			c := mustAllow(t, b)
			checkRefused(t, b) // one success and one probe running fill both places
			c.Report(breaker.Ignored)
			checkState(t, b, breaker.HalfOpen)
		}
		mustAllow(t, b).Done(nil)
		checkState(t, b, breaker.Closed)
	})
}

func TestTrap09_CallerGaveUp(t *testing.T) {
	const slow = time.Second
	errDriver := errors.New("driver: query interrupted")
	tests := []struct {
		name     string
		slowCall time.Duration
		deadline bool          // the context expires, else it is cancelled
		live     bool          // the context stays alive
		ran      time.Duration // how long the call runs
		err      error
		want     breaker.Outcome
	}{
		{name: "short, timed", slowCall: slow, ran: slow - 1, err: context.Canceled, want: breaker.Ignored},
		{name: "long, timed", slowCall: slow, ran: slow, err: context.Canceled, want: breaker.Failure},
		{name: "short, timed, the driver's own error", slowCall: slow, ran: slow / 2, err: errDriver, want: breaker.Ignored},
		{name: "long, timed, the driver's own error", slowCall: slow, ran: 2 * slow, err: errDriver, want: breaker.Failure},
		{name: "short deadline, timed", slowCall: slow, deadline: true, ran: slow / 2, err: context.DeadlineExceeded, want: breaker.Ignored},
		{name: "cancelled", ran: time.Hour, err: context.Canceled, want: breaker.Ignored},
		{name: "cancelled, the driver's own error", ran: slow, err: errDriver, want: breaker.Ignored},
		{name: "deadline", deadline: true, ran: slow, err: context.DeadlineExceeded, want: breaker.Failure},
		{name: "Canceled of a live context", live: true, ran: slow, err: context.Canceled, want: breaker.Failure},
		{name: "no error", ran: slow, want: breaker.Success},
		{name: "marked", ran: slow, err: breaker.Mark(errDriver, breaker.Failure), want: breaker.Failure},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := steady()
				cfg.SlowCall = tt.slowCall
				b := breaker.New(cfg)
				ctx, cancel := context.WithCancel(bg)
				if tt.deadline {
					ctx, cancel = context.WithTimeout(bg, tt.ran)
				}
				defer cancel()
				b.Do(ctx, func(ctx context.Context) error {
					time.Sleep(tt.ran)
					if tt.deadline {
						<-ctx.Done()
					} else if !tt.live {
						cancel()
					}
					return tt.err
				})
				s := b.Stats().Total
				got := map[breaker.Outcome]uint64{breaker.Success: s.Successes, breaker.Failure: s.Failures, breaker.Ignored: s.Ignored}
				if got[tt.want] != 1 || got[0]+got[1]+got[2] != 1 {
					t.Errorf("counted %v, want one %v", got, tt.want)
				}
			})
		})
	}
}

func TestTrap10_ContextDoneBeforehand(t *testing.T) {
	errWhy := errors.New("shutting down")
	synctest.Test(t, func(t *testing.T) {
		b := halfOpen(t, steady())
		before := b.Stats()
		ctx, cancel := context.WithCancelCause(bg)
		cancel(errWhy)
		err := b.Do(ctx, func(context.Context) error { t.Error("fn was called"); return nil })
		if !errors.Is(err, context.Canceled) || !errors.Is(err, errWhy) || errors.Is(err, breaker.ErrOpen) {
			t.Errorf("error %v, want one matching ctx.Err() and its cause", err)
		}
		if want := "breaker: dep: context canceled: shutting down"; err.Error() != want {
			t.Errorf("error %q, want %q", err, want)
		}
		if d := cmp.Diff(before, b.Stats()); d != "" {
			t.Errorf("something was counted: %s", d)
		}
	})
}

func TestTrap11_RatioOfEndedCalls(t *testing.T) {
	b := breaker.New(breaker.Config{MinCalls: 20, Consecutive: -1})
	var calls []*breaker.Call
	for range 1000 {
		calls = append(calls, mustAllow(t, b))
	}
	for i, c := range calls {
		if want := breaker.Closed; i < 20 && b.State() != want {
			t.Fatalf("state %v after %d failures, want %v", b.State(), i, want)
		}
		c.Done(errDown)
		if i == 19 {
			checkState(t, b, breaker.Open)
		}
	}
}

func TestTrap12_JudgedOnEveryCompletion(t *testing.T) {
	cfg := steady()
	cfg.FailureRatio = 0.75
	b := breaker.New(cfg)
	repeat(3, fail, b)
	checkState(t, b, breaker.Closed)
	succeed(b) // F F F S
	checkState(t, b, breaker.Open)
}

// The expiry of successes raises the ratio too; the next call, whatever its outcome, is judged by it.
func TestTrap12_JudgedAfterExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := breaker.New(steady())
		repeat(6, succeed, b)
		time.Sleep(time.Second)
		repeat(4, fail, b)
		checkState(t, b, breaker.Closed) // 4 of 10
		time.Sleep(9 * time.Second)
		succeed(b) // 4 of 5
		checkState(t, b, breaker.Open)
	})
}

// A success that completes MinCalls without a lock, at the moment a failure is judged, is judged by one of the two.
func TestTrap12_ConcurrentSuccess(t *testing.T) {
	cfg := steady()
	cfg.MinCalls, cfg.FailureRatio = 3, 0.3
	for round := range 20000 {
		b := breaker.New(cfg)
		succeed(b)
		var ready, done sync.WaitGroup
		ready.Add(2)
		for _, f := range []func(*breaker.Breaker) error{succeed, fail} {
			done.Go(func() {
				b.Do(bg, func(context.Context) error {
					ready.Done()
					ready.Wait()
					return f(nil) // through no breaker, for its error only
				})
			})
		}
		done.Wait()
		if b.State() != breaker.Open {
			t.Fatalf("round %d: %v after one failure of three calls, want open", round, b.State())
		}
	}
}

func TestTrap13_NoRounding(t *testing.T) {
	tests := []struct {
		ratio           float64
		minCalls        int
		successes, then int // so many successes, then so many failures
		want            breaker.State
	}{
		{0.5, 1000, 504, 496, breaker.Closed},
		{0.5, 1000, 500, 500, breaker.Open},
		{0.1, 30, 27, 3, breaker.Open}, // 0.1*30 > 3 in floating point
		{0.7, 10, 3, 7, breaker.Open},
		{0.7, 1000, 301, 699, breaker.Closed},
		{1, 3, 1, 2, breaker.Closed},
		{1, 1, 0, 1, breaker.Open},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt.ratio, tt.then), func(t *testing.T) {
			cfg := steady()
			cfg.FailureRatio, cfg.MinCalls = tt.ratio, tt.minCalls
			b := breaker.New(cfg)
			repeat(tt.successes, succeed, b)
			repeat(tt.then, fail, b)
			checkState(t, b, tt.want)
		})
	}
}

func TestTrap14_HooksMayCallBack(t *testing.T) {
	var b *breaker.Breaker
	var path []string
	cfg := steady()
	cfg.OnEvent = func(ctx context.Context, e breaker.Event) {
		path = append(path, fmt.Sprint(e.From, " to ", e.To))
		b.State()
		b.Stats()
		succeed(b)
		switch len(path) {
		case 1:
			b.Reset()
		case 2:
			b.ForceOpen()
		case 3:
			b.ForceClosed()
		case 4:
			b.Reset()
		}
	}
	b = breaker.New(cfg)
	repeat(4, fail, b)
	want := []string{
		"closed to open", "open to closed", "closed to forced open",
		"forced open to forced closed", "forced closed to closed",
	}
	if d := cmp.Diff(want, path); d != "" {
		t.Error(d)
	}
}

// TestTrap15_HookOrder changes the state from many goroutines at once. The oracle is the path itself: each event
// begins where the one before ended, and no two hooks overlap.
func TestTrap15_HookOrder(t *testing.T) {
	var inside atomic.Int64
	var events, broken int
	at := breaker.Closed
	cfg := steady()
	cfg.OpenFor = time.Microsecond
	cfg.OnEvent = func(_ context.Context, e breaker.Event) {
		if inside.Add(1) != 1 {
			broken++
		}
		if e.Kind == breaker.KindTransition {
			if e.From != at {
				broken++
			}
			at = e.To
		}
		events++
		inside.Add(-1)
		if events%7 == 0 {
			panic("hook")
		}
		if events%11 == 0 {
			runtime.Goexit()
		}
	}
	b := breaker.New(cfg)
	var wg sync.WaitGroup
	for range 400 {
		wg.Go(func() {
			defer func() { recover() }()
			for range 20 {
				randomCommand(b)
			}
		})
	}
	wg.Wait()
	if broken != 0 || events < 100 || at != b.State() && b.State() != breaker.HalfOpen {
		t.Errorf("%d of %d events out of order; the last led to %v and the state is %v", broken, events, at, b.State())
	}
}

func randomCommand(b *breaker.Breaker) {
	switch rand.IntN(6) {
	case 0:
		b.Reset()
	case 1:
		b.Trip(time.Microsecond, errDown)
	case 2:
		b.ForceOpen()
	case 3:
		b.ForceClosed()
	case 4:
		succeed(b)
	case 5:
		fail(b)
	}
}

func TestTrap15_NobodyWaitsForAHook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := steady()
		cfg.OnEvent = func(context.Context, breaker.Event) { time.Sleep(time.Hour) }
		b := breaker.New(cfg)
		go b.ForceOpen()
		synctest.Wait()
		start := time.Now()
		b.ForceClosed()
		b.Reset()
		succeed(b)
		if d := time.Since(start); d != 0 {
			t.Errorf("waited %v for the hook of another goroutine", d)
		}
		time.Sleep(4 * time.Hour)
	})
}

func TestTrap15_HookThatPanics(t *testing.T) {
	var got []breaker.State
	cfg := steady()
	var b *breaker.Breaker
	cfg.OnEvent = func(_ context.Context, e breaker.Event) {
		got = append(got, e.To)
		if len(got) == 1 {
			b.Reset() // queues a second event behind this one
			panic("hook")
		}
	}
	b = breaker.New(cfg)
	func() {
		defer func() {
			if v := recover(); v != "hook" {
				t.Errorf("recovered %v, want the hook's panic", v)
			}
		}()
		b.ForceOpen()
	}()
	b.ForceClosed()
	if d := cmp.Diff([]breaker.State{breaker.ForcedOpen, breaker.Closed, breaker.ForcedClosed}, got); d != "" {
		t.Error(d)
	}
}

func TestTrap16_HalfOpenWithoutACall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		events := 0
		cfg := steady()
		cfg.OnEvent = func(_ context.Context, e breaker.Event) { events++ }
		b := breaker.New(cfg)
		repeat(4, fail, b)
		refusal := checkRefused(t, b)
		time.Sleep(time.Second - 1)
		if b.State() != breaker.Open || refusal.RetryAfter() != 1 {
			t.Fatalf("%v with %v left, want open with 1ns left", b.State(), refusal.RetryAfter())
		}
		time.Sleep(time.Nanosecond)
		s := b.Stats()
		if b.State() != breaker.HalfOpen || refusal.RetryAfter() != 0 || s.RetryAfter != 0 || s.State != breaker.HalfOpen {
			t.Fatalf("%v with %v left, want half-open with nothing left", b.State(), refusal.RetryAfter())
		}
		if events != 1 {
			t.Fatalf("%d events before the first call, want 1", events)
		}
		mustAllow(t, b)
		mustAllow(t, b)
		if events != 2 {
			t.Fatalf("%d events after the first calls, want 2", events)
		}
	})
}

func TestTrap17_BackoffSurvivesFlapping(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := breaker.New(steady())
		open := func() time.Duration {
			repeat(4, fail, b)
			checkState(t, b, breaker.Open)
			return b.Stats().RetryAfter
		}
		recovered := func(d time.Duration) {
			time.Sleep(d)
			repeat(2, succeed, b)
			checkState(t, b, breaker.Closed)
		}
		for i, want := range []time.Duration{1, 2, 4, 8, 8} {
			got := open()
			if got != want*time.Second {
				t.Fatalf("opening %d lasts %v, want %v", i+1, got, want*time.Second)
			}
			recovered(got)
			time.Sleep(got - 1) // one nanosecond too little to be forgotten
		}
		recovered(open())
		time.Sleep(8 * time.Second)
		if got := open(); got != time.Second {
			t.Errorf("opening after a long closed spell lasts %v, want 1s", got)
		}
	})
}

func TestTrap17_UpstreamRetryAfter(t *testing.T) {
	for _, tt := range []struct{ asked, want time.Duration }{
		{time.Millisecond, time.Second}, {5 * time.Second, 5 * time.Second}, {time.Hour, 8 * time.Second}, {-1, time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			b := breaker.New(steady())
			repeat(3, fail, b)
			b.Do(bg, func(context.Context) error { return fmt.Errorf("upstream: %w", waitError(tt.asked)) })
			if got := b.Stats().RetryAfter; got != tt.want {
				t.Errorf("asked for %v: open for %v, want %v", tt.asked, got, tt.want)
			}
		})
	}
}

type waitError time.Duration

func (e waitError) Error() string             { return "unavailable" }
func (e waitError) RetryAfter() time.Duration { return time.Duration(e) }

func TestTrap18_HugeOpenPeriods(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := steady()
		cfg.OpenFor, cfg.MaxOpenFor, cfg.Jitter = math.MaxInt64/3, math.MaxInt64, 1
		b := breaker.New(cfg)
		for range 5 {
			b.Trip(0, nil)
			if got := b.Stats().RetryAfter; got < math.MaxInt64/3 {
				t.Fatalf("open for %v, want at least %v", got, time.Duration(math.MaxInt64/3))
			}
			b.ForceOpen()
			b.Reset()
		}
		time.Sleep(time.Hour)
		b.Trip(math.MaxInt64, nil)
		checkRefused(t, b)
	})
}

func TestTrap18_JitterOnlyLengthens(t *testing.T) {
	cfg := steady()
	cfg.OpenFor, cfg.Jitter = time.Hour, 0.5
	cfg.MaxOpenFor = time.Hour
	lowest, highest := time.Duration(math.MaxInt64), time.Duration(0)
	for range 1000 {
		b := breaker.New(cfg)
		b.Trip(0, nil)
		d := b.Stats().RetryAfter
		lowest, highest = min(lowest, d), max(highest, d)
	}
	if lowest < 59*time.Minute || lowest > 62*time.Minute || highest < 88*time.Minute || highest > 90*time.Minute {
		t.Errorf("openings of %v to %v, want 1h to 1h30m", lowest, highest)
	}
}

func TestTrap19_WindowExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := breaker.New(steady())
		succeed(b)
		time.Sleep(10*time.Second - 1)
		if got := b.Stats().Calls; got != 1 {
			t.Errorf("%d calls in the window just before the end, want 1", got)
		}
		time.Sleep(time.Nanosecond)
		if got := b.Stats().Calls; got != 0 {
			t.Errorf("%d calls in the window at its end, want 0", got)
		}
	})
	for _, gap := range []int{1, 9, 10, 11, 1e9} {
		synctest.Test(t, func(t *testing.T) {
			b := breaker.New(steady())
			for range 3 {
				repeat(3, succeed, b)
				time.Sleep(time.Second)
			}
			time.Sleep(time.Duration(gap-1) * time.Second)
			want := 3 * max(0, min(3, 10-gap))
			if got := b.Stats().Calls; got != want {
				t.Errorf("%d calls in the window after an idle gap of %d tenths, want %d", got, gap, want)
			}
		})
	}
}

// bubble runs f in a synctest bubble, whose clock is decades away from the real one. Nothing a breaker keeps may tie
// it to the bubble.
func bubble(t *testing.T, f func()) { synctest.Test(t, func(*testing.T) { f() }) }

func TestTrap20_ClockJumps(t *testing.T) {
	cfg := steady()
	cfg.OpenFor, cfg.MaxOpenFor, cfg.ProbeTimeout = 10*time.Millisecond, 10*time.Millisecond, 10*time.Millisecond
	cfg.RampUp, cfg.Probes = 10*time.Millisecond, 1
	cfg.SlowCall = time.Hour
	prepare := map[string]func(b *breaker.Breaker){
		"closed":    func(b *breaker.Breaker) { repeat(3, fail, b) },
		"open":      func(b *breaker.Breaker) { b.Trip(0, nil) },
		"half-open": func(b *breaker.Breaker) { b.Trip(1, nil); time.Sleep(time.Nanosecond); b.Allow(bg) },
		"recovering": func(b *breaker.Breaker) {
			b.Trip(1, nil)
			time.Sleep(time.Millisecond)
			succeed(b)
		},
		"forced closed": func(b *breaker.Breaker) { b.ForceClosed() },
	}
	// A healthy dependency and time close it again, whatever the clock did.
	heals := func(t *testing.T, b *breaker.Breaker) {
		for range 200 {
			succeed(b)
			if s := b.State(); s == breaker.Closed || s == breaker.ForcedClosed {
				if n := b.Stats().Failures; n != 0 {
					t.Errorf("%d failures in the window after a jump, want a fresh one", n)
				}
				return
			}
			time.Sleep(time.Millisecond)
		}
		t.Errorf("wedged: %+v", b.Stats())
	}
	for name, prepare := range prepare {
		t.Run(name+" into a bubble and back", func(t *testing.T) {
			b := breaker.New(cfg)
			prepare(b)
			bubble(t, func() { heals(t, b); prepare(b) })
			heals(t, b)
		})
		t.Run(name+" out of a bubble", func(t *testing.T) {
			var b *breaker.Breaker
			bubble(t, func() { b = breaker.New(cfg); prepare(b) })
			heals(t, b)
			prepare(b)
			bubble(t, func() { heals(t, b) })
		})
	}
}

func TestTrap21_NoLostUpdates(t *testing.T) {
	const goroutines, each = 8, 5000
	cfg := breaker.Config{Window: 100 * time.Microsecond, FailureRatio: -1, Consecutive: -1}
	b := breaker.New(cfg)
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			for i := range each {
				switch (g + i) % 4 {
				case 0:
					fail(b)
				case 1:
					b.Do(bg, func(context.Context) error { return breaker.Mark(errDown, breaker.Ignored) })
				default:
					succeed(b)
				}
				if i%500 == 0 {
					b.Stats()
				}
			}
		})
	}
	wg.Wait()
	want := breaker.Totals{Successes: goroutines * each / 2, Failures: goroutines * each / 4, Ignored: goroutines * each / 4}
	if d := cmp.Diff(want, b.Stats().Total); d != "" {
		t.Error(d)
	}
	time.Sleep(time.Millisecond)
	if got := b.Stats().Calls; got != 0 {
		t.Errorf("%d calls in the window after its end, want 0", got)
	}
}

func TestTrap22_Consecutive(t *testing.T) {
	cfg := steady()
	cfg.MinCalls, cfg.Consecutive = 20, 5
	ignore := func(b *breaker.Breaker) error {
		return b.Do(bg, func(context.Context) error { return breaker.Mark(errDown, breaker.Ignored) })
	}
	t.Run("in a row", func(t *testing.T) {
		b := breaker.New(cfg)
		repeat(4, fail, b)
		succeed(b)
		repeat(4, fail, b)
		checkState(t, b, breaker.Closed)
		fail(b)
		checkState(t, b, breaker.Open)
	})
	t.Run("ignored calls do not interrupt", func(t *testing.T) {
		b := breaker.New(cfg)
		repeat(4, fail, b)
		ignore(b)
		fail(b)
		checkState(t, b, breaker.Open)
	})
	t.Run("not consulted at high traffic", func(t *testing.T) {
		b := breaker.New(cfg)
		repeat(100, succeed, b)
		repeat(50, fail, b)
		checkState(t, b, breaker.Closed)
	})
	t.Run("always consulted alone", func(t *testing.T) {
		cfg := cfg
		cfg.FailureRatio = -1
		b := breaker.New(cfg)
		repeat(100, succeed, b)
		repeat(5, fail, b)
		checkState(t, b, breaker.Open)
	})
	t.Run("survives the window, forgotten after MaxOpenFor", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			cfg := cfg
			cfg.MaxOpenFor = time.Minute
			b := breaker.New(cfg)
			repeat(4, fail, b)
			time.Sleep(time.Minute)
			fail(b)
			checkState(t, b, breaker.Open)
			b.Reset()
			repeat(4, fail, b)
			time.Sleep(time.Minute + 1)
			fail(b)
			checkState(t, b, breaker.Closed)
		})
	})
}

func TestTrap23_InnerRefusalIsIgnored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner, outer := breaker.New(steady()), halfOpen(t, steady())
		inner.ForceOpen()
		call := breaker.Wrap(outer, breaker.Wrap(inner, work))
		for range 100 {
			if _, err := call(bg); !errors.Is(err, breaker.ErrOpen) {
				t.Fatalf("error %v, want the inner refusal", err)
			}
		}
		checkState(t, outer, breaker.HalfOpen)
		if got := outer.Stats().Total; got.Ignored != 100 || got.Failures != 0 {
			t.Errorf("totals %+v, want 100 ignored", got)
		}
	})
}

func TestTrap24_CauseIsNotWrapped(t *testing.T) {
	b := breaker.New(steady())
	b.Trip(time.Hour, fmt.Errorf("query: %w", context.DeadlineExceeded))
	refusal := checkRefused(t, b)
	if errors.Is(refusal, context.DeadlineExceeded) {
		t.Error("a refusal matches the error that opened the breaker")
	}
	if !errors.Is(refusal.Cause, context.DeadlineExceeded) {
		t.Errorf("cause %v, want the error given to Trip", refusal.Cause)
	}
}

type nilableError struct{}

func (e *nilableError) Error() string { return "nilable" }

func TestTrap25_Classify(t *testing.T) {
	ignored := breaker.Mark(errDown, breaker.Ignored)
	var typedNil *nilableError
	refusal := error(&breaker.OpenError{})
	tests := []struct {
		name string
		err  error
		want breaker.Outcome
	}{
		{"nil", nil, breaker.Success},
		{"plain", errDown, breaker.Failure},
		{"typed nil", typedNil, breaker.Failure},
		{"marked", ignored, breaker.Ignored},
		{"wrapped mark", fmt.Errorf("a: %w", fmt.Errorf("b: %w", ignored)), breaker.Ignored},
		{"joined mark", errors.Join(errDown, errors.Join(errDown, ignored)), breaker.Ignored},
		{"marked as success", breaker.Mark(errDown, breaker.Success), breaker.Success},
		{"nil marked as failure", breaker.Mark(nil, breaker.Failure), breaker.Failure},
		{"nil marked as ignored", breaker.Mark(nil, breaker.Ignored), breaker.Ignored},
		{"outer mark wins", breaker.Mark(ignored, breaker.Failure), breaker.Failure},
		{"refusal", fmt.Errorf("call: %w", refusal), breaker.Ignored},
		{"mark beats refusal", breaker.Mark(refusal, breaker.Failure), breaker.Failure},
		{"typed nil in a join", errors.Join(typedNil, ignored), breaker.Ignored},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := breaker.Classify(tt.err); got != tt.want {
				t.Errorf("Classify = %v, want %v", got, tt.want)
			}
		})
	}
	if err := breaker.Mark(nil, breaker.Success); err != nil {
		t.Errorf("Mark(nil, Success) = %v, want nil", err)
	}
	if err := breaker.Mark(nil, breaker.Ignored); err.Error() != "breaker: marked ignored" {
		t.Errorf("text %q, want one that says what it is", err)
	}
	if !errors.Is(ignored, errDown) || ignored.Error() != "down" {
		t.Errorf("%v, want the marked error to show through", ignored)
	}
}

func TestTrap26_Forced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var events []string
		cfg := steady()
		cfg.OnEvent = func(_ context.Context, e breaker.Event) {
			events = append(events, fmt.Sprint(e.Kind, ": ", e.From, " to ", e.To, ", ", e.Reason))
		}
		b := breaker.New(cfg)
		b.ForceOpen()
		time.Sleep(time.Hour)
		if r := checkRefused(t, b); r.RetryAfter() != 0 || r.State != breaker.ForcedOpen {
			t.Errorf("refused by %v for %v, want forced open for an unknown time", r.State, r.RetryAfter())
		}
		b.Trip(time.Hour, nil) // no effect
		checkState(t, b, breaker.ForcedOpen)
		b.ForceClosed()
		b.ForceClosed()
		b.Trip(time.Hour, nil) // no effect
		repeat(100, fail, b)
		checkState(t, b, breaker.ForcedClosed)
		if got := b.Stats().Failures; got != 100 {
			t.Errorf("%d failures counted, want 100", got)
		}
		time.Sleep(10 * time.Second)
		repeat(3, succeed, b)
		repeat(4, fail, b) // a second episode
		c := mustAllow(t, b)
		b.Reset()
		c.Done(errDown)
		checkState(t, b, breaker.Closed)
		if s := b.Stats(); s.Calls != 0 || s.Total.Late != 1 {
			t.Errorf("stats %+v after Reset, want an empty window and one late call", s)
		}
		want := []string{
			"transition: closed to forced open, forced",
			"transition: forced open to forced closed, forced",
			"shadow: closed to open, failure ratio",
			"shadow: open to closed, window recovered",
			"shadow: closed to open, failure ratio",
			"shadow: open to closed, reset",
			"transition: forced closed to closed, reset",
		}
		if d := cmp.Diff(want, events); d != "" {
			t.Error(d)
		}
	})
}

// A shadow ends with the first success that makes the window good again, not with the tenth.
func TestTrap26_ShadowEndsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var events []breaker.State
		cfg := steady()
		cfg.OpenFor = time.Nanosecond
		cfg.OnEvent = func(_ context.Context, e breaker.Event) {
			if e.Kind == breaker.KindShadow {
				events = append(events, e.To)
			}
		}
		b := breaker.New(cfg)
		b.ForceClosed()
		repeat(4, succeed, b)
		repeat(4, fail, b)
		time.Sleep(time.Nanosecond)
		if d := cmp.Diff([]breaker.State{breaker.Open}, events); d != "" {
			t.Error(d)
		}
		succeed(b)
		if d := cmp.Diff([]breaker.State{breaker.Open, breaker.Closed}, events); d != "" {
			t.Error(d)
		}
	})
}

func TestTrap27_Trip(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := breaker.New(steady())
		b.Trip(10*time.Second, errDown)
		b.Trip(time.Second, errDown)
		if got := b.Stats().RetryAfter; got != 10*time.Second {
			t.Errorf("open for %v after a shorter Trip, want 10s", got)
		}
		time.Sleep(5 * time.Second)
		b.Trip(10*time.Second, errDown)
		if got := checkRefused(t, b).RetryAfter(); got != 10*time.Second {
			t.Errorf("open for %v after a longer Trip, want 10s", got)
		}
		time.Sleep(10 * time.Second)
		probe := mustAllow(t, b)
		b.Trip(time.Second, errDown)
		probe.Done(nil)
		if s := b.Stats(); s.State != breaker.Open || s.Probes != 0 || s.Total.Late != 1 {
			t.Errorf("stats %+v, want open and the probe discarded", s)
		}
		time.Sleep(time.Second)
		b.Trip(time.Second, errDown) // half-open for observers only, as no call has come
		checkState(t, b, breaker.Open)
	})
}

func TestTrap28_SlowProbeFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := steady()
		cfg.SlowCall = time.Second
		b := halfOpen(t, cfg)
		v, err := breaker.Do(bg, b, func(context.Context) (int, error) { time.Sleep(time.Second); return 7, nil })
		if v != 7 || err != nil {
			t.Errorf("%v, %v; want the caller to get its value", v, err)
		}
		checkState(t, b, breaker.Open)
	})
}

func TestTrap31_Config(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	tests := []struct {
		cfg  breaker.Config
		want string
	}{
		{breaker.Config{}, ""},
		{breaker.Config{FailureRatio: -1, SlowRatio: -1, Jitter: -1, Consecutive: -1, MinCalls: -1, MaxOpenFor: -1, RampUp: -1, SlowCall: -1, WindowCalls: -1}, ""},
		{breaker.Config{OpenFor: time.Hour}, ""},
		{breaker.Config{WindowCalls: 5}, ""},
		{breaker.Config{Window: 9}, "breaker: Window 9ns: want at least 10ns"},
		{breaker.Config{Window: -1}, "breaker: Window -1ns: want at least 10ns"},
		{breaker.Config{WindowCalls: 1<<20 + 1}, "breaker: WindowCalls 1048577: want at most 1048576"},
		{breaker.Config{WindowCalls: 10, MinCalls: 11}, "breaker: MinCalls 11: more than WindowCalls 10, would never be reached"},
		{breaker.Config{FailureRatio: nan}, "breaker: FailureRatio NaN: want a share in (0, 1], or a negative number for off"},
		{breaker.Config{SlowRatio: inf}, "breaker: SlowRatio +Inf: want a share in (0, 1], or a negative number for off"},
		{breaker.Config{Jitter: -inf}, "breaker: Jitter -Inf: want a share in (0, 1], or a negative number for off"},
		{breaker.Config{OpenFor: -1}, "breaker: OpenFor -1ns: cannot be off"},
		{breaker.Config{MaxOpenFor: time.Second}, "breaker: MaxOpenFor 1s: less than OpenFor 5s"},
		{
			breaker.Config{Probes: 1001, ProbeTimeout: -1},
			"breaker: Probes 1001: want 1 to 1000\nbreaker: ProbeTimeout -1ns: cannot be off",
		},
	}
	for _, tt := range tests {
		err := tt.cfg.Validate()
		if got := fmt.Sprint(err); got != tt.want && (err != nil || tt.want != "") {
			t.Errorf("Validate: got %q, want %q", got, tt.want)
		}
		func() {
			defer func() {
				if v := recover(); fmt.Sprint(v) != fmt.Sprint(err) {
					t.Errorf("New panics with %v, want %v", v, err)
				}
			}()
			breaker.New(tt.cfg)
		}()
	}
}

func TestTrap31_NilAdmitsEverything(t *testing.T) {
	var b *breaker.Breaker
	repeat(100, fail, b)
	if v, err := breaker.Do(bg, b, work); v != 1 || err != nil {
		t.Errorf("%v, %v; want 1", v, err)
	}
	mustAllow(t, b).Done(errDown)
	mustAllow(t, b).Report(breaker.Failure)
	b.ForceOpen()
	b.ForceClosed()
	b.Trip(1, nil)
	b.Reset()
	checkState(t, b, breaker.Closed)
	if d := cmp.Diff(breaker.Stats{}, b.Stats()); d != "" {
		t.Error(d)
	}
	ctx, cancel := context.WithCancel(bg)
	cancel()
	if err := b.Do(ctx, func(context.Context) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want context.Canceled", err)
	}
}

// TestCountWindow compares the count window with the last calls kept in a slice.
func TestCountWindow(t *testing.T) {
	cfg := steady()
	cfg.WindowCalls, cfg.FailureRatio = 7, -1
	b := breaker.New(cfg)
	var calls []bool
	for i := range 1000 {
		failed := rand.IntN(3) == 0
		calls = append(calls, failed)
		if failed {
			fail(b)
		} else {
			succeed(b)
		}
		last := calls[max(0, i-6):]
		failures := 0
		for _, f := range last {
			if f {
				failures++
			}
		}
		if s := b.Stats(); s.Calls != len(last) || s.Failures != failures {
			t.Fatalf("%d failures of %d calls, want %d of %d", s.Failures, s.Calls, failures, len(last))
		}
	}
}

func TestCountWindowOpens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := steady()
		cfg.WindowCalls = 4
		b := breaker.New(cfg)
		repeat(100, succeed, b)
		fail(b)
		time.Sleep(time.Hour) // age does not matter
		succeed(b)
		checkState(t, b, breaker.Closed)
		fail(b)
		checkState(t, b, breaker.Open)
		time.Sleep(time.Second)
		repeat(2, succeed, b)
		if got := b.Stats().Calls; got != 0 {
			t.Errorf("%d calls in the window of a new period, want 0", got)
		}
	})
}

func TestSlowCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := steady()
		cfg.SlowCall, cfg.SlowRatio = time.Second, 0.75
		b := breaker.New(cfg)
		slow := func(d time.Duration) {
			b.Do(bg, func(context.Context) error { time.Sleep(d); return nil })
		}
		slow(time.Second)
		slow(time.Second)
		slow(time.Second - 1)
		checkState(t, b, breaker.Closed)
		slow(time.Second)
		checkState(t, b, breaker.Open)
	})
}

// Calls that hang open the breaker before any of them has returned.
func TestSlowCallsStillRunning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := steady()
		cfg.SlowCall = time.Second
		var opened []breaker.Event
		cfg.OnEvent = func(_ context.Context, e breaker.Event) { opened = append(opened, e) }
		b := breaker.New(cfg)
		ctx, cancel := context.WithCancel(bg)
		start := time.Now()
		for b.State() == breaker.Closed && time.Since(start) < time.Minute {
			go b.Do(ctx, func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
			time.Sleep(100 * time.Millisecond)
		}
		if got := time.Since(start); got > 4*time.Second {
			t.Errorf("opened after %v, want at most SlowCall and two tenths of Window more", got)
		}
		synctest.Wait()
		if e := opened[0]; e.Reason != "slow calls" || e.Stats.Overdue < 4 || e.Stats.Calls != 0 {
			t.Errorf("opened by %q with %d overdue and %d ended, want slow calls, at least 4 and none", e.Reason, e.Stats.Overdue, e.Stats.Calls)
		}
		time.Sleep(time.Second)
		repeat(2, succeed, b)
		checkState(t, b, breaker.Closed)
		if got := b.Stats().Overdue; got != 0 {
			t.Errorf("%d overdue calls in a new period, want 0", got)
		}
		cancel()
		synctest.Wait()
		checkState(t, b, breaker.Closed)
	})
}

// A call that is overdue for a while and then returns is counted once.
func TestOverdueEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := steady()
		cfg.SlowCall, cfg.SlowRatio = time.Second, -1
		b := breaker.New(cfg)
		var calls []*breaker.Call
		for range 3 {
			calls = append(calls, mustAllow(t, b))
			time.Sleep(time.Second)
		}
		time.Sleep(time.Second)
		if s := b.Stats(); s.Overdue != 3 || s.Slow != 0 {
			t.Errorf("%d overdue and %d slow, want 3 and 0", s.Overdue, s.Slow)
		}
		for _, c := range calls {
			c.Done(nil)
		}
		if s := b.Stats(); s.Overdue != 0 || s.Slow != 3 {
			t.Errorf("%d overdue and %d slow, want 0 and 3", s.Overdue, s.Slow)
		}
	})
}

func TestCustomTrip(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := steady()
		var b *breaker.Breaker
		cfg.Trip = func(s breaker.Stats) bool {
			b.State() // no lock is held
			return s.Failures > 10
		}
		b = breaker.New(cfg)
		repeat(10, fail, b)
		checkState(t, b, breaker.Closed)
		fail(b)
		checkState(t, b, breaker.Open)
		b.ForceClosed()
		repeat(11, fail, b)
		checkState(t, b, breaker.ForcedClosed)
	})
}

func TestRampUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := steady()
		cfg.RampUp = 20 * time.Second
		b := halfOpen(t, cfg)
		repeat(2, succeed, b)
		checkState(t, b, breaker.Recovering)
		var admitted []int // per second
		for range 20 {
			n := 0
			for range 100 {
				if succeed(b) == nil {
					n++
				}
				time.Sleep(10 * time.Millisecond)
			}
			admitted = append(admitted, n)
		}
		if !slices.IsSorted(admitted) || admitted[0] > 7 || admitted[10] < 50 || admitted[10] > 55 || admitted[19] < 95 {
			t.Errorf("admitted %v of 100 calls per second, want a rise from 5 to 100", admitted)
		}
		checkState(t, b, breaker.Closed)
	})
}

func TestRampUpReopens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := steady()
		cfg.RampUp, cfg.MinCalls = time.Minute, 100
		b := halfOpen(t, cfg)
		repeat(2, succeed, b)
		for range 80 { // at a share of 5 %, five calls are admitted, and are enough
			fail(b)
		}
		checkState(t, b, breaker.Open)
		if got := b.Stats().Openings; got != 2 {
			t.Errorf("%d openings remembered, want 2", got)
		}
	})
}

// However small the share, two failures are not enough.
func TestRampUpNeedsThree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := steady()
		cfg.RampUp = time.Hour
		b := halfOpen(t, cfg)
		repeat(2, succeed, b)
		for i := range 3 {
			checkState(t, b, breaker.Recovering)
			if b.Stats().Failures != i {
				t.Fatalf("%d failures, want %d", b.Stats().Failures, i)
			}
			for fail(b) != errDown {
			}
		}
		checkState(t, b, breaker.Open)
	})
}

// A call admitted while recovering still counts when the ramp is over.
func TestRampUpEndsInPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var last breaker.Event
		cfg := steady()
		cfg.RampUp = time.Second
		cfg.OnEvent = func(_ context.Context, e breaker.Event) { last = e }
		b := halfOpen(t, cfg)
		repeat(2, succeed, b)
		c := mustAllow(t, b)
		time.Sleep(time.Second)
		checkState(t, b, breaker.Closed)
		c.Done(errDown)
		if last.From != breaker.Recovering || last.To != breaker.Closed || b.Stats().Failures != 1 {
			t.Errorf("last event %v to %v, %d failures; want recovering to closed, 1", last.From, last.To, b.Stats().Failures)
		}
	})
}

func TestFallback(t *testing.T) {
	b := breaker.New(steady())
	f := breaker.Fallback(breaker.Wrap(b, func(context.Context) (int, error) { return 0, errDown }),
		func(_ context.Context, err error) (int, error) {
			if errors.Is(err, breaker.ErrOpen) {
				return 42, nil
			}
			return 0, err
		})
	for range 4 {
		if _, err := f(bg); err != errDown {
			t.Fatalf("error %v, want the one passed on", err)
		}
	}
	if v, err := f(bg); v != 42 || err != nil {
		t.Fatalf("%v, %v; want the fallback", v, err)
	}
	g := breaker.Fallback(work, func(context.Context, error) (int, error) { t.Error("alt was called"); return 0, nil })
	if v, err := g(bg); v != 1 || err != nil {
		t.Fatalf("%v, %v; want 1", v, err)
	}
}

func TestErrorTexts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := steady()
		cfg.RampUp = time.Hour
		b := breaker.New(cfg)
		b.Trip(2*time.Second+1, errDown)
		texts := []string{checkRefused(t, b).Error()}
		time.Sleep(3 * time.Second)
		c1, c2 := mustAllow(t, b), mustAllow(t, b)
		texts = append(texts, checkRefused(t, b).Error())
		c1.Done(nil)
		c2.Done(nil)
		succeed(b)
		texts = append(texts, checkRefused(t, b).Error())
		b.ForceOpen()
		texts = append(texts, checkRefused(t, b).Error())
		texts = append(texts, (&breaker.OpenError{State: breaker.Open}).Error())
		texts = append(texts, (&breaker.OpenError{Name: "a\nb", State: breaker.ForcedOpen}).Error())
		texts = append(texts, (&breaker.OpenError{Name: strings.Repeat("x", 99), State: breaker.ForcedOpen}).Error())
		want := []string{
			"breaker: dep: open, retry after 2.001s",
			"breaker: dep: half-open, all probes taken",
			"breaker: dep: recovering",
			"breaker: dep: forced open",
			"breaker: open, retry after 0s",
			`breaker: "a\nb": forced open`,
			"breaker: " + strings.Repeat("x", 64) + ": forced open",
		}
		if d := cmp.Diff(want, texts); d != "" {
			t.Error(d)
		}
	})
}

func TestLogValues(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []string
		cfg := steady()
		cfg.OnEvent = func(_ context.Context, e breaker.Event) { got = append(got, e.LogValue().String()) }
		b := breaker.New(cfg)
		b.Trip(time.Second, errDown)
		got = append(got, checkRefused(t, b).LogValue().String())
		want := []string{
			"[kind=transition name=dep from=closed to=open reason=tripped calls=0 failures=0 open_for=1s error=down]",
			"[name=dep state=open retry_after=1s cause=down]",
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
	})
}

func TestNames(t *testing.T) {
	got := fmt.Sprint(breaker.Closed, breaker.Throttling, breaker.State(99), breaker.Success, breaker.Ignored, breaker.Outcome(9), breaker.KindShadow, breaker.Kind(7))
	if want := "closed throttling State(99) success ignored Outcome(9) shadow Kind(7)"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestManyGoroutines does everything at once; the oracles are invariants: never more probes than allowed at a time,
// and every admitted call counted exactly once.
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
	s := b.Stats().Total
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
	if after := runtime.NumGoroutine(); after > before {
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
		{"Do in a group", 0, func() { breaker.Do(ctx, group.Get("key"), work) }},
		{"Allow", 1, func() { c, _ := closed.Allow(ctx); c.Done(nil) }},
		{"New", 2, func() { breaker.New(breaker.Config{}) }},
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
	if size := breaker.Sizes(); size > 512 {
		t.Errorf("a new breaker has %d bytes, want at most 512", size)
	}
}

// A selfishError calls the breaker back from its methods.
type selfishError struct{ b *breaker.Breaker }

func (e selfishError) Error() string { return "selfish" }
func (e selfishError) Unwrap() error { e.b.Stats(); return nil }

func (e selfishError) RetryAfter() time.Duration { return e.b.Stats().RetryAfter + 2*time.Second }

// No lock is held while methods of a foreign error run.
func TestErrorsMayCallBack(t *testing.T) {
	b := breaker.New(steady())
	for range 4 {
		b.Do(bg, func(context.Context) error { return errors.Join(errDown, selfishError{b}) })
	}
	if got := b.Stats().RetryAfter; got <= time.Second || got > 2*time.Second {
		t.Errorf("open for %v, want the 2s the error asks for", got)
	}
	b.Trip(0, selfishError{b})
}
