package ledger_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redoubt-go/redoubt/audit"
	"github.com/redoubt-go/redoubt/audit/ledger"
)

// Oracle: the files in the directory.
func TestStats(t *testing.T) {
	dir := t.TempDir()
	c := ledger.Config{Signer: signer(t, origin, 1), CheckpointEvery: -1, CheckpointDelay: -1, MaxSize: -1, Retain: 1}
	c.Anchor = func(context.Context, ledger.Checkpoint) error { return errors.New("out of reach") }
	l := open(t, dir, c)
	for l.Stats().Unanchored == 0 { // the first checkpoint is anchored in the background
		time.Sleep(time.Millisecond)
	}
	if got, want := l.Stats(), (ledger.Stats{Name: origin, Records: 2, Segments: 1, Checkpoints: 1, Syncs: 2, Size: 2, Sealed: 1, Unanchored: 1}); timeless(got) != withBytes(want, dir, t) {
		t.Errorf("after Open: %+v, want %+v", got, want)
	}
	write(t, l, "a", "b")
	if err := l.WriteEvents(context.Background(), []*audit.Event{event("c"), event("d"), event("e")}); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Checkpoint(context.Background()); err == nil {
		t.Error("the anchor's error was not returned")
	}
	want := ledger.Stats{
		Name: origin, Events: 5, Records: 8, Commits: 3, Syncs: 6, Checkpoints: 2, Segments: 1, Unanchored: 2,
		Size: 8, Sealed: 7, LargestGroup: 3,
	}
	checkEqual(t, timeless(l.Stats()), withBytes(want, dir, t))
	if err := l.Rotate(context.Background()); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Checkpoint(context.Background()); err == nil {
		t.Error("the anchor's error was not returned")
	}
	got := l.Stats()
	if got.Segments != 2 || got.Pruned != 1 || got.Checkpoints != 3 || got.Unanchored != 3 || got.SyncTime <= 0 {
		t.Errorf("after a rotation: %+v", got)
	}
	_ = l.Close()
	checkIs(t, l.WriteEvents(context.Background(), []*audit.Event{event("late")}), ledger.ErrClosed)
	if got := l.Stats(); !got.Stopped || got.Failed != 1 || got.Uncertain != 0 || got.Events != 5 {
		t.Errorf("after Close: %+v", got)
	}
	if got := open(t, dir, c).Stats(); got.Size != l.Stats().Size || got.Sealed != l.Stats().Sealed || got.Records != 0 {
		t.Errorf("opened again: %+v, want size and seal of %+v", got, l.Stats())
	}
}

// timeless removes the time, which depends on the machine.
func timeless(s ledger.Stats) ledger.Stats {
	s.SyncTime = 0
	return s
}

func withBytes(s ledger.Stats, dir string, t testing.TB) ledger.Stats {
	s.Bytes = uint64(len(read(t, dir)))
	return s
}

// A failed write counts its events in Failed, a failed sync in Uncertain.
func TestStatsOfFailures(t *testing.T) {
	l := open(t, t.TempDir(), ledger.Config{})
	faults := inject(l)
	write(t, l, "a")
	faults.writeLimit = 5
	checkIs(t, l.WriteEvents(context.Background(), []*audit.Event{event("b"), event("c")}), errFull)
	want := ledger.Stats{Events: 1, Failed: 2, Size: 2}
	if got := l.Stats(); got.Failed != 2 || got.Uncertain != 0 || got.Events != 1 || got.Stopped || got.Size != 2 {
		t.Errorf("after a failed write: %+v, want %+v", got, want)
	}
	faults.writeLimit, faults.failSync = -1, true
	checkIs(t, l.WriteEvents(context.Background(), []*audit.Event{event("d")}), audit.ErrUncertain)
	checkIs(t, l.WriteEvents(context.Background(), []*audit.Event{event("e")}), ledger.ErrFailed)
	want = ledger.Stats{Events: 1, Failed: 3, Uncertain: 1, Size: 2, Stopped: true}
	if got := l.Stats(); got.Failed != 3 || got.Uncertain != 1 || got.Events != 1 || !got.Stopped || got.Size != 2 {
		t.Errorf("after a failed sync: %+v, want %+v", got, want)
	}
}

func TestStatsDoesNotWaitForTheDisk(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		l := open(t, dir, ledger.Config{})
		release := make(chan struct{})
		ledger.WrapFile(l, func(f ledger.File) ledger.File { return hanging{f, release} })
		go func() { _ = l.WriteEvents(context.Background(), []*audit.Event{event("a")}) }()
		synctest.Wait()
		if got := l.Stats(); got.Events != 0 || got.Size != 1 {
			t.Errorf("during a sync: %+v", got)
		}
		time.Sleep(time.Minute)
		close(release)
		synctest.Wait()
		if got := l.Stats(); got.Events != 1 || got.SyncTime < time.Minute {
			t.Errorf("after it: %+v", got)
		}
		_ = l.Close()
	})
}

type hanging struct {
	ledger.File
	release chan struct{}
}

func (h hanging) Sync() error {
	<-h.release
	return nil
}
