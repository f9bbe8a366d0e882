package sim

import (
	"errors"
	"math/rand/v2"
	"time"
)

const (
	clients  = 40
	interval = 100 * time.Millisecond // between the calls of a client
	patience = time.Second            // after which a caller gives up
	tick     = 10 * time.Millisecond
	warmUp   = 20 * time.Second
	outage   = 60 * time.Second
	after    = 90 * time.Second
	queueMax = 400
)

var errFailed = errors.New("failed")

// A guard calls fn, or does not.
type guard func(fn func() error) error

// A request is a call that was sent.
type request struct {
	client  int
	sent    time.Duration
	outcome chan error // tells the guarded function how it ended
	left    chan bool  // closed when the guard has been told
	over    bool
}

// A world is one run. Clients and service take turns in one goroutine; a call in flight is a goroutine that waits to be
// told how it ended, and nothing else runs until it has passed that on.
type world struct {
	guards   []guard
	sleep    func(time.Duration)
	flapping bool
	rng      *rand.Rand

	now    time.Duration
	phase  []time.Duration // of each client's calls
	queue  []*request
	flight []*request // oldest first
	budget float64    // calls the service may serve now
	result figures
	wanted []int // calls per second after the restart
	served []int
}

type figures struct{ wasted, overload, lost, recovered int }

func newWorld(seed uint64, flapping bool) *world {
	w := &world{flapping: flapping, sleep: time.Sleep, rng: rand.New(rand.NewPCG(seed, 1))}
	for range clients {
		w.phase = append(w.phase, tick*time.Duration(w.rng.IntN(int(interval/tick))))
	}
	w.wanted, w.served = make([]int, after/time.Second), make([]int, after/time.Second)
	return w
}

func (w *world) run() figures {
	for w.now = 0; w.now < warmUp+outage+after; w.now += tick {
		w.serve()
		w.giveUp()
		for c := range clients {
			if w.now%interval == w.phase[c] {
				w.call(c)
			}
		}
		w.sleep(tick)
	}
	for len(w.flight) > 0 {
		w.end(w.flight[0], errFailed)
	}
	w.result.recovered = len(w.wanted)
	for s := len(w.wanted) - 1; s >= 0 && w.served[s]*20 >= w.wanted[s]*19; s-- {
		w.result.recovered = s
	}
	return w.result
}

// sinceRestart is negative before the restart.
func (w *world) sinceRestart() time.Duration { return w.now - warmUp - outage }

func (w *world) down() bool {
	d := w.now - warmUp
	return d >= 0 && d < outage && (!w.flapping || d%(10*time.Second) < 7*time.Second)
}

// capacity is in calls per second.
func (w *world) capacity() float64 {
	s := w.sinceRestart()
	if s < 0 {
		return 520
	}
	return min(520, 80+440*s.Seconds()/30)
}

// serve lets the service work for one tick.
func (w *world) serve() {
	if w.down() {
		w.queue, w.budget = nil, 0
		return
	}
	w.budget += w.capacity() * tick.Seconds()
	for ; w.budget >= 1 && len(w.queue) > 0; w.budget-- {
		r := w.queue[0]
		w.queue = w.queue[1:]
		if !r.over {
			w.end(r, nil)
		}
	}
	if len(w.queue) == 0 {
		w.budget = min(w.budget, 1)
	}
}

func (w *world) giveUp() {
	for len(w.flight) > 0 && w.now-w.flight[0].sent >= patience {
		w.end(w.flight[0], errFailed)
	}
}

// call is one wish of a client.
func (w *world) call(c int) {
	if s := w.sinceRestart(); s >= 0 {
		w.wanted[s/time.Second]++
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
	case len(w.queue) >= queueMax:
		w.end(r, errFailed)
	default:
		w.queue = append(w.queue, r)
	}
}

func (w *world) end(r *request, err error) {
	for i := range w.flight {
		if w.flight[i] == r {
			w.flight = append(w.flight[:i], w.flight[i+1:]...)
			break
		}
	}
	r.over = true
	if at := r.sent - warmUp - outage; at >= 0 {
		if err == nil {
			w.served[at/time.Second]++
			w.result.lost--
		} else {
			w.result.overload++
		}
	}
	r.outcome <- err
	<-r.left
}
