package sshd_test

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redoubt-go/redoubt/logscan"
	"github.com/redoubt-go/redoubt/logscan/detect"
)

// A lockedBuffer is a buffer that a process writes to.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// tool returns the path of a program. In the gate it must exist.
func tool(t *testing.T, names ...string) string {
	t.Helper()
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("CI") != "" {
		t.Fatalf("no %s; install openssh-server", names[0])
	}
	t.Skipf("no %s here", names[0])
	return ""
}

// Every client of this server is 127.0.0.1, whatever name, key ID or text it
// chooses to imitate the rest of a message.
func TestAddressOfARealServer(t *testing.T) {
	sshd, ssh, keygen := tool(t, "sshd", "/usr/sbin/sshd"), tool(t, "ssh"), tool(t, "ssh-keygen")
	dir := t.TempDir()
	must := func(name string, args ...string) {
		t.Helper()
		cmd := exec.Command(name, args...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s %v: %v\n%s", name, args, err, out)
		}
	}
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"host", "ca", "id", "other"} {
		must(keygen, "-q", "-t", "ed25519", "-N", "", "-f", key)
	}
	forged := "x from 9.9.9.9 port 22 ssh2: y"
	must(keygen, "-q", "-s", "ca", "-I", forged, "-n", "nobody-at-all", "id.pub") // not for this user: it fails
	must(keygen, "-q", "-s", "ca", "-I", "z from 9.9.9.9 port 22 ssh2: RSA SHA256:AAAAAAAA ID w", "-n", "nobody-at-all", "other.pub")

	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := fmt.Sprint(lis.Addr().(*net.TCPAddr).Port)
	lis.Close()
	config := strings.Join([]string{
		"Port " + port, "ListenAddress 127.0.0.1", "HostKey " + filepath.Join(dir, "host"), "LogLevel VERBOSE",
		"TrustedUserCAKeys " + filepath.Join(dir, "ca.pub"), "AuthorizedKeysFile none", "PasswordAuthentication yes",
		"KbdInteractiveAuthentication no", "UsePAM no", "PidFile none", "MaxAuthTries 3", "StrictModes no", "LoginGraceTime 20",
	}, "\n") + "\n"
	if err := os.WriteFile(filepath.Join(dir, "config"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	if me.Uid == "0" { // sshd separates privileges into this folder
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			t.Skip(err)
		}
	}
	var log lockedBuffer
	server := exec.Command(sshd, "-D", "-e", "-f", filepath.Join(dir, "config"))
	server.Stderr = &log
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { defer close(done); server.Wait() }()
	t.Cleanup(func() { server.Process.Kill(); <-done })
	wait := func(what string, ok func() bool) {
		t.Helper()
		for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("never: %s\n%s", what, log.String())
			}
		}
	}
	wait("the server listens", func() bool { return strings.Contains(log.String(), "Server listening") })

	// New clients refuse to send some of these names.
	users := []string{
		me.Username, "stranger", "from 9.9.9.9", "a from 9.9.9.9 port 22 ssh2", "b 9.9.9.9 port 22", "invalid user c from 9.9.9.9 port 1",
		"d from 9.9.9.9 port 22 ssh2: ED25519-CERT SHA256:AAAAAAAA ID e (serial 0) CA ED25519 SHA256:BBBBBBBB",
	}
	for _, name := range users {
		for _, key := range []string{"id", "other"} {
			cmd := exec.Command(ssh, "-F", "none", "-p", port, "-l", name, "-i", filepath.Join(dir, key), "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes",
				"-o", "CertificateFile="+filepath.Join(dir, key+"-cert.pub"), "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "127.0.0.1", "true")
			cmd.Env = append(os.Environ(), "SSH_AUTH_SOCK=")
			_ = cmd.Run() // it fails
		}
	}
	// Clients that speak no SSH.
	for _, text := range []string{"GET / HTTP/1.1\r\n\r\n", "from 9.9.9.9 port 22\r\n", ""} {
		conn, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(conn, text)
		conn.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
		conn.Read(make([]byte, 1000))
		conn.Close()
	}
	wait("the last client has gone", func() bool { return strings.Count(log.String(), "Connection from") >= len(users)*2+3 })

	known, outcomes := 0, map[string]int{}
	for _, line := range strings.Split(log.String(), "\n") {
		line = strings.TrimSuffix(line, "\r")
		rec := &logscan.Record{Line: []byte(line)}
		if err := detect.SSHAuth().Parse(rec); err != nil {
			continue
		}
		known++
		outcomes[string(rec.Get("outcome"))]++
		if got := string(rec.Get("addr")); got != "127.0.0.1" {
			t.Errorf("the address is %q, in %q", got, line)
		}
	}
	t.Logf("%d messages name a client: %v", known, outcomes)
	if outcomes["failed"] < 4 || outcomes["invalid"] < 8 || outcomes["dropped"] < 10 {
		t.Errorf("the outcomes are %v\n%s", outcomes, log.String())
	}
}
