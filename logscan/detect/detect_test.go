package detect_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redoubt-go/redoubt/logscan/detect"
)

func sec(n int) time.Time { return noon.Add(time.Duration(n) * time.Second) }

// AnyEvent makes the first event an alert in every detector.
func TestAnyEvent(t *testing.T) {
	c := detect.Config{Limit: detect.AnyEvent, Per: time.Hour, Cooldown: -1}
	w, d, l, s := detect.NewWindow[int](c), detect.NewDistinct[int](c), detect.NewLeak[int](c), detect.NewSequence[int](c)
	for i := range 3 {
		at := sec(i * 10000)
		if a, ok := w.Observe(at, 1, 1); !ok || a.Count != 1 || !a.Exact {
			t.Errorf("window: got %v, %+v", ok, a)
		}
		if a, ok := d.Observe(at, 1, nil); !ok || a.Count != 1 || !a.Exact {
			t.Errorf("distinct: got %v, %+v", ok, a)
		}
		if a, ok := l.Observe(at, 1, 7); !ok || a.Count != 7 || !a.Exact {
			t.Errorf("leak: got %v, %+v", ok, a)
		}
		s.Fail(at, 1, 1)
		if a, ok := s.Succeed(at.Add(time.Second), 1); !ok || a.Count != 1 || !a.Exact {
			t.Errorf("sequence: got %v, %+v", ok, a)
		}
	}
}

func TestConfigValidate(t *testing.T) {
	for _, tt := range []struct {
		name string
		c    detect.Config
		want string
	}{
		{"least", detect.Config{Limit: 1, Per: 1}, ""},
		{"most", detect.Config{Limit: 65536, Per: time.Hour, MaxKeys: 1, Evidence: 16, Cooldown: -1, MaxSkew: -1}, ""},
		{"zero value", detect.Config{}, "detect: Limit is 0, want 1 to 65536, or AnyEvent\ndetect: Per is 0s, want at least 1ns"},
		{"out of range", detect.Config{Limit: -2, Per: -1, MaxKeys: -1, Evidence: 17}, "detect: Limit is -2, want 1 to 65536, or AnyEvent\ndetect: Per is -1ns, want at least 1ns\n" +
			"detect: MaxKeys is -1, want at least 0 (65536)\ndetect: Evidence is 17, want at most 16"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := ""
			if err := tt.c.Validate(); err != nil {
				got = err.Error()
			}
			checkEqual(t, got, tt.want)
		})
	}
}

// A key is cut between two characters, and a log shows the same text as String.
func TestAlertInALog(t *testing.T) {
	long := "x" + strings.Repeat("é", 40)
	a := detect.Alert[string]{Name: "ssh", Key: long, Count: 6}
	if got, want := a.String(), `ssh: "`+long[:63]+`"…: 6 from`; !strings.HasPrefix(got, want) {
		t.Errorf("got %s, want %s", got, want)
	}
	got := map[string]string{}
	for _, attr := range a.LogValue().Group() {
		got[attr.Key] = attr.Value.String()
	}
	delete(got, "first")
	delete(got, "last")
	checkEqual(t, got, map[string]string{"name": "ssh", "key": long[:63] + "…", "count": "6", "exact": "false", "evidence": "[]"})
}

func TestAlertText(t *testing.T) {
	a := detect.Alert[string]{Key: strings.Repeat("\x1b", 1000) + "x", Evidence: []string{"\x1b[2J\r\n\u202e"}}
	got := a.String()
	if len(got) > 400 || strings.ContainsAny(got, "\x1b\r\u202e") {
		t.Errorf("got %d bytes: %q", len(got), got)
	}
}

