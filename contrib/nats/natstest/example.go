package natstest

import (
	"fmt"
	"os"
	"slices"
	"testing"
)

// An ExampleTB is the test of an example, which has none. A failure panics.
// Call Close at the end of the example.
type ExampleTB struct {
	testing.TB // nil

	cleanups []func()
}

// Example returns a test for Start, StartCluster and Connect in an example.
func Example() *ExampleTB { return &ExampleTB{} }

// Close calls the functions that were passed to Cleanup, the last first.
func (e *ExampleTB) Close() {
	for _, f := range slices.Backward(e.cleanups) {
		f()
	}
	e.cleanups = nil
}

// Cleanup registers a function for Close.
func (e *ExampleTB) Cleanup(f func()) { e.cleanups = append(e.cleanups, f) }

// TempDir returns a folder that Close removes.
func (e *ExampleTB) TempDir() string {
	dir, err := os.MkdirTemp("", "natstest")
	if err != nil {
		panic(err)
	}
	e.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// Helper does nothing.
func (e *ExampleTB) Helper() {}

// Log does nothing.
func (e *ExampleTB) Log(...any) {}

// Logf does nothing.
func (e *ExampleTB) Logf(string, ...any) {}

// Fatal panics.
func (e *ExampleTB) Fatal(args ...any) { panic(fmt.Sprintln(args...)) }

// Fatalf panics.
func (e *ExampleTB) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

// Skipf panics: an example cannot be skipped.
func (e *ExampleTB) Skipf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }
