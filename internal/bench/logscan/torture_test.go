package logscan

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/redoubt-go/redoubt/logscan/follow"
)

// rotation is the time between two rotations. With 20s, a run of a mode takes a
// minute for each implementation.
var rotation = flag.Duration("rotation", 300*time.Millisecond, "time between two rotations in FollowTorture")

// The modes of a writer under torture. Each begins a new file at every
// rotation.
var tortures = []string{"append", "split", "rename", "late", "double", "recreate", "copytruncate", "regrow"}

// BenchmarkFollowTorture writes 2000 lines a second for 3 seconds, or for 3
// rotations and a second if that is longer, and reports
// the lines that were lost, came twice, were torn, or came out of order. With
// copytruncate and regrow a follower cannot get all lines: see package follow.
func BenchmarkFollowTorture(b *testing.B) {
	for _, mode := range tortures {
		for _, impl := range []string{"redoubt", "nxadm-poll", "nxadm-inotify"} {
			b.Run("mode="+mode+"/impl="+impl, func(b *testing.B) {
				var lost, twice, torn, disorder int
				for b.Loop() {
					name := filepath.Join(b.TempDir(), "app.log")
					ctx, cancel := context.WithCancel(context.Background())
					done := make(chan bool)
					seen := map[int]int{}
					last := -1
					go func() {
						defer close(done)
						collect(ctx, impl, name, func(line string) {
							var i int
							var end string
							if n, _ := fmt.Sscanf(line, "line %d of the %s", &i, &end); n != 2 || end != "log" {
								torn++
								return
							}
							seen[i]++
							if i < last && seen[i] == 1 && mode != "late" {
								disorder++
							}
							last = max(last, i)
						})
					}()
					n := torture(b, mode, name)
					time.Sleep(time.Second)
					cancel()
					<-done
					for i := range n {
						lost, twice = lost+max(1-seen[i], 0), twice+max(seen[i]-1, 0)
					}
				}
				b.ReportMetric(float64(lost)/float64(b.N), "lost")
				b.ReportMetric(float64(twice)/float64(b.N), "twice")
				b.ReportMetric(float64(torn)/float64(b.N), "torn")
				b.ReportMetric(float64(disorder)/float64(b.N), "disorder")
			})
		}
	}
}

// torture writes the lines and returns their number.
func torture(b *testing.B, mode, name string) (n int) {
	create := func() *os.File {
		f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
		if err != nil {
			b.Fatal(err)
		}
		return f
	}
	f := create()
	write := func(f *os.File) {
		if mode == "split" {
			fmt.Fprintf(f, "line %d of", n)
			fmt.Fprintf(f, " the log\n")
		} else {
			fmt.Fprintf(f, "line %d of the log\n", n)
		}
		n++
	}
	rotated := 0
	away := func() {
		rotated++
		os.Rename(name, fmt.Sprintf("%s.20261129-%04d", name, rotated))
	}
	every := int(*rotation / (10 * time.Millisecond))
	for tick := range max(300, 3*every+100) {
		time.Sleep(10 * time.Millisecond)
		for range 20 {
			write(f)
		}
		if tick%every != every-1 || mode == "append" || mode == "split" {
			continue
		}
		switch mode {
		case "rename", "late", "double":
			old := f
			away()
			f = create()
			if mode == "late" {
				write(old)
			}
			if old.Close(); mode == "double" {
				write(f)
				f.Close()
				away()
				f = create()
			}
		case "recreate":
			time.Sleep(60 * time.Millisecond) // longer than a poll: else there is nothing to read
			f.Close()
			os.Remove(name)
			f = create()
		case "copytruncate", "regrow":
			rotated++
			text, _ := os.ReadFile(name)
			os.WriteFile(fmt.Sprintf("%s.20261129-%04d", name, rotated), text, 0o600)
			f.Truncate(0)
			if mode == "regrow" {
				for range len(text)/18 + 10 {
					write(f)
				}
			}
		}
	}
	f.Close()
	return n
}

// BenchmarkFollowDirIdle measures the processor time of a follow.Dir over 1,000
// files at rest, in percent.
func BenchmarkFollowDirIdle(b *testing.B) {
	dir := b.TempDir()
	for i := range 1000 {
		if err := os.WriteFile(fmt.Sprintf("%s/%04d.log", dir, i), []byte("line\n"), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan bool)
	go func() {
		defer close(done)
		for range (follow.Dir{Match: []string{dir}}).Records(ctx) {
		}
	}()
	time.Sleep(14 * time.Second) // until all are at rest
	var used, all time.Duration
	for b.Loop() {
		before, start := cpu(), time.Now()
		time.Sleep(5 * time.Second)
		used, all = used+cpu()-before, all+time.Since(start)
	}
	cancel()
	<-done
	b.ReportMetric(100*used.Seconds()/all.Seconds(), "cpu-%")
}
