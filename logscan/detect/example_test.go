package detect_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/redoubt-go/redoubt/logscan"
	"github.com/redoubt-go/redoubt/logscan/detect"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// The sixth event in ten minutes is one too many.
func Example() {
	type login struct {
		time time.Time
		addr netip.Addr
		line []byte
	}
	var events []login
	for i := range 8 {
		events = append(events, login{noon.Add(time.Duration(i) * time.Minute), netip.MustParseAddr("203.0.113.9"), fmt.Append(nil, "attempt ", i+1)})
	}
	c := detect.Config{Limit: 5, Per: 10 * time.Minute}
	w := detect.NewWindow[netip.Addr](c)
	for _, e := range events {
		if alert, ok := w.Observe(e.time, e.addr, 1, e.line); ok {
			fmt.Println(alert)
		}
	}
	// Output:
	// "203.0.113.9": 6 from 2026-03-01T12:00:00Z to 2026-03-01T12:05:00Z
	// 	"attempt 4"
	// 	"attempt 5"
	// 	"attempt 6"
}

// Report addresses with more than five failed logins in ten minutes.
func ExampleSSHAuth() {
	var log strings.Builder
	for i := range 3 {
		fmt.Fprintf(&log, "Mar  1 12:00:0%d web1 sshd[9]: Failed password for invalid user test from 10.0.0.1 port 1 ssh2 from 203.0.113.9 port 22 ssh2\n", i)
	}
	log.WriteString("Mar  1 12:00:09 web1 sshd[9]: message repeated 3 times: [ Failed password for root from 203.0.113.9 port 22 ssh2]\n")
	near := logscan.TimeParser{Reference: func() time.Time { return noon }}
	sc := logscan.Scanner{Parser: logscan.Chain(logscan.Syslog(near), detect.SSHAuth())}
	w := detect.NewWindow[netip.Prefix](detect.Config{Limit: 5, Per: 10 * time.Minute})
	for rec := range sc.Records(context.Background(), logscan.Readers("auth.log", strings.NewReader(log.String()))) {
		addr, ok := detect.ParseAddr(rec.Get("addr"))
		if !ok || !rec.Is("outcome", "failed") {
			continue
		}
		network := detect.Network(addr, 32, 64)
		alert, ok := w.Observe(rec.Time(), network, rec.Weight(), rec.Line)
		if ok {
			fmt.Println(alert)
		}
	}
	// Output:
	// "203.0.113.9/32": 6 from 2026-03-01T12:00:00Z to 2026-03-01T12:00:09Z
	// 	"Mar  1 12:00:01 web1 sshd[9]: Failed password for invalid user test from 10.0.0.1 port 1 ssh2 from 203.0.113.9 port 22 ssh2"
	// 	"Mar  1 12:00:02 web1 sshd[9]: Failed password for invalid user test from 10.0.0.1 port 1 ssh2 from 203.0.113.9 port 22 ssh2"
	// 	"Mar  1 12:00:09 web1 sshd[9]: message repeated 3 times: [ Failed password for root from 203.0.113.9 port 22 ssh2]"
}

func ExampleConfig() {
	fmt.Println(detect.Config{Evidence: 100}.Validate())
	// Output:
	// detect: Limit is 0, want 1 to 65536, or AnyEvent
	// detect: Per is 0s, want at least 1ns
	// detect: Evidence is 100, want at most 16
}

func ExampleWindow() {
	w := detect.NewWindow[string](detect.Config{Limit: detect.AnyEvent, Per: time.Minute})
	_, ok := w.Observe(noon, "any", 1)
	fmt.Println(ok, w.Stats().Keys)
	// Output:
	// true 1
}

func ExampleNewWindow() {
	w := detect.NewWindow[string](detect.Config{Limit: 1, Per: time.Minute, Cooldown: -1})
	for i := range 3 {
		_, ok := w.Observe(noon.Add(time.Duration(i)*time.Second), "a", 1)
		fmt.Println(ok)
	}
	// Output:
	// false
	// true
	// true
}

