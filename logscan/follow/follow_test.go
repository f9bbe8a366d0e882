package follow_test

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redoubt-go/redoubt/logscan"
	"github.com/redoubt-go/redoubt/logscan/follow"
)

func TestNoHalfLines(t *testing.T) {
	expect(t, follow.Follower{}, "one two", 0, func(m *model, w *watched) {
		n := m.create("log")
		n.write("one\ntw")
		pass(time.Hour)
		if len(w.lines) != 1 {
			t.Errorf("got %q", w.lines)
		}
		n.write("o\nhalf")
	})
}

// break and panic close the file. So does the end of ctx, as all tests show.
func TestLoopLeft(t *testing.T) {
	m := newModel()
	m.create("log").write("a\nb\n")
	f := follow.Follower{Path: "log"}.On(m)
	for range f.Records(t.Context()) {
		break
	}
	func() {
		defer func() { recover() }()
		for range f.Records(t.Context()) {
			panic("in the body")
		}
	}()
	if m.open != 0 {
		t.Errorf("got %d files left open", m.open)
	}
}

func TestRotation(t *testing.T) {
	expect(t, follow.Follower{}, "a b c late", 0, func(m *model, w *watched) {
		old := m.create("log")
		old.write("a\n")
		pass(poll)
		old.write("b\n")
		m.rename("log", "log.1")
		m.create("log").write("c\n")
		pass(poll)
		old.write("late\n")
	})
	expect(t, follow.Follower{Linger: -1}, "a b c d", 0, func(m *model, w *watched) { // two rotations between polls
		m.create("log").write("a\n")
		pass(poll)
		m.names["log"].write("b\n")
		m.rename("log", "log.2")
		m.create("log").write("c\n")
		m.rename("log", "log.1")
		m.pack("log.2")
		m.pack("log.1")
		m.create("log").write("d\n")
	})
	expect(t, follow.Follower{}, "a b", 0, func(m *model, w *watched) { // removed and not created again
		n := m.create("log")
		n.write("a\n")
		pass(poll)
		m.rename("log", "elsewhere")
		pass(poll)
		n.write("b\n")
	})
	expect(t, follow.Follower{Rotated: []string{"*"}}, "a b late c", 0, func(m *model, w *watched) { // the patterns match the file itself
		m.create("log").write("a\n")
		pass(poll)
		m.rename("log", "log.2")
		second := m.create("log")
		second.write("b\n")
		m.rename("log", "log.1")
		m.create("log").write("c\n")
		second.write("late\n")
	})
	expect(t, follow.Follower{}, "a~ b", 0, func(m *model, w *watched) { // a line without an end
		m.create("log").write("a")
		pass(poll)
		m.rename("log", "log.1")
		m.create("log").write("b\n")
	})
}

func TestRotationMeetsOtherChanges(t *testing.T) {
	expect(t, follow.Follower{}, "a b c", 1, func(m *model, w *watched) { // the file is removed: others may be, too
		m.create("log").write("a\n")
		pass(poll)
		m.remove("log")
		m.create("log").write("b\n")
		m.rename("log", "log.1")
		m.create("log").write("c\n")
	})
	expect(t, follow.Follower{}, "a b c", 0, func(m *model, w *watched) { // a file has its name again
		m.create("log").write("a\n")
		pass(poll)
		m.rename("log", "log.1")
		m.create("log").write("b\n")
		pass(time.Minute)
		m.remove("log")
		m.rename("log.1", "log")
		m.names["log"].write("c\n")
	})
	expect(t, follow.Follower{}, "a b c", 0, func(m *model, w *watched) { // a file is being packed
		m.create("log").write("a\n")
		pass(poll)
		m.rename("log", "log.2")
		m.create("log").write("b\n")
		m.copy("log", "log.1")
		m.pack("log.1")
		m.rename("log", "log.1")
		m.create("log").write("c\n")
	})
}

// After a restart, small numbers grow if the times of the files show it.
func TestNumbersThatGrow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newModel()
		m.create("log").write("a\n")
		f := follow.Follower{Path: "log"}.On(m)
		w := watch(t, f)
		pass(poll)
		w.stop()
		m.remove("log")
		for i := range 4 {
			m.create(fmt.Sprintf("log.%d", i+1)).write(fmt.Sprintf("%d\n", i))
		}
		m.create("log").write("b\n")
		f.From = &w.last
		w = watch(t, f)
		pass(poll)
		w.stop()
		checkEqual(t, w.lines, []string{"0", "1", "2", "3", "b"})
		checkEqual(t, w.gaps, 1)
	})
}

