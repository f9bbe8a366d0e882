package audit_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redoubt-go/redoubt/audit"
)

// Reads of one field wait for each other neither in a slow sink nor in a hung
// sink.
func TestReadsShareTheField(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLog(audit.SinkFunc(func(context.Context, []*audit.Event) error { time.Sleep(2 * time.Millisecond); return nil }))
		f, _ := (&audit.Attribute[string]{Name: "key"}).Load(l.Object("user", "1"), "v")
		start := time.Now()
		var wg sync.WaitGroup
		for range 64 {
			wg.Go(func() {
				for range 5 {
					if _, err := f.Get(alice()); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		if d := time.Since(start); d != 10*time.Millisecond {
			t.Errorf("64 readers take %v, want 10ms as for one reader", d)
		}
	})
}

// Waiting for a change in progress ends with the context of the waiting call.
func TestWaitingForAFieldEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		blocked := true
		m := &memory{}
		l := audit.New(audit.Config{Timeout: -1, Sink: audit.SinkFunc(func(ctx context.Context, es []*audit.Event) error {
			if blocked {
				blocked = false
				<-release
			}
			return m.WriteEvents(ctx, es)
		})})
		f, _ := (&audit.Attribute[int]{Name: "n"}).Load(l.Object("o", "1"), 0)
		go func() { _ = f.Set(alice(), 1) }()
		synctest.Wait()
		start := time.Now()
		cause := errors.New("client went away")
		ctx, cancel := context.WithTimeoutCause(alice(), 50*time.Millisecond, cause)
		defer cancel()
		var wg sync.WaitGroup
		for i := range 10 {
			wg.Go(func() {
				var err error
				switch i % 3 {
				case 0:
					_, err = f.Get(ctx)
				case 1:
					err = f.Set(ctx, 2)
				case 2:
					err = f.Delete(ctx)
				}
				checkIs(t, err, context.DeadlineExceeded, cause)
			})
		}
		wg.Wait()
		if d := time.Since(start); d != 50*time.Millisecond {
			t.Errorf("the calls return after %v, want 50ms", d)
		}
		close(release)
		synctest.Wait()
		if v, err := f.Get(alice()); v != 1 || err != nil {
			t.Errorf("afterwards: %d, %v", v, err)
		}
		checkEvents(t, m, "modify success 0>1", "read success >")
	})
}

// Readers that keep coming do not keep a change out.
func TestReadersDoNotStarveAChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLog(audit.SinkFunc(func(context.Context, []*audit.Event) error { time.Sleep(time.Second); return nil }))
		f, _ := (&audit.Attribute[int]{Name: "n"}).Load(l.Object("o", "1"), 0)
		ctx, cancel := context.WithTimeout(alice(), time.Minute)
		defer cancel()
		var wg sync.WaitGroup
		for i := range 2 {
			time.Sleep(time.Duration(i) * time.Second / 2)
			wg.Go(func() {
				for ctx.Err() == nil {
					_, _ = f.Get(ctx)
				}
			})
		}
		time.Sleep(100 * time.Millisecond)
		start := time.Now()
		if err := f.Set(alice(), 1); err != nil || time.Since(start) > 3*time.Second {
			t.Errorf("the change: %v after %v", err, time.Since(start))
		}
		wg.Wait()
	})
}

// In every interleaving of calls that end early, each change of the log begins
// where the change before it ended, and the field is free at the end. The
// oracle is the sequence in the log.
func TestChangesFormAChainWhileWaitersGiveUp(t *testing.T) {
	m := &memory{}
	f, _ := (&audit.Attribute[int]{Name: "n"}).Load(newLog(m).Object("o", "1"), 0)
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(w), 1))
			for range 200 {
				ctx, cancel := context.WithTimeout(alice(), time.Duration(r.IntN(50))*time.Microsecond)
				if r.IntN(3) == 0 {
					_ = f.Update(ctx, func(n int, _ bool) (int, error) { return n + 1, nil })
				} else {
					_, _ = f.Get(ctx)
				}
				cancel()
			}
		})
	}
	wg.Wait()
	n := 0
	for _, e := range m.events {
		if e.Action == audit.Modify {
			if c := e.Changes[0]; c.Old != fmt.Sprint(n) || c.New != fmt.Sprint(n+1) {
				t.Fatalf("change %s>%s after %d changes", c.Old, c.New, n)
			}
			n++
		}
	}
	if err := f.Set(alice(), -1); err != nil || f.Masked() != "-1" {
		t.Errorf("the field is stuck: %v", err)
	}
}

// Readers behind a change whose context has ended start at that moment.
func TestReadersPassAChangeThatGaveUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLog(audit.SinkFunc(func(context.Context, []*audit.Event) error { time.Sleep(time.Second); return nil }))
		f, _ := (&audit.Attribute[int]{Name: "n"}).Load(l.Object("o", "1"), 0)
		start := time.Now()
		var wg sync.WaitGroup
		wg.Go(func() { _, _ = f.Get(alice()) }) // holds the field for a second
		synctest.Wait()
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(alice(), 50*time.Millisecond)
			defer cancel()
			checkIs(t, f.Set(ctx, 1), context.DeadlineExceeded)
		})
		synctest.Wait()
		wg.Go(func() {
			if _, err := f.Get(alice()); err != nil || time.Since(start) != 1050*time.Millisecond {
				t.Errorf("the second read returns %v after %v, want after 1.05s", err, time.Since(start))
			}
		})
		wg.Wait()
	})
}
