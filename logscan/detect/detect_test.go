package detect_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/leanovate/gopter"
	"github.com/leanovate/gopter/gen"
	"github.com/leanovate/gopter/prop"
	"github.com/redoubt-go/redoubt/logscan"
	"github.com/redoubt-go/redoubt/logscan/detect"
)

func sec(n int) time.Time { return noon.Add(time.Duration(n) * time.Second) }

func TestTrap27_LimitIsTolerated(t *testing.T) {
	for _, limit := range []int{0, 1, 5} {
		w := detect.NewWindow[string](detect.Config{Limit: limit, Per: time.Minute})
		for i := range limit + 1 {
			a, ok := w.Observe(sec(i), "k", 1)
			if ok != (i == limit) || ok && (a.Count != limit+1 || !a.Exact) {
				t.Errorf("limit %d, event %d: got %v, %+v", limit, i+1, ok, a)
			}
		}
	}
}

func TestTrap28_Window(t *testing.T) {
	type step struct {
		at    int
		alert bool
	}
	tests := []struct {
		name  string
		c     detect.Config
		steps []step
		late  uint64
	}{
		{"open at the early end", detect.Config{Limit: 1, Per: 10 * time.Second}, []step{{0, false}, {10, false}, {19, true}}, 0},
		{"equal times", detect.Config{Limit: 1, Per: 10 * time.Second}, []step{{0, false}, {0, true}}, 0},
		{"late", detect.Config{Limit: 2, Per: 10 * time.Second}, []step{{0, false}, {9, false}, {5, true}}, 0},
		{"late, in an earlier window", detect.Config{Limit: 2, Per: 5 * time.Second, MaxSkew: time.Minute}, []step{{10, false}, {50, false}, {51, false}, {11, false}, {12, true}}, 0},
		{"too late", detect.Config{Limit: 1, Per: 10 * time.Second}, []step{{20, false}, {9, false}, {21, true}}, 1},
		{"cooldown", detect.Config{Limit: 1, Per: 10 * time.Second, Cooldown: 4 * time.Second}, []step{{0, false}, {1, true}, {2, false}, {4, false}, {5, true}}, 0},
		{"jump ahead and back", detect.Config{Limit: 1, Per: 10 * time.Second}, []step{{0, false}, {5000, false}, {5001, true}, {1, false}}, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := detect.NewWindow[string](tt.c)
			for i, s := range tt.steps {
				if _, ok := w.Observe(sec(s.at), "k", 1); ok != s.alert {
					t.Errorf("step %d: got %v, want %v", i, ok, s.alert)
				}
			}
			if got := w.Stats().Late; got != tt.late {
				t.Errorf("late: got %d, want %d", got, tt.late)
			}
		})
	}
}

// Oracle: a list of all events of each key.
func TestP8_WindowIsAList(t *testing.T) {
	params := gopter.DefaultTestParameters()
	params.MinSuccessfulTests = 200
	props := gopter.NewProperties(params)
	props.Property("a window is a list", prop.ForAll(
		func(seed int64, limit, skew int) string {
			r := rand.New(rand.NewPCG(uint64(seed), 1))
			per := 10
			w := detect.NewWindow[int](detect.Config{Limit: limit, Per: time.Duration(per) * time.Second, MaxSkew: time.Duration(skew) * time.Second, Cooldown: -1})
			list, newest := map[int][]int{}, map[int]int{}
			now := 0
			for i := range 150 {
				now += r.IntN(4)
				key, at := r.IntN(3), now-r.IntN(skew+1)
				_, got := w.Observe(sec(at), key, 1)
				if n, seen := newest[key]; seen && n-at > skew {
					if got {
						return fmt.Sprintf("event %d: an alert for a late event", i)
					}
					continue
				}
				newest[key] = max(newest[key], at)
				list[key] = append(list[key], at)
				want := false
				for _, end := range list[key] {
					count := 0
					for _, x := range list[key] {
						if x > end-per && x <= end {
							count++
						}
					}
					want = want || end >= at && end < at+per && count > limit
				}
				// While a key is above its limit the oldest are dropped.
				if got != want && !(want && len(list[key]) > 2*limit) || got && !want {
					return fmt.Sprintf("event %d of %d at %d: got %v, want %v", i, key, at, got, want)
				}
			}
			return ""
		}, gen.Int64(), gen.IntRange(40, 60), gen.IntRange(1, 20)))
	props.Property("few events", prop.ForAll(
		func(ats []int, limit int) string {
			w := detect.NewWindow[int](detect.Config{Limit: limit, Per: 10 * time.Second, MaxSkew: time.Hour})
			got, want := false, false
			for i, at := range ats {
				_, ok := w.Observe(sec(at), 1, 1)
				got = got || ok
				for _, end := range ats[:i+1] {
					count := 0
					for _, x := range ats[:i+1] {
						if x > end-10 && x <= end {
							count++
						}
					}
					want = want || count > limit
				}
				if got != want {
					return fmt.Sprintf("%v, limit %d: got %v, want %v", ats[:i+1], limit, got, want)
				}
			}
			return ""
		}, gen.SliceOf(gen.IntRange(0, 100)), gen.IntRange(0, 5)))
	props.TestingRun(t)
}

