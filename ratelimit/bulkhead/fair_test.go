package bulkhead_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/leanovate/gopter/gen"
	"github.com/leanovate/gopter/prop"
	"github.com/redoubt-go/redoubt/ratelimit/bulkhead"
)

// A line is a bulkhead with a single place, which is taken: callers queue up
// behind it, and enter in an order that it notes.
type line struct {
	t     *testing.T
	b     *bulkhead.Bulkhead
	first *bulkhead.Permit
	mu    sync.Mutex
	order []string
}

func newLine(t *testing.T, c bulkhead.Config) *line {
	l := &line{t: t, b: bulkhead.New(c)}
	l.first, _ = l.b.AcquireN(context.Background(), l.b.Limit())
	return l
}

// join adds a caller that holds its places for a second.
func (l *line) join(ctx context.Context, name string, n int) {
	go func() {
		p, err := l.b.AcquireN(ctx, n)
		l.mu.Lock()
		if err != nil {
			name = "-" + name
		}
		l.order = append(l.order, name)
		l.mu.Unlock()
		if err == nil {
			time.Sleep(time.Second)
			p.Release()
		}
	}()
	synctest.Wait()
}

// run admits all callers, and returns their order.
func (l *line) run() string {
	l.first.Release()
	time.Sleep(time.Hour)
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.order, " ")
}

func tenant(name string) context.Context {
	return bulkhead.WithTenant(context.Background(), name)
}

func TestTenantsTakeTurns(t *testing.T) {
	weight := func(tenant string) int {
		return map[string]int{"a": 1, "b": 1, "gold": 2, "": 1}[tenant] // others: 0
	}
	for _, tt := range []struct {
		name    string
		callers string // tenant, and the number of places
		limit   int
		want    string
	}{
		{"a flood and a single caller", "a1 a1 a1 a1 b1", 1, "a b a a a"},
		{"callers without a tenant", "1 1 a1 1 a1", 1, " a  a "},
		{"weights", "a1 a1 a1 gold1 gold1 gold1 gold1", 1, "a gold gold a gold gold a"},
		{"places count, not callers", "a3 a3 b1 b1 b1 b1 b1 b1", 3, "b b b a b b b a"},
		{"unknown tenants share a turn", "x1 y1 z1 a1 a1 a1", 1, "x a y a z a"},
		{"a tenant that comes back waits for its turn", "a1 b1 a1 b1", 1, "a b a b"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLine(t, bulkhead.Config{Limit: tt.limit, MaxQueue: 100, Weight: weight})
				for _, c := range strings.Fields(tt.callers) {
					name := strings.TrimRight(c, "0123456789")
					l.join(tenant(name), name, int(c[len(c)-1]-'0'))
				}
				got := l.run()
				if tt.limit > 1 { // those that enter at the same time run in any order
					got, tt.want = sorted(got, tt.limit), sorted(tt.want, tt.limit)
				}
				checkEqual(t, got, tt.want)
			})
		})
	}
}

// sorted sorts the names by n.
func sorted(text string, n int) string {
	names := strings.Fields(text)
	for part := range slices.Chunk(names, n+1) {
		slices.Sort(part)
	}
	return strings.Join(names, " ")
}

// A tenant that fills the queue does not keep others out of it.
func TestAFloodedQueueHasRoomForOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t, bulkhead.Config{Limit: 1, MaxQueue: 5})
		for i := range 6 {
			l.join(tenant("noisy"), fmt.Sprint("noisy", i), 1)
		}
		for i := range 3 {
			l.join(tenant("quiet"), fmt.Sprint("quiet", i), 1)
		}
		// noisy5 finds no room, quiet0 and 1 take the room of noisy4 and 3, and
		// quiet2 would have as many as noisy.
		checkEqual(t, l.run(), "-noisy5 -noisy4 -noisy3 -quiet2 noisy0 quiet0 noisy1 quiet1 noisy2")
	})
}