func TestTruncation(t *testing.T) {
	expect(t, follow.Follower{}, "first second x", 1, func(m *model, w *watched) {
		n := m.create("log")
		n.write("first\nsecond\n")
		pass(poll)
		n.set("x\n")
	})
	expect(t, follow.Follower{}, "first second third longer than before", 1, func(m *model, w *watched) {
		n := m.create("log")
		n.write("first\nsecond\n")
		pass(poll)
		n.set("third longer than before\n")
	})
	expect(t, follow.Follower{}, "a a b", 1, func(m *model, w *watched) { // to the place that was reached
		n := m.create("log")
		n.write("a\nhalf")
		pass(poll)
		n.set("a\n")
		pass(poll)
		n.write("b\n")
	})
	expect(t, follow.Follower{}, "a b", 1, func(m *model, w *watched) { // the next copy is begun
		n := m.create("log")
		n.write("a\n")
		pass(poll)
		n.set("")
		pass(poll)
		n.write("b\n")
		m.create("log.1")
		pass(poll)
		m.names["log.1"].write("b\n")
	})
	header := strings.Repeat("h", 1200)
	expect(t, follow.Follower{}, header+" a "+header+" b cccc", 1, func(m *model, w *watched) { // the first KiB is the same
		n := m.create("log")
		n.write(header + "\na\n")
		pass(poll)
		n.set(header + "\nb\ncccc\n")
	})
}

// copytruncate: the bytes written between the last read and the copy are read
// in the copy.
func TestCopyTruncate(t *testing.T) {
	old := strings.Repeat("0123456789\n", 300)
	for name, tt := range map[string]struct{ text, want string }{
		"cut":                {"", "a b"},
		"grown beyond":       {old + "c\n", "a b " + strings.Join(strings.Fields(old), " ") + " c"},
		"within a line":      {"c\n", "a b c"},
		"an earlier rotated": {"c\n", "a c"},
		"a later, of others": {"c\n", "a c"},
	} {
		t.Run(name, func(t *testing.T) {
			expect(t, follow.Follower{}, tt.want, 1, func(m *model, w *watched) {
				m.create("log.3").write("a\nnot of this file\n") // begins like the log, but was written before
				n := m.create("log")
				n.write("a\n")
				if name == "within a line" {
					pass(poll)
					n.write("b")
					pass(poll)
					n.write("\n")
				} else if pass(poll); tt.want != "a c" {
					n.write("b\n")
				}
				switch name {
				case "a later, of others":
					m.create("log-errors").write("b\nnot of this file\n")
				case "an earlier rotated":
				default:
					m.create("log-errors").write("of others\n")
					m.copy("log", "log.1")
				}
				n.set(tt.text)
			})
		})
	}
}

// After a restart, a file is cut and grows again before anything is read of it.
func TestTruncationAfterResume(t *testing.T) {
	long := strings.Repeat("0123456789\n", 300)
	for name, text := range map[string]string{"shorter": long[:2200], "other tail": long[:2200] + strings.Repeat("abcdefghij\n", 200)} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newModel()
				m.create("log").write(long)
				f := follow.Follower{Path: "log"}.On(m)
				w := watch(t, f)
				pass(poll)
				w.stop()
				f.From = &w.last
				w = watch(t, f)
				pass(poll)
				m.names["log"].set(text)
				pass(poll)
				w.stop()
				if diff := cmp.Diff(strings.Fields(text), w.lines); diff != "" || w.gaps != 1 {
					t.Errorf("got %d gaps, want 1: %s", w.gaps, diff)
				}
			})
		})
	}
}

// Bytes that were seen and not read when the file was cut are reported.
func TestLostBytesAreReported(t *testing.T) {
	m := newModel()
	text := strings.Repeat("0123456789\n", 100000)
	m.create("log").write(text)
	var gap *follow.GapError
	var in *logscan.InputError
	for rec, err := range (follow.Follower{Path: "log"}).On(m).Records(t.Context()) {
		if errors.As(err, &gap) {
			errors.As(err, &in)
			break
		}
		if rec.Num == 1 {
			m.names["log"].set("new\n")
		}
	}
	if gap.Lost <= 0 || gap.Offset+gap.Lost != int64(len(text)) || in.Name != "log" {
		t.Errorf("got %+v, want all of %d bytes read or lost", gap, len(text))
	}
}

