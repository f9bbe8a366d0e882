package follow_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redoubt-go/redoubt/logscan/follow"
)

// gather returns the records of a Dir that stops at the end, as "file:line".
func gather(t *testing.T, d follow.Dir) (got []string) {
	t.Helper()
	d.Follower.StopAtEOF = true
	for rec, err := range d.Records(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, filepath.Base(rec.Source)+":"+string(rec.Line))
	}
	slices.SortStableFunc(got, func(a, b string) int { return strings.Compare(a[:5], b[:5]) }) // each log has its order
	return got
}

func put(t *testing.T, name, text string) {
	t.Helper()
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
}

// One state file continues all logs, also those that were rotated meanwhile.
// Rotated and packed files are not logs of their own.
func TestDirContinues(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	d := follow.Dir{Match: []string{dir}, Exclude: []string{"*.pid"}, State: in("state")}
	put(t, in("a.log"), "a1\na2\n")
	put(t, in("b.log"), "b1\nhalf")
	put(t, in("c.log.1"), "old\n")
	put(t, in("c.log"), "c1\n")
	put(t, in("d.log.gz"), "not a log\n")
	put(t, in("e.pid"), "1\n")
	checkEqual(t, gather(t, d), []string{"a.log:a1", "a.log:a2", "b.log:b1", "c.log:c1"})
	checkEqual(t, gather(t, d), []string(nil))
	put(t, in("a.log"), "a3\n")
	if err := os.Rename(in("a.log"), in("a.log.1")); err != nil {
		t.Fatal(err)
	}
	put(t, in("a.log"), "a4\n")
	put(t, in("b.log"), " done\n")
	put(t, in("f.log"), "f1\n")
	checkEqual(t, gather(t, d), []string{"a.log:a3", "a.log:a4", "b.log:half done", "f.log:f1"})
	checkEqual(t, gather(t, d), []string(nil))
	text, err := os.ReadFile(in("state"))
	if err != nil || strings.Count(string(text), "\n") != 5 {
		t.Errorf("got %q, %v, want a heading and 4 lines", text, err)
	}
	put(t, in("state"), "x")
	for _, err := range d.Records(t.Context()) {
		checkIs(t, err, follow.ErrCheckpoint)
	}
}

// A record counts as handled when the loop asks for the next: the record at
// which a loop breaks comes again.
func TestDirRepeatsTheRecordOfABreak(t *testing.T) {
	dir := t.TempDir()
	put(t, filepath.Join(dir, "a.log"), "1\n2\n3\n")
	d := follow.Dir{Match: []string{dir + "/*.log"}, State: filepath.Join(dir, "state")}
	n := 0
	for range d.Records(t.Context()) {
		if n++; n == 2 {
			break
		}
	}
	checkEqual(t, gather(t, d), []string{"a.log:2", "a.log:3"})
}

// With fewer open files than logs, nothing is lost: not at rotations, and not
// in files that come later.
func TestDirWithFewOpenFiles(t *testing.T) {
	dir := t.TempDir()
	const files, rounds = 30, 6
	var stats follow.Counters
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	d := follow.Dir{
		Match: []string{dir + "/*.log"}, MaxOpen: 3, Discover: 20 * time.Millisecond,
		Follower: follow.Follower{Poll: 5 * time.Millisecond, Linger: 50 * time.Millisecond, Stats: &stats},
	}
	got := map[string]int{}
	n := 0
	seen := make(chan bool, files) // all are found before the first rotation
	go func() {
		for round := range rounds {
			for range files {
				if round == 1 {
					<-seen
				}
			}
			for i := range files {
				name := fmt.Sprintf("%s/%d.log", dir, i)
				if f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600); err == nil {
					fmt.Fprintf(f, "line %d of %d\n", round, i)
					f.Close()
				}
				if i%3 == round%3 && round > 0 {
					os.Rename(name, fmt.Sprintf("%s.202611%02d", name, round))
				}
			}
			time.Sleep(40 * time.Millisecond)
		}
		for i := range files {
			if f, err := os.OpenFile(fmt.Sprintf("%s/%d.log", dir, i), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600); err == nil {
				fmt.Fprintf(f, "end\n")
				f.Close()
			}
		}
	}()
	most := int64(0)
	for rec, err := range d.Records(ctx) {
		if err != nil {
			if gap := (*follow.GapError)(nil); errors.As(err, &gap) {
				continue // told: may have been removed
			}
			t.Fatal(err)
		}
		most = max(most, stats.Stats().Open)
		if string(rec.Line) == "end" {
			if n++; n == files {
				break
			}
			continue
		}
		if got[string(rec.Line)]++; strings.HasPrefix(string(rec.Line), "line 0 ") {
			seen <- true
		}
	}
	for round := range rounds {
		for i := range files {
			if line := fmt.Sprintf("line %d of %d", round, i); got[line] != 1 {
				t.Errorf("got %q %d times, want once", line, got[line])
			}
		}
	}
	checkEqual(t, stats.Stats().Open, int64(0))
}