// More tenants than have queues share one, and none is lost.
func TestManyTenants(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const tenants = 1000
		l := newLine(t, bulkhead.Config{Limit: 1, MaxQueue: 2*tenants + 10})
		for i := range tenants {
			for range 2 {
				l.join(tenant(fmt.Sprint(i)), fmt.Sprint(i), 1)
			}
		}
		names := strings.Fields(l.run())
		seen := map[string]int{}
		for _, name := range names {
			seen[name]++
		}
		for i := range tenants {
			if seen[fmt.Sprint(i)] != 2 {
				t.Fatalf("tenant %d entered %d times, want 2", i, seen[fmt.Sprint(i)])
			}
		}
		first := map[string]bool{}
		for _, name := range names[:257] {
			first[name] = true
		}
		if len(first) != 257 {
			t.Errorf("%d tenants in the first round, want 256 with queues of their own and a shared queue", len(first))
		}
		checkEqual(t, names[257], "0") // the second round
	})
}

// A scheduler is the oracle of deficit round robin, in its textbook form: one
// round after the other, no round skipped, and a list of callers per tenant.
type scheduler struct {
	turns   []string
	waiting map[string][]request
	deficit map[string]int
	turn    bool // the first tenant has the weight of this turn
	weight  func(string) int
}

func (s *scheduler) join(tenant string, r request) {
	if len(s.waiting[tenant]) == 0 {
		s.turns = append(s.turns, tenant)
	}
	s.waiting[tenant] = append(s.waiting[tenant], r)
}

// head finds the tenant whose turn it is. A bulkhead does that at once when a
// caller comes or goes, even if there is no room.
func (s *scheduler) head() {
	for len(s.turns) > 0 {
		tenant := s.turns[0]
		if !s.turn {
			s.deficit[tenant] += s.weight(tenant)
			s.turn = true
		}
		if s.waiting[tenant][0].n <= s.deficit[tenant] {
			return
		}
		s.turns = append(s.turns[1:], tenant)
		s.turn = false
	}
}

func (s *scheduler) next() request {
	s.head()
	tenant := s.turns[0]
	r := s.waiting[tenant][0]
	s.deficit[tenant] -= r.n
	s.drop(tenant, 0)
	s.head()
	return r
}

// drop removes a caller.
func (s *scheduler) drop(tenant string, i int) {
	s.waiting[tenant] = slices.Delete(s.waiting[tenant], i, i+1)
	if len(s.waiting[tenant]) == 0 {
		if s.turns[0] == tenant {
			s.turn = false
		}
		s.turns = slices.DeleteFunc(s.turns, func(other string) bool { return other == tenant })
		s.deficit[tenant] = 0
	}
}

// schedule compares a bulkhead with a scheduler for random callers, and returns
// the first difference. weight is the weight in the scheduler.
func schedule(t *testing.T, seed uint64, weight func(string) int) (difference string) {
	synctest.Test(t, func(t *testing.T) {
		random := rand.New(rand.NewPCG(seed, 7))
		const limit = 20
		b := bulkhead.New(bulkhead.Config{Limit: limit, MaxQueue: 1000, Weight: weigh})
		first, _ := b.AcquireN(t.Context(), limit)
		s := &scheduler{waiting: map[string][]request{}, deficit: map[string]int{}, weight: weight}
		entered := make(chan int, 1)
		permits, sizes := map[int]*bulkhead.Permit{}, map[int]int{}
		tenants := map[int]string{}
		cancels := map[int]context.CancelFunc{}
		for id := range 60 {
			name := fmt.Sprint(random.IntN(5))
			n := limit // enters alone, so that the order is known
			if random.IntN(2) == 0 {
				n = limit/2 + 1 + random.IntN(limit/2)
			}
			ctx, cancel := context.WithCancel(tenant(name))
			cancels[id], sizes[id], tenants[id] = cancel, n, name
			go func() {
				p, err := b.AcquireN(ctx, n)
				if err == nil {
					permits[id] = p
					entered <- id
				}
			}()
			synctest.Wait()
			s.join(name, request{id: id, n: n})
			s.head()
		}
		for range 10 { // some give up
			id := random.IntN(60)
			if i := slices.IndexFunc(s.waiting[tenants[id]], func(r request) bool { return r.id == id }); i >= 0 {
				cancels[id]()
				synctest.Wait()
				s.drop(tenants[id], i)
				s.head()
			}
		}
		first.Release()
		for len(s.turns) > 0 {
			synctest.Wait()
			got, want := <-entered, s.next().id
			if got != want {
				difference = fmt.Sprintf("caller %d of tenant %s enters, want %d of tenant %s", got, tenants[got], want, tenants[want])
				break
			}
			permits[got].Release()
		}
		for _, cancel := range cancels {
			cancel()
		}
		for {
			synctest.Wait()
			select {
			case id := <-entered:
				permits[id].Release()
				continue
			default:
			}
			break
		}
	})
	return difference
}

