package main_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
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
	return commandOn(t, "", args...)
}

// commandOn runs the command with an input.
func commandOn(t *testing.T, input string, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	c := exec.Command(os.Args[0], args...)
	c.Env = append(os.Environ(), "LEDGER_TEST_COMMAND=1")
	c.Stdin = strings.NewReader(input)
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
		{"verify", "-closed", dir},
		{"verify", "-incremental", dir},
		{"head", t.TempDir()},
		{"head", "-key", "no+key", dir},
		{"rotate", t.TempDir()},
		{"rotate", "-sign", "nofile", dir},
		{"append"},
		{"follow", "-cursor", os.Args[0], dir},
		{"follow", filepath.Join(dir, "none")},
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
	for _, name := range []string{"append", "rotate", "head", "follow", "verify", "cat", "prove", "check", "keygen"} {
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

// A log that only the command writes.
func TestAppendRotateHead(t *testing.T) {
	secret, dir := filepath.Join(t.TempDir(), "key"), filepath.Join(t.TempDir(), "log")
	vkey := strings.TrimSpace(want(t, 0, "+", "keygen", "example.com/log", secret))
	event := `{"actor":{"id":"alice"},"action":"pay","outcome":"success","reason":"r%d"}` + "\n"
	add := func(status, n int, extra string) string {
		t.Helper()
		input := ""
		for i := range n {
			input += fmt.Sprintf(event, i)
		}
		got, out, errs := commandOn(t, input+extra, "append", "-sign", secret, dir)
		if got != status || !strings.Contains(out, ":") {
			t.Fatalf("status %d, want %d: %s%s", got, status, out, errs)
		}
		return strings.TrimSpace(out)
	}
	known := add(0, 3, "")
	want(t, 0, "sealed up to 6", "verify", "-key", vkey, "-closed", dir)
	want(t, 0, "5:", "head", "-key", vkey, dir)
	note := filepath.Join(t.TempDir(), "note")
	_ = os.WriteFile(note, []byte(want(t, 0, "example.com/log\n5\n", "head", "-note", dir)), 0o600)
	want(t, 0, "", "rotate", "-sign", secret, dir)
	add(2, 2, "{}\n")
	add(2, 0, "x\n")
	for _, k := range []string{known, note} {
		want(t, 0, "clean: example.com/log: ", "verify", "-key", vkey, "-known", k, "-closed", dir)
		want(t, 0, "clean: example.com/log: ", "verify", "-key", vkey, "-known", k, "-incremental", dir)
	}
	if _, out, _ := command(t, "cat", dir); strings.Count(out, "\n") != 5 {
		t.Errorf("not 5 events: %s", out)
	}
	// A line of cat is the line of its proof.
	out := want(t, 0, `{"seq":2,"prev":"`, "cat", "-from", "2", "-lines", dir)
	line, _, _ := strings.Cut(out, "\n")
	var p ledger.Proof
	if err := p.UnmarshalText([]byte(want(t, 0, "", "prove", dir, "2"))); err != nil || string(p.Line) != line {
		t.Errorf("%v: line %s, want %s", err, p.Line, line)
	}
	if got, _, errs := commandOn(t, "", "append", dir); got != 0 {
		t.Errorf("append without a key: %d, %s", got, errs)
	}
	_ = os.Remove(filepath.Join(dir, "mark"))
	want(t, 1, "mark", "rotate", "-sign", secret, dir)
}

// Follow continues at its cursor and ends with status 0 when it is interrupted.
func TestFollow(t *testing.T) {
	dir, _ := log(t)
	cursor := filepath.Join(t.TempDir(), "cursor")
	follow := func(lines int, args ...string) (out string) {
		t.Helper()
		c := exec.Command(os.Args[0], append(append([]string{"follow"}, args...), dir)...)
		c.Env = append(os.Environ(), "LEDGER_TEST_COMMAND=1")
		r, err := c.StdoutPipe()
		if err == nil {
			err = c.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		in := bufio.NewReader(r)
		for range lines {
			line, err := in.ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			out += line
		}
		time.Sleep(50 * time.Millisecond) // for the cursor, and for lines too many
		_ = c.Process.Signal(os.Interrupt)
		rest, _ := io.ReadAll(in)
		if err := c.Wait(); err != nil || len(rest) > 0 {
			t.Errorf("%v, more: %s", err, rest)
		}
		return out
	}
	if got := follow(3, "-cursor", cursor); !strings.HasPrefix(got, "2 ") {
		t.Errorf("got %s", got)
	}
	follow(0, "-cursor", cursor)
	if got := follow(1, "-from", "4"); !strings.HasPrefix(got, "4 ") {
		t.Errorf("got %s", got)
	}
	_ = os.WriteFile(cursor, []byte("3:"+ledger.Hash{1}.String()), 0o600)
	want(t, 1, "does not continue", "follow", "-cursor", cursor, dir)
}
