package follow_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/redoubt-go/redoubt/logscan/follow"
)

// TestMain runs a follower in place of the tests if a test has started it.
func TestMain(m *testing.M) {
	dir := os.Getenv("FOLLOW_KILL_DIR")
	if dir == "" {
		os.Exit(m.Run())
	}
	path, state := filepath.Join(dir, "app.log"), filepath.Join(dir, "app.log-checkpoint")
	out, err := os.OpenFile(filepath.Join(dir, "out"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		panic(err)
	}
	f := follow.Follower{Path: path, Poll: time.Millisecond}
	if c, err := follow.LoadCheckpoint(state); err == nil {
		f.From = &c
	}
	for rec, err := range f.Records(context.Background()) {
		if err != nil {
			fmt.Fprintf(out, "error %v\n", err)
			continue
		}
		fmt.Fprintf(out, "%s\n", rec.Line)
		if err := follow.SaveCheckpoint(state, rec.Checkpoint()); err != nil {
			panic(err)
		}
	}
}

// A process that is killed again and again, while the log is written and
// rotated, loses nothing and leaves at most one temporary file.
func TestKills(t *testing.T) {
	kills := 200
	if testing.Short() || raceEnabled {
		kills = 20
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "app.log")
	n := 0
	for i := range kills {
		for range 3 {
			put(t, path, fmt.Sprintf("line %d\n", n))
			n++
		}
		if i%7 == 6 {
			if err := os.Rename(path, fmt.Sprintf("%s.%d", path, 20260000+i)); err != nil {
				t.Fatal(err)
			}
		}
		put(t, path, fmt.Sprintf("line %d\n", n))
		n++
		c := exec.Command(os.Args[0])
		c.Env = append(os.Environ(), "FOLLOW_KILL_DIR="+dir)
		if i == 0 {
			c.Env = append(c.Env, "GOMAXPROCS=1")
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(5+i%20) * time.Millisecond)
		for range 3000 { // the first run must save a checkpoint
			if _, err := os.Stat(path + "-checkpoint"); i > 0 || err == nil {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		c.Process.Kill()
		c.Wait()
	}
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), "FOLLOW_KILL_DIR="+dir)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	defer c.Wait()
	defer c.Process.Kill()
	var text []byte
	for range 200 {
		time.Sleep(50 * time.Millisecond)
		if text, _ = os.ReadFile(filepath.Join(dir, "out")); bytes.Contains(text, fmt.Appendf(nil, "line %d\n", n-1)) {
			break
		}
	}
	for i := range n {
		if !bytes.Contains(append([]byte("\n"), text...), fmt.Appendf(nil, "\nline %d\n", i)) {
			t.Errorf("line %d of %d was lost", i, n)
		}
	}
	if bytes.Contains(text, []byte("error")) {
		t.Errorf("got errors: %s", text[bytes.Index(text, []byte("error")):][:300])
	}
	left, _ := filepath.Glob(path + "-checkpoint.*")
	if len(left) > 1 {
		t.Errorf("got temporary files %q", left)
	}
}
