package siem_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redoubt-go/redoubt/audit"
	"github.com/redoubt-go/redoubt/audit/audittest"
	"github.com/redoubt-go/redoubt/audit/siem"
)

// A script answers requests, the last answer for all further requests.
type script struct {
	answers []answer
	bodies  []string
	header  http.Header
}

func (s *script) RoundTrip(r *http.Request) (*http.Response, error) {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	s.bodies, s.header = append(s.bodies, string(b)), r.Header
	answer := s.answers[min(len(s.bodies), len(s.answers))-1]
	status, header, text, err := answer(string(b))
	if err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(text)), Request: r}, nil
}

type answer func(body string) (status int, header http.Header, text string, err error)

func status(code int, header ...string) answer {
	h := http.Header{}
	for i := 0; i < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	return func(string) (int, http.Header, string, error) { return code, h, "hunter2", nil }
}

func text(s string) answer {
	return func(string) (int, http.Header, string, error) { return 200, nil, s, nil }
}

func broken(string) (int, http.Header, string, error) { return 0, nil, "", io.ErrUnexpectedEOF }

// brief encodes an event as its ID.
func brief(e *audit.Event, dst []byte) []byte { return fmt.Appendf(dst, "%q", e.ID) }

func TestHTTPTriesAgain(t *testing.T) {
	for _, c := range []struct {
		name     string
		answers  []answer
		requests int
		took     time.Duration // at least
		is       []error
		text     string
	}{
		{"accepted", []answer{status(204)}, 1, 0, nil, ""},
		{"one failure", []answer{status(503), status(200)}, 2, 0, nil, ""},
		{"connection lost", []answer{broken, broken, status(200)}, 3, 0, nil, ""},
		{"server says when", []answer{status(429, "Retry-After", "7"), status(200)}, 2, 7 * time.Second, nil, ""},
		{"server says too late", []answer{status(429, "Retry-After", "3600")}, 1, 0, []error{audit.ErrFailed}, "siem: http: event not recorded: status 429"},
		{"not allowed", []answer{status(401)}, 1, 0, []error{audit.ErrFailed}, `siem: http: event not recorded: status 401: "hunter2"`},
		{"redirected", []answer{status(307, "Location", "http://other/")}, 1, 0, []error{audit.ErrFailed}, `siem: http: event not recorded: status 307: "hunter2"`},
		{"down", []answer{status(503)}, 0, 20 * time.Second, []error{audit.ErrFailed}, "siem: http: event not recorded: status 503"},
		{"unsure", []answer{status(502), status(503)}, 0, 20 * time.Second, []error{audit.ErrUncertain}, "siem: http: event may or may not be recorded: status 503"},
		{"unreachable", []answer{broken}, 0, 20 * time.Second, []error{audit.ErrUncertain, io.ErrUnexpectedEOF}, "siem: http: event may or may not be recorded: unexpected EOF"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &script{}
				s.answers = append(s.answers, c.answers...)
				h := siem.NewHTTP(siem.HTTPConfig{
					URL: "https://siem.example/?key=secret", Format: siem.Array(brief), Header: http.Header{"X-Tenant": {"t"}},
					Authorization: audit.NewSecret("Splunk 123"),
					Client:        &http.Client{Transport: s, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
				})
				start := time.Now()
				err := h.WriteEvents(context.Background(), []*audit.Event{event("1"), event("2")})
				for _, want := range c.is {
					if !errors.Is(err, want) {
						t.Errorf("error %v does not match %v", err, want)
					}
				}
				if got := fmt.Sprint(err); c.is != nil && got != c.text || c.is == nil && err != nil {
					t.Errorf("error %s, want %s", got, c.text)
				}
				if c.requests > 0 && len(s.bodies) != c.requests || c.requests == 0 && (len(s.bodies) < 8 || len(s.bodies) > 20) {
					t.Errorf("%d requests, want %d", len(s.bodies), c.requests)
				}
				if d := time.Since(start); d < c.took || d > 30*time.Second {
					t.Errorf("took %v, want at least %v", d, c.took)
				}
				for _, b := range s.bodies {
					checkEqual(t, b, `["1","2"]`)
				}
				checkEqual(t, []string{s.header.Get("Authorization"), s.header.Get("Content-Type"), s.header.Get("X-Tenant")}, []string{"Splunk 123", "application/json", "t"})
				if got := fmt.Sprintf("%+v %#v", h, h); strings.Contains(got, "secret") || strings.Contains(got, "123") {
					t.Errorf("the sink prints %s", got)
				}
			})
		})
	}
}

