package audit_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redoubt-go/redoubt/audit"
)

func TestQuorumConfig(t *testing.T) {
	m := &memory{}
	for name, c := range map[string]audit.QuorumConfig{
		"no sinks": {},
		"negative": {Need: -1, Members: members(m)},
		"too many": {Need: 3, Members: members(m, m)},
		"nil sink": {Need: 1, Members: members(nil)},
	} {
		t.Run(name, func(t *testing.T) {
			checkIs(t, panicOf(func() { audit.NewQuorum(c) }), audit.ErrInvalid)
		})
	}
	if err := (audit.QuorumConfig{Need: 9, Members: members(nil)}).Validate(); strings.Count(err.Error(), "quorum") != 2 {
		t.Errorf("not all problems in %v", err)
	}
	all := audit.NewQuorum(audit.QuorumConfig{Members: members(m, &memory{fail: errSink})})
	checkIs(t, all.WriteEvents(context.Background(), ev("1")), errSink) // Need 0 means all
}

func TestQuorumAnswers(t *testing.T) {
	good, bad := &memory{}, &memory{fail: errSink}
	unsure := audit.SinkFunc(func(context.Context, []*audit.Event) error { return audit.ErrUncertain })
	for _, c := range []struct {
		name  string
		n     int
		sinks []audit.Sink
		want  error
		not   error
	}{
		{"any", 1, []audit.Sink{bad, good}, nil, nil},
		{"all", 2, []audit.Sink{good, good}, nil, nil},
		{"none stored", 1, []audit.Sink{bad, bad}, audit.ErrFailed, audit.ErrUncertain},
		{"one of two stored", 2, []audit.Sink{bad, good}, audit.ErrUncertain, audit.ErrFailed},
		{"one does not know", 1, []audit.Sink{bad, unsure}, audit.ErrUncertain, audit.ErrFailed},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := newLog(audit.NewQuorum(audit.QuorumConfig{Need: c.n, Members: members(c.sinks...)})).Record(alice(), audit.Event{Action: "a", Outcome: "b"})
			if !errors.Is(err, c.want) || c.not != nil && errors.Is(err, c.not) {
				t.Errorf("error %v, want %v", err, c.want)
			}
		})
	}
}

// A hung sink does not delay the others, and is not called again before it
// returns.
func TestQuorumWithHungSink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		var calls atomic.Int32
		hung := audit.SinkFunc(func(context.Context, []*audit.Event) error { calls.Add(1); <-release; return nil })
		good := &memory{}
		any1 := audit.NewQuorum(audit.QuorumConfig{Need: 1, Timeout: time.Second, Members: members(hung, good)})
		all := audit.NewQuorum(audit.QuorumConfig{Need: 2, Timeout: time.Second, Members: members(hung, good)})
		start := time.Now()
		if err := any1.WriteEvents(context.Background(), ev("1")); err != nil || time.Since(start) != 0 {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		checkIs(t, all.WriteEvents(context.Background(), ev("2")), audit.ErrUncertain)
		if d := time.Since(start); d != time.Second {
			t.Errorf("gave up after %v, want 1s", d)
		}
		checkIs(t, all.WriteEvents(context.Background(), ev("3")), audit.ErrUncertain)
		if d := time.Since(start); d != time.Second || calls.Load() != 2 {
			t.Errorf("asked a hung sink again: %d calls, %v", calls.Load(), d)
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
		slow := audit.NewQuorum(audit.QuorumConfig{Need: 1, Timeout: -1, Members: members(hung)})
		checkIs(t, slow.WriteEvents(ctx, ev("4")), audit.ErrUncertain, context.DeadlineExceeded)
		cancel()
		close(release)
		synctest.Wait()
		if err := all.WriteEvents(context.Background(), ev("5")); err != nil {
			t.Errorf("a sink that came back: %v", err)
		}
	})
}

// Every member has the order of the calls, also if another member is faster.
func TestQuorumKeepsTheOrderInEveryMember(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fast, slow := &memory{}, &memory{hook: func(context.Context) { time.Sleep(time.Millisecond) }}
		q := audit.NewQuorum(audit.QuorumConfig{Need: 1, Members: members(fast, slow)})
		f, _ := (&audit.Attribute[int]{Name: "n"}).Load(newLog(q).Object("o", "1"), 0)
		for i := range 200 {
			if err := f.Set(alice(), i+1); err != nil {
				t.Fatal(err)
			}
		}
		if err := q.Close(context.Background()); err != nil {
			t.Fatal(err)
		}
		checkEqual(t, len(slow.events), 200)
		checkEqual(t, slow.brief(), fast.brief())
		checkIs(t, q.WriteEvents(context.Background(), ev("1")), audit.ErrClosed)
	})
}

