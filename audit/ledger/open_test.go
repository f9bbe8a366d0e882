package ledger_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redoubt-go/redoubt/audit"
	"github.com/redoubt-go/redoubt/audit/ledger"
)

// With SyncAlways, a crash damages the last commit only. Another damage does
// not cost the records after it.
func TestHoleBeforeLaterCommits(t *testing.T) {
	dir := t.TempDir()
	l, err := ledger.OpenOn(context.Background(), &recorder{Storage: ledger.OS}, dir, ledger.Config{}) // counts as synced
	must(t, err)
	for i := range 1000 {
		write(t, l, fmt.Sprint(i))
	}
	must(t, l.Close())
	data := read(t, dir)
	lines := split(bytes.Clone(data))
	lines[10][50] = 0
	path := filepath.Join(dir, segment)
	must(t, os.WriteFile(path, join(lines), 0o600))
	_, err = ledger.Open(context.Background(), dir, ledger.Config{})
	checkIs(t, err, ledger.ErrTampered)
	if !bytes.Equal(read(t, dir), join(lines)) {
		t.Error("the log was changed")
	}
	// The same in the last commit is a crash.
	lines = split(data)
	lines[1000][50] = 0
	must(t, os.WriteFile(path, join(lines), 0o600))
	if r, ok := open(t, dir, ledger.Config{}).Recovered(); !ok || r.Bytes != int64(len(lines[1000])+1) {
		t.Errorf("recovered %+v", r)
	}
}

// A commit of several events can lose any of its lines.
func TestHoleInTheLastCommit(t *testing.T) {
	for lost := 1; lost <= 5; lost++ {
		dir := t.TempDir()
		l := open(t, dir, ledger.Config{})
		var events []*audit.Event
		for i := range 5 {
			events = append(events, event(fmt.Sprint(i)))
		}
		must(t, l.WriteEvents(context.Background(), events))
		must(t, l.Close())
		lines := split(read(t, dir))
		clear(lines[lost])
		must(t, os.WriteFile(filepath.Join(dir, segment), join(lines), 0o600))
		_ = open(t, dir, ledger.Config{}).Close()
		if n := len(ids(t, os.DirFS(dir))); n != lost-1 {
			t.Errorf("line %d lost: %d events left, want %d", lost, n, lost-1)
		}
	}
}

// A torn tail is no tampering for Open with an older known head. A log that is
// refused is not repaired.
func TestKnownAndATornTail(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, never)
	write(t, l, "a", "b")
	known := l.Head()
	write(t, l, "c")
	must(t, l.Close())
	whole := read(t, dir)
	torn := append(bytes.Clone(whole), "{\"seq\":4,\x00\x00}\n"...)
	path := filepath.Join(dir, segment)
	must(t, os.WriteFile(path, torn, 0o600))
	c := never
	c.Known = &ledger.Head{Size: 2}
	_, err := ledger.Open(context.Background(), dir, c)
	checkIs(t, err, ledger.ErrTampered)
	if names, _ := filepath.Glob(filepath.Join(dir, "torn-*")); len(names) > 0 || !bytes.Equal(read(t, dir), torn) {
		t.Error("Open has repaired a log that it refuses")
	}
	c.Known = &known
	if _, ok := open(t, dir, c).Recovered(); !ok {
		t.Error("nothing recovered")
	}
}

// The file for a torn tail replaces a link, not the target of the link.
func TestTornFileFollowsNoLink(t *testing.T) {
	dir, elsewhere := t.TempDir(), filepath.Join(t.TempDir(), "victim")
	_ = open(t, dir, never).Close()
	torn := append(read(t, dir), `{"seq":1,`...)
	must(t, os.WriteFile(filepath.Join(dir, segment), torn, 0o600))
	l := open(t, dir, never)
	r, _ := l.Recovered()
	_ = l.Close()
	must(t, os.WriteFile(filepath.Join(dir, segment), torn, 0o600))
	must(t, os.WriteFile(elsewhere, []byte("kept"), 0o600))
	for _, name := range []string{r.Saved, r.Saved + ".new"} {
		_ = os.Remove(filepath.Join(dir, name))
		if err := os.Symlink(elsewhere, filepath.Join(dir, name)); err != nil {
			t.Skip(err)
		}
	}
	_ = open(t, dir, never).Close()
	if got := readFile(t, elsewhere); string(got) != "kept" {
		t.Errorf("the target of the link is %q", got)
	}
	if got := readFile(t, filepath.Join(dir, r.Saved)); string(got) != `{"seq":1,` {
		t.Errorf("the tail was saved as %q", got)
	}
}

// Files and directories that all users can write are refused.
func TestWritableByOthers(t *testing.T) {
	s := signer(t, origin, 1)
	for _, name := range []string{"", segment, "mark"} {
		dir := t.TempDir()
		_ = open(t, dir, sealing(s)).Close()
		path := filepath.Join(dir, name)
		st, err := os.Stat(path)
		must(t, err)
		must(t, os.Chmod(path, st.Mode().Perm()|0o002))
		_, err = ledger.Open(context.Background(), dir, sealing(s))
		if checkIs(t, err, ledger.ErrFormat); !strings.Contains(fmt.Sprint(err), "write permission") {
			t.Errorf("%s: %v", name, err)
		}
		must(t, os.Chmod(path, st.Mode().Perm()))
		_ = open(t, dir, sealing(s)).Close()
	}
}

