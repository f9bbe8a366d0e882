package redistest_test

import (
	"bufio"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/redoubt-go/redoubt/contrib/redis/redistest"
)

func TestServer(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, "--maxmemory", "5mb")
	if got := s.MustDo("CONFIG", "GET", "maxmemory"); got != "maxmemory\n5242880" {
		t.Errorf("got %q", got)
	}
	s.MustDo("SET", "k", "v")
	if got, err := s.Do("GET", "k"); got != "v" || err != nil || s.Calls("get") != 1 || s.Calls("del") != 0 {
		t.Errorf("got %q, %v, %d calls", got, err, s.Calls("get"))
	}
	if _, err := s.Do("NONSENSE"); err == nil || !strings.HasPrefix(err.Error(), "ERR unknown command") {
		t.Errorf("got %v, want what the server says", err)
	}
	s.Restart()
	if got := s.MustDo("GET", "k"); got != "" {
		t.Errorf("got %q, want nothing after a restart", got)
	}
	s.Kill()
	s.Kill()
	if _, err := s.Do("PING"); err == nil {
		t.Error("it answers after Kill")
	}
}

func TestProxy(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	p := s.Slow()
	through := &redistest.Server{Addr: p.Addr}
	if got, err := through.Do("PING"); got != "PONG" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	p.SetDelay(50 * time.Millisecond)
	begun := time.Now()
	if got, err := through.Do("PING"); got != "PONG" || err != nil || time.Since(begun) < 50*time.Millisecond {
		t.Errorf("got %q, %v after %v, want 50ms at least", got, err, time.Since(begun))
	}
	p.Lose()
	if got, err := through.Do("PING"); err == nil {
		t.Errorf("got %q of a lost answer", got)
	}
}

func FuzzReply(f *testing.F) {
	for _, s := range []string{"+OK\r\n", "-ERR\r\n", ":1\r\n", "$1\r\na\r\n", "$-1\r\n", "*2\r\n:1\r\n$0\r\n\r\n", "*-1\r\n", "$99999999999\r\n", "\r\n", "*1\r\n*1\r\n:1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := redistest.ReadReply(bufio.NewReader(strings.NewReader(text)))
		if err == nil && len(got) > 2*len(text) {
			t.Errorf("%d bytes of %d", len(got), len(text))
		}
	})
}

// Where CI=true nothing may be skipped: the server must be there.
func TestServerInstalled(t *testing.T) {
	if os.Getenv("CI") != "true" {
		t.Skip("CI is not set: tests that need redis-server are skipped where it is missing")
	}
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Fatalf("%v; install the Debian package redis-server", err)
	}
}
