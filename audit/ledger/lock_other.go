//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package ledger

import (
	"errors"
	"fmt"
	"io"
)

// lockFile fails: two writers would fork the chain, so without a lock there is no
// writing.
func lockFile(string) (io.Closer, error) {
	return nil, fmt.Errorf("lock: %w", errors.ErrUnsupported)
}