// The lock cannot be removed: it belongs to the directory.
func TestLockCannotBeRemoved(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, never)
	entries, err := os.ReadDir(dir)
	must(t, err)
	for _, e := range entries {
		must(t, os.Remove(filepath.Join(dir, e.Name())))
	}
	_, err = ledger.Open(context.Background(), dir, never)
	checkIs(t, err, ledger.ErrLocked)
	checkIs(t, l.WriteEvents(context.Background(), []*audit.Event{event("a")}), ledger.ErrFailed)
	_ = l.Close()
	must(t, os.RemoveAll(dir))
	must(t, os.WriteFile(dir, nil, 0o600))
	_, err = ledger.Open(context.Background(), dir, never)
	checkIs(t, err, ledger.ErrFormat)
}

// After a crash of the program, Open syncs the lines that it finds before it
// writes.
func TestOpenSyncsFirst(t *testing.T) {
	dir := t.TempDir()
	_ = open(t, dir, ledger.Config{}).Close()
	rec := &recorder{Storage: ledger.OS}
	l, err := ledger.OpenOn(context.Background(), rec, dir, ledger.Config{})
	must(t, err)
	write(t, l, "a")
	_ = l.Close()
	var done []string
	for _, o := range rec.ops {
		done = append(done, o.do)
	}
	checkEqual(t, done, []string{"open", "sync", "syncdir", "open", "write", "sync"})
}

// A value records through the ledger that stores it.
type recording struct {
	l *ledger.Ledger
	t *testing.T
}

func (r recording) LogValue() slog.Value {
	write(r.t, r.l, "inner")
	return slog.StringValue("x")
}

// exiting and slow are values that do not return, or return late.
type (
	exiting struct{}
	slow    struct{}
)

func (exiting) LogValue() slog.Value { runtime.Goexit(); return slog.Value{} }

func (slow) LogValue() slog.Value { time.Sleep(time.Hour); return slog.Value{} }

// Events are encoded outside locks: no event waits for the values of another
// event, whatever they do.
func TestValuesDoNotBlockTheLedger(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		l := open(t, dir, never)
		with := func(v any) []*audit.Event {
			return []*audit.Event{{ID: "outer", Action: "a", Outcome: audit.Success, Attrs: []slog.Attr{slog.Any("v", v)}}}
		}
		must(t, l.WriteEvents(context.Background(), with(recording{l, t})))
		go func() { _ = l.WriteEvents(context.Background(), with(exiting{})) }()
		go func() {
			defer func() { _ = recover() }()
			_ = l.WriteEvents(context.Background(), []*audit.Event{nil})
		}()
		go func() { _ = l.WriteEvents(context.Background(), with(slow{})) }()
		synctest.Wait()
		start := time.Now()
		write(t, l, "after")
		if took := time.Since(start); took > 0 {
			t.Errorf("an event waited %v for the values of another", took)
		}
		time.Sleep(2 * time.Hour)
		_ = l.Close()
	})
	checkEqual(t, ids(t, os.DirFS(dir)), []string{"inner", "outer", "after", "outer"})
}

// Each removal of a segment is durable before the next, so that no crash leaves
// a gap in the log.
func TestPruneInOrder(t *testing.T) {
	rec := &recorder{Storage: ledger.OS}
	var calls atomic.Int32
	var down atomic.Bool
	c := ledger.Config{Signer: moodySigner(t, &calls, &down), Retain: 1, CheckpointEvery: -1, CheckpointDelay: -1}
	l, err := ledger.OpenOn(context.Background(), rec, t.TempDir(), c)
	must(t, err)
	down.Store(true)
	for l.Stats().Segments < 5 {
		write(t, l, "a")
		_ = l.Rotate(context.Background()) // without a checkpoint
	}
	down.Store(false)
	rec.ops = nil
	must(t, l.Close())
	removed := 0
	for i, o := range rec.ops {
		if o.do != "remove" || !strings.HasSuffix(o.name, ".jsonl") {
			continue
		}
		removed++
		if rec.ops[i+1].do != "syncdir" {
			t.Errorf("%s follows a removal", rec.ops[i+1].do)
		}
	}
	if removed != 4 {
		t.Errorf("%d segments removed, want 4", removed)
	}
}

// With SyncEvery, a crash can damage any commit after the last sync.
func TestHoleBeforeUnsyncedCommits(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, ledger.Config{Sync: ledger.SyncEvery(time.Hour)})
	write(t, l, "a", "b", "c")
	lines := split(read(t, dir))
	must(t, l.Close())
	clear(lines[2])
	must(t, os.WriteFile(filepath.Join(dir, segment), join(lines), 0o600))
	l = open(t, dir, never)
	if _, ok := l.Recovered(); !ok {
		t.Error("nothing recovered")
	}
	checkEqual(t, ids(t, os.DirFS(dir)), []string{"a"})
}
