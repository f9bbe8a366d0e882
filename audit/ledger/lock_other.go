//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package ledger

import (
	"errors"
	"fmt"
	"io"
)

// lockFile fails, because without a lock two writers would fork the chain.
func lockFile(string) (io.Closer, error) {
	return nil, fmt.Errorf("ledger: lock: %w", errors.ErrUnsupported)
}