// parse runs the message through the parser.
func parse(line string) string {
	r := &logscan.Record{Line: []byte(line)}
	if err := detect.SSHAuth().Parse(r); err != nil {
		if !errors.Is(err, logscan.ErrMalformed) {
			return err.Error()
		}
		return "malformed"
	}
	return fmt.Sprintf("%s|%s|%s|%d", r.Get("outcome"), r.Get("user"), r.Get("addr"), r.Weight())
}

func TestTrap29_Injection(t *testing.T) {
	for line, want := range map[string]string{
		"Failed password for invalid user test from 10.10.1.2 port 55555 ssh2 from 127.0.0.1 port 58946 ssh2": "failed|test from 10.10.1.2 port 55555 ssh2|127.0.0.1|1",
		"Failed password for user from 127.0.0.1 port 20000 ssh1: ruser joe from 1.2.3.4":                     "failed|user|127.0.0.1|1",
		"Accepted publickey for git from 192.0.2.7 port 4242 ssh2: RSA SHA256:abc":                            "accepted|git|192.0.2.7|1",
		"Invalid user  from 192.0.2.7 port 4242":                                                              "invalid||192.0.2.7|1",
		"Invalid user x from 192.0.2.7":                                                                       "invalid|x|192.0.2.7|1",
		"Failed password for root from host.example port 22 ssh2 [preauth]":                                   "failed|root|host.example|1",
		"Failed password for root from 1.2.3.4 port 22 ssh2 and more":                                         "malformed",
		"Failed password for root from 1.2.3.4 port 123456 ssh2":                                              "malformed",
		"Failed password root": "malformed", "Connection closed": "malformed", "": "malformed", "Failed ": "malformed",
	} {
		if got := parse(line); got != want {
			t.Errorf("%s:\n got %s\nwant %s", line, got, want)
		}
	}
	// nginx quotes the user, so a [time] and a quote cannot come from him.
	line := `192.0.2.1 - x client: 127.0.0.1 [a] [10/Oct/2026:13:55:36 +0000] "GET / HTTP/1.1" 200 1`
	r := &logscan.Record{Line: []byte(line)}
	if err := logscan.CLF(logscan.TimeParser{}).Parse(r); err != nil || string(r.Get("addr")) != "192.0.2.1" || string(r.Get("user")) != "x client: 127.0.0.1 [a]" {
		t.Errorf("got %q %q, %v", r.Get("addr"), r.Get("user"), err)
	}
}

func TestTrap30_PAMWeight(t *testing.T) {
	for line, want := range map[string]string{
		"PAM 2 more authentication failures; logname= uid=0 euid=0 tty=ssh ruser= rhost=192.0.2.1  user=root": "failed|root|192.0.2.1|2",
		"PAM 1 more authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=192.0.2.1":             "failed||192.0.2.1|1",
		"PAM x more authentication failure; rhost=1":                                                          "malformed", "PAM 2 more authentication failures; rhost= ": "malformed",
	} {
		if got := parse(line); got != want {
			t.Errorf("%s:\n got %s\nwant %s", line, got, want)
		}
	}
}

