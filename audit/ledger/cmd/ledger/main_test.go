package main_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redoubt-go/redoubt/audit"
	"github.com/redoubt-go/redoubt/audit/ledger"
	runcmd "github.com/redoubt-go/redoubt/audit/ledger/cmd/ledger"
)

// TestMain runs the command in place of the tests if a test requests it.
func TestMain(m *testing.M) {
	if os.Getenv("LEDGER_TEST_COMMAND") == "1" {
		runcmd.Main()
		return
	}
	os.Exit(m.Run())
}

func command(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	c := exec.Command(os.Args[0], args...)
	c.Env = append(os.Environ(), "LEDGER_TEST_COMMAND=1")
	var out, errs bytes.Buffer
	c.Stdout, c.Stderr = &out, &errs
	if err := c.Run(); err != nil && c.ProcessState == nil {
		t.Fatal(err)
	}
	return c.ProcessState.ExitCode(), out.String(), errs.String()
}

func want(t *testing.T, status int, contains string, args ...string) string {
	t.Helper()
	got, stdout, stderr := command(t, args...)
	if got != status || !strings.Contains(stdout+stderr, contains) {
		t.Errorf("%s: status %d, want %d with %q:\n%s%s", args, got, status, contains, stdout, stderr)
	}
	return stdout
}

// log creates a key with the command and a log of three events that it has
// sealed.
func log(t *testing.T) (dir, vkey string) {
	t.Helper()
	secret := filepath.Join(t.TempDir(), "key")
	vkey = strings.TrimSpace(want(t, 0, "example.com/log+", "keygen", "example.com/log", secret))
	want(t, 2, "exists", "keygen", "example.com/log", secret)
	if st, err := os.Stat(secret); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("mode of the key %v, %v", st.Mode(), err)
	}
	skey, _ := os.ReadFile(secret)
	s, err := ledger.ParseSigner(strings.TrimSpace(string(skey)))
	if err != nil {
		t.Fatal(err)
	}
	dir = t.TempDir()
	led, err := ledger.Open(context.Background(), dir, ledger.Config{Signer: s, CheckpointDelay: -1})
	if err != nil {
		t.Fatal(err)
	}
	for i, actor := range []string{"alice", "bob", "alice"} {
		e := &audit.Event{
			ID: fmt.Sprint(i), Time: time.Date(2026, 1, 1+i, 0, 0, 0, 0, time.UTC), Action: "pay", Outcome: audit.Success,
			Actor: audit.Actor{ID: actor}, Target: audit.Target{Type: "invoice", ID: fmt.Sprintf("i-%d", i)}, Reason: "amount\x1b[31m 20",
		}
		if err := led.WriteEvents(context.Background(), []*audit.Event{e}); err != nil {
			t.Fatal(err)
		}
	}
	if err := led.Close(); err != nil {
		t.Fatal(err)
	}
	return dir, vkey
}

func TestVerify(t *testing.T) {
	dir, vkey := log(t)
	out := want(t, 0, "example.com/log: 6 records, sealed up to 6, head 6:", "verify", "-key", vkey, "-closed", dir)
	_, head, _ := strings.Cut(strings.TrimSpace(out), "head ")
	keyFile := filepath.Join(t.TempDir(), "vkey")
	_ = os.WriteFile(keyFile, []byte(vkey+"\n"), 0o600)
	want(t, 0, "sealed up to 6", "verify", "-key", keyFile, "-known", head, dir)
	want(t, 1, "records 6-98 truncated", "verify", "-known", "99:"+strings.TrimPrefix(head, "6:"), dir)

	path := filepath.Join(dir, "00000000000000000000.jsonl")
	data, _ := os.ReadFile(path)
	_ = os.WriteFile(path, bytes.Replace(data, []byte("bob"), []byte("eve"), 1), 0o600)
	want(t, 1, "record 3 altered", "verify", dir)
	_ = os.WriteFile(path, data[:bytes.Index(data, []byte(`{"seq":5`))], 0o600)
	want(t, 0, "sealed up to 2", "verify", "-key", vkey, dir)
	want(t, 1, "unsealed", "verify", "-key", vkey, "-closed", dir)
	_ = os.WriteFile(path, data[:bytes.Index(data, []byte(`{"seq":1`))], 0o600)
	want(t, 1, "unsealed", "verify", "-key", vkey, dir)
	// A cut behind a checkpoint, in the middle of a line.
	_ = os.WriteFile(path, data[:bytes.Index(data, []byte(`{"seq":2`))+100], 0o600)
	want(t, 0, "100 bytes unfinished", "verify", "-key", vkey, dir)
	want(t, 1, "record 2 unsealed", "verify", "-key", vkey, "-closed", dir)
}

