package natstest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// A Cluster is a set of servers with fixed routes between them.
type Cluster struct {
	Servers []*Server // in the order of their numbers

	t      testing.TB
	routes map[[2]int]*Proxy // from a server to another, if the cluster is proxied
}

// StartCluster starts n servers that form a cluster, and returns when streams
// of n replicas can be created. The servers are killed at the end of the test.
func StartCluster(t testing.TB, n int, config Config) *Cluster {
	t.Helper()
	return start(t, config, n)
}

// attempts are more than one because another process may take a free port.
const attempts = 5

func start(t testing.TB, config Config, n int) *Cluster {
	t.Helper()
	if err := config.Validate(); err != nil {
		t.Fatal(err)
	}
	if config.Program == "" {
		config.Program = Program(t)
	}
	dir := t.TempDir()
	for try := range attempts {
		c := &Cluster{t: t}
		if config.Proxied {
			c.routes = map[[2]int]*Proxy{}
		}
		c.launch(n, config, filepath.Join(dir, fmt.Sprint(try)))
		err := c.wait(n)
		if err == nil {
			t.Cleanup(c.killAll)
			return c
		}
		t.Logf("natstest: %v", err)
		c.killAll()
	}
	t.Fatal("natstest: no servers")
	return nil
}

func (c *Cluster) launch(n int, config Config, dir string) {
	c.t.Helper()
	addrs := make([]string, n)
	for i := range addrs {
		addrs[i] = freeAddr(c.t)
	}
	for i := range n {
		s := &Server{Name: fmt.Sprintf("s%d", i), Addr: freeAddr(c.t), t: c.t, config: config, dir: filepath.Join(dir, fmt.Sprint(i))}
		if n > 1 {
			s.cluster = c.block(i, addrs)
		}
		if err := os.MkdirAll(s.dir, 0o700); err != nil {
			c.t.Fatal("natstest:", err)
		}
		c.Servers = append(c.Servers, s)
		s.launch()
	}
}

// block returns the block cluster of the configuration of server i.
func (c *Cluster) block(i int, addrs []string) string {
	c.t.Helper()
	b := fmt.Sprintf("cluster {\nname: natstest\nlisten: %q\n", addrs[i])
	if c.routes != nil {
		b += "advertise: \"127.0.0.1:1\"\n" // no way past the proxies
	}
	b += "routes: [\n"
	for j, addr := range addrs {
		if c.routes != nil && i != j {
			p := NewProxy(c.t, addr)
			c.routes[[2]int{i, j}] = p
			addr = p.Addr
		}
		if i != j {
			b += fmt.Sprintf("\"nats-route://%s\"\n", addr)
		}
	}
	return b + "]\n}"
}

// Isolate cuts server i off from the other servers, until it is called with
// false. Clients still reach it. The cluster must be Proxied.
func (c *Cluster) Isolate(i int, isolated bool) {
	for pair, p := range c.routes {
		if pair[0] == i || pair[1] == i {
			p.SetCut(isolated)
		}
	}
}

// wait waits until all servers create streams, or a process has ended.
func (c *Cluster) wait(n int) error {
	var err error
	answer := 200 * time.Millisecond
	for end := time.Now().Add(startup); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		for _, s := range c.Servers {
			if !s.Alive() {
				return fmt.Errorf("a server has ended (%s); its log:\n%s", s.end, s.Log())
			}
		}
		if err = c.ready(n, answer); err == nil {
			return nil
		}
		answer = min(answer*5/4, 5*time.Second)
	}
	return fmt.Errorf("not ready after %v: %w", startup, err)
}

func (c *Cluster) ready(n int, wait time.Duration) error {
	for _, s := range c.Servers {
		if err := s.ready(n, wait); err != nil {
			return err
		}
	}
	return nil
}

func (c *Cluster) killAll() {
	for _, s := range c.Servers {
		s.Kill()
	}
}

// Kill ends server i immediately, as kill -9 does. Its files stay.
func (c *Cluster) Kill(i int) { c.Servers[i].Kill() }

// Restart starts server i again, with its files.
func (c *Cluster) Restart(i int) {
	c.t.Helper()
	c.Servers[i].Restart()
}

// URLs returns the addresses of all servers for a client, separated by commas.
func (c *Cluster) URLs() string {
	urls := make([]string, len(c.Servers))
	for i, s := range c.Servers {
		urls[i] = s.URL()
	}
	return strings.Join(urls, ",")
}

// Client returns a connection to server i alone, not to the others after it has
// been killed.
func (c *Cluster) Client(t testing.TB, i int, options ...nats.Option) *nats.Conn {
	t.Helper()
	return c.Servers[i].Client(t, append([]nats.Option{nats.IgnoreDiscoveredServers()}, options...)...)
}

// Leader returns the index of the server that leads a stream. It waits for an
// election, and fails the test if there is no leader for a long time.
func (c *Cluster) Leader(t testing.TB, js jetstream.JetStream, stream string) int {
	t.Helper()
	for end := time.Now().Add(startup); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		s, err := js.Stream(ctx, stream)
		cancel()
		if err != nil || s.CachedInfo().Cluster == nil {
			continue
		}
		leader := s.CachedInfo().Cluster.Leader
		if i := slices.IndexFunc(c.Servers, func(s *Server) bool { return s.Name == leader }); i >= 0 && c.Servers[i].Alive() {
			return i
		}
	}
	t.Fatalf("natstest: stream %s has no leader after %v", stream, startup)
	return -1
}
