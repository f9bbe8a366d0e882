package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"
)

// weather is the reaction of the proxy to requests.
type weather uint8

const (
	calm     weather = iota // answers within milliseconds
	slow                    // answers late
	failing                 // 503 at once
	limiting                // 429 with Retry-After: 1
	hanging                 // takes the request and never answers
	dead                    // closes the connection
)

func (w weather) String() string {
	return [...]string{"healthy", "slow", "503", "429", "hangs", "dead"}[w]
}

// down reports whether no request is answered.
func (w weather) down() bool { return w == failing || w == hanging || w == dead }

// MarshalText puts a weather into JSON by its name.
func (w weather) MarshalText() ([]byte, error) { return []byte(w.String()), nil }

// A phase is a period with a weather. It lasts until the next phase.
type phase struct {
	Weather weather       `json:"weather"`
	From    time.Duration `json:"from_ns"`
}

// forecast draws the storm of a run that lasts total. Between a calm start and
// a calm end are the same five phases for every seed. The seed decides their
// order and their lengths (percent of the run, plus or minus a fifth).
func forecast(seed uint64, total time.Duration) []phase {
	rng := rand.New(rand.NewPCG(seed, 0))
	plagues := []struct {
		weather weather
		percent float64
	}{{slow, 12}, {failing, 10}, {limiting, 8}, {hanging, 8}, {dead, 15}}
	rng.Shuffle(len(plagues), func(i, j int) { plagues[i], plagues[j] = plagues[j], plagues[i] })
	at := total / 10
	phases := []phase{{calm, 0}}
	for _, p := range plagues {
		phases = append(phases, phase{p.weather, at})
		at += time.Duration(p.percent * (0.8 + 0.4*rng.Float64()) / 100 * float64(total))
	}
	return append(phases, phase{calm, at})
}

// A storm is a handler that disturbs the answers of a healthy handler on
// schedule. It records the requests of each client.
type storm struct {
	next    http.Handler
	phases  []phase // empty: always calm
	unit    time.Duration
	history *history
	began   time.Time
}

// now returns the present weather.
func (s *storm) now() weather {
	since, w := time.Since(s.began), calm
	for _, p := range s.phases {
		if since >= p.From {
			w = p.Weather
		}
	}
	return w
}

func (s *storm) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	now := s.now()
	event := tick{Sent: 1}
	if now.down() {
		event.Down = 1
	}
	s.history.note(r.UserAgent(), time.Now(), event)
	switch now {
	case calm:
		time.Sleep(time.Duration(rand.Int64N(int64(s.unit/10) + 1)))
	case slow:
		time.Sleep(s.unit + time.Duration(rand.Int64N(int64(s.unit)+1)))
	case failing:
		http.Error(w, "the proxy is overloaded", http.StatusServiceUnavailable)
		return
	case limiting:
		w.Header().Set("Retry-After", "1")
		http.Error(w, "slow down", http.StatusTooManyRequests)
		return
	case hanging:
		<-r.Context().Done()
		panic(http.ErrAbortHandler)
	case dead:
		panic(http.ErrAbortHandler)
	}
	s.next.ServeHTTP(w, r)
}

// schedule returns the phases as a line.
func schedule(phases []phase) string {
	if len(phases) == 0 {
		return "none"
	}
	var parts []string
	for _, p := range phases {
		parts = append(parts, fmt.Sprintf("%s from %.1fs", p.Weather, p.From.Seconds()))
	}
	return strings.Join(parts, ", ")
}
