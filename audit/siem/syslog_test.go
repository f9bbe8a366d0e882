package siem_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redoubt-go/redoubt/audit"
	"github.com/redoubt-go/redoubt/audit/audittest"
	"github.com/redoubt-go/redoubt/audit/siem"
)

// A syslogServer reads RFC 5424 messages with octet counting. It is the oracle
// for the writer: every octet must belong to a message.
type syslogServer struct {
	t        *testing.T
	addr     string
	tls      *tls.Config
	mu       sync.Mutex
	listener net.Listener
	conns    []net.Conn
	messages []string
	changed  chan struct{}
}

func startSyslog(t *testing.T, config *tls.Config) *syslogServer {
	s := &syslogServer{t: t, addr: "127.0.0.1:0", tls: config, changed: make(chan struct{}, 1)}
	s.start()
	t.Cleanup(s.stop)
	return s
}

func (s *syslogServer) start() {
	var l net.Listener
	var err error
	for range 50 {
		if l, err = net.Listen("tcp", s.addr); err == nil {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	s.addr = l.Addr().String()
	if s.tls != nil {
		l = tls.NewListener(l, s.tls)
	}
	s.listener = l
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.conns = append(s.conns, conn)
			s.mu.Unlock()
			go s.read(conn)
		}
	}()
}

// stop ends the listener and all connections.
func (s *syslogServer) stop() {
	_ = s.listener.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.conns {
		_ = c.Close()
	}
	s.conns = nil
}

func (s *syslogServer) read(conn net.Conn) {
	r := bufio.NewReader(conn)
	for {
		length, err := r.ReadString(' ')
		if err != nil {
			return
		}
		n, err := strconv.Atoi(strings.TrimSuffix(length, " "))
		if err != nil || n <= 0 {
			s.t.Errorf("octet count %q", length)
			return
		}
		b := make([]byte, n)
		if _, err := io.ReadFull(r, b); err != nil {
			return
		}
		s.mu.Lock()
		s.messages = append(s.messages, string(b))
		s.mu.Unlock()
		select {
		case s.changed <- struct{}{}:
		default:
		}
	}
}

var header = regexp.MustCompile(`^<(\d{1,3})>1 (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z) ([!-~]{1,255}) ([!-~]{1,48}) - ([!-~]{1,32}) - (.*)$`)

// events returns the received events, in their order.
func (s *syslogServer) events() (out []audit.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.messages {
		parts := header.FindStringSubmatch(m)
		var e audit.Event
		if parts == nil || json.Unmarshal([]byte(parts[6]), &e) != nil {
			s.t.Errorf("message %q", m)
			continue
		}
		out = append(out, e)
	}
	return out
}

// wait returns the received events when one of them has the ID.
func (s *syslogServer) wait(id string) []audit.Event {
	s.t.Helper()
	late := time.After(20 * time.Second)
	for {
		events := s.events()
		if slices.ContainsFunc(events, func(e audit.Event) bool { return e.ID == id }) {
			return events
		}
		select {
		case <-s.changed:
		case <-late:
			s.t.Fatalf("event %s does not arrive", id)
		}
	}
}

func event(id string) *audit.Event {
	return &audit.Event{Time: time.Unix(1767323045, 6000).UTC(), ID: id, Action: "order.refund", Outcome: audit.Success, Actor: audit.Actor{ID: "alice"}}
}

func TestSyslogMessages(t *testing.T) {
	server := startSyslog(t, nil)
	s := siem.NewSyslog(siem.SyslogConfig{Addr: server.addr, Host: "web-1", App: "shop", MaxMessage: 2048})
	defer s.Close()
	denied := event("2")
	denied.Outcome, denied.Action = audit.Denied, audit.Action(strings.Repeat("a", 40))
	huge := event("3")
	huge.Reason, huge.Source, huge.Target.ID = strings.Repeat("\u2028", 9999), strings.Repeat("\x00", 9999), strings.Repeat("é", 9999)
	huge.Attrs = []slog.Attr{slog.Int("n", 1)}
	if err := s.WriteEvents(context.Background(), []*audit.Event{event("1"), denied, huge}); err != nil {
		t.Fatal(err)
	}
	events := server.wait("3")
	if len(events) != 3 || !events[2].Truncated || events[2].Attrs != nil {
		t.Fatalf("%d events", len(events))
	}
	for i, want := range []string{
		`<110>1 2026-01-02T03:04:05.000006Z web-1 shop - order.refund - {"time"`,
		`<108>1 2026-01-02T03:04:05.000006Z web-1 shop - ` + strings.Repeat("a", 32) + ` - {"time"`,
		`<110>1 `,
	} {
		if m := server.messages[i]; !strings.HasPrefix(m, want) || len(m) > 2048 {
			t.Errorf("message of %d bytes %.120q, want %q", len(m), m, want)
		}
	}
}

