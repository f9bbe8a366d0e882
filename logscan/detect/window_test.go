package detect_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/redoubt-go/redoubt/logscan/detect"
)

func TestLimitIsTolerated(t *testing.T) {
	for _, limit := range []int{detect.AnyEvent, 1, 5} {
		w := detect.NewWindow[string](detect.Config{Limit: limit, Per: time.Minute})
		for i := range max(limit, 0) + 1 {
			a, ok := w.Observe(sec(i), "k", 1)
			if want := i == max(limit, 0); ok != want {
				t.Errorf("limit %d, event %d: got %v, want %v", limit, i+1, ok, want)
			}
			if ok && (a.Count != i+1 || !a.Exact) {
				t.Errorf("limit %d, event %d: got %+v, want an exact count", limit, i+1, a)
			}
		}
	}
}

func TestWindowEdges(t *testing.T) {
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

// newWindow is detect.NewWindow, or a broken function that a property must
// reject.
type newWindow func(detect.Config) *detect.Window[int]

// tooMany tolerates an event too many.
func tooMany(c detect.Config) *detect.Window[int] {
	c.Limit++
	return detect.NewWindow[int](c)
}

// Oracle: a list of all events of each key.
func windowIsAList(seed uint64, newWindow newWindow) string {
	r := rand.New(rand.NewPCG(seed, 1))
	const per = 10
	limit, skew := 1+r.IntN(6), 1+r.IntN(20)
	w := newWindow(detect.Config{Limit: limit, Per: per * time.Second, MaxSkew: time.Duration(skew) * time.Second, Cooldown: -1})
	list, newest := map[int][]int{}, map[int]int{}
	now, alerts, late := 100, 0, map[int]int{}
	for i := range 150 {
		now += r.IntN(4)
		key, at := r.IntN(3), now-r.IntN(skew+3)
		a, got := w.Observe(sec(at), key, 1)
		if n, seen := newest[key]; seen && n-at > skew {
			if got {
				return fmt.Sprintf("event %d: an alert for a late event", i)
			}
			if late[key]++; late[key] > limit {
				return "" // the clock was set back, which another test shows
			}
			continue
		}
		late[key] = 0
		newest[key] = max(newest[key], at)
		list[key] = append(list[key], at)
		most := 0 // in a window that holds the event
		for _, end := range list[key] {
			count := 0
			for _, x := range list[key] {
				if x > end-per && x <= end {
					count++
				}
			}
			if end >= at && end < at+per {
				most = max(most, count)
			}
		}
		if got {
			alerts++
		}
		if want := most > limit; got != want {
			return fmt.Sprintf("event %d of %d at %d: got %v, want %v", i, key, at, got, want)
		}
		if got && a.Count > most {
			return fmt.Sprintf("event %d of %d at %d: got a count of %d, want at most %d", i, key, at, a.Count, most)
		}
	}
	if limit <= 3 && alerts == 0 {
		return "no alert was wanted: the property shows nothing"
	}
	return ""
}

func TestWindowIsAList(t *testing.T) {
	checkProperty(t, 300, func(seed uint64) string { return windowIsAList(seed, detect.NewWindow[int]) })
	checkBites(t, 300, func(seed uint64) string { return windowIsAList(seed, tooMany) })
	silent := func(c detect.Config) *detect.Window[int] {
		c.Limit = 60 // no window of the property reaches it
		return detect.NewWindow[int](c)
	}
	checkBites(t, 300, func(seed uint64) string { return windowIsAList(seed, silent) })
}

// Oracle: all events in any order, within a MaxSkew that makes none late.
func firstAlert(seed uint64, newWindow newWindow) string {
	r := rand.New(rand.NewPCG(seed, 2))
	limit := 1 + r.IntN(5)
	w := newWindow(detect.Config{Limit: limit, Per: 10 * time.Second, MaxSkew: time.Hour})
	var ats []int
	got, want := false, false
	for range r.IntN(60) {
		ats = append(ats, r.IntN(100))
		_, ok := w.Observe(sec(ats[len(ats)-1]), 1, 1)
		got = got || ok
		for _, end := range ats {
			count := 0
			for _, x := range ats {
				if x > end-10 && x <= end {
					count++
				}
			}
			want = want || count > limit
		}
		if got != want {
			return fmt.Sprintf("%v, limit %d: got %v, want %v", ats, limit, got, want)
		}
	}
	return ""
}

func TestFirstAlert(t *testing.T) {
	checkProperty(t, 300, func(seed uint64) string { return firstAlert(seed, detect.NewWindow[int]) })
	checkBites(t, 300, func(seed uint64) string { return firstAlert(seed, tooMany) })
}
