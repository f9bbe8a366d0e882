package main

import (
	"context"
	"errors"
	"log/slog"
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
func newGuarded(p proxy, unit time.Duration, perSecond int64, log *slog.Logger) *guarded {
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
			Backoff:        retry.Exponential{Base: unit, Max: 5 * unit},
			Budget:         &retry.TokenBudget{Burst: 200, PerSecond: 20},
			OnEvent:        retry.Log(log),
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
			},
		}),
		limiter: ratelimit.New(ratelimit.PerSecond(perSecond).WithBurst(max(perSecond/10, 1))),
	}
}

// healthOf judges the proxy's health by an error: that a module is unknown, or that we ask too fast, is no sickness.
func healthOf(err error) breaker.Outcome {
	if status, ok := errors.AsType[*statusError](err); ok && status.code < 500 {
		return breaker.Success
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
	name string

	mu       sync.Mutex
	asked    int
	answered int
	took     []time.Duration // of the answered questions
	last     map[string]reply
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
	if answered {
		c.answered++
		c.took = append(c.took, time.Since(began))
	}
	if c.last == nil {
		c.last = map[string]reply{}
	}
	if _, known := c.last[path]; answered || !known {
		c.last[path] = reply{versions, err}
	}
}

// score returns how many questions were asked and answered so far.
func (c *contestant) score() (asked, answered int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.asked, c.answered
}

// quantile is the time within which the share q of the answers came.
func (c *contestant) quantile(q float64) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.took) == 0 {
		return 0
	}
	slices.Sort(c.took)
	return c.took[min(int(q*float64(len(c.took))), len(c.took)-1)]
}

// verdicts judges every module by the last that was heard of it, in the order of the paths.
func (c *contestant) verdicts(modules []module) (all []verdict) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range modules {
		r, asked := c.last[m.path]
		if !asked {
			r.err = errors.New("not asked")
		}
		all = append(all, judge(m, r.versions, r.err))
	}
	return all
}
