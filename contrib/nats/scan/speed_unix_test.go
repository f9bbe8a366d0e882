//go:build unix

package scan_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/redoubt-go/redoubt/contrib/nats/natstest"
)

var speed = flag.Int("speed", 0, "measure the speed-up of workers with this many MiB of logs")

// A cost is the time of a scan: on the clock, and of all its processes on
// processors.
type cost struct{ clock, cpu time.Duration }

// spent returns the processor time of this process.
func spent() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// measure returns the cost of fn, with the processor time that it returns.
func measure(fn func() time.Duration) cost {
	begin, cpu := time.Now(), spent()
	others := fn()
	return cost{time.Since(begin), spent() - cpu + others}
}

// TestSpeed prints the costs of 1, 2 and 4 worker processes of a processor
// each, beside the cost of logscan.Reduce. Without -speed it is short.
func TestSpeed(t *testing.T) {
	mib, rounds := *speed, 5
	if mib == 0 {
		mib, rounds = 4, 1
	}
	dir := t.TempDir()
	var block bytes.Buffer
	for n := 0; block.Len() < 1<<20; n++ {
		fmt.Fprintf(&block, "{\"time\":\"2026-11-29T12:00:00Z\",\"level\":\"%s\",\"message\":\"request %d took a while\",\"route\":\"/a/%d\",\"ms\":%d}\n",
			[]string{"INFO", "WARN", "ERROR"}[n%3], n, n%17, n*n%997)
	}
	for i := range 4 {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(i, ".log")), bytes.Repeat(block.Bytes(), mib/4), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	server := natstest.Start(t, natstest.Config{})
	js := natstest.JetStream(t, server.Client(t))
	j := webJob("speed")
	j.Scanner.Workers = 1
	want := local(t, j, folder(dir))
	names := []string{"Reduce, 1 goroutine"}
	costs := map[string][]cost{}
	for range rounds {
		costs[names[0]] = append(costs[names[0]], measure(func() time.Duration {
			checkForm(t, local(t, j, folder(dir)), want)
			return 0
		}))
		for _, workers := range []int{1, 2, 4} {
			name := fmt.Sprintf("Run, %d processes", workers)
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
			j.Name = fmt.Sprint("speed", workers)
			var all []*process
			for range workers {
				all = append(all, launch(t, role{Kind: "web", URL: server.URL(), Name: j.Name, Wait: 30 * time.Second}))
			}
			time.Sleep(time.Second) // they wait for the scan
			var clock time.Duration
			c := measure(func() (cpu time.Duration) {
				begin := time.Now()
				a, err := j.Run(deadline(t), js, folder(dir))
				clock = time.Since(begin)
				if err != nil {
					t.Fatal(err)
				}
				checkForm(t, form(t, a), want)
				for _, p := range all {
					<-p.done
					cpu += p.cmd.ProcessState.UserTime() + p.cmd.ProcessState.SystemTime()
				}
				return cpu
			})
			costs[name] = append(costs[name], cost{clock, c.cpu})
		}
	}
	t.Logf("%d MiB, %d processors, the least of %d rounds; a process uses a processor", mib, runtime.NumCPU(), rounds)
	var base time.Duration
	for _, name := range names {
		best := costs[name][0]
		for _, c := range costs[name] {
			best = cost{min(best.clock, c.clock), min(best.cpu, c.cpu)}
		}
		if base == 0 {
			base = best.clock
		}
		t.Logf("%-20s %6.2f s, speed-up %.2f, %6.2f s of processors", name, best.clock.Seconds(), base.Seconds()/best.clock.Seconds(), best.cpu.Seconds())
	}
}