func TestTrap31_Addresses(t *testing.T) {
	for s, want := range map[string]string{
		"::ffff:1.2.3.4": "1.2.3.4", "1.2.3.4": "1.2.3.4", "fe80::1%eth0": "fe80::1", "192.030.0.6": "", "host": "", "": "", "1.2.3": "", "1.2.3.4.": "", "::1%": "", "2001:db8::1": "2001:db8::1",
	} {
		a, ok := detect.ParseAddr([]byte(s))
		if got := fmt.Sprint(a); ok != (want != "") || ok && got != want {
			t.Errorf("%q: got %s, %v, want %q", s, got, ok, want)
		}
	}
	if got := detect.Network(netip.MustParseAddr("::ffff:10.1.2.3"), 24, 64).String(); got != "10.1.2.0/24" {
		t.Errorf("mapped: got %s", got)
	}
	if got := detect.Network(netip.Addr{}, 24, 64); got.IsValid() {
		t.Errorf("no address: got %s", got)
	}
}

// A million keys that come once, and 50 offenders in turn.
func TestTrap32_ManyKeys(t *testing.T) {
	w := detect.NewWindow[netip.Addr](detect.Config{Limit: 5, Per: time.Hour, MaxKeys: 1 << 15})
	addr := func(i int) netip.Addr {
		return netip.AddrFrom4([4]byte{byte(i >> 24), byte(i >> 16), byte(i >> 8), byte(i)})
	}
	alerts, inexact := map[netip.Addr]bool{}, 0
	before := heap()
	for i := range 1000000 {
		w.Observe(noon, addr(1<<24+i), 1)
		if i%200 == 0 { // each of them every 10000 events
			a, ok := w.Observe(noon, addr(i/200%50), 1)
			if ok {
				alerts[a.Key] = true
				if !a.Exact {
					inexact++
				}
			}
		}
	}
	perKey := (heap() - before) >> 15
	if len(alerts) != 50 || inexact != 0 {
		t.Errorf("got %d offenders, %d of them not exact, want 50", len(alerts), inexact)
	}
	if got := w.Stats().Keys; got != 1<<15 {
		t.Errorf("got %d keys, want %d", got, 1<<15)
	}
	if !raceEnabled && perKey > 160 {
		t.Errorf("got %d bytes a key, want at most 160", perKey)
	}
	// An offender who comes back after he was forgotten.
	w = detect.NewWindow[netip.Addr](detect.Config{Limit: 1, Per: time.Hour, MaxKeys: 2})
	for _, key := range []int{1, 2, 3, 1, 1} {
		if a, ok := w.Observe(noon, addr(key), 1); ok && a.Exact {
			t.Errorf("got an exact alert for %v, of whom one event was forgotten", a.Key)
		}
	}
}

// heap is the memory in use.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// Keys with as many events as they can have hold no more than 16 events each, on
// average, and the key that has most can still reach its limit.
func TestTrap32_ManyEvents(t *testing.T) {
	w := detect.NewWindow[int](detect.Config{Limit: 1000, Per: time.Hour, MaxKeys: 1 << 10})
	before := heap()
	for i := range 100 << 10 {
		w.Observe(noon.Add(time.Duration(i)), i>>9, 1)
	}
	if got := heap() - before; !raceEnabled && got > 1<<20 {
		t.Errorf("got %d bytes, want at most 1 MiB", got)
	}
	if s := w.Stats(); s.Keys > 33 || s.Evicted == 0 {
		t.Errorf("got %+v, want no more keys than there is room for 512 events each", s)
	}
	alert := false
	for i := range 1001 {
		_, alert = w.Observe(noon.Add(time.Duration(i)), -1, 1)
	}
	if !alert {
		t.Error("got no alert for a key that has exceeded its limit")
	}
	runtime.KeepAlive(w)
}

func TestTrap33_AlertText(t *testing.T) {
	a := detect.Alert[string]{Key: strings.Repeat("\x1b", 1000) + "x", Evidence: []string{"\x1b[2J\r\n\u202e"}}
	got := a.String()
	if len(got) > 400 || strings.ContainsAny(got, "\x1b\r\u202e") {
		t.Errorf("got %d bytes: %q", len(got), got)
	}
}