// A member has at most one goroutine, and a hung member takes neither
// goroutines nor memory without a bound.
func TestQuorumGoroutinesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		hung := audit.SinkFunc(func(context.Context, []*audit.Event) error { <-release; return nil })
		failed := map[string]int{}
		var mu sync.Mutex
		q := audit.NewQuorum(audit.QuorumConfig{
			Members: []audit.Member{{Sink: &memory{}}, {Sink: hung, BestEffort: true}},
			OnError: func(_ context.Context, member int, events []*audit.Event, err error) {
				mu.Lock()
				defer mu.Unlock()
				if member != 1 || len(events) != 1 {
					t.Errorf("member %d, %d events", member, len(events))
				}
				failed[err.Error()]++
			},
		})
		before := runtime.NumGoroutine()
		start := time.Now()
		for range 5000 {
			if err := q.WriteEvents(context.Background(), ev("1")); err != nil {
				t.Fatal(err)
			}
		}
		if n := runtime.NumGoroutine() - before; n > 2 || time.Since(start) != 0 {
			t.Errorf("%d goroutines after %v", n, time.Since(start))
		}
		checkEqual(t, failed, map[string]int{"audit: queue of a sink: full": 5000 - 257})
		time.Sleep(time.Minute)
		_ = q.WriteEvents(context.Background(), ev("1"))
		checkEqual(t, failed["audit: sink still does not answer: event not recorded"], 1)
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		checkIs(t, q.Close(ctx), audit.ErrUncertain, context.DeadlineExceeded)
		close(release)
		if err := q.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

// A required member decides, a best-effort member does not, and a filter keeps
// events from its member only.
func TestQuorumRoutes(t *testing.T) {
	for _, c := range []struct {
		name           string
		ledger, remote error
		is             []error
		stored         int
	}{
		{"both work", nil, nil, nil, 1},
		{"remote fails", nil, errSink, nil, 0},
		{"ledger fails", errSink, nil, []error{audit.ErrFailed, errSink}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			ledger, remote := &memory{fail: c.ledger}, &memory{fail: c.remote}
			q := audit.NewQuorum(audit.QuorumConfig{Members: []audit.Member{
				{Sink: ledger}, {Sink: remote, BestEffort: true, Filter: func(e *audit.Event) bool { return e.Action != audit.Read }},
			}})
			l := newLog(q)
			for _, action := range []audit.Action{audit.Read, "pay"} {
				err := l.Record(alice(), audit.Event{Action: action, Outcome: audit.Success})
				checkIs(t, err, c.is...)
				if (err == nil) != (c.is == nil) {
					t.Errorf("error %v", err)
				}
			}
			_ = q.Close(context.Background())
			checkEqual(t, len(remote.events), c.stored)
		})
	}
}

// A sink that ends its goroutine does not stop its member.
func TestQuorumSurvivesGoexit(t *testing.T) {
	m, exit := &memory{}, true
	q := audit.NewQuorum(audit.QuorumConfig{Members: members(audit.SinkFunc(func(ctx context.Context, es []*audit.Event) error {
		if exit {
			exit = false
			runtime.Goexit()
		}
		return m.WriteEvents(ctx, es)
	}))})
	checkIs(t, q.WriteEvents(context.Background(), ev("1")), audit.ErrUncertain)
	if err := q.WriteEvents(context.Background(), ev("2")); err != nil || len(m.events) != 1 {
		t.Errorf("%v, %d events", err, len(m.events))
	}
}

// A member that does not want an event has not stored it.
func TestFilteredMembersDoNotCount(t *testing.T) {
	ledger, copies := &memory{}, &memory{}
	q := audit.NewQuorum(audit.QuorumConfig{Need: 1, Members: []audit.Member{
		{Sink: copies, Filter: func(*audit.Event) bool { return false }}, {Sink: ledger},
	}})
	event := []*audit.Event{{Action: "a", Outcome: audit.Success}}
	if err := q.WriteEvents(context.Background(), event); err != nil || len(ledger.events) != 1 {
		t.Errorf("%v, %d events", err, len(ledger.events))
	}
	ledger.fail = errSink
	checkIs(t, q.WriteEvents(context.Background(), event), errSink)
	none := audit.NewQuorum(audit.QuorumConfig{Members: []audit.Member{{Sink: copies, Filter: func(*audit.Event) bool { return false }}}})
	if err := none.WriteEvents(context.Background(), event); err != nil || len(copies.events) != 0 {
		t.Errorf("%v, %d events", err, len(copies.events))
	}
}
