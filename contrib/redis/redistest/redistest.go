package redistest

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// startup bounds the start of a server or cluster on a loaded machine.
const startup = 30 * time.Second

// A Server is a redis-server process.
type Server struct {
	Addr string // host:port

	t    testing.TB
	dir  string
	args []string
	mu   sync.Mutex
	cmd  *exec.Cmd
}

// Start starts a server with further arguments, such as "--maxmemory", "2mb".
// It stores nothing on disk and is stopped at the end of the test. Start skips
// the test if there is no program, and fails it if the server does not start.
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	s := &Server{Addr: freeAddr(t), t: t, dir: t.TempDir(), args: args}
	s.launch(Program(t))
	t.Cleanup(s.Kill)
	return s
}

// Program returns the path of redis-server, or skips the test.
func Program(t testing.TB) string {
	t.Helper()
	path, err := exec.LookPath("redis-server")
	if err != nil {
		t.Skipf("redistest: %v; install the Debian package redis-server to run this test", err)
	}
	return path
}

// freeAddr returns a loopback address that is free now. Its port leaves room
// for the bus port of a cluster.
func freeAddr(t testing.TB) string {
	t.Helper()
	for {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal("redistest:", err)
		}
		addr := l.Addr().(*net.TCPAddr)
		l.Close()
		if addr.Port < 55_000 {
			return addr.String()
		}
	}
}

func (s *Server) launch(program string) {
	s.t.Helper()
	_, port, _ := net.SplitHostPort(s.Addr)
	args := append([]string{"--port", port, "--bind", "127.0.0.1", "--dir", s.dir, "--save", "", "--appendonly", "no", "--logfile", "log"}, s.args...)
	cmd := exec.Command(program, args...)
	if err := cmd.Start(); err != nil {
		s.t.Fatal("redistest:", err)
	}
	s.mu.Lock()
	s.cmd = cmd
	s.mu.Unlock()
	s.until("ready", func() bool { _, err := s.Do("PING"); return err == nil })
}

// until waits for a condition, or fails the test.
func (s *Server) until(what string, ok func() bool) {
	s.t.Helper()
	for end := time.Now().Add(startup); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			log, _ := os.ReadFile(s.dir + "/log")
			s.t.Fatalf("redistest: server %s is not %s after %v; its log:\n%s", s.Addr, what, startup, log)
		}
	}
}

// Stop suspends the process. It keeps its connections and does not answer. On
// Windows, Stop skips the test.
func (s *Server) Stop() { s.signal(suspend) }

// Continue resumes a stopped process.
func (s *Server) Continue() { s.signal(resume) }

func (s *Server) signal(sig os.Signal) {
	s.t.Helper()
	if sig == nil {
		s.t.Skip("redistest: this system cannot stop a process")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd != nil {
		_ = s.cmd.Process.Signal(sig)
	}
}

// Kill ends the process immediately.
func (s *Server) Kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd != nil {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
		s.cmd = nil
	}
}

// Restart starts the server again at the same address, without data.
func (s *Server) Restart() {
	s.t.Helper()
	s.Kill()
	s.launch(Program(s.t))
}

// Do sends a command on a new connection and returns the reply as text. The
// elements of an array have a line each.
//
// Errors: an error of the connection, or an error reply of the server.
func (s *Server) Do(words ...string) (string, error) {
	conn, err := net.DialTimeout("tcp", s.Addr, time.Second)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return "", err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(words))
	for _, w := range words {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(w), w)
	}
	if _, err := io.WriteString(conn, b.String()); err != nil {
		return "", err
	}
	return readReply(bufio.NewReader(conn))
}

// MustDo is Do. It fails the test on an error.
func (s *Server) MustDo(words ...string) string {
	s.t.Helper()
	reply, err := s.Do(words...)
	if err != nil {
		s.t.Fatalf("redistest: %.60q: %v", words, err)
	}
	return reply
}

// Calls returns the number of times that the server has executed a command,
// such as "evalsha".
func (s *Server) Calls(command string) int {
	s.t.Helper()
	_, rest, found := strings.Cut(s.MustDo("INFO", "commandstats"), "cmdstat_"+command+":calls=")
	if !found {
		return 0
	}
	digits, _, _ := strings.Cut(rest, ",")
	n, err := strconv.Atoi(digits)
	if err != nil {
		s.t.Fatal("redistest:", err)
	}
	return n
}

// readReply reads a reply of the protocol RESP2.
func readReply(r *bufio.Reader) (string, error) {
	line, err := r.ReadString('\n')
	if err != nil {
		return "", err
	}
	line = strings.TrimRight(line, "\r\n")
	if line == "" {
		return "", errors.New("redistest: empty line")
	}
	rest := line[1:]
	switch line[0] {
	case '+', ':':
		return rest, nil
	case '-':
		return "", errors.New(rest)
	case '$':
		return readBulk(r, rest)
	case '*':
		return readArray(r, rest)
	}
	return "", fmt.Errorf("redistest: unexpected reply %.64q", line)
}

const maxReply = 1 << 24

func readBulk(r *bufio.Reader, size string) (string, error) {
	n, err := strconv.Atoi(size)
	switch {
	case err != nil || n > maxReply:
		return "", fmt.Errorf("redistest: string of %.20q bytes", size)
	case n < 0:
		return "", nil
	}
	buf := make([]byte, n+2)
	_, err = io.ReadFull(r, buf)
	return string(buf[:n]), err
}

func readArray(r *bufio.Reader, size string) (string, error) {
	n, err := strconv.Atoi(size)
	if err != nil || n > maxReply {
		return "", fmt.Errorf("redistest: array of %.20q elements", size)
	}
	var elements []string
	for range n {
		e, err := readReply(r)
		if err != nil {
			return "", err
		}
		elements = append(elements, e)
	}
	return strings.Join(elements, "\n"), nil
}
