package follow_test

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redoubt-go/redoubt/logscan"
	"github.com/redoubt-go/redoubt/logscan/follow"
)

func TestResumeAfterARestart(t *testing.T) {
	long := strings.Repeat("0123456789\n", 300)
	for name, change := range map[string]func(m *model){
		"as it was":  func(*model) {},
		"renamed":    func(m *model) { m.rename("log", "log.1"); m.create("log").write("new\n") },
		"compressed": func(m *model) { m.rename("log", "log.1"); m.pack("log.1"); m.create("log").write("new\n") },
		"truncated":  func(m *model) { m.names["log"].set("new\n") },
		"other file": func(m *model) { m.create("log").write(long + "new\n") },
		"number reused": func(m *model) {
			id := m.names["log"].id
			m.rename("log", "log.1")
			m.names["log.1"].id = -1
			m.create("log").write("new\n")
			m.names["log"].id = id
		},
		"number reused, longer": func(m *model) {
			id := m.names["log"].id
			m.create("log").write(strings.Repeat("x", len(long)+100) + "\nnew\n")
			m.names["log"].id = id
		},
		"same head": func(m *model) { m.create("log").write(long + "LAST\nnew\n") },
		"same tail": func(m *model) { m.create("log").write("X" + long[1:] + "last\nnew\n") },
		"same bytes": func(m *model) {
			m.rename("log", "log.1")
			m.create("log").write(long + "last\nnew\n")
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newModel()
				m.create("log").write(long + "last\n")
				f := follow.Follower{Path: "log"}.On(m)
				w := watch(t, f)
				pass(poll)
				w.stop()
				m.names["log"].write("more\n")
				change(m)
				f.From = &w.last
				w = watch(t, f)
				pass(time.Minute)
				w.stop()
				want, gaps := []string{"more", "new"}, 0
				switch name {
				case "number reused":
					gaps = 1 // as if the file had been copied and cut
				case "as it was":
					want = want[:1]
				case "truncated":
					want, gaps = want[1:], 1
				case "other file":
					want, gaps = append(strings.Fields(long), "new"), 1
				case "number reused, longer":
					want, gaps = []string{strings.Repeat("x", len(long)+100), "new"}, 1
				case "same head":
					want, gaps = append(strings.Fields(long), "LAST", "new"), 1
				case "same tail":
					want, gaps = append(strings.Fields("X"+long[1:]), "last", "new"), 1
				case "same bytes":
					want = append(append([]string{"more"}, strings.Fields(long)...), "last", "new")
				}
				if diff := cmp.Diff(want, w.lines); diff != "" || w.gaps != gaps {
					t.Errorf("got %d gaps, want %d: %s", w.gaps, gaps, diff)
				}
			})
		})
	}
}

// The file is cut and grows beyond a place before a checkpoint is taken of it.
// The checkpoint is not a place in the new bytes.
func TestCheckpointOfCutFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newModel()
		m.create("log").write("one\ntwo\n")
		f := follow.Follower{Path: "log"}.On(m)
		var c follow.Checkpoint
		for rec := range f.Records(t.Context()) {
			m.names["log"].set("ONE\nTWO\nTHREE\n")
			c = rec.Checkpoint()
			break
		}
		f.From = &c
		w := watch(t, f)
		pass(poll)
		w.stop()
		if diff := cmp.Diff([]string{"ONE", "TWO", "THREE"}, w.lines); diff != "" || w.gaps != 1 {
			t.Errorf("got %d gaps, want 1: %s", w.gaps, diff)
		}
	})
}

// A checkpoint of a missing file is an error with the path and the offset.
func TestForeignCheckpoint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newModel()
		m.create("log").write("one\n")
		var c follow.Checkpoint
		if err := c.UnmarshalText([]byte("follow-checkpoint v2 w4096:2c8b08da5ce60398e1f19af0e5dccc74:1:77:0:00000000000000000000000000000000")); err != nil {
			t.Fatal(err)
		}
		for _, err := range (follow.Follower{Path: "log", From: &c}).On(m).Records(t.Context()) {
			var gap *follow.GapError
			var in *logscan.InputError
			if !errors.As(err, &gap) || !errors.As(err, &in) || gap.Path != "log" || gap.Offset != 4096 || gap.Lost != -1 || in.Name != "log" {
				t.Errorf("got %v, want a gap at byte 4096 of log", err)
			}
			break
		}
	})
}

func TestCheckpointFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "checkpoint")
	var c follow.Checkpoint
	if err := c.UnmarshalText([]byte("follow-checkpoint v2 w4:2c8b08da5ce60398e1f19af0e5dccc74:2049:131:7:00000000000000000000000000000000")); err != nil {
		t.Fatal(err)
	}
	if err := follow.SaveCheckpoint(name, c); err != nil {
		t.Fatal(err)
	}
	if got, err := follow.LoadCheckpoint(name); !reflect.DeepEqual(got, c) || err != nil {
		t.Errorf("got %+v, %v, want %+v", got, err, c)
	}
	const good = "follow-checkpoint v2 w4:2c8b08da5ce60398e1f19af0e5dccc74:1:2:3:00000000000000000000000000000000"
	for _, text := range []string{
		"", "follow-checkpoint v2 ", good + "x", good + " ", "x" + good, good[:60], good + " 4:2c8b",
		"follow-checkpoint v2 w-4:2c8b08da5ce60398e1f19af0e5dccc74:1:2:3:00000000000000000000000000000000", "follow-checkpoint v1 4:2c8b08da5ce60398e1f19af0e5dccc74:1:2:3",
		good + strings.Repeat(" w4:2c8b08da5ce60398e1f19af0e5dccc74:1:2:3:00000000000000000000000000000000", 64), strings.Repeat("x", 1000),
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := follow.LoadCheckpoint(name)
		checkIs(t, err, follow.ErrCheckpoint)
	}
	files, _ := os.ReadDir(filepath.Dir(name))
	if len(files) != 1 {
		t.Errorf("got %d files, want no temporary one", len(files))
	}
}

func FuzzCheckpoint(f *testing.F) {
	f.Add("follow-checkpoint v2 w4:2c8b08da5ce60398e1f19af0e5dccc74:0:0:0:00000000000000000000000000000000")
	f.Add("follow-checkpoint v2 w4:2c8b08da5ce60398e1f19af0e5dccc74:2049:131:7:00000000000000000000000000000000")
	f.Fuzz(func(t *testing.T, s string) {
		var c follow.Checkpoint
		if c.UnmarshalText([]byte(s)) != nil {
			return
		}
		if again, _ := c.MarshalText(); string(again) != s {
			t.Errorf("got %q, want %q", again, s)
		}
	})
}
