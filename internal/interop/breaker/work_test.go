package breaker_test

import (
	"context"
	"errors"
)

var (
	errDown = errors.New("down")
	bg      = context.Background()
)

// work is the guarded call: it fails if fail is true.
func work(fail bool) (int, error) {
	if fail {
		return 0, errDown
	}
	return 1, nil
}