// A known head whose records were removed hides no problem.
func TestKnownHeadIsTooOld(t *testing.T) {
	dir, _ := log(t)
	l, err := ledger.Open(context.Background(), dir, ledger.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Rotate(context.Background()); err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	_ = os.Remove(filepath.Join(dir, "00000000000000000000.jsonl"))
	known := "2:" + ledger.Hash{}.String()
	out := want(t, 1, "records 0-5 removed", "verify", "-known", known, dir)
	if !strings.Contains(out, "not compared: ") || !strings.Contains(out, "\ntampered with: ") {
		t.Errorf("no word about the known head: %s", out)
	}
	out = want(t, 2, "known head of 2 records", "verify", "-known", known, "-pruned", dir)
	if !strings.Contains(out, "not compared: ") || strings.Contains(out, "clean") {
		t.Errorf("a log that was not compared is clean: %s", out)
	}
}

func TestErrors(t *testing.T) {
	dir, vkey := log(t)
	for _, args := range [][]string{
		{},
		{"dance"},
		{"verify"},
		{"verify", "-x", dir},
		{"verify", t.TempDir()},
		{"verify", filepath.Join(dir, "none")},
		{"verify", "-key", "no+key", dir},
		{"verify", "-key", "nofile", dir},
		{"verify", "-known", "nofile", dir},
		{"verify", "-known", "5:x", dir},
		{"verify", "-help"},
		{"verify", os.Args[0]},
		{"verify", "-known", os.Args[0], dir},
		{"cat", "-since", "yesterday", dir},
		{"cat", t.TempDir()},
		{"prove", dir, "x"},
		{"prove", dir, "99"},
		{"check", "-key", vkey, "nofile"},
		{"check", dir},
		{"keygen", "two words", "f"},
	} {
		status, stdout, stderr := command(t, args...)
		if status != 2 || stderr == "" || stdout != "" {
			t.Errorf("%q: status %d, want 2 and why: %s%s", args, status, stdout, stderr)
		}
		isHelp := len(args) == 0 || args[len(args)-1] == "-help"
		if !isHelp && (strings.Count(stderr, "\n") != 1 || !strings.HasPrefix(stderr, "ledger") || strings.Contains(stderr, ": :")) {
			t.Errorf("%q: not one line that names the command: %s", args, stderr)
		}
	}
}

// An overwritten log is tampering, not an error of the command line.
func TestForeignFileIsTampering(t *testing.T) {
	for _, data := range []string{"hello\n", "\x7fELF\x02\n\x00\n", `{"level":"info"}` + "\n"} {
		dir := t.TempDir()
		_ = os.WriteFile(filepath.Join(dir, "00000000000000000000.jsonl"), []byte(data), 0o600)
		want(t, 1, "tampered with", "verify", dir)
		want(t, 2, "format", "cat", dir)
	}
}

func TestTimeWarning(t *testing.T) {
	dir, vkey := log(t) // its events are of January 2026, its header of now
	out := want(t, 0, "warning: record 2 is ", "verify", "-key", vkey, dir)
	if !strings.Contains(out, "\nclean: ") {
		t.Errorf("a warning is no verdict: %s", out)
	}
}

func TestHelp(t *testing.T) {
	out := want(t, 0, "exit status: 0 clean, 1 tampered with, 2 error", "help")
	for _, name := range []string{"verify", "cat", "prove", "check", "keygen"} {
		if !strings.Contains(out, "ledger "+name+" ") {
			t.Errorf("help does not name %s", name)
		}
	}
}

func TestCat(t *testing.T) {
	dir, _ := log(t)
	const second = `3 2026-01-02T00:00:00Z bob pay success invoice/i-1 reason="amount\x1b[31m 20"` + "\n"
	for _, args := range [][]string{
		{"-actor", "bob"},
		{"-target", "i-1"},
		{"-target", "invoice/i-1"},
		{"-since", "2026-01-02T00:00:00Z", "-until", "2026-01-03T00:00:00Z"},
	} {
		if _, out, _ := command(t, append(append([]string{"cat"}, args...), dir)...); out != second {
			t.Errorf("cat %s: got %q, want %q", args, out, second)
		}
	}
	if _, out, _ := command(t, "cat", "-target", "invoice", dir); strings.Count(out, "\n") != 3 {
		t.Errorf("by type: %s", out)
	}
	want(t, 0, `"actor":{"id":"bob"}`, "cat", "-json", "-actor", "bob", dir)
}

func TestProveAndCheck(t *testing.T) {
	dir, vkey := log(t)
	file := filepath.Join(t.TempDir(), "proof")
	proof := want(t, 0, "c2sp.org/tlog-proof@v1", "prove", dir, "2")
	_ = os.WriteFile(file, []byte(proof), 0o600)
	want(t, 0, `example.com/log: record 2 of 5: {"seq":2`, "check", "-key", vkey, file)
	_ = os.WriteFile(file, []byte(strings.Replace(proof, "index 2", "index 1", 1)), 0o600)
	want(t, 1, "is invalid", "check", "-key", vkey, file)
	_ = os.WriteFile(file, []byte("x"), 0o600)
	want(t, 2, "malformed", "check", "-key", vkey, file)
}
