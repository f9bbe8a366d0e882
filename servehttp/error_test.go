package servehttp_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/redoubt-go/redoubt/audit"
	"github.com/redoubt-go/redoubt/breaker"
	"github.com/redoubt-go/redoubt/cache"
	"github.com/redoubt-go/redoubt/ratelimit"
	"github.com/redoubt-go/redoubt/ratelimit/bulkhead"
	"github.com/redoubt-go/redoubt/retry"
	"github.com/redoubt-go/redoubt/retry/retryhttp"
	"github.com/redoubt-go/redoubt/retry/retrysql"
	"github.com/redoubt-go/redoubt/servehttp"
)

var (
	ctx  = context.Background()
	fail = func(err error) func(context.Context) error { return func(context.Context) error { return err } }
)

// open returns the refusal of a breaker that stays open for a minute.
func open() error {
	b := breaker.New(breaker.Config{Name: "billing", Jitter: -1})
	b.Trip(time.Minute, errors.New("secret host"))
	return b.Do(ctx, fail(nil))
}

// limited returns the refusal of a limit.
func limited(l ratelimit.Limit, n int64) error {
	lim := ratelimit.New(l)
	lim.AllowN(l.Burst)
	return lim.Take(n).Err()
}

func full(n int) error {
	b := bulkhead.New(bulkhead.Config{Limit: 1, MaxQueue: -1})
	b.TryAcquire()
	_, err := b.AcquireN(ctx, n)
	return err
}

// audited returns the error of a guard with a sink that fails with err.
func audited(err error, allow func(context.Context) error) error {
	log := audit.New(audit.Config{Sink: audit.SinkFunc(func(context.Context, []*audit.Event) error { return err })})
	g := audit.Guard{Log: log, Action: "refund", Allow: allow}
	return g.Do(audit.WithActor(ctx, audit.Actor{ID: "alice"}), fail(nil))
}

// unrecorded returns the error of work that was done and not recorded.
func unrecorded(cause error) error {
	n := 0
	log := audit.New(audit.Config{Sink: audit.SinkFunc(func(context.Context, []*audit.Event) error {
		if n++; n > 1 {
			return cause
		}
		return nil
	})})
	return audit.Guard{Log: log, Action: "refund"}.Do(audit.WithActor(ctx, audit.Actor{ID: "alice"}), fail(nil))
}

func invalid(value string) error {
	price := audit.Attribute[string]{Name: "price", Sensitive: true, Check: audit.Length(1, 4)}
	log := audit.New(audit.Config{Sink: audit.SinkFunc(func(context.Context, []*audit.Event) error { return nil }), AllowAnonymous: true})
	field := price.Of(log.Object("item", "anvil"))
	if value == "" {
		_, err := field.Get(ctx)
		return err
	}
	return field.Set(ctx, value)
}

func remembered(cause error) error {
	c := cache.New(cache.Config[string, int]{Capacity: 1, ErrorTTL: func(error) time.Duration { return time.Minute }})
	load := func(context.Context, string) (int, error) { return 0, cause }
	c.GetOrLoad(ctx, "k", load)
	_, err := c.GetOrLoad(ctx, "k", load)
	return err
}

func retried(p retry.Policy, err error) error {
	p.Backoff = retry.Constant(0)
	return p.Do(ctx, fail(err))
}

func done(cause error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	cancel(cause)
	return ratelimit.New(ratelimit.PerSecond(1)).Wait(ctx)
}

func denied(reason error) func(context.Context) error {
	return audit.Permission("refund", func(context.Context, audit.Actor, string) (bool, error) { return false, reason })
}

