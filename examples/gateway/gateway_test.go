package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redoubt-go/redoubt/audit"
)

// pipes is a network in memory: with it the servers, the clients and their time
// are inside a synctest bubble.
func pipes() network {
	var mu sync.Mutex
	open := map[string]*pipeListener{}
	return network{
		listen: func(_, address string) (net.Listener, error) {
			mu.Lock()
			defer mu.Unlock()
			if host, port, err := net.SplitHostPort(address); err != nil {
				return nil, err
			} else if port == "0" {
				address = net.JoinHostPort(host, strconv.Itoa(1001+len(open)))
			}
			if open[address] != nil {
				return nil, errors.New("address in use")
			}
			open[address] = &pipeListener{address: address, conns: make(chan net.Conn), closed: make(chan struct{})}
			return open[address], nil
		},
		dial: func(ctx context.Context, _, address string) (net.Conn, error) {
			mu.Lock()
			l := open[address]
			mu.Unlock()
			if l == nil {
				return nil, errors.New("nobody listens")
			}
			client, server := net.Pipe()
			select {
			case l.conns <- server:
				return client, nil
			case <-l.closed:
				return nil, errors.New("connection refused")
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		},
	}
}

type pipeListener struct {
	address string
	conns   chan net.Conn
	closed  chan struct{}
	once    sync.Once
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *pipeListener) Addr() net.Addr  { return l }
func (l *pipeListener) Network() string { return "pipe" }
func (l *pipeListener) String() string  { return l.address }

// The scenario in virtual time, to the last answer.
func TestScenario(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		if err := scenario(t.Context(), pipes(), &out); err != nil {
			t.Fatal(err)
		}
		story, record, _ := strings.Cut(out.String(), "\nThe audit log:\n")
		want := `A gateway on http://127.0.0.1:1004, before the upstreams prices and stock.

cache     3 x GET /prices/anvil: 3 x 200 OK; times the upstream was asked: 1
limit     25 requests of one client that may send 20 at once: 20 x 200 OK, then 5 x 429 Too Many Requests, retry after 1 s
bulkhead  8 slow reports at the same time, room for 4 and 2 that wait: 6 x 200 OK, then 2 x 503 Service Unavailable, retry after 1 s
breaker   prices is down; 10 x GET /prices/anvil: 10 x 200 OK, stale; times it was asked before it was left alone: 3
          GET /prices/hammer, of which there is no old answer: 503 Service Unavailable, retry after N s
guard     a stranger points prices to another host: 401 Unauthorized
guard     mallory, who may not either, does the same: 403 Forbidden
guard     alice, who may, mistypes the URL: 422 Unprocessable Entity
guard     alice points prices to its backup: 204 No Content
          GET /prices/anvil: 200 OK; times the backup was asked: 1
shutdown  a report was under way: 200 OK
`
		story = strings.NewReplacer("after 5 s", "after N s", "after 6 s", "after N s").Replace(story) // openings have jitter
		if story != want {
			t.Errorf("\n got %s\nwant %s", story, want)
		}
		if n := strings.Count(record, "\n"); n != 8 || strings.Contains(record, "evil") || !strings.Contains(record, `"new":"http://127.0.0.1:`) {
			t.Errorf("want 8 events, the new address among them and none that was refused: %d\n%s", n, record)
		}
	})
}

