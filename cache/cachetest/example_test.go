package cachetest_test

import (
	"context"
	"fmt"

	"github.com/redoubt-go/redoubt/cache/cachetest"
)

func ExampleTestStore() {
	fmt.Println(cachetest.TestStore(context.Background(), newStore("no empty keys")))
	// Output:
	// cachetest: Set("", "", 1h0m0s) = empty key, want no error
	// cachetest: Get("") = "", cache: not found, want ""
}
