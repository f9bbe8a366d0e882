package audithttp_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/redoubt-go/redoubt/audit"
	"github.com/redoubt-go/redoubt/audit/audithttp"
)

// checkEqual reports how got differs from want.
func checkEqual(t *testing.T, got, want any) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

var errSink = errors.New("disk on fire")

// memory is a sink that fails from a given event on.
type memory struct {
	mu       sync.Mutex
	events   []audit.Event
	failFrom int // 0 means never
	calls    int
}

func (m *memory) WriteEvents(_ context.Context, events []*audit.Event) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.calls++; m.failFrom > 0 && m.calls >= m.failFrom {
		return errSink
	}
	for _, e := range events {
		m.events = append(m.events, *e)
	}
	return nil
}

// brief returns the events as texts.
func (m *memory) brief() (out []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range m.events {
		s := fmt.Sprint(e.Actor.ID, " ", e.Action, " ", e.Outcome, " ", e.Code)
		for _, a := range e.Attrs {
			if a.Key == "status" {
				s += " " + a.Value.String()
			}
		}
		out = append(out, strings.TrimSpace(s))
	}
	return out
}

func alice(*http.Request) audit.Actor { return audit.Actor{ID: "alice"} }

func TestOutcomes(t *testing.T) {
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		want    string
	}{
		"nothing written": {func(http.ResponseWriter, *http.Request) {}, "alice http.get success  200"},
		"body only":       {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "x") }, "alice http.get success  200"},
		"early hints":     {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(103); w.WriteHeader(302) }, "alice http.get success  302"},
		"twice":           {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404); w.WriteHeader(200) }, "alice http.get failure http_404 404"},
		"upgraded":        {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(101) }, "alice http.get success  101"},
		"forbidden":       {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(403) }, "alice http.get denied http_403 403"},
		"error":           {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }, "alice http.get failure http_500 500"},
		"copied":          {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.Copy(w, strings.NewReader("x")) }, "alice http.get success  200"},
		"flushed":         {func(w http.ResponseWriter, _ *http.Request) { w.(http.Flusher).Flush(); w.WriteHeader(500) }, "alice http.get success  200"},
	} {
		t.Run(name, func(t *testing.T) {
			m := &memory{}
			h := audithttp.Middleware(audithttp.Config{Log: audit.New(audit.Config{Sink: m}), Actor: alice})(c.handler)
			h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/x", nil))
			checkEqual(t, m.brief(), []string{"alice http.get attempt", c.want})
			if got := m.events[1].Attrs[0].Value.String(); got != m.events[0].ID || m.events[1].ID == got {
				t.Errorf("attempt %s, want %s", got, m.events[0].ID)
			}
		})
	}
}

// Without a record nothing is served, and the response says nothing about the
// log.
func TestFailsClosed(t *testing.T) {
	m := &memory{failFrom: 1}
	log := audit.New(audit.Config{Sink: m})
	served := 0
	next := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { served++; w.WriteHeader(201) })
	var lost []error
	c := audithttp.Config{Log: log, Actor: alice, OnError: func(_ context.Context, err error) { lost = append(lost, err) }}
	w := httptest.NewRecorder()
	audithttp.Middleware(c)(next).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	checkEqual(t, []any{w.Code, w.Body.String(), w.Header().Get("Retry-After"), served}, []any{503, `{"title":"Request not recorded","status":503}` + "\n", "1", 0})

	c.Actor = nil // and the denial cannot be recorded either
	w = httptest.NewRecorder()
	audithttp.Middleware(c)(next).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	checkEqual(t, []any{w.Code, served}, []any{503, 0})

	m.calls, m.failFrom, c.Actor = 0, 2, alice // only the outcome is lost
	w = httptest.NewRecorder()
	audithttp.Middleware(c)(next).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	if w.Code != 201 || served != 1 || len(lost) != 1 || !errors.Is(lost[0], errSink) {
		t.Errorf("status %d, served %d, errors %v", w.Code, served, lost)
	}

	m.failFrom = 0
	c.Action = func(*http.Request) audit.Action { return "not a name" }
	w = httptest.NewRecorder()
	audithttp.Middleware(c)(next).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	checkEqual(t, []any{w.Code, served}, []any{503, 1})
}

