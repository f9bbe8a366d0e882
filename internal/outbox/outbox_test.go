package outbox_test

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/redoubt-go/redoubt/internal/outbox"
)

// A delivery is a call of the hook.
type delivery struct {
	event, dropped int
}

// post queues the events from first to last.
func post(o *outbox.Outbox[int], first, last int) {
	for i := first; i <= last; i++ {
		o.Post(context.Background(), i)
	}
}

// deliver returns the calls of the hook.
func deliver(o *outbox.Outbox[int]) (got []delivery) {
	o.Deliver(func(_ context.Context, event, dropped int) { got = append(got, delivery{event, dropped}) })
	return got
}

// run is the events from first to last with nothing dropped.
func run(first, last int) (want []delivery) {
	for i := first; i <= last; i++ {
		want = append(want, delivery{i, 0})
	}
	return want
}

func checkEqual[T any](t *testing.T, got, want T) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(delivery{})); diff != "" {
		t.Error(diff)
	}
}

func TestEventsAreDeliveredInOrderWithTheirContexts(t *testing.T) {
	var o outbox.Outbox[int]
	type key struct{}
	for i := range 10 {
		o.Post(context.WithValue(t.Context(), key{}, i), i)
	}
	next := 0
	o.Deliver(func(ctx context.Context, event, dropped int) {
		if event != next || ctx.Value(key{}) != next || dropped != 0 {
			t.Errorf("event %d with context %v and dropped %d, want event %d", event, ctx.Value(key{}), dropped, next)
		}
		next++
	})
	checkEqual(t, next, 10)
	checkEqual(t, deliver(&o), nil)
}

func TestTheOldestEventIsDroppedAndCounted(t *testing.T) {
	var o outbox.Outbox[int]
	post(&o, 1, outbox.Max)
	checkEqual(t, deliver(&o), run(1, outbox.Max))

	post(&o, 1, outbox.Max+10)
	want := run(11, outbox.Max+10)
	want[0].dropped = 10
	checkEqual(t, deliver(&o), want)

	post(&o, 1, 1)
	checkEqual(t, deliver(&o), run(1, 1)) // the count is reported once
}

// The events posted equal the events delivered and dropped, whatever the hook
// posts meanwhile.
func TestDropsBetweenDeliveriesAreCountedWhereTheyHappened(t *testing.T) {
	var o outbox.Outbox[int]
	post(&o, 1, 2)
	var got []delivery
	o.Deliver(func(_ context.Context, event, dropped int) {
		got = append(got, delivery{event, dropped})
		if event == 1 {
			post(&o, 3, outbox.Max+4) // 2 to 4 no longer fit
		}
	})
	want := append(run(1, 1), run(5, outbox.Max+3)...) // 64 in this call
	want[1].dropped = 3
	checkEqual(t, got, want)
	checkEqual(t, deliver(&o), run(outbox.Max+4, outbox.Max+4))
}

func TestOneCallDeliversAtMostMax(t *testing.T) {
	var o outbox.Outbox[int]
	o.Post(t.Context(), 0)
	calls := 0
	hook := func(_ context.Context, event, _ int) {
		calls++
		o.Post(t.Context(), event+1) // an event for each event: without a bound, forever
	}
	for want := outbox.Max; want <= 3*outbox.Max; want += outbox.Max {
		o.Deliver(hook)
		checkEqual(t, calls, want)
	}
}

func TestAHookThatCallsDeliverReturnsImmediately(t *testing.T) {
	var o outbox.Outbox[int]
	post(&o, 1, 1)
	var got []delivery
	depth := 0
	var hook func(context.Context, int, int)
	hook = func(_ context.Context, event, dropped int) {
		if depth++; depth > 1 {
			t.Errorf("event %d is delivered inside the delivery of another", event)
		}
		got = append(got, delivery{event, dropped})
		if event < 5 {
			post(&o, event+1, event+1)
			o.Deliver(hook)
		}
		depth--
	}
	o.Deliver(hook)
	checkEqual(t, got, run(1, 5))
}

func TestAPanicIsPassedOnAfterTheOtherEvents(t *testing.T) {
	var o outbox.Outbox[int]
	post(&o, 1, 5)
	var got []delivery
	recovered := func() (value any) {
		defer func() { value = recover() }()
		o.Deliver(func(_ context.Context, event, dropped int) {
			got = append(got, delivery{event, dropped})
			if event == 2 || event == 4 {
				panic(event)
			}
		})
		return nil
	}()
	checkEqual(t, got, run(1, 5))
	checkEqual(t, recovered, any(4)) // the latest panic, as in the language
	post(&o, 6, 6)
	checkEqual(t, deliver(&o), run(6, 6))
}

