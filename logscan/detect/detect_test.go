package detect_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"strings"
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

func TestTrap32_ManyKeys(t *testing.T) {
	if testing.Short() {
		t.Skip("slow")
	}
	w := detect.NewWindow[netip.Addr](detect.Config{Limit: 5, Per: time.Hour, MaxKeys: 1 << 15})
	addr := func(i int) netip.Addr {
		return netip.AddrFrom4([4]byte{byte(i >> 24), byte(i >> 16), byte(i >> 8), byte(i)})
	}
	alerts, inexact := map[netip.Addr]bool{}, 0
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range 500000 {
		w.Observe(noon, addr(1<<24+i), 1)
		if i%200 == 0 { // 50 offenders in turn, every one every 10000 events
			a, ok := w.Observe(noon, addr(i/200%50), 1)
			if ok {
				alerts[a.Key] = true
				if !a.Exact {
					inexact++
				}
			}
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if len(alerts) != 50 {
		t.Errorf("got %d offenders, want 50", len(alerts))
	}
	if got := w.Stats().Keys; got != 1<<15 {
		t.Errorf("got %d keys, want %d", got, 1<<15)
	}
	if perKey := (int64(after.HeapAlloc) - int64(before.HeapAlloc)) >> 15; !raceEnabled && perKey > 300 {
		t.Errorf("got %d bytes a key, want at most 300", perKey)
	}
	runtime.KeepAlive(w)
	// An offender who comes back after he was forgotten.
	w = detect.NewWindow[netip.Addr](detect.Config{Limit: 1, Per: time.Hour, MaxKeys: 2})
	for _, key := range []int{1, 2, 3, 1, 1} {
		if a, ok := w.Observe(noon, addr(key), 1); ok && a.Exact {
			t.Errorf("got an exact alert for %v, of whom one event was forgotten", a.Key)
		}
	}
}

func TestTrap33_AlertText(t *testing.T) {
	got := detect.Alert[string]{Key: strings.Repeat("\x1b", 1000) + "x"}.String()
	if len(got) > 400 || strings.ContainsRune(got, 0x1b) {
		t.Errorf("got %d bytes: %q", len(got), got)
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

func TestAllocs(t *testing.T) {
	if raceEnabled {
		t.Skip("the race runtime allocates")
	}
	w := detect.NewWindow[netip.Addr](detect.Config{Limit: 5, Per: time.Minute})
	r := &logscan.Record{Line: []byte("Failed password for invalid user a from 2001:db8::1 port 5 ssh2")}
	p := detect.SSHAuth()
	i := 0
	got := testing.AllocsPerRun(1000, func() {
		p.Parse(r)
		r.Set("x", nil)
		*r = logscan.Record{Line: r.Line}
		a, _ := detect.ParseAddr([]byte("2001:db8::1"))
		i++
		w.Observe(sec(i), a, 1)
	})
	if got > 3 { // the fields of the record that was made anew
		t.Errorf("got %v allocations", got)
	}
	for _, s := range []string{"2001:db8::1", "::ffff:1.2.3.4", "1.2.3.4", "not"} {
		b := []byte(s)
		if got := testing.AllocsPerRun(100, func() { detect.ParseAddr(b) }); got != 0 {
			t.Errorf("ParseAddr(%s): got %v allocations", s, got)
		}
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