// A file that can never be read again does not stop the follower.
func TestFileThatCannotBeRead(t *testing.T) {
	for _, err := range []error{syscall.EIO, syscall.ESTALE} {
		expect(t, follow.Follower{}, "a b", 1, func(m *model, w *watched) { // it is removed
			m.create("log").write("a\n")
			pass(poll)
			m.names["log"].err = err
			m.remove("log")
			m.create("log").write("b\n")
		})
		expect(t, follow.Follower{}, "a b c", 2, func(m *model, w *watched) { // it is renamed
			m.create("log").write("a\n")
			pass(poll)
			m.names["log"].err = &fs.PathError{Op: "read", Path: "log.1", Err: err}
			m.rename("log", "log.1")
			m.create("log").write("b\n")
			pass(time.Minute)
			m.names["log"].write("c\n")
		})
	}
}

func TestInodeReused(t *testing.T) {
	expect(t, follow.Follower{}, "old new and longer", 1, func(m *model, w *watched) {
		n := m.create("log")
		n.write("old\n")
		pass(poll)
		n.set("new and longer\n") // the same number, other bytes
	})
	expect(t, follow.Follower{}, "a b", 0, func(m *model, w *watched) { // not readable at first
		m.create("log").write("a\n")
		pass(poll)
		m.refuse(true)
		m.rename("log", "log.1")
		m.create("log").write("b\n")
		pass(time.Minute)
		m.refuse(false)
		if w.errs != 1 {
			t.Errorf("got %d errors, want one", w.errs)
		}
	})
}

func TestJoinerFlush(t *testing.T) {
	f := follow.Follower{Scanner: logscan.Scanner{Join: &logscan.Joiner{}}}
	expect(t, f, "a\n b c\n d\n e f", 0, func(m *model, w *watched) {
		n := m.create("log")
		n.write("a\n b\nc\n d\n")
		pass(poll)
		if len(w.lines) != 1 {
			t.Errorf("before the flush: got %q", w.lines)
		}
		n.write(" e\n")
		pass(time.Minute)
		if len(w.lines) != 2 {
			t.Errorf("after the flush: got %q", w.lines)
		}
		n.write("f\n")
	})
}

func TestFlushOfHalfLine(t *testing.T) {
	var stats logscan.Counters
	f := follow.Follower{Scanner: logscan.Scanner{Join: &logscan.Joiner{}, Stats: &stats}}
	expect(t, f, "a\n bc d", 0, func(m *model, w *watched) {
		n := m.create("log")
		n.write("a\n b")
		pass(time.Minute)
		n.write("c\n")
		pass(time.Hour)
		n.write("d\n")
	})
	if got := stats.Stats().Inputs; got > 4 {
		t.Errorf("got %d inputs, want one for each flush", got)
	}
}

func TestWakeAndAtEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, wake := newModel(), make(chan struct{})
		m.create("log").write("old\nhalf ")
		w := watch(t, follow.Follower{Path: "log", Poll: time.Hour, Wake: wake, AtEnd: true}.On(m))
		synctest.Wait()
		m.names["log"].write("line\n")
		wake <- struct{}{}
		synctest.Wait()
		w.stop()
		if diff := cmp.Diff([]string{"half line"}, w.lines); diff != "" {
			t.Error(diff)
		}
	})
}

// An input that cannot be read is reported once, and then the next input is
// read.
func TestUnsupportedFile(t *testing.T) {
	expect(t, follow.Follower{}, "b", 1, func(m *model, w *watched) {
		m.create("log").write("\xfd7zXZ\x00\x00")
		pass(time.Hour)
		if w.errs != 1 {
			t.Errorf("got %d errors, want one", w.errs)
		}
		m.rename("log", "log.1")
		m.create("log").write("b\n")
	})
}

