//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package ledger_test

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redoubt-go/redoubt/audit"
	"github.com/redoubt-go/redoubt/audit/ledger"
)

var kills = flag.Int("kills", 6, "how often TestKill9 kills its child")

// The tests below run this binary again as a child.
const childDir = "LEDGER_TEST_CHILD"

// A child process appends events and prints the acknowledged numbers until it
// is killed. Then the log is opened and verified. Oracle: the printed numbers,
// which are all in the log.
func TestKill9(t *testing.T) {
	s := signer(t, origin, 1)
	c := ledger.Config{Signer: s, CheckpointEvery: 5, MaxSize: 4000}
	if dir := os.Getenv(childDir); dir != "" {
		l := open(t, dir, c)
		for i := l.Head().Size; ; i++ {
			if err := l.WriteEvents(context.Background(), []*audit.Event{event(fmt.Sprint(i))}); err != nil {
				t.Fatal(err)
			}
			fmt.Println("acknowledged", i)
		}
	}
	dir := t.TempDir()
	acknowledged := map[string]bool{}
	for range *kills {
		child := exec.Command(os.Args[0], "-test.run=^TestKill9$")
		child.Env = append(os.Environ(), childDir+"="+dir)
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		var kill sync.Once // some time after the first event
		for lines := bufio.NewScanner(out); lines.Scan(); {
			var id string
			if n, _ := fmt.Sscanf(lines.Text(), "acknowledged %s", &id); n == 1 {
				acknowledged[id] = true
			}
			kill.Do(func() {
				time.AfterFunc(time.Duration(rand.IntN(80))*time.Millisecond, func() { _ = child.Process.Kill() })
			})
		}
		_ = child.Wait()
		if err := open(t, dir, c).Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := verify(os.DirFS(dir), ledger.VerifyConfig{Keys: []*ledger.Verifier{s.Verifier()}, MaxUnsealed: -1}); err != nil {
			t.Fatal(err)
		}
		found := map[string]bool{}
		for _, id := range ids(t, os.DirFS(dir)) {
			found[id] = true
		}
		for id := range acknowledged {
			if !found[id] {
				t.Fatalf("acknowledged event %s is gone", id)
			}
		}
	}
	if len(acknowledged) == 0 {
		t.Error("no child lived long enough to write")
	}
}

// RLIMIT_FSIZE causes partial writes. It applies to a whole process, so a child
// process sets it for itself and ignores the signal.
func TestFileSizeLimit(t *testing.T) {
	const limit = 2000
	if dir := os.Getenv(childDir); dir != "" {
		signal.Ignore(syscall.SIGXFSZ)
		var old syscall.Rlimit
		if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
			t.Fatal(err)
		}
		small := old
		small.Cur = limit
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &small); err != nil {
			t.Fatal(err)
		}
		l := open(t, dir, ledger.Config{})
		var err error
		n := 0
		for ; err == nil; n++ {
			err = l.WriteEvents(context.Background(), []*audit.Event{event(strconv.Itoa(n))})
		}
		if !errors.Is(err, syscall.EFBIG) || errors.Is(err, audit.ErrUncertain) {
			t.Fatalf("error %v, want a plain EFBIG", err)
		}
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
			t.Fatal(err)
		}
		write(t, l, "there is room again")
		return
	}
	dir := t.TempDir()
	child := exec.Command(os.Args[0], "-test.run=^TestFileSizeLimit$")
	child.Env = append(os.Environ(), childDir+"="+dir)
	if out, err := child.CombinedOutput(); err != nil {
		t.Fatalf("child: %v\n%s", err, out)
	}
	r := verifyOK(t, dir)
	all := ids(t, os.DirFS(dir))
	if r.Unfinished != 0 || len(all) < 5 || all[len(all)-1] != "there is room again" || len(read(t, dir)) < limit/2 {
		t.Errorf("report %+v, events %v", r, all)
	}
}
