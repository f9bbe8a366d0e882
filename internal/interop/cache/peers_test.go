package cache_test

import (
	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/Yiling-J/theine-go"
	"github.com/maypok86/otter/v2"

	"github.com/redoubt-go/redoubt/cache"
)

// A subject is a cache of uint64 keys, behind the same functions for all.
type subject struct {
	get  func(uint64) (uint64, bool)
	set  func(uint64, uint64)
	wait func() // waits for the background work of set; nil if there is none
	stop func() // ends the goroutines of the cache; nil if there are none
}

// A peer makes caches of an implementation.
type peer struct {
	name string
	make func(capacity int) subject
}

// peers returns an implementation of each eviction policy. golang-lru has the
// same policy as redoubt-lru.
func peers() []peer {
	return []peer{
		{"redoubt", func(capacity int) subject { return redoubt(capacity, cache.Adaptive) }},
		{"redoubt-lru", func(capacity int) subject { return redoubt(capacity, cache.LRU) }},
		{"otter", newOtter},
		{"theine", newTheine},
		{"golang-lru", newGolangLRU},
	}
}

func redoubt(capacity int, eviction cache.Eviction) subject {
	c := cache.New(cache.Config[uint64, uint64]{Capacity: capacity, Eviction: eviction, Uncounted: true})
	return subject{get: c.Get, set: c.Set}
}

func newOtter(capacity int) subject {
	c := otter.Must(&otter.Options[uint64, uint64]{MaximumSize: capacity})
	return subject{
		get: c.GetIfPresent, set: func(k, v uint64) { c.Set(k, v) },
		wait: c.CleanUp, stop: func() { c.StopAllGoroutines() },
	}
}

func newTheine(capacity int) subject {
	c, err := theine.NewBuilder[uint64, uint64](int64(capacity)).Build()
	if err != nil {
		panic(err)
	}
	return subject{get: c.Get, set: func(k, v uint64) { c.Set(k, v, 1) }, wait: c.Wait, stop: c.Close}
}

func newGolangLRU(capacity int) subject {
	c, err := lru.New[uint64, uint64](capacity)
	if err != nil {
		panic(err)
	}
	return subject{get: c.Get, set: func(k, v uint64) { c.Add(k, v) }}
}