func TestTrap33_Evidence(t *testing.T) {
	for _, tt := range []struct {
		evidence int
		want     string
	}{{0, "l3 l4 l5"}, {2, "l4 l5"}, {16, "l0 l1 l2 l3 l4 l5"}, {-1, ""}} {
		w := detect.NewWindow[int](detect.Config{Limit: 5, Per: time.Hour, Evidence: tt.evidence})
		line := []byte("l?")
		for i := range 6 {
			line[1] = byte('0' + i)
			if a, ok := w.Observe(noon, 1, 1, line); ok {
				w.Observe(noon, 1, 1, []byte("later"))
				line[0] = 'X' // it was copied
				if got := strings.Join(a.Evidence, " "); got != tt.want {
					t.Errorf("%d: got %q, want %q", tt.evidence, got, tt.want)
				}
			}
		}
	}
	w := detect.NewWindow[int](detect.Config{Per: time.Hour})
	a, _ := w.Observe(noon, 1, 1, make([]byte, 1<<20), make([]byte, 257), nil, nil)
	if got := len(a.Evidence); got != 3 || len(a.Evidence[0]) != 256 {
		t.Errorf("got %d pieces, want 3, the first cut at 256 bytes", got)
	}
	w.Observe(noon, 1, 1, []byte("x"))
	if a.Evidence[1] != "" || a.Evidence[2] != "" {
		t.Errorf("an alert changes after it was raised: %q", a.Evidence)
	}
	// Every detector has them, and a forgotten key leaves none.
	c := detect.Config{Limit: 1, Per: time.Hour, MaxKeys: 1}
	d, l, s := detect.NewDistinct[int](c), detect.NewLeak[int](c), detect.NewSequence[int](c)
	d.Observe(noon, 2, []byte("of another"), []byte("of another"))
	d.Observe(noon, 1, []byte("a"), []byte("d1"))
	ad, _ := d.Observe(noon, 1, []byte("b"), []byte("d2"))
	al, _ := l.Observe(noon, 1, 2, []byte("l"))
	s.Fail(noon, 1, 2, []byte("f"))
	as, _ := s.Succeed(noon, 1, []byte("s"))
	if diff := cmp.Diff([][]string{{"d1", "d2"}, {"l"}, {"f", "s"}}, [][]string{ad.Evidence, al.Evidence, as.Evidence}); diff != "" {
		t.Error(diff)
	}
}

func TestDistinctLeakSequence(t *testing.T) {
	d := detect.NewDistinct[string](detect.Config{Limit: 1, Per: 10 * time.Second})
	var got []bool
	for i, v := range []string{"a", "a", "a", "b"} {
		_, ok := d.Observe(sec(i), "k", []byte(v))
		got = append(got, ok)
	}
	_, late := d.Observe(sec(-100), "k", []byte("c"))
	got = append(got, late)
	l := detect.NewLeak[string](detect.Config{Limit: 10, Per: 10 * time.Second, Cooldown: -1})
	for i := range 100 { // one a second leaks away
		if _, ok := l.Observe(sec(i), "k", 1); ok {
			t.Errorf("leak: alert at %d", i)
		}
	}
	_, over := l.Observe(sec(99), "k", 10)
	got = append(got, over)
	s := detect.NewSequence[string](detect.Config{Limit: 2, Per: 10 * time.Second, Cooldown: -1})
	for i := range 3 {
		s.Fail(sec(i), "k", 1)
	}
	_, stranger := s.Succeed(sec(3), "x")
	_, found := s.Succeed(sec(3), "k")
	_, again := s.Succeed(sec(3), "k")
	got = append(got, stranger, found, again)
	if diff := cmp.Diff([]bool{false, false, false, true, false, true, false, true, false}, got); diff != "" {
		t.Error(diff)
	}
}

func TestConfigPanics(t *testing.T) {
	for name, f := range map[string]func(){
		"window": func() { detect.NewWindow[int](detect.Config{}) }, "distinct": func() { detect.NewDistinct[int](detect.Config{}) },
		"leak": func() { detect.NewLeak[int](detect.Config{Per: 1}) }, "sequence": func() { detect.NewSequence[int](detect.Config{Limit: 1 << 20, Per: 1}) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			f()
		}()
	}
}

// What a detector allocates is for keys it has never had room for.
func TestAllocs(t *testing.T) {
	if raceEnabled {
		t.Skip("the race runtime allocates")
	}
	w := detect.NewWindow[netip.Addr](detect.Config{Limit: 5, Per: time.Minute, MaxKeys: 100})
	i := 0
	event := func() {
		i++
		w.Observe(sec(i), netip.AddrFrom4([4]byte{byte(i >> 16), byte(i >> 8), byte(i)}), 1) // a new key
		w.Observe(sec(i), netip.AddrFrom4([4]byte{1}), 1)
	}
	for range 1000 {
		event()
	}
	if got := testing.AllocsPerRun(1000, event); got != 0 {
		t.Errorf("Observe: got %v allocations, want 0", got)
	}
	for _, s := range []string{"2001:db8::1", "::ffff:1.2.3.4", "1.2.3.4", "not"} {
		b := []byte(s)
		if got := testing.AllocsPerRun(100, func() { detect.ParseAddr(b) }); got != 0 {
			t.Errorf("ParseAddr(%s): got %v allocations", s, got)
		}
	}
}

