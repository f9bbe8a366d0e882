package redoubt_test

import (
	"flag"
	"testing"

	"github.com/redoubt-go/redoubt/internal/house"
)

var (
	update   = flag.Bool("update", false, "rewrite testdata/api from the code")
	ceilings = flag.Bool("ceilings", false, "lower the ceilings of internal/house to the present figures")
)

// TestHouse checks the rules of the repository that a program can check. A
// failure describes its repair.
func TestHouse(t *testing.T) {
	house.Run(t, ".", house.Options{API: *update, Ceilings: *ceilings})
}