func TestPanicsAndGoneClients(t *testing.T) {
	m := &memory{}
	c := audithttp.Config{Log: audit.New(audit.Config{Sink: m}), Actor: alice}
	func() {
		defer func() {
			if r := recover(); r != http.ErrAbortHandler {
				t.Errorf("recovered %v", r)
			}
		}()
		h := audithttp.Middleware(c)(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
	}()
	ctx, cancel := context.WithCancel(context.Background())
	h := audithttp.Middleware(c)(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { cancel() }))
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil))
	checkEqual(t, m.brief(), []string{
		"alice http.get attempt", "alice http.get failure panic 0",
		"alice http.get attempt", "alice http.get failure canceled 0",
	})
}

// Texts of the client reach the log only where they belong: no body, query or
// header field, and no method as an action.
func TestOnlyThePathIsRecorded(t *testing.T) {
	var out bytes.Buffer
	log := audit.New(audit.Config{Sink: audit.JSON(&out)})
	h := audithttp.Middleware(audithttp.Config{
		Log: log, Actor: alice, RequestID: func(r *http.Request) string { return r.Header.Get("X-Request-Id") },
		Skip: func(r *http.Request) bool { return r.URL.Path == "/health" },
	})(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a, _ := audit.ActorFrom(r.Context())
		if r.URL.Path != "/health" {
			_ = log.Record(r.Context(), audit.Event{Action: "inner", Outcome: audit.Success, Reason: a.ID})
		}
		_, _ = io.Copy(w, r.Body)
	}))
	r := httptest.NewRequest("HUNTER", "/x?token=hunter2", strings.NewReader("hunter2"))
	r.Header.Set("Authorization", "hunter2")
	r.Header.Set("X-Request-Id", "r-1")
	r.RemoteAddr = "[::ffff:192.0.2.7]:99"
	h.ServeHTTP(httptest.NewRecorder(), r)
	if got := out.String(); strings.Contains(strings.ToLower(got), "hunter") || strings.Count(got, `"request_id":"r-1","source":"192.0.2.7"`) != 3 ||
		!strings.Contains(got, `"reason":"alice"`) || !strings.Contains(got, "http.other") {
		t.Errorf("recorded %s", got)
	}
	out.Reset()
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/health", nil))
	checkEqual(t, out.String(), "")
}

// A connection that a handler takes over leaves its events too.
func TestHijackedConnections(t *testing.T) {
	m := &memory{}
	done := make(chan struct{})
	h := audithttp.Middleware(audithttp.Config{Log: audit.New(audit.Config{Sink: m}), Actor: alice})(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\n\r\nhello")
		_ = conn.Close()
	}))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { defer close(done); h.ServeHTTP(w, r) }))
	defer server.Close()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	got, _ := io.ReadAll(conn)
	<-done
	if !strings.HasSuffix(string(got), "hello") {
		t.Errorf("client reads %q", got)
	}
	checkEqual(t, m.brief(), []string{"alice http.get attempt", "alice http.get success  101"})
}

func TestConfigIsChecked(t *testing.T) {
	err := audithttp.Config{}.Validate()
	if !errors.Is(err, audit.ErrInvalid) || err.Error() != "audithttp: Log is missing" {
		t.Errorf("error %v", err)
	}
	defer func() {
		if got, ok := recover().(error); !ok || got.Error() != err.Error() {
			t.Errorf("panic %v", got)
		}
	}()
	audithttp.Middleware(audithttp.Config{})
}

// plain hides the methods of a writer that can flush.
type plain struct{ http.ResponseWriter }

func TestFlushReportsErrors(t *testing.T) {
	m := &memory{}
	h := audithttp.Middleware(audithttp.Config{Log: audit.New(audit.Config{Sink: m}), Actor: alice})(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if err := http.NewResponseController(w).Flush(); !errors.Is(err, http.ErrNotSupported) {
			t.Errorf("error %v, want %v", err, http.ErrNotSupported)
		}
		w.WriteHeader(500)
	}))
	h.ServeHTTP(plain{httptest.NewRecorder()}, httptest.NewRequest(http.MethodGet, "/x", nil))
	checkEqual(t, m.brief(), []string{"alice http.get attempt", "alice http.get failure http_500 500"})
}
