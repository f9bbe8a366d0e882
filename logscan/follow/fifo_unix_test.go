//go:build unix

package follow_test

import (
	"context"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/redoubt-go/redoubt/logscan/follow"
)

// A FIFO, a folder and a checkpoint with the names of rotated files do not stop
// a follower, and are not read.
func TestNoLogBesideTheLog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.log")
	put(t, path, "one\n")
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	var got []string
	for rec, err := range (follow.Follower{Path: path, Poll: time.Millisecond}).Records(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		if got = append(got, string(rec.Line)); len(got) == 2 {
			break
		}
		if err := syscall.Mkfifo(path+".0", 0o600); err != nil {
			t.Skip(err)
		}
		if err := os.Mkdir(path+".3", 0o700); err != nil {
			t.Fatal(err)
		}
		if err := follow.SaveCheckpoint(path+".4", rec.Checkpoint()); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path, path+".1"); err != nil {
			t.Fatal(err)
		}
		put(t, path, "two\n")
	}
	checkEqual(t, got, []string{"one", "two"})
}
