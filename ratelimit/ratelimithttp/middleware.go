package ratelimithttp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/bits"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redoubt-go/redoubt/ratelimit"
)

// Config configures [Middleware].
type Config struct {
	// Store takes the events of each key; required. See ratelimit.Local.
	Store ratelimit.Store
	// Key returns what a request is counted under, or false for one that is not limited; required. See [ByIP].
	Key func(*http.Request) (key string, limited bool)
	// Cost returns how many events a request counts as; a negative number counts as 0. It must not read the body.
	// Default 1.
	Cost func(*http.Request) int64
	// Policy names the limit in the fields RateLimit and RateLimit-Policy, and in problem documents: printable ASCII,
	// at most 64 bytes. Default "default".
	Policy string
	// NoFields leaves these two fields out.
	NoFields bool
	// FailClosed refuses requests with status 503 when Store returns an error. Default: they are served.
	FailClosed bool
	// OnError is told of errors of Store. It may be nil. It must not block.
	OnError func(*http.Request, error)
}

// Validate returns everything that is wrong with c, joined.
func (c Config) Validate() error {
	var errs []error
	if c.Store == nil {
		errs = append(errs, errors.New("ratelimithttp: Store is missing"))
	}
	if c.Key == nil {
		errs = append(errs, errors.New("ratelimithttp: Key is missing"))
	}
	printable := func(r rune) bool { return r >= ' ' && r <= '~' }
	if len(c.Policy) > 64 || strings.ContainsFunc(c.Policy, func(r rune) bool { return !printable(r) }) {
		errs = append(errs, fmt.Errorf("ratelimithttp: Policy %q is not printable ASCII of at most 64 bytes", c.Policy[:min(len(c.Policy), 64)]))
	}
	return errors.Join(errs...)
}

// Middleware returns a function that limits a handler. Requests over the limit are answered with status 429, without a
// call of the handler. The fields of the limit are added to those that are there. A request that passes the same
// Middleware twice is counted once; its body is not touched, and the ResponseWriter is passed on as it is. Middleware
// panics with the error of [Config.Validate] if there is one.
func Middleware(c Config) func(http.Handler) http.Handler {
	if err := c.Validate(); err != nil {
		panic(err)
	}
	if c.Policy == "" {
		c.Policy = "default"
	}
	g := &guard{Config: c, name: quote(c.Policy)}
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { g.serve(w, r, next) })
	}
}

// A guard is what one call of Middleware made.
type guard struct {
	Config
	name   string                 // quoted
	policy atomic.Pointer[policy] // the field of the last decision, which the next mostly shares
}

// A policy is the field RateLimit-Policy of a limit.
type policy struct {
	limit ratelimit.Limit
	field [1]string
}

// A pass is the context of a request that guard has counted, and has room for its field RateLimit, to allocate once.
type pass struct {
	context.Context
	guard *guard
	field [1]string
}

// Value returns itself for its guard.
func (p *pass) Value(key any) any {
	if key == p.guard {
		return p
	}
	return p.Context.Value(key)
}

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
		cost = max(0, g.Cost(r))
	}
	d, err := g.Store.TakeKey(r.Context(), key, cost)
	p := &pass{Context: r.Context(), guard: g}
	switch {
	case err != nil:
		if g.OnError != nil {
			g.OnError(r, err)
		}
		if g.FailClosed {
			problem(w, http.StatusServiceUnavailable, "temporary-reduced-capacity", "Limit unavailable", "")
			return
		}
	case !g.NoFields:
		g.addFields(w.Header(), d, p)
	}
	if err == nil && !d.OK {
		if d.RetryAfter != ratelimit.Never {
			w.Header().Set("Retry-After", strconv.FormatInt(max(1, seconds(d.RetryAfter)), 10))
		}
		problem(w, http.StatusTooManyRequests, "quota-exceeded", "Quota exceeded", g.name)
		return
	}
	next.ServeHTTP(w, r.WithContext(p))
}

