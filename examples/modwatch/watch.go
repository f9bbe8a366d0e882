package main

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/redoubt-go/redoubt/breaker"
	"github.com/redoubt-go/redoubt/cache"
	"github.com/redoubt-go/redoubt/ratelimit"
	"github.com/redoubt-go/redoubt/retry"
)

// A client answers questions. The bare one asks the proxy and takes what comes; the guarded one is the library's.
type client interface {
	versions(ctx context.Context, path string) ([]string, error)
}

// bare is an honest client of the usual kind: an http.Client with a timeout, and no more.
type bare struct{ proxy }

func (b bare) versions(ctx context.Context, path string) ([]string, error) { return b.list(ctx, path) }

// guardedName is what the guarded client is called in the report.
const guardedName = "redoubt"

// guarded asks through the cache, which asks through retry, which asks through the breaker, which asks through the limiter.
type guarded struct {
	proxy
	log     *slog.Logger
	cache   *cache.Cache[string, []string]
	policy  retry.Policy
	breaker *breaker.Breaker
	limiter *ratelimit.Limiter
}

// newGuarded fits the guards to a run whose hundredth is unit, asking at most perSecond times a second.
func newGuarded(p proxy, unit time.Duration, perSecond int64, log *slog.Logger, h *history) *guarded {
	logRetry := retry.Log(log)
	return &guarded{
		proxy: p,
		log:   log,
		cache: cache.New(cache.Config[string, []string]{
			Capacity:     10_000,
			TTL:          30 * unit,
			StaleIfError: time.Hour,
			ErrorTTL: func(err error) time.Duration {
				if errors.Is(err, cache.ErrNotFound) {
					return 30 * unit
				}
				return 0
			},
		}),
		policy: retry.Policy{
			MaxAttempts:    retry.Unlimited,
			MaxElapsed:     max(60*unit, 2*time.Second),
			AttemptTimeout: 4 * unit,
			MaxRejected:    -1, // a batch: wait until the breaker closes
			Backoff:        retry.Exponential{Base: unit, Max: 5 * unit},
			Budget:         &retry.TokenBudget{Burst: 200, PerSecond: 20},
			OnEvent: func(ctx context.Context, e retry.Event) {
				logRetry(ctx, e)
				if e.Kind == retry.KindRetry {
					h.waited()
				}
				if errors.Is(e.Err, breaker.ErrOpen) {
					h.note(guardedName, tick{Refused: 1})
				}
			},
		},
		breaker: breaker.New(breaker.Config{
			Name:       "proxy",
			Window:     4 * unit,
			MinCalls:   5,
			OpenFor:    3 * unit,
			MaxOpenFor: 5 * unit,
			Classify:   healthOf,
			OnEvent: func(ctx context.Context, e breaker.Event) {
				log.LogAttrs(ctx, slog.LevelInfo, "breaker", slog.String("from", e.From.String()), slog.String("to", e.To.String()))
				if e.To == breaker.StateOpen {
					h.opened()
				}
			},
		}),
		limiter: ratelimit.New(ratelimit.PerSecond(perSecond).WithBurst(max(perSecond/10, 1))),
	}
}

// healthOf judges the proxy's health by an error: that a module is unknown, or that we ask too fast, is no sickness.
func healthOf(err error) breaker.Outcome {
	if status, ok := errors.AsType[*statusError](err); ok && status.code < 500 {
		return breaker.OutcomeSuccess
	}
	return breaker.Classify(err)
}

func (g *guarded) versions(ctx context.Context, path string) ([]string, error) {
	return g.cache.GetOrLoad(ctx, path, func(ctx context.Context, path string) ([]string, error) {
		return retry.Do(ctx, g.policy,
			breaker.Wrap(g.breaker,
				ratelimit.Wrap(g.limiter, func(ctx context.Context) ([]string, error) { return g.logged(ctx, path) })))
	})
}

// logged is one request, with a line about it in the run's log.
func (g *guarded) logged(ctx context.Context, path string) ([]string, error) {
	began, status, level := time.Now(), 200, slog.LevelInfo
	list, err := g.list(ctx, path)
	if err != nil {
		status, level = 0, slog.LevelWarn
		if answer, ok := errors.AsType[*statusError](err); ok {
			status = answer.code
		}
	}
	g.log.LogAttrs(ctx, level, "request", slog.Any("proxy", g.base), slog.String("module", path),
		slog.Int("status", status), slog.Float64("ms", float64(time.Since(began).Microseconds())/1000))
	return list, err
}

// A contestant is a client and what it got for its questions.
type contestant struct {
	client
	name    string
	history *history

	mu       sync.Mutex
	asked    int
	answered int
	took     []time.Duration // of the answered questions
	last     map[string]reply
	heard    []string // the modules, as they were first heard of
}

// A reply is what a client heard last of a module: a list, or why there was none.
type reply struct {
	versions []string
	err      error
}

func (c *contestant) ask(ctx context.Context, path string) {
	c.mu.Lock()
	c.asked++
	c.mu.Unlock()
	began := time.Now()
	versions, err := c.versions(ctx, path)
	c.mu.Lock()
	defer c.mu.Unlock()
	answered := err == nil || errors.Is(err, cache.ErrNotFound) // that there is no such module is an answer
	if !answered && ctx.Err() != nil {
		return // Ctrl-C took the question back
	}
	if !answered {
		c.history.note(c.name, tick{Failures: 1})
	} else {
		c.history.note(c.name, tick{Answers: 1})
		c.answered++
		c.took = append(c.took, time.Since(began))
	}
	if c.last == nil {
		c.last = map[string]reply{}
	}
	_, known := c.last[path]
	if !known {
		c.heard = append(c.heard, path)
	}
	if answered || !known {
		c.last[path] = reply{versions, err}
	}
}

// score tells how the client has come through so far.
func (c *contestant) score() score {
	ticks := c.history.of(c.name)
	c.mu.Lock()
	defer c.mu.Unlock()
	s := score{Name: c.name, Asked: c.asked, Answered: c.answered, Ticks: ticks}
	if n := len(c.took); n > 0 {
		slices.Sort(c.took)
		s.P50, s.P99 = c.took[n/2], c.took[n*99/100]
	}
	if g, ok := c.client.(*guarded); ok {
		s.Stale = g.cache.Stats().StaleHits
	}
	return s
}

// verdicts judges every module by the last that was heard of it, in the order of the paths. The recent ones are those
// heard of first a moment ago.
func (c *contestant) verdicts(q question) (all, recent []verdict) {
	c.mu.Lock()
	last, heard := maps.Clone(c.last), c.heard[max(0, len(c.heard)-8):]
	c.mu.Unlock()
	byPath := map[string]verdict{}
	for _, m := range q.modules {
		r, asked := last[m.Path]
		if !asked {
			r.err = errNotAsked
		}
		v := judge(m, q.hazards, r.versions, r.err)
		all, byPath[m.Path] = append(all, v), v
	}
	for _, path := range heard {
		recent = append(recent, byPath[path])
	}
	return all, recent
}
