// Package sim compares adaptive concurrency limits in a queueing simulation: a
// discrete-event simulator of callers, limits and a server, in virtual time.
//
// The simulation is a single goroutine that sleeps in a testing/synctest
// bubble from event to event. So libraries that read the clock themselves run
// unchanged, and a minute of a busy service takes about a tenth of a second.
package sim

import (
	"math/rand/v2"
	"slices"
	"time"
)

// A Limit admits calls. Its methods are called in the order of virtual time,
// never concurrently, and must not wait.
type Limit interface {
	// Try admits a call, or refuses it.
	Try(now time.Duration) (Ticket, bool)
	// Limit returns the number of calls that may be in progress.
	Limit() int
}

// A Ticket is an admitted call.
type Ticket interface {
	// Done ends the call. dropped reports whether its caller gave up.
	Done(now time.Duration, dropped bool)
}

// A Discipline is the order in which a server works.
type Discipline int

const (
	FIFO    Discipline = iota // a queue, first come, first served
	LIFO                      // a stack: the latest call first
	Random                    // any waiting call
	Sharing                   // processor sharing: all calls at once, more slowly
)

// Unlimited is the number of workers of a server without a queue.
const Unlimited = 1 << 30

// A Scenario describes the load and the server as functions of the time.
type Scenario struct {
	Name       string
	Length     time.Duration
	Clients    int // client processes, each with a limit of its own; zero means 1
	Rate       func(t time.Duration) float64
	Closed     int                        // callers that call again when they have an answer, in place of Rate
	Service    func(r *rand.Rand) float64 // seconds
	Slow       func(t time.Duration) float64
	Extra      func(t time.Duration) float64 // seconds that every call takes without a worker
	Workers    func(t time.Duration) int
	Bypass     float64       // share of calls that need no worker: a tenth of the time
	Timeout    time.Duration // of callers, after which a call is no goodput; the server does not notice
	Lost       float64       // share of calls without an answer, which need no worker; requires a Timeout
	Discipline Discipline
	Phases     []Phase
	Short      bool // in a test without -long
	Hard       bool // the goals are known to be missed
}

// A Phase is an interval that is measured.
type Phase struct {
	Name     string
	From, To time.Duration
	Overload bool // more load than capacity: goodput and times count; otherwise refusals
}

// A Result is the measurement of a phase.
type Result struct {
	Offered, Shed, Done int
	Goodput             float64 // calls that ended, per second
	P50, P99            time.Duration
	Limit               int     // the mean, over all clients
	Least               float64 // the share of the client with the fewest calls that ended, times the number of clients
}

type call struct {
	start  time.Duration
	work   float64
	client int
	ticket Ticket
	done   bool // the caller has an answer or has given up
}

type event struct {
	at   time.Duration
	seq  int
	kind int
	call *call
	n    int // client of an arrival
}

const (
	arrival  = iota
	served   // a worker has ended the call
	answered // the client has the answer
	gaveUp   // the client no longer waits
	tick
)

// events is a binary heap, the earliest event first.
type events []event

func (e *event) before(f *event) bool { return e.at < f.at || e.at == f.at && e.seq < f.seq }

func (h *events) push(e event) {
	s := append(*h, e)
	i := len(s) - 1
	for i > 0 {
		up := (i - 1) / 2
		if !s[i].before(&s[up]) {
			break
		}
		s[i], s[up] = s[up], s[i]
		i = up
	}
	*h = s
}

func (h *events) pop() event {
	s := *h
	first, last := s[0], len(s)-1
	s[0] = s[last]
	s[last].call = nil
	s = s[:last]
	*h = s
	for i := 0; ; {
		least := i
		for _, child := range [2]int{2*i + 1, 2*i + 2} {
			if child < last && s[child].before(&s[least]) {
				least = child
			}
		}
		if least == i {
			return first
		}
		s[i], s[least] = s[least], s[i]
		i = least
	}
}