// TestStatus makes the errors by the guards that users call.
func TestStatus(t *testing.T) {
	type row struct {
		err    error
		status int
		after  time.Duration // rounded
	}
	for name, row := range map[string]row{
		"nothing known":             {io.ErrUnexpectedEOF, 500, 0},
		"a panic of a cache loader": {&cache.PanicError{Value: "x"}, 500, 0},

		"an open breaker":                 {open(), 503, time.Minute},
		"an open breaker behind a retry":  {retried(retry.Policy{}, open()), 503, time.Minute},
		"no retry of it here":             {retry.Permanent(open()), 503, time.Minute},
		"a throttle":                      {&breaker.ThrottleError{Name: "search"}, 503, 0},
		"a full bulkhead":                 {full(1), 503, 0},
		"more than a bulkhead":            {full(2), 503, 0},
		"a limit":                         {limited(ratelimit.PerMinute(1), 1), 429, time.Minute},
		"a limit in words of the program": {fmt.Errorf("create: %w", limited(ratelimit.PerMinute(1), 1)), 429, time.Minute},
		"more than a limit":               {limited(ratelimit.PerMinute(1), 2), 429, 0},
		"a remembered failure":            {remembered(io.ErrUnexpectedEOF), 503, time.Minute},
		"a remembered absence":            {remembered(cache.ErrNotFound), 404, 0},

		"absent":         {fmt.Errorf("user 7: %w", cache.ErrNotFound), 404, 0},
		"unset":          {invalid(""), 404, 0},
		"invalid":        {invalid("99999"), 422, 0},
		"a large body":   {&http.MaxBytesError{Limit: 1}, 413, 0},
		"no actor":       {audit.Guard{Log: audit.New(audit.Config{Sink: audit.JSON(io.Discard)}), Action: "refund"}.Do(ctx, fail(nil)), 401, 0},
		"denied":         {audited(nil, denied(nil)), 403, 0},
		"undecided":      {audited(nil, denied(errors.New("no answer"))), 503, 0},
		"denied, unseen": {audited(audit.ErrFailed, denied(nil)), 403, 0},
		"not recorded":   {audited(errors.New("disk full"), nil), 503, 0},
		"uncertain":      {audited(audit.ErrUncertain, nil), 503, 0},
		"done, unseen":   {unrecorded(errors.New("disk full")), 500, 0},
		"done, and late": {unrecorded(context.DeadlineExceeded), 500, 0},

		"exhausted":        {retried(retry.Policy{}, io.ErrUnexpectedEOF), 500, 0},
		"a budget":         {retried(retry.Policy{Budget: &retry.TokenBudget{Burst: -1, PerSecond: -1}}, io.EOF), 503, 0},
		"asked too long":   {retried(retry.Policy{}, retry.After(time.Hour, io.EOF)), 503, time.Hour},
		"a commit":         {&retrysql.CommitError{Err: io.EOF}, 500, 0},
		"a deadline":       {context.DeadlineExceeded, 504, 0},
		"a socket's":       {&net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}, 504, 0},
		"an ended wait":    {done(nil), 503, 0},
		"another server":   {retryhttp.Check(&http.Response{StatusCode: 404}), 502, 0},
		"no other server":  {&url.Error{Op: "Get", URL: "http://secret/", Err: &net.OpError{Op: "dial", Err: errors.New("refused")}}, 502, 0},
		"of the program":   {servehttp.WithStatus(409, open()), 409, 0},
		"deeper in a tree": {errors.Join(io.EOF, fmt.Errorf("x: %w", servehttp.WithStatus(http.StatusTeapot, io.EOF))), 418, 0},
		"limit to another": {servehttp.WithStatus(503, limited(ratelimit.PerMinute(1), 1)), 503, time.Minute},
	} {
		status, after := servehttp.Status(row.err)
		if status != row.status || after.Round(time.Second) != row.after {
			t.Errorf("%s: got %d, %v, want %d, %v (%v)", name, status, after, row.status, row.after, row.err)
		}
	}
}

func TestWithStatus(t *testing.T) {
	if err := servehttp.WithStatus(409, nil); err != nil {
		t.Errorf("got %v, want nil", err)
	}
	err := servehttp.WithStatus(409, io.EOF)
	if !errors.Is(err, io.EOF) || err.Error() != "EOF" {
		t.Errorf("got %v, want EOF", err)
	}
	for _, status := range []int{0, 200, 399, 600} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%d: no panic", status)
				}
			}()
			servehttp.WithStatus(status, io.EOF)
		}()
	}
}

// answer returns the response of a handler that fails.
func answer(t *testing.T, ctx context.Context, err error, header http.Header) (*http.Response, map[string]any) {
	t.Helper()
	w := httptest.NewRecorder()
	for key := range header {
		w.Header().Set(key, header.Get(key))
	}
	servehttp.Error(w, httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil), err)
	var doc map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &doc); err != nil {
		t.Fatalf("%q: %v", w.Body, err)
	}
	return w.Result(), doc
}