// The server is stopped and started again while events are written. None is
// lost that was written without an error, except in the moment of the stop.
func TestSyslogReconnects(t *testing.T) {
	server := startSyslog(t, nil)
	s := siem.NewSyslog(siem.SyslogConfig{Addr: server.addr})
	defer s.Close()
	write := func(id string) {
		t.Helper()
		if err := s.WriteEvents(context.Background(), []*audit.Event{event(id)}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 5 {
		id := fmt.Sprint(i)
		write(id)
		server.wait(id)
		server.stop()
		started := make(chan struct{})
		go func() {
			defer close(started)
			time.Sleep(50 * time.Millisecond)
			server.start()
		}()
		write(id + "-down")
		<-started
		server.wait(id + "-down")
	}
}

// A batch that was written into a connection that breaks is sent again.
func TestSyslogSendsTheLastBatchAgain(t *testing.T) {
	server := startSyslog(t, nil)
	calls := 0
	s := siem.NewSyslog(siem.SyslogConfig{Addr: server.addr, Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
		if calls++; calls == 1 { // a connection that loses everything and ends
			ours, theirs := net.Pipe()
			go func() {
				_, _ = theirs.Read(make([]byte, 4096))
				_ = theirs.Close()
			}()
			return ours, nil
		}
		return new(net.Dialer).DialContext(ctx, network, addr)
	}})
	defer s.Close()
	for _, id := range []string{"1", "2"} {
		if err := s.WriteEvents(context.Background(), []*audit.Event{event(id)}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond)
	}
	if events := server.wait("2"); len(events) != 2 || events[0].ID != "1" {
		t.Errorf("%d events", len(events))
	}
}

// A server that ends every connection, as a proxy without a backend does, is
// not flooded with connections.
func TestSyslogPausesBetweenConnections(t *testing.T) {
	var dials atomic.Int32
	s := siem.NewSyslog(siem.SyslogConfig{Addr: "x:1", Dial: func(context.Context, string, string) (net.Conn, error) {
		dials.Add(1)
		ours, theirs := net.Pipe()
		go func() {
			_, _ = theirs.Read(make([]byte, 4096))
			_ = theirs.Close()
		}()
		return ours, nil
	}})
	if err := s.WriteEvents(context.Background(), []*audit.Event{event("1")}); err != nil {
		t.Fatal(err)
	}
	time.Sleep(1500 * time.Millisecond)
	_ = s.Close()
	if n := dials.Load(); n != 2 {
		t.Errorf("%d connections in 1.5 seconds, want 2", n)
	}
}

// Without a server, the error says that nothing was recorded. With a server
// that reads nothing, it says that it does not know. Close ends waiting calls.
func TestSyslogErrors(t *testing.T) {
	dead := siem.NewSyslog(siem.SyslogConfig{Name: "soc", Addr: "127.0.0.1:1", Timeout: 50 * time.Millisecond})
	err := dead.WriteEvents(context.Background(), []*audit.Event{event("1")})
	if !errors.Is(err, audit.ErrFailed) || errors.Is(err, audit.ErrUncertain) || !strings.HasPrefix(err.Error(), "siem: soc: event not recorded: ") {
		t.Errorf("error %v", err)
	}
	if err := dead.WriteEvents(context.Background(), nil); err != nil {
		t.Errorf("no events: %v", err)
	}
	full := siem.NewSyslog(siem.SyslogConfig{Addr: "x:1", Dial: func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go func() { _, _ = theirs.Read(make([]byte, 10)) }() // and then nothing more
		return ours, nil
	}})
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	batch := []*audit.Event{event("x")}
	err = full.WriteEvents(ctx, batch)
	if !errors.Is(err, audit.ErrUncertain) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
	ended := make(chan error)
	go func() { ended <- full.WriteEvents(context.Background(), batch) }()
	time.Sleep(50 * time.Millisecond)
	ctx, cancel = context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	if err := full.WriteEvents(ctx, batch); !errors.Is(err, audit.ErrFailed) { // waits for its turn
		t.Errorf("error %v", err)
	}
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() { _ = full.Close() })
	}
	if err := <-ended; err == nil {
		t.Error("a call that Close has ended has no error")
	}
	wg.Wait()
	if err := full.WriteEvents(context.Background(), batch); !errors.Is(err, audit.ErrClosed) {
		t.Errorf("error %v", err)
	}
}