// weigh is the weight of the tenants "0" to "4".
func weigh(tenant string) int { return 1 + 3*int(tenant[0]-'0') }

func TestPropertyTenantsEqualTheScheduler(t *testing.T) {
	// Oracle: scheduler.
	checkProperty(t, 100, prop.ForAll(func(seed uint64) string {
		return schedule(t, seed, weigh)
	}, gen.UInt64()))
}

func TestTheSchedulerBites(t *testing.T) {
	for seed := range uint64(20) {
		if schedule(t, seed, func(string) int { return 3 }) != "" {
			return
		}
	}
	t.Error("other weights make no difference")
}

// No tenant starves: while callers of all tenants wait, the places that two
// tenants get differ by less than the largest caller and a turn.
func TestPropertyNoTenantStarves(t *testing.T) {
	// Oracle: the shares that the weights promise.
	checkProperty(t, 30, prop.ForAll(func(seed uint64) (failure string) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 8))
			const most = 9
			l := newLine(t, bulkhead.Config{Limit: most, MaxQueue: 10_000, Weight: weigh})
			places := map[string]int{}
			var lock sync.Mutex
			left := map[string]int{}
			for i := range 3 {
				name := fmt.Sprint(i)
				for range 100 {
					n := 1 + random.IntN(most)
					left[name]++
					go func() {
						p, err := l.b.AcquireN(tenant(name), n)
						if err != nil {
							failure = err.Error()
							return
						}
						lock.Lock()
						places[name] += n
						left[name]--
						for a := range left {
							for b := range left {
								share := func(x string) float64 { return float64(places[x]) / float64(weigh(x)) }
								if left[a] > 0 && left[b] > 0 && share(a)-share(b) > 3*most {
									failure = fmt.Sprintf("places by weight: %s has %v, %s has %v", a, share(a), b, share(b))
								}
							}
						}
						lock.Unlock()
						time.Sleep(time.Second)
						p.Release()
					}()
				}
			}
			synctest.Wait()
			l.first.Release()
			time.Sleep(time.Hour)
			synctest.Wait()
		})
		return failure
	}, gen.UInt64()))
}

// A refusal knows how long the queue in front of a new caller takes.
func TestRetryAfterOfARefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bulkhead.New(bulkhead.Config{Limit: 2, MaxQueue: 3})
		for range 200 { // two callers at a time, each for a second: two a second
			go func() {
				_ = b.Do(context.Background(), func(context.Context) error { time.Sleep(time.Second); return nil })
			}()
			time.Sleep(400 * time.Millisecond)
		}
		for b.Queued() < 3 {
			go func() {
				_ = b.Do(context.Background(), func(context.Context) error { time.Sleep(time.Second); return nil })
			}()
			synctest.Wait()
		}
		_, err := b.Acquire(t.Context())
		full, ok := err.(*bulkhead.FullError)
		if !ok || full.RetryAfter() < 1500*time.Millisecond || full.RetryAfter() > 2500*time.Millisecond {
			t.Errorf("%v, want to retry after 2s, when 4 callers have entered", err)
		}
		if _, err := b.AcquireN(t.Context(), 3); err.(*bulkhead.FullError).RetryAfter() != 0 {
			t.Errorf("%v, want no time", err)
		}
		time.Sleep(time.Minute)
	})
}

