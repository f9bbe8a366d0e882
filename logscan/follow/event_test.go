package follow_test

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redoubt-go/redoubt/logscan/follow"
)

// The events and the numbers of a log that grows, is rotated, is cut, and is
// removed.
func TestEventsAndStats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newModel()
		var events []string
		counters := &follow.Counters{Name: "n"}
		f := follow.Follower{Name: "app", Path: "log", Stats: counters}
		f.OnEvent = func(_ context.Context, e follow.Event) {
			checkEqual(t, e.Name+" "+e.Path, "app log")
			events = append(events, fmt.Sprintf("%v %d", e.Kind, e.Offset))
		}
		m.create("log").write("a\nhalf")
		w := watch(t, f.On(m))
		pass(poll)
		checkEqual(t, counters.Stats().LagBytes, int64(4))
		m.rename("log", "log.1")
		m.create("log").write("b\n")
		pass(5 * time.Second)
		m.names["log"].set("")
		pass(5 * time.Second)
		m.names["log"].write("c\n")
		pass(5 * time.Second)
		m.remove("log")
		pass(5 * time.Second)
		w.stop()
		checkEqual(t, events, []string{
			"opened 0", "caught up 2", "rotated 2", "opened 0", "caught up 2", "truncated 2", "opened 0", "gap 2", "caught up 2",
			"rotated 2", "gone 2",
		})
		st := counters.Stats()
		checkEqual(t, st, follow.Stats{Name: "n", Files: 3, ReadBytes: 10, Rotations: 2, Truncations: 1, Gaps: 1})
	})
}

// A log with much to read does not keep another from its turn.
func TestDirIsFair(t *testing.T) {
	dir := t.TempDir()
	put(t, filepath.Join(dir, "a.log"), strings.Repeat("0123456789abcde\n", 4<<20/16))
	put(t, filepath.Join(dir, "b.log"), "b\n")
	n := 0
	for rec, err := range (follow.Dir{Match: []string{dir}}).Records(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if string(rec.Line) == "b" {
			break
		}
		n++
	}
	if n > 1<<20/16 {
		t.Errorf("got %d lines before the other log, want at most a MiB", n)
	}
}

// unnumbered is a file system without numbers of files.
type unnumbered struct{ *model }

func (unnumbered) ID(fs.FileInfo) (dev, ino uint64) { return 0, 0 }

func TestRotationWithoutNumbers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newModel()
		m.create("log").write("first\n")
		w := watch(t, follow.Follower{Path: "log"}.On(unnumbered{m}))
		for i := range 5 {
			pass(poll)
			m.names["log"].write(fmt.Sprintf("late %d\n", i))
			m.rename("log", fmt.Sprintf("log.%d", 1000+i))
			m.create("log").write(fmt.Sprintf("%d is a line of the next file\n", i)[:9*(i%3+1)] + "\n")
			pass(poll)
		}
		pass(time.Minute)
		w.stop()
		want := []string{"first"}
		for i := range 5 {
			want = append(want, fmt.Sprintf("late %d", i), fmt.Sprintf("%d is a line of the next file", i)[:9*(i%3+1)])
		}
		checkEqual(t, w.lines, want)
		checkEqual(t, w.gaps, 0)
	})
}

// The kubelet renames the file, packs the file before with a new time, and the
// container goes on in a new file. Docker shifts numbers and packs the second.
func TestRotationOfContainers(t *testing.T) {
	for name, rotate := range map[string]func(m func(string) string, i int){
		"kubelet": func(in func(string) string, i int) {
			os.Rename(in("0.log"), in(fmt.Sprintf("0.log.20261129-%06d", i)))
			if old := in(fmt.Sprintf("0.log.20261129-%06d", i-1)); i > 0 {
				text, _ := os.ReadFile(old)
				gzipFile(t, old+".tmp", string(text))
				os.Rename(old+".tmp", old+".gz")
				os.Remove(old)
			}
		},
		"docker": func(in func(string) string, i int) {
			for n := i; n > 1; n-- {
				os.Rename(in(fmt.Sprintf("0.log.%d.gz", n)), in(fmt.Sprintf("0.log.%d.gz", n+1)))
			}
			if text, err := os.ReadFile(in("0.log.1")); err == nil {
				gzipFile(t, in("0.log.2.gz"), string(text))
				os.Remove(in("0.log.1"))
			}
			os.Rename(in("0.log"), in("0.log.1"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			in := func(name string) string { return filepath.Join(dir, name) }
			put(t, in("0.log"), "0\n")
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			var got, want []string
			for rec, err := range (follow.Follower{Path: in("0.log"), Poll: 2 * time.Millisecond}).Records(ctx) {
				if err != nil {
					t.Fatal(err)
				}
				if got = append(got, string(rec.Line)); len(got)%3 != 1 {
					continue
				}
				if len(got) > 15 {
					break
				}
				put(t, in("0.log"), fmt.Sprintln(len(got)))
				rotate(in, len(got)/3)
				put(t, in("0.log"), fmt.Sprintf("%d\n%d\n", len(got)+1, len(got)+2))
			}
			for i := range len(got) {
				want = append(want, fmt.Sprint(i))
			}
			if !slices.Equal(got, want) {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}