func TestEvidence(t *testing.T) {
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
	w := detect.NewWindow[int](detect.Config{Limit: detect.AnyEvent, Per: time.Hour})
	a, _ := w.Observe(noon, 1, 1, make([]byte, 1<<20), make([]byte, 257), nil, nil)
	if got := len(a.Evidence); got != 3 || len(a.Evidence[0]) != 256 {
		t.Errorf("got %d pieces, want 3, the first cut at 256 bytes", got)
	}
	w.Observe(noon, 1, 1, []byte("x"))
	if a.Evidence[1] != "" || a.Evidence[2] != "" {
		t.Errorf("an alert changes after it was raised: %q", a.Evidence)
	}
	wide := detect.NewWindow[int](detect.Config{Limit: detect.AnyEvent, Per: time.Hour})
	a, _ = wide.Observe(noon, 1, 1, []byte("x"+strings.Repeat("é", 200)), []byte(strings.Repeat("\x80", 300)))
	checkEqual(t, a.Evidence, []string{"x" + strings.Repeat("é", 127), strings.Repeat("\x80", 252)})
	// Every detector keeps evidence, and a forgotten key leaves none.
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
	for i := range 100 { // one event per second leaks away
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
		"leak": func() { detect.NewLeak[int](detect.Config{Per: 1}) }, "no Limit": func() { detect.NewWindow[int](detect.Config{Per: 1}) }, "sequence": func() { detect.NewSequence[int](detect.Config{Limit: 1 << 20, Per: 1}) },
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

// A detector allocates only for keys without room of an earlier key.
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

// The clock of a log was ahead, or is set back by an hour at the end of summer
// time. The key is not safe for that long.
func TestClockSetBack(t *testing.T) {
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
	// Three late events; the fourth is the first of the new time.
	if diff := cmp.Diff([]int{2, 8}, got); diff != "" || w.Stats().Late != 4 {
		t.Errorf("late %d, alerts at events %s", w.Stats().Late, diff)
	}
}

func TestAnyTime(t *testing.T) {
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

// Excess events of a key are dropped, and the alert is not exact. Events of the
// same time are a single event.
func TestDroppedEventsMakeAnAlertInexact(t *testing.T) {
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

// Oracle: a bucket that leaks one event per second.
func leakIsABucket(seed uint64, off int) string {
	r := rand.New(rand.NewPCG(seed, 4))
	limit := 1 + r.IntN(10)
	l := detect.NewLeak[int](detect.Config{Limit: limit + off, Per: time.Duration(limit) * time.Second, Cooldown: -1})
	level, at := 0, 0
	for i := range 200 {
		for range r.IntN(3) {
			at, level = at+1, max(level-1, 0)
		}
		n := 1 + r.IntN(3)
		a, got := l.Observe(sec(at), 1, n)
		if want := level+n > limit; got != want || got && a.Count != level+n {
			return fmt.Sprintf("event %d: got %v, %+v, want %v, %d", i, got, a, want, level+n)
		}
		level = min(level+n, limit)
	}
	return ""
}

func TestLeakIsABucket(t *testing.T) {
	checkProperty(t, 100, func(seed uint64) string { return leakIsABucket(seed, 0) })
	checkBites(t, 100, func(seed uint64) string { return leakIsABucket(seed, 1) })
}

// Oracle: the set of values in the window, for events in order.
func distinctIsASet(seed uint64, off int) string {
	r := rand.New(rand.NewPCG(seed, 5))
	limit := 1 + r.IntN(4)
	d := detect.NewDistinct[int](detect.Config{Limit: limit + off, Per: 10 * time.Second, Cooldown: -1})
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
			return fmt.Sprintf("event %d: got %v, %+v, want %d of %d", i, got, a, want, limit)
		}
	}
	return ""
}

func TestDistinctIsASet(t *testing.T) {
	checkProperty(t, 100, func(seed uint64) string { return distinctIsASet(seed, 0) })
	checkBites(t, 100, func(seed uint64) string { return distinctIsASet(seed, 1) })
}

// Events of a forgotten key may still be in its bucket, however old they are.
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

// Several detectors, each with a mutex, share the keys.
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

// Each detector counts two events of a key within Limit, an event beyond it,
// and a late event.
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
