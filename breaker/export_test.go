package breaker

import (
	"context"
	"time"
	"unsafe"
)

// Sizes is the memory of a new breaker in bytes, before rounding to size
// classes.
func Sizes() uintptr {
	return unsafe.Sizeof(Breaker{}) + unsafe.Sizeof(Config{}) + unsafe.Sizeof(period{})
}

// CellSize is the size of a row of counters.
const CellSize = unsafe.Sizeof(cell{})

// SketchGates returns a function that makes gates of one shard of a sketch, and
// the figures of the sketch. Gates of one tag share their state.
func SketchGates() (gate func(tag uint32, cfg Config) Gate, stats func() GroupStats) {
	s := &sketch{start: time.Now()}
	gate = func(tag uint32, cfg Config) Gate { return &brief{s, uint64(tag) << 32, cfg.withDefaults()} }
	return gate, func() (g GroupStats) { s.stats(&g); return g }
}

// MaxTraces is the number of keys that a shard can contain.
const MaxTraces = maxTraces

// Ask asks the TripIf of a breaker, which Set may have removed meanwhile.
func Ask(b *Breaker) { b.ask(context.Background(), b.cur.Load(), report{}) }