// Oracle: the lines that were written, each once and in order.
func everyLineOnce(t *testing.T, seed uint64, f follow.Follower) (problem string) {
	synctest.Test(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(seed, 1))
		m := newModel()
		f.Path = "log"
		f := f.On(m)
		w := watch(t, f)
		var want, got []string
		cur, part, rotated, gaps := m.create("log"), "", 1000, 0
		line := func() string { want = append(want, fmt.Sprintf("line-%d", len(want))); return want[len(want)-1] + "\n" }
		cur.write(line()) // a file that is rotated before it is seen is not followed
		pass(time.Minute)
		for range 60 {
			switch r.IntN(11) {
			case 0, 1, 2:
				cur.write(part + line())
				part = ""
			case 3:
				if s := line(); part == "" {
					cur.write(s[:3])
					part = s[3:]
				} else {
					cur.write(part + s)
					part = ""
				}
			case 4:
				cur.write(part)
				part = ""
				old := cur
				rotated++
				m.rename("log", fmt.Sprintf("log.%d", rotated))
				if r.IntN(2) == 0 {
					pass(time.Duration(r.IntN(400)) * time.Millisecond)
					old.write(line())
				}
				if r.IntN(3) == 0 {
					m.pack(fmt.Sprintf("log.%d", rotated))
				}
				cur = m.create("log")
			case 5:
				pass(time.Duration(r.IntN(4000)) * time.Millisecond)
			case 6: // copytruncate, when all has been read
				cur.write(part)
				part = ""
				pass(time.Minute)
				if len(cur.data) > 0 {
					gaps++
				}
				cur.set(line())
				pass(time.Minute)
			case 8: // copytruncate, with something in the copy
				cur.write(part)
				part = ""
				if pass(time.Minute); len(cur.data) > 0 {
					gaps++
					cur.write(line())
					rotated++
					m.copy("log", fmt.Sprintf("log.%d", rotated))
					cur.set(line())
					pass(time.Minute)
				}
			case 9: // removed, and created again later
				cur.write(part)
				part = ""
				pass(time.Minute) // a file that is removed before it is opened is not followed
				m.remove("log")
				cur.write(line())
				pass(poll)
				cur = m.create("log")
				cur.write(line())
				pass(time.Minute)
			case 7: // a restart
				w.stop()
				got = append(got, w.lines...)
				gaps -= w.gaps
				if last := w.last; last.Offset() > 0 {
					f.From = &last
				}
				w = watch(t, f)
			default:
				synctest.Wait()
			}
		}
		cur.write(part)
		pass(time.Minute)
		w.stop()
		got = append(got, w.lines...)
		if diff := cmp.Diff(want, got); diff != "" || w.gaps != gaps {
			problem = fmt.Sprintf("got %d gaps, want %d: %s", w.gaps, gaps, diff)
		} else if m.open != 0 {
			problem = fmt.Sprintf("got %d files left open", m.open)
		}
	})
	return problem
}

func TestEveryLineOnce(t *testing.T) {
	checkProperty(t, 50, func(seed uint64) string { return everyLineOnce(t, seed, follow.Follower{}) })
	// A follower that looks for rotated files in the wrong place loses lines.
	checkBites(t, 50, func(seed uint64) string {
		return everyLineOnce(t, seed, follow.Follower{Rotated: []string{"elsewhere"}})
	})
}

// An invalid Follower reports its error at once, and its loop ends.
func TestValidate(t *testing.T) {
	for _, tt := range []struct {
		name string
		f    follow.Follower
		want string
	}{
		{"good", follow.Follower{Path: "log", Rotated: []string{"log.[0-9]"}, Linger: -1, Flush: -1}, ""},
		{"zero value", follow.Follower{}, "follow: Path is missing"},
		{"all at once", follow.Follower{Scanner: logscan.Scanner{MaxLine: -1}, Rotated: []string{"a", "["}, Poll: -time.Second}, "follow: Path is missing\nlogscan: MaxLine is -1, want at least 0 (256 KiB)\n" +
			"follow: Rotated[1] is \"[\", want a pattern of filepath.Match\nfollow: Poll is -1s, want at least 0 (250ms)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.f.Validate()
			if tt.want == "" {
				checkEqual(t, err, nil)
				return
			}
			checkEqual(t, err.Error(), tt.want)
			n := 0
			for rec, err := range tt.f.Records(t.Context()) {
				n++
				checkEqual(t, err.Error(), tt.want)
				checkEqual(t, rec.Record == nil, true)
			}
			checkEqual(t, n, 1)
		})
	}
}

func TestGapErrorText(t *testing.T) {
	long := "x" + strings.Repeat("é", 40)
	gap := &follow.GapError{Path: long, Offset: 7, Lost: 3, Reason: "truncated"}
	checkEqual(t, gap.Error(), `follow: "`+long[:63]+`"…: gap at byte 7: truncated, 3 bytes lost`)
	checkEqual(t, gap.LogValue().Group()[0].Value.String(), long[:63]+"…")
}
