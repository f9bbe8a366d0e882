package bulkhead_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redoubt-go/redoubt/ratelimit"
	"github.com/redoubt-go/redoubt/ratelimit/bulkhead"
)

// hold acquires n places and returns their permits.
func hold(t *testing.T, b *bulkhead.Bulkhead, n int) []*bulkhead.Permit {
	t.Helper()
	var ps []*bulkhead.Permit
	for range n {
		p, err := b.Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		ps = append(ps, p)
	}
	return ps
}

// setLimit changes the limit of b, and nothing else.
func setLimit(t *testing.T, b *bulkhead.Bulkhead, n int) {
	t.Helper()
	c := b.Config()
	c.Limit = n
	if err := b.Set(c); err != nil {
		t.Error(err)
	}
}

func reason(err error) string {
	var full *bulkhead.FullError
	if errors.As(err, &full) {
		return full.Reason.String()
	}
	return fmt.Sprint(err)
}

func TestReleaseTwiceIsOnce(t *testing.T) {
	b := bulkhead.New(bulkhead.Config{Limit: 2})
	ps := hold(t, b, 2)
	for range 3 {
		ps[0].Release()
		ps[0].Done(nil)
	}
	if got := b.Inflight(); got != 1 {
		t.Errorf("%d inside, want 1", got)
	}
	new(bulkhead.Permit).Release()
	_, err := b.AcquireN(t.Context(), 3)
	if p, _ := b.AcquireN(t.Context(), 3); err == nil {
		t.Error("no error")
	} else {
		p.Release()
	}
	if got := b.Inflight(); got != 1 {
		t.Errorf("%d inside after the permit of an error, want 1", got)
	}
}

func TestPanicAndGoexitRelease(t *testing.T) {
	for _, adaptive := range []bool{false, true} {
		b := bulkhead.New(bulkhead.Config{Limit: 1, Adaptive: adaptive})
		func() {
			defer func() {
				if got := recover(); got != "boom" {
					t.Errorf("recovered %v, want boom", got)
				}
			}()
			_ = b.Do(t.Context(), func(context.Context) error { panic("boom") })
		}()
		var wg sync.WaitGroup
		wg.Go(func() {
			_, _ = bulkhead.Do(t.Context(), b, func(context.Context) (int, error) { runtime.Goexit(); return 0, nil })
		})
		if wg.Wait(); b.Inflight() != 0 {
			t.Errorf("%d inside, want 0", b.Inflight())
		}
	}
}

func TestShrinkAndGrow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bulkhead.New(bulkhead.Config{Limit: 4, MaxQueue: 10})
		ps := hold(t, b, 4)
		var in atomic.Int64
		for range 6 {
			go func() {
				if _, err := b.Acquire(t.Context()); err == nil {
					in.Add(1)
				}
			}()
		}
		synctest.Wait()
		setLimit(t, b, 1)
		if b.Limit() != 1 {
			t.Errorf("limit %d, want 1", b.Limit())
		}
		for i, p := range ps {
			p.Release()
			synctest.Wait()
			if want := max(3-i, 1); b.Inflight() != want {
				t.Errorf("%d released: %d inside, want %d", i+1, b.Inflight(), want)
			}
			if i < 3 && in.Load() != 0 {
				t.Errorf("%d released: %d entered, want none above the limit", i+1, in.Load())
			}
		}
		setLimit(t, b, 4) // three more
		synctest.Wait()
		if in.Load() != 4 || b.Queued() != 2 {
			t.Errorf("%d got in and %d wait, want 4 and 2", in.Load(), b.Queued())
		}
		setLimit(t, b, 100)
	})
}

func TestCancelAtTheMomentOfTheGrant(t *testing.T) {
	for range 300 {
		b := bulkhead.New(bulkhead.Config{Limit: 1})
		p := hold(t, b, 1)[0]
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			if q, err := b.Acquire(ctx); err == nil {
				q.Release()
			} else if !errors.Is(err, context.Canceled) && reason(err) != "queue full" {
				t.Error(err)
			}
		})
		wg.Go(p.Release)
		wg.Go(cancel)
		wg.Wait()
		if b.Inflight() != 0 || b.Queued() != 0 {
			t.Fatalf("%d inside, %d wait, want nobody", b.Inflight(), b.Queued())
		}
		if _, ok := b.TryAcquire(); !ok {
			t.Fatal("refused when empty")
		}
	}
}

