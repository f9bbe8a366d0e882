package breaker

import "unsafe"

// Sizes is the memory of a new breaker in bytes, before rounding to size
// classes.
func Sizes() uintptr { return unsafe.Sizeof(Breaker{}) + unsafe.Sizeof(period{}) }

// CellSize is the size of a row of counters.
const CellSize = unsafe.Sizeof(cell{})
