package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redoubt-go/redoubt/audit"
	"github.com/redoubt-go/redoubt/breaker"
	"github.com/redoubt-go/redoubt/breaker/breakerhttp"
	"github.com/redoubt-go/redoubt/cache"
	"github.com/redoubt-go/redoubt/ratelimit"
	"github.com/redoubt-go/redoubt/ratelimit/bulkhead"
	"github.com/redoubt-go/redoubt/ratelimit/ratelimithttp"
	"github.com/redoubt-go/redoubt/retry/retryhttp"
	"github.com/redoubt-go/redoubt/servehttp"
)

// The bounds of the gateway.
const (
	maxAnswer = 1 << 20     // bytes of an answer
	maxCached = 64 << 20    // bytes of all cached answers
	slow      = time.Second // a call that takes longer is a failure
)

// The URL of an upstream can be changed while the gateway runs. Changes are
// audited, reads are not.
var baseURL = audit.Attribute[string]{Name: "url", Check: checkURL, QuietRead: true}

func checkURL(s string) error {
	if u, err := url.Parse(s); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return errors.New("must be a URL such as http://127.0.0.1:9000")
	}
	return nil
}

type config struct {
	upstreams map[string]string      // URL by name
	users     map[string]audit.Actor // by token
	mayChange []string               // IDs of the users who may change upstreams
	ttl       time.Duration          // how long an answer is fresh
	transport http.RoundTripper      // to the upstreams
	sink      audit.Sink             // records changes
	log       *slog.Logger           // for openings of breakers
}

// A gateway is an http.Handler with its guards.
type gateway struct {
	http.Handler
	config
	tokens    map[[sha256.Size]byte]audit.Actor // users by the hash of their token, so that the time of a lookup reveals nothing
	upstreams map[string]audit.Field[string]
	client    *http.Client
	answers   *cache.Memo[page, answer]
	audit     *audit.Log
}

// A page is a request to an upstream, and the key of the cache.
type page struct{ upstream, path string }

type answer struct {
	contentType string
	body        []byte
	fetched     time.Time
}

func newGateway(c config) (*gateway, error) {
	g := &gateway{config: c, tokens: map[[sha256.Size]byte]audit.Actor{}, upstreams: map[string]audit.Field[string]{}}
	// Unknown users may not change anything, but their attempts are recorded.
	g.audit = audit.New(audit.Config{Sink: c.sink, AllowAnonymous: true})
	for name, u := range c.upstreams {
		field, err := baseURL.Load(g.audit.Object("upstream", name), u)
		if err != nil {
			return nil, err
		}
		g.upstreams[name] = field
	}
	for token, actor := range c.users {
		g.tokens[sha256.Sum256([]byte(token))] = actor
	}
	perHost := breaker.NewGroup(breaker.GroupConfig[string]{Config: func(host string) breaker.Config {
		return breaker.Config{Name: host, Consecutive: 3, SlowCall: slow, OnEvent: func(ctx context.Context, e breaker.Event) {
			c.log.WarnContext(ctx, "breaker", "upstream", host, "from", e.From.String(), "to", e.To.String(), "reason", e.Reason)
		}}
	}})
	g.client = &http.Client{
		Transport: &breakerhttp.Transport{Base: c.transport, Gate: breakerhttp.PerHost(perHost)},
		Timeout:   3 * slow,
		// A redirect of an upstream is not followed.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	g.answers = cache.Memoize(cache.Config[page, answer]{
		MaxWeight:    maxCached,
		Weigh:        func(p page, a answer) uint32 { return uint32(len(p.path) + len(a.body) + 256) }, // 256: the entry itself
		TTL:          c.ttl,
		StaleIfError: time.Hour, // an old answer is better than no answer
	}, g.fetch)
	g.Handler = g.routes()
	return g, nil
}

