package main_test

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	semvercmd "github.com/redoubt-go/redoubt/semver/cmd/semver"
)

var update = flag.Bool("update", false, "write the files with the expected output")

// TestMain runs the command in place of the tests if a test requests it.
func TestMain(m *testing.M) {
	if os.Getenv("SEMVER_TEST_COMMAND") == "1" {
		semvercmd.Main()
		return
	}
	os.Exit(m.Run())
}

// TestTasks runs the command lines of testdata/tasks.txt in a shell. The README
// shows the same lines.
func TestTasks(t *testing.T) {
	sh, err := exec.LookPath("sh")
	if err != nil || runtime.GOOS == "windows" {
		t.Skip("needs a POSIX shell")
	}
	bin := t.TempDir()
	if err := os.Symlink(executable(t), filepath.Join(bin, "semver")); err != nil {
		t.Fatal(err)
	}
	env := append(os.Environ(), "SEMVER_TEST_COMMAND=1", "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	const name = "testdata/tasks.txt"
	want := read(t, name)
	var got strings.Builder
	tasks := 0
	for line := range strings.Lines(want) {
		command, ok := strings.CutPrefix(strings.TrimSpace(line), "$ ")
		switch {
		case strings.HasPrefix(line, "# "):
			if tasks > 0 {
				got.WriteString("\n")
			}
			tasks++
			got.WriteString(line)
			continue
		case !ok:
			continue // the output, which is compared
		}
		c := exec.Command(sh, "-c", command)
		c.Dir, c.Env = "testdata/tasks", env
		out, err := c.CombinedOutput()
		if c.ProcessState == nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&got, "$ %s\n%s", command, out)
		if code := c.ProcessState.ExitCode(); code != 0 {
			fmt.Fprintf(&got, "exit status %d\n", code)
		}
	}
	golden(t, name, got.String())
	if tasks != 5 {
		t.Errorf("%d tasks, want 5", tasks)
	}
}

// TestPagesShowTasks checks that the command lines of the README and of
// docs/semver.md are those that TestTasks runs, with their output.
func TestPagesShowTasks(t *testing.T) {
	tasks := read(t, "testdata/tasks.txt")
	for page, want := range map[string]int{"README.md": 1, "docs/semver.md": 5} {
		shown := 0
		for block := range strings.SplitSeq(read(t, "../../../"+page), "```") {
			body, ok := strings.CutPrefix(block, "console\n$ semver ")
			if !ok {
				continue
			}
			shown++
			if !strings.Contains(tasks, strings.TrimSpace("$ semver "+body)) {
				t.Errorf("%s: not in testdata/tasks.txt: %s", page, body)
			}
		}
		if shown != want {
			t.Errorf("%s shows %d tasks, want %d", page, shown, want)
		}
	}
}

func executable(t *testing.T) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// golden compares a text with a file, or writes the file with -update.
func golden(t *testing.T, name, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(read(t, name), got); diff != "" {
		t.Errorf("%s, -want +got:\n%s", name, diff)
	}
}
