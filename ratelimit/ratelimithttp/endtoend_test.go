package ratelimithttp_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redoubt-go/redoubt/ratelimit"
	"github.com/redoubt-go/redoubt/ratelimit/ratelimithttp"
)

// A wire is an http.RoundTripper that calls a handler after half of the
// latency, and returns its response after the other half. Each half varies by
// jitter. It counts the answers by status.
type wire struct {
	handler         http.Handler
	latency, jitter time.Duration

	mu     sync.Mutex
	random *rand.Rand
	count  map[int]int
}

func (n *wire) sleep() {
	time.Sleep(n.latency/2 + n.draw(func(r *rand.Rand) float64 { return r.Float64() * float64(n.jitter) }))
}

func (n *wire) draw(from func(*rand.Rand) float64) time.Duration {
	n.mu.Lock()
	defer n.mu.Unlock()
	return time.Duration(from(n.random))
}

func (n *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	n.sleep()
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	w := httptest.NewRecorder()
	n.handler.ServeHTTP(w, r)
	n.mu.Lock()
	n.count[w.Code]++
	n.mu.Unlock()
	n.sleep()
	return w.Result(), nil
}

// A trial is a server with a limit and its clients, each with some workers that
// send one request after another.
type trial struct {
	limit            ratelimit.Limit
	clients, workers int
	latency, jitter  time.Duration
	work             time.Duration // the mean time of the handler, exponential
	shared           bool          // all clients have the same key
}

func (tt trial) String() string {
	text := fmt.Sprintf("%v, %d clients of %d, latency %v ± %v, work %v", tt.limit, tt.clients, tt.workers, tt.latency, tt.jitter, tt.work)
	if tt.shared {
		text += ", shared"
	}
	return text
}

// run plays the trial for the time of events admissions. It returns the share
// of the limit that was used, and the share of the requests that were refused.
func (tt trial) run(t *testing.T, events int) (used, refused float64) {
	synctest.Test(t, func(t *testing.T) {
		n := &wire{latency: tt.latency, jitter: tt.jitter, random: rand.New(rand.NewPCG(1, 2)), count: map[int]int{}}
		work := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			time.Sleep(n.draw(func(r *rand.Rand) float64 { return r.ExpFloat64() * float64(tt.work) }))
		})
		n.handler = ratelimithttp.Middleware(ratelimithttp.Config{Store: local(tt.limit), Key: func(r *http.Request) (string, bool) {
			return r.Header.Get("Client"), true
		}})(work)
		length := time.Duration(float64(tt.limit.Per) * float64(events) / float64(tt.limit.N))
		end := time.Now().Add(length)
		var wg sync.WaitGroup
		for i := range tt.clients {
			rt := &ratelimithttp.Transport{Base: n}
			name := fmt.Sprint(i)
			if tt.shared {
				name = "all"
			}
			for range tt.workers {
				wg.Go(func() {
					for time.Now().Before(end) {
						req := httptest.NewRequest(http.MethodGet, "http://a.example", nil)
						req.Header.Set("Client", name)
						if _, err := rt.RoundTrip(req); err != nil {
							time.Sleep(time.Second)
						}
					}
				})
			}
		}
		wg.Wait()
		keys := tt.clients
		if tt.shared {
			keys = 1
		}
		most := float64(keys) * (float64(tt.limit.Burst) + float64(events))
		used = float64(n.count[200]) / most
		refused = float64(n.count[429]) / float64(n.count[200]+n.count[429])
	})
	return used, refused
}

