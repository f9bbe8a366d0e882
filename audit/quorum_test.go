package audit_test

import (
	"context"
	"errors"
	"strings"
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
		"negative": {Need: -1, Sinks: []audit.Sink{m}},
		"too many": {Need: 3, Sinks: []audit.Sink{m, m}},
		"nil sink": {Need: 1, Sinks: []audit.Sink{nil}},
	} {
		t.Run(name, func(t *testing.T) {
			checkIs(t, panicOf(func() { audit.NewQuorum(c) }), audit.ErrInvalid)
		})
	}
	if err := (audit.QuorumConfig{Need: 9, Sinks: []audit.Sink{nil}}).Validate(); strings.Count(err.Error(), "quorum") != 2 {
		t.Errorf("not all problems in %v", err)
	}
	all := audit.NewQuorum(audit.QuorumConfig{Sinks: []audit.Sink{m, &memory{fail: errSink}}})
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
			err := newLog(audit.NewQuorum(audit.QuorumConfig{Need: c.n, Sinks: c.sinks})).Record(alice(), audit.Event{Action: "a", Outcome: "b"})
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
		any1 := audit.NewQuorum(audit.QuorumConfig{Need: 1, Timeout: time.Second, Sinks: []audit.Sink{hung, good}})
		all := audit.NewQuorum(audit.QuorumConfig{Need: 2, Timeout: time.Second, Sinks: []audit.Sink{hung, good}})
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
		slow := audit.NewQuorum(audit.QuorumConfig{Need: 1, Timeout: -1, Sinks: []audit.Sink{hung}})
		checkIs(t, slow.WriteEvents(ctx, ev("4")), audit.ErrUncertain, context.DeadlineExceeded)
		cancel()
		close(release)
		synctest.Wait()
		if err := all.WriteEvents(context.Background(), ev("5")); err != nil {
			t.Errorf("a sink that came back: %v", err)
		}
	})
}
