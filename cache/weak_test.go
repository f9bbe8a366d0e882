package cache_test

import (
	"fmt"
	"maps"
	"math"
	"runtime"
	"slices"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/redoubt-go/redoubt/cache"
)

// awaitLen collects garbage until the map has n entries.
func awaitLen[K comparable](t *testing.T, w *cache.Weak[K, big], n int) {
	t.Helper()
	for range 100 {
		if w.Len() == n {
			return
		}
		runtime.GC()
		time.Sleep(time.Millisecond)
	}
	t.Errorf("Len() = %d, want %d", w.Len(), n)
}

func TestWeakValues(t *testing.T) {
	var w cache.Weak[string, big]
	if w.Get("a") != nil || w.Delete("a") || w.Len() != 0 {
		t.Error("the zero value is not an empty map")
	}
	a := new(big)
	w.Set("a", a)
	w.Set("a", a)
	w.Set("b", new(big))
	awaitLen(t, &w, 1)
	if got := w.Get("a"); got != a {
		t.Errorf("Get(a) = %p, want %p", got, a)
	}
	if got := slices.Collect(maps.Keys(maps.Collect(w.All()))); len(got) != 1 || got[0] != "a" {
		t.Errorf("All has the keys %v, want a", got)
	}
	w.Set("c", a)
	w.Set("c", nil)
	if w.Len() != 1 {
		t.Error("Set of nil has not deleted")
	}
	runtime.KeepAlive(a)
	awaitLen(t, &w, 0)
}

// The cleanup of a value that was replaced, or deleted and set again, does not
// remove the entry.
func TestReplacedKeySurvives(t *testing.T) {
	var w cache.Weak[string, big]
	young := new(big)
	w.Set("k", new(big))
	w.Set("k", young)
	w.Set("l", new(big))
	w.Delete("l")
	w.Set("l", young)
	for range 5 {
		runtime.GC()
		time.Sleep(time.Millisecond)
	}
	if w.Get("k") != young || w.Get("l") != young {
		t.Error("an entry has gone with the value before")
	}
	runtime.KeepAlive(young)
}

func TestGetOrMake(t *testing.T) {
	var w cache.Weak[int, big]
	for round := range 50 {
		var g errgroup.Group
		got := make([]*big, 8)
		for i := range got {
			g.Go(func() error {
				got[i] = w.GetOrMake(round, func() *big { return new(big) })
				return nil
			})
		}
		g.Wait()
		for i, v := range got {
			if v == nil || v != got[0] {
				t.Fatalf("round %d: goroutine %d got %p, another one %p", round, i, v, got[0])
			}
		}
		if again := w.GetOrMake(round, func() *big { t.Error("made again"); return nil }); again != got[0] {
			t.Errorf("GetOrMake = %p, want %p", again, got[0])
		}
	}
	if v := w.GetOrMake(-1, func() *big { return nil }); v != nil || w.Get(-1) != nil {
		t.Errorf("GetOrMake = %p, want nil, which is not stored", v)
	}
	awaitLen(t, &w, 0)
}

func TestNaNIsNotStored(t *testing.T) {
	var w cache.Weak[float64, big]
	v := new(big)
	for range 100 {
		w.Set(math.NaN(), v)
		if got := w.GetOrMake(math.NaN(), func() *big { return v }); got != v {
			t.Errorf("GetOrMake = %p, want %p", got, v)
		}
	}
	if n := w.Len(); n != 0 {
		t.Errorf("Len() = %d, want 0", n)
	}
}

func TestLoopMayChangeTheMap(t *testing.T) {
	var w cache.Weak[int, big]
	var kept []*big
	for k := range 10 {
		kept = append(kept, new(big))
		w.Set(k, kept[k])
	}
	n := 0
	for k, v := range w.All() {
		if v != kept[k] {
			t.Errorf("key %d has another value", k)
		}
		w.Delete(k)
		w.Set(k+100, v)
		if n++; n == 5 {
			break
		}
	}
	if got := fmt.Sprint(n, w.Len()); got != "5 10" {
		t.Errorf("visited and kept %s, want 5 10", got)
	}
	runtime.KeepAlive(kept)
}

// A value that lives long does not collect cleanups. Oracle: the heap.
func TestWeakKeepsOneCleanupPerEntry(t *testing.T) {
	var w cache.Weak[int, big]
	a, b := new(big), new(big)
	bytes := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	w.Set(1, a)
	before := bytes()
	for range 2000 {
		w.Set(1, b)
		w.Set(1, a)
		w.Set(2, a)
		w.Delete(2)
	}
	if after := bytes(); after > before+32<<10 {
		t.Errorf("the heap grew by %d bytes", after-before)
	}
	runtime.KeepAlive(a)
	runtime.KeepAlive(b)
}
