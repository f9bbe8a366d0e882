package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/redoubt-go/redoubt/audit"
)

// A trial is one run: the questions, who answers them, and what stands in the way.
type trial struct {
	modules     []module
	rounds      int           // how often each question is asked
	total       time.Duration // in which the questions are asked, evenly
	unit        time.Duration // the guards' measure: a hundredth of a run through the storm
	storm       *storm        // nil when the proxy is a real one
	contestants []*contestant // the guarded client is the last
}

// newTrial sets both clients before the recorded lists behind a storm. transport reaches handler; it is a function of it
// so that tests can do without sockets.
func newTrial(o options, modules []module, log *slog.Logger, transport func(http.Handler) (base string, rt http.RoundTripper)) *trial {
	total := 12 * time.Second
	if o.fast {
		total = 2 * time.Second
	}
	t := &trial{modules: modules, rounds: min(max(4, 400/len(modules)), 50), total: total, unit: total / 100}
	var phases []phase
	if o.storm != "off" {
		phases = forecast(o.seed, total)
	}
	t.storm = newStorm(recordedProxy(), phases, t.unit)
	base, rt := transport(t.storm)
	at := func(agent string, timeout time.Duration) proxy {
		return proxy{audit.NewSecret(base), &http.Client{Transport: rt, Timeout: timeout}, agent}
	}
	perSecond := int64(4 * float64(t.rounds*len(modules)) / total.Seconds())
	t.contestants = []*contestant{
		{name: "bare", client: bare{at("bare", 4*t.unit)}},
		{name: "redoubt", client: newGuarded(at("redoubt", 0), t.unit, perSecond, log)},
	}
	return t
}

// loopbackTrial serves the storm on a free port of loopback until stop is called.
func loopbackTrial(o options, modules []module, log *slog.Logger) (t *trial, stop func(), err error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, func() {}, err
	}
	server := &http.Server{ReadHeaderTimeout: time.Minute}
	t = newTrial(o, modules, log, func(h http.Handler) (string, http.RoundTripper) {
		server.Handler = h
		return "http://" + ln.Addr().String(), &http.Transport{MaxIdleConnsPerHost: 100}
	})
	go server.Serve(ln)
	return t, func() { server.Close() }, nil
}

// liveTrial asks the first proxy of GOPROXY, each question once and five a second.
func liveTrial(ctx context.Context, modules []module, log *slog.Logger) (*trial, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOPROXY").Output()
	if err != nil {
		return nil, fmt.Errorf("asking the go command for GOPROXY: %w", err)
	}
	base, _, _ := strings.Cut(strings.TrimSpace(strings.ReplaceAll(string(out), "|", ",")), ",")
	if !strings.HasPrefix(base, "http://") && !strings.HasPrefix(base, "https://") {
		return nil, fmt.Errorf("-live needs a proxy's URL first in GOPROXY, it has %q", base)
	}
	unit := 2 * time.Second
	p := proxy{audit.NewSecret(strings.TrimSuffix(base, "/")), &http.Client{}, "redoubt-modwatch"}
	return &trial{
		modules: modules, rounds: 1, total: time.Duration(len(modules)) * time.Second / 5, unit: unit,
		contestants: []*contestant{{name: "redoubt", client: newGuarded(p, unit, 5, log)}},
	}, nil
}

// guarded is the contestant whose verdicts count.
func (t *trial) guarded() *contestant { return t.contestants[len(t.contestants)-1] }

// run asks all contestants each question at the same moments: every module once a round, in an order that the seed
// decides, evenly over the whole time. It returns when all have answered, or ctx ends.
func (t *trial) run(ctx context.Context, seed uint64, progress io.Writer) {
	rng := rand.New(rand.NewPCG(seed, 1))
	began, asked, before := time.Now(), 0, ""
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
				waiting.Go(func() { c.ask(ctx, t.modules[i].path) })
			}
			if now := t.weather(); now != before {
				before = now
				fmt.Fprintln(progress, t.progress(time.Since(began)))
			}
		}
	}
}

// weather is what the progress lines are about.
func (t *trial) weather() string {
	if t.storm == nil {
		return "live"
	}
	return t.storm.now().String()
}

// progress tells where the run is, in a line.
func (t *trial) progress(since time.Duration) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%5.1fs  %-8s", since.Seconds(), t.weather())
	for _, c := range t.contestants {
		asked, answered := c.score()
		fmt.Fprintf(&b, "  %s %d of %d", c.name, answered, asked)
		if g, ok := c.client.(*guarded); ok {
			fmt.Fprintf(&b, ", breaker %v", g.breaker.State())
		}
	}
	return b.String()
}

// printScores tells how the contestants came through.
func (t *trial) printScores(w io.Writer) {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(tw, "client\tasked\tanswered\tof them stale\trequests\twasted\tp50\tp99\t")
	for _, c := range t.contestants {
		asked, answered := c.score()
		stale, sent, wasted := "-", "-", "-"
		if g, ok := c.client.(*guarded); ok {
			stale = fmt.Sprint(g.cache.Stats().StaleHits)
		}
		if t.storm != nil { // only the loopback proxy counts what reaches it
			books := t.storm.traffic(c.name)
			sent, wasted = fmt.Sprint(books.sent), fmt.Sprint(books.wasted)
		}
		fmt.Fprintf(tw, "%s\t%d\t%d\t%s\t%s\t%s\t%v\t%v\t\n", c.name, asked, answered, stale, sent, wasted,
			c.quantile(0.50).Round(100*time.Microsecond), c.quantile(0.99).Round(100*time.Microsecond))
	}
	tw.Flush()
}
