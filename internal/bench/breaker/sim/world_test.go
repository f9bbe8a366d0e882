package sim

import (
	"errors"
	"math/rand/v2"
	"time"
)

const (
	tick   = 10 * time.Millisecond
	warmUp = 20 * time.Second
	after  = 90 * time.Second
)

// A setup is a fleet and its service.
type setup struct {
	clients  int
	interval time.Duration // between the calls of a client
	patience time.Duration // after which a caller gives up
	capacity float64       // calls a second that the service can serve
	cold     float64       // calls a second that it can serve after a restart
	warming  time.Duration // until it can serve all again
	queue    int           // calls that it queues
	random   bool          // calls come at random, else at equal intervals
	instant  bool          // calls are served at once, else in the next tick
}

// standard is 40 clients of 10 calls a second each.
var standard = setup{
	clients: 40, interval: 100 * time.Millisecond, patience: time.Second,
	capacity: 520, cold: 80, warming: 30 * time.Second, queue: 400,
}

// A story is what befalls the service.
type story struct {
	name     string
	length   time.Duration
	cold     bool    // the service restarts cold
	flapping bool    // it is up for 3 s in every 10 s
	left     float64 // share of its capacity that is left; 0 if it is down
}

var errFailed = errors.New("failed")

// A guard calls fn, or does not.
type guard func(fn func() error) error

// A request is a call that was sent.
type request struct {
	client  int
	sent    time.Duration
	outcome chan error // receives how it ended
	left    chan bool  // closed when the guard has the outcome
	over    bool
}

// A world is one run. Clients and service take turns in one goroutine. A call
// in flight is a goroutine that waits for its outcome, and nothing else runs
// until it has passed the outcome on.
type world struct {
	setup
	story
	guards []guard
	sleep  func(time.Duration)
	rng    *rand.Rand

	now    time.Duration
	due    []time.Duration // the next call of each client
	queued []*request
	flight []*request // oldest first
	budget float64    // calls that the service may serve now
	result figures
}

type figures struct {
	wasted, overload, lost, recovered int
	wanted, served                    []int // calls in each second of the run
}

func newWorld(s setup, st story, seed uint64) *world {
	w := &world{setup: s, story: st, sleep: time.Sleep, rng: rand.New(rand.NewPCG(seed, 1))}
	for range w.clients {
		w.due = append(w.due, tick*time.Duration(w.rng.IntN(int(w.interval/tick))))
	}
	n := int((w.end() + 2*w.patience) / time.Second)
	w.result.wanted, w.result.served = make([]int, n), make([]int, n)
	return w
}

func (w *world) end() time.Duration { return warmUp + w.length + after }

func (w *world) run() figures {
	for w.now = 0; w.now < w.end(); w.now += tick {
		w.serve()
		w.giveUp()
		for c := range w.clients {
			for w.due[c] <= w.now {
				w.call(c)
				w.due[c] += w.pause()
			}
		}
		if w.instant {
			w.budget -= w.rate() * tick.Seconds() // serve adds it
			w.serve()
		}
		w.sleep(tick)
	}
	for len(w.flight) > 0 {
		w.finish(w.flight[0], errFailed)
	}
	r, restart := &w.result, int((warmUp+w.length)/time.Second)
	last := int(w.end() / time.Second)
	r.recovered = last - restart
	for s := last - 1; s >= restart && r.served[s]*20 >= r.wanted[s]*19; s-- {
		r.recovered = s - restart
	}
	return *r
}

// pause is the time until the next call of a client.
func (w *world) pause() time.Duration {
	if w.random {
		return time.Duration(w.rng.ExpFloat64() * float64(w.interval))
	}
	return w.interval
}

// sinceRestart is negative before the restart.
func (w *world) sinceRestart() time.Duration { return w.now - warmUp - w.length }

// failing reports whether the service is down or browned out.
func (w *world) failing() bool {
	d := w.now - warmUp
	return d >= 0 && d < w.length && (!w.flapping || d%(10*time.Second) < 7*time.Second)
}

func (w *world) down() bool { return w.failing() && w.left == 0 }

// rate is in calls per second.
func (w *world) rate() float64 {
	s := w.sinceRestart()
	switch {
	case w.failing():
		return w.left * w.capacity
	case s < 0 || !w.story.cold:
		return w.capacity
	}
	return min(w.capacity, w.setup.cold+(w.capacity-w.setup.cold)*s.Seconds()/w.warming.Seconds())
}

// serve lets the service work for one tick.
func (w *world) serve() {
	if w.down() {
		w.queued, w.budget = nil, 0
		return
	}
	w.budget += w.rate() * tick.Seconds()
	for ; w.budget >= 1 && len(w.queued) > 0; w.budget-- {
		r := w.queued[0]
		w.queued = w.queued[1:]
		if !r.over {
			w.finish(r, nil)
		}
	}
	if len(w.queued) == 0 {
		w.budget = min(w.budget, 1)
	}
}

func (w *world) giveUp() {
	for len(w.flight) > 0 && w.now-w.flight[0].sent >= w.patience {
		w.finish(w.flight[0], errFailed)
	}
}

// call is one wish of a client.
func (w *world) call(c int) {
	w.result.wanted[w.now/time.Second]++
	if w.sinceRestart() >= 0 {
		w.result.lost++ // until it is served
	}
	r := &request{client: c, sent: w.now, outcome: make(chan error), left: make(chan bool)}
	sent := make(chan bool)
	go func() {
		defer close(r.left)
		w.guards[c](func() error { sent <- true; return <-r.outcome })
	}()
	select {
	case <-r.left: // refused
		return
	case <-sent:
	}
	w.flight = append(w.flight, r)
	switch {
	case w.down():
		w.result.wasted++
	case len(w.queued) >= w.setup.queue:
		w.finish(r, errFailed)
	default:
		w.queued = append(w.queued, r)
	}
}

func (w *world) finish(r *request, err error) {
	for i := range w.flight {
		if w.flight[i] == r {
			w.flight = append(w.flight[:i], w.flight[i+1:]...)
			break
		}
	}
	r.over = true
	if err == nil {
		w.result.served[r.sent/time.Second]++
	} else if w.left > 0 && r.sent >= warmUp && r.sent < warmUp+w.length {
		w.result.wasted++
	}
	if r.sent >= warmUp+w.length {
		if err == nil {
			w.result.lost--
		} else {
			w.result.overload++
		}
	}
	r.outcome <- err
	<-r.left
}