// A scan of many messages allocates no more than a scan of few.
func TestSSHAuthAllocs(t *testing.T) {
	if raceEnabled {
		t.Skip("the race runtime allocates")
	}
	for _, line := range []string{
		"Failed password for invalid user a from 2001:db8::1 port 5 ssh2", "Accepted publickey for git from 192.0.2.7 port 4242 ssh2: RSA SHA256:abc",
		"PAM 2 more authentication failures; rhost=192.0.2.1  user=root", "Failed password for root from 1.2.3.4 port 22 ssh2 and more", "Connection closed",
	} {
		scan := func(n int) float64 {
			log := strings.Repeat(line+"\n", n)
			s := logscan.Scanner{Parser: detect.SSHAuth()}
			return testing.AllocsPerRun(10, func() {
				for range s.Records(context.Background(), logscan.Readers("", strings.NewReader(log))) {
				}
			})
		}
		if few, many := scan(5000), scan(10000); many != few {
			t.Errorf("%s: got %v allocations for 10000, want %v as for 5000", line, many, few)
		}
	}
}

// A log whose clock was ahead, or is set back by an hour, as at the end of summer
// time: the key is not safe for as long.
func TestTrap28_ClockSetBack(t *testing.T) {
	w := detect.NewWindow[int](detect.Config{Limit: 2, Per: 10 * time.Second})
	var got []int
	for i, at := range []int{3600, 3600, 3600, 0, 1, 2, 3, 4, 5, 6} {
		if a, ok := w.Observe(sec(at), 1, 1); ok {
			got = append(got, i)
			if i > 3 && a.Exact {
				t.Errorf("event %d: the alert is exact, though late events were not counted", i)
			}
		}
	}
	// Three late events, the fourth is the first of the new time.
	if diff := cmp.Diff([]int{2, 8}, got); diff != "" || w.Stats().Late != 4 {
		t.Errorf("late %d, alerts at events %s", w.Stats().Late, diff)
	}
}

func TestTrap28_AnyTime(t *testing.T) {
	w := detect.NewWindow[int](detect.Config{Limit: 1, Per: 1 << 62, MaxSkew: 1 << 62, Cooldown: 1 << 62})
	l := detect.NewLeak[int](detect.Config{Limit: 1, Per: 1 << 62})
	r := rand.New(rand.NewPCG(1, 1))
	for range 1000 {
		at := time.Unix(int64(r.Uint64()), 0)
		w.Observe(at, 1, 1)
		l.Observe(at, 1, math.MaxInt)
	}
	w.Observe(time.Time{}, 2, 1)
	if _, ok := w.Observe(time.Time{}, 2, 1); !ok {
		t.Error("got no alert for records without a time")
	}
	w = detect.NewWindow[int](detect.Config{Limit: 1, Per: time.Second})
	w.Observe(time.Date(2300, 1, 1, 0, 0, 0, 0, time.UTC), 1, 1)
	if _, ok := w.Observe(time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), 1, 1); !ok {
		t.Error("got no alert for times that are too late to be told apart")
	}
}

// What a key has too much of is dropped, and the alert says so; what came at one
// time is one.
func TestTrap28_Dropped(t *testing.T) {
	w := detect.NewWindow[int](detect.Config{Limit: 1, Per: time.Hour, Cooldown: -1})
	var last detect.Alert[int]
	for i := range 10 {
		last, _ = w.Observe(sec(i), 1, 1)
		if last.Exact && last.Count != i+1 {
			t.Errorf("event %d: got an exact count of %d", i, last.Count)
		}
	}
	if last.Count != 6 || last.Exact {
		t.Errorf("got %+v, want a lower bound of 6", last)
	}
	for range 100 {
		last, _ = w.Observe(noon, 2, 2)
	}
	if last.Count != 200 || !last.Exact {
		t.Errorf("got %+v, want 200 exactly", last)
	}
}