func TestAPanicOnEveryEventStaysWithinTheBound(t *testing.T) {
	var o outbox.Outbox[int]
	post(&o, 1, 1)
	calls := 0
	func() {
		defer func() { _ = recover() }()
		o.Deliver(func(_ context.Context, event, _ int) {
			calls++
			post(&o, event+1, event+1)
			panic(event)
		})
	}()
	checkEqual(t, calls, outbox.Max)
	checkEqual(t, deliver(&o), run(outbox.Max+1, outbox.Max+1))
}

func TestGoexitEndsTheGoroutineAfterTheOtherEvents(t *testing.T) {
	var o outbox.Outbox[int]
	post(&o, 1, 5)
	var got []delivery
	returned := false
	var wg sync.WaitGroup
	wg.Go(func() {
		o.Deliver(func(_ context.Context, event, dropped int) {
			got = append(got, delivery{event, dropped})
			if event == 1 || event == 5 {
				runtime.Goexit()
			}
		})
		returned = true
	})
	wg.Wait()
	checkEqual(t, got, run(1, 5))
	checkEqual(t, returned, false)
	post(&o, 6, 6)
	checkEqual(t, deliver(&o), run(6, 6))
}

// An object whose lock orders its changes, as the guards use the outbox.
type object struct {
	mu     sync.Mutex
	n      int
	outbox outbox.Outbox[int]
}

func (o *object) change(hook func(context.Context, int, int)) {
	o.mu.Lock()
	o.n++
	o.outbox.Post(context.Background(), o.n)
	o.mu.Unlock()
	o.outbox.Deliver(hook)
}

func TestAFloodWithASlowHookHoldsNoCaller(t *testing.T) {
	const callers, changes = 8, 500
	var (
		o      object
		inside atomic.Int32
		mu     sync.Mutex
		got    []delivery
		wg     sync.WaitGroup
	)
	for range callers {
		wg.Go(func() {
			for range changes {
				delivered := 0 // by this call
				o.change(func(_ context.Context, event, dropped int) {
					if inside.Add(1) > 1 {
						t.Error("two hooks run at once")
					}
					time.Sleep(20 * time.Microsecond)
					if delivered++; delivered > outbox.Max {
						t.Errorf("one call delivers %d events", delivered)
					}
					mu.Lock()
					got = append(got, delivery{event, dropped})
					mu.Unlock()
					inside.Add(-1)
				})
			}
		})
	}
	wg.Wait()
	for {
		rest := deliver(&o.outbox)
		if rest == nil {
			break
		}
		got = append(got, rest...)
	}
	accounted(t, got, callers*changes)
}

// accounted checks that the events are in order, and that each of the n events
// was either delivered or counted at the event after it.
func accounted(t *testing.T, got []delivery, n int) {
	t.Helper()
	last := 0
	for _, d := range got {
		if d.event != last+d.dropped+1 {
			t.Fatalf("event %d with dropped %d follows event %d", d.event, d.dropped, last)
		}
		last = d.event
	}
	if last != n {
		t.Errorf("the last event is %d, want %d", last, n)
	}
}

func TestEventsAreNotKeptAlive(t *testing.T) {
	var o outbox.Outbox[*[1 << 10]byte]
	var gone atomic.Int32
	for range 3 * outbox.Max {
		e := new([1 << 10]byte)
		runtime.AddCleanup(e, func(int) { gone.Add(1) }, 0)
		o.Post(t.Context(), e)
	}
	o.Deliver(func(context.Context, *[1 << 10]byte, int) {})
	for range 100 {
		if runtime.GC(); gone.Load() == 3*outbox.Max {
			break
		}
		time.Sleep(time.Millisecond)
	}
	checkEqual(t, gone.Load(), int32(3*outbox.Max))
	runtime.KeepAlive(&o)
}

// FuzzOutbox compares an outbox with a plain list: each byte posts that many
// events, or delivers, or makes the hook panic.
func FuzzOutbox(f *testing.F) {
	f.Add([]byte{3, 0, 70, 0, 255, 1, 0})
	f.Add(slices.Repeat([]byte{255, 40, 0}, 5))
	f.Fuzz(func(t *testing.T, script []byte) {
		var o outbox.Outbox[int]
		var got []delivery
		posted := 0
		panics := false
		for _, b := range script[:min(len(script), 1000)] {
			switch {
			case b == 0:
				func() {
					defer func() { _ = recover() }()
					o.Deliver(func(_ context.Context, event, dropped int) {
						got = append(got, delivery{event, dropped})
						if panics && event%2 == 0 {
							panic("hook")
						}
					})
				}()
				if len(got) > 0 && got[len(got)-1].event != posted {
					t.Fatalf("the last event is %v of %d", got[len(got)-1], posted)
				}
			case b == 255:
				panics = !panics
			default:
				post(&o, posted+1, posted+int(b))
				posted += int(b)
			}
		}
		got = append(got, deliver(&o)...)
		accounted(t, got, posted)
	})
}
