package ratelimithttp

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redoubt-go/redoubt/internal/quote"
	"github.com/redoubt-go/redoubt/ratelimit"
)

// Config configures [Middleware].
type Config struct {
	// Store takes the events of each key; required. See [ratelimit.Local].
	Store ratelimit.Store
	// Key returns the key that a request is counted under, and reports whether
	// the request is limited at all; required. See [ByIP].
	Key func(*http.Request) (key string, limited bool)
	// Cost returns the number of events that a request counts as. It must not
	// read the body. A negative number counts as 1. Nil means 1.
	Cost func(*http.Request) int64
	// Policy names the limit in the fields RateLimit and RateLimit-Policy and
	// in problem documents: at most 64 bytes of printable ASCII. Zero means
	// "default".
	Policy string
	// NoFields leaves out these two fields.
	NoFields bool
	// ServeOnError serves requests when Store returns an error. By default they
	// are refused with status 503.
	ServeOnError bool
	// OnError is called with each error of Store. It may be nil. It must not
	// block.
	OnError func(*http.Request, error)
}

// Validate returns an error that joins all problems of c.
func (c Config) Validate() error {
	var errs []error
	if c.Store == nil {
		errs = append(errs, errors.New("ratelimithttp: Store is missing"))
	}
	if c.Key == nil {
		errs = append(errs, errors.New("ratelimithttp: Key is missing"))
	}
	unprintable := func(r rune) bool { return r < ' ' || r > '~' }
	if len(c.Policy) > 64 || strings.ContainsFunc(c.Policy, unprintable) {
		errs = append(errs, fmt.Errorf("ratelimithttp: Policy is %s, want at most 64 bytes of printable ASCII", quote.Text(c.Policy)))
	}
	return errors.Join(errs...)
}

// Middleware returns a function that limits a handler. It answers requests over
// the limit with status 429 and does not call the handler. A request counts
// when it arrives, even if the client cancels it immediately. Middleware does
// not read the body, passes the ResponseWriter through, and adds its fields to
// existing fields. It panics with the error of [Config.Validate], if any.
//
// A request that passes the same Middleware twice counts once. So does every
// other request that passes it with the context of a counted request: a handler
// that dispatches the parts of a batch in the process must use another context.
func Middleware(c Config) func(http.Handler) http.Handler {
	if err := c.Validate(); err != nil {
		panic(err)
	}
	if c.Policy == "" {
		c.Policy = "default"
	}
	g := &guard{Config: c, name: quoted(c.Policy)}
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { g.serve(w, r, next) })
	}
}

// A guard is the state of one call of Middleware.
type guard struct {
	Config
	name   string                 // quoted
	policy atomic.Pointer[policy] // the field of the last decision, which mostly fits the next
}

// A pass is the context of a request that guard has counted. It also contains
// the memory for other values of a request, to allocate them together.
type pass struct {
	context.Context
	guard   *guard
	arrived arrived
	fields  [2]string // the lines of RateLimit-Policy and RateLimit
}

// Value returns p for its guard.
func (p *pass) Value(key any) any {
	if key == p.guard {
		return p
	}
	return p.Context.Value(key)
}

// arrived is the context that a Store sees: it has the values of the context of
// the request and never ends. A client that cancels its request has been
// counted nevertheless.
type arrived struct{ request context.Context }

func (*arrived) Deadline() (time.Time, bool) { return time.Time{}, false }
func (*arrived) Done() <-chan struct{}       { return nil }
func (*arrived) Err() error                  { return nil }
func (a *arrived) Value(key any) any         { return a.request.Value(key) }

func (g *guard) serve(w http.ResponseWriter, r *http.Request, next http.Handler) {
	if r.Context().Value(g) != nil {
		next.ServeHTTP(w, r)
		return
	}
	key, limited := g.Key(r)
	if !limited {
		next.ServeHTTP(w, r)
		return
	}
	cost := int64(1)
	if g.Cost != nil {
		if cost = g.Cost(r); cost < 0 {
			cost = 1
		}
	}
	p := &pass{Context: r.Context(), guard: g, arrived: arrived{r.Context()}}
	d, err := g.Store.TakeKey(&p.arrived, key, cost)
	if err != nil {
		if g.OnError != nil {
			g.OnError(r, err)
		}
		if !g.ServeOnError {
			problem(w, http.StatusServiceUnavailable, "temporary-reduced-capacity", "Limit unavailable", "")
			return
		}
	} else if !g.NoFields {
		g.addFields(w.Header(), d, p)
	}
	if err == nil && !d.OK {
		if d.Retryable {
			w.Header().Set("Retry-After", strconv.FormatInt(max(1, seconds(d.RetryAfter)), 10))
		}
		problem(w, http.StatusTooManyRequests, "quota-exceeded", "Quota exceeded", g.name)
		return
	}
	next.ServeHTTP(w, r.WithContext(p))
}
