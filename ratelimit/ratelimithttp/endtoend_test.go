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
