package main

import (
	"slices"
	"sync"
	"time"
)

// A state describes a run at a moment. The report, the picture, the page and
// the live view are pure functions of a state. Programs read it as JSON from
// -http.
type state struct {
	Seed     uint64          `json:"seed"`
	Modules  int             `json:"modules"`
	Rounds   int             `json:"rounds"`   // questions for each module
	Total    time.Duration   `json:"total_ns"` // the time of all questions
	Elapsed  time.Duration   `json:"elapsed_ns"`
	Live     bool            `json:"live"` // a real proxy answers: one client, no storm
	Done     bool            `json:"done"` // the report is complete
	Phases   []phase         `json:"phases"`
	Weather  string          `json:"weather"`
	Clients  []score         `json:"clients"` // the guarded client is the last
	Breaker  string          `json:"breaker"`
	Openings []time.Duration `json:"openings_ns"`      // when the breaker opened
	Waits    int             `json:"waits"`            // pauses before another attempt
	Hits     uint64          `json:"hits"`             // answers from the cache
	Verdicts []verdict       `json:"verdicts"`         // of the modules with an answer, by path
	Recent   []verdict       `json:"recent"`           // of the modules with the latest first answers
	Served   string          `json:"served,omitempty"` // the address of -http
	Log      *logSummary     `json:"log,omitempty"`
	Ledger   *ledgerSummary  `json:"ledger,omitempty"`
}

// A score contains the results of a client so far.
type score struct {
	Name     string        `json:"name"`
	Asked    int           `json:"asked"`
	Answered int           `json:"answered"`
	Stale    uint64        `json:"stale"` // answers from before the storm
	P50      time.Duration `json:"p50_ns"`
	P99      time.Duration `json:"p99_ns"`
	Ticks    []tick        `json:"ticks"` // the run in equal parts
}

// A tick counts the events of a client in a part of a run.
type tick struct {
	Answers  int `json:"answers"`
	Failures int `json:"failures"` // questions without an answer
	Refused  int `json:"refused"`  // attempts that the breaker or limiter of the client refused
	Sent     int `json:"sent"`     // requests that reached the proxy
	Wasted   int `json:"wasted"`   // requests that reached the proxy while it was dead
}

func (t *tick) add(u tick) {
	t.Answers += u.Answers
	t.Failures += u.Failures
	t.Refused += u.Refused
	t.Sent += u.Sent
	t.Wasted += u.Wasted
}

// Sum adds up the ticks of the run.
func (s score) Sum() (all tick) {
	for _, t := range s.Ticks {
		all.add(t)
	}
	return all
}

// guarded returns the client of redoubt. bare returns the other client, nil in
// a live run.
func (s state) guarded() score { return s.Clients[len(s.Clients)-1] }

func (s state) bare() *score {
	if len(s.Clients) < 2 {
		return nil
	}
	return &s.Clients[0]
}

// parts is the number of ticks in a run: quarters of a second in a run of 12 s.
const parts = 48

// A history records the events of a run, for its states.
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

// note records an event of a client. Events after the last question belong to
// the last tick.
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

// opened records an opening of the breaker, and waited a pause before another
// attempt.
func (h *history) opened() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.openings = append(h.openings, time.Since(h.began))
}

// state returns a state with the fields that the history knows.
func (h *history) state() state {
	h.mu.Lock()
	defer h.mu.Unlock()
	return state{Elapsed: time.Since(h.began), Openings: slices.Clone(h.openings), Waits: h.waits}
}

// of returns the ticks of a client.
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
