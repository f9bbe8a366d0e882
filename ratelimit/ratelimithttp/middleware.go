package ratelimithttp

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redoubt-go/redoubt/internal/quote"
	"github.com/redoubt-go/redoubt/ratelimit"
)

// Config configures [Middleware].
type Config struct {
	// Name names the limit in events: at most 64 bytes of printable ASCII. If
	// Store has a single limit, and that limit has no name, it also names the
	// limit in fields and in problem documents. Zero means "default".
	Name string
	// Store takes the events of each key; required. See [ratelimit.Local]. If
	// it has a method LimitsOf(key string) []ratelimit.Limit, or a method
	// Limits() []ratelimit.Limit, RateLimit-Policy contains all of these
	// limits, and otherwise the limit that decided.
	Store ratelimit.Store
	// Key returns the key that a request is counted under, and reports whether
	// the request is limited at all; required. See [ByIP].
	Key func(*http.Request) (key string, limited bool)
	// Cost returns the number of events that a request counts as. It must not
	// read the body. A negative number counts as 1. Nil means 1.
	Cost func(*http.Request) int64
	// Refuse answers a request that is not served. Retry-After and the fields
	// RateLimit and RateLimit-Policy are set. The error is a
	// *[ratelimit.LimitedError], or the error of Store. Nil means [WriteError].
	Refuse func(http.ResponseWriter, *http.Request, error)
	// NoFields leaves out RateLimit and RateLimit-Policy.
	NoFields bool
	// ServeOnError serves requests when Store returns an error. By default they
	// are refused with status 503. A request whose client has gone is refused
	// in any case.
	ServeOnError bool

	// OnEvent is called with refused requests and errors of Store.
	// OnEvent may be nil. It is called synchronously, outside locks, after the
	// change that the event reports, in the order of the changes. It may call
	// back into this package and must not block.
	OnEvent func(context.Context, Event)
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
	if len(c.Name) > maxName || strings.ContainsFunc(c.Name, unprintable) {
		errs = append(errs, fmt.Errorf("ratelimithttp: Name is %s, want at most 64 bytes of printable ASCII", quote.Text(c.Name)))
	}
	return errors.Join(errs...)
}

// Middleware returns a function that limits a handler. It answers requests over
// the limit with status 429 and does not call the handler. A request counts
// when it arrives, even if the client cancels it immediately. Middleware does
// not read the body, passes the ResponseWriter through, and adds its fields to
// existing fields. It panics with the error of [Config.Validate], if any.
//
// A request that passes the same Middleware again, while its handler runs,
// counts once. A request that a handler makes and dispatches in the process
// counts, even with the context of a counted request. A copy with the same
// Header does not, since it is the same request.
func Middleware(c Config) func(http.Handler) http.Handler {
	if err := c.Validate(); err != nil {
		panic(err)
	}
	if c.Name == "" {
		c.Name = defaultName
	}
	g := &guard{Config: c}
	switch s := c.Store.(type) {
	case interface {
		LimitsOf(key string) []ratelimit.Limit
	}:
		g.limitsOf = s.LimitsOf
	case interface{ Limits() []ratelimit.Limit }:
		g.limitsOf = func(string) []ratelimit.Limit { return s.Limits() }
	}
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { g.serve(w, r, next) })
	}
}

// A guard is the state of one call of Middleware.
type guard struct {
	Config
	limitsOf func(key string) []ratelimit.Limit // nil if the Store does not know
	fields   [8]atomic.Pointer[fields]          // of recent decisions, which mostly fit the next
	running  [64]running
}

// A running is a part of the requests that were counted and whose handlers run.
// A request is identified by its header: the same map in copies of the request,
// which handlers such as http.StripPrefix make, and another map in other
// requests.
type running struct {
	mu       sync.Mutex
	requests map[uintptr]struct{}
	_        [48]byte
}

// enter adds a request with a header, and reports whether it was absent.
func (g *guard) enter(h http.Header) bool {
	s, id := g.part(h)
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.requests[id]; ok {
		return false
	}
	if s.requests == nil {
		s.requests = make(map[uintptr]struct{})
	}
	s.requests[id] = struct{}{}
	return true
}

func (g *guard) leave(h http.Header) {
	s, id := g.part(h)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.requests, id)
}

func (g *guard) part(h http.Header) (*running, uintptr) {
	id := reflect.ValueOf(h).Pointer()
	return &g.running[uint64(id)*0x9e3779b97f4a7c15>>58], id
}

// A pass is the memory for the values of a counted request, to allocate them
// together.
type pass struct {
	arrived arrived
	fields  [2]string // the lines of RateLimit-Policy and RateLimit
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
	key, limited := g.Key(r)
	if h := r.Header; limited && h != nil {
		if limited = g.enter(h); limited { // otherwise it is counted already
			defer g.leave(h)
		}
	}
	if !limited || g.admit(w, r, key) {
		next.ServeHTTP(w, r)
	}
}

// admit counts a request, and reports whether it is served. Otherwise it has
// been answered.
func (g *guard) admit(w http.ResponseWriter, r *http.Request, key string) bool {
	cost := int64(1)
	if g.Cost != nil {
		if cost = g.Cost(r); cost < 0 {
			cost = 1
		}
	}
	p := &pass{arrived: arrived{r.Context()}}
	d, err := g.Store.TakeKey(&p.arrived, key, cost)
	if err != nil {
		g.report(r, KindFailed, err)
		if g.ServeOnError && r.Context().Err() == nil { // otherwise the error may come from the context
			return true
		}
		refuse(w, r, err, g.Refuse)
		return false
	}
	if !g.NoFields {
		f := g.fieldsOf(key, d.Limit)
		p.add(w.Header(), "Ratelimit-Policy", 0, f.policy)
		p.add(w.Header(), "Ratelimit", 1, f.state(d))
	}
	if !d.OK {
		d.Limit.Name = g.fieldsOf(key, d.Limit).name
		err := d.Err()
		g.report(r, KindRefused, err)
		refuse(w, r, err, g.Refuse)
	}
	return d.OK
}

func (g *guard) report(r *http.Request, kind Kind, err error) {
	if g.OnEvent != nil {
		g.OnEvent(r.Context(), Event{Kind: kind, Name: g.Name, Request: r, Err: err})
	}
}

// add adds a line to a field of h, in memory of p if it is the first.
func (p *pass) add(h http.Header, name string, i int, line string) {
	if line == "" {
		return
	}
	if h[name] != nil {
		h[name] = append(h[name], line)
		return
	}
	p.fields[i] = line
	h[name] = p.fields[i : i+1 : i+1]
}

// fieldsOf returns the fields of a limit that decided for a key.
func (g *guard) fieldsOf(key string, l ratelimit.Limit) *fields {
	var limits []ratelimit.Limit
	if g.limitsOf != nil {
		limits = g.limitsOf(key)
	}
	slot := &g.fields[uint64(l.N*31+int64(l.Per)+int64(len(l.Name)))%uint64(len(g.fields))]
	if f := slot.Load(); f != nil && f.limit == l && slices.Equal(f.limits, limits) {
		return f
	}
	f := newFields(l, limits, g.Name)
	slot.Store(f)
	return f
}