func TestBeyondTheLimitFailsAtOnce(t *testing.T) {
	b := bulkhead.New(bulkhead.Config{Limit: 3})
	for _, n := range []int{4, 0, -1, math.MaxInt, math.MinInt} {
		_, err := b.AcquireN(t.Context(), n)
		if got := reason(err); got != "beyond the limit" {
			t.Errorf("AcquireN(%d): %v", n, err)
		}
	}
	if b.Stats().TooLarge != 5 || b.Inflight() != 0 {
		t.Errorf("stats %+v, want 5 too large and nobody inside", b.Stats())
	}
	synctest.Test(t, func(t *testing.T) {
		b := bulkhead.New(bulkhead.Config{Limit: 3})
		hold(t, b, 3)
		var err error
		go func() { _, err = b.AcquireN(t.Context(), 3) }()
		synctest.Wait()
		setLimit(t, b, 2)
		if synctest.Wait(); reason(err) != "beyond the limit" {
			t.Errorf("waiting for more than the new limit: %v", err)
		}
	})
}

func TestMaxWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, tt := range []struct {
			wait, took time.Duration
			want       string
		}{{-1, 0, "queue full"}, {time.Second, time.Second, "waited too long"}, {0, time.Minute, "bulkhead: wait: context deadline exceeded"}} {
			b := bulkhead.New(bulkhead.Config{Limit: 1, MaxWait: tt.wait})
			hold(t, b, 1)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			start := time.Now()
			_, err := b.Acquire(ctx)
			if got := reason(err); got != tt.want || time.Since(start) != tt.took {
				t.Errorf("MaxWait %v: %v after %v, want %q after %v", tt.wait, err, time.Since(start), tt.want, tt.took)
			}
			cancel()
		}
	})
}

func TestPriorities(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bulkhead.New(bulkhead.Config{Limit: 1, MaxQueue: 6})
		p := hold(t, b, 1)[0]
		var mu sync.Mutex
		var order []string
		note := func(s string) { mu.Lock(); order = append(order, s); mu.Unlock() }
		for i, level := range []bulkhead.Priority{-9, bulkhead.Low, 0, 0, bulkhead.High, 99, bulkhead.High, bulkhead.Background} {
			go func() {
				q, err := b.Acquire(bulkhead.WithPriority(t.Context(), level))
				if err != nil {
					note(fmt.Sprint(i, " ", reason(err)))
					return
				}
				note(fmt.Sprint(i))
				q.Release()
			}()
			synctest.Wait()
		}
		p.Release()
		synctest.Wait()
		want := []string{"0 queue full", "7 queue full", "5", "4", "6", "2", "3", "1"}
		checkEqual(t, order, want)
	})
}

func TestTargetSheds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bulkhead.New(bulkhead.Config{Limit: 1, MaxQueue: 1000, Target: 10 * time.Millisecond})
		var in, shed atomic.Int64
		var longest atomic.Int64
		for range 2000 { // one comes every 5 ms, and takes 10 ms
			go func() {
				start := time.Now()
				p, err := b.Acquire(t.Context())
				if err != nil {
					shed.Add(1)
					return
				}
				in.Add(1)
				longest.Store(max(longest.Load(), int64(time.Since(start))))
				time.Sleep(10 * time.Millisecond)
				p.Release()
			}()
			time.Sleep(5 * time.Millisecond)
		}
		time.Sleep(time.Minute)
		if s := b.Stats(); s.Inflight != 0 || s.Queued != 0 || in.Load()+shed.Load() != 2000 || s.Shed != uint64(shed.Load()) {
			t.Errorf("stats %+v, %d in, %d shed", s, in.Load(), shed.Load())
		}
		if got := time.Duration(longest.Load()); got > 250*time.Millisecond || in.Load() < 950 {
			t.Errorf("waited %v at most, %d in; want at most 250ms and all the place used", got, in.Load())
		}
	})
}