// Oracle: the list of all events. A key is known as long as fewer than MaxKeys
// others come between two of its events.
func TestP8_FullTable(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 3))
		maxKeys, limit := 1+r.IntN(5), r.IntN(4)
		w := detect.NewWindow[int](detect.Config{Limit: limit, Per: 50 * time.Second, MaxKeys: maxKeys, Cooldown: -1, MaxSkew: -1})
		var keys, times []int
		at := 0
		for range 100 {
			at += r.IntN(3)
			key := int(math.Abs(r.NormFloat64() * 4))
			keys, times = append(keys, key), append(times, at)
			a, got := w.Observe(sec(at), key, 1)
			others, known, all, linked := map[int]bool{}, 0, 0, true
			for i := len(keys) - 1; i >= 0 && times[i] > at-50; i-- {
				if keys[i] != key {
					others[keys[i]] = true
					continue
				}
				linked = linked && len(others) < maxKeys
				clear(others)
				if all++; linked {
					known++
				}
			}
			most := 2 * (limit + 1) // what more there is of one key is dropped
			if got != (known > limit) || got && (a.Count > all || a.Count < min(known, most) || a.Exact && a.Count != all) {
				t.Fatalf("seed %d, %d keys, limit %d: got %v, %+v, want %d of %d", seed, maxKeys, limit, got, a, known, all)
			}
		}
	}
}

// Oracle: a bucket that leaks one each second.
func TestLeakIsABucket(t *testing.T) {
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 4))
		limit := 1 + r.IntN(10)
		l := detect.NewLeak[int](detect.Config{Limit: limit, Per: time.Duration(limit) * time.Second, Cooldown: -1})
		level, at := 0, 0
		for i := range 200 {
			for range r.IntN(3) {
				at, level = at+1, max(level-1, 0)
			}
			n := 1 + r.IntN(3)
			a, got := l.Observe(sec(at), 1, n)
			if want := level+n > limit; got != want || got && a.Count != level+n {
				t.Fatalf("seed %d, event %d: got %v, %+v, want %v, %d", seed, i, got, a, want, level+n)
			}
			level = min(level+n, limit)
		}
	}
}

// Oracle: the set of values in the window, for events in order.
func TestDistinctIsASet(t *testing.T) {
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 5))
		limit := r.IntN(5)
		d := detect.NewDistinct[int](detect.Config{Limit: limit, Per: 10 * time.Second, Cooldown: -1})
		last, at := map[byte]int{}, 0
		for i := range 200 {
			at += r.IntN(3)
			v := byte(r.IntN(8))
			last[v] = at
			want := 0
			for _, seen := range last {
				if seen > at-10 {
					want++
				}
			}
			a, got := d.Observe(sec(at), 1, []byte{v})
			if got != (want > limit) || got && a.Count != want && (a.Exact || a.Count > want) {
				t.Fatalf("seed %d, event %d: got %v, %+v, want %d of %d", seed, i, got, a, want, limit)
			}
		}
	}
}

// Events that are forgotten are no longer counted among those held, so that
// nobody is evicted for them.
func TestNothingIsEvictedForNothing(t *testing.T) {
	c := detect.Config{Limit: 1, Per: time.Hour, Cooldown: -1, MaxKeys: 2}
	w, d, s := detect.NewWindow[int](c), detect.NewDistinct[int](c), detect.NewSequence[int](c)
	w.Observe(noon, 1, 1)
	d.Observe(noon, 1, nil)
	s.Fail(noon, 1, 1)
	for i := range 100 {
		w.Observe(sec(i), 2, 1)
		w.Observe(sec(i-10000), 2, 1) // late
		for range 6 {
			w.Observe(sec(-1e6*i), 2, 1) // the clock goes back twice
		}
		d.Observe(sec(i), 2, nil)
		s.Fail(sec(i), 2, 2)
		s.Succeed(sec(i), 2)
	}
	if w, d, s := w.Stats(), d.Stats(), s.Stats(); w.Evicted+d.Evicted+s.Evicted > 0 || w.Late == 0 {
		t.Errorf("got %+v, %+v, %+v, want nothing evicted", w, d, s)
	}
}

// What a forgotten key had poured may be in its bucket however long ago it was.
func TestLeakExact(t *testing.T) {
	l := detect.NewLeak[int](detect.Config{Limit: 1, Per: time.Second, MaxKeys: 1})
	if a, ok := l.Observe(noon, 1, 2); !ok || !a.Exact {
		t.Errorf("got %v, %+v, want an exact alert", ok, a)
	}
	l.Observe(noon, 2, 1)
	if a, ok := l.Observe(sec(100), 1, 2); !ok || a.Exact {
		t.Errorf("got %v, %+v, want an alert that is not exact", ok, a)
	}
}

