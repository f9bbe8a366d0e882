package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redoubt-go/redoubt/audit"
)

// A shop is an upstream. It answers, counts its requests, and can be down.
type shop struct {
	name  string
	asked atomic.Int64
	down  atomic.Bool
}

// report is how long an upstream takes for a path below /report/.
const report = 100 * time.Millisecond

func (s *shop) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.asked.Add(1)
	switch {
	case s.down.Load():
		http.Error(w, "out of order", http.StatusServiceUnavailable)
	case r.URL.Path == "/unicorn":
		http.NotFound(w, r)
	default:
		if strings.HasPrefix(r.URL.Path, "/report/") {
			time.Sleep(report)
		}
		fmt.Fprintf(w, "%s of %q\n", s.name, r.URL.Path[1:])
	}
}

// A stage is a gateway between clients and two upstreams. The first upstream
// has a backup.
type stage struct {
	url, backupURL        string
	prices, backup, stock shop
	token                 map[string]string // by user
	client                *http.Client
	shutdown              []func() error
}

func newStage(n network, addr string, ttl time.Duration, sink audit.Sink, log *slog.Logger) (s *stage, err error) {
	transport := &http.Transport{DialContext: n.dial}
	s = &stage{
		prices: shop{name: "price"}, backup: shop{name: "price"}, stock: shop{name: "stock"},
		token: map[string]string{}, client: &http.Client{Transport: transport},
	}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	upstreams := map[string]string{}
	for name, shop := range map[string]*shop{"prices": &s.prices, "backup": &s.backup, "stock": &s.stock} {
		url, shutdown, err := n.start("127.0.0.1:0", shop)
		if err != nil {
			return s, err
		}
		upstreams[name], s.shutdown = url, append(s.shutdown, shutdown)
	}
	s.backupURL = upstreams["backup"]
	delete(upstreams, "backup")
	users := map[string]audit.Actor{}
	for _, id := range []string{"web", "batch", "reports", "alice", "mallory"} {
		s.token[id] = rand.Text() // new in each run
		users[s.token[id]] = audit.Actor{ID: id, Type: "user"}
	}
	g, err := newGateway(config{
		upstreams: upstreams, users: users, mayChange: []string{"alice"},
		ttl: ttl, transport: transport, sink: sink, log: log,
	})
	if err != nil {
		return s, err
	}
	url, shutdown, err := n.start(addr, g)
	if err != nil {
		return s, err
	}
	s.url, s.shutdown = url, append(s.shutdown, shutdown)
	return s, nil
}

// close shuts down in reverse order: the gateway before its upstreams.
func (s *stage) close() error {
	var errs []error
	for _, shutdown := range slices.Backward(s.shutdown) {
		s.client.CloseIdleConnections() // a server waits for connections that were never used
		errs = append(errs, shutdown())
	}
	return errors.Join(errs...)
}

