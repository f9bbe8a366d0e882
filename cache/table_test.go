package cache_test

import (
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"

	"github.com/leanovate/gopter"
	"github.com/leanovate/gopter/gen"
	"github.com/leanovate/gopter/prop"
	"golang.org/x/sync/errgroup"

	"github.com/redoubt-go/redoubt/cache"
)

// hashes are hash functions that a table must survive. For some of them no
// attacker could do worse.
var hashes = map[string]func(int) uint32{
	"good":               func(k int) uint32 { return uint32(uint64(k) * 0x9e3779b97f4a7c15 >> 32) },
	"all equal":          func(int) uint32 { return 0xffffffff },
	"low bits equal":     func(k int) uint32 { return uint32(k) << 16 },
	"high bits equal":    func(k int) uint32 { return uint32(k) },
	"two, at both ends":  func(k int) uint32 { return -uint32(k & 1) },
	"equal modulo seven": func(k int) uint32 { return uint32(k%7) << 29 },
}

// replayTable runs a program of two bytes per operation on a table and a map.
func replayTable(hash func(int) uint32, program []byte, wrong int) string {
	table, model := cache.NewTable(), map[int]int{}
	for i := 0; i+1 < len(program); i += 2 {
		k := int(program[i+1])
		switch program[i] % 4 {
		case 0:
			table.Delete(hash(k), k)
			delete(model, k)
		default:
			table.Set(hash(k), k, i)
			model[k] = i + wrong
		}
		if problem := compareTable(table, model, hash, k); problem != "" {
			return problem
		}
	}
	for k := range 256 {
		if problem := compareTable(table, model, hash, k); problem != "" {
			return problem
		}
	}
	return ""
}

func compareTable(table *cache.Table, model map[int]int, hash func(int) uint32, k int) string {
	got, ok := table.Get(hash(k), k)
	if want, wantOK := model[k]; got != want || ok != wantOK {
		return fmt.Sprintf("key %d: %v, %v, want %v, %v", k, got, ok, want, wantOK)
	}
	return ""
}

func TestTableEqualsMap(t *testing.T) {
	for name, hash := range hashes {
		t.Run(name, func(t *testing.T) {
			// Oracle: a map.
			checkProperty(t, 100, prop.ForAll(
				func(program []byte) *gopter.PropResult { return holds(replayTable(hash, program, right)) },
				gen.SliceOf(gen.UInt8())))
		})
	}
}

// With so many nodes of the same hash, the counters of later nodes reach their
// maximum.
func TestTableWithThousandsOfCollisions(t *testing.T) {
	table, model := cache.NewTable(), map[int]int{}
	hash := hashes["all equal"]
	for i := range 3000 {
		table.Set(hash(i), i, i)
		model[i] = i
		if i%3 == 0 {
			table.Delete(hash(i/2), i/2)
			delete(model, i/2)
		}
	}
	for k := range 3000 {
		if problem := compareTable(table, model, hash, k); problem != "" {
			t.Fatal(problem)
		}
	}
}

// Readers without a lock find each permanent key while the table grows and
// shrinks.
func TestTable_ReadersDuringChanges(t *testing.T) {
	const steady, churned = 200, 5000
	c := cache.NewSharded(cache.Config[int, int]{Capacity: 1 << 20}, 1)
	for k := range steady {
		c.Set(k, k+1)
	}
	var done atomic.Bool
	var g errgroup.Group
	for r := range 4 {
		g.Go(func() error {
			random := rand.New(rand.NewPCG(3, uint64(r)))
			for !done.Load() {
				k := random.IntN(steady)
				if v, ok := c.Get(k); !ok || v%steady != (k+1)%steady {
					return fmt.Errorf("Get(%d) = %d, %v, want it to be there", k, v, ok)
				}
				if v, ok := c.Get(steady + random.IntN(churned)); ok && v >= 0 {
					return fmt.Errorf("a negative value is %d", v)
				}
			}
			return nil
		})
	}
	for round := range 4 {
		for k := range churned {
			c.Set(steady+k, -k-1)
			c.Set(k%steady, k%steady+1+round*steady)
		}
		for k := range churned {
			c.Delete(steady + k)
		}
	}
	done.Store(true)
	if err := g.Wait(); err != nil {
		t.Error(err)
	}
	if problem := c.Check(); problem != "" {
		t.Error(problem)
	}
}
