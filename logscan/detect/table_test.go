package detect_test

import (
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/redoubt-go/redoubt/logscan/detect"
)

// A million keys have one event each, and 50 offenders take turns.
func TestManyKeys(t *testing.T) {
	w := detect.NewWindow[netip.Addr](detect.Config{Limit: 5, Per: time.Hour, MaxKeys: 1 << 15})
	addr := func(i int) netip.Addr {
		return netip.AddrFrom4([4]byte{byte(i >> 24), byte(i >> 16), byte(i >> 8), byte(i)})
	}
	alerts, inexact := map[netip.Addr]bool{}, 0
	before := heap()
	for i := range 1000000 {
		w.Observe(noon, addr(1<<24+i), 1)
		if i%200 == 0 { // each offender every 10000 events
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
	if !raceEnabled && perKey > 265 {
		t.Errorf("got %d bytes a key, want at most 265", perKey)
	}
	// A forgotten key that comes back.
	w = detect.NewWindow[netip.Addr](detect.Config{Limit: 1, Per: time.Hour, MaxKeys: 2})
	for _, key := range []int{1, 2, 3, 1, 1} {
		if a, ok := w.Observe(noon, addr(key), 1); ok && a.Exact {
			t.Errorf("got an exact alert for %v, of whom one event was forgotten", a.Key)
		}
	}
}

var long = flag.Bool("long", false, "ten million keys in place of a million")

// Keys that occur once hide no offender, although there are 166 of them for
// each key that the table holds, within a window. The offenders begin when the
// table is full.
func TestFloodOfKeys(t *testing.T) {
	keys, flood := 6000, 1000000
	if *long {
		keys, flood = 60000, 10000000
	}
	before := heap()
	w := detect.NewWindow[int](detect.Config{Limit: 5, Per: 10 * time.Minute, MaxKeys: keys})
	alerts := map[int]bool{}
	const offenders, events = 50, 10
	every := flood / (offenders * (events + 1))
	for i := range flood {
		at := noon.Add(time.Duration(i) * 100 * time.Second / time.Duration(flood))
		if a, ok := w.Observe(at, i, 1); ok {
			t.Errorf("alert for a key with an event: %v", a)
		}
		if turn := i / every; i%every == 0 && turn >= offenders && turn < offenders*(events+1) {
			if a, ok := w.Observe(at, -1-turn%offenders, 1); ok {
				alerts[a.Key] = true
			}
		}
	}
	checkEqual(t, len(alerts), offenders)
	if used := heap() - before; *long && used > 16<<20 {
		t.Errorf("got %d bytes, want at most 16 MiB", used)
	}
	st := w.Stats()
	t.Logf("%+v", st)
	if st.Screened < uint64(flood)*9/10 {
		t.Errorf("%d events screened, want most of %d", st.Screened, flood)
	}
	runtime.KeepAlive(w)
}

// An event in six is of a host whose clock is an hour ahead.
func TestClockAheadDoesNotSilence(t *testing.T) {
	w := detect.NewWindow[int](detect.Config{Limit: 5, Per: time.Minute, Cooldown: -1})
	alerts := 0
	for i := range 6000 {
		at := noon.Add(time.Duration(i) * 10 * time.Millisecond)
		if i%6 == 0 {
			at = at.Add(time.Hour)
		}
		if _, ok := w.Observe(at, 1, 1); ok {
			alerts++
		}
	}
	if alerts < 4000 {
		t.Errorf("%d alerts for 6000 events in a minute, want most", alerts)
	}
	// The clock moves for good.
	alerts = 0
	for i := range 20 {
		if _, ok := w.Observe(noon.Add(5*time.Hour+time.Duration(i)*time.Second), 1, 1); ok {
			alerts++
		}
	}
	checkEqual(t, alerts, 20-6-5)
}

// heap returns the bytes in use.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// Keys with many events hold no more than 16 events each on average. The key
// with the most events can still reach its limit.
func TestManyEvents(t *testing.T) {
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

// Oracle: the list of all events. A table with a place for every key is exact.
// A table without alerts only for excess, and knows what it does not know.
func fullTable(seed uint64, newWindow newWindow) string {
	r := rand.New(rand.NewPCG(seed, 3))
	maxKeys, limit := 1+r.IntN(9), 1+r.IntN(3)
	w := newWindow(detect.Config{Limit: limit, Per: 50 * time.Second, MaxKeys: maxKeys, Cooldown: -1, MaxSkew: -1})
	var keys, times []int
	distinct := map[int]bool{}
	at := 0
	for range 100 {
		at += r.IntN(3)
		key := int(math.Abs(r.NormFloat64() * 4))
		keys, times = append(keys, key), append(times, at)
		distinct[key] = true
		a, got := w.Observe(sec(at), key, 1)
		all := 0
		for i := len(keys) - 1; i >= 0 && times[i] > at-50; i-- {
			if keys[i] == key {
				all++
			}
		}
		room := len(distinct) <= maxKeys
		if room && got != (all > limit) || got && (all <= limit || a.Count > all || a.Exact && a.Count != all) {
			return fmt.Sprintf("%d keys, limit %d: got %v, %+v, want %d", maxKeys, limit, got, a, all)
		}
	}
	return ""
}

func TestFullTable(t *testing.T) {
	checkProperty(t, 300, func(seed uint64) string { return fullTable(seed, detect.NewWindow[int]) })
	checkBites(t, 300, func(seed uint64) string { return fullTable(seed, tooMany) })
}

// Forgotten events no longer count as held, so no key is evicted for them.
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