func (g *guard) addFields(h http.Header, d ratelimit.Decision, p *pass) {
	add := func(name string, field *[1]string) {
		if h[name] == nil {
			h[name] = field[:] // full, so that an append copies it
			return
		}
		h[name] = append(h[name], field[0])
	}
	add("Ratelimit-Policy", &g.policyOf(d.Limit).field)
	var buf [128]byte
	text := append(append(buf[:0], g.name...), ";r="...)
	text = strconv.AppendInt(text, min(d.Remaining, maxInteger), 10)
	t := d.ResetAfter
	if !d.OK {
		t = d.RetryAfter // the same instant as Retry-After
	}
	if t != ratelimit.Never {
		text = strconv.AppendInt(append(text, ";t="...), seconds(t), 10)
	}
	p.field[0] = string(text)
	add("Ratelimit", &p.field)
}

func (g *guard) policyOf(l ratelimit.Limit) *policy {
	if p := g.policy.Load(); p != nil && p.limit == l {
		return p
	}
	q, w := quota(l)
	p := &policy{limit: l, field: [1]string{fmt.Sprintf("%s;q=%d;w=%d", g.name, q, w)}}
	g.policy.Store(p)
	return p
}

// maxInteger is the largest integer of a structured field.
const maxInteger = 999_999_999_999_999

// quota returns the events and the whole seconds, at least one, of a policy that allows no more than l does.
func quota(l ratelimit.Limit) (q, w int64) {
	if l.Per <= 0 {
		return 0, 1
	}
	w = max(1, seconds(l.Per))
	ns := uint64(w) * 1e9 // below 2^64: w exceeds Per by less than a second
	hi, lo := bits.Mul64(uint64(max(l.N, 0)), ns)
	if hi >= uint64(l.Per) {
		return maxInteger, w
	}
	v, _ := bits.Div64(hi, lo, uint64(l.Per))
	return int64(min(v, maxInteger)), w
}

// seconds returns d in seconds, rounded up.
func seconds(d time.Duration) int64 {
	s := int64(d / time.Second)
	if d%time.Second > 0 {
		s++
	}
	return s
}

// quote returns the structured field String of printable ASCII.
func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// problem answers with a document of RFC 9457. The policy is quoted, which is the same in JSON, or empty.
func problem(w http.ResponseWriter, status int, kind, title, policy string) {
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	violated := ""
	if policy != "" {
		violated = `,"violated-policies":[` + policy + `]`
	}
	_, _ = io.WriteString(w, `{"type":"https://iana.org/assignments/http-problem-types#`+kind+`","title":"`+title+
		`","status":`+strconv.Itoa(status)+violated+"}\n") // nobody to tell of an error
}

// Concurrency returns a function that lets a handler serve what g lets in, usually a *bulkhead.Bulkhead. A request that
// is not let in is answered with status 503 and Retry-After: 1. When a handler panics, its place is given back.
func Concurrency(g interface {
	Do(ctx context.Context, fn func(context.Context) error) error
},
) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			entered := false
			_ = g.Do(r.Context(), func(ctx context.Context) error {
				entered = true
				next.ServeHTTP(w, r)
				return ctx.Err() // a client that has gone says nothing about the server
			})
			if !entered {
				w.Header().Set("Retry-After", "1")
				problem(w, http.StatusServiceUnavailable, "temporary-reduced-capacity", "Too many requests at once", "")
			}
		})
	}
}

// A Quota is what a server says about one of its limits.
type Quota struct {
	Name      string        // of the policy
	Limit     int64         // events in Window; -1 if not said
	Window    time.Duration // whole seconds; 0 if not said
	Remaining int64         // events left; -1 if not said
	Reset     time.Duration // whole seconds until there are more; -1 if not said
}

// duration returns s seconds, cut to what a Duration can hold.
func duration(s int64) time.Duration {
	return time.Duration(min(s, math.MaxInt64/int64(time.Second))) * time.Second
}
