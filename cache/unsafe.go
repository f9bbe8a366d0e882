package cache

import (
	"math/bits"
	"reflect"
	"runtime"
	"sync/atomic"
	"unsafe"
)

// What is here is the only use of package unsafe. Measured, updates cost half as much with values overwritten in place, and
// lookups on two processors half as much with the counters apart.

// A word says whether values are machine words, which can be overwritten while others read them.
type word uint8

const (
	notWord word = iota
	scalarWord
	pointerWord
)

// wordOf is decided by V alone, and holds for all values: a scalarWord has the size and, as part of a node on a 64-bit
// machine, the alignment of a uint64, and no pointer; a pointerWord is a single pointer.
func wordOf[V any]() word {
	t := reflect.TypeFor[V]()
	if t.Size() != 8 || bits.UintSize != 64 {
		return notWord
	}
	switch t.Kind() {
	case reflect.Int, reflect.Int64, reflect.Uint, reflect.Uint64, reflect.Uintptr, reflect.Float64:
		return scalarWord
	case reflect.Pointer, reflect.UnsafePointer:
		return pointerWord
	}
	return notWord
}

// load returns the value of n. W is wordOf[V](): so the conversions are between types of the same size and layout.
func (n *node[K, V]) load(w word) V {
	switch w {
	case scalarWord:
		x := atomic.LoadUint64((*uint64)(unsafe.Pointer(&n.value)))
		return *(*V)(unsafe.Pointer(&x))
	case pointerWord:
		x := atomic.LoadPointer((*unsafe.Pointer)(unsafe.Pointer(&n.value)))
		return *(*V)(unsafe.Pointer(&x))
	}
	return n.value
}

// overwrite changes the value of n. W is wordOf[V](), and not notWord.
func (n *node[K, V]) overwrite(w word, v V) {
	if w == scalarWord {
		atomic.StoreUint64((*uint64)(unsafe.Pointer(&n.value)), *(*uint64)(unsafe.Pointer(&v)))
	} else {
		atomic.StorePointer((*unsafe.Pointer)(unsafe.Pointer(&n.value)), *(*unsafe.Pointer)(unsafe.Pointer(&v)))
	}
}

// Counters count lookups. Each goroutine mostly uses one of them, so that processors seldom meet there; the sums are exact.
type counters []struct {
	hits, misses atomic.Uint64
	_            [48]byte // a cache line
}

func newCounters() counters {
	return make(counters, 1<<bits.Len(uint(2*runtime.GOMAXPROCS(0)-1)))
}

// stripe chooses the counter by where the stack of the goroutine is. The address is only a number here: nothing is read
// or kept through it.
func (c counters) stripe() int {
	var here byte
	x := uint64(uintptr(unsafe.Pointer(&here))) >> 11 // stacks are at least 2 KiB apart
	return int(x*0x9e3779b97f4a7c15>>32) & (len(c) - 1)
}