// routes puts the guards in order: identity, rate limit, bulkhead. The cheapest
// refusal comes first.
func (g *gateway) routes() http.Handler {
	byIP := ratelimithttp.ByIP(ratelimithttp.ClientIP())
	limit := ratelimithttp.Middleware(ratelimithttp.Config{
		Name:  "per-client",
		Store: ratelimit.Local(ratelimit.NewKeyed[string](ratelimit.KeyedConfig{Limit: ratelimit.PerMinute(60).WithBurst(20)})),
		Key: func(r *http.Request) (string, bool) { // a proved name, otherwise the address
			if actor, ok := audit.ActorFrom(r.Context()); ok {
				return "user " + actor.ID, true
			}
			return byIP(r)
		},
	})
	places := bulkhead.New(bulkhead.Config{Name: "gateway", Limit: 4, MaxQueue: 2, MaxWait: slow})
	room := ratelimithttp.Concurrency(ratelimithttp.ConcurrencyConfig{
		Acquire: func(r *http.Request) (ratelimithttp.Permit, error) { return places.Acquire(r.Context()) },
	})

	mux := http.NewServeMux()
	mux.Handle("GET /{upstream}/{path...}", limit(room(http.HandlerFunc(g.get))))
	mux.Handle("PUT /admin/upstreams/{upstream}", limit(http.HandlerFunc(g.change)))
	return g.identify(mux)
}

// identify adds the user of the token to the context of the request, if any.
func (g *gateway) identify(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if actor, ok := g.tokens[sha256.Sum256([]byte(token))]; ok {
			r = r.WithContext(audit.WithActor(r.Context(), actor))
		}
		next.ServeHTTP(w, r)
	})
}

// get answers from the cache, which asks the upstream on a miss.
func (g *gateway) get(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("upstream")
	a, err := g.answers.Get(r.Context(), page{name, strings.TrimPrefix(r.URL.RequestURI(), "/"+name)})
	if err != nil {
		servehttp.Error(w, r, err) // without the error, which contains internal host names
		return
	}
	age := time.Since(a.fetched)
	w.Header().Set("Content-Type", a.contentType)
	w.Header().Set("Age", strconv.Itoa(int(age.Seconds())))
	w.Header().Set("Cache-Status", fmt.Sprintf("gateway; ttl=%.0f", math.Floor((g.ttl-age).Seconds()))) // RFC 9211: negative means stale
	w.Write(a.body)
}

// fetch is the loader of the cache. It asks the upstream through its breaker.
func (g *gateway) fetch(ctx context.Context, p page) (answer, error) {
	url, ok := g.upstreams[p.upstream]
	if !ok {
		return answer{}, cache.ErrNotFound
	}
	base, err := url.Get(ctx)
	if err != nil {
		return answer{}, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+p.path, nil)
	if err != nil {
		return answer{}, err
	}
	resp, err := g.client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
		body, err := io.ReadAll(http.MaxBytesReader(nil, resp.Body, maxAnswer))
		return answer{resp.Header.Get("Content-Type"), body, time.Now()}, err
	case http.StatusNotFound:
		return answer{}, cache.ErrNotFound // an answer and no failure: the cache serves no stale value
	default:
		return answer{}, retryhttp.Check(resp)
	}
}

// change sets the URL of an upstream, if the actor has the permission and the
// event is recorded.
func (g *gateway) change(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("upstream")
	to, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 2048))
	if err != nil {
		http.Error(w, "no more than 2048 bytes", http.StatusRequestEntityTooLarge)
		return
	}
	guard := audit.Guard{
		Log: g.audit, Action: "upstream.change", Target: audit.Target{Type: "upstream", ID: name},
		Allow: audit.Permission("upstream.change", func(_ context.Context, a audit.Actor, _ string) (bool, error) {
			return slices.Contains(g.mayChange, a.ID), nil
		}),
	}
	err = guard.Do(r.Context(), func(ctx context.Context) error {
		url, ok := g.upstreams[name]
		if !ok {
			return cache.ErrNotFound
		}
		return url.Set(ctx, string(to))
	})
	if err != nil {
		servehttp.Error(w, r, err) // without the error, which contains internal host names
		return
	}
	w.WriteHeader(http.StatusNoContent)
}
