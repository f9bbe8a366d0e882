//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package ledger

import (
	"errors"
	"fmt"
	"os"
	"runtime"
)

// lock fails, because without a lock two writers would fork the chain.
func lock(*os.File) error {
	return fmt.Errorf("ledger: no writer on %s, which has no flock: %w", runtime.GOOS, errors.ErrUnsupported)
}