// A run is a simulation in progress.
type run struct {
	s       *Scenario
	limits  []Limit
	arrive  *rand.Rand
	serve   *rand.Rand
	other   *rand.Rand
	events  events
	seq     int
	now     time.Duration
	queue   []*call
	busy    int
	sharing []*call // by remaining work
	work    float64 // the work that each sharing call has received since the start
	last    time.Duration
	phases  []phase
}

type phase struct {
	Result
	times  []time.Duration
	limits float64
	ticks  int
	each   []int
}

func (r *run) push(at time.Duration, kind int, c *call, n int) {
	r.seq++
	r.events.push(event{at, r.seq, kind, c, n})
}

// Run simulates s with a limit for each client, and calls sleep before each
// event with the time until it.
func Run(s *Scenario, seed uint64, sleep func(time.Duration), limits ...Limit) []Result {
	r := &run{
		s: s, limits: limits,
		arrive: rand.New(rand.NewPCG(seed, 1)), serve: rand.New(rand.NewPCG(seed, 2)), other: rand.New(rand.NewPCG(seed, 3)),
		phases: make([]phase, len(s.Phases)),
	}
	for i := range r.phases {
		r.phases[i].each = make([]int, len(limits))
	}
	if s.Closed > 0 {
		for i := range s.Closed {
			r.push(0, arrival, nil, i%len(limits))
		}
	} else {
		for i := range limits {
			r.push(r.next(), arrival, nil, i)
		}
	}
	r.push(0, tick, nil, 0)
	for len(r.events) > 0 {
		e := r.events.pop()
		if e.at > s.Length {
			break
		}
		if e.at > r.now {
			sleep(e.at - r.now)
			r.now = e.at
		}
		r.handle(e)
	}
	results := make([]Result, len(r.phases))
	for i := range r.phases {
		results[i] = r.phases[i].result(s.Phases[i])
	}
	return results
}

// next returns the time of the next arrival at one client: a Poisson process
// whose rate varies, by thinning.
func (r *run) next() time.Duration {
	t := r.now
	for {
		const step = 100 * time.Millisecond
		rate := r.s.Rate(t) / float64(len(r.limits))
		if rate <= 0 {
			t += step
			continue
		}
		gap := time.Duration(r.arrive.ExpFloat64() / rate * 1e9)
		if end := t.Truncate(step) + step; t+gap > end { // the process has no memory: draw again at the new rate
			t = end
			if t > r.s.Length {
				return t + 1
			}
			continue
		}
		return t + gap
	}
}

func (r *run) handle(e event) {
	switch e.kind {
	case arrival:
		r.arrived(e.n)
	case served:
		if r.s.Discipline == Sharing {
			if e.call == nil && e.n == r.seqSharing() {
				r.shareDone()
			}
			return
		}
		r.busy--
		r.answer(e.call)
		r.dispatch()
	case answered, gaveUp:
		if e.call.done {
			return
		}
		e.call.done = true
		e.call.ticket.Done(r.now, e.kind == gaveUp)
		if e.kind == answered {
			r.count(e.call)
		}
		if r.s.Closed > 0 {
			r.push(r.now, arrival, nil, e.call.client)
		}
	case tick:
		if r.s.Discipline == Sharing {
			r.progress()
			r.reschedule()
		} else {
			r.dispatch() // there may be more workers
		}
		for i, p := range r.s.Phases {
			if p.From <= r.now && r.now < p.To {
				for _, l := range r.limits {
					r.phases[i].limits += float64(l.Limit())
				}
				r.phases[i].ticks += len(r.limits)
			}
		}
		r.push(r.now+50*time.Millisecond, tick, nil, 0)
	}
}