// What clients may send that the scenario does not.
func TestRequests(t *testing.T) {
	for _, tt := range []struct {
		name, method, path, user, body string
		sink                           audit.Sink
		want                           int
	}{
		{"unknown upstream", "GET", "/nothing/here", "web", "", nil, 404},
		{"unknown page", "GET", "/prices/unicorn", "web", "", nil, 404},
		{"other method", "POST", "/prices/anvil", "web", "", nil, 405},
		{"no path", "GET", "/", "", "", nil, 404},
		{"change of an unknown upstream", "PUT", "/admin/upstreams/nothing", "alice", "http://h", nil, 404},
		{"change to a file", "PUT", "/admin/upstreams/prices", "alice", "file:///etc/passwd", nil, 422},
		{"change without end", "PUT", "/admin/upstreams/prices", "alice", strings.Repeat("x", 1<<16), nil, 413},
		{"change that cannot be recorded", "PUT", "/admin/upstreams/prices", "alice", "http://h", audit.SinkFunc(
			func(context.Context, []*audit.Event) error { return errors.New("disk full") }), 503},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if tt.sink == nil {
					tt.sink = audit.JSON(io.Discard)
				}
				s, err := newStage(pipes(), "127.0.0.1:80", time.Second, tt.sink, slog.New(slog.DiscardHandler))
				if err != nil {
					t.Fatal(err)
				}
				defer s.close()
				got := s.ask(t.Context(), tt.method, tt.user, tt.path, tt.body)
				if want := http.StatusText(tt.want); !strings.HasSuffix(got, want) {
					t.Errorf("got %q, want %d %s", got, tt.want, want)
				}
			})
		})
	}
}

// A guess at a token is no way round the limit: all strangers from one address
// share one.
func TestStrangersShareALimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := newStage(pipes(), "127.0.0.1:80", time.Minute, audit.JSON(io.Discard), slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		defer s.close()
		var got string
		for range 21 {
			s.token["guess"] += "x"
			got = s.ask(t.Context(), http.MethodPut, "guess", "/admin/upstreams/prices", "http://h")
		}
		if !strings.HasPrefix(got, "429") {
			t.Errorf("the 21st guess got %q, want 429", got)
		}
	})
}

func TestServeUntilInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, interrupt := context.WithCancel(t.Context())
		net := pipes()
		var stderr strings.Builder
		ended := make(chan error, 1)
		go func() { ended <- serve(ctx, net, "127.0.0.1:80", io.Discard, &stderr) }()
		synctest.Wait()
		client := &http.Client{Transport: &http.Transport{DialContext: net.dial, DisableKeepAlives: true}}
		resp, err := client.Get("http://127.0.0.1:80/prices/anvil")
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if string(body) != "price of \"anvil\"\n" || err != nil || resp.Header.Get("RateLimit-Policy") != `"per-client";q=60;w=60` {
			t.Errorf("got %q, %v, %v", body, resp.Header, err)
		}
		interrupt()
		if err := <-ended; err != nil {
			t.Errorf("after Ctrl-C: %v", err)
		}
		if _, err := client.Get("http://127.0.0.1:80/prices/anvil"); err == nil {
			t.Error("still served after Ctrl-C")
		}
		if !strings.Contains(stderr.String(), "Authorization: Bearer ") {
			t.Errorf("no hint how to change the configuration:\n%s", &stderr)
		}
	})
}

func TestCommandLine(t *testing.T) {
	busy := httptest.NewServer(nil)
	defer busy.Close()
	for _, tt := range []struct {
		name   string
		args   []string
		status int
		want   string
	}{
		{"flag", []string{"-nothing"}, 2, "see -help"},
		{"argument", []string{"please"}, 2, `unexpected argument "please"`},
		{"address", []string{"-listen", "here"}, 1, "missing port"},
		{"busy port", []string{"-listen", busy.Listener.Addr().String()}, 1, "try another address"},
		{"port", []string{"-listen", "127.0.0.1:99999"}, 1, "invalid port"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var stdout, stderr strings.Builder
			status := run(t.Context(), tt.args, &stdout, &stderr)
			if got := stderr.String(); status != tt.status || !strings.Contains(got, tt.want) || strings.Count(got, "\n") != 1 {
				t.Errorf("status %d, want %d and one line with %q: %s", status, tt.status, tt.want, got)
			}
		})
	}
	var stdout, stderr strings.Builder
	if status := run(t.Context(), []string{"-help"}, &stdout, &stderr); status != 0 || !strings.Contains(stdout.String(), "-listen") {
		t.Errorf("-help: status %d, %s", status, &stdout)
	}
}

func TestInterruptedScenario(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("Ctrl-C"))
	var stdout, stderr strings.Builder
	if status := run(ctx, nil, &stdout, &stderr); status != 1 || stderr.String() != "gateway: Ctrl-C\n" {
		t.Errorf("status %d, want 1 and one line: %s", status, &stderr)
	}
}