func TestError(t *testing.T) {
	resp, doc := answer(t, ctx, open(), http.Header{
		"Content-Length": {"7"}, "Etag": {`"x"`}, "Content-Type": {"text/plain"}, "Ratelimit": {"kept"},
	})
	want := map[string]any{
		"type":  "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity",
		"title": "Temporary reduced capacity", "status": 503.0,
	}
	if diff := cmp.Diff(want, doc); diff != "" || resp.StatusCode != 503 {
		t.Errorf("%d %s", resp.StatusCode, diff)
	}
	wantHeader := http.Header{
		"Cache-Control": {"no-store"}, "Content-Type": {"application/problem+json"}, "Ratelimit": {"kept"},
		"Retry-After": {"60"}, // rounded up, also after some nanoseconds
	}
	if diff := cmp.Diff(wantHeader, resp.Header); diff != "" {
		t.Error(diff)
	}
}

func TestErrorKeepsARetryAfterThatIsSet(t *testing.T) {
	resp, _ := answer(t, ctx, full(1), http.Header{"Retry-After": {"3"}})
	if got := resp.Header.Get("Retry-After"); got != "3" {
		t.Errorf("got %q, want 3", got)
	}
}

func TestErrorToAClientThatHasGone(t *testing.T) {
	gone, cancel := context.WithCancel(ctx)
	cancel()
	resp, doc := answer(t, gone, open(), nil)
	if resp.StatusCode != servehttp.StatusClientClosed || doc["title"] != "Client Closed Request" || resp.Header.Get("Retry-After") != "" {
		t.Errorf("got %d %v %v", resp.StatusCode, doc, resp.Header)
	}
	if resp, _ := answer(t, gone, servehttp.WithStatus(409, io.EOF), nil); resp.StatusCode != 409 {
		t.Errorf("got %d, want the status of the program", resp.StatusCode)
	}
	late, cancel := context.WithTimeout(ctx, -1)
	defer cancel()
	if resp, _ := answer(t, late, context.DeadlineExceeded, nil); resp.StatusCode != 504 {
		t.Errorf("got %d, want 504 after a deadline", resp.StatusCode)
	}
}

func TestErrorNamesTheFieldsToCorrect(t *testing.T) {
	_, doc := answer(t, ctx, errors.Join(invalid("99999"), fmt.Errorf("again: %w", invalid("88888"))), nil)
	field := map[string]any{"field": "price", "code": "invalid"}
	if diff := cmp.Diff([]any{field, field}, doc["errors"]); diff != "" {
		t.Error(diff)
	}
	var many []error
	for range 100 {
		many = append(many, invalid("99999"))
	}
	if _, doc := answer(t, ctx, errors.Join(many...), nil); len(doc["errors"].([]any)) != 32 {
		t.Errorf("got %d fields, want 32", len(doc["errors"].([]any)))
	}
}

// TestErrorRevealsNoText looks for the texts of errors in the whole response.
func TestErrorRevealsNoText(t *testing.T) {
	for _, err := range []error{
		open(), invalid("99999"), errors.New("secret"), servehttp.WithStatus(409, errors.New("secret")),
		&url.Error{Op: "Get", URL: "http://secret/", Err: io.EOF}, audited(errors.New("secret"), nil),
	} {
		w := httptest.NewRecorder()
		servehttp.Error(w, httptest.NewRequest(http.MethodGet, "/", nil), err)
		if got := w.Body.String() + fmt.Sprint(w.Header()); strings.Contains(got, "secret") || strings.Contains(got, "9999") {
			t.Errorf("%v: got %s", err, got)
		}
	}
}

// A refusal is a foreign error.
type refusal time.Duration

func (refusal) Error() string               { return "no" }
func (refusal) Rejected() bool              { return true }
func (r refusal) RetryAfter() time.Duration { return time.Duration(r) }

// An endless is an error whose tree is endless.
type endless struct{}

func (e endless) Error() string { return "endless" }
func (e endless) Unwrap() error { return e }

func TestHostileErrors(t *testing.T) {
	if status, _ := servehttp.Status(endless{}); status != 500 {
		t.Errorf("got %d, want 500", status)
	}
	if status, after := servehttp.Status(refusal(-1)); status != 503 || after != 0 {
		t.Errorf("got %d, %v, want 503 without a time", status, after)
	}
	if resp, doc := answer(t, ctx, errors.Join(audit.ErrInvalid, (*audit.FieldError)(nil)), nil); resp.StatusCode != 422 || doc["errors"] != nil {
		t.Errorf("got %d %v, want 422 without fields", resp.StatusCode, doc)
	}
	if status, _ := servehttp.Status(nil); status != 500 {
		t.Errorf("got %d, want 500 for a call without an error", status)
	}
}
