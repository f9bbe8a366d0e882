package siem_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redoubt-go/redoubt/audit"
	"github.com/redoubt-go/redoubt/audit/siem"
)

// rsyslogd finds the server of Debian's package rsyslog. The package
// rsyslog-openssl adds TLS.
func rsyslogd(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"rsyslogd", "/usr/sbin/rsyslogd", "/sbin/rsyslogd"} {
		if path, err := exec.LookPath(name); err == nil {
			if drivers, _ := filepath.Glob("/usr/lib/*/rsyslog/lmnsd_ossl.so"); len(drivers) > 0 {
				return path
			}
		}
	}
	if os.Getenv("CI") != "" {
		t.Fatal("rsyslogd or its TLS driver is missing: install rsyslog and rsyslog-openssl")
	}
	t.Skip("needs rsyslogd with TLS: install rsyslog and rsyslog-openssl")
	return ""
}

// A server is a running rsyslogd that writes its messages to a file.
type server struct {
	t      *testing.T
	binary string
	dir    string
	addr   string
	tls    *tls.Config // of clients
	cmd    *exec.Cmd
}

func startServer(t *testing.T) *server {
	s := &server{t: t, binary: rsyslogd(t), dir: t.TempDir()}
	s.certificate()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.addr = l.Addr().String()
	_ = l.Close()
	_, port, _ := net.SplitHostPort(s.addr)
	s.write("rsyslog.conf", fmt.Sprintf(`global(workDirectory="%[1]s" maxMessageSize="64k" defaultNetstreamDriver="ossl"
  defaultNetstreamDriverCAFile="%[1]s/cert.pem" defaultNetstreamDriverCertFile="%[1]s/cert.pem" defaultNetstreamDriverKeyFile="%[1]s/key.pem")
module(load="imtcp" streamDriver.name="ossl" streamDriver.mode="1" streamDriver.authMode="anon")
template(name="fields" type="string" string="%%syslogfacility%% %%syslogseverity%% %%hostname%% %%app-name%% %%msgid%% %%protocol-version%% %%msg%%\n")
input(type="imtcp" port="%[2]s" address="127.0.0.1")
action(type="omfile" file="%[1]s/out" template="fields" flushOnTXEnd="on")
`, s.dir, port))
	s.start()
	t.Cleanup(s.stop)
	return s
}

func (s *server) write(name, text string) {
	if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

func (s *server) certificate() {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		s.t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "syslog"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		s.t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		s.t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	s.write("cert.pem", string(text))
	s.write("key.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})))
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(text)
	s.tls = &tls.Config{RootCAs: pool}
}

// start runs rsyslogd in the foreground and waits until it accepts connections.
func (s *server) start() {
	s.t.Helper()
	log, err := os.Create(filepath.Join(s.dir, "log"))
	if err != nil {
		s.t.Fatal(err)
	}
	defer log.Close()
	s.cmd = exec.Command(s.binary, "-n", "-C", "-f", filepath.Join(s.dir, "rsyslog.conf"), "-i", filepath.Join(s.dir, "pid"))
	s.cmd.Stdout, s.cmd.Stderr = log, log
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	for range 200 {
		if conn, err := net.Dial("tcp", s.addr); err == nil {
			_ = conn.Close()
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	text, _ := os.ReadFile(log.Name())
	s.t.Fatalf("rsyslogd does not start: %s", text)
}

func (s *server) stop() {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	_ = s.cmd.Wait()
}

// events returns the received events when there is one with the ID.
func (s *server) events(id string) (lines []string, events []audit.Event) {
	s.t.Helper()
	for range 400 {
		b, err := os.ReadFile(filepath.Join(s.dir, "out"))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			s.t.Fatal(err)
		}
		if strings.Contains(string(b), `"id":"`+id+`"`) && strings.HasSuffix(string(b), "\n") {
			for line := range strings.Lines(string(b)) {
				at := strings.Index(line, "{")
				var e audit.Event
				if at < 0 || json.Unmarshal([]byte(line[at:]), &e) != nil {
					s.t.Fatalf("line %q", line)
				}
				lines, events = append(lines, line[:at]), append(events, e)
			}
			return lines, events
		}
		time.Sleep(25 * time.Millisecond)
	}
	log, _ := os.ReadFile(filepath.Join(s.dir, "log"))
	s.t.Fatalf("event %s does not arrive: %s", id, log)
	return nil, nil
}

func record(t *testing.T, l *audit.Log, id, text string) {
	t.Helper()
	ctx := audit.WithActor(context.Background(), audit.Actor{ID: text + "!"})
	e := audit.Event{ID: id, Action: "order.refund", Outcome: audit.Denied, Reason: text, Attrs: []slog.Attr{slog.String("text", text)}}
	if err := l.Record(ctx, e); err != nil {
		t.Fatal(err)
	}
}

// rsyslog reads every field over TLS, and no text leaves its message.
func TestRsyslogOverTLS(t *testing.T) {
	s := startServer(t)
	sink := siem.NewSyslog(siem.SyslogConfig{Addr: s.addr, TLS: s.tls, Host: "web-1", App: "shop", MaxMessage: 64 << 10})
	l := audit.New(audit.Config{Sink: sink})
	texts := []string{
		"plain", "one\ntwo\r\n<13>1 - - - - - forged", "\x00\x1b[2J\u202e\u2028", `","id":"forged"}`, "ключ é", "12 <34>", strings.Repeat("x", 4<<10),
	}
	for i, text := range texts {
		record(t, l, fmt.Sprint("e-", i), text)
	}
	lines, events := s.events(fmt.Sprint("e-", len(texts)-1))
	if len(events) != len(texts) {
		t.Fatalf("%d events, want %d", len(events), len(texts))
	}
	for i, e := range events {
		if lines[i] != "13 4 web-1 shop order.refund 1 " || e.ID != fmt.Sprint("e-", i) || e.Reason != texts[i] || e.Attrs[0].Value.String() != texts[i] {
			t.Errorf("%q %+v", lines[i], e)
		}
	}
	if err := sink.Close(); err != nil {
		t.Error(err)
	}
}

// The server is restarted while a buffer in front of the sink writes. Every
// event is in its file afterwards, perhaps twice, and in order.
func TestRsyslogRestarts(t *testing.T) {
	s := startServer(t)
	sink := siem.NewSyslog(siem.SyslogConfig{Addr: s.addr, TLS: s.tls})
	buffer := audit.NewBuffer(audit.BufferConfig{Next: sink, Timeout: time.Minute, OnError: func(_ context.Context, es []*audit.Event, err error) {
		t.Errorf("%d events lost: %v", len(es), err)
	}})
	l := audit.New(audit.Config{Sink: buffer})
	for i := range 60 {
		record(t, l, fmt.Sprintf("e-%02d", i), "x")
		time.Sleep(20 * time.Millisecond)
		if i == 20 || i == 40 {
			s.stop()
			s.start()
		}
	}
	if err := buffer.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	_, events := s.events("e-59")
	if err := sink.Close(); err != nil {
		t.Error(err)
	}
	seen, last := map[string]bool{}, ""
	for _, e := range events {
		if !seen[e.ID] && e.ID < last {
			t.Errorf("%s after %s", e.ID, last)
		}
		seen[e.ID], last = true, max(last, e.ID)
	}
	if len(seen) != 60 {
		t.Errorf("%d different events of 60", len(seen))
	}
}
