package scan_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/redoubt-go/redoubt/contrib/nats/natstest"
	"github.com/redoubt-go/redoubt/logscan"
)

var speed = flag.Int("speed", 0, "measure the speed-up of workers with this many MiB of logs")

// TestSpeed prints the times of 1, 2 and 4 worker processes of a processor
// each, beside the time of logscan.Reduce. Without -speed it is short.
func TestSpeed(t *testing.T) {
	mib, rounds := *speed, 3
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
	times := map[string][]time.Duration{}
	var want []byte
	for range rounds {
		for _, workers := range []int{1, 2} {
			s := j.Scanner
			s.Workers = workers
			begin := time.Now()
			a, err := logscan.Reduce(deadline(t), s, folder(dir), j.New)
			if err != nil {
				t.Fatal(err)
			}
			name := fmt.Sprintf("Reduce, %d goroutines", workers)
			times[name] = append(times[name], time.Since(begin))
			want = form(t, a)
		}
		for _, workers := range []int{1, 2, 4} {
			j.Name = fmt.Sprint("speed", workers)
			for range workers {
				launch(t, role{Kind: "web", URL: server.URL(), Name: j.Name, Wait: 30 * time.Second})
			}
			time.Sleep(time.Second) // they wait for the scan
			begin := time.Now()
			a, err := j.Run(deadline(t), js, folder(dir))
			if err != nil {
				t.Fatal(err)
			}
			name := fmt.Sprintf("Run, %d processes", workers)
			times[name] = append(times[name], time.Since(begin))
			checkForm(t, form(t, a), want)
		}
	}
	names := make([]string, 0, len(times))
	for name := range times {
		names = append(names, name)
	}
	slices.Sort(names)
	base := slices.Min(times["Run, 1 processes"])
	t.Logf("%d MiB, %d processors, the fastest of %d rounds; 1 is a worker process on a processor", mib, runtime.NumCPU(), rounds)
	for _, name := range names {
		best := slices.Min(times[name])
		t.Logf("%-22s %6.2f s, speed-up %.2f", name, best.Seconds(), base.Seconds()/best.Seconds())
	}
}
