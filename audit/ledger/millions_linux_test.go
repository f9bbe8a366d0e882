package ledger_test

import (
	"context"
	"flag"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/redoubt-go/redoubt/audit"
	"github.com/redoubt-go/redoubt/audit/ledger"
)

var million = flag.Int("records", 0, "records of TestMillions, such as 10000000")

// cpu returns the processor time of this thread, which other programs on the
// machine do not change.
func cpu() time.Duration {
	var t syscall.Timespec
	const threadTime = 3 // CLOCK_THREAD_CPUTIME_ID
	_, _, _ = syscall.Syscall(syscall.SYS_CLOCK_GETTIME, threadTime, uintptr(unsafe.Pointer(&t)), 0)
	return time.Duration(t.Nano())
}

// Figures of a large log, for docs/ledger.md.
func TestMillions(t *testing.T) {
	if *million == 0 {
		t.Skip("needs -records")
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	ctx, s := context.Background(), signer(t, origin, 1)
	dir := t.TempDir()
	l := open(t, dir, ledger.Config{Signer: s, Sync: ledger.SyncNever})
	batch := slices.Repeat([]*audit.Event{event("id")}, 1000)
	start := time.Now()
	for range *million / len(batch) {
		must(t, l.WriteEvents(ctx, batch))
	}
	must(t, l.Close())
	size := l.Stats().Bytes
	t.Logf("%d records, %d MB, written in %v", l.Stats().Size, size>>20, time.Since(start))
	fsys := os.DirFS(dir)
	if st, err := os.Stat(filepath.Join(dir, hashes)); err == nil {
		t.Logf("stored hashes: %d KB", st.Size()>>10)
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	figure := func(name string, n int, f func(seq uint64) error) {
		var took, busy []time.Duration
		for range n {
			seq := rnd.Uint64N(uint64(*million) - 1)
			start, before := time.Now(), cpu()
			must(t, f(seq))
			took, busy = append(took, time.Since(start)), append(busy, cpu()-before)
		}
		slices.Sort(took)
		slices.Sort(busy)
		t.Logf("%s: median %v, p99 %v; on the processor %v, p99 %v", name, took[n/2], took[n*99/100], busy[n/2], busy[n*99/100])
	}
	figure("Prove", 5000, func(seq uint64) error { _, err := ledger.Prove(fsys, seq); return err })
	figure("ProveMany of 100", 200, func(seq uint64) error {
		seqs := make([]uint64, 100)
		for i := range seqs {
			seqs[i] = rnd.Uint64N(uint64(*million) - 1)
		}
		_, err := ledger.ProveMany(fsys, seqs...)
		return err
	})
	figure("ProveConsistency", 5000, func(seq uint64) error {
		_, err := ledger.ProveConsistency(fsys, seq+1, uint64(*million))
		return err
	})
	figure("first of Events", 1000, func(seq uint64) error {
		for _, err := range ledger.Events(fsys, seq) {
			return err
		}
		return fs.ErrNotExist
	})
	figure("Open and Close", 10, func(uint64) error {
		l, err := ledger.Open(ctx, dir, ledger.Config{Signer: s})
		if err == nil {
			err = l.Close()
		}
		return err
	})
	c := ledger.VerifyConfig{Keys: []*ledger.Verifier{s.Verifier()}}
	start = time.Now()
	r, err := ledger.Verify(ctx, fsys, c)
	must(t, err)
	t.Logf("Verify: %v", time.Since(start))
	head := r.Head()
	c.Known, c.Incremental = &head, true
	figure("Verify from a known head", 10, func(uint64) error { _, err := ledger.Verify(ctx, fsys, c); return err })
	must(t, os.Remove(filepath.Join(dir, hashes)))
	figure("Prove without stored hashes", 1, func(seq uint64) error { _, err := ledger.Prove(fsys, seq); return err })
	l = open(t, dir, ledger.Config{Signer: s})
	start = time.Now()
	ledger.KeepHashes(l)
	t.Logf("stored hashes computed again: %v", time.Since(start))
	must(t, l.Close())
}