// serverTLS returns the configurations of a server and of its clients.
func serverTLS(t *testing.T) (server, client *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cert := &x509.Certificate{
		SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	root, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(root)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, &tls.Config{RootCAs: pool}
}

func TestSyslogOverTLS(t *testing.T) {
	serverConfig, clientConfig := serverTLS(t)
	server := startSyslog(t, serverConfig)
	s := siem.NewSyslog(siem.SyslogConfig{Addr: server.addr, TLS: clientConfig})
	for i := range 3 {
		if err := s.WriteEvents(context.Background(), []*audit.Event{event(fmt.Sprint(i))}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil { // what was written is not cut off
		t.Fatal(err)
	}
	if got := len(server.wait("2")); got != 3 {
		t.Errorf("%d events, want 3", got)
	}
	stranger := siem.NewSyslog(siem.SyslogConfig{Addr: server.addr, TLS: &tls.Config{}, Timeout: time.Second})
	defer stranger.Close()
	err := stranger.WriteEvents(context.Background(), []*audit.Event{event("1")})
	var unknown x509.UnknownAuthorityError
	if !errors.Is(err, audit.ErrFailed) || !errors.As(err, &unknown) {
		t.Errorf("a server without a known certificate: %v", err)
	}
}

func TestSyslogConforms(t *testing.T) {
	serverConfig, clientConfig := serverTLS(t)
	for name, config := range map[string]struct{ server, client *tls.Config }{"TCP": {}, "TLS": {serverConfig, clientConfig}} {
		t.Run(name, func(t *testing.T) {
			audittest.Run(t, func(t *testing.T) audittest.Subject {
				server := startSyslog(t, config.server)
				s := siem.NewSyslog(siem.SyslogConfig{Addr: server.addr, TLS: config.client, MaxMessage: 1 << 20})
				marks := 0
				return audittest.Subject{Sink: s, Stored: func() ([]audit.Event, error) {
					marks++
					mark := fmt.Sprint("mark-", marks)
					if err := s.WriteEvents(context.Background(), []*audit.Event{event(mark)}); err != nil {
						return nil, err
					}
					events := server.wait(mark)
					return slices.DeleteFunc(events, func(e audit.Event) bool { return strings.HasPrefix(e.ID, "mark-") }), nil
				}}
			})
		})
	}
}

func TestSinkConfigs(t *testing.T) {
	for _, c := range []struct {
		err  error
		want int
	}{
		{siem.SyslogConfig{Addr: "x:601"}.Validate(), 0},
		{siem.SyslogConfig{Addr: "x", Host: "a b", App: strings.Repeat("x", 49), Facility: 24, MaxMessage: 1}.Validate(), 5},
		{siem.HTTPConfig{URL: "https://x/?token=hunter2", Format: shop.OTLP()}.Validate(), 0},
		{siem.HTTPConfig{URL: "ftp://hunter2", MaxBody: -1}.Validate(), 3},
	} {
		if c.want == 0 && c.err == nil {
			continue
		}
		if !errors.Is(c.err, audit.ErrInvalid) || strings.Count(c.err.Error(), "siem: ") != c.want || strings.Contains(c.err.Error(), "hunter2") {
			t.Errorf("error %v, want %d problems", c.err, c.want)
		}
	}
}
