package debug

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redoubt-go/redoubt/audit"
)

// A Config describes a page.
type Config struct {
	// Name is the title of the page. Empty means "redoubt".
	Name string

	// Objects are the objects by the names under which the page shows them. An
	// object has a method Stats() that returns a struct. If "hosts" is a group,
	// no other name may begin with "hosts/".
	Objects map[string]any

	// Interval is the time between two looks at the objects, for each open
	// page. Zero means 1 second. It is at least 50ms.
	Interval time.Duration

	// MaxStreams is the number of open pages that change, at most. Zero means
	// 16. Negative means that pages do not change.
	MaxStreams int

	// Authorize returns the actor of a request that asks for a change, or an
	// error if the request may not change anything. The client does not see
	// the error. Nil means that no request may change anything, and the page
	// has no buttons.
	Authorize func(*http.Request, Action) (audit.Actor, error)

	// Audit records every change before it is made, and its outcome. It also
	// records the changes that Authorize refuses. It is required with
	// Authorize.
	Audit *audit.Log
}

// An Action is a change that a request asks for.
type Action struct {
	Object string // the name of the object, and behind a slash the key in a group
	Name   string // such as "force-open"
	Value  string // such as "100/s"; empty if the action has none
}

// Validate reports every problem of c.
func (c Config) Validate() error {
	var errs []error
	if c.Interval != 0 && c.Interval < shortest {
		errs = append(errs, fmt.Errorf("debug: Interval is %v, want at least %v", c.Interval, shortest))
	}
	if c.Authorize != nil && c.Audit == nil {
		errs = append(errs, errors.New("debug: Audit is missing, want a Log if Authorize is set"))
	}
	if c.Authorize == nil && c.Audit != nil {
		errs = append(errs, errors.New("debug: Authorize is missing, want a function if Audit is set"))
	}
	for _, name := range slices.Sorted(maps.Keys(c.Objects)) {
		if statsOf(c.Objects[name]) == nil {
			errs = append(errs, fmt.Errorf("debug: Objects[%q] is of type %T, want a value with a method Stats() that returns a struct", name, c.Objects[name]))
		}
		for i := range name {
			if _, ok := c.Objects[name[:i]].(group); ok && name[i] == '/' {
				errs = append(errs, fmt.Errorf("debug: Objects[%q] has the name of a breaker in the group Objects[%q]", name, name[:i]))
			}
		}
	}
	return errors.Join(errs...)
}

const shortest = 50 * time.Millisecond

func (c Config) withDefaults() Config {
	if c.Name == "" {
		c.Name = "redoubt"
	}
	if c.Interval == 0 {
		c.Interval = time.Second
	}
	if c.MaxStreams == 0 {
		c.MaxStreams = 16
	}
	c.Objects = maps.Clone(c.Objects)
	return c
}

// A Handler serves the page of a Config, at any path.
type Handler struct {
	config  atomic.Pointer[Config]
	streams atomic.Int64
	closed  context.Context
	close   context.CancelFunc
	csrf    *http.CrossOriginProtection
}

// New returns a Handler. It panics with the error of [Config.Validate].
func New(c Config) *Handler {
	h := &Handler{csrf: http.NewCrossOriginProtection()}
	h.closed, h.close = context.WithCancel(context.Background())
	if err := h.Set(c); err != nil {
		panic(err)
	}
	return h
}

// Set replaces the configuration. Open pages show the new objects at their next
// look.
//
// Errors: the error of [Config.Validate]; then nothing changes.
func (h *Handler) Set(c Config) error {
	if err := c.Validate(); err != nil {
		return err
	}
	c = c.withDefaults()
	h.config.Store(&c)
	return nil
}

// Config returns the configuration in force, with its defaults.
func (h *Handler) Config() Config {
	c := *h.config.Load()
	c.Objects = maps.Clone(c.Objects)
	return c
}

// Close ends all open streams. The page is still served, and does not change
// any more.
func (h *Handler) Close() { h.close() }

// ServeHTTP answers GET and HEAD with the page, as HTML, text or JSON, and POST
// with a change.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "same-origin") // no-referrer would hide the origin of a POST
	header.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	switch r.Method {
	case http.MethodGet, http.MethodHead:
	case http.MethodPost:
		h.change(w, r)
		return
	default:
		header.Set("Allow", "GET, HEAD, POST")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	c := h.config.Load()
	switch form := format(r); form {
	case "html":
		servePage(w, c)
	case "json":
		serveJSON(w, c)
	case "text":
		serveText(w, c)
	case "events":
		h.stream(w, r)
	default:
		http.Error(w, "unknown format, want html, json, text or events", http.StatusBadRequest)
	}
}

// format returns the form of the answer: the parameter "format", or the first
// of the known types in the Accept field. Without a known type it is text.
func format(r *http.Request) string {
	if form := r.URL.Query().Get("format"); form != "" {
		return form
	}
	for accepted := range strings.SplitSeq(r.Header.Get("Accept"), ",") {
		switch typ, _, _ := strings.Cut(accepted, ";"); strings.TrimSpace(typ) {
		case "text/html":
			return "html"
		case "application/json":
			return "json"
		case "text/plain":
			return "text"
		case "text/event-stream":
			return "events"
		}
	}
	return "text"
}