func TestErrors(t *testing.T) {
	b := bulkhead.New(bulkhead.Config{Name: "x", Limit: 1, MaxQueue: -1})
	p := hold(t, b, 1)[0]
	_, err := b.Acquire(t.Context())
	checkIs(t, err, bulkhead.ErrFull, ratelimit.ErrLimited)
	if errors.Is(err, context.Canceled) {
		t.Errorf("%v matches context.Canceled", err)
	}
	if got := bulkhead.Classify(fmt.Errorf("a: %w", errors.Join(errors.New("b"), err))); got != bulkhead.OutcomeIgnored {
		t.Errorf("a refusal counts as %v", got)
	}
	why := errors.New("shutting down")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(why)
	calls := 0
	err = b.Do(ctx, func(context.Context) error { calls++; return nil })
	checkIs(t, err, why, context.Canceled)
	if calls != 0 {
		t.Errorf("%d calls with a done context, want none", calls)
	}
	p.Release()
	if err := b.Do(t.Context(), func(context.Context) error { return why }); err != why {
		t.Errorf("got %v, want the error of the work", err)
	}
	full := &bulkhead.FullError{Name: strings.Repeat("n", 500), Reason: 9}
	if got := full.Error(); len(got) > 150 || !full.Rejected() || !full.Retryable() || full.LogValue().Group() == nil {
		t.Errorf("text of %d bytes", len(got))
	}
}

// cyclic is an error that wraps itself.
type cyclic struct{}

func (cyclic) Error() string   { return "cyclic" }
func (c cyclic) Unwrap() error { return c }

// hostile is an error whose methods panic.
type hostile struct{}

func (*hostile) Error() string  { panic("Error") }
func (*hostile) Rejected() bool { panic("Rejected") }
func (*hostile) Is(error) bool  { panic("Is") }
func (*hostile) Unwrap() error  { panic("Unwrap") }

// The error of the work is foreign: a strange error loses no place.
func TestHostileErrors(t *testing.T) {
	for _, tt := range []struct {
		name string
		err  error
		want bulkhead.Outcome
	}{
		{"cyclic", cyclic{}, bulkhead.OutcomeIgnored},
		{"cyclic beside a deadline", errors.Join(cyclic{}, context.DeadlineExceeded), bulkhead.OutcomeIgnored},
		{"a deadline before a cycle", errors.Join(context.DeadlineExceeded, cyclic{}), bulkhead.OutcomeDropped},
		{"panicking", &hostile{}, bulkhead.OutcomeIgnored},
		{"panicking beside a deadline", errors.Join(&hostile{}, context.DeadlineExceeded), bulkhead.OutcomeDropped},
		{"typed nil", (*bulkhead.FullError)(nil), bulkhead.OutcomeIgnored},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := bulkhead.Classify(tt.err); got != tt.want {
				t.Errorf("Classify = %v, want %v", got, tt.want)
			}
			b := bulkhead.New(bulkhead.Config{Limit: 1, Adaptive: true})
			_ = b.Do(t.Context(), func(context.Context) error { return tt.err })
			if b.Inflight() != 0 {
				t.Errorf("%d places in use, want none", b.Inflight())
			}
		})
	}
}

// A hook that is slower than the events neither fills the memory nor holds a
// caller: events are dropped and counted.
func TestSlowHookIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var seen, dropped, most int
		b := bulkhead.New(bulkhead.Config{Limit: 1, MaxQueue: -1, OnEvent: func(_ context.Context, e bulkhead.Event) {
			time.Sleep(time.Millisecond)
			seen, dropped, most = seen+1, dropped+e.Dropped, max(most, e.Dropped)
			if e.Dropped > 0 && !strings.Contains(fmt.Sprint(e.LogValue()), fmt.Sprint("dropped=", e.Dropped)) {
				t.Errorf("%v does not contain the dropped events", e.LogValue())
			}
		}})
		hold(t, b, 1)
		const callers, calls = 4, 1000
		var longest atomic.Int64
		for range callers {
			go func() {
				for range calls {
					start := time.Now()
					_, _ = b.Acquire(t.Context())
					longest.Store(max(longest.Load(), int64(time.Since(start))))
					time.Sleep(time.Microsecond)
				}
			}()
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := seen + dropped; got < callers*calls-64 || most == 0 {
			t.Errorf("%d events and %d dropped, want %d in all and some dropped", seen, dropped, callers*calls)
		}
		if got := time.Duration(longest.Load()); got > 100*time.Millisecond {
			t.Errorf("a caller delivered events for %v, want at most 64 of 1ms", got)
		}
	})
}

