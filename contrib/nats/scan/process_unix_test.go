//go:build unix

package scan_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redoubt-go/redoubt/contrib/nats/natstest"
	"github.com/redoubt-go/redoubt/contrib/nats/scan"
	"github.com/redoubt-go/redoubt/logscan"
)

// Worker processes are killed, and others paused longer than AckWait, at random
// times. One worker lives. The answer is that of Reduce, in every round.
func TestKilledWorkers(t *testing.T) {
	server := natstest.Start(t, natstest.Config{})
	js := natstest.JetStream(t, server.Client(t))
	dir, _ := logs(t, 200_000, 200_000, 12_345)
	for _, workers := range []int{2, 4} {
		t.Run(fmt.Sprint(workers), func(t *testing.T) {
			ctx, cancel := context.WithCancel(deadline(t))
			defer cancel()
			r := role{
				Kind: "worker", URL: server.URL(), Name: fmt.Sprint("killed", workers), Dir: dir,
				Slow: 40 * time.Millisecond, Max: 1000, Wait: 500 * time.Millisecond, Task: 10_000,
			}
			j := r.job()
			ended := goRun(ctx, js, j, folder(dir))
			launch(t, r) // lives
			killed, paused := 0, 0
			var wg sync.WaitGroup
			wg.Go(func() {
				victims := make([]*process, workers-1)
				for {
					for i, p := range victims {
						if p == nil || p.ended() {
							victims[i] = launch(t, r)
						}
					}
					select {
					case <-ctx.Done():
						return
					case <-time.After(time.Duration(50+rand.IntN(200)) * time.Millisecond):
					}
					p := victims[rand.IntN(len(victims))]
					if p.ended() {
						continue
					}
					if rand.IntN(3) > 0 {
						p.kill()
						killed++
						continue
					}
					paused++
					_ = p.cmd.Process.Signal(syscall.SIGSTOP)
					wg.Go(func() {
						time.Sleep(time.Second)
						_ = p.cmd.Process.Signal(syscall.SIGCONT)
					})
				}
			})
			got := await(t, "answer", ended)
			cancel()
			wg.Wait()
			if got.err != nil {
				t.Fatal(got.err)
			}
			checkForm(t, form(t, got.a), local(t, j, folder(dir)))
			if killed+paused == 0 {
				t.Error("no worker was killed or paused")
			}
			t.Logf("%d killed, %d paused", killed, paused)
		})
	}
}

// The coordinator is killed again and again, and merges every task once.
func TestKilledCoordinator(t *testing.T) {
	server := natstest.Start(t, natstest.Config{})
	js := natstest.JetStream(t, server.Client(t))
	dir, _ := logs(t, 200_000, 200_000)
	r := role{
		Kind: "coordinator", URL: server.URL(), Name: "coordinator", Dir: dir, Out: filepath.Join(dir, "answer"),
		Slow: 20 * time.Millisecond, Max: 100, Wait: 2 * time.Second, Task: 10_000,
	}
	worker := r.job()
	work(t, js, worker, 2)
	for kills := 0; ; {
		p, seen := launch(t, r), 0
		for line := range p.lines {
			if strings.HasPrefix(line, "merged ") {
				seen++
			}
			if seen > 2 && kills < 5 && rand.IntN(4) == 0 {
				kills++
				p.kill()
				break
			}
		}
		if <-p.done; p.cmd.ProcessState.Success() {
			break
		}
		if p.cmd.ProcessState.Exited() {
			t.Fatalf("the coordinator failed: %v", p.cmd.ProcessState)
		}
	}
	got, err := os.ReadFile(r.Out)
	if err != nil {
		t.Fatal(err)
	}
	checkForm(t, got, local(t, worker, folder(dir)))
}

// A task that ends every process that scans it is given up. The other tasks
// count.
func TestPoisonTask(t *testing.T) {
	ctx, cancel := context.WithCancel(deadline(t))
	defer cancel()
	server := natstest.Start(t, natstest.Config{})
	js := natstest.JetStream(t, server.Client(t))
	dir, paths := logs(t, 50_000, 50_000)
	data, err := os.ReadFile(paths[1])
	if err != nil {
		t.Fatal(err)
	}
	copy(data[25_000:], "poison")
	if err := os.WriteFile(paths[1], data, 0o600); err != nil {
		t.Fatal(err)
	}
	r := role{
		Kind: "worker", URL: server.URL(), Name: "poison", Dir: dir,
		Max: 3, Wait: time.Second, Task: 10_000,
	}
	ended := goRun(ctx, js, r.job(), folder(dir))
	deaths := 0
	var wg sync.WaitGroup
	wg.Go(func() {
		for ctx.Err() == nil {
			p := launch(t, r)
			select {
			case <-ctx.Done():
			case <-p.done:
				if p.cmd.ProcessState.ExitCode() == 3 {
					deaths++
				}
			}
		}
	})
	got := await(t, "answer", ended)
	cancel()
	wg.Wait()
	failed, ok := errors.AsType[*scan.TaskError](got.err)
	if !ok {
		t.Fatalf("got %v", got.err)
	}
	checkEqual(t, failed, &scan.TaskError{
		Name: paths[1], Offset: 20_000, End: 30_000, Attempts: 3,
		Text: "no attempt ended; the workers were killed or crashed",
	})
	checkEqual(t, deaths, 3)
	// All records but those of the task.
	j := r.job()
	j.Scanner.Parser = nil
	whole := local(t, j, folder(dir))
	lost := local(t, j, func(yield func(logscan.Input, error) bool) {
		for in, err := range logscan.Files(paths[1]) {
			in.Offset, in.Within, in.End = 20_000, true, 30_000
			yield(in, err)
		}
	})
	checkForm(t, form(t, got.a), bytes.Replace(whole, lost, nil, 1))
}
