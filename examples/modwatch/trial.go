package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/redoubt-go/redoubt/audit"
)

// A question is the input of a run: the modules and the advisories.
type question struct {
	modules []module
	hazards hazards
}

// A trial is a run: the questions, the clients, and the storm.
type trial struct {
	question
	rounds      int           // repetitions of each question
	total       time.Duration // the time of all questions, evenly spread
	unit        time.Duration // the unit of the guards: a hundredth of a run
	seed        uint64
	attempts    int    // of the retrying client
	storm       *storm // nil for a real proxy
	history     *history
	served      string        // the address of -http
	contestants []*contestant // the guarded client is the last
}

// newTrial connects the clients to the recorded lists through a storm.
// transport returns a transport to the handler, so that tests need no sockets.
func newTrial(o options, q question, log *slog.Logger, transport func(http.Handler) (base string, rt http.RoundTripper)) *trial {
	total := 12 * time.Second
	if o.fast {
		total = 2 * time.Second
	}
	t := &trial{question: q, rounds: min(max(4, 400/len(q.modules)), 50), total: total, unit: total / 100, seed: o.seed, attempts: o.attempts, history: newHistory(total)}
	var phases []phase
	if o.storm != "off" {
		phases = forecast(o.seed, total)
	}
	t.storm = &storm{next: recordedProxy(), phases: phases, unit: t.unit, history: t.history}
	base, rt := transport(t.storm)
	at := func(agent string, timeout time.Duration) proxy {
		return proxy{audit.NewSecret(base), &http.Client{Transport: rt, Timeout: timeout}, agent}
	}
	perSecond := int64(4 * float64(t.rounds*len(q.modules)) / total.Seconds())
	late := 4 * t.unit
	t.contestants = []*contestant{
		{name: bareName, history: t.history, late: late, client: bare{at(bareName, late)}},
		{name: retryingName, history: t.history, late: late, client: retrying{at(retryingName, late), o.attempts, t.unit}},
		{name: guardedName, history: t.history, late: late, client: newGuarded(at(guardedName, 0), t.unit, perSecond, log, t.history)},
	}
	return t
}

// loopbackTrial serves the storm on a free port of loopback until stop is
// called.
func loopbackTrial(o options, q question, log *slog.Logger) (t *trial, stop func(), err error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, func() {}, err
	}
	server := &http.Server{ReadHeaderTimeout: time.Minute}
	t = newTrial(o, q, log, func(h http.Handler) (string, http.RoundTripper) {
		server.Handler = h
		return "http://" + ln.Addr().String(), &http.Transport{MaxIdleConnsPerHost: 100}
	})
	go server.Serve(ln)
	return t, func() { server.Close() }, nil
}

// liveTrial asks the first proxy of GOPROXY, each question once, five in a
// second.
func liveTrial(ctx context.Context, q question, log *slog.Logger) (*trial, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOPROXY").Output()
	if err != nil {
		return nil, fmt.Errorf("asking the go command for GOPROXY: %w", err)
	}
	base, _, _ := strings.Cut(strings.TrimSpace(strings.ReplaceAll(string(out), "|", ",")), ",")
	if !strings.HasPrefix(base, "http://") && !strings.HasPrefix(base, "https://") {
		return nil, fmt.Errorf("-live needs a proxy's URL first in GOPROXY, it has %q: set GOPROXY to one such as https://proxy.example.com", base)
	}
	if err := reach(ctx, base); err != nil {
		return nil, err
	}
	unit := 2 * time.Second
	p := proxy{audit.NewSecret(strings.TrimSuffix(base, "/")), &http.Client{}, "redoubt-modwatch"}
	total := time.Duration(len(q.modules)) * time.Second / 5
	h := newHistory(total)
	return &trial{
		question: q, rounds: 1, total: total, unit: unit, history: h,
		contestants: []*contestant{{name: guardedName, history: h, late: 4 * unit, client: newGuarded(p, unit, 5, log, h)}},
	}, nil
}

// reach sends a request to the proxy, so that a wrong address is not retried
// for minutes.
func reach(ctx context.Context, base string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, base, nil)
	if err != nil {
		return errors.New("-live: GOPROXY is no URL that can be asked")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("-live: the proxy cannot be reached: %w: check the network, or set GOPROXY", err)
	}
	return resp.Body.Close()
}

// newTrialFor prepares the run of the options o. stop ends its servers.
func newTrialFor(ctx context.Context, o options, q question, log *slog.Logger) (t *trial, stop func(), err error) {
	if o.live {
		t, err = liveTrial(ctx, q, log)
		return t, func() {}, err
	}
	return loopbackTrial(o, q, log)
}

// guarded returns the contestant whose verdicts count, with its guards.
func (t *trial) guarded() (*contestant, *guarded) {
	c := t.contestants[len(t.contestants)-1]
	return c, c.client.(*guarded)
}

// run asks all contestants each question at the same moments: every module once
// in a round, in an order from the seed, evenly over the whole time. It returns
// when all have answered, or when ctx ends. It calls changed, if not nil, when
// the weather changes.
func (t *trial) run(ctx context.Context, changed func(state)) {
	rng := rand.New(rand.NewPCG(t.seed, 1))
	began, asked, before := time.Now(), 0, ""
	t.history.start(began)
	if t.storm != nil {
		t.storm.began = began
	}
	var waiting sync.WaitGroup
	defer waiting.Wait()
	for range t.rounds {
		for _, i := range rng.Perm(len(t.modules)) {
			at := t.total * time.Duration(asked) / time.Duration(t.rounds*len(t.modules))
			select {
			case <-ctx.Done():
				return
			case <-time.After(time.Until(began.Add(at))):
			}
			asked++
			for _, c := range t.contestants {
				waiting.Go(func() { c.ask(ctx, t.modules[i].Path) })
			}
			if now := t.weather(); changed != nil && now != before {
				before = now
				changed(t.state())
			}
		}
	}
}

// weather returns the present weather of the proxy.
func (t *trial) weather() string {
	if t.storm == nil {
		return "live"
	}
	return t.storm.now().String()
}

// state returns the present state of the run.
func (t *trial) state() state {
	c, guards := t.guarded()
	s := t.history.state()
	s.Seed, s.Attempts, s.Modules, s.Rounds, s.Total = t.seed, t.attempts, len(t.modules), t.rounds, t.total
	s.Live, s.Weather, s.Breaker = t.storm == nil, t.weather(), guards.breaker.State().String()
	s.Served = t.served
	s.Hits = guards.cache.Stats().Hits
	if t.storm != nil {
		s.Phases = t.storm.phases
	}
	s.Late = c.late
	for _, c := range t.contestants {
		s.Clients = append(s.Clients, c.score())
	}
	s.Verdicts, s.Recent = c.verdicts(t.question)
	return s
}