func ExampleAlert() {
	fmt.Println(detect.Alert[string]{Key: "\x1b[31mroot", Count: 6, First: noon, Last: noon})
	// Output:
	// "\x1b[31mroot": 6 from 2026-03-01T12:00:00Z to 2026-03-01T12:00:00Z
}

// An address that tries many names.
func ExampleDistinct() {
	d := detect.NewDistinct[string](detect.Config{Limit: 2, Per: time.Hour})
	for _, user := range []string{"root", "admin", "root", "test"} {
		if a, ok := d.Observe(noon, "203.0.113.9", []byte(user)); ok {
			fmt.Println(a.Key, a.Count)
		}
	}
	// Output:
	// 203.0.113.9 3
}

func ExampleNewDistinct() {
	d := detect.NewDistinct[int](detect.Config{Limit: detect.AnyEvent, Per: time.Hour})
	_, ok := d.Observe(noon, 1, []byte("x"))
	fmt.Println(ok)
	// Output:
	// true
}

func ExampleLeak() {
	l := detect.NewLeak[string](detect.Config{Limit: 2, Per: 2 * time.Second, Cooldown: -1})
	for _, s := range []int{0, 0, 0, 1, 9} {
		_, ok := l.Observe(noon.Add(time.Duration(s)*time.Second), "a", 1)
		fmt.Print(ok, " ")
	}
	fmt.Println()
	// Output:
	// false false true false false
}

func ExampleNewLeak() {
	l := detect.NewLeak[string](detect.Config{Limit: 100, Per: time.Minute})
	_, ok := l.Observe(noon, "a", 101)
	fmt.Println(ok)
	// Output:
	// true
}

// A success after many failures.
func ExampleSequence() {
	s := detect.NewSequence[string](detect.Config{Limit: 2, Per: time.Hour})
	s.Fail(noon, "203.0.113.9", 3)
	a, ok := s.Succeed(noon.Add(time.Minute), "203.0.113.9")
	fmt.Println(a.Count, ok)
	// Output:
	// 3 true
}

func ExampleNewSequence() {
	s := detect.NewSequence[string](detect.Config{Limit: 2, Per: time.Hour})
	_, ok := s.Succeed(noon, "203.0.113.9")
	fmt.Println(ok)
	// Output:
	// false
}

func ExampleStats() {
	w := detect.NewWindow[int](detect.Config{Name: "logins", Limit: 5, Per: time.Minute, MaxKeys: 2})
	for i := range 3 {
		w.Observe(noon, i, 1)
	}
	fmt.Printf("%+v\n", w.Stats())
	// Output:
	// {Name:logins Observed:3 Alerts:0 Late:0 Evicted:0 Screened:1 Keys:2}
}

// Each of four detectors observes the events of its own keys.
func ExampleShard() {
	var mu [4]sync.Mutex
	var w [4]*detect.Window[string]
	for i := range w {
		w[i] = detect.NewWindow[string](detect.Config{Limit: 1, Per: time.Minute, MaxKeys: 10000})
	}
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			i := detect.Shard("203.0.113.9", len(w))
			mu[i].Lock()
			defer mu[i].Unlock()
			if a, ok := w[i].Observe(noon, "203.0.113.9", 1); ok {
				fmt.Println(a.Key, a.Count)
			}
		})
	}
	wg.Wait()
	// Output:
	// 203.0.113.9 2
}

func ExampleParseAddr() {
	for _, s := range []string{"::ffff:192.0.2.1", "fe80::1%eth0", "192.030.0.6", "host.example"} {
		a, ok := detect.ParseAddr([]byte(s))
		fmt.Println(a, ok)
	}
	// Output:
	// 192.0.2.1 true
	// fe80::1 true
	// invalid IP false
	// invalid IP false
}

