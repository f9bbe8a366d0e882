package audit_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/leanovate/gopter/gen"
	"github.com/leanovate/gopter/prop"

	"github.com/redoubt-go/redoubt/audit"
)

func ev(id string) []*audit.Event {
	return []*audit.Event{{ID: id, Action: "a", Outcome: audit.Success, Time: time.Unix(1, 0)}}
}

// A gate is a sink that waits for an answer before each batch and records the
// sizes of the batches.
type gate struct {
	memory
	in      chan struct{} // receives at the start of each call
	out     chan error    // the error that the call returns
	batches []int
}

func newGate() *gate { return &gate{in: make(chan struct{}, 100), out: make(chan error, 100)} }

func (g *gate) WriteEvents(ctx context.Context, events []*audit.Event) error {
	g.in <- struct{}{}
	select {
	case err := <-g.out:
		if err != nil {
			return err
		}
	case <-ctx.Done():
		return ctx.Err()
	}
	g.mu.Lock()
	g.batches = append(g.batches, len(events))
	g.mu.Unlock()
	return g.memory.WriteEvents(ctx, events)
}

func (m *memory) ids() (out []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range m.events {
		out = append(out, e.ID)
	}
	return out
}

func TestBufferBatches(t *testing.T) {
	g := newGate()
	b := audit.NewBuffer(audit.BufferConfig{Next: g, MaxBatch: 3})
	e := ev("0")
	e[0].Attrs = []slog.Attr{slog.Int("n", 1)}
	_ = b.WriteEvents(context.Background(), e)
	e[0].ID, e[0].Attrs[0] = "changed", slog.Int("n", 2) // the buffer has its own
	<-g.in
	for i := 1; i <= 4; i++ {
		_ = b.WriteEvents(context.Background(), ev(fmt.Sprint(i)))
	}
	for range 3 {
		g.out <- nil
	}
	if err := b.Flush(context.Background()); err != nil {
		t.Error(err)
	}
	checkEqual(t, g.batches, []int{1, 3, 1})
	if d := cmp.Diff([]string{"0", "1", "2", "3", "4"}, g.ids()); d != "" || g.events[0].Attrs[0].Value.Int64() != 1 {
		t.Errorf("attribute %v, events (-want +got):\n%s", g.events[0].Attrs[0], d)
	}
	if got := b.Stats(); got != (audit.BufferStats{Written: 5}) {
		t.Errorf("stats %+v", got)
	}
	if err := b.Close(context.Background()); err != nil {
		t.Error(err)
	}
}

func TestBufferDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{}
		b := audit.NewBuffer(audit.BufferConfig{Next: m, Delay: time.Second, MaxBatch: 3})
		start := time.Now()
		_ = b.WriteEvents(context.Background(), ev("a"))
		time.Sleep(900 * time.Millisecond)
		_ = b.WriteEvents(context.Background(), ev("b"))
		synctest.Wait()
		if n := len(m.ids()); n != 0 {
			t.Errorf("%d events before the delay is over", n)
		}
		time.Sleep(100 * time.Millisecond)
		synctest.Wait()
		if n := len(m.ids()); n != 2 {
			t.Errorf("%d events after %v, want 2", n, time.Since(start))
		}
		for _, id := range []string{"c", "d", "e"} { // a complete batch does not wait
			_ = b.WriteEvents(context.Background(), ev(id))
		}
		synctest.Wait()
		if n := len(m.ids()); n != 5 {
			t.Errorf("%d events, want 5", n)
		}
		_ = b.WriteEvents(context.Background(), ev("f"))
		if err := b.Close(context.Background()); err != nil || len(m.ids()) != 6 || time.Since(start) != time.Second {
			t.Errorf("%v, %d events after %v", err, len(m.ids()), time.Since(start))
		}
	})
}

