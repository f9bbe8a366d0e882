package natstest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// startup bounds the start of a server or cluster on a loaded machine.
const startup = 60 * time.Second

// A Config describes the servers of a test. The zero value is ready.
type Config struct {
	_ [0]func() // not comparable, so that fields can be added

	Program string // of the server; empty means Program
	Lines   string // added to the configuration of each server
	// JetStream is added to its block jetstream, such as "max_file_store: 1MB".
	JetStream string
	// User and Password are for Client, and for StartCluster itself, if Lines
	// require them.
	User, Password string
	// Proxied puts proxies between the servers of a cluster, for Isolate.
	Proxied bool
}

// Validate returns the problem of c, or nil.
func (c Config) Validate() error {
	if c.User == "" && c.Password != "" {
		return errors.New("natstest: User is missing, want it with Password")
	}
	return nil
}

// A Server is a nats-server process.
type Server struct {
	Name string // as in the information about a stream
	Addr string // host:port

	t       testing.TB
	config  Config
	dir     string
	cluster string // lines of the configuration
	mu      sync.Mutex
	cmd     *exec.Cmd
	done    chan struct{} // closed at the end of the process
	end     string        // how the process has ended, after done
}

// Start starts a server that stores its streams in a temporary folder. It is
// killed at the end of the test.
func Start(t testing.TB, config Config) *Server {
	t.Helper()
	return start(t, config, 1).Servers[0]
}

// freeAddr returns a loopback address that is free now, below the ports that
// systems choose for clients.
func freeAddr(t testing.TB) string {
	t.Helper()
	for {
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(10_000+rand.IntN(22_000)))
		if l, err := net.Listen("tcp", addr); err == nil {
			l.Close()
			return addr
		}
	}
}

// URL returns the address for a client.
func (s *Server) URL() string { return "nats://" + s.Addr }

// launch starts the process.
func (s *Server) launch() {
	s.t.Helper()
	text := fmt.Sprintf("server_name: %s\nlisten: %q\nlog_file: %q\njetstream {\nstore_dir: %q\n%s\n}\n%s\n%s\n",
		s.Name, s.Addr, s.logFile(), filepath.Join(s.dir, "store"), s.config.JetStream, s.cluster, s.config.Lines)
	file := filepath.Join(s.dir, "server.conf")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		s.t.Fatal("natstest:", err)
	}
	cmd := exec.Command(s.config.Program, "-c", file)
	cmd.SysProcAttr = dieWithParent()
	done := make(chan struct{})
	if err := cmd.Start(); err != nil {
		s.t.Fatal("natstest:", err)
	}
	go func() {
		defer close(done)
		s.end = fmt.Sprint(cmd.Wait())
	}()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cmd, s.done = cmd, done
}

func (s *Server) logFile() string { return filepath.Join(s.dir, "log") }

// Log returns the end of the log of the server.
func (s *Server) Log() string {
	text, _ := os.ReadFile(s.logFile())
	return string(text[max(0, len(text)-4096):])
}

// Alive reports whether the process runs.
func (s *Server) Alive() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd == nil {
		return false
	}
	select {
	case <-s.done:
		return false
	default:
		return true
	}
}

// Kill ends the process immediately, as kill -9 does. Its files stay.
func (s *Server) Kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd != nil {
		_ = s.cmd.Process.Kill()
		<-s.done
		s.cmd = nil
	}
}

// Restart kills the server if it runs, and starts it again at the same address,
// with its files. It returns when the server accepts clients.
func (s *Server) Restart() {
	s.t.Helper()
	s.Kill()
	s.launch()
	s.until("accepting clients", func() bool {
		conn, err := net.Dial("tcp", s.Addr)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
}

// until waits for a condition, or fails the test.
func (s *Server) until(what string, ok func() bool) {
	s.t.Helper()
	for end := time.Now().Add(startup); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			s.t.Fatalf("natstest: server %s is not %s after %v; its log:\n%s", s.Addr, what, startup, s.Log())
		}
	}
}

// Client returns a connection to the server. It reconnects forever and is
// closed at the end of the test.
func (s *Server) Client(t testing.TB, options ...nats.Option) *nats.Conn {
	t.Helper()
	return Connect(t, s.URL(), append([]nats.Option{s.config.login()}, options...)...)
}

func (c Config) login() nats.Option {
	if c.User == "" {
		return func(*nats.Options) error { return nil }
	}
	return nats.UserInfo(c.User, c.Password)
}

// Connect returns a connection to the servers of a comma-separated list of
// URLs. It reconnects forever, after short pauses, and is closed at the end of
// the test.
func Connect(t testing.TB, urls string, options ...nats.Option) *nats.Conn {
	t.Helper()
	all := append([]nats.Option{
		nats.MaxReconnects(-1), nats.ReconnectWait(20 * time.Millisecond), nats.ReconnectJitter(0, 0),
		nats.Timeout(10 * time.Second), nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}),
	}, options...)
	nc, err := nats.Connect(urls, all...)
	if err != nil {
		t.Fatal("natstest:", err)
	}
	t.Cleanup(func() {
		closed := nc.StatusChanged(nats.CLOSED)
		if nc.IsClosed() {
			return
		}
		nc.Close()
		<-closed
	})
	return nc
}

// JetStream returns a context of JetStream on a connection.
func JetStream(t testing.TB, nc *nats.Conn) jetstream.JetStream {
	t.Helper()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal("natstest:", err)
	}
	return js
}

// ready returns nil if streams of n replicas can be created now. A server that
// knows no leader does not answer.
func (s *Server) ready(n int, wait time.Duration) error {
	nc, err := nats.Connect(s.URL(), nats.NoReconnect(), s.config.login())
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	const probe = "NATSTEST_PROBE"
	if _, err := js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{Name: probe, Replicas: n, MaxBytes: 1024}); err != nil {
		return err
	}
	return js.DeleteStream(ctx, probe)
}