// A client that obeys the fields of a server uses the limit and is not refused.
func TestClientAndServer(t *testing.T) {
	ms := time.Millisecond
	for _, tt := range []trial{
		{limit: ratelimit.PerSecond(10).WithBurst(1), clients: 1, workers: 1},
		{limit: ratelimit.PerSecond(100).WithBurst(10), clients: 1, workers: 10},
		{limit: ratelimit.PerSecond(100).WithBurst(10), clients: 5, workers: 10, latency: 20 * ms, jitter: ms},
		{limit: ratelimit.PerSecond(100), clients: 1, workers: 100, latency: 50 * ms, jitter: 5 * ms},
		{limit: ratelimit.PerSecond(1000), clients: 1, workers: 200, latency: 20 * ms, jitter: 20 * ms},
		{limit: ratelimit.PerSecond(1000).WithBurst(10), clients: 2, workers: 100, latency: 20 * ms, jitter: 2 * ms},
		{limit: ratelimit.PerMinute(60), clients: 3, workers: 2, latency: 100 * ms},
		{limit: ratelimit.PerMinute(60).WithBurst(1), clients: 1, workers: 5, latency: 100 * ms, jitter: 10 * ms},
		{limit: ratelimit.Every(700 * ms), clients: 1, workers: 3, latency: 30 * ms, jitter: 3 * ms},
		{limit: ratelimit.PerHour(3600).WithBurst(5), clients: 1, workers: 20, latency: 10 * ms},
		{limit: ratelimit.PerSecond(50).WithBurst(5), clients: 1, workers: 100, latency: 10 * ms, work: 200 * ms},
		{limit: ratelimit.PerSecond(10).WithBurst(1), clients: 1, workers: 20, latency: 20 * ms, jitter: 2 * ms, work: 100 * ms},
		{limit: ratelimit.PerSecond(10).WithBurst(1), clients: 1, workers: 1, latency: 2 * ms, jitter: ms},
	} {
		t.Run(tt.String(), func(t *testing.T) {
			events := 3000
			if raceEnabled {
				events = 600
			}
			used, refused := tt.run(t, events)
			t.Logf("%.1f %% of the limit, %.2f %% refused", 100*used, 100*refused)
			if used < 0.95 || refused >= 0.001 {
				t.Errorf("%.1f %% of the limit, %.2f %% refused, want at least 95 and less than 0.1", 100*used, 100*refused)
			}
		})
	}
}

// A client uses the whole quota of each day, is never refused, and asks again
// when the next day begins.
func TestClientAndCalendarQuota(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := ratelimit.Local(ratelimit.NewKeyed[string](ratelimit.KeyedConfig{
			Name: "plan", Limit: ratelimit.PerSecond(10), Quotas: []ratelimit.Quota{{N: 50}},
		}))
		checkStore(t, store)
	})
	synctest.Test(t, func(t *testing.T) {
		plan := ratelimit.NewKeyed[string](ratelimit.KeyedConfig{
			Name: "plan", Limit: ratelimit.PerSecond(10), Quotas: []ratelimit.Quota{{N: 50}},
		})
		checkStore(t, ratelimit.Local(ratelimit.NewTiers(func(string) int { return 0 }, plan)))
	})
}

// checkStore plays three days of requests against a limit of 10 per second and
// 50 per day.
func checkStore(t *testing.T, store ratelimit.Store) {
	limit := ratelimithttp.Middleware(ratelimithttp.Config{Store: store, Key: oneKey})
	n := &wire{handler: limit(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})), random: rand.New(rand.NewPCG(1, 2)), count: map[int]int{}}
	rt := &ratelimithttp.Transport{Base: n, MaxWait: 48 * time.Hour}
	start := time.Now() // midnight
	var first *http.Response
	for i := range 150 {
		resp, err := rt.RoundTrip(httptest.NewRequest(http.MethodGet, "http://a.example", nil))
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = resp
		}
		if day := int(time.Since(start) / (24 * time.Hour)); day != i/50 {
			t.Fatalf("request %d on day %d: %v", i, day, resp.Status)
		}
	}
	checkEqual(t, n.count, map[int]int{200: 150})
	checkEqual(t, first.Header["Ratelimit-Policy"], []string{`"plan 10/s";q=10;w=1, "plan 50/24h";q=50;w=86400`})
	checkEqual(t, first.Header["Ratelimit"], []string{`"plan 10/s";r=9;t=1;redoubt-burst=10`})
	checkEqual(t, get(n.handler).Header()["Ratelimit"], []string{`"plan 50/24h";r=0;t=86395`})
}

// Clients that share a limit do not know of each other, and still go on.
func TestClientsThatShare(t *testing.T) {
	for _, tt := range []struct {
		burst            int64
		clients, workers int
		used, refused    float64 // bounds
	}{
		{100, 5, 5, 0.9, 0.05},
		{100, 20, 5, 0.9, 0.15},
		{10, 5, 5, 0.7, 0.05},
		{10, 20, 5, 0.7, 0.2},
		{1, 5, 5, 0.2, 0.15},
		{1, 50, 1, 0.2, 0.65},
	} {
		trial := trial{
			limit: ratelimit.PerSecond(100).WithBurst(tt.burst), clients: tt.clients, workers: tt.workers,
			latency: 20 * time.Millisecond, jitter: 2 * time.Millisecond, shared: true,
		}
		t.Run(trial.String(), func(t *testing.T) {
			used, refused := trial.run(t, 2000)
			t.Logf("%.0f %% of the limit, %.0f %% refused", 100*used, 100*refused)
			if used < tt.used || refused > tt.refused {
				t.Errorf("%.1f %% of the limit, %.1f %% refused", 100*used, 100*refused)
			}
		})
	}
}
