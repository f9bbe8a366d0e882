package logscan

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"testing"
	"time"

	"github.com/redoubt-go/redoubt/logscan"
	"github.com/redoubt-go/redoubt/logscan/detect"
)

// logins is the scan for failed logins.
func logins() func(corpus) int {
	near := logscan.TimeParser{Reference: func() time.Time { return time.Unix(1772366400, 0) }}
	s := logscan.Scanner{Require: []string{"Failed "}, Parser: logscan.Chain(logscan.Syslog(near), detect.SSHAuth())}
	return scan(s, func(r *logscan.Record) bool {
		_, ok := detect.ParseAddr(r.Get("addr"))
		return ok && r.Is("outcome", "failed")
	})
}

// BenchmarkFailedLogins finds and counts the address of each failed login. A
// quarter of the lines are failed logins.
func BenchmarkFailedLogins(b *testing.B) {
	re := regexp.MustCompile(`sshd\[\d+\]: Failed password for (?:invalid user )?(.*) from (\S+) port \d+ ssh2$`)
	compare(b, authLines(),
		"redoubt", logins(),
		"regexp", lines(func(l []byte) bool {
			m := re.FindSubmatch(l)
			if m == nil {
				return false
			}
			_, err := netip.ParseAddr(string(m[2]))
			return err == nil
		}))
}

// BenchmarkFail2ban does the same for the first 20000 lines. redoubt scans them
// in memory. fail2ban-regex reads a file, with a single expression and with its
// whole filter for sshd, including its start.
func BenchmarkFail2ban(b *testing.B) {
	if _, err := exec.LookPath("fail2ban-regex"); err != nil {
		b.Skip("fail2ban-regex is not installed")
	}
	c := authLines()
	c.lines, c.want = 20000, 5000
	end := 0
	for range c.lines {
		end += bytes.IndexByte(c.text[end:], '\n') + 1
	}
	c.text = c.text[:end]
	name := filepath.Join(b.TempDir(), "auth.log")
	if err := os.WriteFile(name, c.text, 0o600); err != nil {
		b.Fatal(err)
	}
	run := func(filter string) func(corpus) int {
		return func(corpus) (n int) {
			out, err := exec.Command("fail2ban-regex", name, filter).Output()
			if err != nil {
				b.Fatal(err)
			}
			at := bytes.Index(out, []byte("Lines: "))
			fmt.Sscanf(string(out[max(at, 0):]), "Lines: %d lines, %d ignored, %d matched", new(int), new(int), &n)
			return n
		}
	}
	impls := []any{"redoubt", logins(), "fail2ban-regex-expression", run(`^\s*\S+ sshd\[\d+\]: Failed password for .* from <HOST> port \d+ ssh2$`)}
	if _, err := os.Stat("/etc/fail2ban/filter.d/sshd.conf"); err == nil {
		impls = append(impls, "fail2ban-regex-sshd", run("sshd"))
	}
	compare(b, c, impls...)
}

// address returns the address of one of 50 hosts at every tenth event, and
// otherwise of a host that comes once.
func address(i int) netip.Addr {
	if i%10 == 0 {
		i = i / 10 % 50
	}
	return netip.AddrFrom4([4]byte{byte(i >> 24), byte(i >> 16), byte(i >> 8), byte(i)})
}

// A leaky has the shape of a bucket of crowdsec: a goroutine with a channel and
// a ticker for each key.
type leaky struct {
	events chan time.Time
	over   chan bool
}

func (l leaky) run() {
	leak := time.NewTicker(10 * time.Minute)
	defer leak.Stop()
	var queue []time.Time
	for {
		select {
		case at, ok := <-l.events:
			if !ok {
				return
			}
			queue = append(queue, at)
			l.over <- len(queue) == 6
		case <-leak.C:
			queue = queue[min(1, len(queue)):]
		}
	}
}

// BenchmarkDetector observes 200000 events. Nine tenths have a key that comes
// once. The 50 keys with more than five events must be reported. Only redoubt
// bounds its keys; the others hold 180050 keys.
func BenchmarkDetector(b *testing.B) {
	const events = 200000
	at := time.Unix(1772366400, 0)
	compare(b, corpus{lines: events, want: 50},
		"redoubt", func(corpus) (n int) {
			w := detect.NewWindow[netip.Addr](detect.Config{Limit: 5, Per: time.Hour, Cooldown: 1 << 60})
			for i := range events {
				if _, ok := w.Observe(at, address(i), 1); ok {
					n++
				}
			}
			return n
		},
		"redoubt-evidence", func(corpus) (n int) {
			w := detect.NewWindow[netip.Addr](detect.Config{Limit: 5, Per: time.Hour, Cooldown: 1 << 60})
			line := []byte("Failed password for invalid user u1 from 203.0.113.1 port 2024 ssh2")
			for i := range events {
				if _, ok := w.Observe(at, address(i), 1, line); ok {
					n++
				}
			}
			return n
		},
		"map-of-times", func(corpus) (n int) {
			m := map[netip.Addr][]time.Time{}
			for i := range events {
				a := address(i)
				m[a] = append(m[a], at)
				if len(m[a]) == 6 {
					n++
				}
			}
			return n
		},
		"goroutine-per-key", func(corpus) (n int) {
			m := map[netip.Addr]leaky{}
			for i := range events {
				l, ok := m[address(i)]
				if !ok {
					l = leaky{make(chan time.Time), make(chan bool)}
					m[address(i)] = l
					go l.run()
				}
				l.events <- at
				if <-l.over {
					n++
				}
			}
			for _, l := range m {
				close(l.events)
			}
			return n
		})
}

// BenchmarkDetectorMemory measures the bytes per key for 60000 keys with an
// event each.
func BenchmarkDetectorMemory(b *testing.B) {
	const keys = 60000
	at := time.Unix(1772366400, 0)
	key := func(i int) netip.Addr { return address(10*i + 1) }
	for name, fill := range map[string]func() any{
		"redoubt": func() any {
			w := detect.NewWindow[netip.Addr](detect.Config{Limit: 5, Per: time.Hour})
			for i := range keys {
				w.Observe(at, key(i), 1)
			}
			return w
		},
		"map-of-times": func() any {
			m := map[netip.Addr][]time.Time{}
			for i := range keys {
				m[key(i)] = append(m[key(i)], at)
			}
			return m
		},
		"goroutine-per-key": func() any {
			m := map[netip.Addr]leaky{}
			for i := range keys {
				l := leaky{make(chan time.Time), make(chan bool)}
				m[key(i)] = l
				go l.run()
				l.events <- at
				<-l.over
			}
			return m
		},
	} {
		b.Run("impl="+name, func(b *testing.B) {
			var total uint64
			for b.Loop() {
				before := inUse()
				held := fill()
				total += inUse() - before
				if m, ok := held.(map[netip.Addr]leaky); ok {
					for _, l := range m {
						close(l.events)
					}
				}
				runtime.KeepAlive(held)
			}
			b.ReportMetric(float64(total)/float64(b.N)/keys, "B/key")
		})
	}
}

// inUse returns the bytes in use of heap and stacks.
func inUse() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // frees the stacks of goroutines that ended
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse
}
