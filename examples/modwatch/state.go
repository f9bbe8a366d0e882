package main

import (
	"slices"
	"sync"
	"time"
)

// A state is what there is to be shown of a run at one moment. The report, the picture, the page and the live view are
// pure functions of it, and as JSON it is what programs read from -http.
type state struct {
	Seed     uint64          `json:"seed"`
	Modules  int             `json:"modules"`
	Rounds   int             `json:"rounds"`   // how often each module is asked about
	Total    time.Duration   `json:"total_ns"` // in which the questions are asked
	Elapsed  time.Duration   `json:"elapsed_ns"`
	Live     bool            `json:"live"` // a real proxy answers: one client, no storm
	Done     bool            `json:"done"` // the report is complete
	Phases   []phase         `json:"phases"`
	Weather  string          `json:"weather"`
	Clients  []score         `json:"clients"` // the guarded one is the last
	Breaker  string          `json:"breaker"`
	Openings []time.Duration `json:"openings_ns"`      // when the breaker opened
	Waits    int             `json:"waits"`            // before another try
	Hits     uint64          `json:"hits"`             // answers that the cache had
	Verdicts []verdict       `json:"verdicts"`         // of the modules heard of so far, by path
	Recent   []verdict       `json:"recent"`           // of the modules first heard of last
	Served   string          `json:"served,omitempty"` // where -http shows it
	Log      *logSummary     `json:"log,omitempty"`
	Ledger   *ledgerSummary  `json:"ledger,omitempty"`
}

// A score is how a client has come through so far.
type score struct {
	Name     string        `json:"name"`
	Asked    int           `json:"asked"`
	Answered int           `json:"answered"`
	Stale    uint64        `json:"stale"` // answers from before the storm
	P50      time.Duration `json:"p50_ns"`
	P99      time.Duration `json:"p99_ns"`
	Ticks    []tick        `json:"ticks"` // the run in equal parts
}

// A tick is what happened to a client in one part of a run.
type tick struct {
	Answers  int `json:"answers"`
	Failures int `json:"failures"` // questions that got no answer
	Refused  int `json:"refused"`  // tries that the client's own breaker or limiter held back
	Sent     int `json:"sent"`     // requests that reached the proxy
	Wasted   int `json:"wasted"`   // those of them that reached it while it was dead
}

func (t *tick) add(u tick) {
	t.Answers += u.Answers
	t.Failures += u.Failures
	t.Refused += u.Refused
	t.Sent += u.Sent
	t.Wasted += u.Wasted
}

// Sum is the whole run in one tick.
func (s score) Sum() (all tick) {
	for _, t := range s.Ticks {
		all.add(t)
	}
	return all
}

// guarded is redoubt's client; bare is the other one, and nil in a live run.
func (s state) guarded() score { return s.Clients[len(s.Clients)-1] }

func (s state) bare() *score {
	if len(s.Clients) < 2 {
		return nil
	}
	return &s.Clients[0]
}

// parts is into how many ticks a run is divided: quarters of a second in a run of 12 s.
const parts = 48

// A history takes down what happens in a run, for its states.
type history struct {
	total time.Duration

	mu       sync.Mutex
	began    time.Time
	ticks    map[string]*[parts]tick // by client
	openings []time.Duration
	waits    int
}

func newHistory(total time.Duration) *history {
	return &history{total: total, began: time.Now(), ticks: map[string]*[parts]tick{}}
}

// start begins the first tick.
func (h *history) start(at time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.began = at
}

// note adds what has just happened to a client. What happens after the last question belongs to the last tick.
func (h *history) note(client string, what tick) {
	h.mu.Lock()
	defer h.mu.Unlock()
	ticks := h.ticks[client]
	if ticks == nil {
		ticks = new([parts]tick)
		h.ticks[client] = ticks
	}
	ticks[min(int(time.Since(h.began)*parts/h.total), parts-1)].add(what)
}

// opened notes that the breaker has, and waited that there is a pause before another try.
func (h *history) opened() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.openings = append(h.openings, time.Since(h.began))
}

// state begins a state with what the history knows.
func (h *history) state() state {
	h.mu.Lock()
	defer h.mu.Unlock()
	return state{Elapsed: time.Since(h.began), Openings: slices.Clone(h.openings), Waits: h.waits}
}

// of returns a client's ticks.
func (h *history) of(client string) []tick {
	h.mu.Lock()
	defer h.mu.Unlock()
	if ticks := h.ticks[client]; ticks != nil {
		return slices.Clone(ticks[:])
	}
	return make([]tick, parts)
}

func (h *history) waited() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.waits++
}