// A batch that is too large, for the configuration or for the server, is split
// in order. A single event that is too large loses its attributes.
func TestHTTPSplitsBatches(t *testing.T) {
	var events []*audit.Event
	for i := range 9 {
		e := event(fmt.Sprint(i))
		e.Reason = strings.Repeat("x", 3000)
		events = append(events, e)
	}
	events[4].Attrs = []slog.Attr{slog.Group("g", slog.String("a", strings.Repeat("y", 4000)), slog.String("b", strings.Repeat("y", 4000)))}
	s := &script{answers: []answer{func(b string) (int, http.Header, string, error) {
		if strings.Count(b, "\n") > 1 {
			return http.StatusRequestEntityTooLarge, nil, "", nil
		}
		return 200, nil, "", nil
	}}}
	h := siem.NewHTTP(siem.HTTPConfig{URL: "https://x", Format: siem.NDJSON((*audit.Event).AppendJSON), MaxBody: 8 << 10, Client: &http.Client{Transport: s}})
	if err := h.WriteEvents(context.Background(), events); err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, b := range s.bodies {
		var e audit.Event
		if len(b) > 8<<10 {
			t.Errorf("a body of %d bytes", len(b))
		}
		if strings.Count(b, "\n") == 1 {
			if err := json.Unmarshal([]byte(b), &e); err != nil {
				t.Fatal(err)
			}
			if e.Truncated != (e.ID == "4") {
				t.Errorf("event %s: truncated %v", e.ID, e.Truncated)
			}
			ids = append(ids, e.ID)
		}
	}
	checkEqual(t, strings.Join(ids, ""), "012345678")
}

// Bulk sends again what the server could not store, takes a conflict as stored,
// and reports what the server refuses.
func TestBulk(t *testing.T) {
	item := func(status int) string {
		return fmt.Sprintf(`{"create":{"status":%d,"error":{"type":"cause"}}}`, status)
	}
	items := func(statuses ...int) answer {
		var list []string
		for _, s := range statuses {
			list = append(list, item(s))
		}
		return text(`{"errors":true,"items":[` + strings.Join(list, ",") + `]}`)
	}
	line := func(id string) string { return fmt.Sprintf("{\"create\":{\"_id\":%q}}\n%q\n", id, id) }
	for _, c := range []struct {
		name    string
		answers []answer
		bodies  []string
		is      error
		text    string
	}{
		{"stored", []answer{text(`{"errors":false}`)}, []string{line("1") + line("2") + line("3")}, nil, ""},
		{"again", []answer{items(201, 429, 503), items(409, 201)}, []string{line("1") + line("2") + line("3"), line("2") + line("3")}, nil, ""},
		{"refused", []answer{items(201, 400, 201)}, []string{line("1") + line("2") + line("3")}, audit.ErrUncertain, `siem: http: event may or may not be recorded: 1 of 3 documents refused: "cause"`},
		{"all refused", []answer{items(400, 400, 400)}, []string{line("1") + line("2") + line("3")}, audit.ErrFailed, `siem: http: event not recorded: 3 of 3 documents refused: "cause"`},
		{"another format", []answer{text(`ok`)}, []string{line("1") + line("2") + line("3")}, audit.ErrUncertain, "siem: http: event may or may not be recorded: response of another format than _bulk"},
		{"no answer of a bulk", []answer{text(`{"status":"ok"}`)}, []string{line("1") + line("2") + line("3")}, audit.ErrUncertain, "siem: http: event may or may not be recorded: response of another format than _bulk"},
		{"items of another kind", []answer{text(`{"errors":true,"items":[{},{"create":{}},{"index":{"status":201}}]}`)}, []string{line("1") + line("2") + line("3")}, audit.ErrFailed, `siem: http: event not recorded: 3 of 3 documents refused: ""`},
		{"too many items", []answer{text(`{"errors":false,"items":[{},{},{},{"create":{"status":429}}]}`)}, []string{line("1") + line("2") + line("3")}, audit.ErrUncertain, "siem: http: event may or may not be recorded: response of another format than _bulk"},
		{"items missing", []answer{items(201)}, []string{line("1") + line("2") + line("3")}, audit.ErrUncertain, "siem: http: event may or may not be recorded: response of another format than _bulk"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &script{}
				s.answers = append(s.answers, c.answers...)
				h := siem.NewHTTP(siem.HTTPConfig{URL: "https://x/_bulk", Format: siem.Bulk(brief), Client: &http.Client{Transport: s}})
				err := h.WriteEvents(context.Background(), []*audit.Event{event("1"), event("2"), event("3")})
				checkEqual(t, s.bodies, c.bodies)
				if !errors.Is(err, c.is) || err != nil && err.Error() != c.text {
					t.Errorf("error %v, want %s", err, c.text)
				}
			})
		})
	}
}

