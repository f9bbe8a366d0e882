package scan_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/redoubt-go/redoubt/contrib/nats/scan"
	"github.com/redoubt-go/redoubt/logscan"
)

// A role is a process of this test binary.
type role struct {
	Kind string // worker, coordinator, web
	URL  string
	Name string
	Dir  string        // of the logs
	Out  string        // file for the answer of a coordinator
	Slow time.Duration // of every task
	Max  int           // MaxAttempts
	Wait time.Duration // AckWait
	Task int64
}

const roleVar = "SCAN_TEST_ROLE"

// TestMain runs the tests, or a role in place of them.
func TestMain(m *testing.M) {
	if text := os.Getenv(roleVar); text != "" {
		var r role
		if _, err := fmt.Sscanf(text, "%q %q %q %q %q %d %d %d %d", &r.Kind, &r.URL, &r.Name, &r.Dir, &r.Out, &r.Slow, &r.Max, &r.Wait, &r.Task); err != nil {
			panic(err)
		}
		if err := r.run(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func (r *role) run() error {
	nc, err := nats.Connect(r.URL, nats.MaxReconnects(-1), nats.RetryOnFailedConnect(true))
	if err != nil {
		return err
	}
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	if r.Kind == "web" {
		runtime.GOMAXPROCS(1)
		return webJob(r.Name).Work(context.Background(), js)
	}
	j := r.job()
	if r.Kind == "worker" {
		return j.Work(context.Background(), js)
	}
	j.OnEvent = func(_ context.Context, e scan.Event) { fmt.Println(e.Kind, e.Merged) }
	a, err := j.Run(context.Background(), js, folder(r.Dir))
	if err != nil {
		return err
	}
	return os.WriteFile(r.Out, a.Bytes(), 0o600)
}

// job returns the Job of a role. A line with the word poison ends its process.
func (r *role) job() scan.Job[*text] {
	j := job(r.Name, newText)
	j.Scanner.Parser = fatalParser{}
	j.Ahead, j.MaxAttempts, j.AckWait, j.Task = 16, r.Max, r.Wait, r.Task
	j.Open = func(_ context.Context, name string) (io.ReadCloser, error) {
		time.Sleep(r.Slow)
		return os.Open(name)
	}
	return j
}

// webJob returns the Job of the measurement of speed.
func webJob(name string) scan.Job[*web] {
	return scan.Job[*web]{
		Name: name, Program: "web/1", Open: openFile, New: newWeb,
		Scanner: logscan.Scanner{Parser: logscan.JSON("route", "ms")}, Task: 16 << 20,
	}
}

type fatalParser struct{}

func (fatalParser) Parse(r *logscan.Record) error {
	if bytes.Contains(r.Line, []byte("poison")) {
		os.Exit(3)
	}
	return nil
}

// folder returns the files of a folder with their absolute names.
func folder(dir string) logscan.Inputs {
	paths, err := filepath.Glob(filepath.Join(dir, "*.log"))
	if err != nil {
		panic(err)
	}
	slices.Sort(paths)
	return logscan.Files(paths...)
}

// A process is a role that runs.
type process struct {
	cmd   *exec.Cmd
	lines chan string // of its output, closed at its end
	done  chan struct{}
}

// launch starts a role, which is killed at the end of the test.
func launch(t testing.TB, r role) *process {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "GOCOVERDIR=", fmt.Sprintf("%s=%q %q %q %q %q %d %d %d %d", roleVar,
		r.Kind, r.URL, r.Name, r.Dir, r.Out, r.Slow, r.Max, r.Wait, r.Task))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &process{cmd: cmd, lines: make(chan string, 10_000), done: make(chan struct{})}
	go func() {
		defer close(p.done)
		for s := bufio.NewScanner(out); s.Scan(); {
			p.lines <- s.Text()
		}
		close(p.lines)
		_ = cmd.Wait()
	}()
	t.Cleanup(p.kill)
	return p
}

// kill ends the process as kill -9 does.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// ended reports whether the process has ended.
func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// checkNoLeak reports goroutines of the package that are left.
func checkNoLeak(t *testing.T) {
	t.Helper()
	left := ""
	for range 100 {
		buf := make([]byte, 1<<20)
		left = string(buf[:runtime.Stack(buf, true)])
		if !strings.Contains(left, "nats/scan.") && !strings.Contains(left, "redoubt/logscan.") {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Errorf("goroutines are left:\n%s", left)
}