func TestSequenceTakesNoRoomForSuccess(t *testing.T) {
	s := detect.NewSequence[int](detect.Config{Limit: 1, Per: time.Hour, MaxKeys: 1})
	s.Fail(noon, 1, 2)
	for i := range 10 {
		s.Succeed(noon, 100+i)
	}
	if a, ok := s.Succeed(noon, 1); !ok || !a.Exact || s.Stats().Keys != 1 {
		t.Errorf("got %v, %+v, %+v", ok, a, s.Stats())
	}
}

// Detectors of their own, each behind a lock, share the keys.
func TestShard(t *testing.T) {
	const n = 8
	type shard struct {
		sync.Mutex
		*detect.Window[int]
	}
	shards := make([]shard, n)
	for i := range shards {
		shards[i].Window = detect.NewWindow[int](detect.Config{Limit: 100, Per: time.Hour})
	}
	var alerts atomic.Int32
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range 25 * 100 {
				s := &shards[detect.Shard(i%100, n)]
				s.Lock()
				if _, ok := s.Observe(noon, i%100, 1); ok {
					alerts.Add(1)
				}
				s.Unlock()
			}
		})
	}
	wg.Wait()
	if got := alerts.Load(); got != 0 {
		t.Errorf("got %d alerts within the limit", got)
	}
	for i := range 100 {
		if _, ok := shards[detect.Shard(i, n)].Observe(noon, i, 1); !ok {
			t.Errorf("key %d: not all its events were seen by one detector", i)
		}
	}
	for i := range shards {
		if got := shards[i].Stats().Keys; got == 0 || got > 40 {
			t.Errorf("shard %d: got %d of 100 keys", i, got)
		}
	}
	if got := detect.Shard("any", 0); got != 0 {
		t.Errorf("no shards: got %d", got)
	}
}

// Oracle: net/netip.
func FuzzParseAddr(f *testing.F) {
	for _, s := range []string{"::", "1::2", "1:2:3:4:5:6:7:8", "::ffff:1.2.3.4", "1:2:3:4:5:6:1.2.3.4", "fe80::1%eth0", "1.2.3.04", "1::2::3", "12345::", "::G", "::1:", "1:2:3:4:5:6:7::"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, ok := detect.ParseAddr([]byte(s))
		want, err := netip.ParseAddr(s)
		if ok != (err == nil) || ok && got != want.Unmap().WithZone("") {
			t.Errorf("%q: got %v, %v, want %v, %v", s, got, ok, want, err)
		}
	})
}

func FuzzSSHAuth(f *testing.F) {
	f.Add("x from 1.1.1.1 port 1 ssh2")
	f.Add("root")
	f.Fuzz(func(t *testing.T, user string) {
		line := "Failed password for invalid user " + user + " from 192.0.2.1 port 22 ssh2"
		if got, want := parse(line), "failed|"+user+"|192.0.2.1|1"; got != want && !strings.HasPrefix(user, "invalid user ") && !strings.HasPrefix(user, "illegal user ") {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

// Each detector counts two events of one key within Limit, one beyond it, and one that is too late.
func TestStatsOfEachDetector(t *testing.T) {
	c := detect.Config{Limit: 2, Per: 10 * time.Second}
	start := time.Unix(1000, 0)
	distinct, leak, sequence := detect.NewDistinct[int](c), detect.NewLeak[int](c), detect.NewSequence[int](c)
	for i, at := range []time.Time{start, start, start, start.Add(-time.Hour)} {
		distinct.Observe(at, 1, []byte{byte(i)})
		leak.Observe(at, 1, 1)
		sequence.Fail(at, 1, 1)
	}
	sequence.Succeed(start, 1)
	want := detect.Stats{Observed: 4, Alerts: 1, Late: 1, Keys: 1}
	for name, got := range map[string]detect.Stats{"distinct": distinct.Stats(), "leak": leak.Stats()} {
		if got != want {
			t.Errorf("%s: got %+v, want %+v", name, got, want)
		}
	}
	want.Observed++ // the success
	if got := sequence.Stats(); got != want {
		t.Errorf("sequence: got %+v, want %+v", got, want)
	}
}