// scenario plays a day with an outage in about a second, and prints the
// reaction of each guard.
func scenario(ctx context.Context, n network, w io.Writer) error {
	var record bytes.Buffer
	s, err := newStage(n, "127.0.0.1:0", 200*time.Millisecond, audit.JSON(&record), slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "A gateway on %s, before the upstreams prices and stock.\n\n", s.url)
	get := func(n int, user, path string) string { return s.inTurn(ctx, n, http.MethodGet, user, path, "") }
	for _, act := range []func(){func() {
		fmt.Fprintf(w, "cache     3 x GET /prices/anvil: %s; ", get(3, "web", "/prices/anvil"))
		fmt.Fprintf(w, "times the upstream was asked: %d\n", s.prices.asked.Load())
	}, func() {
		fmt.Fprintf(w, "limit     25 requests of one client that may send 20 at once: %s\n", get(25, "batch", "/stock/anvil"))
	}, func() {
		fmt.Fprintf(w, "bulkhead  8 slow reports at the same time, room for 4 and 2 that wait: %s\n", s.atOnce(ctx, 8, "reports", "/stock/report/%d"))
	}, func() {
		wait(ctx, 300*time.Millisecond) // until the cached price has expired
		s.prices.down.Store(true)
		before := s.prices.asked.Load()
		fmt.Fprintf(w, "breaker   prices is down; 10 x GET /prices/anvil: %s; ", get(10, "web", "/prices/anvil"))
		fmt.Fprintf(w, "times it was asked before it was left alone: %d\n", s.prices.asked.Load()-before)
		fmt.Fprintf(w, "          GET /prices/hammer, of which there is no old answer: %s\n", get(1, "web", "/prices/hammer"))
	}, func() {
		for _, step := range []struct{ what, who, to string }{
			{"a stranger points prices to another host", "", "http://evil.example"},
			{"mallory, who may not either, does the same", "mallory", "http://evil.example"},
			{"alice, who may, mistypes the URL", "alice", "127.0.0.1"},
			{"alice points prices to its backup", "alice", s.backupURL},
		} {
			fmt.Fprintf(w, "guard     %s: %s\n", step.what, s.inTurn(ctx, 1, http.MethodPut, step.who, "/admin/upstreams/prices", step.to))
		}
		fmt.Fprintf(w, "          GET /prices/anvil: %s; ", get(1, "web", "/prices/anvil"))
		fmt.Fprintf(w, "times the backup was asked: %d\n", s.backup.asked.Load())
	}, func() {
		var last string
		var underWay sync.WaitGroup
		underWay.Go(func() { last = s.atOnce(ctx, 1, "reports", "/stock/report/last-%d") })
		wait(ctx, report/2)
		err = s.close()
		underWay.Wait()
		fmt.Fprintf(w, "shutdown  a report was under way: %s\n\nThe audit log:\n%s", last, &record)
	}} {
		if act(); ctx.Err() != nil {
			return errors.Join(context.Cause(ctx), s.close())
		}
	}
	return err
}

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// inTurn sends n requests in turn and returns the answers.
func (s *stage) inTurn(ctx context.Context, n int, method, user, path, body string) string {
	var got []string
	for range n {
		got = append(got, s.ask(ctx, method, user, path, body))
	}
	return summary(got)
}

// atOnce requests n different pages at the same time and returns the answers.
func (s *stage) atOnce(ctx context.Context, n int, user, path string) string {
	got := make([]string, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { got[i] = s.ask(ctx, http.MethodGet, user, fmt.Sprintf(path, i), "") })
	}
	all.Wait()
	slices.Sort(got)
	return summary(got)
}

// ask sends a request and returns a summary of the answer.
func (s *stage) ask(ctx context.Context, method, user, path, body string) string {
	req, err := http.NewRequestWithContext(ctx, method, s.url+path, strings.NewReader(body))
	if err != nil {
		return err.Error()
	}
	if user != "" {
		req.Header.Set("Authorization", "Bearer "+s.token[user])
	}
	resp, err := s.client.Do(req)
	if ctx.Err() != nil {
		return "interrupted"
	}
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err.Error()
	}
	said := resp.Status
	if strings.Contains(resp.Header.Get("Cache-Status"), "ttl=-") {
		said += ", stale"
	}
	if after := resp.Header.Get("Retry-After"); after != "" {
		said += ", retry after " + after + " s"
	}
	return said
}

// summary counts equal answers in a row: "20 x 200 OK; 5 x 429 Too Many
// Requests".
func summary(got []string) string {
	var parts []string
	for i := 0; i < len(got); {
		n := 1
		for i+n < len(got) && got[i+n] == got[i] {
			n++
		}
		if i += n; len(got) > 1 {
			parts = append(parts, fmt.Sprintf("%d x %s", n, got[i-1]))
		} else {
			parts = append(parts, got[i-1])
		}
	}
	return strings.Join(parts, ", then ")
}