// No more than MaxOpen files at rest stay open, in addition to the file that is
// read.
func TestDirBoundsOpenFiles(t *testing.T) {
	dir := t.TempDir()
	for i := range 50 {
		put(t, fmt.Sprintf("%s/%d.log", dir, i), "line\n")
	}
	var stats follow.Counters
	n := 0
	d := follow.Dir{Match: []string{dir}, MaxOpen: 5, Follower: follow.Follower{StopAtEOF: true, Stats: &stats}}
	for range d.Records(t.Context()) {
		n++
		if open := stats.Stats().Open; open > 6 {
			t.Errorf("after %d records: got %d open files, want at most 6", n, open)
		}
	}
	checkEqual(t, n, 50)
}

// 10,000 files at rest take at most 5 KiB each.
func TestDirMemory(t *testing.T) {
	if testing.Short() || raceEnabled {
		t.Skip("writes 10,000 files")
	}
	dir := t.TempDir()
	const files = 10_000
	line := strings.Repeat("x", 1999) + "\n"
	for i := range files {
		put(t, fmt.Sprintf("%s/%05d.log", dir, i), line)
	}
	d := follow.Dir{Match: []string{dir}, State: filepath.Join(t.TempDir(), "state")}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	n := 0
	d.Follower.OnEvent = func(_ context.Context, e follow.Event) {
		if e.Kind != follow.KindCaughtUp || n < files || after.HeapAlloc > 0 {
			return
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		cancel()
	}
	for _, err := range d.Records(ctx) {
		if err != nil {
			break
		}
		n++
	}
	each := (int64(after.HeapAlloc) - int64(before.HeapAlloc)) / files
	t.Logf("%d bytes a file", each)
	if n != files || each > 5<<10 {
		t.Errorf("got %d records and %d bytes a file, want %d and at most 5 KiB", n, each, files)
	}
}

func TestDirValidate(t *testing.T) {
	err := follow.Dir{
		Follower: follow.Follower{Path: "x", From: new(follow.Checkpoint), Poll: -1}, Exclude: []string{"["},
		MaxOpen: -1, Discover: -1,
	}.Validate()
	checkEqual(t, err.Error(), "follow: Poll is -1ns, want at least 0 (250ms)\n"+
		"follow: Follower.Path is \"x\", want none in a Dir\n"+
		"follow: Follower.From is set, want nil in a Dir\nfollow: Match is missing\n"+
		"follow: Exclude[0] is \"[\", want a pattern of filepath.Match\n"+
		"follow: MaxOpen is -1, want at least 0 (256)\nfollow: Discover is -1ns, want at least 0 (5s)")
	checkEqual(t, follow.Dir{Match: []string{"*.log"}}.Validate(), nil)
	for _, err := range (follow.Dir{}).Records(t.Context()) {
		checkEqual(t, err.Error(), "follow: Match is missing")
	}
}

// The files of containers are links to links, and rotation happens beside the
// last target. In between, a container restarts: the link leads elsewhere.
func TestDirOfContainers(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	for _, d := range []string{"containers", "pods", "docker"} {
		if err := os.Mkdir(in(d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	link := func(to, name string) {
		os.Remove(in(name))
		if err := os.Symlink(in(to), in(name)); err != nil {
			t.Fatal(err)
		}
	}
	put(t, in("docker/c-json.log"), "1\n")
	link("docker/c-json.log", "pods/0.log")
	link("pods/0.log", "containers/c.log")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var got []string
	d := follow.Dir{Match: []string{in("containers/*.log")}, Follower: follow.Follower{Poll: 5 * time.Millisecond}}
	for rec, err := range d.Records(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, string(rec.Line))
		switch string(rec.Line) {
		case "1": // two rotations between two looks
			put(t, in("docker/c-json.log"), "2\n")
			os.Rename(in("docker/c-json.log"), in("docker/c-json.log.2"))
			put(t, in("docker/c-json.log"), "3\n")
			os.Rename(in("docker/c-json.log"), in("docker/c-json.log.1"))
			put(t, in("docker/c-json.log"), "4\n")
		case "4":
			put(t, in("docker/c-json.log"), "5\n")
			put(t, in("docker/d-json.log"), "6\n")
			link("docker/d-json.log", "pods/0.log")
		case "6":
			cancel()
		}
		if ctx.Err() != nil {
			break
		}
	}
	if want := []string{"1", "2", "3", "4", "5", "6"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
