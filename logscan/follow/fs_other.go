//go:build !unix

package follow

import (
	"errors"
	"io/fs"
)

const nonblock = 0

// errStale is never returned here.
var errStale = errors.New("stale file")

// fileID returns 0 and 0: here files have no numbers, and their bytes must do.
func fileID(fs.FileInfo) (dev, ino uint64) { return 0, 0 }
