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
	Seed     uint64         `json:"seed"`
	Attempts int            `json:"attempts"` // of the retrying client
	Modules  int            `json:"modules"`
	Rounds   int            `json:"rounds"`   // questions for each module
	Total    time.Duration  `json:"total_ns"` // the time of all questions
	Elapsed  time.Duration  `json:"elapsed_ns"`
	Late     time.Duration  `json:"late_ns"` // an answer after more time is late
	Live     bool           `json:"live"`    // a real proxy answers: one client, no storm
	Done     bool           `json:"done"`    // the report is complete
	Phases   []phase        `json:"phases"`
	Weather  string         `json:"weather"`
	Clients  []score        `json:"clients"` // the guarded client is the last
	Breaker  string         `json:"breaker"`
	Openings []span         `json:"openings"`         // the times when the breaker was open
	Waits    int            `json:"waits"`            // pauses before another attempt
	Hits     uint64         `json:"hits"`             // answers from the cache
	Verdicts []verdict      `json:"verdicts"`         // of the modules with an answer, by path
	Recent   []verdict      `json:"recent"`           // of the modules with the latest first answers
	Served   string         `json:"served,omitempty"` // the address of -http
	Log      *logSummary    `json:"log,omitempty"`
	Ledger   *ledgerSummary `json:"ledger,omitempty"`
}

// A span is a period of a run. To is 0 if it lasts.
type span struct {
	From time.Duration `json:"from_ns"`
	To   time.Duration `json:"to_ns"`
}

// A score contains the results of a client so far.
type score struct {
	Name     string        `json:"name"`
	Asked    int           `json:"asked"`
	Answered int           `json:"answered"`
	Old      uint64        `json:"old"` // answers from before the storm
	P50      time.Duration `json:"p50_ns"`
	P99      time.Duration `json:"p99_ns"`
	Slowest  time.Duration `json:"slowest_ns"`
	Ticks    []tick        `json:"ticks"` // the run in equal parts
}

// A tick counts the events of a client in a part of a run. The end of a
// question counts in the part in which it was asked.
type tick struct {
	Asked    int `json:"asked"`
	Answers  int `json:"answers"`
	Late     int `json:"late"`     // answers that took longer than the timeout of an attempt
	Failures int `json:"failures"` // questions without an answer
	Refused  int `json:"refused"`  // attempts that the breaker or limiter of the client refused
	Sent     int `json:"sent"`     // requests that reached the proxy
	Down     int `json:"down"`     // requests that reached the proxy while it was down
}

func (t *tick) add(u tick) {
	t.Asked += u.Asked
	t.Answers += u.Answers
	t.Late += u.Late
	t.Failures += u.Failures
	t.Refused += u.Refused
	t.Sent += u.Sent
	t.Down += u.Down
}

// Sum adds up the ticks of the run.
func (s score) Sum() (all tick) {
	for _, t := range s.Ticks {
		all.add(t)
	}
	return all
}

// guarded returns the client of redoubt.
func (s state) guarded() score { return s.Clients[len(s.Clients)-1] }

// parts is the number of ticks in a run: quarters of a second in a run of 12 s.
const parts = 48

// A history records the events of a run, for its states.
type history struct {
	total time.Duration

	mu       sync.Mutex
	began    time.Time
	ticks    map[string]*[parts]tick // by client
	openings []span
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

// note records an event of a client at a moment. Events after the last question
// belong to the last tick.
func (h *history) note(client string, at time.Time, event tick) {
	h.mu.Lock()
	defer h.mu.Unlock()
	ticks := h.ticks[client]
	if ticks == nil {
		ticks = new([parts]tick)
		h.ticks[client] = ticks
	}
	ticks[min(int(at.Sub(h.began)*parts/h.total), parts-1)].add(event)
}

// breaker records a change of the breaker, and waited a pause before another
// attempt.
func (h *history) breaker(open bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Since(h.began)
	if open {
		h.openings = append(h.openings, span{From: now})
	} else if last := len(h.openings) - 1; h.openings[last].To == 0 {
		h.openings[last].To = now
	}
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