func (r *run) arrived(client int) {
	if r.s.Closed == 0 {
		r.push(r.next(), arrival, nil, client)
	}
	work := r.s.Service(r.serve)
	if r.s.Slow != nil {
		work *= r.s.Slow(r.now)
	}
	bypass := r.s.Bypass > 0 && r.other.Float64() < r.s.Bypass
	ticket, ok := r.limits[client].Try(r.now)
	for i, p := range r.s.Phases {
		if p.From <= r.now && r.now < p.To {
			r.phases[i].Offered++
			if !ok {
				r.phases[i].Shed++
			}
		}
	}
	if !ok {
		if r.s.Closed > 0 {
			r.push(r.now+10*time.Millisecond, arrival, nil, client)
		}
		return
	}
	c := &call{start: r.now, work: work, client: client, ticket: ticket}
	if r.s.Timeout > 0 {
		r.push(r.now+r.s.Timeout, gaveUp, c, 0)
	}
	switch {
	case r.s.Lost > 0 && r.other.Float64() < r.s.Lost:
	case bypass:
		c.work /= 10
		r.push(r.now+time.Duration(c.work*1e9), answered, c, 0)
	case r.s.Discipline == Sharing:
		r.progress()
		c.work += r.work
		i, _ := slices.BinarySearchFunc(r.sharing, c.work, func(c *call, w float64) int {
			if c.work < w {
				return -1
			}
			return 1
		})
		r.sharing = slices.Insert(r.sharing, i, c)
		r.reschedule()
	default:
		r.queue = append(r.queue, c)
		r.dispatch()
	}
}

// dispatch gives waiting calls to free workers.
func (r *run) dispatch() {
	for len(r.queue) > 0 && r.busy < r.s.Workers(r.now) {
		var c *call
		switch last := len(r.queue) - 1; r.s.Discipline {
		case LIFO:
			c, r.queue = r.queue[last], r.queue[:last]
		case Random:
			i := r.other.IntN(last + 1)
			c = r.queue[i]
			r.queue[i] = r.queue[last]
			r.queue = r.queue[:last]
		default:
			c, r.queue = r.queue[0], r.queue[1:]
		}
		r.busy++
		r.push(r.now+time.Duration(c.work*1e9), served, c, 0)
	}
}

func (r *run) answer(c *call) {
	extra := 0.0
	if r.s.Extra != nil {
		extra = r.s.Extra(r.now)
	}
	r.push(r.now+time.Duration(extra*1e9), answered, c, 0)
}

// speed is the share of a worker that each sharing call has.
func (r *run) speed() float64 {
	return min(1, float64(r.s.Workers(r.last))/float64(max(len(r.sharing), 1)))
}

func (r *run) progress() {
	r.work += (r.now - r.last).Seconds() * r.speed()
	r.last = r.now
}

func (r *run) seqSharing() int { return r.busy }

func (r *run) reschedule() {
	if len(r.sharing) == 0 {
		return
	}
	r.busy++ // the number of the newest schedule; older ones are void
	left := max(0, r.sharing[0].work-r.work) / r.speed()
	r.push(r.now+time.Duration(left*1e9)+1, served, nil, r.busy)
}

func (r *run) shareDone() {
	r.progress()
	for len(r.sharing) > 0 && r.sharing[0].work <= r.work+1e-9 {
		c := r.sharing[0]
		r.sharing = r.sharing[1:]
		r.answer(c)
	}
	r.reschedule()
}

func (r *run) count(c *call) {
	for i, p := range r.s.Phases {
		if p.From <= r.now && r.now < p.To {
			ph := &r.phases[i]
			ph.Done++
			ph.each[c.client]++
			ph.times = append(ph.times, r.now-c.start)
		}
	}
}

func (p *phase) result(of Phase) Result {
	res := p.Result
	res.Goodput = float64(res.Done) / (of.To - of.From).Seconds()
	if p.ticks > 0 {
		res.Limit = int(p.limits/float64(p.ticks) + 0.5)
	}
	if len(p.times) > 0 {
		slices.Sort(p.times)
		res.P50, res.P99 = p.times[len(p.times)/2], p.times[len(p.times)*99/100]
		res.Least = float64(slices.Min(p.each)) * float64(len(p.each)) / float64(res.Done)
	}
	return res
}