func TestDropLeavesACountedGap(t *testing.T) {
	g := newGate()
	b := audit.NewBuffer(audit.BufferConfig{Next: g, Size: 2, Overflow: audit.Drop})
	_ = b.WriteEvents(context.Background(), ev("held"))
	<-g.in
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			for range 10 {
				if err := b.WriteEvents(context.Background(), ev("x")); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if got := b.Stats(); got != (audit.BufferStats{Lost: 98, Waiting: 3}) {
		t.Errorf("stats %+v, want 98 lost and 3 waiting", got)
	}
	g.out <- nil
	g.out <- nil
	if err := b.Close(context.Background()); err != nil {
		t.Error(err)
	}
	gap := g.events[1]
	if len(g.events) != 4 || gap.Action != "audit.gap" || gap.ID == "" || gap.Attrs[0].Value.Uint64() != 98 || !gap.Attrs[1].Value.Time().Equal(time.Unix(1, 0)) {
		t.Errorf("%d events, the second %+v", len(g.events), gap)
	}
}

func TestGapIsNotLostItself(t *testing.T) {
	m := &memory{}
	var refused []int
	b := audit.NewBuffer(audit.BufferConfig{Next: m, OnError: func(_ context.Context, events []*audit.Event, err error) {
		checkIs(t, err, errSink)
		refused = append(refused, len(events))
	}})
	put := func(fail error) {
		t.Helper()
		m.mu.Lock()
		m.fail = fail
		m.mu.Unlock()
		_ = b.WriteEvents(context.Background(), ev("e"))
		if err := b.Flush(context.Background()); err != nil {
			t.Error(err)
		}
	}
	put(errSink)
	put(errSink)
	put(nil)
	if len(m.events) != 2 || m.events[0].Action != "audit.gap" || m.events[0].Attrs[0].Value.Uint64() != 2 {
		t.Errorf("events %+v", m.events)
	}
	put(errSink)
	m.mu.Lock()
	m.fail = nil
	m.mu.Unlock()
	// The gap is written at Close, with no event behind it.
	if err := b.Close(context.Background()); err != nil || len(m.events) != 3 || m.events[2].Action != "audit.gap" {
		t.Errorf("%v, events %+v", err, m.events)
	}
	if d := cmp.Diff([]int{1, 1, 1}, refused); d != "" || b.Stats() != (audit.BufferStats{Written: 1, Lost: 3}) {
		t.Errorf("stats %+v, OnError (-want +got):\n%s", b.Stats(), d)
	}
}

func TestBufferClose(t *testing.T) {
	m := &memory{}
	b := audit.NewBuffer(audit.BufferConfig{Next: m})
	var wg sync.WaitGroup
	var accepted sync.Map
	for i := range 4 {
		wg.Go(func() {
			for j := 0; ; j++ {
				id := fmt.Sprint(i, " ", j)
				if err := b.WriteEvents(context.Background(), ev(id)); err != nil {
					checkIs(t, err, audit.ErrClosed)
					return
				}
				accepted.Store(id, true)
			}
		})
	}
	for b.Stats().Written < 50 {
		runtime.Gosched()
	}
	for range 2 {
		if err := b.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}
	wg.Wait()
	n := 0
	accepted.Range(func(any, any) bool { n++; return true })
	if n != len(m.events) {
		t.Errorf("%d events written, %d accepted", len(m.events), n)
	}
	checkIs(t, b.Flush(context.Background()), audit.ErrClosed)
	checkIs(t, b.WriteEvents(context.Background(), ev("x")), audit.ErrClosed)
}

func TestBufferCloseIsBounded(t *testing.T) {
	g := newGate()
	b := audit.NewBuffer(audit.BufferConfig{Next: g, Size: 4})
	_ = b.WriteEvents(context.Background(), ev("held"))
	<-g.in
	for range 3 {
		_ = b.WriteEvents(context.Background(), ev("x"))
	}
	cause := errors.New("shutting down")
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(cause)
	checkIs(t, b.Flush(ctx), context.Canceled, cause)
	err := b.Close(ctx)
	checkIs(t, err, audit.ErrFailed, cause)
	if !strings.Contains(err.Error(), "4 events not written") {
		t.Errorf("error %v, want the number 4", err)
	}
}

func TestBufferOverflow(t *testing.T) {
	for _, p := range []audit.Overflow{audit.Block, audit.Fail} {
		t.Run(p.String(), func(t *testing.T) {
			g := newGate()
			b := audit.NewBuffer(audit.BufferConfig{Next: g, Size: 1, Overflow: p})
			_ = b.WriteEvents(context.Background(), ev("1"))
			<-g.in
			_ = b.WriteEvents(context.Background(), ev("2"))
			cause := errors.New("client went away")
			ctx, cancel := context.WithCancelCause(context.Background())
			cancel(cause)
			err := b.WriteEvents(ctx, ev("3"))
			if p == audit.Fail {
				checkIs(t, err, audit.ErrFull)
			} else {
				checkIs(t, err, context.Canceled, cause)
			}
			late := make(chan error, 1)
			if p == audit.Block {
				go func() { late <- b.WriteEvents(context.Background(), ev("4")) }()
			} else {
				late <- nil
			}
			g.out <- nil
			if err := <-late; err != nil {
				t.Error(err)
			}
			g.out <- nil
			g.out <- nil
			if err := b.Close(context.Background()); err != nil || g.ids()[1] != "2" {
				t.Errorf("%v, events %v", err, g.ids())
			}
		})
	}
	if got := audit.Overflow(9).String(); got != "Overflow(9)" {
		t.Errorf("got %s", got)
	}
}

// Every accepted event is written or counted as lost, in the order of its
// producer. Oracle: the counts of the producers.
func TestPropertyBuffer(t *testing.T) {
	checkProperty(t, 60, prop.ForAll(func(seed uint64) string {
		r := rand.New(rand.NewPCG(seed, 6))
		sink := &flaky{memory: &memory{}, r: rand.New(rand.NewPCG(seed, 7))}
		b := audit.NewBuffer(audit.BufferConfig{
			Next: sink, Size: 1 + r.IntN(5), MaxBatch: 1 + r.IntN(4), Overflow: audit.Overflow(r.IntN(3)),
		})
		var wg sync.WaitGroup
		var mu sync.Mutex
		accepted := uint64(0)
		for p := range 3 {
			wg.Go(func() {
				for i := range 30 {
					if b.WriteEvents(context.Background(), ev(fmt.Sprintf("%d %03d", p, i))) == nil {
						mu.Lock()
						accepted++
						mu.Unlock()
					}
				}
			})
		}
		wg.Wait()
		err := b.Close(context.Background())
		s := b.Stats()
		if s.Waiting != 0 || s.Written+s.Lost != accepted {
			return fmt.Sprintf("%+v of %d", s, accepted)
		}
		reported := uint64(0)
		last := map[string]string{}
		for _, e := range sink.events {
			if e.Action == "audit.gap" {
				reported += e.Attrs[0].Value.Uint64()
			} else if p := e.ID[:1]; e.ID <= last[p] {
				return "out of order: " + e.ID
			} else {
				last[p] = e.ID
			}
		}
		if reported != s.Lost && err == nil {
			return fmt.Sprintf("%d lost, %d reported in the log", s.Lost, reported)
		}
		return ""
	}, gen.UInt64()))
}

func TestBufferConfig(t *testing.T) {
	err := panicOf(func() { audit.NewBuffer(audit.BufferConfig{Size: -1, Overflow: 7}) })
	checkIs(t, err, audit.ErrInvalid)
	if strings.Count(err.Error(), "buffer") != 3 {
		t.Errorf("not all problems in %v", err)
	}
}

// panicOf returns the error with which f panics.
func panicOf(f func()) (err error) {
	defer func() { err, _ = recover().(error) }()
	f()
	return nil
}

// A buffer that has refused an event says so, also after the deadline.
func TestRefusalOfABufferIsNotUncertain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		b := audit.NewBuffer(audit.BufferConfig{Size: 1, Next: audit.SinkFunc(func(context.Context, []*audit.Event) error { <-release; return nil })})
		l := audit.New(audit.Config{Sink: b, Timeout: time.Second})
		var err error
		for range 4 {
			err = l.Record(alice(), audit.Event{Action: "a", Outcome: "b"})
		}
		checkIs(t, err, audit.ErrFailed, audit.ErrFull, context.DeadlineExceeded)
		if errors.Is(err, audit.ErrUncertain) {
			t.Errorf("uncertain: %v", err)
		}
		close(release)
		if err := b.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

// A batch that may be stored counts as uncertain, not as lost.
func TestUncertainBatchIsNotLost(t *testing.T) {
	m := &memory{}
	unsure := true
	b := audit.NewBuffer(audit.BufferConfig{Next: audit.SinkFunc(func(ctx context.Context, es []*audit.Event) error {
		_ = m.WriteEvents(ctx, es)
		if unsure {
			unsure = false
			return fmt.Errorf("no answer: %w", audit.ErrUncertain)
		}
		return nil
	})})
	_ = b.WriteEvents(context.Background(), ev("1"))
	_ = b.Flush(context.Background())
	_ = b.WriteEvents(context.Background(), ev("2"))
	if err := b.Close(context.Background()); err != nil {
		t.Error(err)
	}
	checkEqual(t, b.Stats(), audit.BufferStats{Written: 1, Uncertain: 1})
	attrs := fmt.Sprint(m.events[1].Attrs)
	if !strings.Contains(attrs, "lost=0") || !strings.Contains(attrs, "uncertain=1") {
		t.Errorf("gap event with %s", attrs)
	}
}

// A sink that hangs until its context ends, or ends its goroutine, does not
// stop the buffer.
func TestBufferSurvivesTheSink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls, m := 0, &memory{}
		b := audit.NewBuffer(audit.BufferConfig{Timeout: time.Second, Next: audit.SinkFunc(func(ctx context.Context, es []*audit.Event) error {
			switch calls++; calls {
			case 1:
				<-ctx.Done()
				return ctx.Err()
			case 2:
				runtime.Goexit()
			}
			return m.WriteEvents(ctx, es)
		})})
		start := time.Now()
		for i := range 3 {
			_ = b.WriteEvents(context.Background(), ev(fmt.Sprint(i)))
			time.Sleep(2 * time.Second)
		}
		if err := b.Close(context.Background()); err != nil || time.Since(start) != 6*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		checkEqual(t, b.Stats(), audit.BufferStats{Written: 1, Lost: 1, Uncertain: 1})
	})
}

// A sink that ends its goroutine in every write stops neither Flush nor Close.
func TestGoexitStopsNeitherFlushNorClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		exits := audit.SinkFunc(func(context.Context, []*audit.Event) error {
			runtime.Goexit()
			return nil
		})
		b := audit.NewBuffer(audit.BufferConfig{Next: exits, Delay: time.Second}) // event and mark are in one batch
		for i := range 2 {
			_ = b.WriteEvents(context.Background(), ev(fmt.Sprint(i)))
			if err := b.Flush(context.Background()); err != nil {
				t.Error(err)
			}
		}
		_ = b.WriteEvents(context.Background(), ev("last"))
		checkIs(t, b.Close(context.Background()), audit.ErrFailed)
		checkEqual(t, b.Stats(), audit.BufferStats{Uncertain: 3})
	})
}
