package logscan

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/nxadm/tail"

	"github.com/redoubt-go/redoubt/logscan/follow"
)

// BenchmarkFollow reads an existing file through a follower.
func BenchmarkFollow(b *testing.B) {
	c := levels()
	c.text = c.text[:bytes.LastIndexByte(c.text[:min(len(c.text), 8<<20)], '\n')+1]
	c.lines = bytes.Count(c.text, []byte("\n"))
	c.want = c.lines
	name := filepath.Join(b.TempDir(), "app.log")
	if err := os.WriteFile(name, c.text, 0o600); err != nil {
		b.Fatal(err)
	}
	compare(b, c,
		"redoubt", func(c corpus) (n int) {
			for range (follow.Follower{Path: name}).Records(context.Background()) {
				if n++; n == c.lines {
					break
				}
			}
			return n
		},
		"nxadm", func(c corpus) (n int) {
			t, err := tail.TailFile(name, tail.Config{Follow: true, Logger: tail.DiscardingLogger})
			if err != nil {
				b.Fatal(err)
			}
			for range t.Lines {
				if n++; n == c.lines {
					break
				}
			}
			t.Stop()
			return n
		})
}

// BenchmarkFollowIdle measures the processor time of a second without writes,
// in percent, at the default poll of 250 ms and with inotify.
func BenchmarkFollowIdle(b *testing.B) {
	name := filepath.Join(b.TempDir(), "app.log")
	if err := os.WriteFile(name, []byte("line\n"), 0o600); err != nil {
		b.Fatal(err)
	}
	measure := func(b *testing.B) {
		time.Sleep(300 * time.Millisecond) // until it is idle
		var used, all time.Duration
		for b.Loop() {
			before, start := cpu(), time.Now()
			time.Sleep(time.Second)
			used, all = used+cpu()-before, all+time.Since(start)
		}
		b.ReportMetric(100*used.Seconds()/all.Seconds(), "cpu-%")
	}
	b.Run("impl=redoubt", func(b *testing.B) {
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan bool)
		go func() {
			for range (follow.Follower{Path: name}).Records(ctx) {
			}
			close(done)
		}()
		measure(b)
		cancel()
		<-done
	})
	b.Run("impl=nxadm", func(b *testing.B) {
		t, err := tail.TailFile(name, tail.Config{Follow: true, ReOpen: true, Logger: tail.DiscardingLogger})
		if err != nil {
			b.Fatal(err)
		}
		measure(b)
		t.Stop()
	})
}

// cpu returns the processor time of this process.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkFollowLatency measures the time from the write of a line to its
// delivery: the median and the maximum. The follower polls every 20 ms or is
// woken at once; the tail has inotify.
func BenchmarkFollowLatency(b *testing.B) {
	name := filepath.Join(b.TempDir(), "app.log")
	wake := make(chan struct{}, 1)
	for _, impl := range []string{"redoubt-poll20ms", "redoubt-woken", "nxadm"} {
		b.Run("impl="+impl, func(b *testing.B) {
			f, err := os.Create(name)
			if err != nil {
				b.Fatal(err)
			}
			defer f.Close()
			ctx, cancel := context.WithCancel(context.Background())
			got, done := make(chan time.Time), make(chan bool)
			go func() {
				defer close(done)
				if impl == "nxadm" {
					t, err := tail.TailFile(name, tail.Config{Follow: true, Logger: tail.DiscardingLogger})
					if err != nil {
						panic(err)
					}
					defer t.Stop()
					for {
						select {
						case <-t.Lines:
							got <- time.Now()
						case <-ctx.Done():
							return
						}
					}
				}
				fl := follow.Follower{Path: name, Poll: 20 * time.Millisecond}
				if impl == "redoubt-woken" {
					fl.Wake = wake
				}
				for _, err := range fl.Records(ctx) {
					if err == nil {
						got <- time.Now()
					}
				}
			}()
			var took []float64
			for i := 0; b.Loop(); i++ {
				time.Sleep(time.Duration(i%23) * time.Millisecond)
				start := time.Now()
				fmt.Fprintf(f, "line %d\n", i)
				if impl == "redoubt-woken" {
					wake <- struct{}{}
				}
				took = append(took, float64((<-got).Sub(start).Microseconds())/1000)
			}
			cancel()
			<-done
			slices.Sort(took)
			b.ReportMetric(took[len(took)/2], "median-ms")
			b.ReportMetric(took[len(took)-1], "max-ms")
		})
	}
}

// BenchmarkFollowRotation writes 2000 lines, 20 at a time every 20 ms. The file
// is renamed and created again after every 200 lines, and a late line is
// written to the old file. The benchmark reports the lines that did not arrive
// within a second, and the lines that arrived twice, in percent. All poll every
// 50 ms; the tail of nxadm also runs with inotify.
func BenchmarkFollowRotation(b *testing.B) {
	const lines = 2000
	for _, impl := range []string{"redoubt", "nxadm-poll", "nxadm-inotify"} {
		b.Run("impl="+impl, func(b *testing.B) {
			var lost, twice int
			for b.Loop() {
				name := filepath.Join(b.TempDir(), "app.log")
				seen := make([]int, lines)
				ctx, cancel := context.WithCancel(context.Background())
				done := make(chan bool)
				go func() {
					defer close(done)
					collect(ctx, impl, name, func(line string) {
						var i int
						if n, _ := fmt.Sscanf(line, "line %d of the log", &i); n == 1 && i < lines {
							seen[i]++
						}
					})
				}()
				rotate(b, name, lines)
				time.Sleep(time.Second)
				cancel()
				<-done
				for _, n := range seen {
					lost, twice = lost+max(1-n, 0), twice+max(n-1, 0)
				}
			}
			b.ReportMetric(100*float64(lost)/float64(b.N)/lines, "lost-%")
			b.ReportMetric(100*float64(twice)/float64(b.N)/lines, "twice-%")
		})
	}
}

// rotate writes the lines.
func rotate(b *testing.B, name string, lines int) {
	f, err := os.Create(name)
	if err != nil {
		b.Fatal(err)
	}
	for i := range lines {
		if i%20 == 0 {
			time.Sleep(20 * time.Millisecond)
		}
		if i%200 == 0 && i > 0 {
			if err := os.Rename(name, fmt.Sprintf("%s.%d", name, i)); err != nil {
				b.Fatal(err)
			}
			old := f
			if f, err = os.Create(name); err != nil {
				b.Fatal(err)
			}
			fmt.Fprintf(old, "line %d of the log\n", i)
			old.Close()
			continue
		}
		fmt.Fprintf(f, "line %d of the log\n", i)
	}
	f.Close()
}

// collect passes the lines to got until ctx ends.
func collect(ctx context.Context, impl, name string, got func(line string)) {
	if impl == "redoubt" {
		f := follow.Follower{Path: name, Poll: 50 * time.Millisecond, Linger: 100 * time.Millisecond}
		for rec, err := range f.Records(ctx) {
			if err == nil {
				got(string(rec.Line))
			}
		}
		return
	}
	t, err := tail.TailFile(name, tail.Config{Follow: true, ReOpen: true, Poll: impl == "nxadm-poll", Logger: tail.DiscardingLogger})
	if err != nil {
		panic(err)
	}
	defer t.Stop()
	for {
		select {
		case line, ok := <-t.Lines:
			if !ok {
				return
			}
			got(line.Text)
		case <-ctx.Done():
			return
		}
	}
}
