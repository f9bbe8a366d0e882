package cachetest_test

import (
	"testing"

	"github.com/redoubt-go/redoubt/cache"
	"github.com/redoubt-go/redoubt/cache/cachetest"
)

// In the tests of your store, this function is TestStore.
func ExampleRun() {
	_ = func(t *testing.T) {
		cachetest.Run(t, func(t *testing.T) cache.Store[string, string] {
			return newStore("") // a new, empty store
		})
	}
	// Output:
}