// A hook that panics passes its panic on, and the events go on.
func TestPanickingHook(t *testing.T) {
	calls := 0
	b := bulkhead.New(bulkhead.Config{Limit: 1, OnEvent: func(context.Context, bulkhead.Event) {
		if calls++; calls == 1 {
			panic("hook")
		}
	}})
	func() {
		defer func() {
			if got := recover(); got != "hook" {
				t.Errorf("recovered %v, want the panic of the hook", got)
			}
		}()
		setLimit(t, b, 2)
	}()
	setLimit(t, b, 3)
	if calls != 2 || b.Limit() != 3 {
		t.Errorf("%d calls, limit %d, want 2 and 3", calls, b.Limit())
	}
}

func TestValidate(t *testing.T) {
	bad := bulkhead.Config{
		Name: "api", Limit: -1, MaxQueue: 1<<31 - 1, Interval: -1, MinLimit: -1, MaxLimit: -1,
	}
	err := bad.Validate()
	for _, part := range []string{
		"bulkhead: api: Limit is -1, want 0 to", "MaxQueue", "Interval", "MinLimit", "MaxLimit",
	} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("Validate = %v, want %q in it", err, part)
		}
	}
	defer func() {
		if got := recover(); got == nil || fmt.Sprint(got) != err.Error() {
			t.Errorf("New panics with %v, want %v", got, err)
		}
	}()
	bulkhead.New(bad)
}

func TestEventsInOrder(t *testing.T) {
	var got []int
	var b *bulkhead.Bulkhead
	b = bulkhead.New(bulkhead.Config{OnEvent: func(_ context.Context, e bulkhead.Event) {
		got = append(got, e.Limit)
		if e.Limit == 2 {
			setLimit(t, b, 3) // reported when this is done
		}
		if e.LogValue().Group() == nil {
			t.Error("no log value")
		}
	}})
	setLimit(t, b, 2)
	setLimit(t, b, 2)
	setLimit(t, b, 4)
	checkEqual(t, got, []int{2, 3, 2, 3, 4})
}

func TestAllocations(t *testing.T) {
	for _, adaptive := range []bool{false, true} {
		b := bulkhead.New(bulkhead.Config{Limit: 10, Adaptive: adaptive})
		ctx := t.Context()
		if got := testing.AllocsPerRun(1000, func() {
			p, err := b.Acquire(ctx)
			if err == nil {
				p.Done(nil)
			}
		}); got != 0 {
			t.Errorf("adaptive %v: %v allocations, want 0", adaptive, got)
		}
	}
}

// The figures of a Bulkhead are flat JSON, with the name first.
func TestStatsJSON(t *testing.T) {
	text, err := json.Marshal(bulkhead.Stats{Name: "api", Limit: 1, Inflight: 2, Queued: 3, QueueFull: 4, TooLate: 5, Shed: 6, TooLarge: 7})
	if err != nil {
		t.Error(err)
	}
	checkEqual(t, string(text), `{"name":"api","limit":1,"inflight":2,"queued":3,"queue_full":4,"too_late":5,"shed":6,"too_large":7}`)
}

// The last caller in the queue is not shed: no caller needs its place.
func TestTheLastWaiterIsNotShed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bulkhead.New(bulkhead.Config{Limit: 1, MaxQueue: 2, Target: time.Millisecond, Interval: time.Millisecond})
		p := hold(t, b, 1)[0]
		result := make(chan error, 2)
		for range 2 {
			go func() { result <- b.Do(context.Background(), func(context.Context) error { return nil }) }()
			synctest.Wait()
		}
		time.Sleep(time.Second)
		p.Release()
		time.Sleep(time.Second)
		if shed := b.Stats().Shed; shed != 1 || (<-result == nil) == (<-result == nil) {
			t.Errorf("%d callers are shed, want 1 of 2", shed)
		}
	})
}
