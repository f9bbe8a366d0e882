package audithttp

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"

	"github.com/redoubt-go/redoubt/audit"
)

// Config configures [Middleware]. Several goroutines may call its functions at
// the same time.
type Config struct {
	_ [0]func() // not comparable, so that fields can be added

	// Log records the events. Required.
	Log *audit.Log

	// Actor returns the actor of a request. If the result has no ID, the actor
	// of the context is used. Nil means the actor of the context.
	Actor func(*http.Request) audit.Actor

	// Action returns the action of a request. Nil means "http." and the method
	// in lower case, or "http.other" if the method is not a common method.
	Action func(*http.Request) audit.Action

	// Target returns the object of a request. Nil means the type "path" and the
	// path of the URL, without the query.
	Target func(*http.Request) audit.Target

	// Client returns the address of the client. Nil means the address of the
	// TCP peer.
	Client func(*http.Request) netip.Addr

	// RequestID returns the ID of a request. Nil means the ID of the context.
	RequestID func(*http.Request) string

	// Outcome returns the outcome and the code for a status. Nil means
	// [Outcome].
	Outcome func(status int) (audit.Outcome, audit.Code)

	// Skip serves a request without a record by returning true. Nil records
	// every request.
	Skip func(*http.Request) bool

	// OnError is called with the error of an outcome that was not recorded. It
	// is called after the response and must not block. It may be nil.
	OnError func(ctx context.Context, err error)
}

// Validate reports everything that is wrong with c. The error matches
// [audit.ErrInvalid].
func (c Config) Validate() error {
	if c.Log == nil {
		return &configError{"audithttp: Log is missing"}
	}
	return nil
}

type configError struct{ text string }

func (e *configError) Error() string        { return e.text }
func (e *configError) Is(target error) bool { return target == audit.ErrInvalid }

// Outcome returns the outcome of a response: Success for a status below 400,
// Denied for 401, 403, 407 and 451, otherwise Failure. The code of a failure is
// "http_" and the status.
func Outcome(status int) (audit.Outcome, audit.Code) {
	code := audit.Code("http_" + strconv.Itoa(status))
	switch {
	case status < 400:
		return audit.Success, ""
	case status == 401 || status == 403 || status == 407 || status == 451:
		return audit.Denied, code
	}
	return audit.Failure, code
}

// Middleware returns a function that wraps a handler. Each request leaves an
// event with the outcome Attempt before the handler runs, and an event with its
// outcome afterwards. The second event has the attributes attempt, the ID of
// the first, and status, which is 0 if no response began. If the handler
// panics, the code is "panic", and the panic continues. If the client has gone
// before the handler wrote anything, the code is "canceled".
//
// It panics with the error of [Config.Validate].
func Middleware(c Config) func(http.Handler) http.Handler {
	if err := c.Validate(); err != nil {
		panic(err)
	}
	if c.Action == nil {
		c.Action = methodAction
	}
	if c.Target == nil {
		c.Target = func(r *http.Request) audit.Target { return audit.Target{Type: "path", ID: r.URL.Path} }
	}
	if c.Client == nil {
		c.Client = peer
	}
	if c.Outcome == nil {
		c.Outcome = Outcome
	}
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if c.Skip != nil && c.Skip(r) {
				next.ServeHTTP(w, r)
				return
			}
			c.serve(w, r.WithContext(c.context(r)), next)
		})
	}
}

// context returns the context of the handler.
func (c *Config) context(r *http.Request) context.Context {
	ctx := r.Context()
	if c.Actor != nil {
		if a := c.Actor(r); a.ID != "" {
			ctx = audit.WithActor(ctx, a)
		}
	}
	if addr := c.Client(r); addr.IsValid() {
		ctx = audit.WithSource(ctx, addr.String())
	}
	if c.RequestID != nil {
		if id := c.RequestID(r); id != "" {
			ctx = audit.WithRequestID(ctx, id)
		}
	}
	return ctx
}

func (c *Config) serve(w http.ResponseWriter, r *http.Request, next http.Handler) {
	ctx := r.Context()
	e := audit.Event{ID: rand.Text(), Action: c.Action(r), Outcome: audit.Attempt, Target: c.Target(r)}
	err := c.Log.Record(ctx, e)
	if errors.Is(err, audit.ErrNoActor) {
		e.Outcome, e.Code = audit.Denied, "no_actor"
		if err = c.Log.Record(ctx, e); err == nil {
			problem(w, http.StatusUnauthorized, "Not authenticated")
			return
		}
	}
	if err != nil {
		w.Header().Set("Retry-After", "1")
		problem(w, http.StatusServiceUnavailable, "Request not recorded")
		return
	}
	rw := &response{ResponseWriter: w}
	done := false
	defer func() {
		attempt := e.ID
		e.ID, e.Outcome, e.Code = "", audit.Failure, "panic"
		switch {
		case !done:
		case rw.status == 0 && ctx.Err() != nil:
			e.Code = "canceled"
		default:
			rw.begin() // as net/http does
			e.Outcome, e.Code = c.Outcome(rw.status)
		}
		e.Attrs = []slog.Attr{slog.String("attempt", attempt), slog.Int("status", rw.status)}
		if err := c.Log.Record(context.WithoutCancel(ctx), e); err != nil && c.OnError != nil {
			c.OnError(ctx, err)
		}
	}()
	next.ServeHTTP(rw, r)
	done = true
}

// problem writes a problem document (RFC 9457). The title is plain text.
func problem(w http.ResponseWriter, status int, title string) {
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, `{"title":"`+title+`","status":`+strconv.Itoa(status)+"}\n")
}

// methods are the common methods. Other methods are texts of the client.
const methods = " GET HEAD POST PUT PATCH DELETE CONNECT OPTIONS TRACE "

func methodAction(r *http.Request) audit.Action {
	if !strings.Contains(methods, " "+r.Method+" ") {
		return "http.other"
	}
	return audit.Action("http." + strings.ToLower(r.Method))
}

func peer(r *http.Request) netip.Addr {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap().WithZone("")
}

// A response remembers the status.
type response struct {
	http.ResponseWriter
	status int // 0 before the header is written
}

// WriteHeader remembers the first final status.
func (w *response) WriteHeader(status int) {
	if w.status == 0 && (status >= 200 || status == http.StatusSwitchingProtocols) {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *response) Write(b []byte) (int, error) {
	w.begin()
	return w.ResponseWriter.Write(b)
}

// ReadFrom keeps the fast path of files to sockets.
func (w *response) ReadFrom(r io.Reader) (int64, error) {
	w.begin()
	return io.Copy(w.ResponseWriter, r)
}

// begin remembers that a body without a status means 200.
func (w *response) begin() {
	if w.status == 0 {
		w.status = http.StatusOK
	}
}

// Flush is for handlers that assert http.Flusher.
func (w *response) Flush() { _ = w.FlushError() }

// FlushError is for http.ResponseController.
func (w *response) FlushError() error {
	err := http.NewResponseController(w.ResponseWriter).Flush()
	if !errors.Is(err, http.ErrNotSupported) {
		w.begin()
	}
	return err
}

// Hijack is for handlers that assert http.Hijacker.
func (w *response) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err == nil && w.status == 0 {
		w.status = http.StatusSwitchingProtocols
	}
	return conn, rw, err
}

// Unwrap is for http.ResponseController.
func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }
