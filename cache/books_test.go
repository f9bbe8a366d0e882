package cache_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/leanovate/gopter"
	"github.com/leanovate/gopter/gen"
	"github.com/leanovate/gopter/prop"

	"github.com/redoubt-go/redoubt/cache"
)

// ---- all operations of the adaptive cache, in virtual time. Oracle: the map
// described by its writes and events.

// books are that map. All values differ, so each value has one entry and one
// departure.
type books struct {
	c        *cache.Cache[int, int]
	alive    map[int]int
	deadline map[int]time.Time // of those that have one
	left     map[int]bool      // the values that have departed
	problem  string

	mu     sync.Mutex
	events []datedEvent // that are still to be entered: those of the timer come from another goroutine
}

type datedEvent struct {
	pairEvent
	at time.Time
}

func (b *books) errorf(format string, args ...any) {
	if b.problem == "" {
		b.problem = fmt.Sprintf(format, args...)
	}
}

func (b *books) event(_ context.Context, e pairEvent) {
	if e.Kind != cache.KindLeft {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.events = append(b.events, datedEvent{e, time.Now()})
}

// enter brings the books up to date.
func (b *books) enter() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range b.events {
		if b.left[e.Value] {
			b.errorf("%v departs twice", e.pairEvent)
		}
		b.left[e.Value] = true
		if b.alive[e.Key] != e.Value {
			continue
		}
		end, ends := b.deadline[e.Key]
		if expired := ends && !e.at.Before(end); expired != (e.Cause == cache.CauseExpired) {
			b.errorf("%v departs, expired is %v", e.pairEvent, expired)
		}
		delete(b.alive, e.Key)
		delete(b.deadline, e.Key)
	}
	b.events = nil
}

func (b *books) fresh(k int) bool {
	end, ok := b.deadline[k]
	return b.alive[k] != 0 && (!ok || time.Now().Before(end))
}

// wrote enters a write into the books.
func (b *books) wrote(k, v int, ttl time.Duration) {
	b.enter()
	if old, ok := b.alive[k]; ok {
		b.errorf("%d has not departed from key %d before %d came", old, k, v)
	}
	if b.left[v] {
		return // it did not fit
	}
	b.alive[k] = v
	if ttl > 0 {
		b.deadline[k] = time.Now().Add(ttl)
	}
}

// want compares the result of an operation on k with the books before it.
func (b *books) want(op string, k, got int, gotOK bool, want int, wantOK bool) {
	if gotOK != wantOK || wantOK && got != want {
		b.errorf("%s(%d) = %d, %v, want %d, %v", op, k, got, gotOK, want, wantOK)
	}
}

// step runs one operation on k. It may use the number n and the new value v.
func (b *books) step(what, k, n, v int) {
	c := b.c
	old, fresh := b.alive[k], b.fresh(k)
	switch what % 14 {
	case 0:
		got, ok := c.Get(k)
		b.want("Get", k, got, ok, old, fresh)
	case 1:
		got, ok := c.Peek(k)
		b.want("Peek", k, got, ok, old, fresh)
		e, ok := c.Entry(k)
		b.want("Entry", k, e.Value, ok, old, fresh)
	case 2:
		got, ok := c.GetAndDelete(k)
		b.want("GetAndDelete", k, got, ok, old, fresh)
	case 3:
		got, ok := c.Swap(k, v)
		b.want("Swap", k, got, ok, old, fresh)
		b.wrote(k, v, 0)
	case 4:
		ttl := time.Duration(n+1) * time.Second
		c.SetTTL(k, v, ttl)
		b.wrote(k, v, ttl)
	case 5:
		got, ok := c.GetOrSet(k, v)
		b.want("GetOrSet", k, got, ok, old, fresh)
		if !ok {
			b.wrote(k, v, 0)
		}
	case 6:
		op := cache.Op(n % 3)
		c.Update(k, func(got int, ok bool) (int, cache.Op) {
			b.want("Update", k, got, ok, old, fresh)
			return v, op
		})
		if op == cache.Write {
			b.wrote(k, v, 0)
		}
	case 7:
		swapped := cache.CompareAndSwap(c, k, old+n%2, v)
		if want := fresh && n%2 == 0; swapped != want {
			b.errorf("CompareAndSwap(%d) = %v, want %v", k, swapped, want)
		}
		if swapped {
			b.wrote(k, v, 0)
		}
	case 8:
		b.load(k, n, v, old, fresh)
	case 9:
		time.Sleep(time.Duration(n) * 300 * time.Millisecond)
		synctest.Wait()
		b.enter()
	case 10:
		b.rare(k, n)
	default:
		c.Set(k, v)
		b.wrote(k, v, 0)
	}
}

func (b *books) load(k, n, v, old int, fresh bool) {
	err := []error{nil, nil, io.EOF}[n%3]
	got, gotErr := b.c.GetOrLoad(context.Background(), k, func(context.Context, int) (int, error) { return v, err })
	if fresh {
		b.want("GetOrLoad", k, got, true, old, true)
		return
	}
	if b.want("GetOrLoad", k, got, true, v, true); !errors.Is(gotErr, err) {
		b.errorf("GetOrLoad(%d) returns the error %v, want %v", k, gotErr, err)
	}
	if err == nil {
		b.wrote(k, v, 0)
	}
}

// rare runs an operation on the whole cache.
func (b *books) rare(k, n int) {
	c := b.c
	switch n % 5 {
	case 0:
		c.Clear()
	case 1:
		resize(c, n%24+1)
	case 2:
		want := 0
		for key := range b.alive {
			if b.fresh(key) && key%4 == k%4 {
				want++
			}
		}
		if got := c.DeleteFunc(func(key, _ int) bool { return key%4 == k%4 }); got != want {
			b.errorf("DeleteFunc = %d, want %d", got, want)
		}
	case 3:
		c.Expire()
	case 4:
		entries := slices.Collect(c.Entries())
		if n := c.Restore(slices.Values(entries)); n != 0 {
			b.errorf("Restore of what is there = %d, want 0", n)
		}
	}
}

// audit compares the whole of the cache with the books.
func (b *books) audit() {
	b.enter()
	weight := uint64(0)
	got := map[int]int{}
	for k, v := range b.c.All() {
		if _, twice := got[k]; twice {
			b.errorf("All visits key %d twice", k)
		}
		got[k] = v
	}
	for k, v := range b.alive {
		if b.c.Weight() != uint64(b.c.Len()) {
			weight += uint64(weigh(k, v))
		}
		if b.fresh(k) != (got[k] == v) {
			b.errorf("All has %d for key %d, want %d, %v", got[k], k, v, b.fresh(k))
		}
	}
	if weight != 0 && b.c.Weight() != weight {
		b.errorf("Weight() = %d, want %d", b.c.Weight(), weight)
	}
	if n := b.c.Len(); n != len(b.alive) || n > b.c.Capacity() {
		b.errorf("Len() = %d, want %d, at most %d", n, len(b.alive), b.c.Capacity())
	}
	if problem := b.c.Check(); problem != "" {
		b.errorf("%s", problem)
	}
}

func weigh(_, v int) uint32 { return uint32(v % 13) }

// replayBooks runs a program of three bytes per operation. kind selects the
// configuration of the cache.
func replayBooks(kind byte, program []byte, wrong int) string {
	b := &books{alive: map[int]int{}, deadline: map[int]time.Time{}, left: map[int]bool{}}
	config := cache.Config[int, int]{Capacity: int(kind%20) + 1, OnEvent: b.event}
	shards := 1 << (kind / 64)
	if kind/32%2 == 1 {
		config.MaxWeight, config.Weigh = 40, weigh
	}
	b.c = cache.NewSharded(config, shards)
	for i := 0; i+2 < len(program) && b.problem == ""; i += 3 {
		b.step(int(program[i]), int(program[i+1]%32), int(program[i+2]), i+1)
		if b.mu.Lock(); wrong > 0 && len(b.events) > 0 {
			b.events = b.events[1:] // one is lost
		}
		b.mu.Unlock()
		b.audit()
		if b.problem != "" {
			return fmt.Sprintf("kind %d, step %d, %v: %s", kind, i/3, program[i:i+3], b.problem)
		}
	}
	return b.problem
}

func TestAdaptiveEqualsItsBooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// Oracle: the map of writes and events.
		checkProperty(t, 300, prop.ForAll(
			func(kind byte, program []byte) *gopter.PropResult { return holds(replayBooks(kind, program, right)) },
			gen.UInt8(), gen.SliceOf(gen.UInt8())))
	})
}
