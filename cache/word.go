package cache

import (
	"math/bits"
	"reflect"
	"sync/atomic"
	"unsafe"
)

// A word is the kind of values that are machine words. Such values can be
// overwritten while other goroutines read them. An update then takes half the
// time that it takes with a new node.
type word uint8

const (
	notWord word = iota
	scalarWord
	pointerWord
)

// wordOf returns the kind of the values of type V. A value of kind scalarWord
// has the size of a uint64 and, as part of a node on a 64-bit machine, its
// alignment, and contains no pointer. A value of kind pointerWord is a single
// pointer.
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

// load returns the value of n. w must be wordOf[V](): the conversions are then
// between types of the same size and layout.
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

// overwrite changes the value of n. w must be wordOf[V]() and not notWord.
func (n *node[K, V]) overwrite(w word, v V) {
	if w == scalarWord {
		atomic.StoreUint64((*uint64)(unsafe.Pointer(&n.value)), *(*uint64)(unsafe.Pointer(&v)))
	} else {
		atomic.StorePointer((*unsafe.Pointer)(unsafe.Pointer(&n.value)), *(*unsafe.Pointer)(unsafe.Pointer(&v)))
	}
}
