package main

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/redoubt-go/redoubt/breaker"
	"github.com/redoubt-go/redoubt/cache"
	"github.com/redoubt-go/redoubt/ratelimit"
	"github.com/redoubt-go/redoubt/retry"
)

// A client answers questions. The bare client asks the proxy once. The retrying
// client asks a few times. The guarded client uses the library.
type client interface {
	versions(ctx context.Context, path string) ([]string, error)
}

// The names of the clients in the report.
const (
	bareName     = "bare"
	retryingName = "retrying"
	guardedName  = "redoubt"
)

// bare is an http.Client with a timeout.
type bare struct{ proxy }

func (c bare) versions(ctx context.Context, path string) ([]string, error) { return c.list(ctx, path) }

// retrying is the usual client with retries: the same timeout for each attempt,
// exponential backoff with jitter, and pauses as long as Retry-After demands.
// The first pauses of the guarded client are the same.
type retrying struct {
	proxy
	attempts int
	unit     time.Duration
}

func (c retrying) versions(ctx context.Context, path string) (list []string, err error) {
	for n := range c.attempts {
		if list, err = c.list(ctx, path); err == nil || n == c.attempts-1 {
			break
		}
		pause := time.Duration(rand.Int64N(int64(c.unit << min(n, 5))))
		if status, ok := errors.AsType[*statusError](err); ok {
			if !status.Retryable() {
				break
			}
			pause += status.after
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(pause):
		}
	}
	return list, err
}

// guarded asks through the cache, retry, the breaker and the limiter, in this
// order.
type guarded struct {
	proxy
	log     *slog.Logger
	cache   *cache.Cache[string, []string]
	policy  retry.Policy
	breaker *breaker.Breaker
	limiter *ratelimit.Limiter
}

// newGuarded configures the guards for a run of 100 units, with at most
// perSecond requests in a second.
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
			Backoff:        retry.Exponential{Base: unit, Max: 2 * unit},
			Budget:         &retry.TokenBudget{Burst: 200, PerSecond: 20},
			OnEvent: func(ctx context.Context, e retry.Event) {
				logRetry(ctx, e)
				if e.Kind == retry.KindRetry {
					h.waited()
				}
				if errors.Is(e.Err, breaker.ErrOpen) {
					h.note(guardedName, time.Now(), tick{Refused: 1})
				}
			},
		},
		breaker: breaker.New(breaker.Config{
			Name:       "proxy",
			Window:     4 * unit,
			MinCalls:   5,
			OpenFor:    2 * unit,
			MaxOpenFor: 3 * unit,
			Classify:   healthOf,
			OnEvent: func(ctx context.Context, e breaker.Event) {
				log.LogAttrs(ctx, slog.LevelInfo, "breaker", slog.String("from", e.From.String()), slog.String("to", e.To.String()))
				h.breaker(e.To == breaker.StateOpen)
			},
		}),
		limiter: ratelimit.New(ratelimit.PerSecond(perSecond).WithBurst(max(perSecond/10, 1))),
	}
}

// healthOf classifies an error for the breaker. An unknown module, or too many
// requests, is not a failure of the proxy.
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

// logged sends a request and adds a line to the log of the run.
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

// A contestant is a client with the answers to its questions.
type contestant struct {
	client
	name    string
	history *history
	late    time.Duration // answers that take longer are late: the timeout of an attempt

	mu       sync.Mutex
	asked    int
	answered int
	took     []time.Duration // of the answered questions
	last     map[string]reply
	heard    []string // the modules, in the order of their first answers
}

// A reply is the latest answer about a module: a list or an error.
type reply struct {
	versions []string
	err      error
}

func (c *contestant) ask(ctx context.Context, path string) {
	began := time.Now()
	c.history.note(c.name, began, tick{Asked: 1})
	c.mu.Lock()
	c.asked++
	c.mu.Unlock()
	versions, err := c.versions(ctx, path)
	took := time.Since(began)
	c.mu.Lock()
	defer c.mu.Unlock()
	answered := err == nil || errors.Is(err, cache.ErrNotFound) // an unknown module is an answer
	if !answered && ctx.Err() != nil {
		return // Ctrl-C canceled the question
	}
	switch {
	case !answered:
		c.history.note(c.name, began, tick{Failures: 1})
	case took > c.late:
		c.history.note(c.name, began, tick{Late: 1})
	default:
		c.history.note(c.name, began, tick{Answers: 1})
	}
	if answered {
		c.answered++
		c.took = append(c.took, took)
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

// score returns the results of the client so far.
func (c *contestant) score() score {
	ticks := c.history.of(c.name)
	c.mu.Lock()
	defer c.mu.Unlock()
	s := score{Name: c.name, Asked: c.asked, Answered: c.answered, Ticks: ticks}
	if n := len(c.took); n > 0 {
		slices.Sort(c.took)
		s.P50, s.P99, s.Slowest = c.took[n/2], c.took[n*99/100], c.took[n-1]
	}
	if g, ok := c.client.(*guarded); ok {
		s.Old = g.cache.Stats().StaleHits
	}
	return s
}

// verdicts returns the verdict about every module from its latest reply, by
// path. recent are the modules with the latest first replies.
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