// Places that become free together do not make the time shorter, and a caller
// that waits for it is admitted.
func TestRetryAfterOfPlacesThatAreFreeTogether(t *testing.T) {
	for _, apart := range []time.Duration{0, time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			const limit, queue = 20, 60
			b := bulkhead.New(bulkhead.Config{Limit: limit, MaxQueue: queue})
			work := func(context.Context) error { time.Sleep(time.Second); return nil }
			for i := range 300 {
				go func() {
					for b.Do(context.Background(), work) != nil {
						time.Sleep(time.Second)
					}
				}()
				if i < limit {
					time.Sleep(apart)
				}
			}
			for range 4 { // in the midst of the work of 20 callers
				time.Sleep(time.Second + 150*time.Millisecond)
				for b.Queued() < queue {
					go func() { _ = b.Do(context.Background(), work) }()
					synctest.Wait()
				}
				_, err := b.Acquire(t.Context())
				full, ok := err.(*bulkhead.FullError)
				if !ok || full.RetryAfter() < 2500*time.Millisecond || full.RetryAfter() > 3500*time.Millisecond {
					t.Errorf("%v apart: %v, want to retry after 3s, when %d callers have entered", apart, err, queue+1)
				}
			}
			time.Sleep(time.Hour)
			ps := hold(t, b, limit)
			for range queue {
				go func() { _ = b.Do(context.Background(), work) }()
			}
			synctest.Wait()
			_, err := b.Acquire(t.Context())
			for _, p := range ps {
				p.Release()
			}
			time.Sleep(err.(*bulkhead.FullError).RetryAfter())
			if err := b.Do(t.Context(), work); err != nil {
				t.Errorf("%v apart: %v after the wait, want a place", apart, err)
			}
			time.Sleep(time.Hour)
		})
	}
}

func TestSetKeepsAndResets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var events []string
		b := bulkhead.New(bulkhead.Config{Name: "x", Limit: 2, OnEvent: func(_ context.Context, e bulkhead.Event) {
			events = append(events, fmt.Sprint(e.Name, " ", e.Kind, " ", e.Old, " ", e.Limit))
		}})
		ps := hold(t, b, 2)
		for range 2 {
			go func() { _, _ = b.Acquire(t.Context()) }()
		}
		synctest.Wait()
		c := b.Config()
		checkEqual(t, []any{c.Name, c.Limit, c.MaxQueue, c.MaxLimit}, []any{"x", 2, 2, 1000})

		c.Limit = -1
		if err := b.Set(c); err == nil || b.Config().Limit != 2 {
			t.Errorf("Set = %v, limit %d; want an error and no change", err, b.Config().Limit)
		}
		c.Limit, c.MaxQueue = 1, -1 // the waiting callers stay
		if err := b.Set(c); err != nil {
			t.Error(err)
		}
		checkEqual(t, []int{b.Limit(), b.Inflight(), b.Queued()}, []int{1, 2, 2})
		_, err := b.Acquire(t.Context())
		checkEqual(t, reason(err), "queue full")

		c.Limit = 10
		if err := b.Set(c); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		checkEqual(t, []int{b.Limit(), b.Inflight(), b.Queued()}, []int{10, 4, 0})
		if b.Stats().QueueFull != 1 {
			t.Errorf("%d refusals, want 1: the counters are kept", b.Stats().QueueFull)
		}
		checkEqual(t, events, []string{"x limit 2 1", "x refused 1 1", "x limit 1 10"})

		// An adaptive limit is kept unless Limit changes.
		c.Adaptive, c.Name = true, "y"
		if err := b.Set(c); err != nil {
			t.Error(err)
		}
		c.MaxLimit = 7
		if err := b.Set(c); err != nil || b.Limit() != 7 {
			t.Errorf("Set = %v, limit %d, want MaxLimit, 7", err, b.Limit())
		}
		for _, p := range ps {
			p.Done(nil) // acquired under the fixed limit
		}
		checkEqual(t, b.Inflight(), 2)
	})
}

// In a full queue, a tenant loses callers in proportion to its weight.
func TestAFullQueueIsSharedByWeight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		weight := func(tenant string) int { return map[string]int{"gold": 3}[tenant] + 1 }
		l := newLine(t, bulkhead.Config{Limit: 1, MaxQueue: 5, Weight: weight})
		for _, name := range strings.Fields("gold gold gold a a b") {
			l.join(tenant(name), name, 1)
		}
		// a has 2 callers for a weight of 1, gold 3 for a weight of 4.
		checkEqual(t, l.run(), "-a gold gold gold a b")
	})
}