func TestOTLP(t *testing.T) {
	s := &script{answers: []answer{text(``), text(`{"partialSuccess":{"rejectedLogRecords":"1","errorMessage":"no"}}`), text(`<html>login</html>`)}}
	h := siem.NewHTTP(siem.HTTPConfig{URL: "https://x/v1/logs", Format: shop.OTLP(), Client: &http.Client{Transport: s}})
	e := full()
	e.Attrs = nil
	if err := h.WriteEvents(context.Background(), []*audit.Event{e}); err != nil {
		t.Fatal(err)
	}
	attr := func(k, v string) map[string]any {
		return map[string]any{"key": k, "value": map[string]any{"stringValue": v}}
	}
	var got any
	if err := json.Unmarshal([]byte(s.bodies[0]), &got); err != nil {
		t.Fatal(err)
	}
	checkEqual(t, got, any(map[string]any{"resourceLogs": []any{map[string]any{
		"resource": map[string]any{"attributes": []any{attr("service.name", "shop"), attr("service.version", "1.4")}},
		"scopeLogs": []any{map[string]any{"scope": map[string]any{"name": "github.com/redoubt-go/redoubt/audit"}, "logRecords": []any{map[string]any{
			"timeUnixNano": "1767323045006000000", "severityNumber": 13.0, "severityText": "WARN", "eventName": "order.refund",
			"body": map[string]any{"stringValue": string(e.AppendJSON(nil))},
			"attributes": []any{
				attr("audit.id", "e-1"), attr("audit.action", "order.refund"), attr("audit.outcome", "denied"), attr("audit.code", "denied"),
				attr("audit.target.type", "order"), attr("audit.target.id", "o-17"), attr("audit.actor.type", "user"), attr("audit.on_behalf_of", "bob"),
				attr("audit.request_id", "r-1"), attr("user.id", "alice"), attr("session.id", "s-1"), attr("client.address", "2001:db8::1"),
			},
		}}}},
	}}}))
	err := h.WriteEvents(context.Background(), []*audit.Event{e})
	if !errors.Is(err, audit.ErrUncertain) || !strings.HasSuffix(err.Error(), `"1" log records rejected: "no"`) {
		t.Errorf("error %v", err)
	}
	if err := h.WriteEvents(context.Background(), []*audit.Event{e}); !errors.Is(err, audit.ErrUncertain) {
		t.Errorf("error %v of a page that is no answer of a collector", err)
	}
}

// A store that recognizes IDs contains each event once, although the server
// fails often and at any moment.
func TestHTTPConforms(t *testing.T) {
	audittest.Run(t, func(t *testing.T) audittest.Subject {
		var mu sync.Mutex
		var stored []audit.Event
		seen := map[string]bool{}
		tries := map[string]int{}
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			fail := len(tries) % 3 // the first try of many batches fails
			if tries[string(body)]++; tries[string(body)] > 1 {
				fail = 2
			}
			if fail == 0 {
				w.WriteHeader(http.StatusServiceUnavailable)
				return
			}
			for line := range bytes.Lines(body) {
				var e audit.Event
				if err := json.Unmarshal(line, &e); err != nil {
					t.Error(err)
				}
				if !seen[e.ID] {
					seen[e.ID] = true
					stored = append(stored, e)
				}
			}
			if fail == 1 {
				panic(http.ErrAbortHandler) // stored, and the client does not know
			}
		}))
		server.Config.ErrorLog = nil
		t.Cleanup(server.Close)
		return audittest.Subject{
			Sink: siem.NewHTTP(siem.HTTPConfig{URL: server.URL, Format: siem.NDJSON((*audit.Event).AppendJSON)}),
			Stored: func() ([]audit.Event, error) {
				mu.Lock()
				defer mu.Unlock()
				return append([]audit.Event(nil), stored...), nil
			},
		}
	})
}

// A redirect could carry the events to another host.
func TestHTTPFollowsNoRedirects(t *testing.T) {
	var paths []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		paths = append(paths, r.URL.Path)
		if r.URL.Path == "/" {
			http.Redirect(w, r, "/other", http.StatusTemporaryRedirect)
		}
	}))
	h := siem.NewHTTP(siem.HTTPConfig{URL: server.URL, Format: siem.NDJSON(brief)})
	err := h.WriteEvents(context.Background(), []*audit.Event{event("1")})
	server.Close()
	if !errors.Is(err, audit.ErrFailed) || len(paths) != 1 {
		t.Errorf("error %v, paths %v", err, paths)
	}
}
