package bulkhead_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/leanovate/gopter/gen"
	"github.com/leanovate/gopter/prop"
	"github.com/redoubt-go/redoubt/ratelimit/bulkhead"
)

// A model is the oracle: callers by number, in a list that is searched again
// each time.
type model struct {
	limit, inside int
	queue         []request
	entered       []int
}

type request struct{ id, n, priority int }

// settle lets in, of the highest priority, the first, as long as there is room.
func (m *model) settle() {
	for len(m.queue) > 0 {
		best := 0
		for i, r := range m.queue {
			if r.priority > m.queue[best].priority {
				best = i
			}
		}
		if m.inside+m.queue[best].n > m.limit {
			return
		}
		m.inside += m.queue[best].n
		m.entered = append(m.entered, m.queue[best].id)
		m.queue = append(m.queue[:best:best], m.queue[best+1:]...)
	}
}

func TestPropertyEqualsTheModel(t *testing.T) {
	// Oracle: model. Who gets in, in which order, whatever is acquired,
	// released, cancelled and set.
	checkProperty(t, 100, prop.ForAll(func(seed int64) (failure string) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(uint64(seed), 6))
			b, m := bulkhead.New(bulkhead.Config{Limit: 6, MaxQueue: 1000}), &model{limit: 6}
			var mu sync.Mutex
			var entered []int
			permits, cancels := make(map[int]*bulkhead.Permit), make(map[int]context.CancelFunc)
			sizes, ended := make(map[int]int), make(map[int]bool)
			for id := range 80 {
				switch op := random.IntN(10); {
				case op < 5:
					n, p := 1+random.IntN(3), random.IntN(5)-2
					ctx, cancel := context.WithCancel(bulkhead.WithPriority(context.Background(), bulkhead.Priority(p)))
					cancels[id], sizes[id] = cancel, n
					go func() {
						permit, err := b.AcquireN(ctx, n)
						mu.Lock()
						defer mu.Unlock()
						if err == nil {
							permits[id] = permit
							entered = append(entered, id)
						}
					}()
					m.queue = append(m.queue, request{id, n, p})
				case op < 8 && len(m.entered) > 0:
					old := m.entered[random.IntN(len(m.entered))]
					permits[old].Release()
					if !ended[old] {
						m.inside -= sizes[old]
					}
					ended[old] = true
				case op == 8 && len(m.queue) > 0:
					i := random.IntN(len(m.queue))
					cancels[m.queue[i].id]()
					m.queue = append(m.queue[:i:i], m.queue[i+1:]...)
				case op == 9:
					m.limit = 3 + random.IntN(6)
					setLimit(t, b, m.limit)
				}
				before := len(m.entered)
				m.settle()
				synctest.Wait()
				// Those who got in by the same step run in any order.
				same := map[int]bool{}
				for _, id := range m.entered[before:] {
					same[id] = true
				}
				for _, id := range entered[min(before, len(entered)):] {
					if !same[id] {
						failure = fmt.Sprintf("step %d: %d got in, want %v", id, id, m.entered[before:])
					}
				}
				if b.Inflight() != m.inside || b.Queued() != len(m.queue) || len(entered) != len(m.entered) {
					failure = fmt.Sprintf("step %d: %d inside, %d wait, want %d, %d", id, b.Inflight(), b.Queued(), m.inside, len(m.queue))
				}
				if failure != "" {
					break
				}
			}
			for _, cancel := range cancels {
				cancel()
			}
		})
		return failure
	}, gen.Int64()))
}

func TestPropertyNeverAboveTheLimit(t *testing.T) {
	// Oracle: a counter of those inside, in real time.
	b := bulkhead.New(bulkhead.Config{Limit: 3, MaxQueue: 1000})
	var inside, worst, done atomic.Int64
	var wg sync.WaitGroup
	for g := range 16 {
		wg.Go(func() {
			for i := range 300 {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(1+i%3*1000)*time.Microsecond)
				_ = b.Do(ctx, func(context.Context) error {
					worst.Store(max(worst.Load(), inside.Add(1)))
					inside.Add(-1)
					done.Add(1)
					return nil
				})
				if g == 0 && i%10 == 0 {
					setLimit(t, b, 1+i/10%3)
				}
				cancel()
			}
		})
	}
	wg.Wait()
	if worst.Load() > 3 || done.Load() < 100 {
		t.Errorf("%d inside at most, %d in all; want at most 3, and many", worst.Load(), done.Load())
	}
	want := bulkhead.Stats{Limit: b.Limit()}
	checkEqual(t, b.Stats(), want)
}