func ExampleNetwork() {
	fmt.Println(detect.Network(netip.MustParseAddr("192.0.2.1"), 24, 64), detect.Network(netip.MustParseAddr("2001:db8::1"), 24, 64))
	// Output:
	// 192.0.2.0/24 2001:db8::/64
}

// restart moves the state of a detector to another detector, as after a
// restart.
func restart(c detect.Config, w *detect.Window[netip.Addr]) (*detect.Window[netip.Addr], error) {
	b, err := w.MarshalBinary()
	if err != nil {
		return nil, err
	}
	w2 := detect.NewWindow[netip.Addr](c)
	err = w2.UnmarshalBinary(b)
	return w2, err
}

func ExampleWindow_MarshalBinary() {
	c := detect.Config{Limit: 1, Per: time.Minute}
	w := detect.NewWindow[netip.Addr](c)
	addr := netip.MustParseAddr("203.0.113.9")
	w.Observe(noon, addr, 1)
	w2, err := restart(c, w)
	if err != nil {
		fmt.Println(err)
		return
	}
	a, ok := w2.Observe(noon, addr, 1)
	fmt.Println(a.Count, ok)
	// Output:
	// 2 true
}

func ExampleWindow_UnmarshalBinary() {
	w := detect.NewWindow[string](detect.Config{Limit: 1, Per: time.Minute})
	fmt.Println(errors.Is(w.UnmarshalBinary([]byte("text")), detect.ErrSnapshot))
	// Output:
	// true
}

func ExampleLeak_MarshalBinary() {
	l := detect.NewLeak[string](detect.Config{Limit: 5, Per: time.Minute})
	b, err := l.MarshalBinary()
	fmt.Println(len(b), err)
	// Output:
	// 32 <nil>
}

func ExampleLeak_UnmarshalBinary() {
	c := detect.Config{Limit: 1, Per: time.Minute}
	l, l2 := detect.NewLeak[string](c), detect.NewLeak[string](c)
	l.Observe(noon, "203.0.113.9", 1)
	if b, err := l.MarshalBinary(); err == nil {
		fmt.Println(l2.UnmarshalBinary(b), l2.Stats().Keys)
	}
	// Output:
	// <nil> 1
}

func ExampleDistinct_MarshalBinary() {
	d := detect.NewDistinct[string](detect.Config{Limit: 5, Per: time.Minute})
	b, err := d.MarshalBinary()
	fmt.Println(len(b), err)
	// Output:
	// 64 <nil>
}

func ExampleDistinct_UnmarshalBinary() {
	c := detect.Config{Limit: 1, Per: time.Minute}
	d, d2 := detect.NewDistinct[string](c), detect.NewDistinct[string](c)
	d.Observe(noon, "203.0.113.9", []byte("root"))
	if b, err := d.MarshalBinary(); err == nil {
		fmt.Println(d2.UnmarshalBinary(b))
	}
	_, again := d2.Observe(noon, "203.0.113.9", []byte("root"))
	_, other := d2.Observe(noon, "203.0.113.9", []byte("admin"))
	fmt.Println(again, other)
	// Output:
	// <nil>
	// false true
}

func ExampleSequence_MarshalBinary() {
	s := detect.NewSequence[string](detect.Config{Limit: 5, Per: time.Minute})
	b, err := s.MarshalBinary()
	fmt.Println(len(b), err)
	// Output:
	// 32 <nil>
}

func ExampleSequence_UnmarshalBinary() {
	c := detect.Config{Limit: 1, Per: time.Minute}
	s, s2 := detect.NewSequence[string](c), detect.NewSequence[string](c)
	s.Fail(noon, "203.0.113.9", 2)
	if b, err := s.MarshalBinary(); err == nil {
		fmt.Println(s2.UnmarshalBinary(b))
	}
	_, ok := s2.Succeed(noon.Add(time.Second), "203.0.113.9")
	fmt.Println(ok)
	// Output:
	// <nil>
	// true
}
